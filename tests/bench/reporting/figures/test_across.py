"""The figures over all data sets: what is drawn where, and when there is nothing to draw."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from small_suites import plan, result_of, suite_of

from bench.analysis.dataset_tables import frames_of
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns
from bench.reporting.blocks import Heading, Picture
from bench.reporting.figures import style
from bench.reporting.figures.across import FAMILIES, PART_NAMES, forest_figure, ranks_figure
from bench.reporting.figures.looks import row_styles
from bench.reporting.sections.across import across, all_ranks

ROWS = ("tiger", "hstu", "popularity")
RANK = {"popularity": 0, "tiger": 1, "hstu": 2}


STYLES = row_styles({row: row for row in ROWS})


def frames(datasets: tuple[str, ...], references: tuple[str, ...]) -> list[DatasetFrames]:
    suite = suite_of(ROWS, datasets, references=references)
    planned = plan(suite)
    results = [result_of(spec, np.resize([RANK[spec.label], RANK[spec.label], 0], 90)) for spec in planned]
    runs = SuiteRuns.of(suite, planned, results)
    return [frames_of(runs.on(dataset)) for dataset in datasets]


def saved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(style, "save", lambda figure, stem: names.append(stem.name))
    return names


def marks(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() not in ("None", "")]


def panels(figure: Figure | str | None) -> list[str]:
    assert isinstance(figure, Figure)
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def test_a_forest_has_a_panel_for_each_part_and_reference() -> None:
    style.use_style()
    both = frames(("x", "y"), ("tiger", "popularity"))
    assert panels(forest_figure(both, "overall", ROWS, STYLES)) == ["against tiger", "against popularity"]
    figure = forest_figure(both, "head-tail", ROWS, STYLES)
    titles = panels(figure)
    assert titles == [
        f"against {row}\n{part}"
        for part in ("popular targets (head)", "rare targets (tail)")
        for row in ("tiger", "popularity")
    ]
    assert isinstance(figure, Figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ROWS)
    # Two rows beside a reference, on two data sets: four marks with intervals, in the colours of the rows.
    (intervals,) = figure.axes[0].collections
    assert len(intervals.get_segments()) == 4
    assert {line.get_color() for line in marks(figure.axes[0])} == {STYLES[row].color for row in ("hstu", "popularity")}
    assert len({line.get_marker() for line in marks(figure.axes[0])}) == 2, "a marker for each data set"
    sized = [f"{name}, n = 90 test queries" for name in ("x", "y")]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == sized


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "overall"])
def test_titles_of_neighbours_do_not_touch(family: str) -> None:
    style.use_style()
    (of,) = frames(("x",), ("tiger", "popularity", "hstu"))
    long = {row: f"{row}-with-a-long-label" for row in ROWS}
    some = of.effects[of.effects["family"] == "overall"].replace({"row": long})
    of_parts = [some.assign(family=family, part=part) for own, part in PART_NAMES if own == family]
    styles = row_styles({label: row for row, label in long.items()})
    figure = forest_figure([replace(of, effects=pd.concat(of_parts))], family, tuple(long.values()), styles)
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]  # what set_title(loc="left") writes
    assert len(boxes) == 6
    assert all(box.width > 0 for box in boxes)
    assert [left.x1 < right.x0 for left, right in itertools.pairwise(boxes)].count(True) == 4, "three in a line"


def test_marks_are_filled_where_the_interval_leaves_out_0() -> None:
    style.use_style()
    figure = forest_figure(frames(("x",), ("popularity",)), "overall", ROWS, STYLES)
    assert isinstance(figure, Figure)
    # tiger and hstu find what popularity doesn't
    assert [line.get_markerfacecolor() for line in marks(figure.axes[0])] == [
        STYLES[row].color for row in ("tiger", "hstu")
    ]
    assert [line.get_marker() for line in marks(figure.axes[0])] == [STYLES[row].marker for row in ("tiger", "hstu")]
    level = forest_figure(frames(("x",), ("tiger",)), "repetition", ROWS, STYLES)
    assert isinstance(level, Figure)
    assert len(panels(level)) == 2


def test_ranks_have_a_panel_for_each_part_that_two_data_sets_have() -> None:
    style.use_style()
    ranks = all_ranks(frames(("x", "y"), ()))
    assert panels(ranks_figure(ranks, ROWS, ("x", "y"), STYLES))[:3] == [
        "all test queries",
        "popular targets (head)",
        "rare targets (tail)",
    ]
    assert ranks["overall", "overall"]["row"].tolist() == list(ROWS)
    assert ranks_figure({}, ROWS, ("x",), STYLES) is None


def test_a_part_may_rank_rows_that_are_not_on_every_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while a suite is being run: the data set that lacks a row yet is one that lacks the part, too."""
    monkeypatch.setattr(style, "save", lambda figure, stem: drawn.append(figure))
    drawn: list[Figure] = []
    x, y, third = frames(("x", "y", "z"), ())
    lacking = third.resampled[(third.resampled["family"] == "overall") & (third.resampled["row"] != "tiger")]
    across([x, y, replace(third, resampled=lacking)], tmp_path)
    (figure,) = drawn
    figure.canvas.draw()
    shown = {axes.get_title(loc="left"): len(marks(axes)) for axes in figure.axes if axes.get_visible()}
    assert shown["all test queries"] == 2
    assert shown["rare targets (tail)\n(on 2 of 3 data sets)"] == 3
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][-1] == "tiger"


@pytest.mark.parametrize(
    ("datasets", "references", "drawn"),
    [
        (("x",), (), 0),
        (("x",), ("tiger",), 5),
        (("x", "y"), (), 1),
        (("x", "y"), ("tiger",), 6),
    ],
)
def test_the_section_shows_what_there_is(
    datasets: tuple[str, ...],
    references: tuple[str, ...],
    drawn: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = saved(monkeypatch)
    blocks = across(frames(datasets, references), tmp_path)
    assert len([block for block in blocks if isinstance(block, Picture)]) == len(names) == drawn
    assert [block.text for block in blocks if isinstance(block, Heading)] == (["Over all data sets"] if drawn else [])


def test_a_single_mark_is_a_sentence() -> None:
    style.use_style()
    (alone,) = frames(("x",), ("tiger",))
    (only,) = alone.effects.query("family == 'overall' and row == 'hstu'").to_dict("records")
    narrowed = replace(alone, effects=alone.effects[alone.effects["row"] == "hstu"])
    said = forest_figure([narrowed], "overall", ROWS, STYLES)
    assert isinstance(said, str)
    assert said.startswith(f"hstu against tiger, NDCG@10: {only['difference']:+.4f} (95 % interval ")
    assert "paired over 90 queries" in said
