"""Who is set aside: a fixed part of the users, and nothing of their targets in what development sees."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench.data.catalog import load_dataset
from bench.data.protocols import Queries, split
from bench.data.set_aside import set_aside
from bench.errors import BenchError
from bench.spec import DatasetSpec, RunSpec


def test_the_users_are_those_that_the_protocol_has_always_set_aside() -> None:
    """Golden values: whoever changes the salt or the hash undoes what has been confirmed."""
    ids = [str(number) for number in range(1, 60)]
    chosen = [user for user, aside in zip(ids, set_aside(ids, 0.2), strict=True) if aside]
    assert chosen == ["7", "23", "27", "28", "32", "33", "34", "36", "40"]
    by_hand = int.from_bytes(hashlib.sha256(b"glass-bench confirm 1\x1f7").digest()[:8], "big")
    assert by_hand / 2**64 < 0.2


def test_no_order_and_no_other_user_matters() -> None:
    ids = np.array([f"user {number}" for number in range(5_000)])
    aside = set_aside(ids, 0.2)
    order = np.random.default_rng(0).permutation(len(ids))
    np.testing.assert_array_equal(set_aside(ids[order], 0.2), aside[order])
    np.testing.assert_array_equal(set_aside(ids[::7], 0.2), aside[::7])
    assert abs(aside.mean() - 0.2) < 0.02
    assert not (set_aside(ids, 0.1) & ~aside).any()


def pairs(queries: Queries) -> set[tuple[int, int, int]]:
    return set(zip(queries.users.tolist(), queries.ends.tolist(), queries.targets.tolist(), strict=True))


@pytest.mark.usefixtures("tiny_ml_100k")
def test_training_stays_and_the_queries_are_divided() -> None:
    dataset, protocol = load_dataset("ml-100k"), "leave-one-out"
    whole, parts = split(dataset, protocol), split(dataset, protocol, confirm=0.3)
    np.testing.assert_array_equal(parts.train.interactions.items, whole.train.interactions.items)
    np.testing.assert_array_equal(parts.train.interactions.offsets, whole.train.interactions.offsets)
    assert parts.train.content_hash == whole.train.content_hash  # what is cached is shared
    assert whole.confirm is None
    assert parts.confirm is not None
    assert pairs(parts.test) | pairs(parts.confirm) == pairs(whole.test)
    aside = set_aside(dataset.user_ids, 0.3)
    assert aside[parts.confirm.users].all()
    assert not aside[parts.test.users].any()
    assert not aside[parts.validation.users].any()
    assert len(parts.validation) < len(whole.validation)
    assert parts.excluded["test query set aside for confirmation"] == len(parts.confirm)


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_share_that_sets_nobody_aside_is_refused() -> None:
    with pytest.raises(
        BenchError, match=r"'ml-100k': confirm 1e-09 sets aside none of its \d+ validation queries; raise"
    ):
        split(load_dataset("ml-100k"), "leave-one-out", confirm=1e-9)
    with pytest.raises(BenchError, match=r"confirm 1 sets aside all of its \d+ validation queries; lower it, or leave"):
        split(load_dataset("ml-100k"), "leave-one-out", confirm=1 - 1e-12)


def run_spec(**dataset: object) -> RunSpec:
    spec = DatasetSpec.model_validate({"name": "ml-100k", **dataset})
    return RunSpec(dataset=spec, data_hash="h", model="popularity", revision=1, config={}, seed=0, label="popularity")


def test_runs_without_it_keep_their_keys_and_those_with_it_have_others() -> None:
    assert run_spec().key == "7604df3b03ae3039"  # as before there was such a thing
    assert len({run_spec().key, run_spec(confirm=0.2).key, run_spec(confirm=0.1).key}) == 3
    assert run_spec(confirm=0.2).dataset.label == "ml-100k+dev"
    assert run_spec(protocol="temporal", confirm=0.2).dataset.label == "ml-100k@temporal+dev"


@pytest.mark.parametrize("share", [0, 1, -0.1, "all"])
def test_other_shares_are_refused(share: object) -> None:
    with pytest.raises(ValueError, match="confirm"):
        run_spec(confirm=share)
