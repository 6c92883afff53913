"""How quickly each model learns, and what it costs."""

from __future__ import annotations

from bench.conventions import PRIMARY_NAME
from bench.reporting.figures import training
from bench.reporting.section import FigureOf, SectionOf
from bench.reporting.tables.cost import cost_table

LEARNING_CURVES = SectionOf(
    "learning curves",
    FigureOf("learning-curves", f"Validation {PRIMARY_NAME} during training", training.learning_curves),
)
COST = SectionOf(
    "cost",
    cost_table,
    FigureOf("cost", f"{PRIMARY_NAME} against training time, answering time and size", training.cost),
    introduction="Wall-clock times of runs that may have shared the machine with others.",
)
