"""Columns that say what kind of event a row is: named, counted, and left out by on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.data.parsing.cells import Table, is_text
from bench.data.parsing.columns import is_value, tells_kinds, tells_kinds_by, tells_ratings, usual
from bench.data.parsing.ids import NO_NUMBER, canonical, merged
from bench.errors import BenchError

_SHOWN, _HEAD = 5, 1000
_MOST_KINDS = 100
"""A column with more values than that doesn't tell kinds apart, unless they are numbers."""


@dataclass(frozen=True)
class Kinds:
    """Which events count.

    Attributes:
        keep: Column and the values that stay, for each column of which not all do.
        min_rating: The smallest rating that stays. None: all stay.
        rating: The column of ratings. None: the one with a usual name.
    """

    keep: tuple[tuple[str, tuple[str, ...]], ...] = ()
    min_rating: float | None = None
    rating: str | None = None


def keep_kinds(table: Table, kinds: Kinds) -> list[str]:
    """Leaves out the rows of other kinds, and says how many stay.

    Raises:
        BenchError: There is no such column or value, a rating is no number, or nothing stays.
    """
    notes = []
    for column, values in kinds.keep:
        notes.append(_keep(table, table.find("kind", column, "--keep"), values))
    if kinds.min_rating is not None:
        notes.append(_keep_ratings(table, table.find("rating", kinds.rating, "--rating"), kinds.min_rating))
    elif kinds.rating is not None:
        raise BenchError(f"{table.path}: --rating names the column that --min-rating is about; give both")
    return notes


def tell_kinds(table: Table, kinds: Kinds, needed: Sequence[str]) -> list[str]:
    """Writes a sentence for each column that tells kinds of events apart and had no say."""
    done = {column for column, _ in kinds.keep}
    if kinds.min_rating is not None:
        done |= {kinds.rating} if kinds.rating else set(usual("rating", table.names))
    notes = []
    for column in table.names:
        if column not in done and column not in needed and _has_a_say(table, column):
            notes += _in_words(table, column)
    return notes


def _has_a_say(table: Table, column: str) -> bool:
    """Tells whether a column's name, or the words in its first cells, say that it tells kinds apart."""
    if tells_kinds(column) or tells_ratings(column):
        return True
    head = table.cells[column].slice(0, _HEAD).drop_null()
    return is_text(head.type) and tells_kinds_by(pc.unique(head).to_pylist())


def _in_words(table: Table, column: str) -> list[str]:
    values, counts = _counted(table, column)
    if not values:
        return []
    shown = _listed(values, counts)
    if tells_ratings(column) and _are_numbers(values):
        option = "" if usual("rating", table.names)[:1] == [column] else f" --rating {column}"
        return [
            f"column '{column}' tells how good an event was (most often {shown}); all count alike, "
            f"--min-rating NUMBER{option} leaves out lower ones"
        ]
    if len(values) > _MOST_KINDS:
        return []
    return [
        f"column '{column}' tells kinds of events apart ({shown}); all count alike, --keep {column}={values[0]} "
        "leaves out others"
    ]


def _keep(table: Table, column: str, wanted: tuple[str, ...]) -> str:
    values, counts = _counted(table, column)
    known, chosen_values = set(values), canonical(pa.array(wanted, pa.string())).to_pylist()
    for value in chosen_values:
        if value not in known:
            shown = _listed(values, counts)
            raise BenchError(
                f"{table.path}: column '{column}' holds no '{value}' (--keep); it holds {shown or 'nothing'}"
            )
    chosen = pc.is_in(_texts(table, column), pa.array(chosen_values, pa.string()))
    return _leave(table, chosen.to_numpy(zero_copy_only=False), f"'{column}' is {' or '.join(chosen_values)}")


def _keep_ratings(table: Table, column: str, least: float) -> str:
    table.numbers_if_all(column)
    cells, empty = table.cells[column], table.missing(column, NO_NUMBER)
    if is_text(cells.type):
        ratings = pd.to_numeric(cells.to_pandas(), errors="coerce")
        bad = ratings.isna().to_numpy() & ~empty
        table.fail_at(bad, column, "holds '{}', not a number as --min-rating needs; mend it, or leave it empty")
    elif pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        ratings = cells.to_pandas()
    else:
        raise BenchError(f"{table.path}: column '{column}' holds {cells.type}; ratings are numbers")
    none = f" ({int(empty.sum()):,} rows without one are left out, too)" if empty.any() else ""
    return _leave(table, (ratings >= least).to_numpy(dtype=bool), f"'{column}' is at least {least:g}{none}")


def _leave(table: Table, rows: NDArray[np.bool_], words: str) -> str:
    if not rows.any():
        raise BenchError(f"{table.path}: no row stays of which {words}")
    table.keep(rows)
    return f"only rows of which {words}: {int(rows.sum()):,} of {len(rows):,} stay"


def _texts(table: Table, column: str) -> pa.Array:
    """A column as texts by the rule for ids, so that 1, 1.0 and " 1" are one value."""
    encoded, values = _encoded(table, column)
    return values.take(encoded.indices)


def _counted(table: Table, column: str) -> tuple[list[str], list[int]]:
    """The values of a column, the commonest first; empty cells aside."""
    encoded, values = _encoded(table, column)
    codes = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    merged_codes, names = merged(values)
    counts = np.bincount(merged_codes[codes], minlength=len(names))
    order = [int(code) for code in np.argsort(-counts, kind="stable") if counts[code]]
    texts = names.take(pa.array(order, pa.int64())).to_pylist()
    return [text for text in texts if text], [
        int(counts[code]) for code, text in zip(order, texts, strict=True) if text
    ]


def _encoded(table: Table, column: str) -> tuple[pa.DictionaryArray, pa.Array]:
    """A column by its distinct cells, and these as texts, of which some may be equal."""
    cells = table.cells[column]
    if not (is_text(cells.type) or pa.types.is_primitive(cells.type)):
        raise BenchError(f"{table.path}: column '{column}' holds {cells.type}, which tells no kinds apart")
    encoded = cells.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # older versions of pyarrow
        encoded = encoded.chunk(0)
    return encoded, canonical(encoded.dictionary.cast(pa.string()))


def _listed(values: Sequence[str], counts: Sequence[int]) -> str:
    shown = ", ".join(f"'{value}' {count:,}" for value, count in zip(values[:_SHOWN], counts[:_SHOWN], strict=True))
    return shown + (f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else "")


def _are_numbers(values: Sequence[str]) -> bool:
    return all(is_value(value) for value in values[:_MOST_KINDS])
