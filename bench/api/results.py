"""Runs and results in Python: the options of `bench run`, and what came of them as a table."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from bench.analysis.columns import METRICS
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.api.data import Data, as_path, as_reading, own_errors
from bench.api.model import FittedModel, load
from bench.cli.options import FOLDER_OF_REPORTS, FOLDER_OF_RESULTS
from bench.cli.run_options import RunOptions
from bench.cli.running import run_suite
from bench.cli.stored import runs_in
from bench.console import Console
from bench.data import catalog
from bench.errors import BenchError, unknown_name
from bench.files import is_folder
from bench.plan import Plan
from bench.serving.finding import found_model
from bench.spec import DatasetSpec

_JOINED = ("models", "datasets", "seeds")
"""Options that are comma-separated on the command line, and may be lists here."""


@dataclass(frozen=True)
class Results:
    """What came of `bench.run`.

    Attributes:
        suite: Name of the suite.
        folder: Of the results.
        report: The page, as HTML.
        complete: Whether no run has failed.
    """

    suite: str
    folder: Path
    report: Path
    complete: bool

    def metrics(self) -> pd.DataFrame:
        """See `load_results`."""
        return load_results(self.suite, self.folder)

    def leaderboard(self, dataset: str | None = None) -> pd.DataFrame:
        """The wide table of one data set (by label, where there are several), best first."""
        tidy = self.metrics()
        labels = list(dict.fromkeys(tidy["dataset"]))
        if dataset is None and len(labels) > 1:
            raise BenchError(f"the suite has data sets {', '.join(labels)}: name one")
        if dataset is not None and dataset not in labels:
            raise unknown_name("data set", dataset, labels)
        return leaderboard(tidy[tidy["dataset"] == (dataset or labels[0])])

    def model(self, row: str, dataset: str | None = None, seed: int | None = None) -> FittedModel:
        """The model of a row, of a run with `save_models=True`.

        Raises:
            BenchError: There is no such row, or its model was not saved.
        """
        return load(found_model(row, self.suite, self.folder, dataset, seed))


def run(suite: str = "full", dataset: Data | list[Data] | None = None, **options: Any) -> Results:
    """Trains and judges every model of a suite, then reports: `bench run`, with its options by keyword.

    Args:
        suite: Name of a suite, or path of a .yaml file.
        dataset: In place of the suite's data sets: registered names, paths, or tables with one row an event.
        options: As on the command line, with `_` for `-`, and `settings` for `--set`. `models`, `datasets` and `seeds`
            may be lists, `settings` a mapping, `items` a table. `save_models=True` keeps the fitted models.

    Raises:
        BenchError: An option is unknown or doesn't fit, or the report could not be written.
    """
    own = {field.name for field in dataclasses.fields(RunOptions)} - {"suite", "dataset"}
    reading_keys = [key for key in DatasetSpec.model_fields if key not in ("name", "path")]
    for key in options:
        if key not in own and key not in reading_keys:
            raise unknown_name("option", key, {*own, *reading_keys})
    chosen = _as_options({key: value for key, value in options.items() if key in own and value is not None})
    results = chosen.get("results", FOLDER_OF_RESULTS)
    tables = results / "cache" / "tables"
    given = [] if dataset is None else dataset if isinstance(dataset, list) else [dataset]
    paths = [as_path(data, tables) for data in given]
    catalog.load_dataset.cache_clear()  # in a long session, files change
    with own_errors():
        reading = as_reading({key: value for key, value in options.items() if key in reading_keys}, tables)
        plans: list[Plan] = []
        code = run_suite(RunOptions(suite=suite, dataset=paths or None, **chosen), reading, plans.append)
    name = plans[-1].suite.name
    report = chosen.get("reports", FOLDER_OF_REPORTS) / name / "report.html"
    return Results(name, results, report, complete=code == 0)


def _as_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the command line would have made them.

    Raises:
        BenchError: One has a value of another kind.
    """
    made = dict(options)
    for key in _JOINED:
        value = made.get(key)
        if isinstance(value, list | tuple | range):
            made[key] = ",".join(map(str, value)) + ("," if key == "seeds" else "")
        elif isinstance(value, int):
            made[key] = str(value)
    if isinstance(made.get("name"), str):
        made["name"] = [made["name"]]
    if isinstance(made.get("settings"), Mapping):
        made["settings"] = [f"{key}={json.dumps(value)}" for key, value in made["settings"].items()]
    hints = get_type_hints(RunOptions)
    for key, value in made.items():
        kind = hints[key]
        try:
            if isinstance(kind, type) and not isinstance(value, kind):
                made[key] = kind(value)  # a path, or the name of a device
        except (TypeError, ValueError):
            raise BenchError(f"{key}={value!r}: should be a {kind.__name__}") from None
    return made


def load_results(suite: str | os.PathLike[str] = "full", results: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Every measured value of every planned run, one a row: a run, a metric, a slice.

    Args:
        suite: Name of a suite, or a folder of results, of which all suites are read.
        results: Folder of the results; by default `results`.

    Returns:
        The columns `bench.analysis.columns.METRICS`: `schema`, `suite`, `dataset`, `row`, `model`, `role`, `seed`,
        `status`, `reason`, `level`, `slice`, `metric` and `value`.

    Raises:
        BenchError: There are no such results.
    """
    folder = Path(results) if results is not None else FOLDER_OF_RESULTS
    names = [str(suite)]
    if results is None and is_folder(Path(suite)) and (found := Plan.suites(Path(suite))):
        folder, names = Path(suite), found
    console = Console(stderr=True)
    frames = [tidy_metrics(runs_in(folder, name, console)) for name in names]
    return METRICS.checked(pd.concat(frames, ignore_index=True)) if len(frames) > 1 else frames[0]
