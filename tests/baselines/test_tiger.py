"""TIGER end to end; `tests/models/test_generative*.py` show that its likelihoods, beams and lists are right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cycles_world import N_ITEMS, cycles

from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext
from models.generation.recommender import GenerativeRecommender
from models.glass.glass import Glass


def fitted(tmp_path: Path, model: type[GenerativeRecommender], method: str) -> tuple[GenerativeRecommender, FitContext]:
    config: dict[str, Any] = {
        "short_term": 4,
        "beam": 5,
        "network": {"dim": 16, "heads": 2, "feed_forward": 32, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0},
        "tokenizer": {"method": method, "codebooks": (3, 2), "rq_vae": {"hidden": (8,), "latent": 4, "epochs": 20}},
        "training": {"epochs": 40, "batch_events": 24, "warmup_steps": 0, "learning_rate": 0.02, "average": 0.0},
    }
    context = FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0)
    recommender = model(config | {"training": config["training"] | {"validate_every": 40}})
    recommender.fit(cycles(), context)
    return recommender, context


@pytest.mark.parametrize("model", [Tiger, Glass])
@pytest.mark.parametrize("method", ["rq-kmeans", "rq-vae", "random"])
def test_a_cycle_is_learnt_over_semantic_ids_of_any_tokenizer(
    tmp_path: Path, model: type[GenerativeRecommender], method: str
) -> None:
    recommender, context = fitted(tmp_path, model, method)
    items = np.array([0, 1, 2, 7, 8, 3, 4, 5, 6, 7, 8], dtype=np.int32)
    histories = Histories(items, np.arange(11, dtype=np.int64), np.array([0, 3, 5, 11]), N_ITEMS, exclude_seen=False)
    answer = recommender.recommend(histories, k=1)
    assert answer.items[:, 0].tolist() == [3, 0, 0]
    assert answer.sids[:, 0].tolist() == recommender.sid_of_item[[3, 0, 0]].tolist()
    assert context.diagnostics["sid"]["tokenizer"] == method
    assert context.diagnostics["decoding"]["valid_share"] == 1.0


def test_tiger_reads_the_short_term_only(tmp_path: Path) -> None:
    recommender, _ = fitted(tmp_path, Tiger, "random")
    recent = [3, 1, 4, 1]
    answers = []
    for before in ([], [8, 8, 2]):
        items = np.array([*before, *recent], dtype=np.int32)
        offsets = np.array([0, len(items)])
        history = Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen=False)
        answers.append(recommender.recommend(history, k=N_ITEMS))
    np.testing.assert_array_equal(answers[0].items, answers[1].items)
    np.testing.assert_array_equal(answers[0].scores, answers[1].scores)


def test_no_part_of_the_network_knows_the_user(tmp_path: Path) -> None:
    """The hashed user token is omitted: tables exist for codes, start and begin tokens and distances only."""
    recommender, _ = fitted(tmp_path, Tiger, "random")
    outside_layers = {name for name, _ in recommender.network.named_parameters() if ".layers." not in name}
    assert {name for name in outside_layers if not name.startswith("embedding.tables.")} == {
        "encoder.start",
        "encoder.bias.table",
        "encoder.norm.weight",
        "decoder.begin",
        "decoder.bias.table",
        "decoder.norm.weight",
    }
    assert len([name for name in outside_layers if name.startswith("embedding.tables.")]) == 3


def test_its_window_may_hold_a_thousand_events(tmp_path: Path) -> None:
    """What a longer window reads, the scores depend on; nothing before it."""
    rng = np.random.default_rng(0)
    items = rng.integers(0, 12, 1300).astype(np.int32)
    interactions = Interactions(items, np.arange(1300), np.array([0, 1300]), 12)
    table = ItemTable(pd.DataFrame(index=range(12)), (), None)
    training = {"epochs": 1, "batch_events": 1000, "warmup_steps": 0}
    network = {"dim": 8, "heads": 2, "feed_forward": 8, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
    tokenizer = {"method": "random", "codebooks": (3, 4)}
    tiger = Tiger({"short_term": 1000, "network": network, "tokenizer": tokenizer, "training": training})
    tiger.fit(
        TrainingData(interactions, table, False, ""), FitContext(0, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)
    )

    def scores(changed: int) -> np.ndarray:
        events = items.copy()
        events[changed] = (events[changed] + 5) % 12
        histories = Histories(events, np.arange(1300), np.array([0, 1300]), 12, exclude_seen=False)
        return tiger.recommend(histories, 12).scores

    assert not np.array_equal(scores(300), scores(299)), "the first event of the window"
    assert np.array_equal(scores(299), scores(0)), "events before it"
