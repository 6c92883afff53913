"""What the decoding traces say as one tidy frame: one value a row, per seed.

Its metrics, all as `bench.evaluation.decoding` defines them:

- by level: "training-accuracy"; "accuracy" (of the test targets' codes, given the true codes before);
  "prefix-precision"; "survival" (in the beam after the level); "conditional-rank" and "rank-progression" (both readings
  of Conditional Rank Progression); and of the later codes "rank" and "accuracy" with "-after-true-first" or
  "-after-wrong-first" code.
- by place of the first code: "hit@10", and "rank@D" of the later code of level D.
- by retrieved events: "queries" (a count of the n; of every single number of events), and "gate" in bins.
- overall: "nothing-retrieved" (a share), and where any event is retrieved "median-retrieved", "gate" and
  "gate-correlation" (Spearman's, of gate and number of events).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.analysis.columns import DECODING, SCHEMA
from bench.analysis.decoding import decoding_of, gate_correlation, traced, training_accuracy
from bench.analysis.runs import SuiteRuns
from bench.evaluation.decoding import (
    by_first_place,
    conditional_rank,
    conditional_sizes,
    forced_accuracy,
    gate_by_retrieved,
    prefix_precision,
    progression_sizes,
    rank_progression,
    retrieved_histogram,
    survival,
    wrong_first_code,
)
from bench.spec import RunResult

_Value = tuple[str, str, float, float]
"""metric, part, value, n"""


def decoding_table(runs: SuiteRuns) -> pd.DataFrame:
    """Every value of every run that left a trace, with the columns `bench.analysis.columns.DECODING`.

    Args:
        runs: Of one data set.
    """
    identities = runs.identities()
    rows = [
        (SCHEMA, runs.suite.name, runs.dataset, *identities[result.spec.label], result.spec.seed, *value)
        for result in traced(runs).results
        for value in (*_by_level(result), *_by_first_place(result), *_retrieval(result))
    ]
    return DECODING.frame(rows)


def _by_level(result: RunResult) -> Iterator[_Value]:
    trace = decoding_of(result)
    n = len(trace)
    training = training_accuracy(result)
    if training is not None:
        yield from (("training-accuracy", f"level:{level}", float(value), np.nan) for level, value in _levels(training))
    for metric, measure in (
        ("accuracy", forced_accuracy),
        ("prefix-precision", prefix_precision),
        ("survival", survival),
    ):
        yield from ((metric, f"level:{level}", float(value), n) for level, value in _levels(measure(trace)))
    for metric, values, sizes in (
        ("conditional-rank", conditional_rank(trace), conditional_sizes(trace)),
        ("rank-progression", rank_progression(trace), progression_sizes(trace)),
    ):
        for level, value in _levels(values):
            yield metric, f"level:{level}", float(value), float(sizes[level - 1])
    for row in wrong_first_code(trace).to_dict("records"):
        for metric, column in (
            ("rank-after-true-first", "mean_rank"),
            ("accuracy-after-true-first", "accuracy"),
            ("rank-after-wrong-first", "mean_rank_wrong"),
            ("accuracy-after-wrong-first", "accuracy_wrong"),
        ):
            yield metric, f"level:{row['level']}", float(row[column]), row["queries"]


def _by_first_place(result: RunResult) -> Iterator[_Value]:
    assert result.queries is not None  # a complete result has its queries
    for row in by_first_place(decoding_of(result), result.queries["item_rank"].to_numpy()).to_dict("records"):
        part = f"first-place:{row.pop('place')}"
        n = row.pop("queries")
        yield "hit@10", part, row.pop("hit"), n
        for column, value in row.items():
            yield f"rank@{str(column).removeprefix('forced_rank_')}", part, value, n


def _retrieval(result: RunResult) -> Iterator[_Value]:
    """What the search found and how the gate went with it; nothing of models that don't retrieve."""
    trace = decoding_of(result)
    if "retrieved" not in trace:
        return
    n, some = len(trace), trace[trace["retrieved"] > 0]
    yield "nothing-retrieved", "overall", 1 - len(some) / n, n
    yield "median-retrieved", "overall", float(some["retrieved"].median()), len(some)
    if "gate" in trace:
        yield "gate", "overall", float(some["gate"].mean()), len(some)
    correlation = gate_correlation(result)
    if correlation is not None:
        yield "gate-correlation", "overall", float(correlation[0]), len(some)
    for events, queries in enumerate(retrieved_histogram(trace).tolist()):
        yield "queries", f"retrieved:{events}", queries, n
    for row in gate_by_retrieved(trace).to_dict("records"):
        yield "gate", f"retrieved:{row['retrieved']}", float(row["gate"]), row["queries"]


def _levels(values: np.ndarray) -> Iterator[tuple[int, float]]:
    return enumerate(values.tolist(), start=1)
