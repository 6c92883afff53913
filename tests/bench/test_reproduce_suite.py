"""The suite of published figures: every figure is shown, explained and plausible; absent data are skipped rows."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from bench.execution.worker import execute
from bench.plan import expand, select
from bench.suite_files import load_suite

SUITE = load_suite("reproduce")
FIGURES = [
    (entry, label, figure) for entry in SUITE.models for label, figures in entry.published.items() for figure in figures
]


def test_every_figure_belongs_to_a_data_set_on_which_its_row_runs(tiny_ml_100k: None) -> None:
    runs = {(run.label, run.dataset.label) for run in expand(SUITE)}
    assert {(entry.row, label) for entry, label, _ in FIGURES} <= runs


def test_every_figure_has_a_source_and_says_what_differs() -> None:
    for entry, label, figure in FIGURES:
        assert figure.source
        assert figure.why.endswith(".")
        assert figure.trend == (label == "ml-1m-order" or entry.row.startswith("tiger-collaborative"))


def test_published_values_are_possible() -> None:
    """NDCG is below recall at the same cut-off, and no metric falls with the cut-off: a slip of the pen would show."""
    rows: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for entry, label, figure in FIGURES:
        rows[entry.row, label][figure.metric] = figure.value
    for values in rows.values():
        assert values["ndcg@10"] < values["recall@10"]
        if "recall@5" in values:
            assert values["ndcg@5"] < values["recall@5"] < values["recall@10"]
            assert values["ndcg@5"] < values["ndcg@10"]


def test_seen_items_are_candidates_where_the_published_evaluation_keeps_them() -> None:
    labels = {"ml-100k+keep", "beauty+keep", "beauty+exclude", "ml-1m-order", "ml-1m"}
    assert {dataset.label for dataset in SUITE.datasets} == labels
    of_beauty = {(entry.model, label) for entry, label, _ in FIGURES if label.startswith("beauty")}
    kept = {("tiger", "beauty+keep")}
    assert of_beauty == kept | {("gru4rec", "beauty+exclude"), ("sasrec-bce", "beauty+exclude")}


def test_rows_without_their_data_are_skipped_and_say_what_to_put_where(tiny_ml_100k: None, tmp_path: Path) -> None:
    runs = expand(select(SUITE, models=["popularity"], seeds=[0]))
    assert {run.dataset.label for run in runs} == {"beauty+keep", "beauty+exclude", "ml-1m-order", "ml-1m"}
    for run in runs:
        result = execute(run, tmp_path, "cpu", threads=1)
        assert result.status == "skipped"
        assert result.reason.startswith(f"{run.dataset.name} is not on this machine: ")
