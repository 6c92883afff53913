"""What is computed of each data set once, and its CSV files: everything that the report's tables can be made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.analysis import comparisons, fitness
from bench.analysis.comparisons import Answer
from bench.analysis.csv_files import write_csv
from bench.analysis.decoding_csv import decoding_table
from bench.analysis.fitness import Doubt, FloorTest
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import write_leaderboards
from bench.analysis.pairs import pair_tests, pairs
from bench.analysis.published import replications
from bench.analysis.published_csv import published_frame
from bench.analysis.questions import PartTest, question_tests
from bench.analysis.tests_csv import table_of_tests


@dataclass(frozen=True)
class DatasetTables:
    """The figures of one data set.

    Attributes:
        wide: Its leaderboard with its warnings (`bench.analysis.leaderboard.LEADERBOARD_COLUMNS`).
        compared: Every two models (`bench.analysis.pairs.PAIR_COLUMNS`).
        tests: The suite's questions, part by part.
        answers: The suite's comparisons.
        floor: Every row against the suite's floor.
        doubts: Rows that are no evidence.
    """

    wide: pd.DataFrame
    compared: pd.DataFrame
    tests: list[PartTest]
    answers: list[Answer]
    floor: list[FloorTest]
    doubts: list[Doubt]

    @classmethod
    def of(cls, grid: Grid, wide: pd.DataFrame) -> DatasetTables:
        """Tests what there is to test in the runs on one data set with this leaderboard."""
        tested = pair_tests(grid, wide)
        floor = fitness.floor_tests(grid, tested)
        doubts = fitness.doubts(grid, wide, floor)
        warned = fitness.with_warnings(wide, doubts)
        answers = comparisons.answers(grid, warned, tested)
        return cls(warned, pairs(grid, wide, tested), question_tests(grid, tested), answers, floor, doubts)

    @property
    def unfit(self) -> list[str]:
        """Labels of the rows that are no evidence."""
        return [doubt.label for doubt in self.doubts]


def write_tables(grid: Grid, results_dir: Path) -> dict[str, DatasetTables]:
    """Writes the CSV files of each data set to `RESULTS/SUITE/DATASET/`.

    Always `leaderboard.csv` and `metrics.csv` (`bench.analysis.leaderboard`) and `pairs.csv` (`pairs`), and where
    there is something to tell `tests.csv` (`tests_csv`), `decoding.csv` (`decoding_csv`) and `published.csv`
    (`published_csv`).

    Args:
        grid: The whole suite.
        results_dir: Where results live.

    Returns:
        The tables of each data set, by label.
    """
    tables: dict[str, DatasetTables] = {}

    def judged(runs: Grid, wide: pd.DataFrame) -> pd.DataFrame:
        found = tables[runs.datasets[0]] = DatasetTables.of(runs, wide)
        return found.wide

    write_leaderboards(grid, results_dir, judged)
    for dataset, found in tables.items():
        runs, folder = grid.on(dataset), results_dir / grid.suite.name / dataset
        write_csv(found.compared, folder / "pairs.csv")
        _write(table_of_tests(runs, found.tests, found.answers, found.floor), folder / "tests.csv")
        _write(decoding_table(runs), folder / "decoding.csv")
        _write(published_frame(runs, replications(runs, dataset)), folder / "published.csv")
    return tables


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table, or takes away the file of an earlier report where there is nothing to write."""
    if frame.empty:
        path.unlink(missing_ok=True)
        return
    write_csv(frame, path)
