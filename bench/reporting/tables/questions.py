"""The suite's questions, "is A better than B?", as tables: on all test queries and part by part."""

from __future__ import annotations

from bench.analysis.questions import PARTITIONS, PartTest, of_question
from bench.analysis.significance import PairedComparison
from bench.conventions import PRIMARY_NAME, REACH_WINDOW, SECONDARY_METRIC, metric_name
from bench.reporting.kinds import COUNT, Interval, decimals
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import tested_columns

HOW_TO_READ = (
    f"In this and the next questions, {PRIMARY_NAME} with the same test. p is that of the line alone. p (Holm) is "
    "corrected over a family of tests, whose size is beside it: on all queries that of the suite's questions, on parts "
    "that of the parts of one kind (head and tail, history lengths, halves, the target's reach, its category's); "
    f"between the kinds nothing is corrected. {metric_name(SECONDARY_METRIC)} is secondary and was not tested."
)

_REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}", "never": "never"}


def question_table(tests: list[PartTest], labels: tuple[str, str]) -> Table | None:
    """One of the suite's questions, answered on each part of the test queries.

    Returns:
        The table, or None where the two models can't be compared.
    """
    columns = (
        Column("Test queries"),
        Column("n", COUNT),
        *(Column(label, decimals()) for label in labels),
        *tested_columns("Difference"),
        Column("Tests in family", COUNT),
        *(Column(column(SECONDARY_METRIC, label), decimals()) for label in labels),
    )
    rows = [
        (
            part_name(part),
            part.test.n_queries,
            *compared(part.test),
            part.test.p_value,
            part.p_holm,
            part.family.size,
            *part.secondary,
        )
        for part in of_question(tests, labels).values()
    ]
    return Table.of("question", columns, rows) if rows else None


def part_name(part: PartTest) -> str:
    """What the report calls a part."""
    name = _REACH.get(part.part, part.part) if part.partition.endswith("reach") else part.part
    return f"{PARTITIONS[part.partition]}{name}"


def compared(test: PairedComparison) -> tuple[float, float, float, Interval]:
    """First, second, difference, interval."""
    return test.first, test.second, test.difference, Interval(test.low, test.high)
