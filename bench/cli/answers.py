"""What `bench test`, `bench leaderboard` and `bench archive` do: all of it from stored or archived results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.row_tests import compare_rows, means, unknown_part
from bench.analysis.runs import SuiteRuns
from bench.cli.stored import check_has_runs, narrowed, runs_in
from bench.console import Console, say, table_console
from bench.errors import BenchError
from bench.evaluation.slices import named_slices
from bench.execution.archive import write_archive
from bench.execution.store import stored_results
from bench.plan import Plan, written_config
from bench.reporting import terminal
from bench.reporting.tables import row_tests
from bench.spec import RunResult


def show_test(runs: SuiteRuns, first: str, second: str, metric: str, part: str, configurations: bool = False) -> None:
    """Prints the test of two rows, their configurations, and how to make the runs again."""
    tests = compare_rows(runs, first, second, metric, part)
    console, wide = Console(), table_console()
    wide.print(terminal.table(row_tests.tested_table(tests, metric, part)), markup=False)
    for sentence in row_tests.tested_sentences(tests, metric, part):
        say(console, sentence)
    for one in tests:
        if one.results:
            say(console, f"\n{one.dataset}")
            written = _written(runs.on(one.dataset))
            lines = [*row_tests.configuration_lines(one, written), *row_tests.origin_lines(one, runs.suite.name)]
            for line in lines:
                say(console, f"  {line}")
            if configurations:
                wide.print(terminal.table(row_tests.configuration_table(one)), markup=False)


def show_leaderboard(runs: SuiteRuns, metrics: tuple[str, ...], part: str) -> None:
    """Prints a table a data set.

    Raises:
        BenchError: No data set has such a part, or there is no complete run.
    """
    wide, shown = table_console(), False
    if not runs.results:
        raise BenchError(f"suite '{runs.suite.name}' has no complete run yet")
    for dataset in runs.datasets:
        on = runs.on(dataset)
        masks = [
            named_slices(result.queries, runs.suite.slices).get(part)
            for result in on.results[:1]
            if result.queries is not None
        ]
        if masks and masks[0] is not None:
            rows = {label: means(on.of_row(label), metrics, part, runs.suite.slices) for label in on.complete_rows}
            table = row_tests.leaderboard_table(dataset, rows, metrics, part, int(masks[0].sum()))
            wide.print(terminal.table(table), markup=False)
            shown = True
    if not shown:
        raise unknown_part(part, runs)


def archive_suite(suite: str, results: Path, force: bool = False) -> None:
    """Writes the archive of a suite, of all of its planned runs that have ended.

    Args:
        suite: Its name.
        results: Where results are.
        force: Also where an earlier archive has rows or data sets that this one would lack.

    Raises:
        BenchError: None has ended, the files can't be written, or the archive would lose what it has.
    """
    console = Console()
    check_has_runs(results, suite)
    plan = Plan.read(results, suite)
    stored = stored_results(plan.runs, results, console, archive_of=suite)
    if not any(result.status == "complete" for result in stored):
        raise BenchError(f"suite '{suite}' has no complete run yet: nothing to archive")
    if not force:
        _keep_archived(plan, stored, results)
    written = []
    for label in dict.fromkeys(result.spec.dataset.label for result in stored):
        of_dataset = [result for result in stored if result.spec.dataset.label == label]
        written += write_archive(of_dataset, results / suite / label)
    plan.write(results, archived=True)
    for path in written:
        say(console, f"written: {path} ({path.stat().st_size / 1024:,.0f} KiB)")
    pending = len({spec.key for spec in plan.runs} - {result.spec.key for result in stored})
    say(console, f"{len(stored)} runs archived" + (f", {pending} are still to be made" if pending else ""))


def _keep_archived(plan: Plan, stored: Sequence[RunResult], results: Path) -> None:
    """Raises BenchError where an archive has complete runs that are not among the results."""
    before = Plan.read_archived(results, plan.suite.name)
    if before is None:
        return
    held = stored_results(before.runs, results, Console(stderr=True), archive_of=plan.suite.name)
    have = {_place(result) for result in stored if result.status == "complete"}
    lost = [result for result in held if result.status == "complete" and _place(result) not in have]
    if lost:
        label, dataset, seed = _place(lost[0])
        raise BenchError(
            f"'{results / plan.suite.name}' has an archive with {len(lost)} runs that are not here (first: {label} on "
            f"{dataset}, seed {seed}), and would lose them: make them with `bench run`, or --force"
        )


def _place(result: RunResult) -> tuple[str, str, int]:
    return result.spec.label, result.spec.dataset.label, result.spec.seed


def chosen(suite: str, results: Path, dataset: str | None) -> SuiteRuns:
    """The runs of a suite, on one data set where one is named."""
    runs = runs_in(results, suite, Console(stderr=True))
    return runs if dataset is None else narrowed([runs], dataset)[0]


def _written(runs: SuiteRuns) -> dict[str, str]:
    """Label -> what the suite writes of its configuration on this data set, as JSON; "" for nothing."""
    dataset = runs.runs[0].spec.dataset
    configs = {entry.row: written_config(entry, dataset) for entry in runs.suite.models}
    return {row: json.dumps(config) if config else "" for row, config in configs.items()}
