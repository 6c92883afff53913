"""The users who are set aside: who may look at their ranks, and the record that every look leaves.

Each run of a data set with `confirm` ranks the users who are set aside, too, and stores these ranks sealed, in a file
of its own (`bench.execution.store`). No report, comparison, export or search reads it. `python -m bench confirm` opens
the seals of all runs of a plan together, once they are complete, and writes down that it did: `look-1.json`, with the
time, the commit, the machine and every configuration, and `look-1.parquet` with the ranks, both small enough to be
committed. A run is opened once. A configuration that is chosen after that has other keys, so that confirming it is a
second look, and every report says so. The records of a data set lie in one place for all suites, `RESULTS/confirm/`:
its users are the same in all of them, and whoever has seen them in one suite has seen them.

A seal is a promise and no lock: whoever reads the file by other means leaves no record. What a commit shows is that the
ranks were made by the runs whose digests stand in it, and how often they were opened this way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from bench.data.set_aside import SALT
from bench.errors import BenchError
from bench.execution import environment
from bench.execution.rank_files import read_ranks, write_ranks
from bench.execution.store import ResultStore, UnreadableResultError
from bench.files import replaced
from bench.plain_text import one_line
from bench.spec import DatasetSpec, RunResult, RunSpec
from bench.text_files import read_text_file

_SCHEMA = 1
_MOST_BYTES = 16 * 2**20
_FILE = re.compile(r"look-([1-9]\d{0,5})\.json")
_OF_LISTS = ("list_popularity", "list_novelty", "new_items")
"""Columns that say nothing of the targets; they would make the file several times as large."""


class OpenedRun(BaseModel):
    """A run in a record.

    Attributes:
        key, label, model, revision, seed, config: Of its spec.
        commit, device: Of the code that trained it, and what that ran on.
        sealed: SHA-256 of the sealed file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    label: str
    model: str
    revision: NonNegativeInt
    seed: NonNegativeInt
    config: dict[str, Any]
    commit: str
    device: str
    sealed: str


class Look(BaseModel):
    """The record of one look at the users who are set aside.

    Attributes:
        number: 1 for the first.
        suite, dataset: For which suite it was, and the label of the data set there.
        data_hash: Content hash of the data set.
        opened: ISO time.
        commit: Of the code that broke the seals.
        machine, versions: Where that was.
        share, salt: Who is set aside, see `bench.data.set_aside`.
        queries: Of the users who are set aside.
        runs: Those whose seals were broken.
        ranks: SHA-256 of the parquet file beside the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    suite: str
    dataset: str
    data_hash: str
    opened: str
    commit: str
    machine: str
    versions: dict[str, str]
    share: float
    salt: str
    queries: NonNegativeInt
    runs: tuple[OpenedRun, ...]
    ranks: str

    @property
    def rows(self) -> list[str]:
        """Labels of the rows that were opened."""
        return list(dict.fromkeys(run.label for run in self.runs))


@dataclass(frozen=True)
class Opening:
    """What came of asking for a look.

    Attributes:
        looks: All records, the newest last.
        is_new: Whether the last of them was made now; False where its runs had all been opened before.
    """

    looks: tuple[Look, ...]
    is_new: bool


def folder_of(results_dir: Path, dataset: DatasetSpec) -> Path:
    """Names the folder of the records of one data set, under whatever rules its queries are made."""
    return results_dir / "confirm" / dataset.name


def looks_at(folder: Path) -> tuple[Look, ...]:
    """Reads the records, oldest first.

    Raises:
        BenchError: One is missing, or can't be read. A record that is gone would hide a look.
    """
    files = [(int(match[1]), path) for path in folder.glob("look-*.json") if (match := _FILE.fullmatch(path.name))]
    looks = []
    for place, (number, path) in enumerate(sorted(files), start=1):
        if number != place:
            raise BenchError(f"{folder}: look-{place}.json is missing: restore it, for no look may be forgotten")
        looks.append(_read(path, number))
    return tuple(looks)


def open_seals(results: Sequence[RunResult], results_dir: Path, suite: str) -> Opening:
    """Opens the sealed ranks of complete runs that no look has opened yet, and records that.

    Args:
        results: Complete, all of one data set with `confirm`.
        results_dir: Where results live.
        suite: Its name.

    Raises:
        BenchError: A sealed file is missing or has changed, or the record can't be written.
    """
    dataset = results[0].spec.dataset
    folder = folder_of(results_dir, dataset)
    looks = looks_at(folder)
    ranks_of(looks, folder)  # whose files may have changed, or be gone
    opened = {run.key for look in looks for run in look.runs}
    new = {result.spec.key: result for result in results if result.spec.key not in opened}
    if not new:
        return Opening(looks, False)
    store = ResultStore(results_dir)
    try:
        tables = {key: store.break_seal(result.spec) for key, result in new.items()}
        digests = {key: store.sealed_digest(result.spec) for key, result in new.items()}
    except (OSError, UnreadableResultError) as error:
        raise BenchError(f"{one_line(str(error))}: make the run again, with `bench run`") from None
    number = len(looks) + 1
    try:
        ranks = write_ranks(tables, folder / f"look-{number}.parquet", _OF_LISTS)
        look = Look(
            number=number,
            suite=suite,
            dataset=dataset.label,
            data_hash=results[0].spec.data_hash,
            opened=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            commit=environment.commit(),
            machine=environment.device_name("cpu"),
            versions=environment.versions(),
            share=dataset.confirm or 0.0,
            salt=SALT,
            queries=len(next(iter(tables.values()))),
            runs=tuple(_opened(result, digests[key] or "") for key, result in new.items()),
            ranks=ranks,
        )
        with replaced(folder / f"look-{number}.json") as temporary:
            content = {"schema": _SCHEMA, **look.model_dump(mode="json")}
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"can't write to '{folder}': {error.strerror}") from None
    return Opening((*looks, look), True)


def ranks_of(looks: Sequence[Look], folder: Path) -> dict[str, pd.DataFrame]:
    """Content key -> the ranks of the users who are set aside, of every run that a look has opened.

    Raises:
        BenchError: A file of ranks is missing, or not the one that its record names.
    """
    tables: dict[str, pd.DataFrame] = {}
    for look in looks:
        path = folder / f"look-{look.number}.parquet"
        try:
            tables |= read_ranks(path, [run.key for run in look.runs], look.ranks)
        except (OSError, ValueError) as error:
            raise BenchError(f"{path}: {one_line(str(error))}: restore it") from None
    return tables


def _opened(result: RunResult, digest: str) -> OpenedRun:
    spec: RunSpec = result.spec
    made: Mapping[str, Any] = result.environment
    return OpenedRun(
        key=spec.key,
        label=spec.label,
        model=spec.model,
        revision=spec.revision,
        seed=spec.seed,
        config=spec.config,
        commit=str(made.get("commit") or ""),
        device=str(made.get("device_name") or made.get("device") or ""),
        sealed=digest,
    )


def _read(path: Path, number: int) -> Look:
    try:
        content = json.loads(read_text_file(path, _MOST_BYTES))
        if content.pop("schema", None) != _SCHEMA:
            raise ValueError("written by another version of this program")
        look = Look.model_validate(content)
        if look.number != number:
            raise ValueError(f"is the record of look {look.number}")
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise BenchError(f"{path}: {one_line(str(error))}: restore it") from None
    return look
