"""A comparison of two folders as tables, for the terminal and for a markdown page alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analysis.folders import FolderComparison, RowPair, mean_cost, origins, scores
from bench.reporting.blocks import Block, Bullets, Heading, Page, Paragraph
from bench.reporting.kinds import VERDICT, Interval, MeanStd, decimals, mean_std, numbers
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import tested_columns
from bench.reporting.words import code, words

_HARDWARE = {"device", "device_name", "threads"}


def conclusion(comparison: FolderComparison) -> str:
    """One sentence: how many rows of B are worse, better, the same, or not to be compared."""
    counts = Counter(pair.verdict for pair in comparison.compared)
    order = ("worse", "better", "no significant difference", "same ranks", "not tested")
    parts = [f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]]
    parts += [f"{len(comparison.refused)} not comparable"] if comparison.refused else []
    broken = [pair.label for pair in comparison.pairs if pair.broken]
    failing = f" Failed in B, complete in A: {', '.join(broken)}." if broken else ""
    return f"B against A, rows of both: {', '.join(parts) or 'none'}.{failing}"


def tables(comparison: FolderComparison) -> list[Table]:
    """Everything that there is to tell, in the order of its weight; empty parts are left out."""
    parts = []
    for dataset in dict.fromkeys(pair.dataset for pair in comparison.compared):
        pairs = [pair for pair in comparison.compared if pair.dataset == dataset]
        parts += [_quality(dataset, pairs, comparison), _cost(dataset, pairs)]
    refused = [(pair.dataset, pair.label, pair.refusal) for pair in comparison.refused]
    changes = [(pair.dataset, pair.label, line) for pair in comparison.pairs for line in pair.differences]
    alone = [(row.folder, row.dataset, row.label, row.note) for row in comparison.one_sided]
    parts += [
        Table.of("refused", ("Data set", "Row", "Why"), refused, title="Not comparable"),
        Table.of("changes", ("Data set", "Row", "A -> B"), changes, title="What differs besides the code"),
        Table.of("one-sided", ("Folder", "Data set", "Row", "Note"), alone, title="In one folder only"),
        Table.of(
            "origins",
            ("", "A", "B"),
            origins(comparison.pairs),
            title="Where the results come from",
            caption=_mixed(comparison),
        ),
    ]
    return [part for part in parts if part.rows]


def page(comparison: FolderComparison, first: str, second: str, suite: str) -> Page:
    """The comparison as a page.

    Args:
        comparison: What was compared.
        first, second: The folders A and B, as given.
        suite: Its name.
    """
    blocks: list[Block] = [
        Heading(f"Suite {suite}: B against A", level=1),
        Bullets((words("A: ", code(first)), words("B: ", code(second)))),
        Paragraph(conclusion(comparison)),
    ]
    for table in tables(comparison):
        blocks += [Heading(table.title), table]
    return Page(tuple(blocks))


def beside_table(beside: pd.DataFrame, metric: str) -> Table:
    """The figures of two folders side by side, untested (`bench.analysis.report_columns.BESIDE`)."""
    rows = [
        (
            *(line["dataset"], line["row"], line["seeds_a"], MeanStd(line["mean_a"], line["std_a"])),
            *(line["seeds_b"], MeanStd(line["mean_b"], line["std_b"]), line["difference"]),
        )
        for line in beside.to_dict("records")
    ]
    columns = (
        *(Column("Data set"), Column("Row"), Column("Seeds A", decimals(0)), Column(column(metric, "A"), mean_std())),
        *(Column("Seeds B", decimals(0)), Column(column(metric, "B"), mean_std()), Column("B - A", numbers("+.4f"))),
    )
    caption = (
        "Item level, mean ± standard deviation over seeds, from CSV files. They hold no per-query ranks, so no "
        "difference was tested, and nothing tells whether data, configurations and seeds are the same."
    )
    return Table.of("beside", columns, rows, title="Figures of A and B", caption=caption)


def beside_page(beside: pd.DataFrame, metric: str, first: str, second: str, suite: str) -> Page:
    """The same as a page.

    Args:
        beside, metric: As for `beside_table`.
        first, second: The folders A and B, as given.
        suite: Its name.
    """
    folders = Bullets((words("A: ", code(first)), words("B: ", code(second))))
    table = beside_table(beside, metric)
    return Page((Heading(f"Suite {suite}: B beside A", level=1), folders, Heading(table.title), table))


def _quality(dataset: str, pairs: Sequence[RowPair], comparison: FolderComparison) -> Table:
    rows = []
    for pair in pairs:
        left, right = (MeanStd(*scores(side, comparison.metric)) for side in (pair.first, pair.second))
        test: list[Any] = [None] * 3
        if pair.test:
            test = [Interval(pair.test.low, pair.test.high), pair.test.p_value, pair.p_value]
        counts = dict.fromkeys([len(pair.first), len(pair.second)])
        rows.append((pair.label, ", ".join(map(str, counts)), left, right, right.mean - left.mean, *test, pair.verdict))
    columns = (
        Column("Row"),
        Column("Seeds", VERDICT),
        Column(column(comparison.metric, "A"), mean_std()),
        Column(column(comparison.metric, "B"), mean_std()),
        *tested_columns("B - A"),
        Column("B is", VERDICT),
    )
    queries = sorted({pair.test.n_queries for pair in pairs if pair.test})
    basis = f" over {' or '.join(f'{count:,}' for count in queries)} queries" if queries else ""
    caption = (
        f"Item level, mean ± standard deviation over the common seeds. Paired test{basis}; p is that of the row alone, "
        f"p (Holm) is corrected over the {len(comparison.tested)} rows tested on all data sets. From two seeds on it "
        "covers the choice of seeds, too."
    )
    return Table.of("quality", columns, rows, title=f"{dataset}: quality", caption=caption)


def _cost(dataset: str, pairs: Sequence[RowPair]) -> Table:
    rows = []
    for pair in pairs:
        values: list[float | None] = []
        for cost in ("fit_seconds", "milliseconds_per_user"):
            left, right = (mean_cost(side, cost) for side in (pair.first, pair.second))
            values += [left, right, right / left - 1 if left > 0 else None]
        rows.append((pair.label, *values))
    columns = (
        Column("Row"),
        *(Column("Training, s A", decimals(1)), Column("B", decimals(1)), Column("Change", numbers("+.0%"))),
        *(Column("ms per user A", decimals(2)), Column("B", decimals(2)), Column("Change", numbers("+.0%"))),
    )
    differ = any(name in _HARDWARE for name, _, _ in origins(pairs))
    caption = "A and B were measured on different hardware or threads: their times don't compare." if differ else ""
    return Table.of("cost", columns, rows, title=f"{dataset}: cost", caption=caption)


def _mixed(comparison: FolderComparison) -> str:
    """What makes the commits say less than they seem to."""
    commits = [side for name, *sides in origins(comparison.pairs) if name == "commit" for side in sides]
    remarks = []
    if any("-dirty" in commit for commit in commits):
        remarks.append("Some results come from code with uncommitted changes (commits that end in -dirty).")
    if any(", " in commit for commit in commits):
        remarks.append("One folder holds results of several commits.")
    if len(set(commits)) == 1 and "unknown" not in commits[0]:
        remarks.append("Both folders come from the same commit.")
    return " ".join(remarks)
