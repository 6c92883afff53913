"""What TensorBoard's writer and MLflow's client were told, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class FakeWriter:
    """What `torch.utils.tensorboard.SummaryWriter` was told."""

    folder: str
    told: list[tuple[Any, ...]] = field(default_factory=list)

    def __enter__(self) -> FakeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.told.append(("closed",))

    def add_scalar(self, name: str, value: float, step: int, walltime: float) -> None:
        self.told.append((name, value, step, walltime))

    def add_text(self, name: str, text: str, step: int, walltime: float) -> None:
        self.told.append((name, text, step, walltime))


class FakeClient:
    """The part of `mlflow.MlflowClient` that is used, in memory; enforces MLflow's limits."""

    def __init__(self) -> None:
        self.uri = ""
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Any] = {}
        self.made = 0

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: str) -> str:
        self.experiments[name] = artifact_location
        return name

    def search_runs(self, experiments: list[str], filter_string: str) -> list[Any]:
        key = filter_string.split("'")[1]
        return [run for run in self.runs.values() if run.data.tags["bench.key"] == key]

    def create_run(self, experiment: str, start_time: int, tags: dict[str, str], run_name: str) -> Any:
        self.made += 1
        info = SimpleNamespace(run_id=str(self.made), run_name=run_name, start_time=start_time)
        run = SimpleNamespace(info=info, data=SimpleNamespace(tags=tags), params={}, metrics=[], files="", status="")
        self.runs[info.run_id] = run
        return run

    def delete_run(self, run_id: str) -> None:
        del self.runs[run_id]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert max(len(metrics), len(params)) <= 100
        assert all(len(value) <= 500 for _, value in params)
        assert not any("@" in entry[0] for entry in (*metrics, *params))
        self.runs[run_id].params |= dict(params)
        self.runs[run_id].metrics += metrics

    def log_artifacts(self, run_id: str, folder: str) -> None:
        self.runs[run_id].files = folder

    def set_terminated(self, run_id: str, status: str, end_time: int) -> None:
        self.runs[run_id].status = status
        self.runs[run_id].end_time = end_time
