"""Fidelity cards: how near a model's mechanisms are to their source, and the test that pins each."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.frames import DatasetFrames
from bench.number_text import NONE
from bench.reporting.table import Table
from bench.reporting.words import code

_HEADINGS = ("Mechanism", "Status", "Source", "What differs", "Test")


def fidelity_cards(datasets: Iterable[DatasetFrames]) -> dict[str, Table]:
    """The card of each row; equal cards are one.

    Returns:
        Labels, separated by commas -> their card.
    """
    cards: dict[str, tuple[tuple[str, ...], ...]] = {}
    for frames in datasets:
        for label, lines in frames.fidelity.groupby("row", sort=False):
            known = lines[["name", "status", "source", "note", "test"]].itertuples(index=False, name=None)
            cards[str(label)] = tuple(known)
    labels_of: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for label, card in cards.items():
        labels_of.setdefault(card, []).append(label)
    return {", ".join(labels): _table(card) for card, labels in labels_of.items()}


def _table(card: tuple[tuple[str, ...], ...]) -> Table:
    return Table.of("fidelity", _HEADINGS, [(*line[:4], code(line[4]) if line[4] else NONE) for line in card])
