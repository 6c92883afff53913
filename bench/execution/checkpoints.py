"""The state of a training, kept every few minutes, so that a run which was broken off goes on from there.

`RESULTS/runs/.checkpoints/KEY/` holds two files for each training of a run: tensors and arrays in
`TRAINING-N.safetensors`, all else in `TRAINING.json`, which names the SHA-256 of the first and of its own content, and
what the run was made with. Whatever is damaged, or was made with other versions, threads or code, is passed over: then
the training begins anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import reason_of
from bench.execution.packing import Packer, Unpacker
from bench.files import replaced
from bench.recommender import Checkpoint, CurvePoint, FitContext, NoCheckpoint
from bench.spec import RunSpec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Checkpointing:
    """How often the state of a training is kept, and for how long.

    Attributes:
        seconds: Between two checkpoints.
        keep: Whether the last one stays when the run has ended.
    """

    seconds: float = 180.0
    keep: bool = False


DEFAULT_CHECKPOINTING = Checkpointing()


def checkpoint_folder(results_dir: Path, spec: RunSpec) -> Path:
    return results_dir / "runs" / ".checkpoints" / spec.key


def remove_checkpoints(results_dir: Path, spec: RunSpec) -> None:
    """Has a run begin anew."""
    shutil.rmtree(checkpoint_folder(results_dir, spec), ignore_errors=True)


class RunCheckpoints:
    """The checkpoints of one run; call it once for each training (`FitContext.new_checkpoint`).

    Args:
        folder: Where they are kept.
        seconds: Between two checkpoints.
        made_with: Whatever a run that goes on must have in common with the one that was broken off.
    """

    def __init__(self, folder: Path, seconds: float, made_with: Mapping[str, Any]) -> None:
        self.folder, self.seconds, self.made_with = folder, seconds, dict(made_with)
        self._started = self.last = time.perf_counter()
        self._before = 0.0
        self._trainings = 0

    def __call__(self, context: FitContext) -> Checkpoint:
        self._trainings += 1
        return FileCheckpoint(self, f"training-{self._trainings}", context)

    def elapsed(self) -> float:
        """Seconds of training so far, those of the parts that were broken off included."""
        return self._before + time.perf_counter() - self._started

    def go_on_from(self, elapsed: float) -> None:
        """Counts on from the time at which a checkpoint was saved."""
        self._started, self._before = time.perf_counter(), elapsed


class NoCheckpoints(RunCheckpoints):
    """Keeps nothing, and tells the time."""

    def __init__(self, made_with: Mapping[str, Any]) -> None:
        super().__init__(Path(), math.inf, made_with)

    def __call__(self, context: FitContext) -> Checkpoint:
        return NoCheckpoint(context)


class FileCheckpoint:
    """The state of one training; see `bench.recommender.Checkpoint`."""

    def __init__(self, run: RunCheckpoints, name: str, context: FitContext) -> None:
        self._run, self._name, self._context = run, name, context
        self._saved = 0
        self._given_up = False

    @property
    def _file(self) -> Path:
        return self._run.folder / f"{self._name}.json"

    def load(self) -> dict[str, Any] | None:
        run = self._run
        try:
            content = _verified(self._file.read_text(encoding="utf-8"))
            if content["made_with"] != run.made_with:
                print(f"checkpoint {self._file.name} was made with other versions, threads or code: begun anew")
                return None
            stored = (run.folder / content["tensors"]).read_bytes()
            if hashlib.sha256(stored).hexdigest() != content["sha256"]:
                raise ValueError("its tensors have changed")
            loaded = Unpacker(_tensors_of(stored)).unpack(content["content"])
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged file leads to
            print(f"checkpoint {self._file.name} can't be read ({reason_of(error)}): begun anew")
            return None
        self._saved = int(content["number"])
        self._context.curve[:] = [CurvePoint(**point) for point in loaded["curve"]]
        _refill(self._context.diagnostics, loaded["diagnostics"])
        run.go_on_from(content["seconds"])
        print(f"goes on from a checkpoint after {content['seconds']:.0f} s of training")
        return dict(loaded["state"])

    def due(self) -> bool:
        return time.perf_counter() - self._run.last >= self._run.seconds and not self._given_up

    def save(self, state: Mapping[str, Any]) -> None:
        try:
            self._save(state)
        except (OSError, TypeError) as error:  # a full disk, or something that no file can hold
            print(f"no checkpoint could be saved ({reason_of(error)})")
            self._given_up = isinstance(error, TypeError)
        self._run.last = time.perf_counter()

    def _save(self, state: Mapping[str, Any]) -> None:
        from safetensors.torch import save

        run, number = self._run, self._saved + 1
        packer = Packer()
        packed = packer.pack(
            {
                "state": state,
                "curve": [asdict(point) for point in self._context.curve],
                "diagnostics": self._context.diagnostics,
            }
        )
        stored = save(packer.tensors)
        name = f"{self._name}-{number}.safetensors"
        with replaced(run.folder / name) as temporary:
            temporary.write_bytes(stored)
        content = {
            "made_with": run.made_with,
            "seconds": run.elapsed(),
            "number": number,
            "tensors": name,
            "sha256": hashlib.sha256(stored).hexdigest(),
            "content": packed,
        }
        with replaced(self._file) as temporary:
            temporary.write_text(json.dumps({**content, "digest": _digest(content)}), encoding="utf-8")
        self._saved = number
        for old in run.folder.glob(f"{self._name}-*.safetensors"):
            if old.name != name:
                with contextlib.suppress(OSError):
                    old.unlink()


def _refill(findings: dict[str, Any], loaded: Mapping[str, Any]) -> None:
    """Sets findings to what they were, in place: a model goes on filling the very lists and mappings."""
    for key, value in loaded.items():
        current = findings.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            _refill(current, value)
        elif isinstance(current, list) and isinstance(value, list):
            current[:] = value
        else:
            findings[key] = value


def _verified(text: str) -> dict[str, Any]:
    """The content of a checkpoint's JSON.

    Raises:
        ValueError: It is not what was written.
    """
    content: dict[str, Any] = json.loads(text)
    if content.pop("digest") != _digest(content):
        raise ValueError("it has changed since it was written")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _tensors_of(stored: bytes) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return dict(load(stored))
