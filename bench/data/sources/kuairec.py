"""KuaiRec 2.0: short videos and how much of each was watched, read from the files as published."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, ItemTable, SeenItems, ShippedSplit
from bench.data.fingerprint import with_hash
from bench.data.interactions import Interactions, chronological
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError, message_of

BIG_SUMMARY = (
    "KuaiRec 2.0, big matrix: 7,176 users, 10,728 short videos, 12.5 million views, events are views of more than the "
    "whole video, long histories, repeats; files from kuairec.com"
)
SMALL_SUMMARY = (
    "KuaiRec 2.0, small matrix: 1,411 users who saw nearly all of 3,327 short videos, 4.7 million views, events are "
    "views of more than the whole video; files from kuairec.com"
)
LICENCE = "CC BY-SA 4.0: share and adapt with attribution, under the same licence."
SOURCE = (
    "C. Gao et al.: KuaiRec: A Fully-observed Dataset and Insights for Evaluating Recommender Systems. CIKM 2022, "
    "arXiv:2202.10842; KuaiRec 2.0, https://kuairec.com."
)
CLOCKS = ("timestamp", "time")
"""The columns of a matrix that hold times: seconds since 1970, and the local time of China as text."""
POSITIVE_ABOVE = 1.0
"""A view is an event if more than this share of the video was watched (GLASS: a watch ratio above 100 %)."""

TRAINING_TARGETS = 8
"""Training samples of a user in the split of GLASS: 30,320 samples of 3,790 users."""

SHORTEST_HISTORY = 50
"""Events before a user's first training sample in the split of GLASS: the short-term history is full."""

_SEEN_ITEMS: SeenItems = "keep"
_BASKETS = False
_CATEGORIES, _CAPTIONS = "item_categories.csv", "kuairec_caption_category.csv"
_MATRIX_COLUMNS = {
    "user_id": pa.int64(),
    "video_id": pa.int64(),
    "timestamp": pa.float64(),
    "watch_ratio": pa.float64(),
}
_TEXT_COLUMNS = (
    "caption",
    "manual_cover_text",
    "topic_tag",
    "first_level_category_name",
    "second_level_category_name",
    "third_level_category_name",
)


def load_kuairec_big() -> Dataset:
    """Loads the views of `big_matrix.csv`, see `load_kuairec`."""
    return load_kuairec("kuairec-big", "big_matrix.csv")


def load_kuairec_small() -> Dataset:
    """Loads the views of `small_matrix.csv`, see `load_kuairec`."""
    return load_kuairec("kuairec-small", "small_matrix.csv")


def load_kuairec(name: str, matrix: str) -> Dataset:
    """Loads one of the two matrices.

    An event is a view with a watch ratio above 1. Views without a timestamp have no position in an order, and rows
    that repeat user, video, timestamp and watch ratio are one view logged twice; both are left out and counted. Users
    are numbered by id; a user without any event is left out. The catalogue are all videos of the matrix, also those
    that nobody watched to the end, since GLASS counts all 10,728. A video's category is the first of its `feat`
    list, its text are caption, cover text, topic tags and the names of its three category levels.

    The shipped split is this project's reading of GLASS, whose paper gives totals only (3,790 users, 30,320 samples,
    8 a user): of each user with at least 60 events the last is the test target, the one before it the validation
    target, and the 8 before these are the training targets, so that the first of them has 50 events before it. Other
    users have neither targets nor queries; their events count for popularity and collaborative item features. How GLASS
    chose its 3,790 users is not known.

    Raises:
        MissingDataError: The files are not on this machine.
        BenchError: A file is malformed.
    """
    folder = _folder(matrix)
    views = _read_matrix(folder / matrix)
    user_ids, user_codes = np.unique(views.users, return_inverse=True)
    items = np.searchsorted(views.catalogue, views.videos)
    order = chronological(user_codes, views.timestamps)
    interactions = Interactions.from_rows(order, user_codes, items, views.timestamps, len(views.catalogue))
    category = _read_categories(folder / _CATEGORIES, views.catalogue)
    item_table = ItemTable(_read_captions(folder / _CAPTIONS, views.catalogue), _TEXT_COLUMNS, category)
    shipped = glass_split(interactions)
    item_ids, user_names = views.catalogue.astype(np.str_), user_ids.astype(np.str_)
    return with_hash(
        Dataset(
            name=name,
            interactions=interactions,
            item_table=item_table,
            item_ids=item_ids,
            user_ids=user_names,
            seen_items=_SEEN_ITEMS,
            baskets=_BASKETS,
            licence=LICENCE,
            source=SOURCE,
            content_hash="",
            filters=views.filters,
            shipped_split=shipped,
        )
    )


def glass_split(interactions: Interactions) -> ShippedSplit:
    """Makes the split described in `load_kuairec`."""
    lengths = interactions.lengths
    users = np.flatnonzero(lengths >= SHORTEST_HISTORY + TRAINING_TARGETS + 2)
    train_ends = lengths.copy()
    train_ends[users] -= 2
    ends = interactions.offsets[users + 1]
    return ShippedSplit(
        train_ends=train_ends,
        validation_rows=users,
        validation_ends=lengths[users] - 2,
        validation_targets=interactions.items[ends - 2],
        test_rows=users,
        test_ends=lengths[users] - 1,
        test_targets=interactions.items[ends - 1],
        train_rows=np.repeat(users, TRAINING_TARGETS),
        train_positions=(train_ends[users][:, None] - np.arange(TRAINING_TARGETS, 0, -1)).ravel(),
    )


@dataclass(frozen=True)
class _Views:
    """The events of a matrix, in file order.

    Attributes:
        users, videos: int64 `[n_events]`, original ids.
        timestamps: float64 `[n_events]`, seconds.
        catalogue: int64, every video of the file in ascending order.
        filters: What was left out, in words.
    """

    users: NDArray[np.int64]
    videos: NDArray[np.int64]
    timestamps: NDArray[np.float64]
    catalogue: NDArray[np.int64]
    filters: tuple[str, ...]


def is_matrix(path: Path) -> bool:
    """Tells whether a CSV file has the columns of a matrix, whatever it is called."""
    if path.suffix != ".csv":
        return False
    with path.open("rb") as file:
        names = file.readline(10_000).decode("utf-8-sig", "replace").strip().split(",")
    return {*_MATRIX_COLUMNS, *CLOCKS} <= set(names)


def clock_note(path: Path, taken: str = "timestamp") -> str:
    """Tells which of a matrix's two times is the time of the events, and by how much they differ in its first rows."""
    kinds = {"timestamp": pa.float64(), "time": pa.string()}
    options = pacsv.ConvertOptions(include_columns=list(kinds), column_types=kinds, strings_can_be_null=True)
    other = next(clock for clock in CLOCKS if clock != taken)
    note = f"time is '{taken}'; '{other}' is not used"
    try:
        with pacsv.open_csv(path, convert_options=options) as reader:
            block = reader.read_next_batch().to_pandas()
    except (OSError, KeyError, StopIteration, pa.ArrowException):
        return note
    local = pd.to_datetime(block["time"], errors="coerce", format="ISO8601")
    hours = ((local - pd.Timestamp(0)).dt.total_seconds() - block["timestamp"]) / 3600
    if not hours.notna().any():
        return note
    ahead = float(hours.median())
    if abs(ahead) < 1 / 60:
        return f"{note}; both are the same times"
    return f"{note}; 'time' is {ahead:+.3g} h from 'timestamp' (seconds, UTC): the local time of China is 8 h ahead"


def _read_matrix(path: Path) -> _Views:
    """Reads a matrix block by block, keeping the rows that are events."""
    rows, positive = 0, []
    catalogue = np.zeros(0, dtype=np.int64)
    options = pacsv.ConvertOptions(include_columns=list(_MATRIX_COLUMNS), column_types=_MATRIX_COLUMNS)
    serial = pacsv.ReadOptions(use_threads=False)  # else messages come without row numbers
    try:
        with pacsv.open_csv(path, convert_options=options, read_options=serial) as reader:
            for block in reader:
                _reject_rows(path, block, rows + 2)
                rows += len(block)
                catalogue = np.union1d(catalogue, block["video_id"].to_numpy())
                above = pc.fill_null(pc.greater(block["watch_ratio"], POSITIVE_ABOVE), False)
                positive.append(block.filter(above).to_pandas())
    except (OSError, KeyError, pa.ArrowException) as error:
        flaw = f"no matrix of KuaiRec ({message_of(error)})"
        raise BenchError(f"{path} is {flaw}; download it again from kuairec.com") from None
    views = pd.concat(positive, ignore_index=True)
    if views.empty:
        raise BenchError(f"{path}: none of {rows:,} rows has a watch ratio above {POSITIVE_ABOVE:g}")
    timed = views.dropna(subset=["timestamp"])
    different = timed.drop_duplicates()
    sentences = [
        f"watch ratio above {POSITIVE_ABOVE:g}: {len(views):,} of {rows:,} views, "
        f"of {views['user_id'].nunique():,} users, are events",
        clock_note(path),
    ]
    if len(timed) < len(views):
        sentences.append(f"{len(views) - len(timed):,} events without a timestamp are left out")
    if len(different) < len(timed):
        sentences.append(f"{len(timed) - len(different):,} events that repeat another one in everything are left out")
    return _Views(
        users=different["user_id"].to_numpy(),
        videos=different["video_id"].to_numpy(),
        timestamps=different["timestamp"].to_numpy(),
        catalogue=catalogue,
        filters=tuple(sentences),
    )


def _reject_rows(path: Path, block: pa.RecordBatch, first_row: int) -> None:
    """Raises for the first row without an id or with a time that can't be; the header is row 1."""
    for column, bad, problem in (
        ("user_id", pc.is_null(block["user_id"]), "is empty"),
        ("video_id", pc.is_null(block["video_id"]), "is empty"),
        ("timestamp", pc.fill_null(pc.less(block["timestamp"], 0), False), "is negative"),
    ):
        if pc.any(bad).as_py():
            row = first_row + pc.index(bad, True).as_py()
            raise BenchError(f"{path}, row {row}: {column} {problem}; download the file again")


def _read_categories(path: Path, catalogue: NDArray[np.int64]) -> NDArray[np.int32]:
    """The first entry of each video's `feat` list, int32 `[n_items]`, -1 where the list is empty or missing."""
    first = {video: re.search(r"\d+", feat) for video, (feat,) in _read_rows(path, ("feat",))}
    numbers = (first.get(video) for video in catalogue.tolist())
    return np.array([int(match.group()) if match else -1 for match in numbers], dtype=np.int32)


def _read_captions(path: Path, catalogue: NDArray[np.int64]) -> pd.DataFrame:
    """The text columns, one row an item; "" where the file has none, says UNKNOWN, or has an empty list of tags."""
    known = dict(_read_rows(path, _TEXT_COLUMNS))
    nothing = [""] * len(_TEXT_COLUMNS)
    table = pd.DataFrame([known.get(video, nothing) for video in catalogue.tolist()], columns=list(_TEXT_COLUMNS))
    table["topic_tag"] = table["topic_tag"].str.strip("[]").str.replace(",", " ")
    return table.apply(lambda column: column.str.strip().replace("UNKNOWN", ""))


def _read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    """The `video_id` and some other columns of a CSV file.

    Captions hold line breaks, and not all of them are quoted: a line without a number for its video is the rest of such
    a caption and is passed over, and columns that a line lacks are "".
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            missing = [column for column in ("video_id", *columns) if column not in header]
            if missing:
                raise BenchError(
                    f"{path}, line 1: column '{missing[0]}' is missing; download it again from kuairec.com"
                )
            indices = [header.index(column) for column in columns]
            video = header.index("video_id")
            return [
                (int(line[video]), [line[index] if index < len(line) else "" for index in indices])
                for line in lines
                if len(line) > video and line[video].isdecimal()
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path} can't be read ({error}); download it again from kuairec.com") from None


def _folder(matrix: str) -> Path:
    """The folder of the published CSV files: the user's folder, or where the archive puts them inside it.

    Raises:
        MissingDataError: A file is missing.
    """
    top = data_folder() / "kuairec"
    folders = (top, top / "data", top / "KuaiRec 2.0" / "data")
    folder = next((folder for folder in folders if (folder / matrix).is_file()), top)
    missing = [file for file in (matrix, _CATEGORIES, _CAPTIONS) if not (folder / file).is_file()]
    if missing:
        raise MissingDataError(
            f"KuaiRec is not on this machine ({', '.join(missing)} not found): download KuaiRec.zip from "
            f"https://kuairec.com and unpack it into {top}, or set {DATA_FOLDER_VARIABLE} to a folder with kuairec/"
        )
    return folder


DATASETS = {
    "kuairec-big": CatalogEntry(BIG_SUMMARY, LICENCE, SOURCE, load_kuairec_big, partial(_folder, "big_matrix.csv")),
    "kuairec-small": CatalogEntry(
        SMALL_SUMMARY, LICENCE, SOURCE, load_kuairec_small, partial(_folder, "small_matrix.csv")
    ),
}
