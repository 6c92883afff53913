"""What RecBole's models learn from: the examples of RecBole, the rules of the data, and words of the items."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recbole_world import (
    LONGEST,
    N_ITEMS,
    N_USERS,
    SETTINGS,
    context_for,
    fitted,
    item_table,
    needs_recbole,
    training_part,
    world,
)

from baselines.recbole.adapter import make_config, make_dataset, training_loader, write_atomic_files
from baselines.recbole.base import RecBoleModel
from baselines.recbole.models import RecBoleBERT4Rec, RecBoleCaser, RecBoleFDSA, RecBoleHGN, RecBoleSTAMP
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD
from bench.errors import BenchError, SkippedRun


def examples_of(train: TrainingData, folder: Path) -> list[tuple[int, tuple[int, ...], int]]:
    """RecBole's examples as user, history and target, in our numbers."""
    write_atomic_files(train.interactions, folder)
    config = make_config("GRU4Rec", {"MAX_ITEM_LIST_LENGTH": LONGEST, "train_batch_size": 1000}, folder=folder)
    data = make_dataset(config, train.interactions, train.history_ends())
    (batch,) = training_loader(config, data.dataset)
    item_of, user_of = np.full(N_ITEMS + 1, PAD), np.full(N_USERS + 1, PAD)
    item_of[data.item_ids[:-1]] = np.arange(N_ITEMS)
    user_of[data.user_ids[:-1]] = np.arange(N_USERS)
    columns = (batch[field].numpy() for field in ("user_id", "item_id_list", "item_length", "item_id"))
    return sorted(
        (int(user_of[user]), tuple(item_of[row[:length]].tolist()), int(item_of[target]))
        for user, row, length, target in zip(*columns, strict=True)
    )


@needs_recbole
def test_examples_are_recboles_prefixes_of_training_events_only(tmp_path: Path) -> None:
    train = training_part(world())
    expected = []
    for user in range(N_USERS):
        events = train.interactions.items[train.interactions.row(user)].tolist()
        expected += [(user, tuple(events[max(0, t - LONGEST) : t]), events[t]) for t in range(1, len(events))]
    assert examples_of(train, tmp_path) == sorted(expected)


@needs_recbole
@pytest.mark.parametrize(("baskets", "shipped"), [(True, False), (False, True), (True, True)])
def test_examples_honour_baskets_and_the_targets_of_a_shipped_split(
    baskets: bool, shipped: bool, tmp_path: Path
) -> None:
    whole = training_part(world())
    interactions = replace(whole.interactions, timestamps=whole.interactions.timestamps // 3)
    users = np.arange(N_USERS)
    targets = (users, interactions.lengths // 2) if shipped else None
    expected = []
    for user in users:
        events, times = (
            values[interactions.row(user)].tolist() for values in (interactions.items, interactions.timestamps)
        )
        for place in [len(events) // 2] if shipped else range(len(events)):
            end = times.index(times[place]) if baskets else place
            if end > 0:
                expected.append((user, tuple(events[max(0, end - LONGEST) : end]), events[place]))
    assert 0 < len(expected) < interactions.n_events - N_USERS
    train = replace(whole, interactions=interactions, baskets=baskets, targets=targets)
    assert examples_of(train, tmp_path) == sorted(expected)


@needs_recbole
@pytest.mark.parametrize("model", [RecBoleSTAMP, RecBoleCaser, RecBoleFDSA])
def test_baskets_change_what_is_learned(model: type[RecBoleModel], tmp_path: Path) -> None:
    whole = training_part(world())
    interactions = replace(whole.interactions, timestamps=whole.interactions.timestamps // 3)
    weights = []
    for baskets in (False, True):
        recommender = model(SETTINGS)
        recommender.fit(replace(whole, interactions=interactions, baskets=baskets), context_for(tmp_path))
        weights.append(recommender.network.item_embedding.weight)
    assert not torch.equal(*weights)


@needs_recbole
@pytest.mark.parametrize(
    ("model", "rule", "reason"),
    [
        (RecBoleBERT4Rec, "baskets", "BERT4Rec learns hidden events from both sides"),
        (RecBoleBERT4Rec, "targets", "BERT4Rec learns hidden events from both sides"),
        (RecBoleCaser, "targets", "Caser learns a vector of each user"),
        (RecBoleHGN, "targets", "HGN learns a vector of each user"),
    ],
)
def test_data_whose_targets_a_model_could_not_keep_to_are_refused(
    model: type[RecBoleModel], rule: str, reason: str, tmp_path: Path
) -> None:
    value = True if rule == "baskets" else (np.array([0]), np.array([2]))
    train = replace(training_part(world()), **{rule: value})
    with pytest.raises(SkippedRun, match=reason) as refusal:
        model(SETTINGS).fit(train, context_for(tmp_path))
    assert "\n" not in str(refusal.value)


@needs_recbole
def test_every_item_and_user_has_an_id_of_its_own_and_padding_stays_padding(tmp_path: Path) -> None:
    lengths = world().lengths
    lengths[4] = 0
    interactions = world().truncated(lengths)
    write_atomic_files(interactions, tmp_path)
    data = make_dataset(make_config("SASRec", {}, folder=tmp_path), interactions)
    assert sorted(data.item_ids[:-1]) == list(range(1, N_ITEMS + 1))
    assert sorted(np.delete(data.user_ids, 4)) == list(range(N_USERS))
    assert data.item_ids[PAD] == data.user_ids[PAD] == data.user_ids[4] == 0


@needs_recbole
def test_fdsa_reads_the_words_of_the_text_columns(tmp_path: Path) -> None:
    recommender = fitted(RecBoleFDSA, tmp_path, feature_words=3)
    features = recommender.network.feature_embed_layer.item_feat
    dataset = recommender.data.dataset

    def words(field: str, item: int) -> list[str]:
        row = features[field][recommender.data.item_ids[item]].tolist()
        return [dataset.field2id_token[field][word] for word in row if word]

    assert words("feature_0", 5) == ["the", "long", "long"]
    assert words("feature_1", 5) == ["sci", "fi", "comedy"]
    assert words("feature_0", 0) == []


def test_fdsa_falls_back_on_categories_and_refuses_items_of_which_nothing_is_known() -> None:
    nothing = pd.DataFrame(index=range(3))
    by_category = RecBoleFDSA().item_features(ItemTable(nothing, (), np.array([7, -1, 0], dtype=np.int32)))
    assert by_category == {"feature_0": ["7", "", "0"]}
    with pytest.raises(SkippedRun, match="neither text nor categories"):
        RecBoleFDSA().item_features(ItemTable(nothing, (), None))
    with pytest.raises(BenchError, match="so none is called 'genre'"):
        RecBoleFDSA({"features": ["genre"]}).item_features(ItemTable(nothing, (), None))
    with pytest.raises(BenchError, match="did you mean genres"):
        RecBoleFDSA({"features": ["genre"]}).item_features(item_table())
    (genres,) = RecBoleFDSA({"features": ["genres"]}).item_features(item_table()).values()
    assert genres[:2] == ["", "sci fi comedy"]
