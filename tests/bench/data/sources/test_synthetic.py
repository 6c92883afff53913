"""The planted world against its equations, walked through event by event, and against what it generates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from bench.data.cache import ArtifactCache
from bench.data.catalog import available_datasets, load_dataset
from bench.data.interactions import Histories
from bench.data.protocols import split
from bench.data.sources.synthetic import (
    PLANTED_4K,
    PLANTED_10K,
    PLANTED_LONG,
    PLANTED_MIXED,
    PLANTED_RECENT,
    PlantedWorld,
    WorldConfig,
    planted_dataset,
)
from bench.suite_files import load_suite
from models.generation.config import GenerativeConfig
from models.semantic_ids.tokenizer import tokenize

SMALL = WorldConfig(topics=4, subtopics=2, items=3, users=300, events=40, reach=5, stay=0.3, back=0.7, favour=0.6)


def histories_of(rows: list[list[int]], n_items: int) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items)), offsets, n_items, exclude_seen=False)


def probabilities(world: PlantedWorld, *rows: list[int]) -> np.ndarray:
    return world.probabilities(histories_of(list(rows), world.config.n_items))


def naive_probabilities(world: PlantedWorld, history: list[int]) -> list[float]:
    """The equations at the head of `bench.data.sources.synthetic`, one item after the other."""
    c = world.config
    size = c.subtopics * c.items
    split_at = max(0, len(history) - c.reach)
    recent = history[split_at:]
    memory = history[:split_at] if c.span is None else history[max(0, split_at - c.span) : split_at]

    def returning(keys_recent: list[int], keys_memory: list[int], candidates: list[int]) -> dict[int, float] | None:
        weight = {k: 0.0 if k in keys_recent else float(keys_memory.count(k)) ** c.sharpness for k in candidates}
        total = sum(weight.values())
        return {k: w / total for k, w in weight.items()} if total else None

    def in_topic(item: int, topic: int) -> float:
        popular = world.popularity[topic, item % size]
        if not history or history[-1] // size != topic:
            return float(popular)
        siblings = [i for i in range(size) if i // c.items == history[-1] % size // c.items]
        near = popular / world.popularity[topic, siblings].sum() if item % size in siblings else 0.0
        return float((1 - c.coherence) * popular + c.coherence * near)

    returned = returning([i // size for i in recent], [i // size for i in memory], list(range(c.topics)))
    answer = []
    for item in range(c.n_items):
        topic = item // size
        back = world.drift[topic] if returned is None else returned[topic]
        share = c.back * back + (1 - c.back) * world.drift[topic]
        if history:
            share = c.stay * (history[-1] // size == topic) + (1 - c.stay) * share
        siblings = [topic * size + i for i in range(size)]
        likely = {i: in_topic(i, topic) for i in siblings}
        if topic >= c.topics - round(c.at_once * c.topics):
            again = {i: float(recent.count(i)) ** c.sharpness for i in siblings}
            favourites = {i: w / sum(again.values()) for i, w in again.items()} if sum(again.values()) else likely
        else:
            favourites = returning(recent, memory, siblings) or likely
        answer.append(float(share * (c.favour * favourites[item] + (1 - c.favour) * likely[item])))
    return answer


@st.composite
def worlds_with_histories(draw: st.DrawFn) -> tuple[WorldConfig, list[list[int]]]:
    share = st.floats(0, 1)
    config = WorldConfig(
        topics=draw(st.integers(1, 4)),
        subtopics=draw(st.integers(1, 3)),
        items=draw(st.integers(1, 3)),
        users=1,
        events=1,
        reach=draw(st.integers(0, 4)),
        span=draw(st.none() | st.integers(1, 5)),
        stay=draw(share),
        back=draw(share),
        favour=draw(share),
        at_once=draw(st.sampled_from([0.0, 0.5, 1.0])),
        coherence=draw(share),
        sharpness=draw(st.sampled_from([0.5, 1.0, 2.0])),
        zipf=draw(st.sampled_from([0.0, 0.7])),
        seed=draw(st.integers(0, 5)),
    )
    row = st.lists(st.integers(0, config.n_items - 1), max_size=12)
    return config, draw(st.lists(row, min_size=1, max_size=3))


@settings(deadline=None, max_examples=50)
@given(worlds_with_histories())
def test_the_distribution_is_that_of_the_equations_and_sums_to_one(case: tuple[WorldConfig, list[list[int]]]) -> None:
    config, rows = case
    world = PlantedWorld(config)
    got = probabilities(world, *rows)
    np.testing.assert_allclose(got, [naive_probabilities(world, row) for row in rows], atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, rtol=1e-12)


def test_a_world_of_four_items_gives_what_a_hand_computes() -> None:
    # Items 0 and 1 are topic 0, items 2 and 3 topic 1, all equally popular. The last event alone is recent.
    config = WorldConfig(topics=2, subtopics=1, items=2, reach=1, stay=0.4, back=0.5, favour=0.8, sharpness=2, zipf=0)
    world = PlantedWorld(config)
    # Memory 0, 1, 1; topic 1 doesn't rest: T(0) = .6 * (.5 * 1 + .5 * .5) = .45. F: 1/5, 4/5; topic 1 has none.
    expected = [0.45 * (0.8 * 0.2 + 0.1), 0.45 * (0.8 * 0.8 + 0.1), 0.55 * 0.5, 0.55 * 0.5]
    np.testing.assert_allclose(probabilities(world, [0, 1, 1, 2])[0], expected, rtol=1e-12)
    # Nothing in the memory rests but item 3: R is `drift`, and 3 is the only favourite of topic 1.
    expected = [0.3 * 0.5, 0.3 * 0.5, 0.7 * 0.1, 0.7 * 0.9]
    np.testing.assert_allclose(probabilities(world, [3, 2])[0], expected, rtol=1e-12)
    np.testing.assert_allclose(probabilities(world, [])[0], 0.25, rtol=1e-12)


def test_in_an_at_once_topic_the_recent_items_come_back_and_the_others_do_not() -> None:
    config = WorldConfig(
        topics=2, subtopics=1, items=3, reach=3, stay=0.4, back=0.5, favour=0.8, at_once=0.5, sharpness=2, zipf=0
    )
    world = PlantedWorld(config)
    assert world.at_once.tolist() == [False, True]
    # Items 3 to 5 come back at once. The memory is 5, 5, 0 and 4, 4, 3 are recent: R is topic 0 alone, and the last
    # event is of topic 1, so T(1) = .4 + .6 * .5 * .5 = .55. There 4 and 3 weigh 4 and 1; in topic 0 item 0 rests.
    inside = [0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3, 0.16 + 0.2 / 3, 0.64 + 0.2 / 3, 0.2 / 3]
    expected = np.array([0.45] * 3 + [0.55] * 3) * inside
    np.testing.assert_allclose(probabilities(world, [5, 5, 0, 4, 4, 3])[0], expected, rtol=1e-12)
    # Without a recent event of the topic nothing can come back at once: F is B, whatever lies further back.
    np.testing.assert_allclose(probabilities(world, [5, 5, 0, 0, 1])[0, 3:], 0.45 / 3, rtol=1e-12)


def test_the_order_of_the_recent_events_before_the_last_says_nothing() -> None:
    world = PlantedWorld(replace(SMALL, span=12))
    history = np.random.default_rng(0).integers(0, SMALL.n_items, 30).tolist()
    shuffled = [*history[:-5], *history[-5:-1][::-1], history[-1]]
    assert shuffled != history
    np.testing.assert_array_equal(probabilities(world, shuffled), probabilities(world, history))


def test_what_returns_is_decided_beyond_the_reach_and_within_the_span() -> None:
    world = PlantedWorld(replace(SMALL, span=12))
    history = np.random.default_rng(0).integers(0, SMALL.n_items, 30).tolist()
    before = probabilities(world, history)
    forgotten = [(item + 7) % SMALL.n_items for item in history[:-17]] + history[-17:]
    np.testing.assert_array_equal(probabilities(world, forgotten), before)
    elsewhere = [(item + 6) % SMALL.n_items for item in history[:-5]] + history[-5:]
    assert np.abs(probabilities(world, elsewhere) - before).sum() > 0.1


def test_the_dial_moves_the_cause_of_a_return() -> None:
    # An interest of 3 events, then another topic: it comes back once `reach` events lie between, and not before.
    history = [0, 0, 0, *[6] * 7]
    for reach, rests in ((7, True), (8, False)):
        config = replace(SMALL, reach=reach, stay=0.0, back=1.0, favour=1.0)
        likely = probabilities(PlantedWorld(config), history)[0]
        assert (likely[0] == 1.0) == rests


def positions_of(config: WorldConfig) -> tuple[np.ndarray, np.ndarray]:
    """Distribution and drawn item of the events from the 12th on, every third."""
    world = PlantedWorld(config)
    rows = world.generate().items.reshape(config.users, config.events).tolist()
    asked = [(row[:end], row[end]) for row in rows for end in range(12, config.events, 3)]
    return probabilities(world, *[history for history, _ in asked]), np.array([item for _, item in asked])


@pytest.mark.parametrize("dials", [{}, {"span": 6}, {"at_once": 0.5}])
def test_generated_events_are_as_frequent_as_their_probabilities(dials: dict[str, Any]) -> None:
    likely, drawn = positions_of(replace(SMALL, **dials))
    counts, expected = np.bincount(drawn, minlength=SMALL.n_items), likely.sum(axis=0)
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, SMALL.n_items - 1)
    # Calibration event by event: the mean log-likelihood is minus the mean entropy.
    logs = np.log(np.maximum(likely, 1e-300))
    mean, variance = (likely * logs).sum(axis=1), (likely * logs**2).sum(axis=1)
    variance -= mean**2
    surprise = logs[np.arange(len(drawn)), drawn] - mean
    assert abs(surprise.sum()) < 3 * np.sqrt(variance.sum())


def test_nothing_impossible_is_generated() -> None:
    likely, drawn = positions_of(replace(SMALL, back=1.0, favour=1.0, at_once=0.5, users=50))
    assert (likely == 0).mean() > 0.5
    assert (likely[np.arange(len(drawn)), drawn] > 0).all()


def test_equal_dials_give_equal_bytes_and_another_seed_gives_others() -> None:
    config = replace(SMALL, users=20)
    first, second, other = (planted_dataset("small", c) for c in (config, config, replace(config, seed=1)))
    assert first.interactions.items.tobytes() == second.interactions.items.tobytes()
    assert first.content_hash == second.content_hash != other.content_hash


def test_items_carry_their_hierarchy_in_words_and_category() -> None:
    table = planted_dataset("small", SMALL).item_table
    assert table.columns["title"].iloc[[0, 7]].tolist() == [
        "item0 of subtopic0 in topic0",
        "item1 of subtopic0 in topic1",
    ]
    assert table.columns["topic"].iloc[7] == "topic1 field1"
    assert table.category is not None
    np.testing.assert_array_equal(table.category, np.repeat(np.arange(4), 6))


@pytest.mark.parametrize("name", ["planted-long", "planted-mixed", "planted-recent"])
def test_in_the_suite_text_alone_gives_semantic_ids_that_follow_the_hierarchy(name: str, tmp_path: Path) -> None:
    written = next(entry.config for entry in load_suite("planted").models if entry.model == "tiger")
    tokenizer = GenerativeConfig.model_validate(written).tokenizer
    ids = tokenize(split(load_dataset(name), "leave-one-out").train, tokenizer, ArtifactCache(tmp_path))
    assert len(np.unique(ids.codes, axis=0)) == PLANTED_LONG.n_items
    topic = np.arange(PLANTED_LONG.n_items) // PLANTED_LONG.items_per_topic
    assert len(np.unique(np.column_stack([ids.codes[:, 0], topic]), axis=0)) == PLANTED_LONG.topics


@pytest.mark.parametrize(
    ("name", "config"),
    [("planted-long", PLANTED_LONG), ("planted-mixed", PLANTED_MIXED), ("planted-recent", PLANTED_RECENT)],
)
def test_the_planted_data_sets_are_what_the_catalogue_says(name: str, config: WorldConfig) -> None:
    dataset = load_dataset(name)
    assert dataset.name == name
    assert (dataset.interactions.n_users, dataset.interactions.n_items) == (config.users, config.n_items)
    assert (dataset.interactions.lengths == config.events).all()
    assert dataset.seen_items == "keep"
    assert not dataset.baskets
    assert dataset.filters == ()
    parts = split(dataset, "leave-one-out")
    assert parts.train.world is dataset.world is not None
    assert len(parts.test) == config.users


@pytest.mark.parametrize(
    ("dial", "message"),
    [
        ({"topics": 0}, "at least 1"),
        ({"span": 0}, "at least 1"),
        ({"reach": -1}, "at least 0"),
        ({"stay": 1.1}, "should lie in"),
        ({"at_once": -0.1}, "should lie in"),
        ({"sharpness": 0.0}, "above 0"),
    ],
)
def test_dials_out_of_range_are_refused(dial: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **dial)


@pytest.mark.parametrize(("world", "users", "events"), [(PLANTED_4K, 250, 4_000), (PLANTED_10K, 100, 10_000)])
def test_in_the_longest_worlds_what_comes_back_lies_beyond_the_papers_window(
    world: WorldConfig, users: int, events: int
) -> None:
    assert (world.users, world.events, world.n_items, world.reach) == (users, events, 1_920, 50)
    short = planted_dataset("short", replace(world, users=20, events=1_500)).interactions
    gaps = []
    for start, end in zip(short.offsets[:-1], short.offsets[1:], strict=True):
        last: dict[int, int] = {}
        for position, item in enumerate(short.items[start:end].tolist()):
            if position >= 1_000:
                gaps.append(position - last[item] if item in last else 0)
            last[item] = position
    back = np.array(gaps)
    assert (back > 50).mean() > 0.9
    assert (back > 200).mean() > 0.1


def test_the_longest_worlds_can_be_named() -> None:
    assert {"planted-4k", "planted-10k"} <= set(available_datasets())
