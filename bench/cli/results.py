"""The commands `python -m bench compare | export | test | leaderboard | archive`: all work from stored results."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import FOLDER_OF_RESULTS, ResultsOption, SuiteOption
from bench.cli.run_options import listed
from bench.cli.stored import name_of, narrowed, runs_in
from bench.console import Console, say, table_console
from bench.conventions import PRIMARY_METRIC, SECONDARY_METRIC
from bench.errors import BenchError, unknown_name

_LEADERBOARD = f"{PRIMARY_METRIC},{SECONDARY_METRIC}"


class Target(str, Enum):
    """What results are exported to."""

    mlflow = "mlflow"
    tensorboard = "tensorboard"
    latex = "latex"


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (compare, export, leaderboard, archive):
        app.command()(command)
    app.command("test")(rows)


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

    console, name = Console(), name_of(suite)
    if any(_only_files(folder, name) for folder in (first, second)):
        _show_side_by_side(first, second, name, metric, dataset, output)
        if fail_if_worse:
            raise BenchError("--fail-if-worse: CSV files hold no per-query ranks to test, so nothing is known")
        return
    left, right = (runs_in(folder, suite, console) for folder in (first, second))
    if dataset is not None:
        left, right = narrowed((left, right), dataset)
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
    rows: Annotated[
        str | None, typer.Option(help="With latex: only these rows, comma-separated, in this order. Default: all.")
    ] = None,
) -> None:
    """Export the results of a suite to MLflow, TensorBoard or LaTeX."""
    for option, given, others in (("--metrics", metrics, "every metric"), ("--rows", rows, "every row")):
        if given is not None and to is not Target.latex:
            raise BenchError(f"{option} {given}: this is for --to latex; {to.value} gets {others}")
    # Warnings go to standard error, so that standard output is a table and nothing else.
    console = Console(stderr=True) if to is Target.latex and output is None else Console()
    planned = runs_in(results, suite, console)
    if to is Target.latex:
        from bench.export.latex import DEFAULT_METRICS, export_latex

        chosen = DEFAULT_METRICS if metrics is None else tuple(name.strip() for name in metrics.split(","))
        for path in export_latex(planned, output, chosen, listed(rows, "--rows")):
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


def rows(
    first: Annotated[str, typer.Option(help="Label of the row that is tested.", show_default=False)],
    second: Annotated[str, typer.Option(help="Label of the row that it is tested against.", show_default=False)],
    suite: SuiteOption = "full",
    dataset: Annotated[str | None, typer.Option(help="Only this data set, by name or label.")] = None,
    metric: Annotated[str, typer.Option(help="hit, recall, ndcg or mrr, @ 1 to 20.")] = PRIMARY_METRIC,
    part: Annotated[
        str,
        typer.Option("--slice", help="Part of the test queries: overall, head, tail, reach:far, repetition:explore."),
    ] = "overall",
    configurations: Annotated[
        bool, typer.Option("--configurations", help="Print both configurations, key by key.")
    ] = False,
    results: ResultsOption = FOLDER_OF_RESULTS,
) -> None:
    """Test two rows by any metric on any part of the queries, and tell their configurations and how to repeat it."""
    from bench.cli.answers import chosen, show_test  # brings in what reads results

    show_test(chosen(suite, results, dataset), first, second, metric, part, configurations)


def leaderboard(
    suite: SuiteOption = "full",
    dataset: Annotated[str | None, typer.Option(help="Only this data set, by name or label.")] = None,
    metrics: Annotated[str, typer.Option(help="Columns, comma-separated; the first one sorts.")] = _LEADERBOARD,
    part: Annotated[str, typer.Option("--slice", help="Part of the test queries, as for `bench test`.")] = "overall",
    results: ResultsOption = FOLDER_OF_RESULTS,
) -> None:
    """Print the rows of a suite by any metrics on any part of the queries."""
    from bench.cli.answers import chosen, show_leaderboard

    names = tuple(name.strip() for name in metrics.split(",") if name.strip())
    if not names:
        raise BenchError("--metrics: give at least one, e.g. ndcg@10")
    show_leaderboard(chosen(suite, results, dataset), names, part)


def archive(
    suite: SuiteOption = "full",
    results: ResultsOption = FOLDER_OF_RESULTS,
    force: Annotated[bool, typer.Option("--force", help="Also where an earlier archive has more runs.")] = False,
) -> None:
    """Write the ranks of a suite into a few small files that can be committed."""
    from bench.cli.answers import archive_suite

    archive_suite(name_of(suite), results, force)


def _only_files(folder: Path, suite: str) -> bool:
    """Whether the runs of a suite are gone, or were never there, and its CSV files are left."""
    from bench.analysis.csv_folders import holds_files
    from bench.plan import Plan

    try:
        return not Plan.exists(folder, suite) and holds_files(folder, suite)
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


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"can't write to '{path}': {error.strerror}: choose another --output") from None
