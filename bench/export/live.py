"""Runs told to a tool for tracking experiments while they are made: losses and validations, then the final values.

One process, the one that was started, does all of it, and reads what the runs' own processes write down. So no tool can
touch a run, and what it raises becomes one warning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from bench.analysis.runs import Run, SuiteRuns
from bench.console import Console, say
from bench.errors import reason_of
from bench.execution.live_values import LiveReader, LiveValues, curve_values
from bench.export.runs import configuration_of, final_values
from bench.job import Watcher
from bench.plan import Plan
from bench.spec import RunResult, RunSpec

_SECONDS_BETWEEN_LOOKS = 2.0
Values = Mapping[str, float]


class TrackedRun(Protocol):
    """One run in a tool."""

    def log(self, values: LiveValues) -> None:
        """Takes values that have just been measured."""

    def finish(self, status: str, reason: str, final: Values) -> None:
        """Takes the final values, and closes the run."""


class Tool(Protocol):
    """A tool for tracking experiments.

    Attributes:
        where: How to look at what it was told, in words for the user.
    """

    where: str

    def begin(self, run: Run, identity: Mapping[str, str], configuration: Mapping[str, str]) -> TrackedRun:
        """Opens a run, in place of an earlier one of the same name."""


class LiveTracking(Watcher):
    """Tells a tool of the runs of a plan as they go.

    Args:
        open_tool: Gives the tool; asked once there is a run to tell of.
        plan: What is run.
        results_dir: Where results go.
        console: For the one warning where the tool fails, and for where to look.
        on_broken_report: As for `Watcher`.
    """

    def __init__(
        self,
        open_tool: Callable[[], Tool],
        plan: Plan,
        results_dir: Path,
        console: Console,
        on_broken_report: Callable[[str], None],
    ) -> None:
        super().__init__(on_broken_report)
        self._open_tool, self._results_dir, self._console = open_tool, results_dir, console
        self._planned = SuiteRuns.of(plan.suite, plan.runs, [])
        self._tool: Tool | None = None
        self._failed = False
        self._looked = 0.0
        self._runs: dict[str, TrackedRun] = {}
        self._readers: dict[str, LiveReader] = {}
        self._points: dict[str, int] = {}

    def tick(self, running: Sequence[RunSpec]) -> None:
        """Passes on what the runs under way have measured since the last look."""
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        for spec in running:
            self._safely(lambda spec=spec: self._pass_on(spec))  # type: ignore[misc]

    def finished(self, result: RunResult) -> None:
        """Passes on the rest of a run, and its final values."""
        self._safely(lambda: self._finish(result))
        self._readers.pop(result.spec.key, LiveReader(self._results_dir, result.spec)).remove()

    def concluded(self) -> None:
        """Says where to look, once the last run has ended."""
        if self._tool is not None and not self._failed:
            say(self._console, self._tool.where)

    def _pass_on(self, spec: RunSpec) -> None:
        reader = self._readers.setdefault(spec.key, LiveReader(self._results_dir, spec))
        for values in reader.new():
            self._points[spec.key] = self._points.get(spec.key, 0) + ("curve/validation" in values.values)
            self._run(spec).log(values)

    def _run(self, spec: RunSpec) -> TrackedRun:
        if spec.key not in self._runs:
            self._tool = self._tool or self._open_tool()
            identity = self._planned.on(spec.dataset.label).identities()[spec.label]._asdict()
            self._runs[spec.key] = self._tool.begin(Run(spec, None), identity, configuration_of(spec))
        return self._runs[spec.key]

    def _finish(self, result: RunResult) -> None:
        spec = result.spec
        self._pass_on(spec)
        run = self._run(spec)
        for point in result.curve[self._points.pop(spec.key, 0) :]:  # of a process that could not write them down
            values = curve_values(point.get("loss", float("nan")), point.get("validation", float("nan")))
            run.log(LiveValues(int(point.get("step", 0)), values))
        final = final_values(self._planned, Run(spec, result)) if result.status == "complete" else {}
        run.finish(result.status, result.reason, final)
        del self._runs[spec.key]

    def _safely(self, act: Callable[[], Any]) -> None:
        """Does something with the tool, whose words nobody needs; the first failure is said, and is the last."""
        if self._failed:
            return
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                act()
        except Exception as error:  # whatever a tool does, the runs go on
            self._failed = True
            say(self._console, f"warning: tracking has stopped ({reason_of(error)}); the runs go on")
