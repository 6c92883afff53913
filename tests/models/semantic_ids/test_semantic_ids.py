"""Collision policy and health table of semantic IDs, by hand and against plain counting."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.semantic_ids.semantic_ids import SemanticIds, collision_rate, level_health, with_disambiguation

CODES = np.array([[1, 0], [0, 2], [1, 0], [0, 1], [1, 0], [0, 2]])

code_lists = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=40)


def test_disambiguation_numbers_a_collision_group_in_item_order() -> None:
    ids = with_disambiguation(CODES, (2, 3))
    assert ids.codes.tolist() == [[1, 0, 0], [0, 2, 0], [1, 0, 1], [0, 1, 0], [1, 0, 2], [0, 2, 1]]
    assert ids.codebook_sizes == (2, 3, 3)
    assert ids.semantic_levels == 2
    assert (ids.n_items, ids.levels) == (6, 3)
    assert ids.codes.dtype == np.int64


def test_without_collisions_the_disambiguation_level_has_one_code() -> None:
    ids = with_disambiguation(np.array([[1], [0]]), (5,))
    assert ids.codes.tolist() == [[1, 0], [0, 0]]
    assert ids.codebook_sizes == (5, 1)


@settings(deadline=None)
@given(codes=code_lists)
def test_disambiguated_ids_are_unique_and_keep_their_semantic_codes(codes: list[tuple[int, int]]) -> None:
    ids = with_disambiguation(np.array(codes), (3, 4))
    assert len({tuple(row) for row in ids.codes.tolist()}) == len(codes)
    assert ids.codes[:, :2].tolist() == [list(row) for row in codes]
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for row, token in zip(codes, ids.codes[:, 2], strict=True):
        assert token == seen[row]
        seen[row] += 1
    assert ids.codebook_sizes[2] == max(seen.values())


@settings(deadline=None)
@given(codes=code_lists)
def test_items_share_a_sid_number_exactly_where_their_semantic_codes_are_equal(codes: list[tuple[int, int]]) -> None:
    shared = SemanticIds(np.array(codes), (3, 4), 2).sid_of_item
    told_apart = with_disambiguation(np.array(codes), (3, 4)).sid_of_item
    assert shared.tolist() == told_apart.tolist(), "the disambiguation token carries no meaning"
    assert shared.dtype == np.int32
    number = dict(zip(codes, shared.tolist(), strict=True))
    assert [number[row] for row in codes] == shared.tolist()
    assert sorted(number.values()) == list(range(len(number)))


def test_the_collision_rate_is_the_share_of_items_that_are_not_alone() -> None:
    assert collision_rate(CODES) == pytest.approx(5 / 6)
    assert collision_rate(CODES[:, :1]) == 1.0
    assert collision_rate(with_disambiguation(CODES, (2, 3)).codes) == 0.0
    assert collision_rate(CODES[[0, 1, 3]]) == 0.0


def test_the_health_table_by_hand() -> None:
    ids = with_disambiguation(CODES, (4, 3))
    first, second, third = level_health(ids)
    assert first == {
        "level": 1,
        "kind": "semantic",
        "codebook_size": 4,
        "used": 2,
        "utilisation": 0.5,
        "entropy": pytest.approx(math.log(2)),
        "perplexity": pytest.approx(2.0),
        "max_share": 0.5,
        "collision_rate": 1.0,
    }
    entropy = -(1 / 2 * math.log(1 / 2) + 1 / 6 * math.log(1 / 6) + 1 / 3 * math.log(1 / 3))
    assert (second["used"], second["utilisation"], second["max_share"]) == (3, 1.0, 0.5)
    assert second["entropy"] == pytest.approx(entropy)
    assert second["perplexity"] == pytest.approx(math.exp(entropy))
    assert second["collision_rate"] == pytest.approx(5 / 6), "of whole prefixes, not of the level's codes alone"
    assert (third["kind"], third["level"], third["used"], third["collision_rate"]) == ("disambiguation", 3, 3, 0.0)


def test_a_level_with_one_code_has_no_entropy_and_no_sign_before_it() -> None:
    (level,) = level_health(SemanticIds(np.zeros((3, 1), dtype=np.int64), (4,), 1))
    assert f"{level['entropy']:.2f}" == "0.00"


@settings(deadline=None)
@given(codes=code_lists)
def test_health_agrees_with_plain_counting(codes: list[tuple[int, int]]) -> None:
    table = level_health(SemanticIds(np.array(codes), (3, 4), 2))
    for level, row in enumerate(table):
        prefixes = Counter(code[: level + 1] for code in codes)
        used = Counter(code[level] for code in codes)
        assert row["used"] == len(used)
        assert row["max_share"] == pytest.approx(max(used.values()) / len(codes))
        assert row["collision_rate"] == pytest.approx(sum(n for n in prefixes.values() if n > 1) / len(codes))


@settings(deadline=None, max_examples=50)
@given(codes=st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=30))
def test_semantic_ids_are_numbered_in_the_order_of_their_codes(codes: list[tuple[int, int, int]]) -> None:
    order = sorted(set(codes))
    ids = SemanticIds(np.array(codes), (4, 4, 4), 3)
    assert ids.sid_of_item.tolist() == [order.index(code) for code in codes]
    assert collision_rate(ids.codes) == sum(codes.count(code) > 1 for code in codes) / len(codes)
