"""The per-query tables of many runs on the same queries in one small file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.files import replaced

_OF_A_RUN = re.compile(r"([0-9a-f]{16})/(.*)", re.DOTALL)
"""Name of a column whose values are those of one run alone: its content key, and the column of its table."""


def write_ranks(tables: Mapping[str, pd.DataFrame], path: Path, leave_out: Collection[str] = ()) -> str:
    """Writes the tables of several runs, each column once where it is the same in all of them.

    Args:
        tables: Content key of a run -> its table, one row a query, the same queries in all of them.
        path: Of the parquet file.
        leave_out: Columns that are not kept.

    Returns:
        The SHA-256 of the file.

    Raises:
        ValueError: The tables are of different numbers of queries.
    """
    lengths = {len(table) for table in tables.values()}
    if len(lengths) > 1:
        raise ValueError(f"tables of {sorted(lengths)} queries don't fit into one file")
    columns: dict[str, pa.Array] = {}
    names = dict.fromkeys(str(column) for table in tables.values() for column in table)
    for name in [name for name in names if name not in leave_out]:
        held = {key: pa.array(table[name]) for key, table in tables.items() if name in table}
        first, *others = held.values()
        if len(held) == len(tables) and all(other.equals(first) for other in others):
            columns[name] = first
        else:
            columns |= {f"{key}/{name}": values for key, values in held.items()}
    # Fractions hardly repeat: byte by byte they take less than as a dictionary.
    fractions = [name for name, values in columns.items() if pa.types.is_floating(values.type)]
    others = [name for name in columns if name not in fractions]
    small = {"use_dictionary": others, "use_byte_stream_split": fractions, "compression": "zstd"}
    with replaced(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression_level=19, **small)
        return hashlib.sha256(temporary.read_bytes()).hexdigest()


def read_ranks(path: Path, keys: Collection[str], digest: str) -> dict[str, pd.DataFrame]:
    """Reads what `write_ranks` wrote.

    Args:
        path: Of the parquet file.
        keys: The runs whose tables are wanted.
        digest: The file's SHA-256.

    Returns:
        Key -> table; the columns are in the order of the file.

    Raises:
        OSError: It can't be read.
        ValueError: It is another file, or no table.
    """
    held = path.read_bytes()
    if hashlib.sha256(held).hexdigest() != digest:
        raise ValueError("not the file that was written")
    whole = pq.ParquetFile(pa.BufferReader(held)).read(use_threads=False).to_pandas(use_threads=False)
    tables: dict[str, dict[str, pd.Series]] = {key: {} for key in keys}
    for column in map(str, whole):
        of_a_run = _OF_A_RUN.fullmatch(column)
        for key, table in tables.items():
            if of_a_run is None:
                table[column] = whole[column]
            elif of_a_run[1] == key:
                table[of_a_run[2]] = whole[column]
    return {key: pd.DataFrame(table, index=pd.RangeIndex(len(whole))) for key, table in tables.items()}
