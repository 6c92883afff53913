"""Fidelity cards: how near a model's mechanisms are to their source, and the test that pins each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.number_text import NONE
from bench.reporting.table import Table
from bench.reporting.words import code

_HEADINGS = ("Mechanism", "Status", "Source", "What differs", "Test")


def fidelity_cards(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Table]:
    """The card of each model; equal cards are one.

    Args:
        cards: Label -> list of dicts with the fields of `bench.recommender.Mechanism`.

    Returns:
        Labels, separated by commas -> their card.
    """
    labels_of: dict[tuple[tuple[Any, ...], ...], list[str]] = {}
    for label, card in cards.items():
        if card:
            labels_of.setdefault(tuple(map(_line, card)), []).append(label)
    return {", ".join(labels): Table.of("fidelity", _HEADINGS, lines) for lines, labels in labels_of.items()}


def _line(line: Mapping[str, Any]) -> tuple[Any, ...]:
    test = code(line["test"]) if line.get("test") else NONE
    return line["name"], line["status"], line["source"], line.get("note") or "", test
