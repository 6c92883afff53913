"""What `bench tune` writes beside a search: its trials as CSV, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.columns import TRIALS
from bench.analysis.csv_files import write_csv
from bench.analysis.trials import trials_table
from bench.reporting.figures import style
from bench.reporting.figures.tuning import best_so_far
from bench.tuning.study import Study


def write_trials(studies: Sequence[Study], results_dir: Path) -> list[Path]:
    """Writes `tuning/DATASET/trials.csv` and a figure, `best_so_far.png` and `.svg`, for each data set.

    Returns:
        The paths of the CSV files and of the figures.
    """
    written = []
    style.use_style()
    for dataset in dict.fromkeys(study.base.dataset.label for study in studies):
        some = [study for study in studies if study.base.dataset.label == dataset]
        folder = results_dir / "tuning" / dataset
        trials = trials_table(some)
        write_csv(trials, folder / TRIALS.file)
        written.append(folder / TRIALS.file)
        figure = best_so_far(trials, [study.base.label for study in some])
        if figure is not None:
            style.save(figure, folder / "best_so_far")
            written.append(folder / "best_so_far.png")
    return written
