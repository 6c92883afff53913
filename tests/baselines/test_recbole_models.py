"""RecBole behind the adapter gives what RecBole alone gives, and leaves the process as it found it."""

import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from recbole_world import (
    N_ITEMS,
    N_USERS,
    SETTINGS,
    context_for,
    fitted,
    histories_before_the_test_target,
    item_table,
    needs_recbole,
    training_part,
    world,
)

from baselines.recbole import adapter
from baselines.recbole.adapter import load_recbole, make_config
from baselines.recbole.base import RecBoleModel
from baselines.recbole.models import (
    RecBoleBERT4Rec,
    RecBoleCaser,
    RecBoleFDSA,
    RecBoleGRU4Rec,
    RecBoleHGN,
    RecBoleLightSANs,
    RecBoleNARM,
    RecBoleSASRec,
    RecBoleSTAMP,
)
from bench.data.interactions import PAD, Histories
from bench.errors import SkippedRun
from bench.evaluation.evaluator import target_ranks
from bench.evaluation.rank_metrics import mrr, ndcg, recall
from bench.recommender import Recommender

ALL = [
    RecBoleGRU4Rec,
    RecBoleSASRec,
    RecBoleLightSANs,
    RecBoleBERT4Rec,
    RecBoleCaser,
    RecBoleHGN,
    RecBoleNARM,
    RecBoleSTAMP,
    RecBoleFDSA,
]
every_model = pytest.mark.parametrize("model", ALL)


@needs_recbole
@every_model
def test_defaults_are_those_of_the_installed_recbole(model: type[RecBoleModel]) -> None:
    """Read from RecBole's own files (properties/overall.yaml, properties/model/*.yaml, the documented run)."""
    spec = importlib.util.find_spec("recbole")
    assert spec is not None
    folder = Path(str(spec.origin)).parent / "properties"
    theirs = yaml.safe_load((folder / "overall.yaml").read_text())
    theirs |= yaml.safe_load((folder / "model" / f"{model.recbole_name}.yaml").read_text())
    theirs |= {"MAX_ITEM_LIST_LENGTH": 50}  # properties/dataset/ml-100k.yaml
    if model is RecBoleGRU4Rec:  # get_started/started/sequential.rst
        theirs |= {"epochs": 500, "train_batch_size": 4096}
    if model is RecBoleCaser:  # "such as 10", says the docstring of its caser.py
        theirs |= {"MAX_ITEM_LIST_LENGTH": 10}
    ours = model.Config().settings()
    assert len(ours) > 5
    for key, value in ours.items():
        expected = theirs[key]
        assert value == (float(expected) if isinstance(expected, str) and key == "reg_weight" else expected), key


def recboles_own_test_data(ours: RecBoleModel, folder: Path) -> tuple:
    """RecBole's own files, split and loaders for the same world, by its documented leave-one-out."""
    interactions = world()
    (folder / "benchmark").mkdir()
    events = pd.DataFrame(
        {
            "user_id:token": np.repeat(np.arange(N_USERS), interactions.lengths),
            "item_id:token": interactions.items,
            "timestamp:float": interactions.timestamps,
        }
    ).sample(frac=1, random_state=0)
    events.to_csv(folder / "benchmark" / "benchmark.inter", sep="\t", index=False)
    features = ours.item_features(item_table())
    words = {f"{field}:token_seq": column for field, column in features.items()}
    items = pd.DataFrame({"item_id:token": np.arange(N_ITEMS), **words})
    items.to_csv(folder / "benchmark" / "benchmark.item", sep="\t", index=False)
    settings = ours.config.settings() | {
        "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
        "metrics": ["Recall", "MRR", "NDCG"],
        "topk": 10,
        "metric_decimal_place": 12,
        **({"selected_features": list(features)} if features else {}),
    }
    settings = make_config(ours.recbole_name, settings, folder=folder, features=list(features))
    from recbole.data import create_dataset, data_preparation

    dataset = create_dataset(settings)
    _, _, test_data = data_preparation(settings, dataset)
    return settings, dataset, test_data


def carried_over(ours: RecBoleModel, dataset: object) -> dict[str, torch.Tensor]:
    """Our weights with items and users numbered as another dataset of RecBole numbers them.

    What follows the items in a table, like the hidden event of BERT4Rec, keeps its place.
    """
    rows = {}
    for field, ids in (("item_id", ours.data.item_ids), ("user_id", ours.data.user_ids)):
        tokens = dataset.field2id_token[field][1:].astype(int)
        rows[field] = torch.from_numpy(np.concatenate([[0], ids[tokens]]))
    state = {name: value.clone() for name, value in ours.network.state_dict().items()}
    for name, value in state.items():
        if name.startswith(("item_embedding", "output_bias", "user_embedding")):
            order = rows["user_id" if name.startswith("user") else "item_id"]
            state[name] = torch.cat([value[order], value[len(order) :]])
    return state


@needs_recbole
@every_model
def test_rankings_and_metrics_equal_recboles_own_evaluation(model: type[RecBoleModel], tmp_path: Path) -> None:
    ours = fitted(model, tmp_path)
    settings, dataset, test_data = recboles_own_test_data(ours, tmp_path)
    tokens = dataset.field2id_token["item_id"][1:].astype(int)
    theirs = load_recbole().models[model.recbole_name](settings, dataset)
    theirs.load_state_dict(carried_over(ours, dataset))

    answer = ours.recommend(histories_before_the_test_target(world()), k=N_ITEMS)
    theirs.eval()
    asked = []
    for batch, _, _, _ in test_data:
        with torch.no_grad():
            scores = theirs.full_sort_predict(batch)[:, 1:].numpy()
        users = dataset.field2id_token["user_id"][batch["user_id"].numpy()].astype(int)
        for user, row in zip(users, scores, strict=True):
            asked.append(user)
            expected = np.empty(N_ITEMS, dtype=np.float32)
            expected[tokens] = row
            of_our_list = expected[answer.items[user]]
            np.testing.assert_allclose(of_our_list, np.sort(row)[::-1], rtol=0, atol=1e-6)  # equal but for ties
            np.testing.assert_allclose(answer.scores[user], of_our_list, rtol=0, atol=1e-6)
            assert sorted(answer.items[user]) == list(range(N_ITEMS))
            assert np.ptp(row) > 1e-3, "scores that hardly differ would prove little"
    assert sorted(asked) == list(range(N_USERS))

    trainer = load_recbole().Trainer(settings, theirs)
    expected = trainer.evaluate(test_data, load_best_model=False)
    interactions = world()
    ranks = target_ranks(answer.items[:, :10], interactions.items[interactions.offsets[1:] - 1])
    assert 0 < (ranks > 0).sum() < N_USERS, "a world of only hits or only misses would prove little"
    for name, metric in (("recall@10", recall), ("ndcg@10", ndcg), ("mrr@10", mrr)):
        assert metric(ranks, 10).mean() == pytest.approx(expected[name], abs=1e-9)


@needs_recbole
def test_a_batch_in_which_no_event_is_hidden_teaches_nothing(tmp_path: Path) -> None:
    recommender = fitted(RecBoleBERT4Rec, tmp_path, mask_ratio=0.2, ft_ratio=0)
    network = recommender.network
    batch = {
        network.MASK_ITEM_SEQ: torch.tensor([[3, 4, 0, 0, 0, 0]]),
        network.POS_ITEMS: torch.tensor([[0]]),
        network.NEG_ITEMS: torch.tensor([[0]]),
        network.MASK_INDEX: torch.tensor([[0]]),
    }
    assert recommender.loss(batch) == 0
    network.zero_grad()
    recommender.loss(batch).backward()
    assert network.output_bias.grad.abs().sum() == 0
    batch |= {network.POS_ITEMS: torch.tensor([[4]]), network.MASK_INDEX: torch.tensor([[1]])}
    assert recommender.loss(batch) == network.calculate_loss(batch) > 0


def test_a_bert4rec_that_would_never_hide_an_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no event would ever be hidden"):
        RecBoleBERT4Rec({"max_item_list_length": 4})


@needs_recbole
def test_recboles_trainer_stops_by_our_validation_and_keeps_the_best_weights(tmp_path: Path) -> None:
    script = [0.1, 0.3, 0.2, 0.2, 0.2, 0.9]
    seen: list[torch.Tensor] = []

    def validate(recommender: Recommender) -> float:
        assert isinstance(recommender, RecBoleModel)
        assert not recommender.network.training
        seen.append(recommender.network.dense.weight.clone())
        return script[len(seen) - 1]

    recommender = RecBoleGRU4Rec({**SETTINGS, "epochs": 6, "stopping_step": 2})
    context = context_for(tmp_path, validate)
    recommender.fit(training_part(world()), context)
    assert [point.validation for point in context.curve] == script[:5], "RecBole forgives stopping_step validations"
    assert [point.epoch for point in context.curve] == [1, 2, 3, 4, 5]
    assert all(point.loss > 0 for point in context.curve)
    assert torch.equal(recommender.network.dense.weight, seen[1])


@needs_recbole
@pytest.mark.parametrize("model", [RecBoleGRU4Rec, RecBoleBERT4Rec])
def test_same_seed_same_weights_and_no_trace_in_the_process(
    model: type[RecBoleModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--epochs=1", "--device=cuda"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    before = torch.random.get_rng_state(), random.getstate()
    first = fitted(model, tmp_path / "cache")
    torch.rand(3), random.random()
    second = fitted(model, tmp_path / "cache")
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])
    torch.random.set_rng_state(before[0])
    random.setstate(before[1])
    fitted(model, tmp_path / "cache")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert sys.argv == ["bench", "run", "--epochs=1", "--device=cuda"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert list(tmp_path.iterdir()) == []
    assert not torch.is_anomaly_enabled(), "RecBole turns it on when it is imported, and every backward pass slows down"


@needs_recbole
@every_model
def test_seen_items_empty_histories_and_batches(model: type[RecBoleModel], tmp_path: Path) -> None:
    recommender = fitted(model, tmp_path)
    histories = Histories(
        items=np.array([3, 4, 3, 7], dtype=np.int32),
        timestamps=np.arange(4, dtype=np.int64),
        offsets=np.array([0, 0, 3, 4], dtype=np.int64),
        n_items=N_ITEMS,
        exclude_seen=True,
    )
    answer = recommender.recommend(histories, k=N_ITEMS)
    assert sorted(answer.items[0]) == list(range(N_ITEMS))
    assert set(answer.items[1][:-2]) == set(range(N_ITEMS)) - {3, 4}
    assert answer.items[1][-2:].tolist() == [PAD, PAD]
    for index in range(3):
        alone = recommender.recommend(histories.batch(index, index + 1), k=N_ITEMS)
        np.testing.assert_array_equal(alone.items[0], answer.items[index])


DOCUMENTED = {
    RecBoleGRU4Rec: {"train_batch_size": 4096, "epochs": 500},
    RecBoleCaser: {"MAX_ITEM_LIST_LENGTH": 10},
}
"""Where RecBole's documentation asks for something else than its defaults."""


@needs_recbole
@every_model
def test_defaults_are_recboles_own(model: type[RecBoleModel]) -> None:
    settings = model().config.settings()
    recbole = make_config(model.recbole_name, {})
    assert {name: recbole[name] for name in settings} | DOCUMENTED.get(model, {}) == settings


@pytest.fixture
def _import_recbole_anew() -> Iterator[None]:
    load_recbole.cache_clear()
    yield
    load_recbole.cache_clear()


@pytest.mark.usefixtures("_import_recbole_anew")
def test_without_recbole_the_run_is_skipped_and_told_how_to_add_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "recbole"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "recbole", None)
    with pytest.raises(SkippedRun, match=r"pip install --no-deps recbole==1\.2\.1"):
        fitted(RecBoleGRU4Rec, tmp_path)


@needs_recbole
@pytest.mark.usefixtures("_import_recbole_anew")
def test_a_pandas_too_new_for_recbole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter.pd, "__version__", "3.0.1")
    with pytest.raises(SkippedRun, match="needs pandas<3"):
        fitted(RecBoleSASRec, tmp_path)
