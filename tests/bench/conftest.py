"""The made-up suite as fixtures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_up import failed_result, make_result, make_suite, plan

from bench.analysis.runs import SuiteRuns
from bench.spec import RunResult, RunSpec, Suite


@pytest.fixture(scope="session")
def suite() -> Suite:
    return make_suite()


@pytest.fixture(scope="session")
def planned(suite: Suite) -> list[RunSpec]:
    return plan(suite)


@pytest.fixture(scope="session")
def results(planned: list[RunSpec]) -> list[RunResult]:
    """Everything complete."""
    return [make_result(spec) for spec in planned]


@pytest.fixture(scope="session")
def full_runs(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> SuiteRuns:
    return SuiteRuns.of(suite, planned, results)


@pytest.fixture(scope="session", name="failed_result")
def failed_result_fixture() -> Callable[..., RunResult]:
    return failed_result


@pytest.fixture(scope="session")
def two_datasets() -> tuple[Suite, list[RunSpec], list[RunResult]]:
    """A plan on two data sets; the second has one complete run."""
    suite = make_suite(("ml-100k", "beauty"), seeds=(0,))
    planned = plan(suite)
    return suite, planned, [make_result(spec) for spec in planned[: len(suite.models) + 1]]
