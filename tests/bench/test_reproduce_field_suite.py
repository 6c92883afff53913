"""The suite of the field's published figures: shown, explained and plausible; configurations are the sources' own."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from bench.execution.worker import execute
from bench.plan import expand, select
from bench.registry import model_class
from bench.spec import DatasetSpec, RunSpec
from bench.suite_files import load_suite

SUITE = load_suite("reproduce-field")
FIGURES = [
    (entry, label, figure) for entry in SUITE.models for label, figures in entry.published.items() for figure in figures
]


def planned(models: list[str] | None = None) -> list[RunSpec]:
    """The runs of the suite; a data set that no row asks for stands in, since none of its own may be here."""
    suite = select(SUITE, models=models)
    return expand(suite.model_copy(update={"datasets": (*suite.datasets, DatasetSpec(name="ml-100k"))}))


def test_every_figure_belongs_to_a_data_set_on_which_its_row_runs_and_is_explained(tiny_ml_100k: None) -> None:
    runs = {(run.label, run.dataset.label) for run in planned()}
    assert {(entry.row, label) for entry, label, _ in FIGURES} <= runs
    assert all(figure.source and figure.why.endswith(".") for _, _, figure in FIGURES)


def test_published_values_are_possible() -> None:
    """NDCG is below recall at the same cut-off: a slip of the pen would show."""
    rows: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for entry, label, figure in FIGURES:
        rows[entry.row, label][figure.metric] = figure.value
    for values in rows.values():
        assert 0 < values["ndcg@10"] < values.get("recall@10", 1)


def test_esasrec_has_the_official_sizes(tiny_ml_100k: None) -> None:
    """The table of hyper-parameters of the official README; configs/paper/loo has the same but for 256 on Amazon."""
    sizes = {}
    for run in planned(["esasrec"]):
        config = model_class(run.model)(run.config).config
        sizes[run.dataset.name] = (config.dim, config.blocks, config.length, config.dropout, config.expansion)
        assert (config.loss, config.negatives, config.heads) == ("sampled", 256, 1)
    assert sizes == {
        "beauty": (64, 1, 50, 0.2, 4),
        "sports": (64, 1, 50, 0.2, 2),
        "toys": (64, 1, 50, 0.2, 1),
        "ml-1m-full-order": (64, 2, 200, 0.1, 4),
    }


def test_rows_without_their_data_are_skipped_and_say_what_to_put_where(tiny_ml_100k: None, tmp_path: Path) -> None:
    runs = planned(["popularity"])
    assert {run.dataset.label for run in runs} == {"beauty+exclude", "sports", "toys", "ml-1m-full-order"}
    for run in runs:
        result = execute(run, tmp_path, "cpu", threads=1)
        assert result.status == "skipped"
        assert result.reason.startswith(f"{run.dataset.name} is not on this machine: put events.parquet")
