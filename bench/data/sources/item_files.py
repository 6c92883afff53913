"""Reads what is known of items from files of any origin: a table with text, embeddings beside it, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bench.data.events import ItemFacts
from bench.data.parsing.cells import Table
from bench.data.parsing.ids import NO_NUMBER
from bench.errors import BenchError, message_of

CATEGORY_NAMES = ("category", "categories", "genre", "genres")
"""Columns that hold an item's category where none is named, in small letters, the best first."""


def read_item_facts(
    items: Path | None,
    embeddings: Path | None,
    item_column: str | None = None,
    text: Sequence[str] | None = None,
    category: str | None = None,
) -> ItemFacts | None:
    """Reads an item table, item embeddings, or both.

    Args:
        items: A CSV, TSV or parquet file with one row an item. Lists of words become text. None: there is none.
        embeddings: Either a `.npy` file `[n, dims]` whose rows are those of `items`, or a parquet file with the
            items' ids and one column of lists; an item may be without one. Numbers of any float type, or int8 (value =
            int8 / 127). None: there are none.
        item_column: The column of ids, if it is called so; else one with a usual name.
        text: The columns that describe an item. None: all whose cells aren't numbers.
        category: The column of the items' category. Of a list, or of words with "|" between them, the first counts.
            None: the one with a usual name, if there is one.

    Returns:
        None where both files are None. An item of the embeddings that the table doesn't know follows the others.

    Raises:
        BenchError: A file can't be used; the message names file and row or column.
    """
    if items is None and embeddings is None:
        if text or category:
            raise BenchError(f"{'--text' if text else '--category'} names a column of the item table; give --items too")
        return None
    facts = _read_table(items, item_column, text, category) if items is not None else None
    if embeddings is None:
        return facts
    if embeddings.suffix.lower() == ".npy":
        if facts is None or items is None:
            raise BenchError(f"{embeddings}: whose are these rows? Give --items, a table with one row an item, as well")
        vectors = _read_npy(embeddings)
        if len(vectors) != len(facts.ids):
            raise BenchError(f"{embeddings} has {len(vectors):,} rows, but {items} has {len(facts.ids):,}")
        return replace(facts, embeddings=vectors)
    if embeddings.suffix.lower() == ".parquet":
        vectors_table, ids, vectors = _read_vectors(embeddings, item_column)
        return _joined(facts, ids, vectors, _notes(vectors_table))
    raise BenchError(f"{embeddings}: embeddings come as .npy or .parquet")


def _read_table(path: Path, item_column: str | None, text: Sequence[str] | None, category: str | None) -> ItemFacts:
    table, ids, id_column = _with_ids(path, item_column)
    columns, numeric = {}, set()
    for name in table.names:
        if name != id_column:
            columns[name], is_numeric = _column(table.cells[name])
            numeric |= {name} if is_numeric else set()
    for option, named in (("--text", text or ()), ("--category", [category] if category else ())):
        for name in named:
            if name not in columns:
                raise BenchError(f"{path} has no column '{name}' ({option}); it has {', '.join(columns) or 'ids only'}")
    if category is None:
        category = next((name for usual in CATEGORY_NAMES for name in columns if name.lower() == usual), None)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(ids)))
    words = tuple(text) if text is not None else tuple(name for name in columns if name not in numeric)
    for name in words:
        if pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].map(lambda value: "" if pd.isna(value) else f"{value:g}")
    categories = None if category is None else _categories(table.cells[category])
    return ItemFacts(ids, frame, words, categories, notes=_notes(table))


def _with_ids(path: Path, item_column: str | None) -> tuple[Table, NDArray[np.str_], str]:
    """A table, its items' ids by row, and the column where they stand."""
    table = Table(path)
    column = item_column if item_column in table.names else table.find("item", None, "--item")
    assert column is not None
    table.fail_at(table.missing(column), column, "is empty; every item needs an id")
    codes, names = table.ids(column)
    table.fail_at(pd.Series(codes).duplicated().to_numpy(), column, "describes item '{}' a second time; remove one row")
    return table, names[codes], column


def _notes(table: Table) -> tuple[str, ...]:
    """Tells what reading a table of items decided, said of its file."""
    return tuple(f"{table.path.name}: {note}" for note in table.notes)


def _column(cells: pa.ChunkedArray) -> tuple[pd.Series, bool]:
    """A column as text without nulls or as float64, and whether its cells are numbers."""
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        return cells.to_pandas().astype(np.float64), True
    values = cells.to_pandas()
    if pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        return values.map(lambda words: "" if words is None else " ".join(map(str, words))), False
    texts = values.map(lambda value: "" if pd.isna(value) else str(value))  # pandas 3 has NaN for a missing text
    filled = texts[~texts.str.strip().isin(["", *NO_NUMBER])]
    if not len(filled) or not pd.to_numeric(filled, errors="coerce").notna().all():
        return texts, False
    return texts.mask(texts.str.strip().isin(list(NO_NUMBER)), ""), True


def _categories(cells: pa.ChunkedArray) -> pd.Series:
    """The first of each cell's categories, "" where there is none."""
    if pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        return cells.to_pandas().map(lambda names: "" if names is None or not len(names) else str(names[0]))
    return _column(cells)[0].astype(str).str.split("|").str[0].str.strip()


def _read_npy(path: Path) -> NDArray[np.float32] | NDArray[np.int8]:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "it holds Python objects, or is no .npy file" if "pickle" in str(error) else message_of(error)
        raise BenchError(f"{path} is no readable array of numbers ({reason})") from None
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise BenchError(f"{path} holds an array of shape {vectors.shape}; embeddings are [n_items, dims]")
    return _checked(path, vectors)


def _read_vectors(
    path: Path, item_column: str | None
) -> tuple[Table, NDArray[np.str_], NDArray[np.float32] | NDArray[np.int8]]:
    """A parquet file, its ids and its embeddings; zeros where the list is null."""
    table, ids, id_column = _with_ids(path, item_column)
    lists = [
        name
        for name in table.names
        if pa.types.is_list(kind := table.cells.schema.field(name).type)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    ]
    if len(lists) != 1:
        raise BenchError(f"{path} has {len(lists)} columns of lists; embeddings need exactly one beside '{id_column}'")
    present = table.cells[lists[0]].is_valid().to_numpy()
    vectors = table.cells[lists[0]].to_pandas()
    lengths = vectors[present].map(len)
    dims = int(lengths.max()) if len(lengths) else 0
    wrong = np.zeros(len(ids), dtype=bool)
    wrong[present] = (lengths != dims).to_numpy()
    if dims == 0 or wrong.any():
        row = f", row {int(wrong.argmax()) + table.first_row}" if wrong.any() else ""
        raise BenchError(f"{path}{row}, column '{lists[0]}': embeddings must all have the same number of dimensions")
    stacked = np.stack(list(vectors[present]))
    result = np.zeros((len(ids), dims), dtype=stacked.dtype)
    result[present] = stacked
    return table, ids, _checked(path, result)


def _checked(path: Path, vectors: NDArray[np.number]) -> NDArray[np.float32] | NDArray[np.int8]:
    if vectors.dtype == np.int8:
        return vectors.astype(np.int8, copy=False)
    if not np.issubdtype(vectors.dtype, np.floating):
        raise BenchError(f"{path} holds numbers of type {vectors.dtype}; embeddings are floats, or int8 (value / 127)")
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise BenchError(f"{path}, row {int(bad.argmax()) + 1}: an embedding holds NaN or an infinite number")
    with np.errstate(over="ignore"):
        narrow = vectors.astype(np.float32, copy=False)
    bad = ~np.isfinite(narrow).all(axis=1)
    if bad.any():
        raise BenchError(f"{path}, row {int(bad.argmax()) + 1}: an embedding holds a number too large for 32 bits")
    return narrow


def _joined(
    facts: ItemFacts | None,
    ids: NDArray[np.str_],
    vectors: NDArray[np.float32] | NDArray[np.int8],
    notes: tuple[str, ...],
) -> ItemFacts:
    """The item table's rows with their embeddings, zeros where there are none, then the items it doesn't know."""
    if facts is None:
        return ItemFacts(ids, pd.DataFrame(index=pd.RangeIndex(len(ids))), (), None, vectors, notes)
    known, given = pd.Index(facts.ids), pd.Index(ids)
    everyone = known.append(given[~given.isin(known)])
    row = given.get_indexer(everyone)
    aligned = np.zeros((len(everyone), vectors.shape[1]), dtype=vectors.dtype)
    aligned[row >= 0] = vectors[row[row >= 0]]
    columns = facts.columns.reindex(pd.RangeIndex(len(everyone)))
    texts = [name for name in columns if not pd.api.types.is_numeric_dtype(facts.columns[name])]
    columns[texts] = columns[texts].fillna("")
    categories = None if facts.categories is None else facts.categories.reindex(columns.index).fillna("")
    return ItemFacts(
        everyone.to_numpy(dtype=np.str_), columns, facts.text_columns, categories, aligned, (*facts.notes, *notes)
    )
