"""The figures over all data sets: what is drawn where, and when there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_suites import plan, result_of, suite_of

from bench.analysis.dataset_tables import frames_of
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns
from bench.reporting.blocks import Heading, Picture
from bench.reporting.figures import style
from bench.reporting.figures.across import forest_figure, ranks_figure
from bench.reporting.sections.across import across, all_ranks

ROWS = ("tiger", "hstu", "popularity")
RANK = {"popularity": 0, "tiger": 1, "hstu": 2}


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


def panels(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def test_a_forest_has_a_panel_for_each_part_and_reference() -> None:
    style.use_style()
    both = frames(("x", "y"), ("tiger", "popularity"))
    assert panels(forest_figure(both, "overall", ROWS)) == ["against tiger", "against popularity"]
    figure = forest_figure(both, "head-tail", ROWS)
    titles = panels(figure)
    assert titles == [
        f"against {row}\n{part}"
        for part in ("popular targets (head)", "rare targets (tail)")
        for row in ("tiger", "popularity")
    ]
    assert figure is not None
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ROWS)
    # Two rows beside a reference, on two data sets: four marks with intervals.
    assert len(figure.axes[0].containers) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y"]


def test_marks_are_filled_where_the_interval_leaves_out_0() -> None:
    style.use_style()
    figure = forest_figure(frames(("x",), ("popularity",)), "overall", ROWS)
    assert figure is not None
    faces = {container[0].get_markerfacecolor() for container in figure.axes[0].containers}
    assert faces == {style.COLORS[0]}  # tiger and hstu find what popularity doesn't
    level = forest_figure(frames(("x",), ("tiger",)), "repetition", ROWS)
    assert level is not None
    assert len(panels(level)) == 2


def test_ranks_have_a_panel_for_each_part_that_two_data_sets_have() -> None:
    style.use_style()
    ranks = all_ranks(frames(("x", "y"), ()))
    assert panels(ranks_figure(ranks, ROWS, 2))[:3] == [
        "all test queries",
        "popular targets (head)",
        "rare targets (tail)",
    ]
    assert ranks["overall", "overall"]["row"].tolist() == list(ROWS)
    assert ranks_figure({}, ROWS, 1) is None


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
