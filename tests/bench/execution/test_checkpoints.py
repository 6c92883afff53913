"""What a checkpoint gives back is what it was given; whatever is damaged or of other making is passed over."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.data.cache import ArtifactCache
from bench.execution import checkpoints
from bench.execution.checkpoints import RunCheckpoints
from bench.recommender import CurvePoint, FitContext

MADE_WITH = {"key": "k", "threads": 1}


def context_of(folder: Path) -> FitContext:
    return FitContext(seed=1, device="cpu", cache=ArtifactCache(folder), validate=lambda _: 0.0)


def state() -> dict[str, Any]:
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    (parameter,) = optimiser.param_groups[0]["params"]
    parameter.sum().backward()
    optimiser.step()
    rows = torch.arange(6.0).reshape(2, 3)
    return {
        "optimiser": optimiser.state_dict(),
        "rng": np.random.default_rng(5).bit_generator.state,
        "legacy": np.random.RandomState(5).get_state()[1],
        "torch": torch.get_rng_state(),
        "twice": [rows, rows.T],
        "best": -float("inf"),
        "position": (3, 17),
        "nothing": None,
        "bits": np.array([[True, False]]),
    }


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor | np.ndarray):
        return first.dtype == second.dtype and first.shape == second.shape and bool((first == second).all())
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def saved(folder: Path) -> None:
    """A checkpoint of the second training of a run, which has been saved twice."""
    context = context_of(folder)
    run = RunCheckpoints(folder / "run", 60, MADE_WITH)
    context.curve.append(CurvePoint(1, 10, 0.5, 0.25, 3.0))
    context.diagnostics["levels"] = [{"used": np.int64(3)}]
    run(context)
    training = run(context)
    training.save({"step": 1})
    run.go_on_from(100.0)
    training.save(state())


def test_a_state_comes_back_as_it_was_with_curve_diagnostics_and_time(tmp_path: Path) -> None:
    saved(tmp_path)
    context = context_of(tmp_path)
    context.curve.append(CurvePoint(9, 9, 9, 9, 9))
    run = RunCheckpoints(tmp_path / "run", 60, MADE_WITH)
    assert run(context).load() is None, "the first training had no checkpoint"
    noted = context.diagnostics.setdefault("levels", [])
    assert same(run(context).load(), state())
    assert context.curve == [CurvePoint(1, 10, 0.5, 0.25, 3.0)]
    assert context.diagnostics == {"levels": [{"used": 3}]}
    assert context.diagnostics["levels"] is noted, "whoever fills it goes on"
    assert run.elapsed() == pytest.approx(100, abs=50)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["training-2-2.safetensors", "training-2.json"]


@pytest.mark.parametrize("file", ["training-2.json", "training-2-2.safetensors"])
@pytest.mark.parametrize("damage", ["bit", "truncated", "gone"])
def test_a_damaged_checkpoint_is_passed_over(file: str, damage: str, tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "run" / file
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "bit" else content[: len(content) // 2])
    if damage == "gone":
        path.unlink()
    run = RunCheckpoints(tmp_path / "run", 60, MADE_WITH)
    run(context_of(tmp_path))
    assert run(context_of(tmp_path)).load() is None
    assert run.elapsed() < 50


def test_a_checkpoint_of_other_making_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path)
    run = RunCheckpoints(tmp_path / "run", 60, {**MADE_WITH, "threads": 2})
    run(context_of(tmp_path))
    assert run(context_of(tmp_path)).load() is None
    assert "was made with other versions, threads or code: begun anew" in capsys.readouterr().out


def test_a_checkpoint_is_due_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.perf_counter()]
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: now[0])
    training = RunCheckpoints(tmp_path, 60, MADE_WITH)(context_of(tmp_path))
    assert not training.due()
    now[0] += 61
    assert training.due()
    training.save({})
    assert not training.due()


def test_what_can_not_be_kept_ends_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = RunCheckpoints(tmp_path / "run", 0, MADE_WITH)(context_of(tmp_path))
    training.save({"model": object()})
    assert capsys.readouterr().out == "no checkpoint could be saved (TypeError: a object can't be kept)\n"
    assert not training.due()
    (tmp_path / "file").touch()
    full = RunCheckpoints(tmp_path / "file", 0, MADE_WITH)(context_of(tmp_path))
    full.save({"step": 1})
    assert "no checkpoint could be saved (" in capsys.readouterr().out
    assert full.due(), "there may be room later"
