"""The table of results of a data set, and the figure of it."""

from __future__ import annotations

from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import paragraph
from bench.reporting.figures.quality import quality
from bench.reporting.section import FigureOf, SectionOf
from bench.reporting.tables import results
from bench.reporting.words import strong, underlined

RESULTS = SectionOf(
    "results",
    results.main_table,
    lambda frames: paragraph(results.flags_explained(frames)),
    results.warnings,
    lambda frames: paragraph(results.floor_missing(frames)),
    results.best_possible_table,
    results.notes,
    FigureOf("quality", f"{PRIMARY_NAME} of every model, and its difference to the best baseline", quality),
    introduction=(
        "Item level, mean ± standard deviation over seeds. Best "
        + strong("bold")
        + ", second "
        + underlined("underlined")
        + ", by means alone, which is no test. With one target a query, Hit@K equals Recall@K."
    ),
)
