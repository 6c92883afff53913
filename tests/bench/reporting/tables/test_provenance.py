"""What the report says about the data, and about the queries that were or weren't asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from as_text import cells_of

from bench.analysis.dataset_tables import frames_of
from bench.analysis.runs import SuiteRuns
from bench.reporting.tables.provenance import cold_targets, dataset_card, excluded_users
from bench.spec import RunResult, RunSpec, Suite


@pytest.fixture
def with_facts(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> Callable[..., SuiteRuns]:
    """The suite with one complete run in a changed environment."""

    def make(**environment: object) -> SuiteRuns:
        result = dataclasses.replace(results[0], environment={**results[0].environment, **environment})
        return SuiteRuns.of(suite, planned, [result])

    return make


def test_cold_targets_are_counted_beside_the_excluded_users(with_facts: Callable[..., SuiteRuns]) -> None:
    runs = with_facts(excluded={"too short": 1200, "none": 0}, cold_targets={"validation": 3, "test": 1700})
    assert cells_of(excluded_users(frames_of(runs))) == [["too short", "1,200"]]
    sentence = "Asked all the same: 3 validation and 1,700 test queries whose target has no training event."
    assert cold_targets(frames_of(runs)) == sentence
    assert excluded_users(frames_of(with_facts(excluded={}))) == "Nobody: every user has a test query."
    assert cold_targets(frames_of(with_facts(cold_targets={}))) == ""


def test_the_card_of_a_data_set_states_its_filters(
    with_facts: Callable[..., SuiteRuns], results: list[RunResult]
) -> None:
    card = {**results[0].environment["dataset"], "filters": ["rating of at least 4: 5 of 9 events stay", "a < b"]}
    cells = cells_of(dataset_card(frames_of(with_facts(dataset=card))))
    assert ["Filter", "rating of at least 4: 5 of 9 events stay"] in cells
    assert ["Filter", "a < b"] in cells
