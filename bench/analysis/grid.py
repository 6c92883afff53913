"""The runs of a suite with what has come of each so far: the one input of every table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.plain_text import one_line
from bench.recommender import Role
from bench.spec import RunResult, RunSpec, Suite


@dataclass(frozen=True)
class Run:
    """A planned run and, once it has ended, its result."""

    spec: RunSpec
    result: RunResult | None

    @property
    def status(self) -> str:
        """That of the result, "pending" before there is one."""
        return self.result.status if self.result else "pending"

    @property
    def reason(self) -> str:
        return one_line(self.result.reason) if self.result else ""


@dataclass(frozen=True)
class Grid:
    """All planned runs of a suite, or those on one of its data sets, in the order of the plan."""

    suite: Suite
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, suite: Suite, planned: Sequence[RunSpec], results: Sequence[RunResult]) -> Grid:
        """Joins results to plans by content key.

        The label is no part of the key, since a run can serve several suites: the plan's label counts. Results that
        nobody planned are left out.
        """
        by_key = {result.spec.key: result for result in results}
        runs = []
        for spec in planned:
            result = by_key.get(spec.key)
            runs.append(Run(spec, replace(result, spec=spec) if result else None))
        return cls(suite, tuple(runs))

    def on(self, dataset: str) -> Grid:
        """The runs on one data set, by label."""
        return Grid(self.suite, tuple(run for run in self.runs if run.spec.dataset.label == dataset))

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(run.spec.dataset.label for run in self.runs))

    @property
    def models(self) -> list[str]:
        """Labels of the rows, in the order of the plan."""
        return list(dict.fromkeys(run.spec.label for run in self.runs))

    @property
    def results(self) -> list[RunResult]:
        """The complete results."""
        return [run.result for run in self.runs if run.result and run.result.status == "complete"]

    @property
    def complete_models(self) -> list[str]:
        """Labels of the rows with at least one complete run."""
        return list(dict.fromkeys(result.spec.label for result in self.results))

    def of_model(self, model: str) -> list[RunResult]:
        """A row's complete results, by seed."""
        return sorted((result for result in self.results if result.spec.label == model), key=lambda r: r.spec.seed)


def row_of(grid: Grid, name: str) -> str | None:
    """The label of the row with complete runs that a name means: the row named so, else the first row of that model."""
    if any(result.spec.label == name for result in grid.results):
        return name
    return next((result.spec.label for result in grid.results if result.spec.model == name), None)


def role_of(result: RunResult) -> Role:
    """What a row is there for, as its model declares it (`Recommender.role`).

    Results from before models declared it tell by what they left behind: who knew the process behind the data was an
    oracle, and who learned no parameters counted.
    """
    if "role" in result.diagnostics:
        role: Role = result.diagnostics["role"]
        return role
    if "exact" in result.diagnostics:
        return "oracle"
    return "contestant" if result.parameters else "reference"


def generates_semantic_ids(result: RunResult) -> bool:
    """Whether the model generates semantic IDs, so that SID level and item level are two things."""
    return "decoding" in result.diagnostics
