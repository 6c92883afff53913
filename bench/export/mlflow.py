"""An MLflow store: one run of the suite, one of MLflow's."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from bench.analysis.runs import Run, SuiteRuns
from bench.errors import BenchError
from bench.execution.store import ResultStore
from bench.export.runs import INSTALL, configuration_of, curve, ended, final_values, made_folder, name_of, started

STORE = "mlflow.db"
"""Name of the store's file."""

KEY_TAG = "bench.key"
"""The tag with the content key of a run."""

_VALUE_LIMIT = 500
"""Characters of a parameter's value that every version of MLflow accepts."""

_BATCH = 100
"""Params, or metrics, that MLflow takes in one call."""


def export_mlflow(planned: SuiteRuns, results_dir: Path, output: Path) -> list[str]:
    """Writes each complete or failed run with its parameters, values, learning curve and files.

    The store is a SQLite file, `mlflow.db`, with the files in `artifacts` beside it: MLflow 3 turns away plain
    folders. The experiment has the suite's name. A second export replaces the runs of the first.

    Args:
        planned: The runs of a suite.
        results_dir: Where their files lie.
        output: Folder of the store.

    Returns:
        The name of each run.

    Raises:
        BenchError: MLflow is not installed, nothing is complete, or the folder can't be written to.
    """
    runs = ended(planned)
    try:
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
        folder = made_folder(output).resolve()
        client = MlflowClient(tracking_uri=f"sqlite:///{folder / STORE}")
        experiment = _experiment(client, planned.suite.name, folder)
    except ImportError as error:  # also where the package mlflow-skinny is here without a driver for databases
        needs = "--to mlflow needs the packages mlflow-skinny, sqlalchemy and alembic"
        raise BenchError(f"{needs} ({error}): {INSTALL}") from None
    store = ResultStore(results_dir)
    for run in runs:
        _replace(client, experiment, planned, run, store.folder(run.spec))
    return [name_of(run) for run in runs]


def _experiment(client: Any, name: str, folder: Path) -> str:
    """The id of the experiment of a suite, made where it is missing."""
    known = client.get_experiment_by_name(name)
    return known.experiment_id if known else client.create_experiment(name, (folder / "artifacts").as_uri())


def _replace(client: Any, experiment: str, planned: SuiteRuns, run: Run, files: Path) -> None:
    result, spec = run.result, run.spec
    assert result is not None  # a run that has ended has its result
    for earlier in client.search_runs([experiment], filter_string=f"tags.`{KEY_TAG}` = '{spec.key}'"):
        if earlier.data.tags.get("row") == spec.label:  # rows that differ by their label only share a key
            client.delete_run(earlier.info.run_id)
    began = int(1000 * started(result))
    tags = {
        KEY_TAG: spec.key,
        "dataset": spec.dataset.label,
        **planned.on(spec.dataset.label).identities()[spec.label]._asdict(),  # row, model, role
        "status": result.status,
        "reason": run.reason,
        "commit": str(result.environment.get("commit") or "unknown"),
    }
    made = client.create_run(experiment, start_time=began, tags=tags, run_name=name_of(run))
    for params in batches([param(key, value) for key, value in configuration_of(run.spec).items()]):
        client.log_batch(made.info.run_id, params=params)
    for metrics in batches(_metrics(planned, run)):
        client.log_batch(made.info.run_id, metrics=metrics)
    client.log_artifacts(made.info.run_id, str(files))
    end = began + int(1000 * (result.fit_seconds + result.recommend_seconds))
    client.set_terminated(made.info.run_id, "FINISHED" if result.status == "complete" else "FAILED", end_time=end)


def param(key: str, value: str) -> Any:
    """A parameter whose name and value every version of MLflow accepts."""
    from mlflow.entities import Param

    return Param(legal(key), value[:_VALUE_LIMIT])


def _metrics(planned: SuiteRuns, run: Run) -> list[Any]:
    """Points of the learning curve, then the final values at step 0."""
    from mlflow.entities import Metric

    assert run.result is not None  # a run that has ended has its result
    end = int(1000 * (started(run.result) + run.result.fit_seconds))
    points = [Metric(f"curve/{p.name}", p.value, int(1000 * p.time), p.step) for p in curve(run.result)]
    return points + [Metric(legal(name), value, end, 0) for name, value in final_values(planned, run).items()]


def legal(name: str) -> str:
    """A name without "@", which MLflow does not accept."""
    return name.replace("@", "_at_")


def batches(entries: list[Any]) -> list[list[Any]]:
    """The entries, as many at a time as MLflow takes in one call."""
    return [entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH)]
