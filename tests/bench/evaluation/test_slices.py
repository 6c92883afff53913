"""Which query belongs to which slice, above all on the edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.evaluation.slices import (
    ReachOf,
    category_reach_slices,
    cold_slices,
    column_slices,
    history_length_bins,
    history_length_quarters,
    named_slices,
    popularity_deciles,
    popularity_slices,
    reach_parts,
    reach_slices,
    repetition_slices,
    transition_slices,
)


def queries(quantiles: list[float] | None = None, lengths: list[int] | None = None) -> pd.DataFrame:
    n = len(quantiles or lengths or [])
    return pd.DataFrame(
        {
            "target_quantile": np.array(quantiles or [0.0] * n, dtype=np.float32),
            "history_length": np.array(lengths or [1] * n, dtype=np.int32),
        }
    )


def test_head_ends_before_its_share() -> None:
    slices = popularity_slices(queries([0.0, 0.199, 0.2, 0.9]))
    assert slices["head"].tolist() == [True, True, False, False]
    assert slices["tail"].tolist() == [False, False, True, True]
    assert slices["overall"].all()


def test_head_share_is_a_parameter() -> None:
    assert popularity_slices(queries([0.0, 0.3, 0.5]), head_share=0.5)["head"].tolist() == [True, True, False]


def test_single_precision_moves_no_item_over_an_edge() -> None:
    places = np.arange(1000)
    table = queries((places / 1000).tolist())
    assert popularity_slices(table, 0.7)["head"].sum() == 700
    for name, mask in popularity_deciles(table).items():
        assert places[mask].tolist() == list(range(100 * (int(name) - 1), 100 * int(name)))


def test_history_bins_include_their_upper_edge_and_leave_out_empty_ones() -> None:
    bins = history_length_bins(queries(lengths=[50, 51, 200, 1001]), fewest=1)
    assert {name: mask.tolist() for name, mask in bins.items()} == {
        "<=50": [True, False, False, False],
        "51-200": [False, True, True, False],
        ">1000": [False, False, False, True],
    }


def test_a_handful_of_longest_histories_gets_no_bin_of_its_own() -> None:
    bins = history_length_bins(queries(lengths=[10] * 40 + [60] * 40 + [300] * 28 + [2000] * 2))
    assert {name: int(mask.sum()) for name, mask in bins.items()} == {"<=50": 40, "51-200": 40, ">200": 30}


def test_quarters_are_named_after_their_lengths() -> None:
    quarters = history_length_quarters(queries(lengths=[5, 6, 7, 8, 9, 10, 11, 40]))
    assert {name: int(mask.sum()) for name, mask in quarters.items()} == {"5-6": 2, "7-8": 2, "9-10": 2, "11-40": 2}


def test_quarters_of_one_length_and_of_nothing() -> None:
    assert list(history_length_quarters(queries(lengths=[5, 5, 5]))) == ["5"]
    assert history_length_quarters(queries()) == {}


@given(st.lists(st.integers(1, 2000), min_size=1), st.data())
def test_every_query_is_in_exactly_one_part(lengths: list[int], data: st.DataObject) -> None:
    quantiles = data.draw(
        st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=len(lengths), max_size=len(lengths))
    )
    table = queries(quantiles, lengths)
    for slicer in (history_length_bins, history_length_quarters, popularity_deciles):
        assert np.sum(list(slicer(table).values()), axis=0).tolist() == [1] * len(lengths)
    halves = popularity_slices(table)
    assert (halves["head"] ^ halves["tail"]).all()


def gaps(items: list[int], categories: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {"item_gap": np.array(items, dtype=np.int32), "category_gap": np.array(categories, dtype=np.int32)}
    )


def test_reach_is_recent_up_to_the_window_and_its_names_tell_it() -> None:
    table = gaps([1, 50, 51, 0], [2, 1, 1, 20])
    assert {name: mask.tolist() for name, mask in reach_slices(table).items()} == {
        "last 50 events": [True, True, False, False],
        "only before the last 50": [False, False, True, False],
        "never": [False, False, False, True],
    }
    assert {name: mask.tolist() for name, mask in category_reach_slices(table, window=10).items()} == {
        "last 10 events": [True, True, True, False],
        "only before the last 10": [False, False, False, True],
    }


def test_reach_says_nothing_where_all_queries_are_alike_or_the_columns_are_missing() -> None:
    assert reach_slices(gaps([0, 0], [3, 60])) == {}
    assert list(reach_parts(gaps([0, 0], [3, 60]), of="category")) == ["recent", "far"]
    assert reach_slices(queries(lengths=[3, 4])) == {}


@given(st.lists(st.integers(0, 120), min_size=1), st.integers(1, 100), st.sampled_from(["item", "category"]))
def test_every_query_reaches_into_exactly_one_part(found: list[int], window: int, of: ReachOf) -> None:
    parts = reach_parts(gaps(found, found), window, of)
    assert not parts or np.sum(list(parts.values()), axis=0).tolist() == [1] * len(found)


def test_a_target_of_the_history_is_repeated_and_all_others_are_explored() -> None:
    table = queries(lengths=[9, 9, 9, 9]).assign(item_gap=[0, 1, 7, 0])
    parts = {name: mask.tolist() for name, mask in repetition_slices(table).items()}
    assert parts == {"repeat": [False, True, True, False], "explore": [True, False, False, True]}
    assert {"repetition:repeat", "repetition:explore"} <= set(
        named_slices(table.assign(target_count=1, category_gap=0))
    )


def test_steps_are_seen_composable_new_or_unknown() -> None:
    table = queries(lengths=[9, 9, 9, 0]).assign(transition=np.array([3, 1, 2, 0], dtype=np.int8))
    parts = {name: np.flatnonzero(mask).tolist() for name, mask in transition_slices(table).items()}
    assert parts == {"seen": [0], "composable": [2], "new": [1], "unknown": [3]}


def test_repetition_and_steps_say_nothing_where_all_are_alike_or_the_columns_are_missing() -> None:
    table = queries(lengths=[5, 6])
    assert repetition_slices(table) == transition_slices(table) == {}
    table = table.assign(item_gap=[0, 0], transition=[3, 3])
    assert repetition_slices(table) == transition_slices(table) == {}


def test_cold_targets_are_unseen_or_rarely_seen_in_training() -> None:
    table = pd.DataFrame({"target_count": [0, 1, 5, 6, 300]})
    assert {name: mask.tolist() for name, mask in cold_slices(table).items()} == {
        "unseen": [True, False, False, False, False],
        "rare (1-5)": [False, True, True, False, False],
        "known": [False, False, False, True, True],
    }
    assert {name: int(mask.sum()) for name, mask in cold_slices(table, rare=1).items()} == {
        "unseen": 1,
        "rare (1)": 1,
        "known": 3,
    }
    assert cold_slices(table[3:]) == {}


def of_column(values: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"item:kind": values})


def test_a_column_s_most_frequent_values_come_first_and_the_rest_is_other() -> None:
    table = of_column(["b", "a", "b", None, "c", "d", "a", "b", ""])
    assert {name: int(mask.sum()) for name, mask in column_slices(table, "kind", most=2).items()} == {
        "b": 3,
        "a": 2,
        "other": 2,
        "unknown": 2,
    }
    assert column_slices(table, "colour") == {}


def test_a_column_of_many_numbers_is_divided_into_quarters() -> None:
    table = of_column([*range(1990, 1998), np.nan])
    assert {name: int(mask.sum()) for name, mask in column_slices(table, "kind", most=4).items()} == {
        "1990-1991": 2,
        "1992-1993": 2,
        "1994-1995": 2,
        "1996-1997": 2,
        "unknown": 1,
    }
    assert column_slices(table, "kind", most=4)["unknown"].tolist() == [False] * 8 + [True]
    few = of_column(["3", "4", "3"])
    assert {name: mask.tolist() for name, mask in column_slices(few, "kind").items()} == {
        "3": [True, False, True],
        "4": [False, True, False],
    }


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_every_family_of_slices_sums_to_the_whole(n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = queries(random.random(n).tolist(), random.integers(1, 1500, n).tolist()).assign(
        target_count=random.integers(0, 10, n),
        item_gap=random.integers(0, 120, n),
        category_gap=random.integers(0, 120, n),
    )
    table["item:kind"] = random.choice([*"abcdefghijk", ""], n)
    table["item:price"] = np.where(random.random(n) < 0.1, np.nan, random.random(n))
    slices = named_slices(table, ("kind", "price", "elsewhere"))
    values = random.random(n)
    families: dict[str, list[np.ndarray]] = {}
    for name, mask in slices.items():
        families.setdefault(name.partition(":")[0], []).append(mask)
    families["head and tail"] = families.pop("head") + families.pop("tail")
    assert {"overall", "history", "popularity", "item.kind", "item.price"} <= set(families)
    for masks in families.values():
        assert np.sum(masks, axis=0).tolist() == [1] * n
        weighted = sum(mask.sum() * values[mask].mean() for mask in masks if mask.any())
        np.testing.assert_allclose(weighted / n, values.mean())
