"""Decoding tables and what follows from them, by hand and against loops."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.data.protocols import Queries
from bench.evaluation.decoding import (
    DECODING_COLUMNS,
    by_first_place,
    conditional_rank,
    conditional_sizes,
    forced_accuracy,
    gate_by_retrieved,
    n_levels,
    prefix_precision,
    progression_sizes,
    rank_progression,
    retrieved_histogram,
    survival,
    trace_queries,
    wrong_first_code,
)
from bench.recommender import DecodingTrace, FitContext, Recommendations, Recommender

# Four queries, three levels, a beam of 3: found first; dropped at level 2; dropped at level 1; found, losing places.
BY_HAND = pd.DataFrame(
    {
        "path_rank_1": [0, 2, 7, 1],
        "path_rank_2": [0, 9, -1, 2],
        "path_rank_3": [0, -1, -1, 2],
        "in_beam_1": [True, True, False, True],
        "in_beam_2": [True, False, False, True],
        "in_beam_3": [True, False, False, True],
        "best_prefix_1": [True, False, False, False],
        "best_prefix_2": [True, False, False, False],
        "best_prefix_3": [True, False, False, False],
        "forced_rank_1": [0, 2, 7, 1],
        "forced_rank_2": [0, 5, 0, 1],
        "forced_rank_3": [0, 0, 0, 3],
        "after_wrong_2": [4, 6, -1, 1],
        "after_wrong_3": [0, 2, -1, 4],
        "retrieved": [0, 1, 3, 20],
        "gate": np.array([0.0, 0.25, 0.5, 0.75], np.float32),
    }
)


def test_aggregates_by_hand() -> None:
    assert n_levels(BY_HAND) == 3
    assert forced_accuracy(BY_HAND).tolist() == [1 / 4, 2 / 4, 3 / 4]
    assert prefix_precision(BY_HAND).tolist() == [1 / 4] * 3
    assert survival(BY_HAND).tolist() == [3 / 4, 2 / 4, 2 / 4]
    assert conditional_sizes(BY_HAND).tolist() == [4, 3, 2]
    np.testing.assert_allclose(conditional_rank(BY_HAND), [10 / 4, 11 / 3, 2 / 2])


def test_the_progression_counts_only_paths_that_stay_in_the_beam() -> None:
    progression = rank_progression(BY_HAND)
    assert math.isnan(progression[0]), "nothing can be lost before the first level"
    assert progression_sizes(BY_HAND).tolist() == [0, 2, 2]
    np.testing.assert_allclose(
        progression[1:], [(0 + 1) / 2, 0], err_msg="the path that falls from 2 to 9 left the beam"
    )


def test_levels_that_nobody_reaches_have_no_mean() -> None:
    lost = BY_HAND.iloc[[2]]
    assert conditional_rank(lost)[0] == 7
    assert np.isnan(conditional_rank(lost)[1:]).all()
    assert np.isnan(rank_progression(lost)).all()


def test_a_wrong_first_code_is_compared_where_there_is_one() -> None:
    costs = wrong_first_code(BY_HAND).set_index("level")
    assert costs.loc[2].tolist() == pytest.approx([3, 2, 1 / 3, 11 / 3, 0])
    assert costs.loc[3].tolist() == pytest.approx([3, 1, 2 / 3, 2, 1 / 3])
    assert wrong_first_code(BY_HAND.iloc[[2]]).empty


def test_queries_are_grouped_by_the_place_of_their_first_code() -> None:
    item_ranks = np.array([1, 11, 0, 10], np.int16)
    groups = by_first_place(BY_HAND, item_ranks).set_index("place")
    assert groups.index.tolist() == ["1", "2", "3-5", "6-10"]
    assert groups["queries"].tolist() == [1, 1, 1, 1]
    assert groups["hit"].tolist() == [1, 1, 0, 0], "place 10 is a hit, place 11 is none"
    assert groups.loc["3-5", ["forced_rank_2", "forced_rank_3"]].tolist() == [5, 0]
    assert by_first_place(BY_HAND, item_ranks, k=11).set_index("place").loc["3-5", "hit"] == 1


def test_gates_are_averaged_by_number_of_events() -> None:
    bins = gate_by_retrieved(BY_HAND, edges=(1, 2, 5, 20))
    assert bins["retrieved"].tolist() == ["0", "1", "2-4", ">=20"]
    assert bins["queries"].tolist() == [1, 1, 1, 1]
    assert bins["gate"].tolist() == [0, 0.25, 0.5, 0.75]
    assert gate_by_retrieved(BY_HAND.drop(columns="gate")).empty


def test_the_histogram_has_a_bar_for_every_length() -> None:
    counts = retrieved_histogram(BY_HAND)
    assert len(counts) == 21
    assert np.flatnonzero(counts).tolist() == [0, 1, 3, 20]
    assert len(retrieved_histogram(BY_HAND.drop(columns="retrieved"))) == 0


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Traces as a beam search leaves them: a path that left the beam never comes back."""
    n, levels = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    ranks = rng.integers(0, 6, (n, levels))
    kept = (ranks < 3).cumprod(1).astype(bool)
    ranks[:, 1:][~kept[:, :-1]] = -1
    columns: dict[str, NDArray[np.generic]] = {}
    for level in range(levels):
        columns[f"path_rank_{level + 1}"] = ranks[:, level]
        columns[f"in_beam_{level + 1}"] = kept[:, level]
    return pd.DataFrame(columns)


@settings(deadline=None, max_examples=50)
@given(table=tables())
def test_both_readings_of_the_progression_equal_loops_over_queries(table: pd.DataFrame) -> None:
    levels = n_levels(table)
    for level in range(1, levels + 1):
        ranks, lost = [], []
        for row in table.to_dict("records"):
            if level == 1 or row[f"in_beam_{level - 1}"]:
                ranks.append(row[f"path_rank_{level}"])
            if level > 1 and row[f"in_beam_{level - 1}"] and row[f"in_beam_{level}"]:
                lost.append(row[f"path_rank_{level}"] - row[f"path_rank_{level - 1}"])
        for values, measured in ((ranks, conditional_rank(table)), (lost, rank_progression(table))):
            expected = np.mean(values) if values else np.nan
            np.testing.assert_allclose(measured[level - 1], expected)
        assert conditional_sizes(table)[level - 1] == len(ranks)
        assert progression_sizes(table)[level - 1] == len(lost)
    assert (np.diff(survival(table)) <= 0).all()


N_ITEMS = 30


class Traced(Recommender):
    """A trace that is a function of the target alone; notes what it was asked."""

    def __init__(self, levels: int = 2, searching: bool = True) -> None:
        super().__init__()
        self.levels, self.searching = levels, searching
        self.asked: list[tuple[int, int]] = []
        self.missing = 0

    def fit(self, train: TrainingData, context: FitContext) -> None:
        """There is nothing to learn."""

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        raise AssertionError("tracing answers no query")

    def trace(self, histories: Histories, targets: NDArray[np.int32], k: int) -> DecodingTrace | None:
        if not self.levels:
            return None
        assert len(histories) == len(targets)
        self.asked.append((len(targets), k))
        rows = targets[: len(targets) - self.missing, None] + np.arange(self.levels)
        found = rows[:, 0] if self.searching else None
        return DecodingTrace(
            path_rank=rows.astype(np.int32),
            in_beam=rows < 20,
            best_prefix=rows < 1,
            forced_rank=rows.astype(np.int32),
            after_wrong=rows[:, 1:].astype(np.int32),
            retrieved=found,
            gate=None if found is None else (found / N_ITEMS).astype(np.float32),
        )


def queries(n: int = 23) -> Queries:
    rng = np.random.default_rng(0)
    items = rng.integers(0, N_ITEMS, 4 * n).astype(np.int32)
    offsets = np.arange(0, 4 * n + 1, 4, dtype=np.int64)
    return Queries(
        interactions=Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS),
        users=np.arange(n, dtype=np.int64),
        ends=np.full(n, 3, dtype=np.int64),
        targets=items[offsets[1:] - 1],
        target_counts=np.ones(n, dtype=np.int64),
        target_quantiles=np.linspace(0, 0.99, n),
        exclude_seen=False,
    )


def test_the_table_has_the_documented_columns_in_the_order_of_the_queries() -> None:
    table = trace_queries(Traced(3), queries())
    assert table is not None
    patterns = [name.replace("_D", r"_[1-3]") for name in DECODING_COLUMNS]
    assert all(any(re.fullmatch(pattern, column) for pattern in patterns) for column in table.columns)
    for name, text in DECODING_COLUMNS.items():
        levels = [2, 3] if name == "after_wrong_D" else [1, 2, 3]
        for column in [name.replace("_D", f"_{level}") for level in levels] if name.endswith("_D") else [name]:
            assert str(table[column].dtype) == text.split(",")[0]
    assert table["path_rank_1"].tolist() == queries().targets.tolist()


def test_no_row_depends_on_the_size_of_the_batches() -> None:
    whole, recommender = trace_queries(Traced(), queries(), k=7), Traced()
    parts = trace_queries(recommender, queries(), batch_size=5, k=7)
    assert whole is not None
    assert parts is not None
    pd.testing.assert_frame_equal(whole, parts)
    assert recommender.asked == [(5, 7), (5, 7), (5, 7), (5, 7), (3, 7)]


def test_models_without_search_have_no_columns_of_it_and_models_without_levels_no_table() -> None:
    table = trace_queries(Traced(searching=False), queries())
    assert table is not None
    assert not {"gate", "retrieved"} & set(table.columns)
    assert trace_queries(Traced(levels=0), queries()) is None


def test_a_trace_that_lacks_queries_is_refused() -> None:
    recommender = Traced()
    recommender.missing = 1
    with pytest.raises(ValueError, match="22 rows for 23 queries"):
        trace_queries(recommender, queries())
