"""Semantic IDs in tables: item level beside SID level, and how well the codebooks are used."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis import diagnostics
from bench.analysis.diagnostics import CodebookLevel
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import PART_METRICS, hits_beyond_sid_level
from bench.conventions import PRIMARY_METRIC
from bench.number_text import NONE
from bench.reporting.kinds import COUNT, Kind, MeanStd, decimals, mean_std, percent
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Table
from bench.reporting.tables.results import measured


def _of_items(value: tuple[int | None, int | None]) -> str:
    """E.g. "25435 / 28165"."""
    return " / ".join(NONE if count is None else str(count) for count in value)


def _count_of(value: tuple[int | None, int | None]) -> float:
    return np.nan if value[0] is None else value[0]


_OF_ITEMS = Kind("share-of-items", _of_items, _count_of)


def level_table(grid: Grid, wide: pd.DataFrame) -> Table | None:
    """Item level beside SID level for semantic-ID models, with what explains the gap. None without such models."""
    rows = []
    complete = measured(wide)
    for row in complete[complete[f"sid.overall.{PRIMARY_METRIC}.mean"].notna()].to_dict("records"):
        results = grid.of_model(row["model"])
        sids = [diagnostics.sids(result) for result in results]
        shares = [np.nan if (share := diagnostics.valid_share(result)) is None else share for result in results]
        scores = [
            f"{level}.{metric}"
            for metric in PART_METRICS
            for level, metric in (
                ("item.overall", metric),
                ("item.overall", f"expected-{metric}"),
                ("sid.overall", metric),
            )
        ]
        collisions = [sid.collision_rate for sid in sids if sid.collision_rate is not None]
        rows.append(
            (
                row["model"],
                sids[0].tokenizer or NONE,
                *(MeanStd(row[f"{score}.mean"], row[f"{score}.std"]) for score in scores),
                float(np.mean(collisions)) if collisions else None,
                (sids[0].unique_sids, sids[0].n_items),
                float(np.min(shares)),
                sum(hits_beyond_sid_level(result) for result in results),
            )
        )
    columns = (
        Column("Model"),
        Column("Tokenizer"),
        *(Column(column(m, kind), mean_std()) for m in PART_METRICS for kind in ("item", "ties", "SID")),
        Column("Items that collide", percent()),
        Column("SIDs / items", _OF_ITEMS),
        Column("Valid SIDs", percent(2)),
        Column("Item hit without SID hit", COUNT),
    )
    return Table.of("levels", columns, rows) if rows else None


def sid_health_table(grid: Grid) -> Table | None:
    """How well each level of each codebook is used; rows that share their semantic IDs share their lines."""
    models_of: dict[tuple[CodebookLevel, ...], list[str]] = {}
    for model in grid.complete_models:
        for result in grid.of_model(model):
            if levels := tuple(diagnostics.sid_health(result)):
                models = models_of.setdefault(levels, [])
                if model not in models:
                    models.append(model)
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
    rows = [(", ".join(models), *_health(level)) for levels, models in models_of.items() for level in levels]
    return Table.of("sid-health", columns, rows) if rows else None


def _health(level: CodebookLevel) -> tuple[object, ...]:
    kind = f" ({level.kind})" if level.kind != "semantic" else ""
    return (
        f"{level.level}{kind}",
        level.codebook_size,
        level.used,
        level.utilisation,
        level.perplexity,
        level.entropy,
        level.max_share,
    )
