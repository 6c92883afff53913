"""SIM against a walk over each user's own history, one candidate at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_sim import (
    CATEGORY,
    LIMIT,
    N_ITEMS,
    ROWS,
    SHORT_TERM,
    SMALL,
    TIMES,
    events_of,
    everyone,
    naive_score,
    naive_search,
    network,
)
from torch import Tensor

from baselines.sim import events
from baselines.sim import model as sim
from baselines.sim.events import Moments
from baselines.sim.model import SIM, SIMSoft
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.errors import BenchError
from bench.recommender import FitContext
from bench.registry import model_class
from models.training.sampled_targets import Targets

both_searches = pytest.mark.parametrize("search", ["hard", "soft"])


@pytest.mark.parametrize("decoupled", [False, True])
@both_searches
@torch.no_grad()
def test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates(search: str, decoupled: bool) -> None:
    ours = network(search, decoupled=decoupled)
    # Without repeats in the long term the soft search has no ties to break.
    rows = [0, 1, 3] if search == "soft" else [0, 1, 2, 3]
    moments = Moments(everyone().events, torch.tensor(rows), torch.tensor([len(ROWS[row]) for row in rows]))
    candidates = torch.tensor([[5, 0, 11, 3, 8, 1, 2, 10, 4, 9, 7, 6, 5, 11, 9, 0]])  # enough to share their searches
    assert ours._few_categories(candidates[0]) is not None
    expected = [[naive_score(ours, ROWS[row], TIMES[row], c) for c in candidates[0].tolist()] for row in rows]
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(ours(moments, candidates).numpy(), expected, atol=1e-4)
    own = candidates.expand(len(rows), -1)
    np.testing.assert_allclose(ours(moments, own).numpy(), expected, atol=1e-4)


@both_searches
@torch.no_grad()
def test_each_user_may_have_candidates_of_their_own(search: str) -> None:
    ours = network(search)
    moments = everyone()
    every = ours(moments, torch.arange(N_ITEMS).unsqueeze(0))
    chosen = torch.tensor([[0, 5], [3, 3], [9, 1], [11, 2]])
    torch.testing.assert_close(ours(moments, chosen), every.gather(1, chosen), rtol=1e-4, atol=1e-5)


@both_searches
@torch.no_grad()
def test_few_shared_candidates_score_as_they_do_among_all(search: str) -> None:
    ours = network(search)
    moments = everyone()
    every = ours(moments, torch.arange(N_ITEMS).repeat(2).unsqueeze(0))
    few = torch.tensor([[7, 0, 4]])
    assert ours._few_categories(few[0]) is None
    torch.testing.assert_close(ours(moments, few), every[:, few[0]], rtol=1e-4, atol=1e-5)


def random_world(seed: int) -> tuple[Moments, list[list[int]]]:
    rng = np.random.default_rng(seed)
    whole = [rng.permutation(N_ITEMS)[: int(rng.integers(0, N_ITEMS + 1))].tolist() for _ in range(4)]
    times = [np.sort(rng.integers(0, 10**6, len(row))).tolist() for row in whole]
    rows = rng.integers(0, 4, 6)
    ends = [int(rng.integers(0, len(whole[row]) + 1)) for row in rows]
    moments = Moments(events_of(whole, times), torch.from_numpy(rows), torch.tensor(ends))
    return moments, [whole[row][:end] for row, end in zip(rows, ends, strict=True)]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31))
@torch.no_grad()
def test_hard_search_keeps_long_term_events_of_the_candidates_category_only(seed: int) -> None:
    ours = network("hard")
    moments, rows = random_world(seed)
    candidates = torch.arange(N_ITEMS).unsqueeze(0)
    place = moments.of_categories(ours.category[candidates], LIMIT, SHORT_TERM)
    for query, row in enumerate(rows):
        first = int(moments.events.offsets[moments.rows[query]])
        for candidate in range(N_ITEMS):
            found = [p - first for p in place[query, candidate].tolist() if p != PAD]
            assert sorted(found) == naive_search(ours, row, candidate)
            assert {CATEGORY[row[p]] for p in found} <= {CATEGORY[candidate]}
            assert all(p < len(row) - SHORT_TERM for p in found)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31))
@torch.no_grad()
def test_soft_search_keeps_the_largest_inner_products(seed: int) -> None:
    ours = network("soft")
    moments, rows = random_world(seed)
    memory = ours.read(moments)
    assert sorted(user for part in memory.long for user in part.users.tolist()) == list(range(len(rows)))
    for part in memory.long:
        kept = ours.soft_search(part, ours.tables().read[None], ours.tables().read)
        for query, masks in zip(part.users.tolist(), kept, strict=True):
            newest = len(rows[query]) - SHORT_TERM - 1
            for candidate, mask in enumerate(masks):
                found = [newest - column for column in mask.nonzero()[:, 0].tolist()]
                assert sorted(found) == sorted(naive_search(ours, rows[query], candidate))


@torch.no_grad()
def test_repeated_items_are_kept_alike_whatever_the_batch() -> None:
    """Events of one item tie in the soft search; which of them are kept must not depend on the other users."""
    ours = network("soft")
    row = [2, 0, 1, 0, 2, 1, 0, 0, 1, 2, 1, 0, 2, 1, 0]
    times = [10**place for place in range(len(row))]
    candidates = torch.arange(N_ITEMS).unsqueeze(0)
    alone = Moments(events_of([row], [times]), torch.tensor([0]), torch.tensor([len(row)]))
    others = [[4] * n for n in (20, 33, 47, 70, 200)]
    for other in others:
        both = events_of([row, other], [times, list(range(len(other)))])
        beside = Moments(both, torch.tensor([0, 1]), torch.tensor([len(row), len(other)]))
        torch.testing.assert_close(ours(beside, candidates)[0], ours(alone, candidates)[0], rtol=1e-4, atol=1e-4)


@both_searches
@torch.no_grad()
def test_no_event_at_or_after_the_target_is_read(search: str) -> None:
    ours = network(search)
    ends = [0, 1, 7, 6]
    candidates = torch.arange(N_ITEMS).unsqueeze(0)
    before = ours(everyone(ends), candidates)
    rows = [row[:end] + [(item + 5) % N_ITEMS for item in row[end:]] for row, end in zip(ROWS, ends, strict=True)]
    times = [row[:end] + [second + 999 for second in row[end:]] for row, end in zip(TIMES, ends, strict=True)]
    changed = Moments(events_of(rows, times), torch.arange(4), torch.tensor(ends))
    assert torch.equal(ours(changed, candidates), before)
    cut = Moments(
        events_of(*([row[:end] for row, end in zip(part, ends, strict=True)] for part in (ROWS, TIMES))),
        torch.arange(4),
        torch.tensor(ends),
    )
    torch.testing.assert_close(ours(cut, candidates), before)
    for end in (5, 6):  # the last short-term event, and the newest of the long term
        rows = [list(row) for row in ROWS]
        rows[3][end - SHORT_TERM if end == 5 else end - 1] = 11
        earlier = Moments(events_of(rows, TIMES), torch.arange(4), torch.tensor(ends))
        assert not torch.equal(ours(earlier, candidates)[3], before[3])


@both_searches
@torch.no_grad()
def test_an_empty_history_reads_nothing(search: str) -> None:
    ours = network(search)
    candidates = torch.arange(N_ITEMS).unsqueeze(0)
    alone = Moments(events_of([[]], [[]]), torch.tensor([0]), torch.tensor([0]))
    expected = [naive_score(ours, [], [], candidate) for candidate in range(N_ITEMS)]
    np.testing.assert_allclose(ours(alone, candidates)[0].numpy(), expected, atol=1e-5)


def test_recent_events_come_most_recent_first_and_now_is_the_last_one() -> None:
    moments = everyone()
    assert moments.recent(3).tolist() == [[PAD] * 3, [1, 0, PAD], [13, 12, 11], [24, 23, 22]]
    assert moments.now().tolist() == [0, 10, 90_000, 10**9]
    assert everyone([0, 1, 4, 0]).now().tolist() == [0, 10, 9, 0]


def test_gaps_fall_into_buckets_by_hand() -> None:
    found = everyone().retrieved(torch.tensor([[PAD, PAD], [0, PAD], [PAD, 2], [14, 2]]))
    assert found.slots.tolist() == [[0, 0], [1, 0], [0, 2], [3, 4]], "each event once, in order; 0 is an empty place"
    assert found.items.tolist() == [4, 1, 0, 1]
    assert found.time_gaps[:3].tolist() == [0, 16, 29], "0 s, 90,000 s (2^16 to 2^17), 10^9 s (2^29 to 2^30)"
    assert found.order_gaps[:3].tolist() == [4, 14, 13], "1, 11 and 10 events: floor(4 log2(2, 12, 11))"
    assert events._log_bucket(torch.tensor([-5, 0, 1, 3, 2**40]), 1, 32).tolist() == [0, 0, 1, 2, 31]


def test_recent_events_may_skip_the_most_recent_ones() -> None:
    assert everyone().recent(2, skipped=3).tolist() == [[PAD] * 2, [PAD] * 2, [10, 9], [21, 20]]
    assert everyone([0, 1, 4, 0]).recent(2, skipped=3).tolist() == [[PAD] * 2, [PAD] * 2, [2, PAD], [PAD] * 2]


def training_data(category: list[int] | None = None) -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = np.array([9, 0, 1, 20, 6])
    items = rng.integers(0, N_ITEMS, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, 60 * np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    table = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), category and np.array(category, dtype=np.int32))
    return TrainingData(interactions, table, False, "")


def context(tmp_path: Path) -> FitContext:
    return FitContext(5, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0)


def test_the_loss_is_a_softmax_over_the_target_and_uniform_negatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(sim, "fit_network", lambda *args: handed.extend(args))
    train = training_data(CATEGORY)
    model = SIM(SMALL | {"dropout": 0.0, "negatives": 20})
    model.fit(train, context(tmp_path))
    loss: Callable[[tuple[Tensor, Tensor]], Tensor] = handed[3]
    negatives = torch.randint(N_ITEMS, (20,), generator=torch.Generator().manual_seed(5)).tolist()
    pairs = [(0, 1), (0, 8), (3, 4), (3, 19), (4, 5)]
    expected = []
    for row, end in pairs:
        start = int(train.interactions.offsets[row])
        history = slice(start, start + end)
        moments = Moments(model._events(train.interactions), torch.tensor([row]), torch.tensor([end]))
        scores = model.network(moments, torch.arange(N_ITEMS).unsqueeze(0))[0].tolist()
        target = int(train.interactions.items[history.stop])
        others = [negative for negative in negatives if negative != target]
        total = sum(np.exp(scores[item]) for item in [target, *others])
        expected.append(np.log(total) - scores[target])
    rows, ends = (torch.tensor(part) for part in zip(*pairs, strict=True))
    assert loss(Targets(rows, positions=ends, ends=ends)).item() == pytest.approx(np.mean(expected), abs=1e-5)
    assert any(int(train.interactions.items[train.interactions.offsets[r] + e]) in negatives for r, e in pairs)


def test_an_unknown_category_is_a_category_of_its_own(tmp_path: Path) -> None:
    model = SIM(SMALL | {"training": {"epochs": 1}})
    model.fit(training_data([-1, 0, 1, -1] * 3), context(tmp_path))
    assert model.network.category.tolist() == [0, 1, 2, 0] * 3
    without = SIM(SMALL | {"training": {"epochs": 1}})
    without.fit(training_data(None), context(tmp_path))
    assert without.network.category.tolist() == [0] * N_ITEMS


def histories(exclude_seen: bool = False) -> Histories:
    rows = [*ROWS, *[[int(item)] for item in np.random.default_rng(1).integers(0, N_ITEMS, 40)]]
    times = [*TIMES, *[[5]] * 40]
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    seconds = np.array([second for row in times for second in row], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, seconds, offsets, N_ITEMS, exclude_seen)


@both_searches
def test_lists_rank_the_whole_catalogue_whatever_the_batch(tmp_path: Path, search: str) -> None:
    model = SIM(SMALL | {"search": search, "training": {"epochs": 2}})
    model.fit(training_data(CATEGORY), context(tmp_path))
    asked = histories()
    together = model.recommend(asked, k=N_ITEMS)
    for query in (0, 1, 2, 3, 43):
        alone = model.recommend(asked.batch(query, query + 1), k=N_ITEMS)
        np.testing.assert_array_equal(alone.items[0], together.items[query])
        np.testing.assert_allclose(alone.scores[0], together.scores[query], atol=1e-5)
        assert sorted(together.items[query].tolist()) == list(range(N_ITEMS))
    excluded = model.recommend(histories(exclude_seen=True), k=N_ITEMS)
    assert not set(excluded.items[3].tolist()) & set(ROWS[3])
    assert model.parameter_count() == sum(p.numel() for p in model.network.parameters())


@both_searches
def test_lists_are_the_same_however_many_users_are_scored_at_a_time(
    tmp_path: Path, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SIM(SMALL | {"search": search, "training": {"epochs": 1}})
    model.fit(training_data(CATEGORY), context(tmp_path))
    together = model.recommend(histories(), k=N_ITEMS)
    read: list[int] = []
    model.network.short.register_forward_hook(lambda *part: read.append(len(part[-1])))
    for numbers, users in ((3 * 40 * N_ITEMS, 3), (1, 1)):  # 40 numbers a user and candidate: 5 features of width 8
        monkeypatch.setattr(sim, "ANSWERED_NUMBERS", {"cpu": numbers})
        apart = model.recommend(histories(), k=N_ITEMS)
        assert set(read) <= {users, 44 % users}
        read.clear()
        np.testing.assert_array_equal(apart.items, together.items)
        np.testing.assert_allclose(apart.scores, together.scores, atol=1e-5)


FIRST_STAGES: dict[str, dict[str, Any]] = {
    "popularity": {},
    "sasrec-ce": {"dim": 8, "length": 4, "training": {"epochs": 2, "validate_every": 1}},
}


@pytest.mark.parametrize("first_stage", FIRST_STAGES)
def test_a_first_stage_chooses_what_is_ranked(tmp_path: Path, first_stage: str) -> None:
    train, asked = training_data(CATEGORY), histories()
    config = SMALL | {"training": {"epochs": 2}}
    everything = SIM(config)
    everything.fit(train, context(tmp_path))
    first = model_class(first_stage)(FIRST_STAGES[first_stage])
    first.fit(train, context(tmp_path))
    seen = context(tmp_path)
    two_stage = {"first_stage": first_stage, "first_stage_config": FIRST_STAGES[first_stage], "candidates": 5}
    model = SIM(config | two_stage)
    model.fit(train, seen)

    answer, all_items = model.recommend(asked, k=7), everything.recommend(asked, k=N_ITEMS)
    candidates = first.recommend(asked, k=5).items
    for row, chosen, ranked in zip(answer.items, candidates, all_items.items, strict=True):
        assert row.tolist() == [item for item in ranked if item in set(chosen)] + [PAD, PAD]
    assert np.isneginf(answer.scores[:, 5:]).all()
    assert (np.diff(answer.scores[:, :5]) <= 0).all()

    assert [point.epoch for point in seen.curve] == [2], "of the ranking network alone"
    assert seen.diagnostics["first_stage"]["model"] == first_stage
    assert seen.diagnostics["first_stage"]["candidates"] == 5
    assert seen.diagnostics["first_stage"]["parameters"] == first.parameter_count()
    assert model.parameter_count() == first.parameter_count() + everything.parameter_count()


def test_candidates_of_a_first_stage_leave_seen_items_out_and_may_be_fewer_than_asked_for(tmp_path: Path) -> None:
    model = SIM(SMALL | {"first_stage": "popularity", "candidates": 10, "training": {"epochs": 1}})
    model.fit(training_data(CATEGORY), context(tmp_path))
    answer = model.recommend(histories(exclude_seen=True), k=N_ITEMS)
    row = answer.items[3]  # has seen 11 of the 12 items
    assert row[0] == 11
    assert set(row[1:].tolist()) == {PAD}


def test_an_unknown_first_stage_is_an_error_before_anything_is_trained() -> None:
    with pytest.raises(BenchError, match="unknown model 'sasrec': did you mean esasrec or gsasrec or sasrec-ce"):
        SIM({"first_stage": "sasrec"})


def test_soft_search_by_name_is_the_plain_model_with_that_search(tmp_path: Path) -> None:
    scores = []
    for model in (
        SIMSoft(SMALL | {"training": {"epochs": 1}}),
        SIM(SMALL | {"search": "soft", "training": {"epochs": 1}}),
    ):
        model.fit(training_data(CATEGORY), context(tmp_path))
        scores.append(model.recommend(histories(), k=N_ITEMS).scores)
    np.testing.assert_array_equal(*scores)
    assert SIM({}).config.search == "hard"


def test_it_learns_from_the_long_term_what_the_short_term_hides(tmp_path: Path) -> None:
    """The next item always follows the user's own oldest item; the three events between are noise."""
    rng = np.random.default_rng(0)
    rows = [[first, *rng.integers(6, N_ITEMS, 3), (first + 1) % 6] for first in range(6) for _ in range(10)]
    items = np.array(rows, dtype=np.int32).reshape(-1)
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * 5
    interactions = Interactions(items, 60 * np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    category = np.array([0] * 6 + [1] * 6, dtype=np.int32)
    train = TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), category), False, "")
    training = {"epochs": 25, "learning_rate": 0.02, "validate_every": 25, "warmup_steps": 0, "average": 0.0}
    config = {"dropout": 0.0, "targets_per_epoch": 1.0, "batch_targets": 64, "dim": 16, "hidden": 32}
    model = SIM(SMALL | config | {"training": training})
    model.fit(train, context(tmp_path))
    asked = np.array([[first, 7, 9, 11] for first in range(6)], dtype=np.int32).reshape(-1)
    answer = model.recommend(
        Histories(asked, 60 * np.arange(24, dtype=np.int64), np.arange(0, 25, 4), N_ITEMS, exclude_seen=False), k=1
    )
    assert answer.items[:, 0].tolist() == [1, 2, 3, 4, 5, 0]
