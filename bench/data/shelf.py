"""Data sets that a process has read: every run gets the same bytes, whatever the one before did to them.

The arrays of a data set on the shelf refuse to be written into. That can be circumvented (a tensor that shares an
array's memory asks nobody), so their content is compared with what was read after every run.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset

_CHUNK = 1 << 22
"""Entries of an array that are hashed at a time."""

_DEEPEST = 5


class Shelf:
    """Reads data sets, and keeps the latest few.

    Args:
        read: Reads the data set of a name, from files of the user's own where some are given.
        most: How many stay on the shelf.
    """

    def __init__(self, read: Callable[[str, DataFiles | None, int | None], Dataset], most: int) -> None:
        self._read, self._most = read, most
        self._datasets: OrderedDict[tuple[str, DataFiles | None, int | None], tuple[Dataset, str]] = OrderedDict()

    def __call__(self, name: str, files: DataFiles | None = None, sample_users: int | None = None) -> Dataset:
        """The data set of that name, read once per process.

        Args:
            name: A registered name; any name for data of the user's own.
            files: Where such data lie. None: the name is registered.
            sample_users: Of how many users a fixed sample is taken (`user_sample`). None: all of them stay.

        Raises:
            BenchError: Nobody registered the name, or its files are missing or malformed.
        """
        key = name, files, sample_users
        if key not in self._datasets:
            dataset = self._read(*key)
            for array in _arrays(dataset):
                _refuse_writes(array)
            self._datasets[key] = dataset, digest(dataset)
        self._datasets.move_to_end(key)
        while len(self._datasets) > self._most:
            self._datasets.popitem(last=False)
        return self._datasets[key][0]

    def cache_clear(self) -> None:
        """Forgets everything that was read."""
        self._datasets.clear()

    def changed(self) -> list[str]:
        """Names the data sets that are not what was read any more; the next call reads them anew."""
        changed_keys = [key for key, (dataset, read) in self._datasets.items() if digest(dataset) != read]
        for key in changed_keys:
            del self._datasets[key]
        return [key[0] for key in changed_keys]


def digest(value: Any) -> str:
    """Makes a hash of the arrays and tables in a value, comparable within this process.

    What is mapped from a file and can't be written into counts by its shape alone: it may be larger than memory.
    """
    hashed = hashlib.sha256()
    for part in _parts(value, 0):
        if isinstance(part, np.ndarray):
            hashed.update(f"{part.dtype.str}{part.shape}".encode())
            for entries in _entries(part):
                hashed.update(entries)
        else:
            hashed.update(f"{_hash(part)}".encode())
    return hashed.hexdigest()


def _entries(array: NDArray[Any]) -> Iterator[bytes]:
    if isinstance(array, np.memmap) and not array.flags.writeable:
        return
    if array.dtype.hasobject:
        yield str(_hash(array.ravel().tolist())).encode()
        return
    flat = array[:1].reshape(-1) if array.strides and array.strides[0] == 0 else array.reshape(-1)
    for start in range(0, len(flat), _CHUNK):
        yield flat[start : start + _CHUNK].tobytes()


def _hash(values: Any) -> int:
    """Of text and numbers, which are quick to hash in Python; of anything else by its text."""
    try:
        return hash(tuple(values) if isinstance(values, list) else values)
    except TypeError:
        return hash(repr(values))


def _parts(value: Any, depth: int) -> Iterator[Any]:
    """The arrays, columns and plain values in an object, its fields, and the fields of these."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, pd.DataFrame):
        yield value.columns.tolist()
        yield repr(value.index) if isinstance(value.index, pd.RangeIndex) else value.index.tolist()
        for index in range(value.shape[1]):
            yield _column(value.iloc[:, index])
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _parts(entry, depth + 1)
    elif depth < _DEEPEST and hasattr(value, "__dict__") and not isinstance(value, type):
        for name, entry in vars(value).items():
            yield name
            yield from _parts(entry, depth + 1)
    elif isinstance(value, str | int | float | bool | None):
        yield value


def _column(values: pd.Series) -> Any:
    """Numbers as an array, anything else as a list, in which NaN, that equals nothing, is None."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufb":
        return values.to_numpy()
    return values.astype(object).where(values.notna(), None).tolist()


def _arrays(value: Any) -> Iterator[NDArray[Any]]:
    return (part for part in _parts(value, 0) if isinstance(part, np.ndarray))


def _refuse_writes(array: Any) -> None:
    """Makes an array read-only, with those whose memory it shows."""
    while isinstance(array, np.ndarray):
        array.flags.writeable = False
        array = array.base
