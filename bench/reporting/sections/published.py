"""What others published of the rows of a suite, beside what was measured."""

from __future__ import annotations

from bench.reporting.figures.published import published
from bench.reporting.section import FigureOf, SectionOf
from bench.reporting.tables.published import order_of_trends, published_table, reasons

SECTIONS = (
    SectionOf(
        "published against measured",
        published_table,
        FigureOf("published", "Published values and measured ones", published),
        introduction=(
            "Reproduced: the mean over seeds is within the tolerance that the suite sets. Trend only: the figure is "
            "from other data or another system, so that its size says nothing about this one."
        ),
    ),
    SectionOf(
        "Where the set-up differs",
        reasons,
        introduction=(
            "Of every figure that was not reproduced. A difference named here may be the cause; none was tested alone."
        ),
        level=3,
    ),
    SectionOf(
        "Are the trends the same?",
        order_of_trends,
        introduction=(
            "The rows whose figures show a trend only, from the lowest mean to the highest; the order was not tested."
        ),
        level=3,
    ),
)
