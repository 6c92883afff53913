"""Figures that can't be drawn are left out; models look the same everywhere and differ from each other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bench.analysis.dataset_tables import frames_of
from bench.analysis.runs import SuiteRuns
from bench.files import replaced
from bench.reporting.figures import quality, style, training
from bench.reporting.figures.looks import row_styles
from bench.reporting.figures.published import published


@pytest.fixture(autouse=True)
def _style() -> None:
    style.use_style()


def test_nothing_complete_nothing_drawn(full_runs: SuiteRuns) -> None:
    runs = SuiteRuns.of(full_runs.suite, [run.spec for run in full_runs.runs], [])
    frames, looks = frames_of(runs), row_styles(frames_of(runs).models)
    assert quality.quality(frames, looks) is None
    assert quality.head_tail(frames, looks) is None
    assert quality.popularity(frames) is None
    assert quality.history_length(frames, looks) is None
    assert training.learning_curves(frames, looks) is None
    assert training.cost(frames, looks) is None
    assert published(frames, looks) is None


def test_models_are_ordered_and_named(full_runs: SuiteRuns) -> None:
    frames, looks = frames_of(full_runs), row_styles(frames_of(full_runs).models)
    figure = quality.quality(frames, looks)
    assert figure is not None
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == frames.leaderboard["row"].tolist()
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best at the top
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "943 test queries" in texts
    assert "3 seeds" in texts


def test_only_models_that_train_have_curves(full_runs: SuiteRuns) -> None:
    figure = training.learning_curves(frames_of(full_runs), row_styles(frames_of(full_runs).models))
    assert figure is not None
    shown = {axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()}
    assert "glass" in shown
    assert "popularity" not in shown
    few = tuple(run for run in full_runs.runs if run.spec.label in ("glass", "tiger", "popularity"))
    some = replace(full_runs, runs=few)
    figure = training.learning_curves(frames_of(some), row_styles(frames_of(full_runs).models))
    assert figure is not None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["tiger", "glass"]


def test_a_file_keeps_the_colours_of_the_models(tmp_path: Path) -> None:
    style.use_style()
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for shift in range(60):  # much grey, whose shades would crowd out what covers few pixels
        axes.plot([0, 1, 2], [shift, 60 - shift, shift / 2], color="#cccccc", linewidth=0.8)
    for place, color in enumerate(style.COLORS):
        axes.plot(place / 5, 10, marker="s", color=color, markersize=5, zorder=3)
    style.save(figure, tmp_path / "figure")
    drawn = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB")).reshape(-1, 3).astype(int)
    for color in style.COLORS:
        wanted = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)])
        assert (np.abs(drawn - wanted).max(axis=1) <= 8).sum() >= 20, color


def test_equal_figures_are_equal_files(full_runs: SuiteRuns, tmp_path: Path) -> None:
    for name in ("one", "two"):
        figure = quality.head_tail(frames_of(full_runs), row_styles(frames_of(full_runs).models))
        assert figure is not None
        style.save(figure, tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_nothing_of_a_figure_is_cut_off(tmp_path: Path) -> None:
    """What is drawn lies within the layout and the headline, so that artists need not be asked for their places."""
    style.use_style()
    for layout in ("constrained", None):
        figure = Figure(figsize=(4, 3), layout=layout)
        axes = figure.subplots()
        axes.barh(["a label that is rather long"], [1.0])
        axes.set_xlabel("sum")
        figure.legend(handles=[axes.patches[0]], labels=["bars"], loc="outside right upper")
        style.headline(figure, "A title that is far wider than the figure below it, and then some", "its basis")
        style.save(figure, tmp_path / "figure")
        drawn = np.asarray(Image.open(tmp_path / "figure.png").convert("L"))
        assert all((edge > 250).all() for edge in (drawn[:4], drawn[-4:], drawn[:, :4], drawn[:, -4:]))


def test_a_compact_drawing_keeps_its_factors_and_its_coordinates_to_a_hundredth() -> None:
    drawing = """<svg>
      <metadata> <a/>
      </metadata><!-- 0.0625 -->
      <path d="M 108.140001 -306.231975
L 0.5 12.999999
" transform="translate(63.625 0) scale(0.015625)"/>
    </svg>"""
    path = '<path d="M 108.14 -306.23 L 0.5 13 " transform="translate(63.62 0) scale(0.015625)"/>'
    assert style.compact_svg(drawing) == f"<svg>{path}</svg>"


def test_outlines_are_as_large_as_pixels(tmp_path: Path) -> None:
    """Both are drawn in one go, in pixels of 144 to the inch: widths of lines and letters of the SVG follow."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linewidth=1.5, linestyle=(0, (2, 1)), color="#123456")
    axes.vlines([0.3], 0, 1, linewidth=2.5, linestyles=[(0, (4, 2))], color="#654321")
    axes.bar([0.5], [1], hatch="//")
    axes.set_title("words", fontsize=10)
    mesh = axes.pcolormesh([[0.0, 1.0]])
    figure.colorbar(mesh)
    style.save(figure, tmp_path / "figure")
    svg = (tmp_path / "figure.svg").read_text()
    width, height = Image.open(tmp_path / "figure.png").size
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None
    on_paper, inside = [float(size[1]), float(size[2])], [float(size[3]), float(size[4])]
    assert inside == pytest.approx([2 * length for length in on_paper], abs=0.01)
    assert inside == pytest.approx([width, height], abs=1)
    styles = re.findall(r'style="([^"]*)"', svg)
    (line,) = (found for found in styles if "#123456" in found)
    assert line.endswith("stroke-width: 3")
    assert "stroke-dasharray: 6,3;" in line  # lengths of dashes are in widths of the line
    (upright,) = (found for found in styles if "#654321" in found)
    assert upright.endswith("stroke-width: 5")
    assert "stroke-dasharray: 20,10;" in upright
    assert "scale(0.2 -0.2)" in svg  # ten points are twenty pixels, of a font in hundredths
    assert '<pattern patternTransform="scale(2)"' in svg
    bar = svg[svg.index('id="QuadMesh_2"') :]
    assert (
        len(re.findall(r"fill: (#\w+); stroke: \1; stroke-width: 2", bar)) > 200
    )  # each cell has an edge of its colour: no stripes between them


def test_files_are_small_and_their_colours_true(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().bar(range(len(style.COLORS)), 1.0, width=1.0, color=style.COLORS)
    style.save(figure, tmp_path / "bars")
    image = Image.open(tmp_path / "bars.png")
    assert image.mode == "P"
    found = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for color in style.COLORS:
        wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.abs(found - wanted).max(axis=1).min() <= 8


def test_a_file_is_replaced_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    target.write_text("old")

    def interrupted() -> None:
        with replaced(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert target.read_text() == "old"
    with replaced(target) as path:
        path.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]
