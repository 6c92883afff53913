"""What `bench tune` writes beside a search: its trials as CSV, and a figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.analysis.columns import TRIALS
from bench.analysis.csv_files import write_csv
from bench.reporting.figures import style
from bench.reporting.figures.tuning import best_so_far


def write_trials(trials: pd.DataFrame, results_dir: Path) -> list[Path]:
    """Writes `tuning/DATASET/trials.csv` and a figure, `best_so_far.png` and `.svg`, for each data set.

    Args:
        trials: With the columns `bench.analysis.columns.TRIALS`.
        results_dir: Where results live.

    Returns:
        The paths of the CSV files and of the figures.
    """
    written = []
    style.use_style()
    for dataset, of_dataset in trials.groupby("dataset", sort=False):
        folder = results_dir / "tuning" / str(dataset)
        write_csv(of_dataset, folder / TRIALS.file)
        written.append(folder / TRIALS.file)
        figure = best_so_far(of_dataset)
        if figure is not None:
            style.save(figure, folder / "best_so_far")
            written.append(folder / "best_so_far.png")
    return written
