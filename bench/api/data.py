"""Data as Python has them: a registered name, a path, or a table in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from bench.analysis.data_card import DataCard, make_card
from bench.cli.dataset_options import chosen_dataset
from bench.data import catalog
from bench.errors import BenchError, SkippedRun, unknown_name
from bench.plain_text import one_line
from bench.spec import DatasetSpec

Data: TypeAlias = str | os.PathLike[str] | pd.DataFrame
"""A registered data set, the path of one's own, or a table with one row an event."""

_TABLES = ("items", "embeddings")
"""Options that name a file, and may be a table instead."""


def describe(data: Data, **reading: Any) -> DataCard:
    """The data card of a data set: sizes, lengths, repeats, splits, licence, hash.

    Args:
        data: A registered name, a path, or a table with one row an event.
        reading: How data of one's own are read and judged: the options of `bench data describe`, by keyword
            (`user="reader"`, `protocol="temporal"`, `items=table`).

    Returns:
        The card; `card.table()` is all of it as a table.

    Raises:
        BenchError: The data can't be used so.
    """
    with own_errors(), as_spec(data, reading) as spec:
        dataset = catalog.load_dataset(spec.name, spec.files, spec.sample_users)
        return make_card(dataset, spec.protocol, spec.seen_items, spec.cold_targets, spec.confirm)


@contextmanager
def as_spec(data: Data, reading: Mapping[str, Any]) -> Iterator[DatasetSpec]:
    """What a suite would say of the data; tables lie in files until the block ends.

    Raises:
        BenchError: There are no such data, or an option does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        named = as_path(data, Path(folder))
        catalog.load_dataset.cache_clear()  # in a long session, files change
        yield chosen_dataset(named, as_reading(reading, Path(folder)), "data")


def as_path(data: Data, folder: Path) -> str:
    """The name or path of data; a table is written into a folder first, whose name tells its content."""
    if isinstance(data, pd.DataFrame):
        return str(_written(data, folder, "data"))
    if not isinstance(data, str | os.PathLike):
        raise BenchError(f"data: a {type(data).__name__}: give a registered name, a path or a pandas DataFrame")
    return os.fspath(data)


def as_reading(reading: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options in use, with tables in files.

    Raises:
        BenchError: There is no such option.
    """
    known = [key for key in DatasetSpec.model_fields if key not in ("name", "path")]
    for key in reading:
        if key not in known:
            raise unknown_name("option", key, known)
    used = {key: value for key, value in reading.items() if value is not None and value is not False}
    return {
        key: str(_written(value, folder, key))
        if key in _TABLES and isinstance(value, pd.DataFrame)
        else os.fspath(value)
        if isinstance(value, os.PathLike)
        else value
        for key, value in used.items()
    }


@contextmanager
def own_errors() -> Iterator[None]:
    """Lets one family of exceptions out: what can't be done here is an error as any other."""
    try:
        yield
    except SkippedRun as skipped:
        if isinstance(skipped, BenchError):
            raise
        raise BenchError(one_line(str(skipped))) from skipped


def _written(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """A table as a parquet file in a folder that is named after its content."""
    plain = table.rename(columns=str)
    mixed = {column: plain[column].astype(str) for column in plain if plain[column].dtype == "category"}
    plain = plain.assign(**mixed)
    try:
        digest = hashlib.sha256(pd.util.hash_pandas_object(plain, index=False).to_numpy().tobytes())
        digest.update(repr(list(plain.columns)).encode())
        path = folder / digest.hexdigest()[:16] / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain.to_parquet(path, index=False)
    except (TypeError, ValueError, OSError) as error:
        raise BenchError(f"{name}: the table can't be written to a file ({error})") from None
    return path
