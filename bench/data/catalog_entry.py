"""What a source of data says of each of its data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.data.dataset import Dataset


@dataclass(frozen=True)
class CatalogEntry:
    """A data set before it is loaded.

    Attributes:
        summary: One line for `bench list datasets`.
        licence: What its users may do, in one sentence.
        source: Whom to cite, and where this copy comes from.
        load: Reads it; the hash, the rule on seen items and the like are then part of the `Dataset`.
        find: Looks for its files without reading them, and raises a `MissingDataError` that says what to do where they
            are not on this machine.
    """

    summary: str
    licence: str
    source: str
    load: Callable[[], Dataset]
    find: Callable[[], object] = lambda: None
