"""Every p-value names its family: corrected as the literature has it, told in words and in the files."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from as_text import text_of
from enriched import enriched
from small_suites import grid_of, suite_of

from bench.analysis.columns import SCHEMA
from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.families import all_pairs, both, in_words, of_questions
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import holm
from bench.number_text import p_cell, p_value
from bench.reporting.overview import overview, shared_question
from bench.reporting.summary import findings
from bench.reporting.table import Table
from bench.spec import Comparison


def by_closed_testing(p_values: list[float]) -> list[float]:
    """Holm's correction from its definition: a hypothesis falls when all families with it fall by Bonferroni."""
    n = len(p_values)
    families = [set(family) for size in range(1, n + 1) for family in combinations(range(n), size)]
    return [
        max(min(1.0, len(family) * min(p_values[i] for i in family)) for family in families if index in family)
        for index in range(n)
    ]


def test_holm_is_the_closed_bonferroni_test() -> None:
    random = np.random.default_rng(3)
    for n in (1, 2, 3, 5, 7):
        for _ in range(10):
            p_values = (random.random(n) ** random.integers(1, 5)).tolist()
            assert holm(p_values) == pytest.approx(by_closed_testing(p_values))


def test_holm_of_a_worked_example() -> None:
    """p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") of R, and by hand: 5 x 0.01, 4 x 0.02, 3 x 0.03, then level."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_a_small_p_among_91_pairs_is_none_among_three_questions() -> None:
    """0.0035 with 62 smaller ones before it: (91 - 62) x 0.0035; among three, two of them large: 3 x 0.0035."""
    pairs = [1e-6] * 62 + [0.0035] + [0.9] * 28
    assert holm(pairs)[62] == pytest.approx(0.1015)
    assert holm([0.0035, 0.2, 0.9])[0] == pytest.approx(0.0105)
    assert in_words(0.0035, 0.1015, all_pairs(91)) == (
        "p = 0.004; 0.102 with Holm's correction over all 91 pairs of rows"
    )
    assert in_words(0.0035, 0.0105, of_questions(3)).endswith("Holm's correction over all 3 questions of the suite")
    assert both(0.0004, 0.02) == "p < 0.001, Holm 0.020"


def test_a_family_of_one_or_two_is_named_as_such() -> None:
    assert of_questions(1).phrase == "Holm's correction over the only question of the suite"
    assert all_pairs(2).phrase == "Holm's correction over both pairs of rows"


@pytest.mark.parametrize(
    ("p", "cell"),
    [
        (0.0, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.001, "0.001"),
        (0.0496, "0.0496"),
        (0.04999, "0.04999"),
        (0.05 - 1e-12, "< 0.05"),
        (0.05, "0.050"),
        (0.0504, "0.050"),
        (1.0, "1.000"),
    ],
)
def test_no_p_value_is_rounded_to_the_other_side_of_the_threshold(p: float, cell: str) -> None:
    assert p_cell(p) == cell
    assert p_value(p) == (f"p {cell}" if cell.startswith("<") else f"p = {cell}")


def test_the_files_hold_families_that_anybody_can_correct_again(full_runs: SuiteRuns, tmp_path: Path) -> None:
    parts = Comparison(title="Parts", question="?", rows=("tiger", "glass-no-sid-tier", "glass"), against="glass")
    runs = enriched(full_runs)
    asked = runs.suite.model_copy(update={"comparisons": (parts,)})
    write_frames(SuiteRuns.of(asked, [run.spec for run in runs.runs], runs.results), tmp_path)
    folder = tmp_path / "made-up" / "ml-100k"
    sizes: dict[str, int] = {}
    for name in ("pairs", "tests"):
        table = pd.read_csv(folder / f"{name}.csv")
        assert set(table["schema"]) == {SCHEMA}
        assert set(table["metric"]) == {"ndcg@10"}
        for family, members in table.groupby("family"):
            assert set(members["family_size"]) == {len(members)}
            assert members["p_holm"].tolist() == pytest.approx(holm(members["p_value"].tolist()))
            sizes[str(family)] = len(members)
    assert sizes["all pairs of rows"] == 55
    assert sizes["questions of the suite"] == 2
    assert sizes["comparison: Parts"] == 2
    assert sizes["rows against the floor: popularity"] == 10
    assert sizes["glass against tiger: parts by reach"] == sizes["sim against item-knn: parts by reach"] == 3


def test_two_rows_have_one_p_value_wherever_they_are_compared(full_runs: SuiteRuns, tmp_path: Path) -> None:
    parts = Comparison(title="Parts", question="?", rows=("tiger", "glass"), against="glass")
    asked = full_runs.suite.model_copy(update={"comparisons": (parts,)})
    write_frames(SuiteRuns.of(asked, [run.spec for run in full_runs.runs], full_runs.results), tmp_path)
    folder = tmp_path / "made-up" / "ml-100k"
    pairs = {
        frozenset((row["first"], row["second"])): row
        for row in pd.read_csv(folder / "pairs.csv", float_precision="round_trip").to_dict("records")
    }
    tests = pd.read_csv(folder / "tests.csv", float_precision="round_trip")
    whole = tests[tests["part"] == "overall"].to_dict("records")
    assert {row["kind"] for row in whole} == {"question", "comparison", "floor"}
    for row in whole:
        pair = pairs[frozenset((row["first"], row["second"]))]
        assert row["p_value"] == pair["p_value"]
        assert abs(row["difference"]) == abs(pair["difference"])
        assert row["difference"] == pytest.approx(row["first_mean"] - row["second_mean"])


def test_the_summary_tells_why_a_question_and_the_table_of_pairs_differ(full_runs: SuiteRuns) -> None:
    """The same difference: significant as one of two questions, not as one of 55 pairs."""
    frames = frames_of(full_runs)
    tests = frames.tests.copy()
    tests.loc[(tests["kind"] == "question") & (tests["part"] == "overall"), ["p_value", "p_holm"]] = 0.0035, 0.012
    pairs = frames.pairs.assign(p_value=0.0035, p_holm=0.1015)
    sentence = text_of(findings(dataclasses.replace(frames, tests=tests, pairs=pairs))[0])
    assert (
        "p = 0.004; 0.012 with Holm's correction over both questions of the suite): glass is significantly" in sentence
    )
    assert (
        "picked these two from the table it is not significant: p = 0.102 with Holm's correction over all 55 pairs"
        in (sentence)
    )
    agreed = dataclasses.replace(frames, tests=tests, pairs=pairs.assign(p_holm=0.02))
    assert "picked" not in text_of(findings(agreed)[0])


def test_the_secondary_metric_is_marked_and_not_tested(full_runs: SuiteRuns, tmp_path: Path) -> None:
    found = write_frames(full_runs, tmp_path)["ml-100k"]
    sentence = text_of(findings(found)[0])
    glass, tiger = (
        np.mean([r.queries["item_rank"].between(1, 10).mean() for r in full_runs.of_row(row) if r.queries is not None])
        for row in ("glass", "tiger")
    )
    assert sentence.endswith(f"Secondary: Recall@10 {glass:.4f} against {tiger:.4f}, not tested.")
    tests = pd.read_csv(tmp_path / "made-up" / "ml-100k" / "tests.csv")
    row = tests[(tests["title"] == "glass against tiger") & (tests["part"] == "overall")].iloc[0]
    assert row["secondary_metric"] == "recall@10"
    assert (row["secondary_first_mean"], row["secondary_second_mean"]) == pytest.approx((glass, tiger))


def test_data_sets_that_answer_other_questions_are_not_put_under_one_heading(tmp_path: Path) -> None:
    """Where a row is missing, the first question that can be asked is another one."""
    suite = suite_of(
        ["tiger", "hstu", "popularity"], ("a", "b", "c"), questions=(("tiger", "hstu"), ("hstu", "popularity"))
    )
    whole = grid_of(suite, lambda dataset, row, seed: np.arange(60) % 3)
    kept = [r for r in whole.results if (r.spec.dataset.name, r.spec.label) != ("b", "tiger")]
    runs = SuiteRuns.of(suite, [run.spec for run in whole.runs], kept)
    datasets = write_frames(runs, tmp_path)
    assert shared_question(list(datasets.values())) == ("tiger", "hstu")
    table, *_ = (block for block in overview(list(datasets.values())) if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["a", "c"]
    told = findings(datasets["b"], ("tiger", "hstu"))
    assert text_of(told[0]).startswith("**hstu against popularity**, NDCG@10"), (
        "what only this data set answers is told there"
    )
