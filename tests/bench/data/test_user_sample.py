"""Samples of users: which they are, what stays of a data set, and that a sample is another data set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main as cli
from bench.data import catalog
from bench.data.dataset import Dataset, ItemTable, ShippedSplit
from bench.data.filters import UserSample
from bench.data.fingerprint import with_hash
from bench.data.interactions import Interactions
from bench.data.protocols import split
from bench.data.user_sample import sampled
from bench.spec import DatasetSpec, RunSpec

N_USERS, N_ITEMS = 20, 40


def whole(shipped: bool = False) -> Dataset:
    """Each user has a length and items of its own; item i is named "i<i>" in every part."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(4, 9, N_USERS)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    n_events = int(offsets[-1])
    division = ShippedSplit(
        train_ends=lengths - 2,
        validation_rows=np.arange(N_USERS),
        validation_ends=lengths - 2,
        validation_targets=rng.integers(0, N_ITEMS, N_USERS).astype(np.int32),
        test_rows=np.arange(N_USERS),
        test_ends=lengths - 1,
        test_targets=rng.integers(0, N_ITEMS, N_USERS).astype(np.int32),
        train_rows=np.repeat(np.arange(N_USERS), 2),
        train_positions=np.tile([1, 2], N_USERS),
    )
    names = np.array([f"i{i}" for i in range(N_ITEMS)])
    embeddings = np.arange(N_ITEMS, dtype=np.float32)[:, None]
    table = ItemTable(pd.DataFrame({"title": names}), ("title",), np.arange(N_ITEMS, dtype=np.int32), embeddings)
    items = rng.integers(0, N_ITEMS, n_events).astype(np.int32)
    return with_hash(
        Dataset(
            name="made-up",
            interactions=Interactions(items, np.arange(n_events), offsets, N_ITEMS),
            item_table=table,
            item_ids=names,
            user_ids=np.array([f"u{u}" for u in range(N_USERS)]),
            seen_items="keep",
            baskets=False,
            licence="",
            source="",
            content_hash="",
            shipped_split=division if shipped else None,
        )
    )


def histories(data: Dataset) -> dict[str, list[tuple[str, int]]]:
    """Original ids and times of every user, so that numbers don't count."""
    events = data.interactions
    return {
        user: list(zip(data.item_ids[events.items[row]], events.timestamps[row].tolist(), strict=True))
        for u, user in enumerate(data.user_ids.tolist())
        for row in [events.row(u)]
    }


@given(st.integers(1, N_USERS))
def test_the_users_of_the_sample_keep_all_they_did(users: int) -> None:
    data = whole()
    sample = sampled(data, users)
    everybody = histories(data)
    assert histories(sample) == {user: everybody[user] for user in sample.user_ids.tolist()}
    frame = pd.DataFrame({"user": data.user_ids})
    assert sample.user_ids.tolist() == data.user_ids[UserSample(users).keeps(frame)].tolist()
    assert set(sample.user_ids) <= set(sampled(data, min(users + 3, N_USERS)).user_ids)
    table = sample.item_table
    assert sorted(set(sample.interactions.items.tolist())) == list(range(len(sample.item_ids)))
    assert table.columns["title"].tolist() == sample.item_ids.tolist()
    numbers = [int(name[1:]) for name in sample.item_ids]
    assert table.category.tolist() == numbers == table.embeddings[:, 0].tolist()


@given(st.integers(1, N_USERS))
def test_a_shipped_division_keeps_its_queries(users: int) -> None:
    data = whole(shipped=True)
    sample = sampled(data, users)

    def queries(one: Dataset) -> dict[str, tuple[str, ...]]:
        division = one.shipped_split
        assert division is not None
        return {
            str(one.user_ids[user]): (
                str(one.item_ids[division.test_targets[n]]),
                str(one.item_ids[division.validation_targets[n]]),
                str(division.test_ends[n]),
                str(division.train_ends[user]),
                str(division.train_positions[division.train_rows == user]),
            )
            for n, user in enumerate(division.test_rows)
        }

    everybody = queries(data)
    assert queries(sample) == {user: everybody[user] for user in sample.user_ids.tolist()}
    assert len(split(sample, "shipped").test) == users


def test_a_sample_is_a_data_set_of_its_own_that_says_so() -> None:
    data = whole()
    samples = [sampled(data, users) for users in (5, 6, N_USERS, N_USERS + 1)]
    assert len({data.content_hash, *(sample.content_hash for sample in samples)}) == 5
    assert "a sample of 5 users by the hash of their ids: 5 of 20 users, " in samples[0].filters[-1]
    assert histories(samples[-1]) == histories(data)


def test_generated_data_keep_their_catalogue() -> None:
    data = dataclasses.replace(whole(), world=object())
    assert sampled(data, 1).interactions.n_items == N_ITEMS


def test_a_sample_has_a_label_and_a_key_and_other_data_keep_theirs() -> None:
    def run(**options: object) -> RunSpec:
        dataset = DatasetSpec.model_validate({"name": "ml-100k", **options})
        parts = {"data_hash": "0", "model": "m", "revision": 1, "config": {}, "seed": 0, "label": "m"}
        return RunSpec.model_validate({"dataset": dataset, **parts})

    assert run().key == "3ca297b9005508cb"
    assert run(sample_users=7).key != run(sample_users=8).key != run().key
    assert run(sample_users=7, protocol="temporal").dataset.label == "ml-100k@temporal+7users"
    assert run(sample_users=7, protocol="temporal").dataset.names == (
        "ml-100k",
        "ml-100k@temporal",
        "ml-100k@temporal+7users",
    )


@pytest.mark.usefixtures("tiny_ml_100k")
def test_the_shelf_tells_samples_apart() -> None:
    assert catalog.load_dataset("ml-100k", None, 5).interactions.n_users == 5
    assert catalog.load_dataset("ml-100k").interactions.n_users == 30


@pytest.mark.usefixtures("tiny_ml_100k")
def test_the_data_card_tells_of_the_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "describe", "ml-100k", "--sample-users", "9", "--format", "markdown"]) == 0
    assert "a sample of 9 users by the hash of their ids: 9 of 30 users" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny_ml_100k")
def test_the_sample_of_a_suite_s_data_set_is_told_in_the_report(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["--suite", "smoke", "--models", "popularity,personal-popularity", "--jobs", "1"]
    assert cli.main(["run", *rows, "--sample-users", "12"]) == 0
    text = (tmp_path / "reports" / "smoke" / "report.md").read_text()
    assert "ml-100k+12users" in text
    assert "12 of 30 users" in text
    assert "--sample-users 12" in text


@pytest.mark.parametrize("users", ["0", "many", "-3"])
def test_what_is_no_number_of_users_is_refused(users, refused) -> None:
    assert f"--sample-users {users}" in refused(["run", "--sample-users", users])
    assert "sample_users" in refused(["data", "describe", "ml-100k", "--sample-users", users])
