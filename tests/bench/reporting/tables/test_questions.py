"""The suite's questions are tested on all queries and part by part, each family with its own correction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from enriched import enriched

from bench.analysis.columns import TESTS
from bench.analysis.dataset_tables import frames_of
from bench.analysis.questions import OVERALL, PARTITIONS, PartTest, question_tests, questions
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare, holm
from bench.analysis.tests_csv import table_of_tests
from bench.reporting.tables.questions import question_table

ASKED = [("glass", "tiger"), ("sim", "item-knn")]


@pytest.fixture(scope="module")
def runs(full_runs: SuiteRuns) -> SuiteRuns:
    return enriched(full_runs)


@pytest.fixture(scope="module")
def tests(runs: SuiteRuns) -> list[PartTest]:
    return question_tests(runs)


def of_question(
    tests: list[PartTest], labels: tuple[str, str], partition: str | None = None
) -> dict[tuple[str, str], PartTest]:
    """(partition, part) -> test of one question; of one partition where it is named."""
    return {
        (test.partition, test.part): test
        for test in tests
        if test.labels == labels and (partition is None or test.partition == partition)
    }


def test_a_question_is_answered_as_alone(runs: SuiteRuns, tests: list[PartTest]) -> None:
    assert questions(runs) == ASKED
    for labels in ASKED:
        found = of_question(tests, labels)[OVERALL, OVERALL]
        assert found.test == compare(runs.of_row(labels[0]), runs.of_row(labels[1]), "ndcg@10")
        recall = compare(runs.of_row(labels[0]), runs.of_row(labels[1]), "recall@10")
        assert recall is not None
        assert found.secondary == (recall.first, recall.second)


def test_on_all_queries_the_correction_is_over_the_questions(tests: list[PartTest]) -> None:
    overall = [test for test in tests if test.partition == OVERALL]
    assert [test.p_holm for test in overall] == holm([test.test.p_value for test in overall])


@pytest.mark.parametrize("labels", ASKED)
def test_on_parts_the_correction_is_over_the_parts_of_a_family(labels: tuple[str, str], tests: list[PartTest]) -> None:
    families = {test.partition for test in of_question(tests, labels).values()}
    assert families == set(PARTITIONS) - {"history-quarter"}
    for family in families - {OVERALL}:
        parts = list(of_question(tests, labels, family).values())
        assert len(parts) > 1
        assert [part.p_holm for part in parts] == holm([part.test.p_value for part in parts])


def test_a_part_is_tested_on_its_own_queries(runs: SuiteRuns, tests: list[PartTest]) -> None:
    results = runs.of_row("glass")
    assert results[0].queries is not None
    far = results[0].queries["item_gap"].to_numpy() > 50
    found = of_question(tests, ("glass", "tiger"))["reach", "far"]
    expected = np.mean([r.queries["item_rank"][far].between(1, 10).mean() for r in results if r.queries is not None])
    assert found.test.n_queries == far.sum()
    assert found.secondary[0] == pytest.approx(expected)
    ranks = [r.queries["item_rank"].to_numpy()[far] for r in results if r.queries is not None]
    gains = [[1 / np.log2(rank + 1) if 1 <= rank <= 10 else 0.0 for rank in of_seed] for of_seed in ranks]
    assert found.test.first == pytest.approx(np.mean(gains))


def test_a_question_without_one_of_its_models_is_not_asked(runs: SuiteRuns) -> None:
    rest = [result for result in runs.results if result.spec.label != "tiger"]
    without = SuiteRuns.of(runs.suite, [run.spec for run in runs.runs], rest)
    assert questions(without) == ASKED[1:]
    assert {test.labels for test in question_tests(without)} == {ASKED[1]}
    assert question_table(frames_of(without), ASKED[0]) is None


def test_a_question_may_name_a_row_by_its_label(runs: SuiteRuns) -> None:
    relabelled = [
        replace(result, spec=result.spec.model_copy(update={"label": "glass-wide"}))
        if result.spec.label == "glass"
        else result
        for result in runs.results
    ]
    suite = runs.suite.model_copy(update={"questions": (("glass-wide", "tiger"), ("glass", "tiger"))})
    asked = questions(SuiteRuns.of(suite, [result.spec for result in relabelled], relabelled))
    assert asked == [("glass-wide", "tiger"), ("glass-wide", "tiger")]  # glass: the first row of that model


def test_the_table_for_the_file_has_its_columns_with_and_without_tests(runs: SuiteRuns, tests: list[PartTest]) -> None:
    assert len(table_of_tests(runs, tests, [], [])) == len(tests)
    for frame in (table_of_tests(runs, tests, [], []), table_of_tests(runs, [], [], [])):
        assert list(frame.columns) == TESTS.names
