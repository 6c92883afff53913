"""What GLASS says that it read: events, gates and tiers against what loops over the history find."""

from __future__ import annotations

import numpy as np
import pytest
from test_every_model import SMALL, TINY_WORLD

from bench.data.cache import ArtifactCache
from bench.data.interactions import Histories
from bench.data.protocols import split
from bench.data.sources.synthetic import planted_dataset
from bench.recommender import Explanation, FitContext, Recommender
from bench.registry import model_class

K = 5


@pytest.fixture(scope="module", params=["glass", "glass-plus", "glass-official"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommender, Histories]:
    config = {**SMALL[request.param], "search": {"neighbours": 0, "limit": 3}, "beam": 6}
    parts = split(planted_dataset("planted-long", TINY_WORLD), "leave-one-out")
    model = model_class(request.param)(config)
    cache = ArtifactCache(tmp_path_factory.mktemp("cache"))
    model.fit(parts.train.copy(), FitContext(0, "cpu", cache, lambda _: 0.5))
    return model, parts.test.histories(4, 5)


@pytest.fixture
def told(asked: tuple[Recommender, Histories]) -> Explanation:
    model, history = asked
    found = model.explain(history.copy(), K)
    assert found is not None
    return found


def test_the_events_read_are_the_last_of_the_first_code(
    asked: tuple[Recommender, Histories], told: Explanation
) -> None:
    model, history = asked
    recent = getattr(model.config.search, "recent", False)  # type: ignore[attr-defined]
    n_long = len(history.items) - (0 if recent else told.short_term)
    assert [level.level for level in told.searched] == list(range(2, told.codes.shape[1] + 1))
    some = 0
    for level in told.searched:
        for beam, prefix in enumerate(level.prefixes):
            if level.scores[beam] == -np.inf:
                continue
            right = [at for at in range(n_long) if told.codes[history.items[at], 0] == prefix[0]][::-1][:3]
            assert level.read[beam][level.read[beam] >= 0].tolist() == right
            some += len(right)
    assert some > 0


def test_gates_are_shares_and_shut_where_nothing_was_found(
    asked: tuple[Recommender, Histories], told: Explanation
) -> None:
    model, _ = asked
    for level in told.searched:
        assert ((level.gate >= 0) & (level.gate <= 1)).all()
        nothing = (level.read < 0).all(axis=1)
        if not type(model).__name__.endswith("Official"):  # there the gate is open to what padding gives
            assert (level.gate[nothing] == 0).all()
        assert (level.gate[~nothing] > 0).all()


def test_the_tiers_of_each_code_hold_the_whole_long_term_history(told: Explanation) -> None:
    assert told.tiers is not None
    assert told.tiers.shape[1] == len(told.tier_edges) + 1
    assert told.tiers.sum(axis=1) == pytest.approx(1, abs=0.2)


def test_who_asks_why_changes_no_list(asked: tuple[Recommender, Histories]) -> None:
    model, history = asked
    before = model.recommend(history.copy(), K)
    model.explain(history.copy(), K)
    after = model.recommend(history.copy(), K)
    assert before.items.tolist() == after.items.tolist()
    network = model.network  # type: ignore[attr-defined]
    assert network.observe_search is None
    assert all(gate.observe is None for gate in network.gates())


def test_beams_are_those_of_the_search(asked: tuple[Recommender, Histories], told: Explanation) -> None:
    model, history = asked
    if type(model).__name__ != "Glass":
        return
    items = model.recommend(history.copy(), K).items[0]
    last = told.searched[-1]
    prefixes = {tuple(prefix) for prefix in last.prefixes.tolist()}
    assert all(tuple(told.codes[item][:-1].tolist()) in prefixes for item in items[items >= 0])
