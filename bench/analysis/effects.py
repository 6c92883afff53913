"""Every row beside the suite's references on the parts of the queries that all data sets have, and means resampled.

For the figures over all data sets: differences with their intervals, and ranks with what chance leaves open of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.columns import EFFECTS, SCHEMA
from bench.analysis.report_columns import RESAMPLED
from bench.analysis.runs import SuiteRuns, row_named
from bench.analysis.significance import difference_intervals, per_query
from bench.conventions import PRIMARY_METRIC
from bench.evaluation.slices import Slices, popularity_slices, reach_parts, repetition_slices
from bench.seeds import seed_for
from bench.spec import RunResult

DRAWS = 400
"""Resamples of users and seeds; draw 0 is the data as they are."""


def common_parts(queries: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """The parts of the queries that can be compared over data sets, under (family, part).

    Fixed bins of history lengths are not among them: what is long depends on the data set, so that each is halved.
    """
    whole, head, tail = popularity_slices(queries).values()
    lengths = queries["history_length"].to_numpy()
    shorter = lengths <= int(np.median(lengths)) if len(lengths) else np.zeros(0, dtype=bool)
    reach: Slices = {part: mask for part, mask in reach_parts(queries).items() if part != "never"}
    families = {
        "overall": {"overall": whole},
        "head-tail": {"head": head, "tail": tail},
        "reach": reach,
        "repetition": repetition_slices(queries),
        "history": {"shorter half": shorter, "longer half": ~shorter},
    }
    return {
        (family, part): mask for family, parts in families.items() for part, mask in parts.items() if mask.sum() > 1
    }


def effects_frame(runs: SuiteRuns) -> pd.DataFrame:
    """Every row against every reference, with the columns `bench.analysis.columns.EFFECTS`.

    Args:
        runs: Of one data set.
    """
    return EFFECTS.frame(_effects(runs))


def _effects(runs: SuiteRuns) -> Iterator[tuple[object, ...]]:
    known, labels = runs.identities(), runs.complete_rows
    head = (SCHEMA, runs.suite.name, runs.dataset)
    references = [label for name in runs.suite.references if (label := row_named(runs, name))]
    for against in dict.fromkeys(references):
        for label in labels:
            first, second = runs.of_row(label), runs.of_row(against)
            assert first[0].queries is not None  # a complete result has its queries
            parts = common_parts(first[0].queries) if label != against else {}
            intervals = difference_intervals(first, second, PRIMARY_METRIC, parts.values())
            for (family, part), found in zip(parts, intervals, strict=True):
                if found is not None:
                    yield (*head, *known[label], against, family, part, PRIMARY_METRIC, *found)


def resampled_frame(runs: SuiteRuns, draws: int = DRAWS) -> pd.DataFrame:
    """Means of the rows over resampled users and seeds, with the columns `bench.analysis.report_columns.RESAMPLED`.

    In a draw all rows have the same users, and the same seeds where they have as many: what is easy for all of them
    moves no rank. Rows that answered other queries than the first one are left out.

    Args:
        runs: Of one data set.
        draws: Their number, the data as they are included.
    """
    rows = {label: runs.of_row(label) for label in runs.complete_rows}
    if not rows:
        return RESAMPLED.frame(())
    queries = next(iter(rows.values()))[0].queries
    assert queries is not None
    alike = {label: results for label, results in rows.items() if _same_users(queries, results)}
    random = np.random.default_rng(seed_for("resampled", runs.dataset))
    weights = random.multinomial(len(queries), np.full(len(queries), 1 / len(queries)), size=draws).astype(np.float64)
    weights[0] = 1
    luck = random.random((draws, max(map(len, alike.values()))))
    values = {label: np.stack([per_query(one, PRIMARY_METRIC) for one in results]) for label, results in alike.items()}
    known, frames = runs.identities(), []
    for (family, part), mask in common_parts(queries).items():
        drawn = weights[:, mask]
        sizes = drawn.sum(axis=1).clip(min=1)[:, None]
        for label, of_row in values.items():
            means = drawn @ of_row[:, mask].T / sizes  # [draws, seeds]
            chosen = (luck[:, : len(of_row)] * len(of_row)).astype(int)
            chosen[0] = np.arange(len(of_row))
            mean = np.take_along_axis(means, chosen, axis=1).mean(axis=1)
            head = {**known[label]._asdict(), "family": family, "part": part}
            frames.append(pd.DataFrame({**head, "draw": np.arange(draws), "mean": mean}))
    if not frames:  # of a single query there is no part
        return RESAMPLED.frame(())
    return RESAMPLED.checked(pd.concat(frames, ignore_index=True))


def _same_users(queries: pd.DataFrame, results: Sequence[RunResult]) -> bool:
    return all(
        result.queries is not None
        and np.array_equal(result.queries["user"].to_numpy(), queries["user"].to_numpy())
        and np.array_equal(result.queries["target"].to_numpy(), queries["target"].to_numpy())
        for result in results
    )
