"""TIGER on the T5 backbone end to end; that the backbone is right is shown in `tests/models/generation/test_t5.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cycles_world import N_ITEMS, cycles

from baselines.tiger_t5 import TigerT5
from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext
from models.generation.t5_recommender import T5Recommender
from models.glass.official import GlassOfficial


def fitted(
    tmp_path: Path, model: type[T5Recommender] = TigerT5, epochs: int = 20, **config: Any
) -> tuple[T5Recommender, FitContext]:
    size = {"dim": 16, "heads": 2, "head_dim": 8, "feed_forward": 32, "encoder_layers": 1, "decoder_layers": 1}
    asked: dict[str, Any] = {
        "short_term": 4,
        "beam": 20,
        "vocabulary": 1,
        "network": size | {"dropout": 0},
        "tokenizer": {"codebooks": (3, 3, 3), "disambiguate": True},
        "batch_targets": 16,
        "targets_per_epoch": 1.0,
        "training": {
            "epochs": epochs,
            "warmup_steps": 0,
            "learning_rate": 0.01,
            "average": 0,
            "validate_every": epochs,
        },
    }
    context = FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0)
    recommender = model(asked | config)
    recommender.fit(cycles(), context)
    return recommender, context


def history(items: list[int]) -> Histories:
    offsets = np.array([0, len(items)])
    return Histories(np.array(items, dtype=np.int32), np.arange(len(items)), offsets, N_ITEMS, exclude_seen=False)


@pytest.mark.parametrize("model", [TigerT5, GlassOfficial])
@pytest.mark.parametrize("trie", [False, True])
def test_a_cycle_is_learnt(tmp_path: Path, model: type[T5Recommender], trie: bool) -> None:
    recommender, context = fitted(tmp_path, model, trie=trie)
    for recent, following in (([0, 1, 2], 3), ([7, 8], 0), ([3, 4, 5, 6, 7, 8], 0)):
        assert recommender.recommend(history(recent), k=3).items[0, 0] == following
    assert context.curve[-1].loss < 3, "the mean over all epochs; before training it is about 10"
    assert len(context.diagnostics["training_accuracy"][-1]) == 4


def test_disambiguation_gives_every_item_one_more_token(tmp_path: Path) -> None:
    three, _ = fitted(tmp_path, epochs=1, tokenizer={"codebooks": (3, 2, 2), "disambiguate": False})
    four, _ = fitted(tmp_path, epochs=1, tokenizer={"codebooks": (3, 2, 2), "disambiguate": True})
    assert three.network.tokens.shape == (N_ITEMS + 1, 3)
    assert four.network.tokens.shape == (N_ITEMS + 1, 4)
    np.testing.assert_array_equal(three.sid_of_item, four.sid_of_item)
    assert len(np.unique(four.network.tokens[:-1], axis=0)) == N_ITEMS
    assert four.network.encoder.bias.bucket.shape == (16, 16), "4 items of 4 tokens"


def test_it_reads_the_short_term_only(tmp_path: Path) -> None:
    recommender, _ = fitted(tmp_path, epochs=1)
    recent = [3, 1, 4, 1]
    answers = [recommender.recommend(history([*before, *recent]), k=N_ITEMS) for before in ([], [8, 8, 2])]
    np.testing.assert_array_equal(answers[0].items, answers[1].items)
    np.testing.assert_array_equal(answers[0].scores, answers[1].scores)
    later = recommender.recommend(history([3, 1, 4, 8]), k=N_ITEMS)
    assert not np.array_equal(answers[0].scores, later.scores)


def test_the_order_of_the_history_matters(tmp_path: Path) -> None:
    recommender, _ = fitted(tmp_path, epochs=1)
    forth, back = (recommender.recommend(history(recent), k=3).scores for recent in ([1, 2, 3], [3, 2, 1]))
    assert not np.allclose(forth, back)


def test_without_training_targets_the_reason_is_said(tmp_path: Path) -> None:
    lonely = Interactions(np.zeros(1, np.int32), np.zeros(1, np.int64), np.array([0, 1]), N_ITEMS)
    train = TrainingData(lonely, cycles().item_table, False, "lonely")
    recommender = TigerT5({"tokenizer": {"method": "random"}})
    with pytest.raises(ValueError, match="nothing to train on"):
        recommender.fit(train, FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0))
