"""Steps from a history's last event to its target, beside a walk over pairs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.interactions import Histories, Interactions
from bench.errors import BenchError
from bench.evaluation import transitions
from bench.evaluation.shared_ids import shared_credit
from bench.evaluation.transitions import KINDS, Transitions, known_transitions

N_ITEMS = 6
rows_of_items = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=6), min_size=1, max_size=6)


def arrays(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    return items, np.arange(len(items), dtype=np.int64), np.cumsum([0, *map(len, rows)]).astype(np.int64)


def kinds_of(train: list[list[int]], asked: list[tuple[list[int], int]]) -> list[int]:
    histories = Histories(*arrays([history for history, _ in asked]), n_items=N_ITEMS, exclude_seen=False)
    targets = np.array([target for _, target in asked], dtype=np.int32)
    return Transitions(Interactions(*arrays(train), N_ITEMS), None).kinds(histories, targets).tolist()


def test_seen_composable_new_and_unknown_by_hand() -> None:
    train = [[0, 1, 2], [3, 4]]
    asked = [([5, 0], 1), ([0], 2), ([2], 0), ([1], 4), ([], 1)]
    assert kinds_of(train, asked) == [KINDS["seen"], KINDS["composable"], KINDS["new"], KINDS["new"], 0]


@settings(deadline=None, max_examples=40)
@given(train=rows_of_items, data=st.data())
def test_kinds_equal_a_walk_over_all_pairs(train: list[list[int]], data: st.DataObject) -> None:
    query = st.tuples(st.lists(st.integers(0, N_ITEMS - 1), max_size=4), st.integers(0, N_ITEMS - 1))
    asked = data.draw(st.lists(query, min_size=1, max_size=8))
    seen = {pair for row in train for pair in pairwise(row)}
    expected = []
    for history, target in asked:
        if not history:
            expected.append(0)
        elif (history[-1], target) in seen:
            expected.append(3)
        else:
            expected.append(2 if any({(history[-1], via), (via, target)} <= seen for via in range(N_ITEMS)) else 1)
    assert kinds_of(train, asked) == expected


def test_of_a_basket_the_step_begins_before_it() -> None:
    """Items 1, 2 and 3 are one basket after item 0: its steps are 0-1, 0-2 and 0-3, and none lies inside it."""
    interactions = Interactions(*arrays([[0, 1, 2, 3]]), N_ITEMS)
    steps = Transitions(interactions, np.array([0, 1, 1, 1], dtype=np.int32))
    histories = Histories(*arrays([[0], [0], [1]]), n_items=N_ITEMS, exclude_seen=False)
    assert steps.kinds(histories, np.array([1, 3, 2], dtype=np.int32)).tolist() == [3, 3, 1]


def test_very_large_training_data_have_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    interactions = Interactions(*arrays([[0, 1, 2]]), N_ITEMS)
    assert known_transitions(interactions, None) is not None
    monkeypatch.setattr(transitions, "MOST_EVENTS", 2)
    assert known_transitions(interactions, None) is None


def test_credit_is_a_share_of_the_hit() -> None:
    ranks, sizes = np.array([1, 3, 11, 0, 3]), np.array([2, 1, 5, 9, 4])
    assert shared_credit("recall@10", ranks, sizes, 20).tolist() == [0.5, 1, 0, 0, 0.25]
    assert shared_credit("ndcg@10", ranks, sizes, 20).tolist() == [0.5, 0.5, 0, 0, 0.125]
    with pytest.raises(BenchError):
        shared_credit("recall@21", ranks, sizes, 20)
