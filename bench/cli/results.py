"""The commands `python -m bench compare` and `python -m bench export`: both work from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import FOLDER_OF_RESULTS, ResultsOption, SuiteOption
from bench.console import Console, say, table_console
from bench.conventions import PRIMARY_METRIC
from bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from bench.analysis.runs import SuiteRuns


class Target(str, Enum):
    """What results are exported to."""

    mlflow = "mlflow"
    tensorboard = "tensorboard"
    latex = "latex"


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.command()(compare)
    app.command()(export)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results folder, of an earlier commit say.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results folder that is tested against A.")],
    suite: SuiteOption = "full",
    dataset: Annotated[str | None, typer.Option(help="Only this data set, by name or label.")] = None,
    metric: Annotated[str, typer.Option(help="What is tested: hit, recall, ndcg or mrr, @ 1 to 20.")] = PRIMARY_METRIC,
    output: Annotated[Path | None, typer.Option(help="Write it, too, to this .md file.")] = None,
    fail_if_worse: Annotated[
        bool, typer.Option("--fail-if-worse", help="Exit with 1 if a row is significantly worse, or failed, in B.")
    ] = False,
) -> None:
    """Compare two results folders, row by row: did B get worse?"""
    if output is not None and output.suffix != ".md":
        raise BenchError(f"--output {output}: the file should end in .md")
    from bench.analysis.folders import compare_folders
    from bench.reporting import markdown, terminal
    from bench.reporting.tables.folders import conclusion, page, tables

    console, name = Console(), _name_of(suite)
    if any(_only_files(folder, name) for folder in (first, second)):
        _show_side_by_side(first, second, name, metric, dataset, output)
        if fail_if_worse:
            raise BenchError("--fail-if-worse: CSV files hold no per-query ranks to test, so nothing is known")
        return
    left, right = (_runs_in(folder, suite, console) for folder in (first, second))
    if dataset is not None:
        left, right = _narrowed((left, right), dataset)
    comparison = compare_folders(left, right, metric)
    wide = table_console()
    for table in tables(comparison):
        wide.print(terminal.table(table), markup=False)
        wide.print()
    say(console, conclusion(comparison))
    if output is not None:
        _write(output, markdown.page(page(comparison, str(first), str(second), left.suite.name)))
        say(console, f"written: {output}")
    if fail_if_worse and not comparison.tested and not any(pair.worse for pair in comparison.pairs):
        raise BenchError(
            "--fail-if-worse: no row of A and B could be tested, so nothing is known; see the reasons above"
        )
    raise typer.Exit(1 if fail_if_worse and any(pair.worse for pair in comparison.pairs) else 0)


def export(
    to: Annotated[Target, typer.Option("--to", help="mlflow and tensorboard need the extra `export`.")],
    suite: SuiteOption = "full",
    results: ResultsOption = FOLDER_OF_RESULTS,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder; of latex also a .tex file. Default: latex goes to standard output, the others to exports/."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="With latex: the columns, comma-separated, e.g. recall@10,ndcg@10.")
    ] = None,
) -> None:
    """Export the results of a suite to MLflow, TensorBoard or LaTeX."""
    if metrics is not None and to is not Target.latex:
        raise BenchError(f"--metrics {metrics}: this is for --to latex; {to.value} gets every metric")
    # Warnings go to standard error, so that standard output is a table and nothing else.
    console = Console(stderr=True) if to is Target.latex and output is None else Console()
    planned = _runs_in(results, suite, console)
    if to is Target.latex:
        from bench.export.latex import DEFAULT_METRICS, export_latex

        chosen = DEFAULT_METRICS if metrics is None else tuple(name.strip() for name in metrics.split(","))
        for path in export_latex(planned, output, chosen):
            say(console, f"written: {path}")
        return
    folder = output or Path("exports") / planned.suite.name / to.value
    if to is Target.tensorboard:
        from bench.export.tensorboard import export_tensorboard

        count = len(export_tensorboard(planned, folder))
        say(console, f"{count} runs written; look at them with: tensorboard --logdir {folder}")
    else:
        from bench.export.mlflow import STORE, export_mlflow

        count = len(export_mlflow(planned, results, folder))
        look = f"mlflow ui --backend-store-uri sqlite:///{folder / STORE}"
        say(console, f"{count} runs written; look at them with the complete mlflow package: {look}")


def _name_of(suite: str) -> str:
    """The name of a suite that is given by name or by file."""
    from bench.suite_files import load_suite

    return load_suite(suite).name if suite.endswith((".yaml", ".yml")) else suite


def _only_files(folder: Path, suite: str) -> bool:
    """Whether the runs of a suite are gone, or were never there, and its CSV files are left."""
    from bench.analysis.csv_folders import holds_files
    from bench.plan import Plan

    try:
        return not Plan.path(folder, suite).is_file() and holds_files(folder, suite)
    except OSError:  # a name that no file can have
        return False


def _show_side_by_side(
    first: Path, second: Path, suite: str, metric: str, dataset: str | None, output: Path | None
) -> None:
    """Prints, and writes where asked to, the figures of two folders without a test."""
    from bench.analysis.csv_folders import side_by_side
    from bench.reporting import markdown, terminal
    from bench.reporting.tables.folders import beside_page, beside_table

    beside = side_by_side(first, second, suite, metric)
    if dataset is not None:
        if dataset not in set(beside["dataset"]):
            raise unknown_name("data set", dataset, beside["dataset"].unique())
        beside = beside[beside["dataset"] == dataset]
    table_console().print(terminal.table(beside_table(beside, metric)), markup=False)
    if output is not None:
        _write(output, markdown.page(beside_page(beside, metric, str(first), str(second), suite)))
        say(Console(), f"written: {output}")


def _runs_in(folder: Path, suite: str, console: Console) -> SuiteRuns:
    """The planned runs of a suite in a results folder, with their results.

    Raises:
        BenchError: The folder has no results of the suite.
    """
    from bench.analysis.runs import SuiteRuns  # bring in what reads results
    from bench.execution.store import stored_results
    from bench.plan import Plan

    name = _name_of(suite)
    if not folder.is_dir():
        raise BenchError(f"no results folder '{folder}': give the folder that `bench run --results` wrote to")
    others = sorted(path.parent.name for path in folder.glob("*/plan.json"))
    if others and name not in others:
        raise BenchError(f"no results of suite '{name}' in '{folder}': choose --suite {' or '.join(others)}")
    plan = Plan.read(folder, name)
    return SuiteRuns.of(plan.suite, plan.runs, stored_results(plan.runs, folder, console))


def _narrowed(both: Sequence[SuiteRuns], dataset: str) -> list[SuiteRuns]:
    """The runs on one data set, with all protocols where it is called by its name."""
    sets = {run.spec.dataset.label: run.spec.dataset.name for one in both for run in one.runs}
    labels = {label for label, name in sets.items() if dataset in (label, name)}
    if not labels:
        raise unknown_name("data set", dataset, sets)
    return [replace(one, runs=tuple(run for run in one.runs if run.spec.dataset.label in labels)) for one in both]


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"can't write to '{path}': {error.strerror}: choose another --output") from None
