"""Answers given again from a recording, of a stand-in that runs the recorded function once more: no GPU is needed.

A real recording is compared with the function itself where there is a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.dualgr import DualGR
from baselines.gems import Gems
from baselines.tiger import Tiger
from baselines.tiger_t5 import TigerT5
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext
from models.generation.query_batch import QueryBatch
from models.generation.recommender import GenerativeRecommender
from models.generation.recorded_answers import Answer, RecordedAnswers, in_few_shapes
from models.glass.glass import Glass
from models.glass.official import GlassOfficial
from models.recordings import MOST_GRAPHS

N_ITEMS, SHORT_TERM = 12, 5
SEARCHES: dict[str, Any] = {"search": {"neighbours": 1, "threshold": 2}}
KINDS: dict[str, tuple[type[GenerativeRecommender[Any]], dict[str, Any]]] = {
    "tiger": (Tiger, {}),
    "glass": (Glass, SEARCHES),
    "glass, all options": (
        Glass,
        {
            "search": {"recent": True, "age_bias": True, "prefix_bias": True},
            "copying": True,
            "gaps": True,
            "horizon": 4,
        },
    ),
    "dualgr": (DualGR, {}),
    "gems": (Gems, {}),
    "tiger-t5": (TigerT5, {}),
    "glass-official": (GlassOfficial, SEARCHES),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def fitted(folder: Path, kind: str, device: str = "cpu") -> GenerativeRecommender[Any]:
    """A model trained for an epoch on random histories with times."""
    model, options = KINDS[kind]
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(6, 20, 14))]).astype(np.int64)
    items = rng.integers(0, N_ITEMS, offsets[-1]).astype(np.int32)
    times = np.cumsum(rng.integers(0, 90_000, len(items)))
    table = ItemTable(pd.DataFrame({"title": [f"word{item % 5}" for item in range(N_ITEMS)]}), ("title",), None)
    train = TrainingData(Interactions(items, times, offsets, N_ITEMS), table, False, "random")
    network = {"dim": 12, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
    if issubclass(model, (TigerT5, GlassOfficial)):
        network |= {"head_dim": 4}
    given: dict[str, Any] = {
        "short_term": SHORT_TERM,
        "beam": 4,
        "network": network,
        "tokenizer": {"method": "random", "codebooks": (3, 3)},
        "training": {"epochs": 1},
    }
    recommender = model(given | options)
    recommender.fit(train, FitContext(3, device, ArtifactCache(folder), lambda _: 0.0))
    return recommender


def histories(rows: Sequence[Sequence[int]], exclude_seen: bool = False) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64) * 5000, offsets, N_ITEMS, exclude_seen)


def random_histories(seed: int, lengths: Sequence[int], exclude_seen: bool = False) -> Histories:
    rng = np.random.default_rng(seed)
    return histories([rng.integers(0, N_ITEMS, length).tolist() for length in lengths], exclude_seen)


class RunAgain(RecordedAnswers):
    """A stand-in for a recording: it runs the recorded function again, and writes where that wrote before."""

    captures = 0

    def _captured(self, give: Callable[[], Answer]) -> tuple[Callable[[], None], Answer]:
        self.captures += 1
        answer = give()

        def replay() -> None:
            for own, new in zip(vars(answer).values(), vars(give()).values(), strict=True):
                own.copy_(new)

        for part in vars(answer).values():
            part.zero_()  # recording gives no answer
        return replay, answer


class Stream:
    def wait_stream(self, other: object) -> None: ...


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())


def asked(recommender: GenerativeRecommender[Any], queries: Histories) -> QueryBatch:
    return QueryBatch.of(queries, SHORT_TERM, "cpu")


def same(answer: Answer, expected: Answer) -> bool:
    return all(map(torch.equal, vars(answer).values(), vars(expected).values()))


@each_kind
@pytest.mark.parametrize("exclude_seen", [True, False], ids=["seen excluded", "seen kept"])
def test_a_recording_answers_other_queries_of_its_shape(
    no_gpu: None, tmp_path: Path, kind: str, exclude_seen: bool
) -> None:
    recommender, recorded = fitted(tmp_path, kind), RunAgain()
    with torch.inference_mode():
        for seed, lengths in enumerate([(0, 3, 30), (17, 5, 6), (1, 0, 0), (40, 40, 40), (8, 9, 0)]):
            queries = asked(recommender, random_histories(seed, lengths, exclude_seen))
            expected = recommender._answer(queries, 6)
            assert same(recorded.of(recommender._answer, queries, 6), expected)
    assert recorded.captures == 1, "the second time; and all of them are of one shape"


def test_a_shape_of_its_own_has_each_number_of_queries_and_length_of_list(no_gpu: None, tmp_path: Path) -> None:
    recommender, recorded = fitted(tmp_path, "glass"), RunAgain()
    with torch.inference_mode():
        for lengths, k in [((3, 9), 4), ((3, 9), 5), ((3, 9, 9), 4)] * 2:
            queries = asked(recommender, random_histories(0, lengths))
            assert same(recorded.of(recommender._answer, queries, k), recommender._answer(queries, k))
    assert recorded.captures == 3


def test_a_recording_follows_the_weights(no_gpu: None, tmp_path: Path) -> None:
    recommender, recorded = fitted(tmp_path, "glass"), RunAgain()
    queries = asked(recommender, random_histories(0, (20, 30)))
    with torch.inference_mode():
        first = [recorded.of(recommender._answer, queries, 6) for _ in range(3)][-1].scores.clone()
    with torch.no_grad():
        for weight in recommender.network.parameters():
            weight.mul_(1.5)
    with torch.inference_mode():
        answer = recorded.of(recommender._answer, queries, 6)
        assert same(answer, recommender._answer(queries, 6))
    assert not torch.equal(answer.scores, first)


def test_no_more_graphs_are_kept_than_that(no_gpu: None, tmp_path: Path) -> None:
    recommender, recorded = fitted(tmp_path, "tiger"), RunAgain()
    queries = asked(recommender, random_histories(0, (4,)))
    with torch.inference_mode():
        for k in range(1, MOST_GRAPHS + 4):
            for _ in range(2):
                recorded.of(lambda queries, k: recommender._answer(queries, 3), queries, k)
    assert recorded.captures == MOST_GRAPHS


@each_kind
def test_filled_up_histories_are_answered_alike(tmp_path: Path, kind: str) -> None:
    recommender = fitted(tmp_path, kind)

    @settings(deadline=None, max_examples=15)
    @given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 2**31))
    def check(lengths: list[int], seed: int) -> None:
        queries = asked(recommender, random_histories(seed, lengths))
        with torch.inference_mode():
            filled = in_few_shapes(queries)
            assert len(filled.long_term.events.items) % 4096 == 0
            assert same(recommender._answer(filled, 6), recommender._answer(queries, 6))

    check()


@settings(deadline=None)
@given(st.integers(0, 300_000), st.integers(1, 5))
def test_few_sizes_hold_all_histories_with_an_eighth_to_spare(n_events: int, n_queries: int) -> None:
    offsets = np.linspace(0, n_events, n_queries + 1).astype(np.int64)
    queries = Histories(
        np.zeros(n_events, np.int32), np.zeros(n_events, np.int64), offsets, N_ITEMS, exclude_seen=False
    )
    events = in_few_shapes(QueryBatch.of(queries, SHORT_TERM, "cpu")).long_term.events
    size, longest = len(events.items), int(np.diff(offsets).max())
    assert n_events <= size < n_events + max(4096, n_events / 8 + 1)
    assert events.offsets.tolist() == [*offsets.tolist(), size]
    assert longest <= events.longest <= max(1023, 2 * longest)


def test_how_many_events_lie_before_is_known_without_the_device() -> None:
    queries = QueryBatch.of(random_histories(0, (0, 3, SHORT_TERM, SHORT_TERM + 1, 30)), SHORT_TERM, "cpu")
    assert queries.long_term.n_events == int(queries.long_term.ends.sum()) == 1 + 25


def test_recordings_stay_with_their_process(no_gpu: None, tmp_path: Path) -> None:
    recommender, recorded = fitted(tmp_path, "tiger"), RunAgain()
    queries = asked(recommender, random_histories(0, (9,)))
    with torch.inference_mode():
        for _ in range(2):
            recorded.of(recommender._answer, queries, 3)
    assert recorded.__getstate__() == {}
    recorded.__setstate__({})
    with torch.inference_mode():
        assert same(recorded.of(recommender._answer, queries, 3), recommender._answer(queries, 3))
    assert recorded.captures == 1, "it begins to count anew"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="recordings are a GPU's")
@each_kind
def test_a_graph_answers_as_the_function_does(tmp_path: Path, kind: str) -> None:
    recommender = fitted(tmp_path, kind, "cuda")
    for seed in range(4):
        queries = random_histories(seed, (0, 3, 30))
        answer = recommender.recommend(queries, 6)
        with torch.inference_mode():
            expected = recommender._answer(QueryBatch.of(queries, SHORT_TERM, "cuda"), 6).on_host()
        np.testing.assert_array_equal(answer.items, expected.items.numpy())
        np.testing.assert_allclose(answer.scores, expected.scores.numpy(), rtol=1e-4)
