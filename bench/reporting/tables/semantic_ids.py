"""Semantic IDs in tables: item level beside SID level, and how well the codebooks are used."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from bench.analysis.columns import PART_METRICS
from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import SID_MEAN
from bench.number_text import NONE
from bench.reporting.kinds import COUNT, Kind, decimals, mean_std, percent
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import measured, over_seeds


class _OfItems(NamedTuple):
    """Distinct semantic IDs, and the items that have them; NaN where a model did not say."""

    sids: float
    items: float


def _text(value: _OfItems) -> str:
    """E.g. "25435 / 28165"."""
    return " / ".join(NONE if pd.isna(count) else f"{count:.0f}" for count in value)


def _sids(value: _OfItems) -> float:
    return value.sids


_OF_ITEMS = Kind("share-of-items", _text, _sids)


def level_table(frames: DatasetFrames) -> Table | None:
    """Item level beside SID level for semantic-ID models, with what explains the gap. None without such models."""
    complete = measured(frames.leaderboard)
    rows = complete[complete[SID_MEAN].notna()]
    if rows.empty:
        return None
    scores = [
        f"{level}.overall.{before}{metric}"
        for metric in PART_METRICS
        for level, before in (("item", ""), ("item", "expected-"), ("item", "cce-"), ("sid", ""))
    ]
    by_row = [frames.sids[frames.sids["row"] == row] for row in rows["row"]]
    values = [
        rows["row"],
        [sids["tokenizer"].iloc[0] or NONE for sids in by_row],
        *(over_seeds(rows, score) for score in scores),
        [sids["collision_rate"].mean() for sids in by_row],
        [_OfItems(sids["unique_sids"].iloc[0], sids["catalogue_items"].iloc[0]) for sids in by_row],
        [sids["valid_share"].min(skipna=False) for sids in by_row],
        [sids["seconds"].mean(skipna=False) / 60 for sids in by_row],
        [sids["item_hits_without_sid_hit"].sum() for sids in by_row],
    ]
    columns = (
        Column("Model"),
        Column("Tokenizer"),
        *(Column(column(m, kind), mean_std()) for m in PART_METRICS for kind in ("item", "ties", "CCE", "SID")),
        Column("Items that collide", percent()),
        Column("SIDs / items", _OF_ITEMS),
        Column("Valid SIDs", percent(2)),
        Column("Tokenizing, min", decimals(2)),
        Column("Item hit without SID hit", COUNT),
    )
    return Table.of("levels", columns, zip(*values, strict=True))


def sid_health_table(frames: DatasetFrames) -> Table | None:
    """How well each level of each codebook is used; rows that share their semantic IDs share their lines."""
    names = ["level", "kind", "codebook_size", "used", "utilisation", "perplexity", "entropy", "max_share"]
    rows_of: dict[tuple[tuple[object, ...], ...], list[str]] = {}
    for (row, _), levels in frames.sid_health.groupby(["row", "seed"], sort=False):
        rows = rows_of.setdefault(tuple(levels[names].itertuples(index=False, name=None)), [])
        if row not in rows:
            rows.append(str(row))
    columns = (
        Column("Models"),
        Column("Level"),
        Column("Codes", COUNT),
        Column("Used", COUNT),
        Column("Utilisation", percent()),
        Column("Perplexity", decimals(1)),
        Column("Entropy (nats)", decimals(2)),
        Column("Largest code's share", percent()),
    )
    lines = [
        (", ".join(rows), f"{level}" + (f" ({kind})" if kind != "semantic" else ""), *health)
        for levels, rows in rows_of.items()
        for level, kind, *health in levels
    ]
    return Table.of("sid-health", columns, lines) if lines else None
