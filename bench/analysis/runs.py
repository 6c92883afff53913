"""The runs of a suite with what has come of each so far: what all numbers of a report are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from bench.plain_text import one_line
from bench.recommender import Role
from bench.registry import BASELINES_OF_OLD_RESULTS
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


class RowIdentity(NamedTuple):
    """Who a row of the tables is: the first columns of whatever is said of it.

    Attributes:
        row: Its label, which tells it apart from all other rows.
        model: The registered model behind it; several rows may share one.
        role: What it is there for (`bench.recommender.Role`); "" before any of its runs could tell.
    """

    row: str
    model: str
    role: Role | Literal[""]


@dataclass(frozen=True)
class SuiteRuns:
    """All planned runs of a suite, or those on one of its data sets, in the order of the plan."""

    suite: Suite
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, suite: Suite, planned: Sequence[RunSpec], results: Sequence[RunResult]) -> SuiteRuns:
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

    def on(self, dataset: str) -> SuiteRuns:
        """The runs on one data set, by label."""
        return SuiteRuns(self.suite, tuple(run for run in self.runs if run.spec.dataset.label == dataset))

    @property
    def dataset(self) -> str:
        """The label of the data set, where the runs are of one."""
        return self.runs[0].spec.dataset.label

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(run.spec.dataset.label for run in self.runs))

    @property
    def rows(self) -> list[str]:
        """Labels of the rows, in the order of the plan."""
        return list(dict.fromkeys(run.spec.label for run in self.runs))

    @property
    def results(self) -> list[RunResult]:
        """The complete results."""
        return [run.result for run in self.runs if run.result and run.result.status == "complete"]

    @property
    def complete_rows(self) -> list[str]:
        """Labels of the rows with at least one complete run."""
        return list(dict.fromkeys(result.spec.label for result in self.results))

    def of_row(self, label: str) -> list[RunResult]:
        """A row's complete results, by seed."""
        return sorted((result for result in self.results if result.spec.label == label), key=lambda r: r.spec.seed)

    def identities(self) -> dict[str, RowIdentity]:
        """Label -> label, model and role of each row."""
        runs: dict[str, list[Run]] = {}
        for run in self.runs:
            runs.setdefault(run.spec.label, []).append(run)
        return {label: RowIdentity(label, of_row[0].spec.model, _role(of_row)) for label, of_row in runs.items()}


def row_named(runs: SuiteRuns, name: str) -> str | None:
    """The label of the row with complete runs that a name means: the row named so, else the first row of that model."""
    if any(result.spec.label == name for result in runs.results):
        return name
    return next((result.spec.label for result in runs.results if result.spec.model == name), None)


def role_of(result: RunResult) -> Role:
    """What a row is there for, as its model declares it (`Recommender.role`).

    Results from before models declared it tell by what they left behind: who knew the process behind the data was an
    oracle, and who learned no parameters counted. A baseline could not be declared at first, and is known by its name.
    """
    role: Role = "contestant"
    if result.diagnostics.get("role") in get_args(Role):
        role = result.diagnostics["role"]
    elif "exact" in result.diagnostics:
        role = "oracle"
    elif not result.parameters:
        role = "reference"
    return "baseline" if role == "contestant" and result.spec.model in BASELINES_OF_OLD_RESULTS else role


def generates_semantic_ids(result: RunResult) -> bool:
    """Whether the model generates semantic IDs, so that SID level and item level are two things."""
    return "decoding" in result.diagnostics


def _role(runs: Sequence[Run]) -> Role | Literal[""]:
    return next(_roles(runs), "")


def _roles(runs: Sequence[Run]) -> Iterator[Role]:
    """What complete runs tell; a failed one tells nothing unless its model had been imported before it failed."""
    results = [run.result for run in runs if run.result]
    yield from (role_of(result) for result in results if result.status == "complete")
    yield from (role_of(result) for result in results if result.diagnostics.get("role") in get_args(Role))
