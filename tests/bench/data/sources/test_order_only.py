"""Tables of ordered events alone: a few rows in the same format, and the real files."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from bench.data.catalog import CATALOG
from bench.data.sources.order_only import RELEASES, load_release
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.errors import MissingDataError

EVENTS = {"user_id": [7, 7, 7, 3, 3, 3], "pos": [2, 0, 1, 0, 2, 1], "item_id": [30, 10, 20, 20, 10, 40]}
"""In no order: user 7 meets 10, 20, 30 and user 3 meets 20, 40, 10."""
PUBLISHED = {
    "sports": (35_598, 18_357, 296_337),
    "toys": (19_412, 11_924, 167_597),
    "ml-1m-full-order": (6_040, 3_416, 999_611),
}
"""Users, items and events: S3-Rec, table 1, and LRURec, table 1."""


@pytest.mark.parametrize("name", RELEASES)
def test_events_are_ordered_by_position_wherever_the_file_lies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(MissingDataError, match=rf"{name} is not on this machine: put events.parquet \(user_id"):
        load_release(name)
    (tmp_path / name).mkdir()
    pd.DataFrame(EVENTS).to_parquet(tmp_path / name / "events.parquet")
    dataset = load_release(name)
    offsets, ids = dataset.interactions.offsets, dataset.item_ids[dataset.interactions.items].tolist()
    rows = {user: ids[offsets[row] : offsets[row + 1]] for row, user in enumerate(dataset.user_ids.tolist())}
    assert rows == {"7": ["10", "20", "30"], "3": ["20", "40", "10"]}
    assert (dataset.has_time, dataset.seen_items, dataset.item_table.category) == (False, "exclude", None)
    (tmp_path / name / "events.parquet").rename(tmp_path / f"{RELEASES[name].stem}_events.parquet")
    assert load_release(name).content_hash == dataset.content_hash


@pytest.mark.parametrize("name", RELEASES)
def test_the_real_files_have_the_published_statistics(name: str) -> None:
    if not os.environ.get(DATA_FOLDER_VARIABLE):
        pytest.skip(f"{DATA_FOLDER_VARIABLE} is not set")
    try:
        interactions = load_release(name).interactions
    except MissingDataError as error:
        pytest.skip(str(error))
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == PUBLISHED[name]


def test_they_are_in_the_catalogue() -> None:
    assert set(RELEASES) <= set(CATALOG)
