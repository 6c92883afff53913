"""The runs of a suite in a few small files that can be committed, so that any number can be made from a clone.

`RESULTS/SUITE/DATASET/runs.json.gz` holds what `result.json` of each run does, `ranks.parquet` the tables of queries of
all of them, each column that they share once, and `decoding.parquet` the traces of semantic-ID models: together about a
quarter of the runs' own folders. `bench archive` writes them, and `RESULTS/SUITE/archived-plan.json` beside them;
`report`, `test`, `leaderboard`, `compare` and `export` read them where the runs' folders are gone. Nothing is rounded.
Ranks of users who are set aside are never among them, nor are the ids of users and items in the data's own files, which
may be somebody else's to publish: queries are told by their numbers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.evaluation.evaluator import ID_COLUMNS
from bench.execution.content import TABLES, as_declared, check_tables, checked_content, content_of
from bench.execution.rank_files import read_ranks, write_ranks
from bench.files import replaced
from bench.json_text import parse_json
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec

_SCHEMA = 1
_RUNS = "runs.json.gz"
_FILES = {"queries": "ranks.parquet", "decoding": "decoding.parquet"}


def write_archive(results: Sequence[RunResult], folder: Path) -> list[Path]:
    """Writes the results of one data set, in place of an earlier archive.

    Args:
        results: Ended runs on the same queries, as `ResultStore.load` gives them.
        folder: `RESULTS/SUITE/DATASET`.

    Returns:
        The files.

    Raises:
        BenchError: The runs answered different queries, or the folder can't be written to.
    """
    by_key = {result.spec.key: result for result in results}
    tables: dict[str, dict[str, Any]] = {}
    try:
        for table in TABLES:
            held: dict[str, pd.DataFrame] = {
                key: as_declared(getattr(result, table)).drop(columns=[*ID_COLUMNS], errors="ignore")
                for key, result in by_key.items()
                if getattr(result, table) is not None
            }
            if held:
                tables[table] = {"sha256": write_ranks(held, folder / _FILES[table]), "runs": list(held)}
            else:
                (folder / _FILES[table]).unlink(missing_ok=True)
        runs = {
            key: {"spec": json.loads(result.spec.model_dump_json()), **content_of(result)}
            for key, result in by_key.items()
        }
        content = {"schema": _SCHEMA, "tables": tables, "runs": runs}
        content["digest"] = _digest(content)
        with replaced(folder / _RUNS) as temporary:
            # Without a time of writing, equal results are equal files.
            temporary.write_bytes(gzip.compress(json.dumps(content, sort_keys=True).encode(), 9, mtime=0))
    except ValueError as error:
        raise BenchError(f"the runs on {folder.name} can't be archived together: {error}") from None
    except OSError as error:
        raise BenchError(f"can't write to '{folder}': {error.strerror}") from None
    return [folder / _RUNS, *(folder / _FILES[table] for table in tables)]


def read_archive(folder: Path) -> dict[str, RunResult]:
    """Content key -> result, of every run in the archive of a data set; nothing where there is none.

    Args:
        folder: `RESULTS/SUITE/DATASET`.

    Raises:
        BenchError: A file is missing, has changed since it was written, or is of another version.
    """
    path = folder / _RUNS
    if not path.is_file():
        return {}
    try:
        content = parse_json(gzip.decompress(path.read_bytes()).decode(), finite=False)
        if content.get("schema") != _SCHEMA:
            raise ValueError("written by another version of this program")
        if content.pop("digest") != _digest(content):
            raise ValueError("has changed since it was written")
        results = {key: _result(key, run) for key, run in content["runs"].items()}
        for table, held in content["tables"].items():
            path = folder / _FILES[table]
            for key, frame in read_ranks(path, held["runs"], held["sha256"]).items():
                setattr(results[key], table, frame)
        for result in results.values():
            check_tables(result)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"unreadable archive '{path}' ({one_line(str(error)) or type(error).__name__})") from None
    return results


def _result(key: str, run: Mapping[str, Any]) -> RunResult:
    spec = RunSpec.model_validate(run["spec"])
    if spec.key != key:
        raise ValueError(f"run '{key}' is another one")
    content = {name: deepcopy(value) for name, value in run.items() if name != "spec"}
    return RunResult(spec=spec, **checked_content(content))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
