"""Ranks of rows averaged over data sets, with what chance of users and seeds leaves open of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata


def ranks_with_intervals(resampled: Mapping[str, pd.DataFrame], family: str, part: str) -> pd.DataFrame | None:
    """The mean rank of each row over the data sets, on one part of the queries.

    The interval holds the middle 95 % of the mean ranks over resampled users and seeds (percentile bootstrap). The data
    sets are taken as they are: it says nothing of other data sets.

    Args:
        resampled: Label of a data set -> its `bench.analysis.effects.resampled_frame`.
        family, part: Of the queries.

    Returns:
        One line for each row that has a mean on every data set with any on this part: row, rank (1 is best, equal means
        share a rank), low, high, and the rank on each data set. Best first. None with fewer than two data sets or rows.
    """
    means: dict[str, pd.DataFrame] = {}
    for dataset, frame in resampled.items():
        chosen = frame[(frame["family"] == family) & (frame["part"] == part)]
        if len(chosen):
            means[dataset] = chosen.pivot(index="draw", columns="row", values="mean")
    common = [row for row in next(iter(means.values()), pd.DataFrame()) if all(row in wide for wide in means.values())]
    if len(means) < 2 or len(common) < 2:
        return None
    ranks = {dataset: rankdata(-wide[common].to_numpy().round(12), axis=1) for dataset, wide in means.items()}
    averaged = np.mean(list(ranks.values()), axis=0)
    low, high = np.percentile(averaged[1:], [2.5, 97.5], axis=0)
    table = pd.DataFrame({"row": common, "rank": averaged[0], "low": low, "high": high})
    for dataset, of_dataset in ranks.items():
        table[dataset] = of_dataset[0]
    return table.sort_values("rank", kind="stable", ignore_index=True)
