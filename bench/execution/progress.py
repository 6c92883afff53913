"""Progress of a grid of runs: live bars in a terminal, plain lines anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from bench.console import Verbosity, say, verbosity
from bench.conventions import PRIMARY_METRIC, metric_name
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.execution.forecast import Forecast
from bench.execution.heartbeat import Heartbeat, read_heartbeat
from bench.execution.store import ResultStore
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec

_SECONDS_BETWEEN_STATUS_LINES = {Verbosity.QUIET: math.inf, Verbosity.NORMAL: 30.0, Verbosity.VERBOSE: 5.0}
_LINES_OF_A_LOG = 20
"""That are shown of a failed run, where much is to be said."""


class Progress:
    """Shows how far the grid and each run are, with estimates of the time to go.

    Args:
        console: Where to.
        results_dir: Where the heartbeats of running workers are.
        forecast: What is to be done, and how long that takes.
        name: What a run is called.
        outcome: What is said of a run that has ended, its name included; by default the test's figures.
    """

    def __init__(
        self,
        console: Console,
        results_dir: Path,
        forecast: Forecast,
        name: Callable[[RunSpec], str] | None = None,
        outcome: Callable[[RunResult], str] | None = None,
    ) -> None:
        self._name, self._outcome = name or _name, outcome or _outcome
        self._console, self._results_dir, self._forecast = console, results_dir, forecast
        self._running: list[RunSpec] = []
        self._started = self._last_status = time.monotonic()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal and verbosity() is not Verbosity.QUIET
            else None
        )

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
        forecast = self._forecast
        forecast.finished(result)
        self._running = [spec for spec in self._running if spec.key != result.spec.key]
        left = forecast.remaining(self._beats(self._running)) if forecast.done < forecast.total else None
        ending = f"{forecast.done} of {forecast.total}" + ("" if left is None else f", ETA {clock(left)}")
        say(self._console, f"{self._outcome(result)}  ({ending})")
        if result.status == "failed" and verbosity() is Verbosity.VERBOSE:
            for line in self._log_of(result.spec)[-_LINES_OF_A_LOG:]:
                say(self._console, f"  | {line}")

    def tick(self, running: Sequence[RunSpec]) -> None:
        """Refreshes the bars, or prints a status line now and then."""
        self._running = list(running)
        if self._live:
            self._live.update(self._bars(running), refresh=True)
        elif time.monotonic() - self._last_status >= _SECONDS_BETWEEN_STATUS_LINES[verbosity()]:
            self._last_status = time.monotonic()
            beats = self._beats(running)
            words = ", ".join(
                f"{self._name(spec)} {b.fraction:.0%} ({b.words})" if b else self._name(spec) for spec, b in beats
            )
            left = self._forecast.remaining(beats)
            say(self._console, f"running: {words}" + ("" if left is None else f"; ETA {clock(left)}"))

    def _log_of(self, spec: RunSpec) -> list[str]:
        try:
            return (ResultStore(self._results_dir).folder(spec) / "log.txt").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []

    def _beats(self, running: Sequence[RunSpec]) -> list[tuple[RunSpec, Heartbeat | None]]:
        return [(spec, read_heartbeat(self._results_dir, spec)) for spec in running]

    def _bars(self, running: Sequence[RunSpec]) -> Table:
        table = Table.grid(padding=(0, 2))
        forecast, beats = self._forecast, self._beats(running)
        done = forecast.done
        partly = sum(beat.fraction for _, beat in beats if beat)
        bar = ProgressBar(total=forecast.total, completed=done + partly, width=30)
        elapsed = clock(time.monotonic() - self._started)
        eta = f"{elapsed} so far, ETA {clock(forecast.remaining(beats))}"
        table.add_row("all runs", bar, f"{done} of {forecast.total}", eta)
        for spec, beat in beats:
            bar = ProgressBar(total=1.0, completed=beat.fraction if beat else 0.0, width=30)
            left = forecast.remaining_of(spec, beat)
            table.add_row(self._name(spec), bar, f"ETA {clock(left)}", beat.words if beat else "")
        return table


def clock(seconds: float | None) -> str:
    """A duration as `mm:ss` or `h:mm:ss`; `--:--` while it is unknown."""
    if seconds is None:
        return "--:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


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
