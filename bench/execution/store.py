"""Results on disk: one folder per run, complete or not there at all.

`RESULTS/runs/DATASET/MODEL/s{seed}-{key}/` holds `result.json` (everything but the tables), `queries.parquet` (one row
per test query), `decoding.parquet` (likewise; only of models that generate semantic IDs), `sealed.parquet` (one row
per test query of a user who is set aside; `ResultStore.load` checks that it is the one that the run wrote, and reads
nothing of it) and `log.txt` (what the run printed, and the traceback of a failure).

`result.json` binds them together: it names the SHA-256 of each of the other files (`files`) and of its own content
(`digest`). What has changed since the run wrote it, or was copied from another run, is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from bench.console import say
from bench.execution.archive import read_archive
from bench.execution.content import SEALED, TABLES, as_declared, check_tables, checked_content, content_of
from bench.execution.plain import plain_text
from bench.json_text import parse_json
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec

_SCHEMA = 2
"""Raise it when `result.json` changes its meaning; results of another schema are run again.

Schema 1 had no digests, so that nobody can tell whether its tables are those of the run.
"""


class UnreadableResultError(Exception):
    """A stored result that can't be used; the message names the file and what is wrong with it."""


class ResultStore:
    """The runs below one results folder. Safe for several processes at once: the last writer of a run wins."""

    def __init__(self, results_dir: Path) -> None:
        self.runs = results_dir / "runs"

    def folder(self, spec: RunSpec) -> Path:
        return self.runs / spec.dataset.label / spec.model / f"s{spec.seed}-{spec.key}"

    def load(self, spec: RunSpec, for_report: bool = False) -> RunResult | None:
        """The stored result of a run under the label of `spec`, or None when there is none.

        Args:
            spec: The run.
            for_report: Whether its tables need all columns that a report can't do without.

        Raises:
            UnreadableResultError: A file is truncated, malformed, changed, another run's, or of another version.
        """
        folder = self.folder(spec)
        if not folder.is_dir():
            return None
        file = folder / "result.json"
        try:
            content = _unpacked(file.read_bytes(), spec)
            digests = content.pop("files")
            result = RunResult(spec=spec, **checked_content(content))
            if result.status == "complete" and _file_of("queries") not in digests:
                raise ValueError("names no table of queries")
            for name, digest in digests.items():
                file = folder / name
                table = _verified_bytes(file, digest)
                if name in _FILES and result.status == "complete":
                    setattr(result, _FILES[name], _read_table(table))
            file = folder / "result.json"
            check_tables(result, for_report)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            pa.ArrowException,
        ) as error:
            raise UnreadableResultError(
                f"unreadable result file '{file}' ({one_line(str(error)) or type(error).__name__})"
            ) from error
        return result

    def sealed_digest(self, spec: RunSpec) -> str | None:
        """The SHA-256 of the sealed table of a complete run, which is not read; None where it has none."""
        content = _unpacked((self.folder(spec) / "result.json").read_bytes(), spec)
        digest = content["files"].get(_file_of(SEALED))
        return None if digest is None else str(digest)

    def break_seal(self, spec: RunSpec) -> pd.DataFrame:
        """Reads the ranks of the users who are set aside. Nobody but `bench.execution.confirmation` calls it.

        Raises:
            UnreadableResultError: The table is not there, or not the one that the run wrote.
        """
        file = self.folder(spec) / _file_of(SEALED)
        try:
            return _read_table(_verified_bytes(file, self.sealed_digest(spec) or ""))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise UnreadableResultError(f"unreadable result file '{file}' ({one_line(str(error))})") from error

    def save(self, result: RunResult, log: str = "") -> None:
        """Stores a result in place of any earlier one of the same run.

        The folder is written beside its place and moved there when complete, so that no reader ever meets half of it.
        """
        target = self.folder(result.spec)
        written = target.with_name(f".{target.name}.{os.getpid()}.new")
        retired = target.with_name(f".{target.name}.{os.getpid()}.old")
        for abandoned in target.parent.glob(f".{target.name}.*"):  # by a process that was killed; a run has one writer
            shutil.rmtree(abandoned, ignore_errors=True)
        written.mkdir(parents=True)
        try:
            (written / "log.txt").write_text(plain_text(log), encoding="utf-8")
            for table in (*TABLES, SEALED):
                frame = getattr(result, table)
                if frame is not None and (table != SEALED or result.status == "complete"):
                    _write_table(frame, written / _file_of(table))
            digests = {path.name: _sha256(path.read_bytes()) for path in sorted(written.iterdir())}
            (written / "result.json").write_text(_as_json(result, digests), encoding="utf-8")
            if target.exists():  # a folder with content can't be replaced in one step
                target.replace(retired)
            written.replace(target)
        finally:
            shutil.rmtree(written, ignore_errors=True)
            shutil.rmtree(retired, ignore_errors=True)


def stored_results(
    specs: Sequence[RunSpec], results_dir: Path, console: Console, for_report: bool = False, archive_of: str = ""
) -> list[RunResult]:
    """What is on disk of the given runs; an unreadable result counts as failed and gives one line of warning.

    Args:
        specs: The runs.
        results_dir: Where results live.
        console: For warnings.
        for_report: Whether a result counts as unreadable, too, that lacks something which a report needs.
        archive_of: Name of the suite whose archive (`bench.execution.archive`) tells what is not there. "": none does.

    Raises:
        BenchError: The archive can't be read.
    """
    store = ResultStore(results_dir)
    archives: dict[str, dict[str, RunResult]] = {}
    results = []
    for spec in specs:
        try:
            result = store.load(spec, for_report)
        except UnreadableResultError as error:
            say(console, f"warning: {error}: `bench run` makes it anew")
            result = RunResult(spec=spec, status="failed", reason=str(error))
        if result is None and archive_of:
            label = spec.dataset.label
            if label not in archives:
                archives[label] = read_archive(results_dir / archive_of / label)
            held = archives[label].get(spec.key)
            result = None if held is None else replace(held, spec=spec)
        if result is not None:
            results.append(result)
    return results


def _file_of(table: str) -> str:
    return f"{table}.parquet"


_FILES = {_file_of(table): table for table in TABLES}


def _as_json(result: RunResult, digests: dict[str, str]) -> str:
    content = {
        "schema": _SCHEMA,
        "spec": json.loads(result.spec.model_dump_json()),
        **content_of(result),
        "files": digests,
    }
    return json.dumps({**content, "digest": _digest(content)}, indent=1)


def _unpacked(written: bytes, spec: RunSpec) -> dict[str, Any]:
    """What `_as_json` was given, without the spec.

    Raises:
        ValueError: It is of another version, belongs to another run, or is not what was written.
    """
    content: Any = parse_json(written.decode("utf-8"), finite=False)
    if not isinstance(content, dict):
        raise ValueError("holds no result")
    if content.get("schema") != _SCHEMA:
        raise ValueError("written by another version of this program")
    if RunSpec.model_validate(content["spec"]).key != spec.key:
        raise ValueError("belongs to another run")
    if content.pop("digest") != _digest(content):
        raise ValueError("has changed since the run wrote it")
    files = content["files"]
    if not (isinstance(files, dict) and all(Path(name).name == name for name in files)):
        raise ValueError("names no files")
    return {name: value for name, value in content.items() if name not in ("schema", "spec")}


def _verified_bytes(file: Path, digest: str) -> bytes:
    """What a file holds.

    Raises:
        OSError: It is not there.
        ValueError: It is not the file that the run wrote.
    """
    held = file.read_bytes()
    if _sha256(held) != digest:
        raise ValueError("not the file that this run wrote")
    return held


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 of JSON values, however they are laid out in a file."""
    return _sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def _sha256(held: bytes) -> str:
    return hashlib.sha256(held).hexdigest()


def _read_table(held: bytes) -> pd.DataFrame:
    # In this thread: handing a small table to Arrow's own takes longer than reading it.
    return pq.ParquetFile(pa.BufferReader(held)).read(use_threads=False).to_pandas(use_threads=False)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    # Without pandas' metadata, which names library versions, the same ranks are the same bytes.
    written = pa.Table.from_pandas(as_declared(table), preserve_index=False).replace_schema_metadata(None)
    pq.write_table(written, path, compression="zstd")
