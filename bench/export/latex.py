r"""Leaderboards as LaTeX tables in the style of `booktabs`, with the cells of the report's main table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.analysis.columns import RANKING_METRICS
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.runs import SuiteRuns
from bench.conventions import metric_name
from bench.errors import BenchError, unknown_name
from bench.export.runs import ended, made_folder
from bench.files import replaced
from bench.number_text import NONE, plus_minus
from bench.plain_text import printable
from bench.reporting.table import ranked

DEFAULT_METRICS = ("recall@5", "recall@10", "ndcg@5", "ndcg@10")

_MARKS = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "": "{}"}

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def escape(text: str) -> str:
    """Foreign text on one line, in which no character has a meaning to LaTeX."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(printable(text).split()))


def latex_table(wide: pd.DataFrame, suite: str, dataset: str, metrics: Sequence[str] = DEFAULT_METRICS) -> str:
    """The leaderboard of a data set: mean ± standard deviation over seeds, best bold, second underlined.

    Rows without a complete run are named in a comment, with their status.

    Args:
        wide: The leaderboard (`bench.analysis.columns.LEADERBOARD`).
        suite, dataset: For caption and label.
        metrics: Columns, of item level; each one of `RANKING_METRICS`.

    Raises:
        BenchError: There is no such metric, or no row has a complete run.
    """
    for metric in metrics:
        if metric not in RANKING_METRICS:
            raise unknown_name("metric", metric, RANKING_METRICS)
    rows = wide[wide["complete"] > 0]
    if rows.empty:
        raise BenchError(f"suite '{suite}' has no complete run on {dataset} yet: nothing to export")
    columns = [_cells(rows, metric) for metric in metrics]
    lines = [" & ".join(cells) + r" \\" for cells in zip(map(escape, rows["row"]), *columns, strict=True)]
    seeds = sorted({int(count) for count in rows["complete"]})
    basis = f"{seeds[0]} seed{'s' if seeds[0] > 1 else ''}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    absent = [f"{row['row']} ({row['status']})" for row in wide[wide["complete"] == 0].to_dict("records")]
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            *([f"% Without a complete run: {escape(', '.join(absent))}."] if absent else []),
            r"\begin{table}[t]",
            r"  \centering",
            f"  \\caption{{{escape(dataset)}: full ranking, mean $\\pm$ standard deviation over {basis}.}}",
            f"  \\label{{tab:{_slug(suite)}-{_slug(dataset)}}}",
            f"  \\begin{{tabular}}{{l{'c' * len(metrics)}}}",
            r"    \toprule",
            "    " + " & ".join(["Row", *map(metric_name, metrics)]) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def export_latex(
    runs: SuiteRuns,
    output: Path | None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    rows: Sequence[str] | None = None,
) -> list[Path]:
    """Writes one table a data set that has a complete run.

    Args:
        runs: Those of a suite.
        output: A .tex file for all tables, or a folder for `DATASET.tex` each. None: standard output.
        metrics: Columns.
        rows: Those of the table, in this order. None: all, the best first.

    Returns:
        The written files.

    Raises:
        BenchError: There is no such metric or row, nothing is complete, or the output can't be written.
    """
    ended(runs)
    parts = {dataset: runs.on(dataset) for dataset in runs.datasets}
    tables = {
        dataset: latex_table(_chosen(leaderboard(tidy_metrics(part)), rows), runs.suite.name, dataset, metrics)
        for dataset, part in parts.items()
        if part.results
    }
    if output is None:
        print("\n".join(tables.values()), end="")
        return []
    if output.suffix == ".tex":
        files = {output: "\n".join(tables.values())}
    else:
        files = {output / f"{dataset}.tex": text for dataset, text in tables.items()}
    for path, text in files.items():
        made_folder(path.parent)
        with replaced(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(files)


def _chosen(wide: pd.DataFrame, rows: Sequence[str] | None) -> pd.DataFrame:
    """The rows of a leaderboard that were asked for, in the order of the question."""
    if rows is None:
        return wide
    for row in rows:
        if row not in set(wide["row"]):
            raise unknown_name("row", row, wide["row"])
    places = [wide.index[wide["row"] == row][0] for row in dict.fromkeys(rows)]
    return wide.loc[places]


def _cells(rows: pd.DataFrame, metric: str) -> list[str]:
    means, deviations = (rows[f"item.overall.{metric}.{statistic}"].tolist() for statistic in ("mean", "std"))
    texts = [plus_minus(mean, deviation) for mean, deviation in zip(means, deviations, strict=True)]
    return [_MARKS[rank].format(_number(text)) for text, rank in zip(texts, ranked(means), strict=True)]


def _number(text: str) -> str:
    return "--" if text == NONE else text.replace("±", r"$\pm$")


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).replace("_", "-")
