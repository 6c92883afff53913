"""Measurements on disk, one file each, so that a call that was cut short goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.data.cache import content_key
from bench.files import replaced
from bench.json_text import parse_json
from bench.registry import model_class
from bench.speed.machine import Machine
from bench.speed.measure import Task


class Points:
    """The measurements in a results folder.

    Args:
        folder: `RESULTS/speed`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self, task: Task, machine: Machine) -> bool:
        """Whether a task was not yet measured on this machine, with all of its numbers of queries."""
        point = self._read(self._path(task, machine))
        answered = set(point["found"]["answers"]) if point and point["status"] == "complete" else None
        return answered is None or not {str(n) for n in task.setting.queries} <= answered

    def save(self, task: Task, machine: Machine, found: dict[str, Any] | None, reason: str = "") -> None:
        """Keeps what was found; None for a task that failed, with the reason."""
        path = self._path(task, machine)
        point = {
            "task": {**asdict(task), "setting": task.setting.sizes},
            "machine": machine.as_json(),
            "status": "failed" if found is None else "complete",
            "reason": reason,
            "found": found,
        }
        with replaced(path) as temporary:
            temporary.write_text(json.dumps(point, indent=1) + "\n", encoding="utf-8")

    def all(self) -> Iterator[dict[str, Any]]:
        """Everything that was measured, by whatever call, in the order of file names."""
        for path in sorted((self.folder / "points").glob("*.json")):
            point = self._read(path)
            if point is not None:
                yield point

    def machine(self, device: str, threads: int) -> Machine | None:
        """What was measured of the machine itself."""
        written = self._read(self._machine_path(device, threads))
        return None if written is None else Machine(**written)

    def save_machine(self, machine: Machine) -> None:
        with replaced(self._machine_path(machine.device, machine.threads)) as temporary:
            temporary.write_text(json.dumps(machine.as_json(), indent=1) + "\n", encoding="utf-8")

    def _machine_path(self, device: str, threads: int) -> Path:
        return self.folder / f"machine-{device}-{threads}.json"

    def _path(self, task: Task, machine: Machine) -> Path:
        revision = model_class(task.model).revision
        what = {"model": task.model, "config": dict(task.config), "revision": revision, "setting": task.setting.sizes}
        where = {"device": task.device, "hardware": machine.hardware, "threads": task.threads}
        return self.folder / "points" / f"{task.row}-{content_key(what, where, task.repeats, task.count)}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):  # absent, or broken: then it is measured again
            read: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
            return read
        return None
