"""What the report says about the data, and about the queries that were or weren't asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bench.analysis.grid import Grid
from bench.reporting.tables.provenance import dataset_card, excluded_users
from bench.spec import RunResult, RunSpec, Suite


@pytest.fixture
def with_facts(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> Callable[..., Grid]:
    """The suite with one complete run in a changed environment."""

    def make(**environment: object) -> Grid:
        result = dataclasses.replace(results[0], environment={**results[0].environment, **environment})
        return Grid.of(suite, planned, [result])

    return make


def test_cold_targets_are_counted_beside_the_excluded_users(with_facts: Callable[..., Grid]) -> None:
    text = excluded_users(with_facts(excluded={"too short": 1200}, cold_targets={"validation": 3, "test": 1700}))
    assert "1,200 |" in text
    assert text.endswith(
        "\n\nAsked all the same: 3 validation and 1,700 test queries whose target has no training event."
    )
    text = excluded_users(with_facts(excluded={}, cold_targets={"test": 2}))
    assert text.startswith("Nobody")
    assert text.endswith("2 test queries whose target has no training event.")
    assert "Asked all the same" not in excluded_users(with_facts(cold_targets={}))


def test_the_card_of_a_data_set_states_its_filters(with_facts: Callable[..., Grid], results: list[RunResult]) -> None:
    card = {**results[0].environment["dataset"], "filters": ["rating of at least 4: 5 of 9 events stay", "a < b"]}
    text = dataset_card(with_facts(dataset=card))
    assert "rating of at least 4: 5 of 9 events stay" in text
    assert "a &lt; b" in text
