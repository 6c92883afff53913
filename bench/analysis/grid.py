"""Former names of what `bench.analysis.runs` holds."""

from bench.analysis.runs import Run, SuiteRuns, generates_semantic_ids, role_of
from bench.analysis.runs import row_named as row_of

Grid = SuiteRuns

__all__ = ["Grid", "Run", "generates_semantic_ids", "role_of", "row_of"]
