"""Semantic hard search against walking back through the history."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.interactions import PAD
from models.history.semantic_search import SemanticSearchIndex, nearest_codes, sorted_at_once, sorted_by_row

N_ITEMS = 9


def index_of(rows: list[list[int]], first_codes: list[int], codebook_size: int) -> SemanticSearchIndex:
    items = torch.tensor([item for row in rows for item in row], dtype=torch.long)
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])], dtype=torch.long)
    return SemanticSearchIndex(items, offsets, torch.tensor(first_codes), codebook_size)


def walk_back(
    rows: list[list[int]],
    first_codes: list[int],
    row: int,
    end: int,
    code: int,
    limit: int,
    neighbours: list[list[int]] | None,
    threshold: int,
) -> list[int]:
    """Places of the events found, as one would look for them by hand."""
    before = sum(len(earlier) for earlier in rows[:row])

    def events(wanted: int) -> list[int]:
        return [before + p for p in range(end - 1, -1, -1) if first_codes[rows[row][p]] == wanted]

    found = events(code)
    if neighbours is not None and len(found) < threshold:
        for other in neighbours[code]:
            found = found + events(other)
    return found[:limit]


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=14), min_size=1, max_size=5),
    codebook_size=st.integers(1, 5),
    limit=st.integers(1, 8),
    threshold=st.integers(0, 6),
    n_neighbours=st.integers(0, 4),
    seed=st.integers(0, 2**31),
)
def test_search_finds_what_walking_back_finds(
    rows: list[list[int]], codebook_size: int, limit: int, threshold: int, n_neighbours: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first_codes = rng.integers(0, codebook_size, N_ITEMS).tolist()
    asked = rng.integers(0, len(rows), 4).tolist()
    ends = [int(rng.integers(0, len(rows[row]) + 1)) for row in asked]
    codes = rng.integers(0, codebook_size, (4, 3))
    n_neighbours = min(n_neighbours, codebook_size - 1)
    neighbours = [
        rng.permutation([other for other in range(codebook_size) if other != code])[:n_neighbours].tolist()
        for code in range(codebook_size)
    ]
    table = torch.tensor(neighbours, dtype=torch.long) if n_neighbours else None
    answer = index_of(rows, first_codes, codebook_size).search(
        torch.tensor(asked), torch.tensor(ends), torch.from_numpy(codes), limit, table, threshold
    )
    assert answer.shape == (4, 3, limit)
    for number in range(4):
        for column in range(3):
            given_by_hand = walk_back(
                rows,
                first_codes,
                asked[number],
                ends[number],
                codes[number, column],
                limit,
                neighbours if n_neighbours else None,
                threshold,
            )
            expected = given_by_hand + [PAD] * (limit - len(given_by_hand))
            assert answer[number, column].tolist() == expected


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=14), min_size=1, max_size=6), chunk=st.integers(1, 9)
)
def test_an_index_built_in_chunks_is_the_same(rows: list[list[int]], chunk: int) -> None:
    first_codes = [item % 4 for item in range(N_ITEMS)]
    whole = index_of(rows, first_codes, 4)
    items = torch.tensor([item for row in rows for item in row], dtype=torch.long)
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])], dtype=torch.long)
    bucket = 15 * torch.tensor(first_codes)
    with pytest.MonkeyPatch.context() as patch:
        ways = [sort(items, offsets, bucket, 60).tolist() for sort in (sorted_at_once, sorted_by_row)]
        patch.setattr("models.history.semantic_search._CHUNK_EVENTS", chunk)
        pieces = index_of(rows, first_codes, 4)
        ways += [sort(items, offsets, bucket, 60).tolist() for sort in (sorted_at_once, sorted_by_row)]
    assert ways == ways[:1] * 4  # a GPU's way and a CPU's, at once and in pieces
    asked, ends = torch.arange(len(rows)), torch.tensor([len(row) for row in rows])
    codes = torch.arange(4).expand(len(rows), 4)
    assert torch.equal(pieces.search(asked, ends, codes, 20), whole.search(asked, ends, codes, 20))


def test_an_index_takes_four_bytes_an_event_unless_codes_times_the_longest_row_need_more() -> None:
    rows = [[0, 1, 0], [1, 0]]
    small, large = (index_of(rows, [0, 1], size) for size in (2, 2**30))
    assert small.nbytes == 4 * 5
    assert large.nbytes == 8 * 5
    for index in (small, large):
        found = index.search(torch.tensor([0, 1]), torch.tensor([3, 2]), torch.tensor([[0, 1], [0, 1]]), 2)
        assert found.tolist() == [[[2, 0], [1, PAD]], [[4, PAD], [3, PAD]]]


def test_own_events_come_first_and_neighbours_join_only_below_the_threshold() -> None:
    # Items 0..2 have codes 0..2. The history, oldest first: 1 0 2 1 0.
    index = index_of([[2, 2], [1, 0, 2, 1, 0]], [0, 1, 2], 3)
    neighbours = torch.tensor([[1, 2], [0, 2], [1, 0]])
    rows, ends, codes = torch.tensor([1]), torch.tensor([5]), torch.tensor([[0]])

    def found(limit: int, threshold: int) -> list[int]:
        return index.search(rows, ends, codes, limit, neighbours, threshold)[0, 0].tolist()

    assert found(6, threshold=2) == [6, 3, PAD, PAD, PAD, PAD], "two own events are not fewer than two"
    assert found(6, threshold=3) == [6, 3, 5, 2, 4, PAD], "own, then the nearest code's, then the next one's"
    assert found(3, threshold=3) == [6, 3, 5]
    assert index.search(rows, ends, codes, 3)[0, 0].tolist() == [6, 3, PAD]


def test_events_at_or_after_the_end_are_never_found() -> None:
    index = index_of([[0, 0, 0]], [0], 1)
    for end in range(4):
        found = index.search(torch.tensor([0]), torch.tensor([end]), torch.tensor([[0]]), 5)[0, 0]
        assert found[found != PAD].tolist() == list(range(end - 1, -1, -1))


def test_without_events_nothing_is_found() -> None:
    index = index_of([[], []], [0, 1], 2)
    answer = index.search(torch.tensor([1]), torch.tensor([0]), torch.tensor([[0, 1]]), 3)
    assert answer.tolist() == [[[PAD] * 3] * 2]
    assert answer.dtype == torch.int64


def test_the_nearest_codes_are_the_most_similar_prototypes_without_the_code_itself() -> None:
    prototypes = np.array([[1, 0], [10, 1], [0, 1], [-1, 0.1]], dtype=np.float32)
    assert nearest_codes(prototypes, 2).tolist() == [[1, 2], [0, 2], [1, 3], [2, 1]]
    assert nearest_codes(prototypes, 9).shape == (4, 3), "a codebook has no more neighbours than other codes"
    assert nearest_codes(prototypes, 2).dtype == np.int64


def test_equally_near_codes_are_ordered_by_number() -> None:
    assert nearest_codes(np.ones((3, 2), dtype=np.float32), 2).tolist() == [[1, 2], [0, 2], [0, 1]]
