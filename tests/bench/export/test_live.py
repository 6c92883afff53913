"""`bench run --track`: what a run measures reaches the tool while it goes, and no tool can touch a run."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from bench.analysis.runs import Run
from bench.cli.main import main
from bench.execution.live_values import CurveListener, Listeners, LiveReader, LiveValues, LiveWriter, live_path
from bench.export import live_tools
from bench.export.live import LiveTracking
from bench.export.live_tools import tool_for
from bench.plan import Plan
from bench.recommender import CurvePoint
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

POINT = {"epoch": 2.0, "step": 30, "loss": 5.0, "validation": 0.25, "seconds": 4.0}


def spec(label: str = "a row") -> RunSpec:
    return RunSpec(
        dataset=DatasetSpec(name="tiny"),
        data_hash="d0",
        model="popularity",
        revision=1,
        config={"training": {"epochs": 4}},
        seed=0,
        label=label,
    )


def result(status: Any = "complete", label: str = "a row") -> RunResult:
    queries = pd.DataFrame(
        {
            "user": range(4),
            "target": range(4),
            "history_length": [20] * 4,
            "target_count": [5] * 4,
            "target_quantile": [0.1] * 4,
            "item_rank": [1, 0, 0, 0],
            "sid_rank": [1, 0, 0, 0],
        }
    )
    return RunResult(
        spec=spec(label),
        status=status,
        reason="" if status == "complete" else "ValueError: loss is NaN",
        fit_seconds=9.0,
        recommend_seconds=1.0,
        milliseconds_per_user=1.0,
        parameters=7,
        curve=[POINT],
        queries=queries if status == "complete" else None,
    )


class Told:
    """A tool that keeps what it is told, and fails where it is asked to."""

    where = "look here"

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.runs: dict[str, list[Any]] = {}

    def begin(self, run: Run, identity: Mapping[str, str], configuration: Mapping[str, str]) -> ToldRun:
        self.runs[run.spec.label] = told = [(identity["model"], configuration["config.training.epochs"])]
        print("noise")
        return ToldRun(told, self)


class ToldRun:
    def __init__(self, told: list[Any], tool: Told) -> None:
        self.told, self.tool = told, tool

    def log(self, values: LiveValues) -> None:
        if self.tool.failing == "log":
            raise ConnectionError("no network")
        self.told.append((values.step, dict(values.values)))

    def finish(self, status: str, reason: str, final: Mapping[str, float]) -> None:
        if self.tool.failing == "finish":
            raise OSError("disk full")
        self.told.append((status, reason, dict(final)))


def tracking(tool: Told, folder: Path) -> tuple[LiveTracking, io.StringIO]:
    suite = Suite(
        name="s", description="", datasets=(DatasetSpec(name="tiny"),), models=(Entry(model="popularity"),), seeds=(0,)
    )
    plan = Plan(suite=suite, runs=(spec(), spec("another")), command="bench run")
    said = io.StringIO()
    return LiveTracking(lambda: tool, plan, folder, Console(file=said, width=200), lambda flaw: None), said


def written(folder: Path, label: str = "a row") -> LiveWriter:
    live_path(folder, spec(label)).parent.mkdir(parents=True, exist_ok=True)
    return LiveWriter(folder, spec(label), lambda: 12.5)


def test_values_reach_the_tool_while_the_run_goes_and_the_rest_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.export.live._SECONDS_BETWEEN_LOOKS", 0.0)
    tool = Told()
    live, said = tracking(tool, tmp_path)
    write = written(tmp_path)
    write(10, {"epoch/loss": 6.0})
    live.tick([spec()])
    assert tool.runs["a row"] == [("popularity", "4"), (10, {"epoch/loss": 6.0})]
    live.tick([spec()])
    assert len(tool.runs["a row"]) == 2, "nothing is told twice"
    write(30, {"curve/loss": 5.0, "curve/validation": 0.25})
    live.finished(result())
    _, _, point, (status, reason, final) = tool.runs["a row"]
    assert point == (30, {"curve/loss": 5.0, "curve/validation": 0.25}), "once, though the result has it, too"
    assert (status, reason) == ("complete", "")
    assert final["item/overall/ndcg@10"] == 0.25
    assert final["run/overall/fit_seconds"] == 9.0
    assert not live_path(tmp_path, spec()).exists()
    live.concluded()
    assert said.getvalue().splitlines() == ["look here"]
    assert capsys.readouterr().out == "", "a tool's own words are for nobody"


def test_a_run_whose_values_were_not_written_down_has_its_curve_all_the_same(tmp_path: Path) -> None:
    tool = Told()
    live, _ = tracking(tool, tmp_path)
    live.finished(result())
    assert tool.runs["a row"][1] == (30, {"curve/loss": 5.0, "curve/validation": 0.25})
    live.finished(result("failed", "another"))
    assert tool.runs["another"][-1] == ("failed", "ValueError: loss is NaN", {})


@pytest.mark.parametrize("failing", ["log", "finish", "open"])
def test_a_tool_that_fails_costs_one_warning_and_nothing_else(tmp_path: Path, failing: str) -> None:
    tool = Told(failing)
    live, said = tracking(tool, tmp_path)
    if failing == "open":
        live._open_tool = lambda: (_ for _ in ()).throw(RuntimeError("no such server"))
    for label in ("a row", "another"):
        write = written(tmp_path, label)
        write(10, {"epoch/loss": 6.0})
        live.tick([spec(label)])
        live.finished(result(label=label))
        assert not live_path(tmp_path, spec(label)).exists()
    live.concluded()
    reasons = {
        "log": "ConnectionError: no network",
        "finish": "OSError: disk full",
        "open": "RuntimeError: no such server",
    }
    assert said.getvalue().splitlines() == [f"warning: tracking has stopped ({reasons[failing]}); the runs go on"]


def test_lines_are_read_once_whole_and_only_where_they_can_be(tmp_path: Path) -> None:
    write, reader = written(tmp_path), LiveReader(tmp_path, spec())
    assert list(reader.new()) == []
    write(1, {"loss": 2.0, "lost": math.nan})
    assert list(reader.new()) == [LiveValues(1, {"loss": 2.0}, 12.5)]
    with live_path(tmp_path, spec()).open("a") as file:
        file.write('garbage\n{"step": "x"}\n{"step": 2, "time": 0, "val')
    assert list(reader.new()) == []
    with live_path(tmp_path, spec()).open("a") as file:
        file.write('ues": {"loss": 1.0}}\n')
    assert list(reader.new()) == [LiveValues(2, {"loss": 1.0}, 0.0)]
    written(tmp_path)(3, {"a": 1.0})  # begun anew
    assert [values.step for values in reader.new()] == [3]


def test_a_writer_without_a_disk_is_silent(tmp_path: Path) -> None:
    LiveWriter(tmp_path / "missing", spec(), lambda: 0.0)(1, {"loss": 1.0})


def test_points_of_a_curve_are_told_with_the_next_progress() -> None:
    heard: list[Any] = []
    curve: list[CurvePoint] = []
    listener = CurveListener(curve, Listeners(measured=lambda step, values: heard.append((step, dict(values)))))
    listener.progress(0.1, "")
    curve.append(CurvePoint(1.0, 5, 3.0, 0.5, 1.0))
    listener.progress(0.2, "")
    listener.catch_up()
    assert heard == [(5, {"curve/loss": 3.0, "curve/validation": 0.5})]


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_missing_package_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live_tools, "find_spec", lambda package: None)
    assert main(["run", "--suite", "smoke", "--models", "popularity", "--datasets", "ml-100k", "--track", name]) == 2
    error = capsys.readouterr().err
    extra = "wandb" if name == "wandb" else "export"
    assert error == f"error: --track {name} needs the package {name}: pip install 'glass-bench[{extra}]'\n"
    assert not (tmp_path / "results").exists()


def told_of_two(tool: live_tools.Tool) -> None:
    for label in ("a row", "another"):
        run = tool.begin(Run(spec(label), None), {"row": label, "model": "popularity", "role": ""}, {"a@b": "1"})
        run.log(LiveValues(30, {"epoch/loss": 6.0, "curve/validation": 0.25}, 1_700_000_000.0))
        run.finish("complete", "", {"item/overall/ndcg@10": 0.5})


def test_mlflow_has_the_runs_once_however_often_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for _ in range(2):
        told_of_two(tool_for("mlflow", "s", tmp_path)())
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 's' / 'mlflow' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["a row on tiny, seed 0", "another on tiny, seed 0"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert runs[0].data.metrics["item/overall/ndcg_at_10"] == 0.5
    history = [(m.step, m.value) for m in client.get_metric_history(runs[0].info.run_id, "epoch/loss")]
    assert history == [(30, 6.0)]


def test_wandb_writes_offline_where_nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr(live_tools, "logged_in", lambda: False)
    told_of_two(tool_for("wandb", "s", tmp_path)())
    assert len(list((tmp_path / "s" / "wandb" / "wandb").glob("offline-run-*/*.wandb"))) == 2


class FakeWandB(ModuleType):
    """As much of the package as is called."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[FakeWandBRun] = []

    def init(self, **given: Any) -> FakeWandBRun:
        self.runs.append(FakeWandBRun(given))
        return self.runs[-1]

    def Settings(self, **given: Any) -> dict[str, Any]:  # noqa: N802  # its name
        return given


class FakeWandBRun:
    def __init__(self, given: dict[str, Any]) -> None:
        self.given, self.logged, self.summary = given, list[Any](), dict[str, Any]()
        self.ended: int | None = None

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "step")

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)

    def finish(self, exit_code: int) -> None:
        self.ended = exit_code


@pytest.mark.parametrize(("key", "mode"), [("", "offline"), ("a key", None)])
def test_wandb_is_told_all_of_a_run(
    key: str, mode: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(live_tools, "find_spec", lambda package: package)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("HOME", str(tmp_path))
    tool = tool_for("wandb", "s", tmp_path)()
    told_of_two(tool)
    assert ("offline" in tool.where) == (mode == "offline")
    first, _ = fake.runs
    assert first.given["mode"] == mode
    assert (first.given["group"], first.given["name"]) == ("s", "a row on tiny, seed 0")
    assert first.given["config"]["a@b"] == "1"
    assert first.logged == [{"epoch/loss": 6.0, "curve/validation": 0.25, "step": 30}]
    assert first.summary == {"final/item/overall/ndcg@10": 0.5, "status": "complete"}
    assert first.ended == 0


@pytest.mark.slow
def test_a_tracked_run_is_followed_epoch_by_epoch_and_gives_the_same_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.chdir(tmp_path)
    events = [(f"u{user}", f"i{(user * step) % 17}", 1000 + step) for user in range(12) for step in range(1, 9)]
    pd.DataFrame(events, columns=["user", "item", "time"]).to_csv("log.csv", index=False)
    asked = ["run", "--suite", "smoke", "--models", "popularity,sasrec-ce", "--dataset", "log.csv", "--device", "cpu"]
    asked += ["--set", "sasrec-ce.training.epochs=3", "--set", "sasrec-ce.training.validate_every=2", "--results"]
    assert main([*asked, "tracked", "--track", "tensorboard"]) == 0
    assert "tracked: tensorboard --logdir exports/own-log/tensorboard" in capsys.readouterr().out
    assert main([*asked, "untracked"]) == 0
    ranks = [
        sorted(path.read_bytes() for path in Path(name).rglob("queries.parquet")) for name in ("tracked", "untracked")
    ]
    assert len(ranks[0]) == 2
    assert ranks[0] == ranks[1]
    assert not list(Path("tracked").rglob("*.live"))
    log = accumulator.EventAccumulator("exports/own-log/tensorboard/log/sasrec-ce/s0")
    log.Reload()
    assert [event.value for event in log.Scalars("epoch/number")] == [1, 2, 3]
    assert all(event.value > 0 for event in log.Scalars("epoch/loss"))
    assert len(log.Scalars("curve/validation")) == 2
    board = pd.read_csv("tracked/own-log/log/leaderboard.csv").set_index("row")
    (final,) = log.Scalars("final/item/overall/ndcg@10")
    assert final.value == pytest.approx(board.loc["sasrec-ce", "item.overall.ndcg@10.mean"])
    assert "configuration/text_summary" in log.Tags()["tensors"]
