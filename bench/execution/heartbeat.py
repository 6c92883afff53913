"""How a running worker tells the parent process how far it is: one small file per run."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import BenchError
from bench.files import replaced
from bench.json_text import parse_json
from bench.plain_text import one_line
from bench.spec import RunSpec
from bench.text_files import read_text_file

_SECONDS_BETWEEN_WRITES = 0.5
_MOST_BYTES = 2**16
"""Of the small file; nobody waits for a larger one to be read."""


@dataclass(frozen=True)
class Heartbeat:
    """The state of a run: fraction done (0 .. 1), a few words, and when it started (Unix time)."""

    fraction: float
    words: str
    started: float

    @property
    def elapsed(self) -> float:
        """Seconds since the start; 0 where a clock was set back since."""
        return max(0.0, time.time() - self.started)

    @property
    def remaining(self) -> float | None:
        """Seconds to go at the speed so far, None as long as that is a guess."""
        return self.elapsed * (1 / self.fraction - 1) if self.fraction >= 0.02 else None


class HeartbeatWriter:
    """Writes the heartbeat of one run, at most every half second; call it as often as you like."""

    def __init__(self, results_dir: Path, spec: RunSpec) -> None:
        self.path = heartbeat_path(results_dir, spec)
        self._started = time.time()
        self._last_write = 0.0
        self(0.0, "starting")

    def __call__(self, fraction: float, words: str) -> None:
        if time.monotonic() - self._last_write >= _SECONDS_BETWEEN_WRITES:
            self._last_write = time.monotonic()
            beat = Heartbeat(fraction=float(fraction), words=words, started=self._started)
            # Nobody needs it but who watches: a disk that is full right now is no reason to give a run up.
            with suppress(OSError), replaced(self.path) as temporary:
                temporary.write_text(json.dumps(asdict(beat)), encoding="utf-8")


def heartbeat_path(results_dir: Path, spec: RunSpec) -> Path:
    return results_dir / "runs" / ".progress" / f"{spec.key}.json"


def log_path(results_dir: Path, spec: RunSpec) -> Path:
    """Where a run logs while it runs; the log moves into its folder when it ends."""
    return heartbeat_path(results_dir, spec).with_suffix(".log")


def read_heartbeat(results_dir: Path, spec: RunSpec) -> Heartbeat | None:
    """The latest heartbeat, None before the first one."""
    try:
        beat = parse_json(read_text_file(heartbeat_path(results_dir, spec), _MOST_BYTES))
        return Heartbeat(float(beat["fraction"]), one_line(str(beat["words"]), 80), float(beat["started"]))
    except (OSError, ValueError, TypeError, KeyError, BenchError):
        return None


def lock(results_dir: Path, spec: RunSpec) -> FileLock:
    """Held by the process that makes a run; let go by the system when the process dies.

    Two benches may share a results folder, and want the same run at the same time.
    """
    path = results_dir / "runs" / ".locks" / f"{spec.key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def clear_unless_running(results_dir: Path, spec: RunSpec) -> None:
    """Removes what a run left behind that was broken off, but not what another bench's process is writing."""
    with suppress(Timeout), lock(results_dir, spec).acquire(timeout=0):
        clear(results_dir, spec)


def clear(results_dir: Path, spec: RunSpec) -> None:
    """Removes heartbeat and log of a run that is no longer running."""
    for path in (heartbeat_path(results_dir, spec), log_path(results_dir, spec)):
        path.unlink(missing_ok=True)
