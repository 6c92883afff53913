"""RecBole behind the adapter gives what RecBole alone gives, and leaves the process as it found it."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines import recbole_adapter
from baselines.recbole_adapter import load_recbole, make_config, make_dataset, training_loader, write_atomic_files
from baselines.recbole_models import RecBoleGRU4Rec, RecBoleModel, RecBoleSASRec
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.errors import SkippedRun
from bench.evaluation.evaluator import target_ranks
from bench.evaluation.metrics import mrr, ndcg, recall
from bench.recommender import FitContext, Recommender


def needs_recbole(test: Callable[..., None]) -> Callable[..., None]:
    missing = importlib.util.find_spec("recbole") is None
    return pytest.mark.recbole(pytest.mark.skipif(missing, reason="RecBole is not installed")(test))


both_models = pytest.mark.parametrize("model", [RecBoleGRU4Rec, RecBoleSASRec])

N_USERS, N_ITEMS, LONGEST = 14, 25, 6
SETTINGS = {"epochs": 2, "train_batch_size": 16, "max_item_list_length": LONGEST, "learning_rate": 0.05}


def world() -> Interactions:
    """Histories of 3 to 12 events, so that some are longer than the model reads; not every item occurs."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 13, N_USERS)
    items = rng.permutation(np.arange(lengths.sum()) % (N_ITEMS - 2)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)


def training_part(interactions: Interactions) -> TrainingData:
    table = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None)
    return TrainingData(interactions.truncated(interactions.lengths - 2), table, False, "")


def histories_before_the_test_target(interactions: Interactions, exclude_seen: bool = False) -> Histories:
    before = interactions.truncated(interactions.lengths - 1)
    return Histories(before.items, before.timestamps, before.offsets, N_ITEMS, exclude_seen)


def context_for(folder: Path, validate: Callable[[Recommender], float] = lambda _: 0.0) -> FitContext:
    return FitContext(seed=3, device="cpu", cache=ArtifactCache(folder), validate=validate)


def fitted(model: type[RecBoleModel], tmp_path: Path, **settings: object) -> RecBoleModel:
    recommender = model({**SETTINGS, **settings})
    recommender.fit(training_part(world()), context_for(tmp_path))
    return recommender


def recboles_own_test_data(model: type[RecBoleModel], config: RecBoleModel, folder: Path) -> tuple:
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
    items = pd.DataFrame({"item_id:token": np.arange(N_ITEMS)})
    items.to_csv(folder / "benchmark" / "benchmark.item", sep="\t", index=False)
    settings = config.config.settings() | {
        "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
        "metrics": ["Recall", "MRR", "NDCG"],
        "topk": 10,
        "metric_decimal_place": 12,
    }
    settings = make_config(model.recbole_name, settings, folder=folder)
    from recbole.data import create_dataset, data_preparation

    dataset = create_dataset(settings)
    _, _, test_data = data_preparation(settings, dataset)
    return settings, dataset, test_data


@needs_recbole
@both_models
def test_rankings_and_metrics_equal_recboles_own_evaluation(model: type[RecBoleModel], tmp_path: Path) -> None:
    ours = fitted(model, tmp_path)
    settings, dataset, test_data = recboles_own_test_data(model, ours, tmp_path)
    tokens = dataset.field2id_token["item_id"][1:].astype(int)
    theirs = load_recbole().models[model.recbole_name](settings, dataset)
    state = {name: value.clone() for name, value in ours.network.state_dict().items()}
    rows = state["item_embedding.weight"]
    state["item_embedding.weight"] = torch.cat([rows[:1], rows[ours.item_ids[tokens]]])
    theirs.load_state_dict(state)

    answer = ours.recommend(histories_before_the_test_target(world()), k=N_ITEMS)
    theirs.eval()
    order = {}
    for batch, _, _, _ in test_data:
        with torch.no_grad():
            scores = theirs.full_sort_predict(batch)[:, 1:].numpy()
        users = dataset.field2id_token["user_id"][batch["user_id"].numpy()].astype(int)
        for user, row in zip(users, scores, strict=True):
            order[user] = tokens[np.argsort(-row)]
    np.testing.assert_array_equal(answer.items, np.stack([order[user] for user in range(N_USERS)]))

    trainer = load_recbole().Trainer(settings, theirs)
    expected = trainer.evaluate(test_data, load_best_model=False)
    interactions = world()
    ranks = target_ranks(answer.items[:, :10], interactions.items[interactions.offsets[1:] - 1])
    assert 0 < (ranks > 0).sum() < N_USERS, "a world of only hits or only misses would prove little"
    for name, metric in (("recall@10", recall), ("ndcg@10", ndcg), ("mrr@10", mrr)):
        assert metric(ranks, 10).mean() == pytest.approx(expected[name], abs=1e-9)


@needs_recbole
def test_examples_are_recboles_prefixes_of_training_events_only(tmp_path: Path) -> None:
    train = training_part(world()).interactions
    write_atomic_files(train, tmp_path)
    config = make_config("GRU4Rec", {"MAX_ITEM_LIST_LENGTH": LONGEST, "train_batch_size": 1000}, folder=tmp_path)
    dataset, ids = make_dataset(config)
    (batch,) = training_loader(config, dataset)
    item_of = np.full(N_ITEMS + 1, PAD)
    item_of[ids[:-1]] = np.arange(N_ITEMS)
    found = {
        (tuple(item_of[row[:length]]), int(item_of[target]))
        for row, length, target in zip(
            batch["item_id_list"].numpy(), batch["item_length"].numpy(), batch["item_id"].numpy(), strict=True
        )
    }
    expected = set()
    for user in range(N_USERS):
        events = train.items[train.row(user)].tolist()
        expected |= {(tuple(events[max(0, t - LONGEST) : t]), events[t]) for t in range(1, len(events))}
    assert found == expected


@needs_recbole
def test_every_item_has_an_id_of_its_own_and_padding_stays_padding(tmp_path: Path) -> None:
    write_atomic_files(training_part(world()).interactions, tmp_path)
    _, ids = make_dataset(make_config("SASRec", {}, folder=tmp_path))
    assert sorted(ids[:-1]) == list(range(1, N_ITEMS + 1))
    assert ids[PAD] == 0


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
def test_same_seed_same_weights_and_no_trace_in_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--epochs=1", "--device=cuda"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    before = torch.random.get_rng_state()
    first = fitted(RecBoleGRU4Rec, tmp_path / "cache")
    torch.rand(3)
    second = fitted(RecBoleGRU4Rec, tmp_path / "cache")
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])
    torch.random.set_rng_state(before)
    fitted(RecBoleGRU4Rec, tmp_path / "cache")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert sys.argv == ["bench", "run", "--epochs=1", "--device=cuda"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert list(tmp_path.iterdir()) == []
    assert not torch.is_anomaly_enabled(), "RecBole turns it on when it is imported, and every backward pass slows down"


@needs_recbole
@both_models
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


@needs_recbole
@pytest.mark.parametrize(
    ("model", "documented"), [(RecBoleGRU4Rec, {"train_batch_size": 4096, "epochs": 500}), (RecBoleSASRec, {})]
)
def test_defaults_are_recboles_own(model: type[RecBoleModel], documented: dict[str, int]) -> None:
    settings = model().config.settings()
    recbole = make_config(model.recbole_name, {})
    assert {name: recbole[name] for name in settings} | documented == settings


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
    monkeypatch.setattr(recbole_adapter.pd, "__version__", "3.0.1")
    with pytest.raises(SkippedRun, match="needs pandas<3"):
        fitted(RecBoleSASRec, tmp_path)
