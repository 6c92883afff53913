"""The suite's first question on every data set, a line each: what a reader should see first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench.analysis.fitness import UNFIT, mark_of, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME, REACH_WINDOW
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.kinds import DIFFERENCE, RATIO, VERDICT, decimals
from bench.reporting.summary import Line, cost_ratio, overall_test, what_differs
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import tested_columns, values_of_test
from bench.reporting.tables.questions import Labels, for_whom_table, lines_of, questions_of
from bench.reporting.words import Words, strong, words


def shared_question(datasets: Sequence[DatasetFrames]) -> Labels | None:
    """The rows of the first question, where two data sets or more answer it; what `overview` is about."""
    questions = [labels for frames in datasets for labels in questions_of(frames)[:1] if overall_test(frames, labels)]
    return next((labels for labels in questions if questions.count(labels) > 1), None)


def overview(datasets: Sequence[DatasetFrames]) -> list[Block]:
    """The suite's first question on every data set: a line each, and for whom.

    Returns:
        How to read the table, the table, and for whom; nothing with fewer than two data sets to answer it on.
    """
    labels = shared_question(datasets)
    if labels is None:
        return []
    tests = [
        (frames, test)
        for frames in datasets
        if questions_of(frames)[:1] == [labels] and (test := overall_test(frames, labels))
    ]
    columns = (
        Column("Data set"),
        *(Column(label, decimals()) for label in labels),
        *tested_columns("Difference"),
        Column("Significant", VERDICT),
        Column("On far targets", DIFFERENCE),
        Column("Training time", RATIO),
        Column("Time per user", RATIO),
    )
    rows = [_overview_row(frames, test, labels) for frames, test in tests]
    how_to_read = words(
        _verdict_over(labels, tests),
        f" {PRIMARY_NAME} on each data set. p is that of the test alone; p (Holm) is corrected over the suite's "
        f"questions on a data set ({_range([test['family_size'] for _, test in tests])}), not for the number of data "
        f"sets. Far: last seen more than {REACH_WINDOW} events ago. The last two columns are times of {labels[0]} over "
        f"those of {labels[1]}.",
    )
    whom = for_whom_table([frames for frames, _ in tests], labels)
    return [Paragraph(how_to_read), Table.of("overview", columns, rows), *([whom] if whom else [])]


def _overview_row(frames: DatasetFrames, test: Line, labels: Labels) -> tuple[object, ...]:
    """The line of one data set."""
    reach = lines_of(frames, labels, "reach")
    far = reach.loc[reach["part"] == "far", "difference"].tolist()
    comparable = not what_differs(frames, labels)
    verdict = "yes" if test["p_holm"] < ALPHA else "no"
    return (
        frames.dataset,
        test["first_mean"],
        test["second_mean"],
        *values_of_test(test),
        Flagged(verdict, mark_of(labels, unfit_rows(frames.leaderboard))),
        far[0] if far else None,
        *(
            cost_ratio(frames, cost, labels) if comparable else None
            for cost in ("fit_seconds", "milliseconds_per_user")
        ),
    )


def _verdict_over(labels: Labels, tests: Sequence[tuple[DatasetFrames, Line]]) -> Words:
    """On which data sets the first is better, on which worse, and where the two are no evidence."""
    better: list[str] = []
    worse: list[str] = []
    unfit: list[str] = []
    for frames, test in tests:
        doubted = [label for label in labels if label in unfit_rows(frames.leaderboard)]
        if doubted:
            unfit.append(f"{frames.dataset} ({' and '.join(doubted)})")
        elif test["p_holm"] < ALPHA:
            (better if test["difference"] > 0 else worse).append(frames.dataset)
    text = f": significantly better on {len(better)} of {len(tests)} data sets"
    text += "".join(f", {dataset}" for dataset in better)
    text += f"; significantly worse on {', '.join(worse)}" if worse else ""
    text += f"; {UNFIT} on {', '.join(unfit)}" if unfit else ""
    return strong(f"{labels[0]} against {labels[1]}") + f"{text}."


def _range(sizes: Collection[int]) -> str:
    """E.g. "3 tests", "1 to 2 tests"."""
    low, high = min(sizes), max(sizes)
    return f"{low} test{'s' if low > 1 else ''}" if low == high else f"{low} to {high} tests"
