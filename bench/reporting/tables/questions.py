"""The suite's questions, "is A better than B?", as tables: on all test queries and part by part."""

from __future__ import annotations

from bench.analysis.questions import PARTITIONS, PartTest, of_question
from bench.analysis.significance import PairedComparison
from bench.conventions import PRIMARY_NAME, REACH_WINDOW, SECONDARY_METRIC, metric_name
from bench.number_text import number, p_cell
from bench.reporting.markdown import table
from bench.reporting.metric_names import column

HOW_TO_READ = (
    f"In this and the next questions, {PRIMARY_NAME} with the same test. p is that of the line alone. p (Holm) is "
    "corrected over a family of tests, whose size is beside it: on all queries that of the suite's questions, on parts "
    "that of the parts of one kind (head and tail, history lengths, halves, the target's reach, its category's); "
    f"between the kinds nothing is corrected. {metric_name(SECONDARY_METRIC)} is secondary and was not tested."
)

_REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}", "never": "never"}


def question_table(tests: list[PartTest], labels: tuple[str, str]) -> str | None:
    """One of the suite's questions, answered on each part of the test queries.

    Returns:
        A markdown table, or None where the two models can't be compared.
    """
    rows = [
        [
            part_name(test),
            f"{test.test.n_queries:,}",
            *compared_cells(test.test),
            p_cell(test.test.p_value),
            p_cell(test.p_holm),
            str(test.family.size),
            *map(number, test.secondary),
        ]
        for test in of_question(tests, labels).values()
    ]
    if not rows:
        return None
    headers = ["Test queries", "n", *labels, "Difference", "95 % interval", "p", "p (Holm)", "Tests in family"]
    return table([*headers, *(column(SECONDARY_METRIC, label) for label in labels)], rows)


def part_name(test: PartTest) -> str:
    """What the report calls a part."""
    name = _REACH.get(test.part, test.part) if test.partition.endswith("reach") else test.part
    return f"{PARTITIONS[test.partition]}{name}"


def compared_cells(found: PairedComparison) -> list[str]:
    """Cells: first, second, difference, interval."""
    return [
        number(found.first),
        number(found.second),
        f"{found.difference:+.4f}",
        f"{found.low:+.4f} .. {found.high:+.4f}",
    ]
