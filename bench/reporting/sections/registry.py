"""The sections of a report in their order: a new one is a file of this folder and a line here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from bench.reporting.section import Section

FIRST = "results:RESULTS"
"""Stands there before any run is complete."""

ADDRESSES = (
    "confirmed:CONFIRMED",
    "pairs:BEST_ONE",
    "pairs:WHO_BEATS_WHOM",
    "questions:QUESTIONS",
    "comparisons:COMPARISONS",
    "semantic_ids:LEVELS",
    "parts:HEAD_TAIL",
    "lists:LISTS",
    "parts:TARGET_KIND",
    "parts:HISTORY_LENGTH",
    "parts:REACH",
    "semantic_ids:HEALTH",
    "decoding:SECTIONS",
    "cost:LEARNING_CURVES",
    "cost:COST",
    "published:SECTIONS",
)
"""What follows once a run is: MODULE:NAME, where a module of this folder calls a section so, or several."""


def sections(complete: bool) -> Iterator[Section]:
    """The sections on one data set.

    Args:
        complete: Whether any run on it is.
    """
    for address in (FIRST, *(ADDRESSES if complete else ())):
        module, _, name = address.partition(":")
        declared = getattr(import_module(f"{__package__}.{module}"), name)
        yield from declared if isinstance(declared, tuple) else (declared,)
