"""CSV files of any schema, read back as frames of today's columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.analysis.columns import SCHEMA, TESTS, TRIALS, TRIALS_SCHEMA
from bench.analysis.declared import FrameColumns
from bench.errors import BenchError, reason_of


def read_frame(path: Path, declared: FrameColumns) -> pd.DataFrame:
    """A CSV file as a frame, whichever version of this program wrote it.

    Args:
        path: Of a file that `DatasetFrames.write` or an earlier version wrote.
        declared: What it holds, e.g. `bench.analysis.columns.METRICS`.

    Returns:
        A frame with the declared columns. What an older file does not tell, such as the model behind a row, is blank;
        `schema` is that of the file.

    Raises:
        BenchError: The file is unreadable, of a later version, or holds something else.
    """
    try:
        frame = pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:  # pandas' errors of parsing and of encoding are among these
        raise BenchError(f"unreadable file '{path}' ({reason_of(error)}): `bench report` writes it anew") from None
    latest, first_with_rows = (TRIALS_SCHEMA, 2) if declared is TRIALS else (SCHEMA, 5)
    version = _version(frame, path, latest)
    if version < first_with_rows:
        frame = frame.rename(columns={"model": "row"})
    if version < 4 and declared is TESTS:
        frame = frame.rename(columns={"family": "partition"})
    lacking = [name for name in ("row", "metric", "first") if name in declared.names and name not in frame]
    if lacking:
        raise BenchError(f"'{path}' is no {declared.file} of this program: it has no column '{lacking[0]}'")
    return frame.assign(schema=version).reindex(columns=declared.names)


def _version(frame: pd.DataFrame, path: Path, latest: int) -> int:
    """The schema of a file, of `1 .. latest`; the first had no column for it.

    Raises:
        BenchError: It is none that this program knows.
    """
    versions = set(frame["schema"]) if "schema" in frame else {1}
    if len(versions) == 1 and versions <= set(range(1, latest + 1)):
        return int(versions.pop())
    listed = ", ".join(sorted(map(str, versions))) or "none"
    known = f"this program knows 1 to {latest}"
    raise BenchError(f"'{path}' has schema {listed}, and {known}: use the version that wrote it")
