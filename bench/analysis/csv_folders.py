"""Two results folders against each other where only CSV files are left of one: figures side by side, and no test.

A CSV file holds means of seeds and no per-query ranks, so nothing can be paired. `bench.analysis.folders` compares
folders that hold the runs themselves.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.analysis.columns import METRICS
from bench.analysis.old_files import read_frame
from bench.analysis.report_columns import BESIDE
from bench.errors import BenchError, unknown_name


def holds_files(folder: Path, suite: str) -> bool:
    """Whether a results folder has figures of a suite, with or without its runs."""
    return any((folder / suite).glob(f"*/{METRICS.file}"))


def side_by_side(first: Path, second: Path, suite: str, metric: str) -> pd.DataFrame:
    """The rows of two folders by their figures in `metrics.csv`, of whatever schema.

    Args:
        first, second: The results folders A and B.
        suite: Its name.
        metric: One that the files hold, e.g. "ndcg@10"; at item level, on all queries.

    Returns:
        A frame with the columns `bench.analysis.report_columns.BESIDE`, the rows of A first.

    Raises:
        BenchError: A file is unreadable, or none holds the metric.
    """
    sides = [figures_of(folder, suite, metric) for folder in (first, second)]
    beside = sides[0].join(sides[1], how="outer", lsuffix="_a", rsuffix="_b", sort=False)
    order = list(dict.fromkeys([*sides[0].index, *sides[1].index]))
    beside = beside.reindex(order).reset_index()
    return BESIDE.checked(beside.assign(difference=beside["mean_b"] - beside["mean_a"])[BESIDE.names])


def figures_of(folder: Path, suite: str, metric: str) -> pd.DataFrame:
    """Seeds, mean and std of each row of a folder, by data set and row."""
    files = sorted((folder / suite).glob(f"*/{METRICS.file}"))
    if not files:
        raise BenchError(f"no figures of suite '{suite}' in '{folder}': `bench report` writes them")
    tidy = pd.concat([read_frame(path, METRICS) for path in files], ignore_index=True)
    whole = tidy[(tidy["level"] == "item") & (tidy["slice"] == "overall")]
    if metric not in set(whole["metric"]):
        raise unknown_name("metric", metric, whole["metric"].unique())
    values = whole[whole["metric"] == metric].groupby(["dataset", "row"], sort=False)["value"]
    return pd.DataFrame({"seeds": values.count().astype(float), "mean": values.mean(), "std": values.std(ddof=1)})
