"""The commands `python -m bench compare` and `python -m bench export`: both work from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import FOLDER_OF_RESULTS, ResultsOption, SuiteOption
from bench.console import Console, literal, say, table_console
from bench.errors import BenchError, unknown_name
from bench.evaluation.metrics import PRIMARY_METRIC

if TYPE_CHECKING:
    from bench.analysis.grid import Grid


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
    from rich.table import Table

    from bench.analysis.folders import compare_folders
    from bench.reporting.tables.folders import conclusion, page, sections

    console = Console()
    left, right = (_grid(folder, suite, console) for folder in (first, second))
    if dataset is not None:
        left, right = _narrowed((left, right), dataset)
    comparison = compare_folders(left, right, metric)
    wide = table_console()
    for section in sections(comparison):
        table = Table(title=literal(section.title), title_justify="left", caption=section.text, caption_justify="left")
        for index, header in enumerate(section.headers):
            table.add_column(header, justify="left" if index < section.left else "right", overflow="fold")
        for row in section.rows:
            table.add_row(*row)
        wide.print(table, markup=False)
        wide.print()
    say(console, conclusion(comparison))
    if output is not None:
        _write(output, page(comparison, str(first), str(second), left.suite.name))
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
    grid = _grid(results, suite, console)
    if to is Target.latex:
        from bench.export.latex import DEFAULT_METRICS, export_latex

        chosen = DEFAULT_METRICS if metrics is None else tuple(name.strip() for name in metrics.split(","))
        for path in export_latex(grid, output, chosen):
            say(console, f"written: {path}")
        return
    folder = output or Path("exports") / grid.suite.name / to.value
    if to is Target.tensorboard:
        from bench.export.tensorboard import export_tensorboard

        count = len(export_tensorboard(grid, folder))
        say(console, f"{count} runs written; look at them with: tensorboard --logdir {folder}")
    else:
        from bench.export.mlflow import STORE, export_mlflow

        count = len(export_mlflow(grid, results, folder))
        look = f"mlflow ui --backend-store-uri sqlite:///{folder / STORE}"
        say(console, f"{count} runs written; look at them with the complete mlflow package: {look}")


def _grid(folder: Path, suite: str, console: Console) -> Grid:
    """The planned runs of a suite in a results folder, with their results.

    Raises:
        BenchError: The folder has no results of the suite.
    """
    from bench.analysis.grid import Grid  # bring in what reads results
    from bench.execution.store import stored_results
    from bench.plan import Plan
    from bench.suite_files import load_suite

    name = load_suite(suite).name if suite.endswith((".yaml", ".yml")) else suite
    if not folder.is_dir():
        raise BenchError(f"no results folder '{folder}': give the folder that `bench run --results` wrote to")
    others = sorted(path.parent.name for path in folder.glob("*/plan.json"))
    if others and name not in others:
        raise BenchError(f"no results of suite '{name}' in '{folder}': choose --suite {' or '.join(others)}")
    plan = Plan.read(folder, name)
    return Grid.of(plan.suite, plan.runs, stored_results(plan.runs, folder, console))


def _narrowed(grids: Sequence[Grid], dataset: str) -> list[Grid]:
    """The grids on one data set, with all protocols where it is called by its name."""
    sets = {run.spec.dataset.label: run.spec.dataset.name for grid in grids for run in grid.runs}
    labels = {label for label, name in sets.items() if dataset in (label, name)}
    if not labels:
        raise unknown_name("data set", dataset, sets)
    return [replace(grid, runs=tuple(run for run in grid.runs if run.spec.dataset.label in labels)) for grid in grids]


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"can't write to '{path}': {error.strerror}: choose another --output") from None
