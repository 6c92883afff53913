"""What is recommended, whether or not it is the target."""

from __future__ import annotations

from bench.reporting.section import SectionOf
from bench.reporting.tables.results import beyond_accuracy_table

LISTS = SectionOf(
    "what is recommended",
    beyond_accuracy_table,
    introduction=(
        "Of the first ten items of every list. Coverage: share of the catalogue that anybody got. Popularity: mean "
        "share of the catalogue that is no more popular in training (1: only the most popular item). Novelty: mean "
        "of -log2 of the item's share of training interactions."
    ),
)
