"""The suite's questions, "is A better than B?", as tables: on all test queries and part by part."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.analysis.families import in_words, of_parts, of_questions
from bench.analysis.fitness import mark_of, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.questions import PARTITIONS
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME, REACH_WINDOW, SECONDARY_METRIC, metric_name
from bench.number_text import number
from bench.reporting.kinds import COUNT, VERDICT, decimals
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import tested_columns, values_of_test

Labels = tuple[str, str]
"""The two rows of a question."""

HOW_TO_READ = (
    f"In this and the next questions, {PRIMARY_NAME} with the same test. p is that of the line alone. p (Holm) is "
    "corrected over a family of tests, whose size is beside it: on all queries that of the suite's questions, on parts "
    "that of the parts of one kind (head and tail, history lengths, halves, the target's reach, its category's); "
    f"between the kinds nothing is corrected. {metric_name(SECONDARY_METRIC)} is secondary and was not tested."
)

REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}", "never": "never"}
"""What the report calls the parts by reach."""


FOR_WHOM = {
    "reach": {
        "far": f"targets last seen more than {REACH_WINDOW} events ago",
        "recent": f"targets seen in the last {REACH_WINDOW} events",
        "never": "targets never seen",
    },
    "category-reach": {
        "far": f"targets whose category was last seen more than {REACH_WINDOW} events ago",
        "recent": f"targets whose category was seen in the last {REACH_WINDOW} events",
        "never": "targets whose category was never seen",
    },
}
"""What the rows of `for_whom_table` are called, in their order."""


def questions_of(frames: DatasetFrames) -> list[Labels]:
    """The rows that the suite asks about."""
    return list(frames.questions.itertuples(index=False, name=None))


def answer_in_words(test: Mapping[Any, Any], basis: str = "") -> str:
    """What a test says: both means, their difference with its interval and p-values, and who is better.

    Args:
        test: A line of a frame with tests.
        basis: Stands behind the p-values, in their brackets.
    """
    text = f"{number(test['first_mean'])} against {number(test['second_mean'])}, a difference of "
    text += f"{test['difference']:+.4f} (95 % interval {test['low']:+.4f} to {test['high']:+.4f}, "
    text += f"{in_words(test['p_value'], test['p_holm'], of_questions(test['family_size']))}{basis}): "
    if test["p_holm"] >= ALPHA:
        return f"{text}no significant difference"
    winner, loser = ("first", "second") if test["difference"] > 0 else ("second", "first")
    only = " (one seed)" if test["seeds"] == 1 else ""
    return f"{text}{test[winner]} is significantly better than {test[loser]}{only}"


def lines_of(frames: DatasetFrames, labels: Labels, partition: str | None = None) -> pd.DataFrame:
    """The tests of one question; of one partition of the queries where it is named."""
    tests = frames.tests
    chosen = (tests["kind"] == "question") & (tests["first"] == labels[0]) & (tests["second"] == labels[1])
    return tests[chosen & ((tests["partition"] == partition) if partition else True)]


def question_table(frames: DatasetFrames, labels: Labels) -> Table | None:
    """One of the suite's questions, answered on each part of the test queries; None where it could not be tested."""
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
            part_name(test),
            test["n_queries"],
            test["first_mean"],
            test["second_mean"],
            *values_of_test(test),
            test["family_size"],
            test["secondary_first_mean"],
            test["secondary_second_mean"],
        )
        for test in lines_of(frames, labels).drop_duplicates(["partition", "part"]).to_dict("records")
    ]
    return Table.of("question", columns, rows) if rows else None


def part_name(test: Mapping[Any, Any]) -> str:
    """What the report calls the part of a line of the frame of tests."""
    name = REACH.get(test["part"], test["part"]) if test["partition"].endswith("reach") else test["part"]
    return f"{PARTITIONS[test['partition']]}{name}"


def for_whom_table(asked: Sequence[DatasetFrames], labels: Labels) -> Table | None:
    """Where the difference of a question lies: three rows, by how far back the target was last seen.

    By its category where users never take an item twice. None where the queries tell neither.

    Args:
        asked: The data sets that answer it; several have a column that names them.
        labels: The two rows.
    """
    rows, families = [], []
    for frames in asked:
        partition = "category-reach" if lines_of(frames, labels, "reach").empty else "reach"
        tests = {test["part"]: test for test in lines_of(frames, labels, partition).to_dict("records")}
        for part in (part for part in FOR_WHOM[partition] if part in tests):
            test = tests[part]
            where = (frames.dataset,) if len(asked) > 1 else ()
            means = (test["n_queries"], test["first_mean"], test["second_mean"])
            verdict = _verdict(test, unfit_rows(frames.leaderboard))
            rows.append((FOR_WHOM[partition][part], *where, *means, *values_of_test(test), verdict))
            families.append(of_parts(labels, partition, test["family_size"]))
    columns = (
        Column("For whom"),
        *((Column("Data set"),) if len(asked) > 1 else ()),
        Column("Queries", COUNT),
        *(Column(label, decimals()) for label in labels),
        *tested_columns("Difference"),
        Column("Significantly better", VERDICT),
    )
    several = {family.phrase for family in families}
    caption = f"{PRIMARY_NAME} of {' against '.join(labels)}; {' or '.join(sorted(several))}."
    return Table.of("for-whom", columns, rows, caption=caption) if rows else None


def _verdict(test: Mapping[Any, Any], unfit: Collection[str]) -> Flagged:
    """Who is better, if anybody; with the mark of rows that are no evidence."""
    winner = test["first"] if test["difference"] > 0 else test["second"]
    return Flagged(winner if test["p_holm"] < ALPHA else "neither", mark_of((test["first"], test["second"]), unfit))
