"""A training that is broken off at any moment, and goes on from its checkpoint, gives the ranks of an unbroken one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_every_model import SMALL, spec_of

from bench.execution.checkpoints import Checkpointing, FileCheckpoint, checkpoint_folder
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.registry import BUILT_IN
from bench.spec import RunResult, RunSpec

pytestmark = pytest.mark.usefixtures("tiny_ml_100k")

COMMON_LOOP = [name for name in BUILT_IN if "training" in SMALL.get(name, {})]
AT_EVERY_STEP = partial(execute, device="cpu", threads=1, checkpointing=Checkpointing(seconds=0))


class Killed(BaseException):
    """Stands in for the signal that no process survives."""


def broken_off(spec: RunSpec, results: Path, saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a run that ends right after so many checkpoints, as a process does that is killed: it clears nothing up."""
    count = [0]
    save = FileCheckpoint.save

    def killing_save(self: FileCheckpoint, state: Mapping[str, Any]) -> None:
        save(self, state)
        count[0] += 1
        if count[0] == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FileCheckpoint, "save", killing_save)
        patch.setattr("bench.execution.worker.remove_checkpoints", lambda *_: None)
        result = AT_EVERY_STEP(spec, results)
    assert "Killed" in result.reason
    assert list(checkpoint_folder(results, spec).iterdir())


def left(results: Path, spec: RunSpec, result: RunResult) -> tuple[Any, ...]:
    """All that a run leaves behind but times."""
    assert result.status == "complete", result.reason
    curve = [{key: value for key, value in point.items() if key != "seconds"} for point in result.curve]
    findings = {key: value for key, value in result.diagnostics.items() if key != "decoding"}
    findings.get("sid", {}).pop("seconds", None)  # of tokenizing
    tables = [path.read_bytes() for path in sorted(ResultStore(results).folder(spec).glob("*.parquet"))]
    return tables, curve, findings, result.diagnostics.get("decoding"), result.best_epoch


def check(model: str, folder: Path, monkeypatch: pytest.MonkeyPatch, moments: tuple[int, ...]) -> None:
    spec = spec_of(model, "ml-100k")
    right = left(folder / "unbroken", spec, execute(spec, folder / "unbroken", "cpu", 1))
    for moment in moments:
        results = folder / str(moment)
        broken_off(spec, results, moment, monkeypatch)
        resumed = left(results, spec, AT_EVERY_STEP(spec, results))
        log = (ResultStore(results).folder(spec) / "log.txt").read_text()
        assert "goes on from a checkpoint" in log
        assert resumed == right, f"broken off after {moment} steps"
        assert not checkpoint_folder(results, spec).exists(), "removed at the end"


def test_a_resumed_training_gives_the_ranks_of_an_unbroken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check("sasrec-bce", tmp_path, monkeypatch, (2,))


@pytest.mark.slow
@pytest.mark.parametrize("model", COMMON_LOOP)
def test_every_model_of_the_common_loop_can_be_resumed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(model, tmp_path, monkeypatch, (1, 4) if model.startswith("sim") else (1, 4, 7))


@pytest.mark.slow
def test_both_trainings_of_a_model_with_a_first_stage_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"first_stage": "sasrec-ce", "first_stage_config": SMALL["sasrec-ce"], "candidates": 20}
    monkeypatch.setitem(SMALL, "sim", {**SMALL["sim"], **stage})
    check("sim", tmp_path, monkeypatch, (3, 13))


def test_a_kept_checkpoint_stays(tmp_path: Path) -> None:
    spec = spec_of("sasrec-ce", "ml-100k")
    execute(spec, tmp_path, "cpu", 1, Checkpointing(seconds=0, keep=True))
    kept = sorted(path.name.split("-")[0] for path in checkpoint_folder(tmp_path, spec).iterdir())
    assert kept == ["training", "training"]
