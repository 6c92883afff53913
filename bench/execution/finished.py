"""Whether anything has changed since a grid was finished and reported, told by the looks of its files alone.

`RESULTS/SUITE/finished.json` holds the looks of every file that the finished grid consists of: size, number on the disk
(inode), and the times of the last change of content and of anything. A program can set the first time, but not the
second, so that whatever is written, cut, exchanged or copied afterwards looks otherwise; then all results are read and
checked as if there were no such file. Whoever uses a result reads and checks it in any case (`ResultStore.load`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import bench
from bench.execution.store import ResultStore
from bench.files import replaced
from bench.plan import Plan
from bench.spec import RunSpec

_NAME = "finished.json"
_SCHEMA = 1

Looks = dict[str, list[int]]
"""Of the files of a folder: name -> size, inode, times of the last change in nanoseconds."""


class FinishedGrid:
    """What a grid looks like; made anew by each command that may finish it.

    Args:
        results_dir: Where results live.
        suite: Name of the suite.
        asked: All that was asked for, as text: another plan finishes another grid.
        reports: The folder of the suite's report.
    """

    def __init__(self, results_dir: Path, suite: str, asked: str, reports: Path) -> None:
        self._store = ResultStore(results_dir)
        self._plan = Plan.path(results_dir, suite)
        self._path = results_dir / suite / _NAME
        self._made_from = (results_dir / suite, results_dir / "tuning", reports)
        self._asked = hashlib.sha256(f"{reports.resolve()}\n{asked}".encode()).hexdigest()
        self._runs: dict[str, Looks] = {}

    def note(self, *specs: RunSpec) -> None:
        """Takes down what runs' files look like: before they are read, or when they have just been written."""
        for spec in specs:
            self._runs[spec.key] = _looks(self._store.folder(spec))

    def holds(self, specs: Iterable[RunSpec]) -> bool:
        """Whether all runs are complete and reported, and nothing has changed since."""
        kept = self._read()
        if kept is None or kept["asked"] != self._asked or kept["code"] != _code():
            return False
        runs = kept["runs"]
        return kept["report"] == self._report() and all(
            runs.get(key) == _looks(self._store.folder(spec)) for key, spec in {s.key: s for s in specs}.items()
        )

    def write(self) -> None:
        """Writes down the runs that were noted, all of them complete, and the report that was made of them.

        Without room on the disk nothing is written, and the next command reads all results; without the plan neither,
        which is lost where somebody has removed the folder under a grid that went on.
        """
        if not self._plan.is_file():
            return
        content = {
            "schema": _SCHEMA,
            "asked": self._asked,
            "code": _code(),
            "report": self._report(),
            "runs": self._runs,
        }
        with suppress(OSError), replaced(self._path) as temporary:
            temporary.write_text(json.dumps({**content, "digest": _digest(content)}), encoding="utf-8")

    def _report(self) -> dict[str, Looks]:
        """The looks of all that the report was made from besides results, and of all that it consists of."""
        folders = {str(path): _looks(path) for root in self._made_from for path in _folders(root)}
        for looks in folders.values():
            looks.pop(_NAME, None)
        return folders

    def _read(self) -> dict[str, Any] | None:
        """What was written; None where there is nothing, or something damaged."""
        try:
            content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            whole = content.pop("digest") == _digest(content) and content["schema"] == _SCHEMA
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return content if whole else None


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield root
        yield from sorted(path for path in root.rglob("*") if path.is_dir())


def _looks(folder: Path) -> Looks:
    """Of the files in a folder; nothing where there is none."""
    looks = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            facts = entry.stat()
            if entry.is_file():
                looks[entry.name] = [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns]
    return looks


def _code() -> str:
    """A hash of the version and the looks of the harness's files: other code may write another report."""
    root = Path(bench.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix != ".pyc" and path.is_file())
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(f"{bench.__version__}{facts}".encode()).hexdigest()


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
