"""Published figures against measured ones: verdicts, reasons, the order of trends, and the figure."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from as_text import cells_of, text_of
from drawn_files import is_drawn
from pydantic import ValidationError

from bench.analysis.columns import PUBLISHED
from bench.analysis.dataset_tables import frames_of
from bench.analysis.published import Replication, replications
from bench.analysis.runs import SuiteRuns
from bench.report import write_report
from bench.reporting.figures.looks import row_styles
from bench.reporting.figures.published import published
from bench.reporting.tables.published import order_of_trends, published_table, reasons
from bench.spec import Published, RunResult


def line(measured: tuple[float, ...], row: str = "tiger", **changes: object) -> Replication:
    fields = {"metric": "recall@10", "value": 0.05, "tolerance": 0.1, "source": "a paper", **changes}
    return Replication(row, Published.model_validate(fields), measured)


def frames_with(*lines: Replication) -> Any:
    """Frames in which these figures were published."""
    return SimpleNamespace(
        published=PUBLISHED.frame(
            (
                *(5, "s", "d", line.row, line.row, "", line.figure.metric, line.figure.level, line.figure.value),
                *(line.figure.tolerance, line.mean, line.deviation, len(line.seeds), line.difference, line.verdict),
                *(line.figure.source, line.figure.why),
            )
            for line in lines
        )
    )


def trend(row: str, value: float, measured: float, metric: str = "recall@10") -> Replication:
    return line((measured,), row, value=value, metric=metric, tolerance=None, trend=True)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ((0.05, 0.06), "reproduced"),  # the mean is exactly a tenth above
        ((0.0451,), "reproduced"),
        ((0.0449,), "below"),
        ((0.03, 0.059), "below"),
        ((0.0551,), "above"),
        ((), "not measured"),
    ],
)
def test_a_verdict_is_by_the_mean_over_seeds(measured: tuple[float, ...], verdict: str) -> None:
    assert line(measured, tolerance=0.1 + 1e-9).verdict == verdict


def test_the_spread_is_that_of_a_sample_and_needs_two_seeds() -> None:
    assert line((0.04, 0.06)).deviation == pytest.approx(0.02 / np.sqrt(2))
    assert np.isnan(line((0.05,)).deviation)


def test_a_figure_has_either_a_tolerance_or_is_a_trend() -> None:
    assert trend("tiger", 0.05, 0.5).verdict == "trend only"
    for changes in ({"trend": True}, {"tolerance": None}):
        with pytest.raises(ValidationError, match="either a tolerance or 'trend: true'"):
            line((0.05,), **changes)


def test_cells_of_the_table() -> None:
    table = published_table(frames_with(line((0.06, 0.062)), line((), "glass"), trend("hstu", 0.3, 0.27)))
    assert cells_of(table) == [
        ["tiger", "recall@10", "0.0500", "0.0610 ± 0.0014", "+22.0%", "10%", "above", "a paper"],
        ["glass", "recall@10", "0.0500", "-", "-", "10%", "not measured", "a paper"],
        ["hstu", "recall@10", "0.3000", "0.2700", "-10.0%", "-", "trend only", "a paper"],
    ]
    assert published_table(frames_with()) is None


def test_a_reason_is_given_once_for_all_figures_that_share_it_and_only_where_they_disagree() -> None:
    text = reasons(
        frames_with(
            line((0.03,), why="Other text."),
            line((0.07,), metric="ndcg@10", why="Other text."),
            line((0.05,), metric="ndcg@5", why="Other text."),
            line((0.07,), metric="recall@5", why="Other cut-off."),
            line((), "glass", why="Nothing was measured."),
            line((0.07,), "sasrec-ce"),
        )
    )
    assert text_of(text).splitlines() == [
        "- **tiger** (recall@10 below, ndcg@10 above): Other text.",
        "- **tiger** (recall@5 above): Other cut-off.",
        "- **sasrec-ce** (recall@10 above): the suite names no difference in the set-up.",
    ]
    assert reasons(frames_with(line((0.05,), why="Other text."))) is None


def test_trends_are_compared_by_their_order_metric_by_metric() -> None:
    found = [trend("c", 0.3, 0.20), trend("a", 0.1, 0.10), trend("b", 0.2, 0.15)]
    found += [trend("a", 0.1, 0.3, "ndcg@10"), line((0.9,), "d", metric="ndcg@10"), trend("b", 0.2, 0.2, "ndcg@10")]
    assert text_of(order_of_trends(frames_with(*found))).splitlines() == [
        "- ndcg@10: published a < b; here b < a.",
        "- recall@10: published a < b < c; in the same order here.",
    ]
    assert order_of_trends(frames_with(trend("a", 0.1, 0.1), line((0.1,), "b"))) is None
    assert (
        order_of_trends(frames_with(trend("a", 0.1, 0.1), trend("b", 0.1, 0.2))) is None
    )  # one published figure has no order
    tied = [trend("b", 0.1, 0.2), trend("a", 0.1, 0.1), trend("c", 0.3, 0.2)]
    assert text_of(order_of_trends(frames_with(*tied))) == "- recall@10: published b = a < c; here a < b = c."
    assert text_of(order_of_trends(frames_with(*tied[:2], trend("c", 0.3, 0.4)))) == (
        "- recall@10: published b = a < c; in the same order here."
    )


def test_measured_values_are_those_of_the_runs(full_runs: SuiteRuns) -> None:
    (found,) = replications(full_runs, "ml-100k")
    hits = [float((r.queries["item_rank"].between(1, 10)).mean()) for r in of_row(full_runs)]
    assert found.seeds == pytest.approx(hits)
    assert found.row == "gru4rec-recbole"
    assert replications(full_runs, "elsewhere") == []


def of_row(runs: SuiteRuns) -> list[RunResult]:
    return runs.of_row("gru4rec-recbole")


def with_figures(runs: SuiteRuns, *figures: Published) -> SuiteRuns:
    """The figures as those of the last row."""
    entry = runs.suite.models[-1].model_copy(update={"published": {"ml-100k": figures}})
    return SuiteRuns(runs.suite.model_copy(update={"models": (*runs.suite.models[:-1], entry)}), runs.runs)


def test_a_figure_of_semantic_ids_is_compared_with_those(full_runs: SuiteRuns) -> None:
    half = [
        dataclasses.replace(r, queries=r.queries.assign(item_rank=0, sid_rank=1)) if r.queries is not None else r
        for r in full_runs.results
    ]
    runs = SuiteRuns.of(full_runs.suite, [run.spec for run in full_runs.runs], half)
    levels = [Published(metric="hit@1", value=1, tolerance=0.1, source="", level=level) for level in ("item", "sid")]
    item, sid = replications(with_figures(runs, *levels), "ml-100k")
    assert (item.metric, item.mean) == ("hit@1", 0.0)
    assert (sid.metric, sid.mean) == ("hit@1 (SID level)", 1.0)


def test_a_metric_that_cannot_be_computed_spoils_nothing(full_runs: SuiteRuns) -> None:
    figures = [Published(metric=metric, value=0.3, tolerance=0.1, source="") for metric in ("hr@50", "recall@10")]
    unknown, usual = replications(with_figures(full_runs, *figures), "ml-100k")
    assert unknown.verdict.startswith("can't be computed: unknown metric 'hr'")
    assert "| can't be computed" in text_of(published_table(frames_with(unknown, usual)))
    assert usual.verdict == "below"


def test_the_figure_has_a_panel_for_each_metric_and_a_line_for_each_row(full_runs: SuiteRuns) -> None:
    figures = {
        "tiger": [
            Published(metric=metric, value=0.05, tolerance=0.1, source="") for metric in ("recall@10", "ndcg@10")
        ],
        "glass": [Published(metric="recall@10", value=0.2, trend=True, source="")],
        "sim": [Published(metric="hr@50", value=0.2, tolerance=0.1, source="")],
    }
    entries = [
        entry.model_copy(update={"published": {"ml-100k": tuple(figures.get(entry.row, ()))}})
        for entry in full_runs.suite.models
    ]
    runs = SuiteRuns(full_runs.suite.model_copy(update={"models": tuple(entries)}), full_runs.runs)
    frames, looks = frames_of(runs), row_styles(frames_of(runs).models)
    figure = published(frames, looks)
    assert figure is not None
    assert [axes.get_xlabel() for axes in figure.axes] == ["recall@10", "ndcg@10"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["tiger", "glass"]
    assert figure.axes[0].get_xlim()[1] > 0.2  # what was published is in sight
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"published", "its tolerance", "published for other data or another system"} < set(words)
    assert published(dataclasses.replace(frames, published=frames.published.query("row == 'sim'")), looks) is None


def test_the_report_has_table_figure_and_reasons(full_runs: SuiteRuns, tmp_path: Path) -> None:
    runs = with_figures(
        full_runs, Published(metric="recall@10", value=0.9, tolerance=0.1, source="x", why="Other text.")
    )
    page = write_report(runs.suite, [r.spec for r in runs.runs], runs.results, tmp_path / "r", tmp_path, "bench run")
    text = page.read_text(encoding="utf-8")
    section = text[text.index("## ml-100k: published against measured") : text.index("## Fidelity cards")]
    assert re.search(r"\| gru4rec-recbole +\| recall@10 +\|.*\| +below \|", section)
    assert "### Where the set-up differs (ml-100k)" in section
    assert "- **gru4rec-recbole** (recall@10 below): Other text." in section
    assert "trends" not in section
    assert is_drawn(page.parent / "figures" / "ml-100k-published.png")
