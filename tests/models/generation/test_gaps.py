"""The time before each event as the generative models may read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import log_likelihood, long_term_of, randomise, trie_of

from baselines.dualgr import DualGR
from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions, untimed
from bench.errors import BenchError
from bench.recommender import FitContext
from models.generation.causal_network import CausalNetwork
from models.generation.config import GenerativeConfig
from models.generation.query_batch import QueryBatch
from models.generation.t5_network import T5GenerativeConfig
from models.glass.glass import Glass
from models.history.gaps import FIRST, gap_classes
from models.semantic_ids.semantic_ids import with_disambiguation

N_ITEMS = 12
SMALL: dict[str, Any] = {
    "short_term": 5,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0},
}
DAY = 86_400


def network(**config: Any) -> CausalNetwork:
    torch.manual_seed(0)
    codes = np.random.default_rng(3).integers(0, (4, 3), (N_ITEMS, 2))
    made = CausalNetwork(
        trie_of(with_disambiguation(codes, (4, 3))), GenerativeConfig.model_validate({**SMALL, **config})
    )
    return made.eval()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, 0),
        (3599, 0),
        (3600, 1),
        (DAY - 1, 1),
        (DAY, 2),
        (7 * DAY - 1, 2),
        (7 * DAY, 3),
        (30 * DAY - 1, 3),
        (30 * DAY, 4),
        (9999 * DAY, 4),
    ],
)
def test_a_class_begins_at_its_bound(seconds: int, expected: int) -> None:
    assert gap_classes(torch.tensor([[1000, 1000 + seconds]])).tolist() == [[FIRST, expected]]


@torch.no_grad()
def test_it_begins_as_the_network_without_them() -> None:
    plain, reading = network(), network(gaps=True)
    items = torch.tensor([[3, 7, 1, PAD, PAD]])
    gaps = gap_classes(torch.tensor([[0, 9, 99_999, 0, 0]]))
    torch.testing.assert_close(reading.encode(items, long_term_of([[]]), gaps), plain.encode(items, long_term_of([[]])))


@torch.no_grad()
def test_loss_and_generation_are_those_of_the_naive_network() -> None:
    reading = network(gaps=True)
    randomise(reading)
    recent, targets = [3, 7, 1], [7, 1, 9]
    times = torch.tensor([[0, 50, 2 * DAY, 0, 0]])
    classes = [FIRST, 0, 2]
    items, gaps = torch.tensor([[*recent, PAD, PAD]]), gap_classes(times)
    assert gaps[0, :3].tolist() == classes
    for place, target in enumerate(targets):
        expected = sum(log_likelihood(reading, recent[: place + 1], [], target, classes[: place + 1]))
        wanted = torch.full((1, 5), PAD)
        wanted[0, place] = target
        loss = reading.loss(items, wanted, long_term_of([[]]), gaps=gaps)
        assert -loss.item() == pytest.approx(expected, abs=1e-4)
    queries = QueryBatch(items, torch.tensor([3]), long_term_of([[]]), gaps=gaps)
    generated = reading.generate(queries, N_ITEMS)
    scores = dict(zip(generated.leaves[0].tolist(), generated.scores[0].tolist(), strict=True))
    for item in range(N_ITEMS):
        expected = sum(log_likelihood(reading, recent, [], item, classes))
        assert scores[int(reading.trie.leaf_of_item[item])] == pytest.approx(expected, abs=1e-4)


def waiting() -> TrainingData:
    """Users who take item 4 after an event that followed a long pause, item 5 after one that followed a short one.

    Nothing but the pause tells which of the two comes.
    """
    random = np.random.default_rng(0)
    items, times = [], []
    for _ in range(60):
        now = 0
        for _ in range(4):
            long = bool(random.integers(2))
            items += [int(random.integers(4)), int(random.integers(4)), 4 if long else 5]
            times += [now + DAY * 40, now + DAY * 40 + (DAY * 40 if long else 10), now + DAY * 80]
            now += DAY * 80
    offsets = np.arange(61) * 12
    interactions = Interactions(np.array(items, dtype=np.int32), np.array(times), offsets, 6)
    titles = pd.DataFrame({"title": [f"part{item}" for item in range(6)]})
    return TrainingData(interactions, ItemTable(titles, ("title",), None), False, "waiting")


CONFIG: dict[str, Any] = {
    **SMALL,
    "gaps": True,
    "beam": 10,
    "tokenizer": {
        "codebooks": [3, 3],
        "disambiguate": True,
        "features": {"text_dims": 4, "collaborative_dims": 4},
    },
    "training": {
        "epochs": 25,
        "learning_rate": 0.01,
        "warmup_steps": 0,
        "batch_events": 128,
        "average": 0,
        "validate_every": 25,
    },
}


@pytest.mark.parametrize("model", [Tiger, DualGR, Glass])
def test_what_only_the_pause_tells_is_learnt(model: type[Tiger | DualGR | Glass], tmp_path: Path) -> None:
    recommender = model(CONFIG)
    recommender.fit(waiting(), FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0))
    for pause, following in ((40 * DAY, 4), (10, 5)):
        histories = Histories(
            np.array([1, 2], dtype=np.int32), np.array([DAY, DAY + pause]), np.array([0, 2]), 6, exclude_seen=False
        )
        lists = recommender.recommend(histories, k=6).items[0].tolist()
        assert lists.index(following) < lists.index(9 - following)


def test_data_without_times_are_refused(tmp_path: Path) -> None:
    data = waiting()
    log = data.interactions
    without = TrainingData(
        Interactions(log.items, untimed(log.n_events), log.offsets, 6), data.item_table, False, "untimed"
    )
    with pytest.raises(BenchError, match="gaps: the events of these data have an order and no times"):
        Tiger(CONFIG).fit(without, FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0))


def test_the_t5_reads_no_times() -> None:
    with pytest.raises(ValueError, match="read the codes of events and no times"):
        T5GenerativeConfig.model_validate({"gaps": True})
