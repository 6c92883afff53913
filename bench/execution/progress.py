"""Progress of a grid of runs: live bars in a terminal, plain lines anywhere else."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from bench.console import say
from bench.conventions import PRIMARY_METRIC, metric_name
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.execution.heartbeat import Heartbeat, read_heartbeat
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec

_SECONDS_BETWEEN_STATUS_LINES = 30.0


_Row: TypeAlias = tuple[str, str]
"""Data set and label: what tells how long a run takes."""


@dataclass(frozen=True)
class _Durations:
    """How long so many runs took together."""

    runs: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> _Durations:
        return cls(len(seconds), sum(seconds))

    def __add__(self, other: _Durations) -> _Durations:
        return _Durations(self.runs + other.runs, self.seconds + other.seconds)


class Progress:
    """Shows how far the grid and each run are, with estimates of the time to go.

    Args:
        console: Where to.
        results_dir: Where the heartbeats of running workers are.
        todo: The runs that will be made.
        jobs: Runs at a time.
        known: Earlier results, whose durations tell how long runs of the same model take.
        name: What a run is called.
        outcome: What is said of a run that has ended, its name included; by default the test's figures.
        seconds_per_run: What ends a run if nothing else does. None: nothing does.
    """

    def __init__(
        self,
        console: Console,
        results_dir: Path,
        todo: Sequence[RunSpec],
        jobs: int,
        known: Sequence[RunResult] = (),
        name: Callable[[RunSpec], str] | None = None,
        outcome: Callable[[RunResult], str] | None = None,
        seconds_per_run: float | None = None,
    ) -> None:
        self._limit = math.inf if seconds_per_run is None else seconds_per_run
        self._name, self._outcome = name or _name, outcome or _outcome
        self._console, self._results_dir, self._jobs = console, results_dir, jobs
        self._todo = {spec.key for spec in todo}
        self._waiting = Counter(map(_row_of, todo))
        self._total = len(self._todo)
        self._ended: dict[_Row, _Durations] = {}
        self._all_ended = _Durations()
        for result in known:
            self._learn(result)
        self._started = self._last_status = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def finished(self, result: RunResult) -> None:
        """Prints one line for a run that has ended."""
        if result.spec.key in self._todo:
            self._todo.remove(result.spec.key)
            self._waiting[_row_of(result.spec)] -= 1
        self._learn(result)
        done = self._total - len(self._todo)
        ending = f"{done} of {self._total}" + (f", ETA {clock(self.remaining([]))}" if self._todo else "")
        say(self._console, f"{self._outcome(result)}  ({ending})")

    def tick(self, running: Sequence[RunSpec]) -> None:
        """Refreshes the bars, or prints a status line now and then."""
        if self._live:
            self._live.update(self._bars(running), refresh=True)
        elif time.monotonic() - self._last_status >= _SECONDS_BETWEEN_STATUS_LINES:
            self._last_status = time.monotonic()
            beats = [(spec, read_heartbeat(self._results_dir, spec)) for spec in running]
            words = ", ".join(
                f"{self._name(spec)} {b.fraction:.0%} ({b.words})" if b else self._name(spec) for spec, b in beats
            )
            say(self._console, f"running: {words}; ETA {clock(self.remaining(running))}")

    def remaining(self, running: Sequence[RunSpec]) -> float | None:
        """Seconds until all runs have ended, None while nothing is known."""
        beats = [(spec, read_heartbeat(self._results_dir, spec)) for spec in running]
        seen = [(_row_of(spec), beat.elapsed + beat.remaining) for spec, beat in beats if beat and beat.remaining]
        estimates = [self._left(_row_of(spec), beat, seen) for spec, beat in beats]
        waiting = self._waiting - Counter(map(_row_of, running))
        for row, runs in waiting.items():  # runs of one row, however many, are expected to take equally long
            left = self._left(row, None, seen)
            estimates.append(None if left is None else runs * left)
        known = [left for left in estimates if left is not None]
        return sum(known) / self._jobs if len(known) == len(estimates) else None

    def _left(self, row: _Row, beat: Heartbeat | None, seen: Sequence[tuple[_Row, float]]) -> float | None:
        """Seconds until one run ends: what it still needs, or what its limit leaves it; None while neither is known."""
        needed = self._needed(row, beat, seen)
        most = max(0.0, self._limit - (beat.elapsed if beat else 0.0))
        left = most if needed is None else min(needed, most)
        return None if math.isinf(left) else left

    def _needed(self, row: _Row, beat: Heartbeat | None, seen: Sequence[tuple[_Row, float]]) -> float | None:
        """Seconds that one run still needs: by its own speed, else by that of the row's other runs, else by any."""
        if beat and beat.remaining is not None:
            return beat.remaining
        same = self._ended.get(row) or _Durations.of([seconds for other, seconds in seen if other == row])
        pool = same if same.runs else self._all_ended + _Durations.of([seconds for _, seconds in seen])
        if not pool.runs:
            return None
        return max(0.0, pool.seconds / pool.runs - (beat.elapsed if beat else 0.0))

    def _learn(self, result: RunResult) -> None:
        if result.status == "complete":
            row, one = _row_of(result.spec), _Durations.of([result.fit_seconds + result.recommend_seconds])
            self._ended[row] = self._ended.get(row, _Durations()) + one
            self._all_ended = self._all_ended + one

    def _bars(self, running: Sequence[RunSpec]) -> Table:
        table = Table.grid(padding=(0, 2))
        done = self._total - len(self._todo)
        beats = {spec.key: read_heartbeat(self._results_dir, spec) for spec in running}
        partly = sum(beat.fraction for beat in beats.values() if beat)
        bar = ProgressBar(total=self._total, completed=done + partly, width=30)
        elapsed = clock(time.monotonic() - self._started)
        table.add_row(
            "all runs", bar, f"{done} of {self._total}", f"{elapsed} so far, ETA {clock(self.remaining(running))}"
        )
        for spec in running:
            beat = beats[spec.key]
            bar = ProgressBar(total=1.0, completed=beat.fraction if beat else 0.0, width=30)
            left = self._left(_row_of(spec), beat, [])
            table.add_row(self._name(spec), bar, f"ETA {clock(left)}", beat.words if beat else "")
        return table


def clock(seconds: float | None) -> str:
    """A duration as `mm:ss` or `h:mm:ss`; `--:--` while it is unknown."""
    if seconds is None:
        return "--:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _row_of(spec: RunSpec) -> _Row:
    return spec.dataset.label, spec.label


def _name(spec: RunSpec) -> str:
    return f"{spec.label} on {spec.dataset.label}, seed {spec.seed}"


def _outcome(result: RunResult) -> str:
    name = _name(result.spec)
    if result.queries is None:
        return f"{name}: {result.status}: {one_line(result.reason)}"
    ranks = result.queries["item_rank"].to_numpy()
    shown = (PRIMARY_METRIC, "recall@10")
    figures = ", ".join(f"{metric_name(metric)} {compute(metric, ranks, K_MAX).mean():.4f}" for metric in shown)
    return f"{name}: {figures}, {result.fit_seconds + result.recommend_seconds:.1f} s"
