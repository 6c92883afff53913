"""The sections of a report in their order: a new one is a file of this folder and a line here."""

from __future__ import annotations

from bench.reporting.section import Figures, Section
from bench.reporting.sections import (
    comparisons,
    cost,
    decoding,
    lists,
    pairs,
    parts,
    published,
    questions,
    results,
    semantic_ids,
)

FIRST: Section = results.Results()
"""Stands there before any run is complete."""

OF_A_DATASET: tuple[Section, ...] = (
    pairs.BestOne(),
    pairs.WhoBeatsWhom(),
    questions.Questions(),
    comparisons.Comparisons(),
    semantic_ids.Levels(),
    parts.HeadTail(),
    lists.Lists(),
    parts.TargetKind(),
    parts.HistoryLength(),
    parts.Reach(),
    semantic_ids.SidHealth(),
    decoding.Findings(),
    decoding.LevelAccuracy(),
    decoding.Prefixes(),
    decoding.RankProgression(),
    decoding.Paper(),
    decoding.WrongFirstCode(),
    decoding.Retrieval(),
    Figures("learning curves", cost.LearningCurvesFigure()),
    cost.Cost(),
    published.PublishedValues(),
    published.Reasons(),
    published.Trends(),
)
"""What follows once a run is."""
