"""The suite's first question on every data set, a line each: what a reader should see first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bench.analysis.dataset_tables import DatasetTables
from bench.analysis.fitness import UNFIT, mark_of
from bench.analysis.grid import Grid
from bench.analysis.questions import OVERALL, of_question, questions
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME, REACH_WINDOW
from bench.reporting.blocks import Block, Paragraph, bullets
from bench.reporting.kinds import DIFFERENCE, RATIO, VERDICT, decimals
from bench.reporting.summary import FAR, Labels, cost_ratio, for_whom, what_differs
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import tested_columns
from bench.reporting.tables.questions import compared
from bench.reporting.words import Words, strong, words


def shared_question(grids: Sequence[Grid], tables: Mapping[str, DatasetTables]) -> Labels | None:
    """The rows of the first question, where two data sets or more answer it; what `overview` is about."""
    asked = [questions(grid)[0] for grid in grids if _answered(grid, tables)]
    return next((labels for labels in asked if asked.count(labels) > 1), None)


def overview(grids: Sequence[Grid], tables: Mapping[str, DatasetTables]) -> list[Block]:
    """The suite's first question on every data set: a line each, and for whom.

    Args:
        grids: Runs of one data set each.
        tables: What was computed of each, by label.

    Returns:
        How to read the table, the table, and for whom; nothing with fewer than two data sets to answer it on.
    """
    labels = shared_question(grids, tables)
    if labels is None:
        return []
    answered = [grid for grid in grids if _answered(grid, tables) and questions(grid)[0] == labels]
    columns = (
        Column("Data set"),
        *(Column(label, decimals()) for label in labels),
        *tested_columns("Difference"),
        Column("Significant", VERDICT),
        Column("On far targets", DIFFERENCE),
        Column("Training time", RATIO),
        Column("Time per user", RATIO),
    )
    rows = [_overview_row(grid, tables[grid.datasets[0]], labels) for grid in answered]
    by_dataset = {grid.datasets[0]: tables[grid.datasets[0]] for grid in answered}
    sizes = {of_question(found.tests, labels)[OVERALL, OVERALL].family.size for found in by_dataset.values()}
    how_to_read = words(
        _verdict_over(labels, by_dataset),
        f" {PRIMARY_NAME} on each data set. p is that of the test alone; p (Holm) is corrected over the suite's "
        f"questions on a data set ({_range(sizes)}), not for the number of data sets. Far: last seen more than "
        f"{REACH_WINDOW} events ago. The last two columns are times of {labels[0]} over those of {labels[1]}.",
    )
    whom = bullets([for_whom(found.tests, labels, f" ({dataset})") for dataset, found in by_dataset.items()])
    return [Paragraph(how_to_read), Table.of("overview", columns, rows), *([whom] if whom else [])]


def _answered(grid: Grid, tables: Mapping[str, DatasetTables]) -> bool:
    """Whether the first question that a data set has rows for was tested there."""
    return any(of_question(tables[grid.datasets[0]].tests, labels) for labels in questions(grid)[:1])


def _overview_row(grid: Grid, found: DatasetTables, labels: Labels) -> tuple[object, ...]:
    """The line of one data set."""
    tests = of_question(found.tests, labels)
    overall, far = tests[OVERALL, OVERALL], tests.get(FAR)
    comparable = not what_differs(grid, labels)
    costs = ("fit_seconds", "milliseconds_per_user")
    return (
        grid.datasets[0],
        *compared(overall.test),
        overall.test.p_value,
        overall.p_holm,
        Flagged("yes" if overall.p_holm < ALPHA else "no", mark_of(labels, found.unfit)),
        far.test.difference if far else None,
        *(cost_ratio(found.wide, cost, labels) if comparable else None for cost in costs),
    )


def _verdict_over(labels: Labels, found: Mapping[str, DatasetTables]) -> Words:
    """On which data sets the first is better, on which worse, and where the two are no evidence."""
    better: list[str] = []
    worse: list[str] = []
    unfit: list[str] = []
    for dataset, tables in found.items():
        part = of_question(tables.tests, labels)[OVERALL, OVERALL]
        doubted = [label for label in labels if label in tables.unfit]
        if doubted:
            unfit.append(f"{dataset} ({' and '.join(doubted)})")
        elif part.p_holm < ALPHA:
            (better if part.test.difference > 0 else worse).append(dataset)
    text = f": significantly better on {len(better)} of {len(found)} data sets"
    text += "".join(f", {dataset}" for dataset in better)
    text += f"; significantly worse on {', '.join(worse)}" if worse else ""
    text += f"; {UNFIT} on {', '.join(unfit)}" if unfit else ""
    return strong(f"{labels[0]} against {labels[1]}") + f"{text}."


def _range(sizes: Collection[int]) -> str:
    """E.g. "3 tests", "1 to 2 tests"."""
    low, high = min(sizes), max(sizes)
    return f"{low} test{'s' if low > 1 else ''}" if low == high else f"{low} to {high} tests"
