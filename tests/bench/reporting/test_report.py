"""The page says what the numbers say, at every stage of a suite, and needs no torch."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from as_text import text_of
from drawn_files import is_drawn

from bench.analysis.dataset_tables import frames_of
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.report_columns import FIDELITY
from bench.analysis.runs import SuiteRuns
from bench.report import write_report
from bench.reporting.summary import findings
from bench.reporting.tables.fidelity import fidelity_cards
from bench.reporting.tables.results import notes
from bench.reporting.tables.semantic_ids import level_table
from bench.spec import RunResult, RunSpec, Suite

COMMAND = "python -m bench run --suite made-up"


@pytest.fixture(scope="module")
def page(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The report of a complete suite."""
    folder = tmp_path_factory.mktemp("complete")
    return write_report(suite, planned, results, folder / "results", folder / "reports", COMMAND)


def said(grid: SuiteRuns) -> str:
    return "\n".join(map(text_of, findings(frames_of(grid))))


def with_ranks(result: RunResult, ranks: np.ndarray) -> RunResult:
    assert result.queries is not None
    return dataclasses.replace(result, queries=result.queries.assign(item_rank=ranks, sid_rank=ranks))


def test_sections_in_order(page: Path) -> None:
    headings = re.findall(r"^## (?:ml-100k: )?(.+)$", page.read_text(), flags=re.MULTILINE)
    assert headings == [
        "Summary",
        "What was run, and how to run it again",
        "Tuning budget",
        "How differences are tested",
        "results",
        "item level and SID level",
        "head and tail",
        "history length",
        "semantic-ID health",
        "learning curves",
        "cost",
        "published against measured",
        "Fidelity cards",
        "Runs that failed, were skipped or are pending",
        "Excluded users",
    ]


def test_every_figure_is_beside_the_page(page: Path) -> None:
    figures = re.findall(r"!\[.+?\]\((.+?)\)", page.read_text())
    assert len(figures) == 8
    for figure in figures:
        assert is_drawn(page.parent / figure)
        assert (page.parent / figure).with_suffix(".svg").exists()


def test_how_to_repeat(page: Path) -> None:
    text = page.read_text()
    assert f"```\n{COMMAND}\n```" in text
    for fact in ("33 of 33 runs complete", "excluded from the candidates", "`0123456789abcdef`", "7b24043", "1,682"):
        assert fact in text
    assert "> **Warning:**" not in text
    assert "Preliminary" not in text


def test_main_table_marks_the_best(page: Path, full_runs: SuiteRuns) -> None:
    wide = leaderboard(tidy_metrics(full_runs))
    best = wide.iloc[0]
    cell = f"**{best['item.overall.ndcg@10.mean']:.4f} ± {best['item.overall.ndcg@10.std']:.4f}**"
    line = next(line for line in page.read_text().splitlines() if line.startswith(f"| {best['model']} "))
    assert cell in line


def test_partial_results(
    suite: Suite,
    planned: list[RunSpec],
    results: list[RunResult],
    failed_result: Callable[..., RunResult],
    tmp_path: Path,
) -> None:
    ended = [r for r in results if r.spec.seed == 0 and r.spec.label not in {"hstu", "glass"}]
    ended += [failed_result(spec) for spec in planned if spec.label == "hstu" and spec.seed == 0]
    text = write_report(suite, planned, ended, tmp_path / "results", tmp_path / "reports", COMMAND).read_text()
    assert "9 of 33 runs complete, 1 failed, 23 pending. **Preliminary.**" in text
    assert re.search(r"^\| glass +\| +- \| 3 pending +\| +- \|", text, flags=re.MULTILINE)
    assert re.search(r"^\| hstu +\| +- \| 1 failed, 2 pending +\| +- \|", text, flags=re.MULTILINE)
    assert re.search(r"\| hstu +\| 0 +\| failed +\| ValueError: loss is NaN \\\| step 12 +\|", text)
    assert "one seed" in text
    assert "glass against tiger" not in text


@pytest.mark.parametrize("n_results", [0, 1])
def test_from_the_very_first_run_on(
    n_results: int, suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    page = write_report(suite, planned, results[:n_results], tmp_path / "results", tmp_path / "reports", COMMAND)
    text = page.read_text()
    assert f"{n_results} of 33 runs complete" in text
    assert ("No run is complete yet." in text) == (n_results == 0)
    assert "**popularity** has" in text or n_results == 0
    assert "nan" not in text


def test_two_data_sets_have_their_own_tables_and_figures(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], tmp_path: Path
) -> None:
    suite, planned, results = two_datasets
    page = write_report(suite, planned, results, tmp_path / "results", tmp_path / "reports", COMMAND)
    for dataset in ("ml-100k", "beauty"):
        assert f"## {dataset}: results" in page.read_text()
        assert (tmp_path / f"results/made-up/{dataset}/leaderboard.csv").exists()
    assert is_drawn(page.parent / "figures/ml-100k-quality.png")
    assert "No figure: popularity is the only row with a complete run." in page.read_text()
    assert not (page.parent / "figures/beauty-quality.png").exists()


def test_a_note_stands_under_the_table_of_its_data_set_only(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]],
) -> None:
    suite, planned, results = two_datasets
    texts: dict[str, str | dict[str, str]] = {"glass": "everywhere", "tiger": {"beauty": "short histories"}}
    models = tuple(entry.model_copy(update={"note": texts.get(entry.row, "")}) for entry in suite.models)
    grid = SuiteRuns.of(suite.model_copy(update={"models": models}), planned, results)
    shown = {dataset: text_of(notes(frames_of(grid.on(dataset)))).splitlines() for dataset in grid.datasets}
    assert shown["ml-100k"] == ["- **glass**: everywhere"]
    assert sorted(shown["beauty"]) == ["- **glass**: everywhere", "- **tiger**: short histories"]


def test_significance_is_claimed_only_where_there_is_one(full_runs: SuiteRuns) -> None:
    """GLASS with TIGER's own ranks, then with every target found first."""
    tiger = full_runs.of_row("tiger")
    rest = [result for result in full_runs.results if result.spec.label != "glass"]
    plan = [run.spec for run in full_runs.runs]

    def glass(ranks: Callable[[RunResult], np.ndarray]) -> list[RunResult]:
        return [with_ranks(g, ranks(t)) for g, t in zip(full_runs.of_row("glass"), tiger, strict=True)]

    equal = said(SuiteRuns.of(full_runs.suite, plan, rest + glass(lambda t: t.queries["item_rank"].to_numpy())))  # type: ignore[index]
    corrected = " with Holm's correction over both questions of the suite)"
    assert "**glass against tiger**" in equal
    assert "+0.0000" in equal
    assert f"p = 1.000; 1.000{corrected}: no significant difference." in equal
    perfect = said(SuiteRuns.of(full_runs.suite, plan, rest + glass(lambda t: np.ones(len(t.queries), np.int16))))  # type: ignore[arg-type]
    assert f"p < 0.001; < 0.001{corrected}: glass is significantly better than tiger." in perfect
    hopeless = said(SuiteRuns.of(full_runs.suite, plan, rest + glass(lambda t: np.zeros(len(t.queries), np.int16))))  # type: ignore[arg-type]
    assert f"p < 0.001; < 0.001{corrected}: tiger is significantly better than glass." in hopeless
    assert re.search(r"\*\*Below popularity\*\*.*glass \(0.0000, 100% lower: p < 0.001, Holm 0.001\)", hopeless)


def test_mixed_commits_and_machines_are_warned_of(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    changed = {**results[0].environment, "commit": "abc-dirty", "device": "cuda", "device_name": "Example GPU"}
    mixed = [dataclasses.replace(results[0], environment=changed), *results[1:]]
    text = write_report(suite, planned, mixed, tmp_path / "results", tmp_path / "reports", COMMAND).read_text()
    assert "**Warning:** these results come from code of different commits: abc-dirty; 7b24043." in text
    assert "different hardware" in text
    assert "uncommitted changes" in text


def test_an_item_hit_without_a_sid_hit_is_counted(full_runs: SuiteRuns) -> None:
    broken = []
    for result in full_runs.results:
        assert result.queries is not None
        lost = result.queries.assign(sid_rank=0) if result.spec.label == "tiger" else result.queries
        broken.append(dataclasses.replace(result, queries=lost))
    grid = SuiteRuns.of(full_runs.suite, [run.spec for run in full_runs.runs], broken)
    hits = sum(int((result.queries["item_rank"] > 0).sum()) for result in grid.of_row("tiger"))  # type: ignore[index]
    table = level_table(frames_of(grid))
    assert table is not None
    assert {row[0]: row[-1] for row in table.rows} == {"tiger": hits, "glass": 0, "glass-no-sid-tier": 0}


def test_equal_fidelity_cards_are_printed_once(full_runs: SuiteRuns) -> None:
    line = ("prefix trie", "faithful", "section 3", "", "tests/a.py::b")
    lines = [("glass", *line), ("glass-long", *line), ("tiger", line[0], "omitted", *line[2:])]
    noted = FIDELITY.frame((row, "model", "contestant", *mechanism) for row, *mechanism in lines)
    frames = dataclasses.replace(frames_of(full_runs), fidelity=noted)
    cards = fidelity_cards([frames])
    assert {labels: card.rows[0][1] for labels, card in cards.items()} == {
        "glass, glass-long": "faithful",
        "tiger": "omitted",
    }
    assert fidelity_cards([]) == {}


def test_reporting_never_imports_torch() -> None:
    code = "import bench.report, sys; print([name for name in sys.modules if name.split('.')[0] == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_suite_of_few_queries_has_a_report(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path, count: int
) -> None:
    few = [
        result
        if result.queries is None
        else dataclasses.replace(result, queries=result.queries.head(count), decoding=None)
        for result in results
    ]
    page = write_report(suite, planned, few, tmp_path / "results", tmp_path / "reports", COMMAND)
    assert "glass" in page.read_text()
