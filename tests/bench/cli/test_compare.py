"""`bench compare A B`: what is compared, what is refused, and what the exit code says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.analysis.folders import FolderComparison, RowPair, compare_folders, scores
from bench.analysis.runs import SuiteRuns
from bench.cli.main import main
from bench.execution.store import ResultStore
from bench.plan import Plan
from bench.reporting import markdown
from bench.reporting.tables.folders import conclusion
from bench.reporting.tables.folders import page as comparison_page
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

ROOT = Path(__file__).parents[3]
N_QUERIES = 60
Change = Callable[[RunResult], RunResult]


def made(label: str, seed: int = 0, dataset: DatasetSpec | None = None, **result: Any) -> RunResult:
    """A complete result in which every query's target has rank 2, unless told otherwise."""
    spec = RunSpec(
        dataset=dataset or DatasetSpec(name="tiny"),
        data_hash="d0",
        model="popularity",
        revision=1,
        config={"training": {"epochs": 8}, "row": label},
        seed=seed,
        label=label,
    )
    queries = pd.DataFrame({"user": np.arange(N_QUERIES), "target": np.arange(N_QUERIES) % 7, "item_rank": 2})
    environment = {"commit": "c0", "device": "cpu", "device_name": "CPU", "torch": "2.6.0", "started": "2025-01-01"}
    complete = RunResult(spec, "complete", "", 10.0, 1.0, 0.5, environment=environment, queries=queries)
    return replace(complete, **result)


def runs(*results: RunResult) -> SuiteRuns:
    labels = dict.fromkeys(result.spec.label for result in results)
    datasets = {result.spec.dataset.label: result.spec.dataset for result in results}
    suite = Suite(
        name="made-up",
        description="",
        datasets=tuple(datasets.values()),
        models=tuple(Entry(model="popularity", label=label) for label in labels),
        seeds=(0,),
    )
    return SuiteRuns.of(suite, [result.spec for result in results], results)


def ranks(result: RunResult, values: Any) -> RunResult:
    assert result.queries is not None
    return replace(result, queries=result.queries.assign(item_rank=values))


def respecified(result: RunResult, **changed: Any) -> RunResult:
    return replace(result, spec=result.spec.model_copy(update=changed))


def one(first: RunResult, second: RunResult) -> RowPair:
    (pair,) = compare_folders(runs(first), runs(second), "ndcg@10").pairs
    return pair


WORSE = np.where(np.arange(N_QUERIES) < 20, 0, 2)  # a third of the targets is lost


def test_a_row_that_loses_a_third_of_its_hits_is_worse_by_a_third_of_its_score() -> None:
    pair = one(made("a"), ranks(made("a"), WORSE))
    assert (pair.refusal, pair.verdict, pair.worse) == ("", "worse", True)
    assert pair.test is not None
    assert pair.test.difference == pytest.approx(-1 / 3 / np.log2(3))
    assert pair.test.high < 0


def test_the_other_way_round_it_is_better() -> None:
    pair = one(ranks(made("a"), WORSE), made("a"))
    assert (pair.verdict, pair.worse) == ("better", False)


def test_equal_ranks_are_told_from_equal_scores() -> None:
    first = ranks(made("a"), np.arange(N_QUERIES) % 2 + 1)
    assert one(first, first).verdict == "same ranks"
    assert one(first, ranks(first, 2 - np.arange(N_QUERIES) % 2)).verdict == "no significant difference"


def test_p_values_are_corrected_over_all_rows_of_all_data_sets() -> None:
    lost = np.where(np.arange(N_QUERIES) < 6, 0, 2)  # alone: p = 2 / 2**6
    other = DatasetSpec(name="other")
    rows = [made("a"), made("b"), made("c", dataset=other)]
    alone = one(rows[0], ranks(rows[0], lost))
    found = compare_folders(runs(*rows), runs(*(ranks(row, lost) for row in rows)), "ndcg@10")
    assert alone.verdict == "worse"
    assert alone.test is not None
    text = page(found, "A", "B", "made-up")
    p_values = [f"{p:.3f}" for p in (alone.test.p_value, 3 * alone.test.p_value)]
    lines = [
        [cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith(("| a", "| c"))
    ]
    assert all(p_values == line[-4:-2] for line in lines if "no significant difference" in line)
    assert sum("no significant difference" in line for line in lines) == 2
    assert text.count("p (Holm) is corrected over the 3 rows tested on all data sets") == 2
    assert [pair.verdict for pair in found.pairs] == ["no significant difference"] * 3
    assert [pair.p_value for pair in found.pairs] == pytest.approx([3 * alone.p_value] * 3)


def test_another_metric_than_the_primary_one_is_marked() -> None:
    rows = [made("a"), ranks(made("a"), WORSE)]
    shown = {
        metric: page(compare_folders(runs(rows[0]), runs(rows[1]), metric), "A", "B", "made-up")
        for metric in ("ndcg@10", "recall@10")
    }
    assert "NDCG@10 A |" in shown["ndcg@10"]
    assert "secondary" not in shown["ndcg@10"]
    assert "Recall@10 A (secondary)" in shown["recall@10"]


def test_only_common_seeds_count() -> None:
    first = [made("a", seed) for seed in (0, 1)]
    second = [ranks(made("a", seed), rank) for seed, rank in ((1, 1), (2, 0))]
    (pair,) = compare_folders(runs(*first), runs(*second), "hit@1").pairs
    assert [result.spec.seed for result in (*pair.first, *pair.second)] == [1, 1]
    assert scores(pair.second, "hit@1") == (1.0, pytest.approx(np.nan, nan_ok=True))
    assert pair.differences == ("complete seeds: 0, 1 in A, 1, 2 in B; compared on 1",)


def test_without_a_common_seed_there_are_means_and_no_test() -> None:
    pair = one(made("a", 0), ranks(made("a", 1), 0))
    assert (pair.refusal, pair.verdict, pair.worse) == ("", "not tested", False)
    assert "none in common, so nothing is tested" in pair.differences[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: respecified(r, data_hash="d1"), "different data: hash d0 in A, d1 in B"),
        (
            lambda r: replace(r, environment={"dataset": {"seen_items": "keep"}}),
            "different protocol: items already seen: None in A, keep in B",
        ),
        (
            lambda r: replace(r, queries=r.queries.iloc[:50]),
            "different protocol: not the same users and targets (60 test queries in A, 50 in B)",
        ),
        (
            lambda r: replace(r, queries=r.queries.assign(target=0)),
            "different protocol: not the same users and targets (60 test queries in A, 60 in B)",
        ),
        (
            lambda r: replace(r, status="skipped", reason="no GPU", queries=None),
            "no complete run in B (1 skipped: no GPU)",
        ),
    ],
)
def test_what_can_not_be_compared_is_refused_with_its_reason(change: Change, reason: str) -> None:
    pair = one(made("a"), change(made("a")))
    assert (pair.refusal, pair.verdict, pair.worse) == (reason, "not tested", False)
    assert reason in page(compare_folders(runs(made("a")), runs(change(made("a"))), "ndcg@10"), "A", "B", "s")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"revision": 2}, "revision of the model: 1 -> 2"),
        ({"config": {"training": {"epochs": 12}, "row": "a"}}, "training.epochs: 8 -> 12"),
        ({"model": "item-knn"}, "model: popularity -> item-knn, with a configuration of its own"),
    ],
)
def test_what_else_differs_is_told_and_compared_all_the_same(changed: dict[str, Any], line: str) -> None:
    pair = one(made("a"), respecified(made("a"), **changed))
    assert pair.differences == (line,)
    assert pair.verdict == "same ranks"


def test_a_seed_that_fails_in_b_makes_the_row_worse() -> None:
    failed = made("a", 1, status="failed", reason="loss is NaN", queries=None)
    found = compare_folders(runs(made("a"), made("a", 1)), runs(made("a"), failed), "ndcg@10")
    assert (found.pairs[0].broken, found.pairs[0].verdict, found.pairs[0].worse) == ((1,), "same ranks", True)
    assert "failed in B, complete in A: seeds 1 (loss is NaN)" in found.pairs[0].differences
    assert conclusion(found).endswith("Failed in B, complete in A: a.")


def test_rows_of_one_folder_are_listed_and_another_protocol_is_named() -> None:
    temporal = DatasetSpec(name="tiny", protocol="temporal")
    found = compare_folders(runs(made("a"), made("b")), runs(made("a", dataset=temporal), made("c")), "ndcg@10")
    assert found.pairs == ()
    assert [(row.folder, row.dataset, row.label) for row in found.one_sided] == [
        ("A", "tiny", "a"),
        ("A", "tiny", "b"),
        ("B", "tiny@temporal", "a"),
        ("B", "tiny", "c"),
    ]
    assert found.one_sided[0].note == "B has it on tiny@temporal: another protocol, so not compared"
    assert found.one_sided[1].note == ""


def page(found: FolderComparison, first: str, second: str, suite: str) -> str:
    return markdown.page(comparison_page(found, first, second, suite))


def compared(change: Change) -> FolderComparison:
    return compare_folders(runs(made("a")), runs(change(made("a"))), "ndcg@10")


def test_the_page_tells_commits_versions_and_hardware_that_differ() -> None:
    elsewhere = {"commit": "c1-dirty", "device": "cpu", "device_name": "other CPU", "torch": "2.7.0", "started": "2026"}
    text = page(compared(lambda r: replace(r, environment=elsewhere, fit_seconds=15.0)), "old", "new", "made-up")
    lines = [" ".join(line.replace("|", " ").split()) for line in text.splitlines()]
    for line in (
        "commit c0 c1-dirty",
        "torch 2.6.0 2.7.0",
        "device_name CPU other CPU",
        "a 10.0 15.0 +50% 0.50 0.50 +0%",
    ):
        assert line in lines
    assert "uncommitted changes" in text
    assert "their times don't compare" in text
    assert "2026" not in text


def test_the_page_of_the_same_commit_says_so() -> None:
    text = page(compared(lambda r: r), "old", "new", "made-up")
    assert "Both folders come from the same commit." in text
    assert "their times don't compare" not in text
    assert "B against A, rows of both: 1 same ranks." in text


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Two results folders of the suite "made-up": in B, row "a" is worse and "b" is as before."""
    written = []
    for name, change in (("A", lambda r: r), ("B", lambda r: ranks(r, WORSE))):
        results = [change(made("a")), made("b")]
        for result in results:
            ResultStore(tmp_path / name).save(result)
        made_grid = runs(*results)
        specs = tuple(run.spec for run in made_grid.runs)
        Plan(suite=made_grid.suite, runs=specs, command="").write(tmp_path / name)
        written.append(str(tmp_path / name))
    return written[0], written[1]


def test_the_command_prints_tables_and_writes_the_page(
    folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pages" / "compared.md"
    assert main(["compare", *folders, "--suite", "made-up", "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    for words in (
        "tiny: quality",
        "-0.2103",
        "B against A, rows of both: 1 worse, 1 same ranks.",
        f"written: {output}",
    ):
        assert words in shown
    text = output.read_text()
    assert text.startswith("# Suite made-up: B against A\n")
    assert f"- B: `{folders[1]}`" in text


def test_fail_if_worse_sets_the_exit_code(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--suite", "made-up", "--fail-if-worse"]
    assert main(["compare", *folders, *options]) == 1
    assert main(["compare", *reversed(folders), *options]) == 0
    assert main(["compare", folders[0], folders[0], *options]) == 0
    capsys.readouterr()


def test_a_gate_that_could_test_nothing_does_not_pass(
    folders: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan.read(Path(folders[1]), "made-up")
    elsewhere = tuple(spec.model_copy(update={"data_hash": "d1"}) for spec in plan.runs)
    plan.model_copy(update={"runs": elsewhere}).write(Path(folders[1]))
    assert main(["compare", *folders, "--suite", "made-up"]) == 0
    assert "2 not comparable" in capsys.readouterr().out
    assert main(["compare", *folders, "--suite", "made-up", "--fail-if-worse"]) == 2
    assert "so nothing is known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["A", "absent", "--suite", "made-up"], "no results folder 'absent'"),
        (["A", "B", "--suite", "ful"], "no results of suite 'ful' in 'A': choose --suite made-up"),
        (["A", "B", "--suite", "made-up", "--metric", "ndgc@10"], "unknown metric 'ndgc': did you mean ndcg?"),
        (["A", "B", "--suite", "made-up", "--metric", "ndcg@99"], "a whole number from 1 to"),
        (["A", "B", "--suite", "made-up", "--dataset", "tinny"], "unknown data set 'tinny': did you mean tiny?"),
        (["A", "B", "--suite", "made-up", "--output", "page.txt"], "should end in .md"),
        (["A", "B", "--suite", "made-up", "--output", "A/made-up/plan.json/x.md"], "can't write to"),
        (["A"], "B"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, refused: Callable[[list[str]], str]
) -> None:
    assert message in refused(["compare", *arguments])


def test_compare_needs_neither_torch_nor_plotting(folders: tuple[str, str]) -> None:
    code = (
        "import sys; from bench.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'matplotlib', 'models', 'baselines'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "compare", *folders, "--suite", "made-up"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
