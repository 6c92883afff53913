"""Tables, sentences and figures of decoding traces: what they say is what was put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from as_text import cells_of, text_of
from matplotlib.figure import Figure
from traces import N_QUERIES, PAPER, TRACED, make_trace, with_trace

from bench.analysis.dataset_tables import frames_of
from bench.analysis.decoding import decoding_of, traced, training_accuracy
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns
from bench.evaluation.decoding import conditional_rank, rank_progression
from bench.report import write_report
from bench.reporting.decoding_findings import findings
from bench.reporting.figures import decoding as decoding_figures
from bench.reporting.figures import style
from bench.reporting.figures.looks import row_styles
from bench.reporting.table import Table
from bench.reporting.tables import decoding
from bench.spec import RunResult, RunSpec, Suite


@pytest.fixture(scope="module")
def asked(suite: Suite) -> Suite:
    return suite.model_copy(update={"paper": PAPER})


@pytest.fixture(scope="module")
def traced_results(results: list[RunResult]) -> list[RunResult]:
    return [with_trace(result) for result in results]


@pytest.fixture(scope="module")
def grid(asked: Suite, planned: list[RunSpec], traced_results: list[RunResult]) -> SuiteRuns:
    style.use_style()
    return traced(SuiteRuns.of(asked, planned, traced_results))


@pytest.fixture(scope="module")
def frames(grid: SuiteRuns) -> DatasetFrames:
    return frames_of(grid)


def cells(shown: Table | None, start: str) -> list[str]:
    """The cells of the first line that starts with `start`."""
    assert shown is not None
    return next(row for row in cells_of(shown) if row[0] == start)


def column(shown: Table | None, row: str, name: str) -> str:
    assert shown is not None
    return cells(shown, row)[[column.name for column in shown.columns].index(name)]


def test_only_runs_with_traces_are_shown(grid: SuiteRuns, frames: DatasetFrames) -> None:
    assert grid.rows == list(TRACED)
    for table in (
        decoding.accuracy_table(frames),
        decoding.prefix_table(frames),
        decoding.progression_table(frames),
    ):
        assert table is not None
        assert len(table.rows) == len(TRACED)


def test_both_readings_of_crp_are_means_over_seeds(grid: SuiteRuns, frames: DatasetFrames) -> None:
    table = decoding.progression_table(frames)
    for name, measure in (("Mean rank at level 3", conditional_rank), ("Places lost at level 3", rank_progression)):
        seeds = [measure(decoding_of(result))[2] for result in grid.of_row("glass")]
        assert column(table, "glass", name) == f"{np.mean(seeds):.2f} ± {np.std(seeds, ddof=1):.2f}"
    assert table is not None
    assert "Places lost at level 1" not in [column.name for column in table.columns], (
        "nothing can be lost at the first level"
    )
    assert column(table, "glass", "n at level 1") == str(N_QUERIES)


def test_the_training_accuracy_is_that_of_the_tested_weights(grid: SuiteRuns) -> None:
    result = grid.of_row("glass")[0]
    best = int(np.argmax([point["validation"] for point in result.curve]))
    accuracy = training_accuracy(result)
    assert accuracy is not None
    assert accuracy[0] == 0.01 * best
    old = dataclasses.replace(result, diagnostics={})
    assert training_accuracy(old) is None


def test_rows_of_different_depth_share_a_table(asked: Suite, traced_results: list[RunResult]) -> None:
    shallow = [
        dataclasses.replace(r, decoding=make_trace(r.spec, levels=3)) if r.spec.label == "tiger" else r
        for r in traced_results
    ]
    table = decoding.prefix_table(frames_of(SuiteRuns.of(asked, [r.spec for r in shallow], shallow)))
    assert column(table, "tiger", "P_1234") == "-"
    assert column(table, "glass", "P_1234") != "-"


def test_paper_and_measurement_stand_side_by_side_and_crp_is_compared_with_places_lost(
    grid: SuiteRuns, frames: DatasetFrames
) -> None:
    table = decoding.paper_table(frames)
    assert table is not None
    assert len(table.rows) == 4, "a row without a trace has nothing to be compared"
    crp = cells(table, "CRP_2: places lost (other reading: mean rank)")
    ours = decoding.progression_table(frames)
    assert crp[4] == "1.25"
    assert cells(table, "P_12")[5] == column(decoding.prefix_table(frames), "tiger", "P_12")
    gate = cells(table, "gate by retrieved events: rank correlation")
    assert gate[4] == "rises"
    assert 0 < float(gate[5].split()[0]) < 1
    assert float(crp[5].split()[0]) == pytest.approx(
        float(column(ours, "tiger", "Places lost at level 2").split()[0]), abs=0.01
    )
    assert float(crp[6].split()[0]) == pytest.approx(
        float(column(ours, "tiger", "Mean rank at level 2").split()[0]), abs=0.01
    )
    assert decoding.paper_table(frames_of(SuiteRuns(grid.suite.model_copy(update={"paper": ()}), grid.runs))) is None


def test_gates_are_told_with_their_direction_and_never_beyond_chance(grid: SuiteRuns, frames: DatasetFrames) -> None:
    said = text_of(findings(frames))
    assert "**glass against tiger**: the best ID begins" in said
    assert "**glass**: gate and number of retrieved events" in said
    assert "the more is retrieved, the wider the gate opens" in said
    assert "**tiger**" not in said
    table = decoding.retrieval_table(frames)
    assert 0 < float(column(table, "glass", "Rank correlation of gate and events").split()[0]) < 1

    def changed(gate: Callable[[pd.DataFrame], np.ndarray]) -> str:
        runs = [
            dataclasses.replace(run, result=dataclasses.replace(run.result, decoding=frame.assign(gate=gate(frame))))
            for run in grid.runs
            if run.result is not None and "gate" in (frame := decoding_of(run.result))
        ]
        return text_of(findings(frames_of(SuiteRuns(grid.suite, tuple(runs)))))

    rng = np.random.default_rng(0)
    assert "less the gate opens" in changed(lambda frame: 1 / (1 + frame["retrieved"].to_numpy()))
    assert "no more than chance may bring about" in changed(lambda frame: rng.random(len(frame)))
    assert "gate" not in changed(lambda frame: np.where(frame["retrieved"] > 0, 0.5, 0)), "a fixed gate has no course"


def test_a_wrong_first_code_has_a_line_per_later_level(grid: SuiteRuns, frames: DatasetFrames) -> None:
    table = decoding.wrong_first_table(frames)
    assert table is not None
    assert len(table.rows) == 3 * len(TRACED)
    right, wrong = (
        np.mean([decoding_of(result)[f"{name}_2"].mean() for result in grid.of_row("tiger")])
        for name in ("forced_rank", "after_wrong")
    )
    assert cells(table, "tiger")[3:5] == [f"{right:.2f}", f"{wrong:.2f}"]


def words_in(figure: Figure | None) -> str:
    assert figure is not None
    texts = [text.get_text() for text in figure.texts]
    texts += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
        texts += [axes.get_title(loc="left"), axes.get_xlabel(), *(label.get_text() for label in labels)]
    return "\n".join([*texts, figure.get_suptitle(), figure.get_supxlabel()])


def test_every_figure_names_its_models_data_and_seeds(grid: SuiteRuns, frames: DatasetFrames) -> None:
    looks = row_styles(frames.models)
    drawn: dict[str, tuple[Figure | str | None, list[str]]] = {
        "prefixes": (decoding_figures.prefixes(frames), TRACED),
        "ranks": (decoding_figures.ranks(frames), TRACED),
        "first code": (decoding_figures.first_code(frames), TRACED),
        "gate": (decoding_figures.gate(frames, looks), TRACED[1:]),
        "retrieved": (decoding_figures.retrieved(frames), TRACED[1:]),
    }
    for figure, models in drawn.values():
        words = words_in(figure)
        assert all(model in words for model in models)
        assert "ml-100k" in words
        assert f"n = {N_QUERIES} test queries; mean of 3 seeds" in words
    assert "P_1234: the first 4 codes" in words_in(drawn["prefixes"][0])


def test_the_gate_has_a_point_per_bin_with_its_queries(grid: SuiteRuns, frames: DatasetFrames) -> None:
    figure = decoding_figures.gate(frames, row_styles(frames.models))
    assert figure is not None
    traces = [decoding_of(result) for result in grid.of_row("glass")]
    single = np.mean([(trace["retrieved"] == 1).sum() for trace in traces])
    assert f"1\nn={single:,.0f}" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_models_that_retrieve_alike_share_a_histogram(grid: SuiteRuns) -> None:
    alike = [
        dataclasses.replace(
            run, result=dataclasses.replace(run.result, decoding=make_trace(grid.of_row("glass")[0].spec))
        )
        for run in grid.runs
        if run.result is not None and run.spec.label.startswith("glass")
    ]
    figure = decoding_figures.retrieved(frames_of(SuiteRuns(grid.suite, tuple(alike))))
    assert figure is not None
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in visible] == ["glass and glass-no-sid-tier"]
    assert sum(bar.get_height() for bar in visible[0].patches) == pytest.approx(1)


def test_models_without_retrieval_have_no_gate_to_draw(grid: SuiteRuns) -> None:
    tiger = SuiteRuns(grid.suite, tuple(run for run in grid.runs if run.spec.label == "tiger"))
    frames = frames_of(tiger)
    assert decoding_figures.gate(frames, row_styles(frames.models)) is None
    assert decoding_figures.retrieved(frames) is None
    assert decoding.retrieval_table(frames_of(tiger)) is None


def test_the_report_has_the_section_where_there_are_traces_and_only_there(
    asked: Suite,
    planned: list[RunSpec],
    results: list[RunResult],
    traced_results: list[RunResult],
    tmp_path: Path,
) -> None:
    few = [spec for spec in planned if spec.label in ("tiger", "glass") and spec.seed < 2]
    for name, runs in (("without", results), ("with", traced_results)):
        page = write_report(asked, few, runs, tmp_path / name, tmp_path / name, "command").read_text()
        pictures = sorted(path.name for path in (tmp_path / name / asked.name / "figures").glob("*decoding*.png"))
        if name == "without":
            assert "how decoding goes" not in page
            assert pictures == []
        else:
            assert "## ml-100k: how decoding goes" in page
            assert all(f"(figures/{picture})" in page for picture in pictures)
            assert len(pictures) == 5
