"""The frames of each data set, made once, and its CSV files: everything that a report can be made from."""

from __future__ import annotations

from pathlib import Path

from bench.analysis import comparisons, fitness
from bench.analysis.frames import DatasetFrames, Tested, dataset_frames
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.pairs import pair_tests, pairs
from bench.analysis.questions import question_tests
from bench.analysis.runs import SuiteRuns
from bench.analysis.tests_csv import table_of_tests
from bench.parentage import in_worker_processes


def frames_of(runs: SuiteRuns, results_dir: Path | None = None) -> DatasetFrames:
    """Measures and tests what there is in the runs on one data set.

    Args:
        runs: Of one data set.
        results_dir: Where searches for configurations are kept; None: nowhere.
    """
    metrics = tidy_metrics(runs)
    wide = leaderboard(metrics)
    tested = pair_tests(runs, wide)
    floor = fitness.floor_tests(runs, tested)
    doubts = fitness.doubts(runs, wide, floor)
    warned = fitness.with_warnings(wide, doubts)
    compared = comparisons.comparison_results(runs, warned, tested)
    tests = table_of_tests(runs, question_tests(runs, tested), compared, floor)
    judged = Tested(warned, pairs(runs, warned, tested), tests, compared, doubts)
    return dataset_frames(runs, metrics, judged, results_dir)


def write_frames(runs: SuiteRuns, results_dir: Path, processes: int = 1) -> dict[str, DatasetFrames]:
    """Makes the frames of each data set, and writes those that are files to `RESULTS/SUITE/DATASET/`.

    Args:
        runs: Of the whole suite.
        results_dir: Where results live.
        processes: Data sets that are measured at a time; 1 measures in this process.

    Returns:
        The frames of each data set, by label.
    """
    workers = max(1, min(processes, len(runs.datasets)))
    tasks = [(runs.on(dataset), results_dir) for dataset in runs.datasets]
    return dict(zip(runs.datasets, in_worker_processes(_written, tasks, workers), strict=True))


def _written(runs: SuiteRuns, results_dir: Path) -> DatasetFrames:
    """The frames of one data set, and its files."""
    frames = frames_of(runs, results_dir)
    frames.write(results_dir / runs.suite.name / runs.dataset)
    return frames
