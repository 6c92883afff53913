"""Which saved model somebody means: a folder, the folder of a run, or a row of a suite."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError, unknown_name
from bench.execution.saved_models import is_saved, model_folder
from bench.files import exists, expanded, is_file
from bench.plan import Plan
from bench.spec import RunSpec

_RUN_DEPTH = 4
"""How many folders `RESULTS/runs/DATASET/MODEL/sSEED-KEY` lies below `RESULTS`."""


def found_model(named: str, suite: str, results: Path, dataset: str | None = None, seed: int | None = None) -> Path:
    """The folder of a saved model.

    Args:
        named: Folder of a saved model or of a run, or a row of the suite.
        suite: Name of a suite; used for a row.
        results: Folder of the results, likewise.
        dataset: Label or name of a data set, for a row on several.
        seed: Of the run, for a row with several; by default the first.

    Raises:
        BenchError: There is no such model, or several could be meant.
    """
    path = expanded(named)
    if exists(path):
        folder = path.parent if is_file(path) else path
        if is_file(folder / "result.json") and not is_saved(folder):
            return _of_run(folder)
        return folder
    if "/" in named:
        raise BenchError(f"--model: '{named}' does not exist")
    if not Plan.exists(results, suite):
        known = ", ".join(Plan.suites(results)) or "none"
        raise BenchError(
            f"--model {named}: neither a folder, nor has '{results}' results of suite '{suite}' (but of: {known}): "
            "give a folder, or --suite and --results"
        )
    runs = _runs_of_row(named, Plan.read(results, suite).runs, dataset, seed)
    folder = model_folder(results, runs[0])
    if not is_saved(folder):
        raise BenchError(
            f"the model of row '{named}' on '{runs[0].dataset.label}' was not saved: python -m bench run --suite "
            f"{shlex.quote(suite)} --models {shlex.quote(named)} --results {shlex.quote(str(results))} --save-models"
        )
    return folder


def _of_run(folder: Path) -> Path:
    try:
        spec = RunSpec.model_validate(json.loads((folder / "result.json").read_text(encoding="utf-8"))["spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"'{folder}' holds no readable run ({error})") from None
    saved = model_folder(folder.resolve().parents[_RUN_DEPTH - 1], spec)
    if not is_saved(saved):
        raise BenchError(f"the model of run '{folder}' was not saved: `bench run --save-models` makes it again")
    return saved


def _runs_of_row(row: str, runs: Sequence[RunSpec], dataset: str | None, seed: int | None) -> list[RunSpec]:
    of_row = [run for run in runs if run.label == row] or [run for run in runs if run.model == row]
    if not of_row:
        raise unknown_name("row", row, {run.label for run in runs})
    labels = dict.fromkeys(run.dataset.label for run in of_row)
    if dataset is None and len(labels) > 1:
        raise BenchError(f"row '{row}' ran on {', '.join(labels)}: choose one with --dataset")
    on = [run for run in of_row if dataset in (None, run.dataset.label, run.dataset.name)]
    if not on:
        raise unknown_name("data set", str(dataset), labels)
    with_seed = [run for run in on if seed in (None, run.seed)]
    if not with_seed:
        raise BenchError(f"row '{row}' ran with seeds {', '.join(str(run.seed) for run in on)}: choose one of these")
    return with_seed
