"""Where rows are compared, figures show differences with paired intervals, bucket by bucket."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from enriched import enriched
from matplotlib.figure import Figure

from bench.analysis.dataset_tables import frames_of
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare
from bench.evaluation.slices import named_slices
from bench.reporting.figures import decoding, quality, style, training
from bench.reporting.figures.looks import row_styles


@pytest.fixture(scope="module")
def runs(full_runs: SuiteRuns) -> SuiteRuns:
    return enriched(full_runs)


@pytest.fixture(scope="module")
def frames(runs: SuiteRuns) -> DatasetFrames:
    style.use_style()
    return frames_of(runs)


def test_each_difference_is_that_of_the_paired_test(runs: SuiteRuns, frames: DatasetFrames) -> None:
    found = frames.part_differences
    assert frames.mark == "tiger"
    assert set(found["against"]) == {"tiger"}
    assert set(found["family"]) == {"head-tail", "history", "reach", "category-reach"}
    queries = runs.of_row("glass")[0].queries
    assert queries is not None
    slices = named_slices(queries)
    for family, part in (("head-tail", "tail"), ("history", "51-200"), ("reach", "far")):
        (line,) = found.query("row == 'glass' and family == @family and part == @part").to_dict("records")
        mask = slices[part if family == "head-tail" else f"{family}:{part}"]
        test = compare(runs.of_row("glass"), runs.of_row("tiger"), "ndcg@10", mask)
        assert test is not None
        assert (line["difference"], line["low"], line["high"]) == pytest.approx((test.difference, test.low, test.high))
        assert (line["n_queries"], line["seeds"]) == (test.n_queries, 3)


def test_history_lengths_are_one_figure_with_a_panel_for_each_bucket(frames: DatasetFrames) -> None:
    figure = quality.history_length(frames, row_styles(frames.models))
    assert isinstance(figure, Figure)
    parts = frames.slices.loc[frames.slices["family"] == "history", "part"].unique()
    assert [axes.get_title(loc="left").partition(" events")[0] for axes in figure.axes] == list(parts)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == [row for row in frames.leaderboard["row"] if row != "tiger"]
    for axes, part in zip(figure.axes, parts, strict=True):
        shown = frames.part_differences
        lines = shown[(shown["family"] == "history") & (shown["part"] == part)]
        (bars,) = axes.collections
        ends = [sorted(segment[:, 0]) for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, lines[["low", "high"]].to_numpy())
        assert f"n = {lines['n_queries'].iloc[0]:,}" in axes.get_title(loc="left")
    assert "95 % intervals of differences paired over queries and seeds" in " ".join(
        " ".join(text.get_text().split()) for text in figure.texts
    )


def test_quality_has_the_means_and_the_differences_of_the_flags(frames: DatasetFrames) -> None:
    figure = quality.quality(frames, row_styles(frames.models))
    assert isinstance(figure, Figure)
    means, differences = figure.axes
    assert not means.containers, "no bars over seeds where rows are compared"
    assert differences.get_xlabel().startswith("NDCG@10 minus that of tiger")
    marks = [line for line in differences.lines if line.get_marker() not in ("None", "")]
    filled = {line.get_ydata()[0] for line in marks if line.get_markerfacecolor() != "white"}
    pairs = frames.pairs[(frames.pairs["first"] == "tiger") | (frames.pairs["second"] == "tiger")]
    clear = pairs[pairs["p_holm"] < 0.05]
    others = {*clear["first"], *clear["second"]} - {"tiger"}
    rows = frames.leaderboard["row"].tolist()
    assert filled == {rows.index(row) for row in others}


def test_one_row_is_a_sentence(runs: SuiteRuns) -> None:
    alone = frames_of(SuiteRuns.of(runs.suite, [run.spec for run in runs.runs], runs.of_row("glass")))
    looks = row_styles(alone.models)
    assert quality.quality(alone, looks) == "No figure: glass is the only row with a complete run."
    assert quality.head_tail(alone, looks) == (
        "No figure: glass is the only row here, so that there is no difference to show."
    )
    assert quality.popularity(alone) is None
    assert training.cost(alone, looks) == "No figure: glass is the only row, and the table has its cost."


def test_a_histogram_of_one_bar_is_a_sentence(frames: DatasetFrames) -> None:
    head = {"schema": 5, "suite": "s", "dataset": "d", "row": "glass", "model": "glass", "role": "contestant"}
    line = {**head, "seed": 0, "metric": "queries", "value": 0.0, "n": 943.0}
    counts = [{**line, "part": f"retrieved:{number}", "value": 943.0 * (number == 2)} for number in range(4)]
    gates = [{**line, "metric": "gate", "part": "retrieved:2-4", "value": 0.25}]
    decoded = frames.decoding.reindex(columns=list(counts[0])).iloc[:0]
    one = replace(frames, decoding=pd.DataFrame(counts + gates).reindex(columns=decoded.columns))
    assert decoding.retrieved(one) == (
        "No figure of what semantic hard search finds for the target's first code: glass always finds 2."
    )
    said = decoding.gate(one, row_styles(frames.models))
    assert said == "No figure: every search found 2-4 events, or none. Mean gate where it found some: glass 0.25."
