"""What is computed of each data set once, and its CSV files: everything that a report can be made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.analysis import comparisons, fitness
from bench.analysis.comparisons import Answer
from bench.analysis.fitness import Doubt, FloorTest
from bench.analysis.frames import DatasetFrames, Tested, dataset_frames
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.pairs import pair_tests, pairs
from bench.analysis.questions import PartTest, question_tests
from bench.analysis.runs import SuiteRuns
from bench.analysis.tests_csv import table_of_tests


@dataclass(frozen=True)
class DatasetTables:
    """The figures of one data set.

    Attributes:
        frames: All of them as frames.
        tests: The suite's questions, part by part.
        answers: The suite's comparisons.
        floor: Every row against the suite's floor.
        doubts: Rows that are no evidence.
    """

    frames: DatasetFrames
    tests: list[PartTest]
    answers: list[Answer]
    floor: list[FloorTest]
    doubts: list[Doubt]

    @classmethod
    def of(cls, runs: SuiteRuns, results_dir: Path | None = None) -> DatasetTables:
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
        answers = comparisons.answers(runs, warned, tested)
        questions = question_tests(runs, tested)
        tests = table_of_tests(runs, questions, answers, floor)
        judged = Tested(warned, pairs(runs, warned, tested), tests, answers)
        return cls(dataset_frames(runs, metrics, judged, results_dir), questions, answers, floor, doubts)

    @property
    def wide(self) -> pd.DataFrame:
        """The leaderboard, in which `model` is the row's label."""
        return self.frames.leaderboard.assign(model=self.frames.leaderboard["row"])

    @property
    def compared(self) -> pd.DataFrame:
        """Every two rows."""
        return self.frames.pairs

    @property
    def unfit(self) -> list[str]:
        """Labels of the rows that are no evidence."""
        return [doubt.label for doubt in self.doubts]


def write_tables(runs: SuiteRuns, results_dir: Path) -> dict[str, DatasetTables]:
    """Writes the CSV files of each data set to `RESULTS/SUITE/DATASET/` (`DatasetFrames.write`).

    Args:
        runs: Of the whole suite.
        results_dir: Where results live.

    Returns:
        What was computed of each data set, by label.
    """
    tables = {dataset: DatasetTables.of(runs.on(dataset), results_dir) for dataset in runs.datasets}
    for dataset, of_dataset in tables.items():
        of_dataset.frames.write(results_dir / runs.suite.name / dataset)
    return tables
