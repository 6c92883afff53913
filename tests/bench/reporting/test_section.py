"""A figure is one class and one line in the registry; a section without content is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from drawn_files import is_drawn
from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.report import write_report
from bench.reporting.figures import style
from bench.reporting.figures.marks import Styles
from bench.reporting.section import ReportFigure, Section, SectionOf
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


SIZES = SectionOf("sizes", Sizes())
EMPTY = SectionOf("empty", Nothing())


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module in the folder of sections, and two lines in the registry."""
    monkeypatch.setitem(sys.modules, f"{registry.__package__}.added", sys.modules[__name__])
    monkeypatch.setattr(registry, "ADDRESSES", ("added:SIZES", "added:EMPTY"))


@pytest.mark.usefixtures("registered")
def test_a_registered_figure_is_in_the_report_with_its_title_data_set_and_basis(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headlines: dict[str, list[str]] = {}
    save = style.save

    def noted(figure: Figure, stem: Path) -> None:
        headlines[stem.name] = [figure.get_suptitle(), *(text.get_text() for text in figure.texts)]
        save(figure, stem)

    monkeypatch.setattr(style, "save", noted)
    page = write_report(suite, planned, results, tmp_path, tmp_path, "command")
    text = page.read_text()
    assert "## ml-100k: sizes\n\n![Parameters of each model](figures/ml-100k-sizes.png)\n" in text
    assert "empty" not in text
    assert is_drawn(page.parent / "figures" / "ml-100k-sizes.png")
    title, *_, basis = headlines["ml-100k-sizes"]
    assert title == "Small models and large ones (ml-100k)"
    assert basis.startswith("n = 943 test queries; mean of 3 seeds")


def test_every_registered_section_exists_once() -> None:
    assert len(list(registry.sections(complete=False))) == 1
    sections = list(registry.sections(complete=True))
    assert all(isinstance(section, Section) for section in sections)
    assert len(set(map(id, sections))) == len(sections) > len(registry.ADDRESSES)


def test_no_two_figures_of_a_report_write_the_same_file() -> None:
    parts = [part for one in registry.sections(complete=True) for part in getattr(one, "_parts", ())]
    names = [part.name for part in parts if isinstance(part, ReportFigure)]
    assert len(names) > 8
    assert len(names) == len(set(names))
