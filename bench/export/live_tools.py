"""The tools that runs can be tracked with live: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

import json
import logging
import netrc
import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.analysis.runs import Run
from bench.errors import BenchError
from bench.execution.live_values import LiveValues
from bench.export.live import Tool, TrackedRun, Values
from bench.export.mlflow import KEY_TAG, STORE, batches, legal, param
from bench.export.runs import INSTALL, folder_of, made_folder, name_of

_HOST_OF_WANDB = "api.wandb.ai"

_PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic"), "wandb": ("wandb",)}
_INSTALL = {"tensorboard": INSTALL, "mlflow": INSTALL, "wandb": "pip install 'glass-bench[wandb]'"}


def tool_for(name: str, suite: str, output: Path) -> Callable[[], Tool]:
    """What opens the tool of a name.

    Args:
        name: "tensorboard", "mlflow" or "wandb".
        suite: Name of the suite: of the experiment in MLflow, of the group in Weights & Biases.
        output: Where the tool may write.

    Raises:
        BenchError: A package is missing, or the folder can't be written to.
    """
    missing = [package for package in _PACKAGES[name] if find_spec(package) is None]
    if missing:
        raise BenchError(f"--track {name} needs the package {missing[0]}: {_INSTALL[name]}")
    folder = made_folder(output / suite / name)
    opened: dict[str, Callable[[], Tool]] = {
        "tensorboard": lambda: _TensorBoard(folder),
        "mlflow": lambda: _MLflow(suite, folder),
        "wandb": lambda: _WandB(suite, folder),
    }
    return opened[name]


class _TensorBoard:
    """One folder a run, as `bench export` lays them out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = f"tracked: tensorboard --logdir {folder}"

    def begin(self, run: Run, identity: Mapping[str, str], configuration: Mapping[str, str]) -> TrackedRun:
        from torch.utils.tensorboard import SummaryWriter  # brings in torch

        folder = made_folder(self._folder / folder_of(run))
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        writer = SummaryWriter(str(folder), flush_secs=5)
        writer.add_text("identity", ", ".join(f"{name}: {value}" for name, value in identity.items()), 0)
        text = json.dumps(dict(configuration), indent=1)
        writer.add_text("configuration", "\n".join(f"    {line}" for line in text.splitlines()), 0)
        return _TensorBoardRun(writer)


class _TensorBoardRun:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, values: LiveValues) -> None:
        for name, value in values.values.items():
            self._writer.add_scalar(name, value, values.step, walltime=values.time or time.time())
        self._writer.flush()

    def finish(self, status: str, reason: str, final: Values) -> None:
        for name, value in final.items():
            self._writer.add_scalar(f"final/{name}", value, 0)
        self._writer.add_text("status", f"{status} {reason}".strip(), 0)
        self._writer.close()


class _MLflow:
    """A store beside the exports, or the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, suite: str, folder: Path) -> None:
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
        own = f"sqlite:///{folder.resolve() / STORE}"
        uri = os.environ.get("MLFLOW_TRACKING_URI") or own
        self._client = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(suite)
        files = (folder.resolve() / "artifacts").as_uri() if uri == own else None
        self._experiment = known.experiment_id if known else self._client.create_experiment(suite, files)
        self.where = f"tracked: mlflow ui --backend-store-uri {uri} (with the complete mlflow package)"

    def begin(self, run: Run, identity: Mapping[str, str], configuration: Mapping[str, str]) -> TrackedRun:
        key, row = run.spec.key, run.spec.label
        for earlier in self._client.search_runs([self._experiment], filter_string=f"tags.`{KEY_TAG}` = '{key}'"):
            if earlier.data.tags.get("row") == row:
                self._client.delete_run(earlier.info.run_id)
        tags = {KEY_TAG: key, "dataset": run.spec.dataset.label, **identity}
        made = self._client.create_run(self._experiment, tags=tags, run_name=name_of(run)).info.run_id
        for params in batches([param(name, value) for name, value in configuration.items()]):
            self._client.log_batch(made, params=params)
        return _MLflowRun(self._client, made)


class _MLflowRun:
    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def log(self, values: LiveValues) -> None:
        self._log(values.values, values.step, values.time)

    def finish(self, status: str, reason: str, final: Values) -> None:
        self._log(final, 0, 0.0)
        for name, value in (("status", status), ("reason", reason)):
            self._client.set_tag(self._run_id, name, value)
        self._client.set_terminated(self._run_id, "FINISHED" if status == "complete" else "FAILED")

    def _log(self, values: Values, step: int, when: float) -> None:
        from mlflow.entities import Metric

        milliseconds = int(1000 * (when or time.time()))
        for metrics in batches([Metric(legal(name), value, milliseconds, step) for name, value in values.items()]):
            self._client.log_batch(self._run_id, metrics=metrics)


class _WandB:
    """A run of project glass-bench each, in a group for the suite; offline where nobody is logged in."""

    def __init__(self, suite: str, folder: Path) -> None:
        self._suite, self._folder = suite, folder
        self._mode = None if "WANDB_MODE" in os.environ or logged_in() else "offline"
        offline = self._mode or os.environ.get("WANDB_MODE") == "offline"
        self.where = f"tracked offline: wandb sync {folder}/wandb/offline-run-*" if offline else "tracked: wandb.ai"

    def begin(self, run: Run, identity: Mapping[str, str], configuration: Mapping[str, str]) -> TrackedRun:
        import wandb

        made = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "glass-bench"),
            group=self._suite,
            name=name_of(run),
            dir=str(self._folder),
            config={**configuration, **identity, "dataset": run.spec.dataset.label, "key": run.spec.key},
            mode=self._mode,
            reinit="create_new",  # several runs at a time
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        made.define_metric("*", step_metric="step")
        return _WandBRun(made)


class _WandBRun:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, values: LiveValues) -> None:
        self._run.log({**values.values, "step": values.step})

    def finish(self, status: str, reason: str, final: Values) -> None:
        self._run.summary.update({**{f"final/{name}": value for name, value in final.items()}, "status": status})
        if reason:
            self._run.summary["reason"] = reason
        self._run.finish(exit_code=0 if status == "complete" else 1)


def logged_in() -> bool:
    """Whether Weights & Biases has a key here: in the environment, or in the file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(_HOST_OF_WANDB) is not None
    except (OSError, netrc.NetrcParseError):
        return False
