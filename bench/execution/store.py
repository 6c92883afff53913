"""Results on disk: one folder per run, complete or not there at all.

`RESULTS/runs/DATASET/MODEL/s{seed}-{key}/` holds `result.json` (everything but the tables), `queries.parquet` (one row
per test query), `decoding.parquet` (likewise; only of models that generate semantic IDs) and `log.txt` (what the run
printed, and the traceback of a failure).
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.json_text import parse_json
from bench.spec import RunResult, RunSpec

_SCHEMA = 1
"""Raise it when `result.json` changes its meaning; results of another schema are run again."""


class UnreadableResultError(Exception):
    """A stored result that can't be used; the message names the file and what is wrong with it."""


class ResultStore:
    """The runs below one results folder. Safe for several processes at once: the last writer of a run wins."""

    def __init__(self, results_dir: Path) -> None:
        self.runs = results_dir / "runs"

    def folder(self, spec: RunSpec) -> Path:
        return self.runs / spec.dataset.label / spec.model / f"s{spec.seed}-{spec.key}"

    def load(self, spec: RunSpec) -> RunResult | None:
        """The stored result of a run under the label of `spec`, or None when there is none.

        Raises:
            UnreadableResultError: A file is truncated, malformed, or of another version.
        """
        folder = self.folder(spec)
        if not folder.is_dir():
            return None
        file = folder / "result.json"
        try:
            content = parse_json(file.read_text(encoding="utf-8"), finite=False)
            if content.pop("schema") != _SCHEMA:
                raise ValueError("written by another version of this program")
            if RunSpec.model_validate(content.pop("spec")).key != spec.key:
                raise ValueError("belongs to another run")
            result = RunResult(spec=spec, **content)
            if result.status == "complete":
                file = folder / "queries.parquet"
                result.queries = pq.read_table(file).to_pandas()
                file = folder / "decoding.parquet"
                result.decoding = pq.read_table(file).to_pandas() if file.exists() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise UnreadableResultError(f"unreadable result file '{file}' ({_one_line(error)})") from error
        return result

    def save(self, result: RunResult, log: str = "") -> None:
        """Stores a result in place of any earlier one of the same run.

        The folder is written beside its place and moved there when complete, so that no reader ever meets half of it.
        """
        place = self.folder(result.spec)
        written = place.with_name(f".{place.name}.{os.getpid()}.new")
        retired = place.with_name(f".{place.name}.{os.getpid()}.old")
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir(parents=True)
        try:
            (written / "result.json").write_text(_as_json(result), encoding="utf-8")
            (written / "log.txt").write_text(log, encoding="utf-8")
            if result.queries is not None:
                _write_table(result.queries, written / "queries.parquet")
            if result.decoding is not None:
                _write_table(result.decoding, written / "decoding.parquet")
            if place.exists():  # a folder with content can't be replaced in one step
                place.replace(retired)
            written.replace(place)
        finally:
            shutil.rmtree(written, ignore_errors=True)
            shutil.rmtree(retired, ignore_errors=True)


def _as_json(result: RunResult) -> str:
    content: dict[str, Any] = {"schema": _SCHEMA, "spec": result.spec.model_dump(mode="json")}
    tables = ("queries", "decoding")
    content |= {f.name: getattr(result, f.name) for f in fields(result) if f.name not in ("spec", *tables)}
    return json.dumps(content, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    """Arrays and NumPy scalars as JSON values; anything else that a model left in its diagnostics as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _write_table(queries: pd.DataFrame, path: Path) -> None:
    # Without pandas' metadata, which names library versions, the same ranks are the same bytes.
    table = pa.Table.from_pandas(queries, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
