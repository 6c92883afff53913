"""Recommendations in the words of the data: original ids, texts, scores, and what a user has had before."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.data_files import DataFiles
from bench.data.interactions import Histories, Interactions
from bench.data.sources.own import load_own
from bench.errors import BenchError
from bench.evaluation.contract import ContractError, checked, checked_sid_of_item
from bench.execution.saved_models import NO_TEST, KnownData, SavedModel
from bench.files import replaced
from bench.plain_text import quoted

RECOMMENDATION_COLUMNS = {
    "user": "text, the user's id in the data's own file",
    "rank": "int, 1 is best",
    "item": "text, the item's id there",
    "score": "float32, by which the model ranks; comparable within one user's list only",
    "repeat": "bool, whether the user's history holds the item",
}
"""Columns of recommendations; between `item` and `score` stand the texts of the item table, by their names there."""

_BATCH = 256
"""Users that are asked for at a time; no list depends on it."""

_OF_ITEMS = {
    key: DataFiles.model_fields[key].default
    for key in ("items", "text", "category", "embeddings", "min_user_events", "min_item_events")
}
"""What a file of histories is read without."""

_SHOWN = 3
"""Ids that an error message names."""


@dataclass(frozen=True)
class Asked:
    """Whom recommendations are for.

    Attributes:
        names: Original ids of the users, str `[n]`.
        histories: Their events.
        notes: What was decided on the way, one line each.
    """

    names: NDArray[np.str_]
    histories: Histories
    notes: tuple[str, ...] = ()


def known_users(data: KnownData, names: Iterable[object] | None = None, as_tested: bool = False) -> Asked:
    """Users of the data that the model was trained on.

    Args:
        data: Of the model.
        names: Their original ids, as text or numbers. None: all users.
        as_tested: Whether a history ends where that of the test query did. Else it holds all that is known.

    Raises:
        BenchError: Nobody has that id, or had no test query, or nobody is left.
    """
    index = {name: number for number, name in enumerate(data.user_ids.tolist())}  # rows of one id: the last
    if names is None:
        users = np.arange(len(data.user_ids))
        users = users[data.test_ends != NO_TEST] if as_tested else users
    else:
        asked = list(dict.fromkeys(map(str, names)))
        unknown = [name for name in asked if name not in index]
        if unknown:
            raise _unknown_users(unknown, data)
        users = np.array([index[name] for name in asked], dtype=np.int64)
    ends = data.test_ends[users] if as_tested else data.interactions.lengths[users]
    if (ends == NO_TEST).any():
        raise BenchError(f"user {quoted(str(data.user_ids[users[ends == NO_TEST][0]]))} had no test query")
    if not len(users):
        raise BenchError("no users: give at least one")
    return Asked(data.user_ids[users], data.interactions.histories(users, ends, data.exclude_seen))


def _unknown_users(names: Sequence[str], data: KnownData) -> BenchError:
    shown = ", ".join(map(quoted, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")
    near = difflib.get_close_matches(names[0][:200], data.user_ids[:10_000].tolist(), n=2)
    examples = [str(name) for name in near or data.user_ids[:_SHOWN]]
    return BenchError(
        f"no events of user {shown} in the model's data ({len(data.user_ids):,} users, such as "
        f"{', '.join(map(quoted, examples))}): give the events of others as a history (--history)"
    )


def with_history(model: SavedModel, path: str, names: Iterable[object] | None = None) -> Asked:
    """Users with the events of a file, whether or not the model's data have them.

    Args:
        model: Saved.
        path: A file of events in any format that a data set may have, with the item ids of the model's data. It is read
            with the options that these were read with, such as names of columns.
        names: Only these users of the file. None: all.

    Raises:
        BenchError: The file can't be read, has no times where the model's data have some, or none of its items is in
            the catalogue.
    """
    data, files = model.data, model.spec.dataset.files or DataFiles()
    read = load_own("history", files.model_copy(update={"path": path, **_OF_ITEMS}))
    if data.has_time and not read.has_time:
        raise BenchError(f"{path}: the model's data have times, and this file has none: add a column of times")
    items = {name: number for number, name in enumerate(data.item_ids.tolist())}
    number_of = np.array([items.get(name, -1) for name in np.asarray(read.item_ids).astype(str).tolist()])
    mapped = number_of[read.interactions.items]
    known = mapped >= 0
    if not known.any():
        raise BenchError(f"{path}: none of its items is in the model's data, whose ids look like {data.item_ids[0]!r}")
    notes = []
    if not known.all():
        strange = [str(name) for name, number in zip(read.item_ids, number_of, strict=True) if number < 0]
        notes.append(
            f"{path}: {int((~known).sum())} of {len(known)} events are left out, of items that the model does not "
            f"know: {', '.join(strange[:_SHOWN])}{', ...' if strange[_SHOWN:] else ''}"
        )
    user_of = np.repeat(np.arange(read.interactions.n_users), read.interactions.lengths)
    lengths = np.bincount(user_of[known], minlength=read.interactions.n_users)
    events = Interactions(
        items=mapped[known].astype(np.int32),
        timestamps=np.ascontiguousarray(read.interactions.timestamps)[known],
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        n_items=len(data.item_ids),
    )
    own = KnownData(
        **{**vars(data), "interactions": events, "user_ids": np.asarray(read.user_ids).astype(np.str_)},
    )
    asked = known_users(own, names)
    return Asked(asked.names, asked.histories, tuple(notes))


def recommendations(model: SavedModel, asked: Asked, k: int) -> pd.DataFrame:
    """The best items for each user, one row a user and rank; columns: `RECOMMENDATION_COLUMNS` and the items' texts.

    Args:
        model: Fitted.
        asked: For whom.
        k: Longest list; lists are shorter where a model has nothing more to say.

    Raises:
        BenchError: `k` is not positive.
    """
    if k < 1:
        raise BenchError(f"k = {k}: ask for at least one item")
    k, data = min(k, len(model.data.item_ids)), model.data
    sids = checked_sid_of_item(model.recommender.sid_of_item, len(data.item_ids))
    parts = []
    for start in range(0, len(asked.names), _BATCH):
        histories = asked.histories.batch(start, min(start + _BATCH, len(asked.names)))
        try:
            answer = checked(model.recommender.recommend(histories.copy(), k), histories, k, sids)
        except ContractError as error:
            raise BenchError(f"model '{model.spec.model}' breaks its contract: {error}") from None
        query, place = np.nonzero(answer.items >= 0)
        items = answer.items[query, place]
        parts.append(
            pd.DataFrame(
                {
                    "user": asked.names[start + query],
                    "rank": place + 1,
                    "item": data.item_ids[items],
                    "score": answer.scores[query, place],
                    "repeat": histories.seen()[query, items],
                    "index": items,
                }
            )
        )
    return _with_texts(pd.concat(parts, ignore_index=True), data)


def _with_texts(table: pd.DataFrame, data: KnownData) -> pd.DataFrame:
    items = table.pop("index").to_numpy()
    for place, column in enumerate(column for column in data.text_columns if column in data.columns):
        name = column if column not in table else f"item:{column}"
        table.insert(3 + place, name, data.columns[column].to_numpy()[items])
    return table


def users_in(path: Path) -> list[str]:
    """The ids in a text file, one a line.

    Raises:
        BenchError: It can't be read, or is empty.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"'{path}' can't be read ({error}): give a text file with one user a line") from None
    if not names:
        raise BenchError(f"'{path}' is empty: give a text file with one user a line")
    return names


OUTPUTS = (".csv", ".parquet", ".jsonl")


def check_output(path: Path) -> None:
    """Makes sure, before anything is computed, that a file of recommendations can have that name.

    Raises:
        BenchError: Its suffix tells of no format.
    """
    if path.suffix not in OUTPUTS:
        raise BenchError(f"--output {path}: the file should end in {', '.join(OUTPUTS)}")


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes recommendations in the format of the file's suffix.

    Raises:
        BenchError: The folder can't be written to.
    """
    check_output(path)
    try:
        with replaced(path) as temporary:
            if path.suffix == ".parquet":
                table.to_parquet(temporary, index=False)
            elif path.suffix == ".jsonl":
                table.to_json(temporary, orient="records", lines=True, force_ascii=False)
            else:
                table.to_csv(temporary, index=False)
    except OSError as error:
        raise BenchError(f"can't write '{path}': {error.strerror}") from None


def first_users(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows of the first few users."""
    return table[table["user"].isin(list(itertools.islice(dict.fromkeys(table["user"]), most)))]
