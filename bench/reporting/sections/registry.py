"""The sections of a report in their order: a new one is a file of this folder and a line here."""

from __future__ import annotations

from bench.declarations import located
from bench.reporting.section import Section

ADDRESSES = (
    "pairs:BestOne",
    "pairs:WhoBeatsWhom",
    "questions:Questions",
    "comparisons:Comparisons",
    "semantic_ids:Levels",
    "parts:HeadTail",
    "lists:Lists",
    "parts:TargetKind",
    "parts:HistoryLength",
    "parts:Reach",
    "semantic_ids:SidHealth",
    "decoding:Findings",
    "decoding:LevelAccuracy",
    "decoding:Prefixes",
    "decoding:RankProgression",
    "decoding:Paper",
    "decoding:WrongFirstCode",
    "decoding:Retrieval",
    "cost:LearningCurves",
    "cost:Cost",
    "published:PublishedValues",
    "published:Reasons",
    "published:Trends",
)
"""MODULE:CLASS of each section, within this folder."""


def _made(address: str) -> Section:
    return located(f"{__package__}.{address}")()


FIRST = _made("results:Results")
"""Stands there before any run is complete."""

OF_A_DATASET: tuple[Section, ...] = tuple(map(_made, ADDRESSES))
"""What follows once a run is."""
