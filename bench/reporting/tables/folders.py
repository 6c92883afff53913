"""A comparison of two folders as tables, for the terminal and for a markdown page alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.folders import FolderComparison, RowPair, origins, scores
from bench.number_text import NONE, number, p_cell, plus_minus
from bench.reporting.markdown import code, foreign, page_text, table
from bench.reporting.metric_names import column
from bench.spec import RunResult

_HARDWARE = {"device", "device_name", "threads"}


@dataclass(frozen=True)
class Section:
    """A heading, a table and a remark; without headers there is no table.

    Attributes:
        title: The heading.
        headers, rows: Cells as text.
        left: Number of leading columns that are aligned left.
        text: Below the table.
    """

    title: str
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: int = 1
    text: str = ""


def conclusion(found: FolderComparison) -> str:
    """One sentence: how many rows of B are worse, better, the same, or not to be compared."""
    counts = Counter(pair.verdict for pair in found.compared)
    order = ("worse", "better", "no significant difference", "same ranks", "not tested")
    parts = [f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict]]
    parts += [f"{len(found.refused)} not comparable"] if found.refused else []
    broken = [pair.label for pair in found.pairs if pair.broken]
    failing = f" Failed in B, complete in A: {', '.join(broken)}." if broken else ""
    return f"B against A, rows of both: {', '.join(parts) or 'none'}.{failing}"


def sections(found: FolderComparison) -> list[Section]:
    """Everything that there is to tell, in the order of its weight; empty parts are left out."""
    parts = []
    for dataset in dict.fromkeys(pair.dataset for pair in found.compared):
        pairs = [pair for pair in found.compared if pair.dataset == dataset]
        parts += [_quality(dataset, pairs, found), _cost(dataset, pairs)]
    parts += [
        Section(
            "Not comparable",
            ("Data set", "Row", "Why"),
            tuple((pair.dataset, pair.label, pair.refusal) for pair in found.refused),
            left=3,
        ),
        Section(
            "What differs besides the code",
            ("Data set", "Row", "A -> B"),
            tuple((pair.dataset, pair.label, line) for pair in found.pairs for line in pair.differences),
            left=3,
        ),
        Section(
            "In one folder only",
            ("Folder", "Data set", "Row", "Note"),
            tuple((row.folder, row.dataset, row.label, row.note) for row in found.one_sided),
            left=4,
        ),
        Section("Where the results come from", ("", "A", "B"), tuple(origins(found.pairs)), left=3, text=_mixed(found)),
    ]
    return [part for part in parts if part.rows]


def page(found: FolderComparison, first: str, second: str, suite: str) -> str:
    """The comparison as a markdown page.

    Args:
        found: What was compared.
        first, second: The folders A and B, as given.
        suite: Its name.
    """
    parts = [f"# Suite {suite}: B against A", f"- A: {code(first)}\n- B: {code(second)}", conclusion(found)]
    for part in sections(found):
        rows = [[foreign(cell) for cell in row] for row in part.rows]
        parts += [f"## {part.title}", table(part.headers, rows, left=part.left)]
        parts += [part.text] if part.text else []
    return page_text("\n\n".join(parts)) + "\n"


def _quality(dataset: str, pairs: Sequence[RowPair], found: FolderComparison) -> Section:
    rows = []
    for pair in pairs:
        left, right = (scores(side, found.metric) for side in (pair.first, pair.second))
        test = [NONE] * 3
        if pair.test:
            interval = f"{pair.test.low:+.4f} .. {pair.test.high:+.4f}"
            test = [interval, p_cell(pair.test.p_value), p_cell(pair.p_value)]
        cells = [plus_minus(*left), plus_minus(*right), f"{right[0] - left[0]:+.4f}", *test, pair.verdict]
        seeds = (
            str(len(pair.first)) if len(pair.first) == len(pair.second) else f"{len(pair.first)}, {len(pair.second)}"
        )
        rows.append((pair.label, seeds, *cells))
    headers: tuple[str, ...] = ("Row", "Seeds", column(found.metric, "A"), column(found.metric, "B"))
    headers += ("B - A", "95 % interval", "p", "p (Holm)", "B is")
    queries = sorted({pair.test.n_queries for pair in pairs if pair.test})
    asked = f" over {' or '.join(f'{count:,}' for count in queries)} queries" if queries else ""
    text = (
        f"Item level, mean ± standard deviation over the common seeds. Paired test{asked}; p is that of the row alone, "
        f"p (Holm) is corrected over the {len(found.tested)} rows tested on all data sets. From two seeds on it covers "
        "the choice of seeds, too."
    )
    return Section(f"{dataset}: quality", headers, tuple(rows), text=text)


def _cost(dataset: str, pairs: Sequence[RowPair]) -> Section:
    rows = []
    for pair in pairs:
        cells: list[str] = []
        for cost, digits in (("fit_seconds", 1), ("milliseconds_per_user", 2)):
            left, right = (_mean(side, cost) for side in (pair.first, pair.second))
            change = f"{right / left - 1:+.0%}" if left > 0 else NONE
            cells += [number(left, digits), number(right, digits), change]
        rows.append((pair.label, *cells))
    headers = ("Row", "Training, s A", "B", "Change", "ms per user A", "B", "Change")
    text = ""
    if any(name in _HARDWARE for name, _, _ in origins(pairs)):
        text = "A and B were measured on different hardware or threads: their times don't compare."
    return Section(f"{dataset}: cost", headers, tuple(rows), text=text)


def _mean(results: Sequence[RunResult], cost: str) -> float:
    return float(np.mean([getattr(result, cost) for result in results]))


def _mixed(found: FolderComparison) -> str:
    """What makes the commits say less than they seem to."""
    commits = [side for name, *sides in origins(found.pairs) if name == "commit" for side in sides]
    remarks = []
    if any("-dirty" in commit for commit in commits):
        remarks.append("Some results come from code with uncommitted changes (commits that end in -dirty).")
    if any(", " in commit for commit in commits):
        remarks.append("One folder holds results of several commits.")
    if len(set(commits)) == 1 and "unknown" not in commits[0]:
        remarks.append("Both folders come from the same commit.")
    return " ".join(remarks)
