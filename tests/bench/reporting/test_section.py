"""A figure is one class and one line in the registry; a section without content is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_files import is_drawn
from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.report import write_report
from bench.reporting.figures.marks import Styles
from bench.reporting.section import Figures, ReportFigure
from bench.reporting.sections import registry
from bench.spec import RunResult, RunSpec, Suite


class Sizes(ReportFigure):
    """How many parameters each row has."""

    name = "sizes"
    title = "Small models and large ones"
    alternative = "Parameters of each model"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        figure = Figure(figsize=(6, 3))
        figure.subplots().barh(frames.leaderboard["row"], frames.leaderboard["parameters.mean"])
        return figure


class Nothing(ReportFigure):
    name = "nothing"
    alternative = "Nothing"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return None


def test_a_registered_figure_is_in_the_report_with_its_title_data_set_and_basis(
    suite: Suite,
    planned: list[RunSpec],
    results: list[RunResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = (Figures("sizes", Sizes()), Figures("empty", Nothing()))
    monkeypatch.setattr(registry, "OF_A_DATASET", added)
    page = write_report(suite, planned, results, tmp_path, tmp_path, "command")
    text = page.read_text()
    assert "## ml-100k: sizes\n\n![Parameters of each model](figures/ml-100k-sizes.png)\n" in text
    assert "empty" not in text
    assert is_drawn(page.parent / "figures" / "ml-100k-sizes.png")


def test_the_headline_of_a_figure_names_data_set_queries_and_seeds(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("bench.reporting.figures.style.headline", lambda figure, *texts: said.extend(texts))
    monkeypatch.setattr(registry, "OF_A_DATASET", (Figures("sizes", Sizes()),))
    write_report(suite, planned, results, tmp_path, tmp_path, "command")
    assert said[0] == "Small models and large ones (ml-100k)"
    assert said[1].startswith("n = 943 test queries; mean of 3 seeds")
