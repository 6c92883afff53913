"""What a run measures while it trains, line by line in a small file, for whoever follows it from another process."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.execution.heartbeat import heartbeat_path
from bench.json_text import parse_json
from bench.recommender import CurvePoint, FitContext
from bench.spec import RunSpec

_MOST_BYTES = 2**24
"""Of the file that are read at a time."""


@dataclass(frozen=True)
class LiveValues:
    """Values by name, when they were measured: optimiser steps so far, and Unix time (0: not known)."""

    step: int
    values: Mapping[str, float]
    time: float = 0.0


@dataclass(frozen=True)
class Listeners:
    """Who hears of a fit while it goes on.

    Attributes:
        progress: See `FitContext.report_progress`.
        measured: See `FitContext.measured`.
    """

    progress: Callable[[float, str], None] = lambda fraction, words: None
    measured: Callable[[int, Mapping[str, float]], None] = lambda step, values: None


class CurveListener:
    """Tells listeners of the points of a learning curve as soon as a fit reports progress after them."""

    def __init__(self, curve: list[CurvePoint], listeners: Listeners) -> None:
        self._curve, self._listeners, self._told = curve, listeners, 0

    @classmethod
    def of(cls, context: FitContext, listeners: Listeners) -> CurveListener:
        """Has a fit tell the listeners of its progress, and of what it measures."""
        listener = cls(context.curve, listeners)
        context.report_progress, context.measured = listener.progress, listeners.measured
        return listener

    def progress(self, fraction: float, words: str) -> None:
        """Passes progress on, and the points that are new."""
        self.catch_up()
        self._listeners.progress(fraction, words)

    def catch_up(self) -> None:
        """Tells of the points that are new."""
        for point in self._curve[self._told :]:
            if isinstance(point, CurvePoint):
                self._listeners.measured(point.step, curve_values(point.loss, point.validation))
        self._told = len(self._curve)


def curve_values(loss: float, validation: float) -> dict[str, float]:
    """A point of a learning curve by the names that tools for tracking experiments know it by."""
    return {"curve/loss": float(loss), "curve/validation": float(validation)}


def live_path(results_dir: Path, spec: RunSpec) -> Path:
    """Where a run writes what it measures; whoever follows it removes the file when the run has ended."""
    return heartbeat_path(results_dir, spec).with_suffix(".live")


class LiveWriter:
    """Writes what one run measures. A disk that is full right now is no reason to give a run up."""

    def __init__(self, results_dir: Path, spec: RunSpec, clock: Callable[[], float]) -> None:
        self._path, self._clock = live_path(results_dir, spec), clock
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        line = json.dumps({"step": int(step), "time": self._clock(), "values": finite})
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class LiveReader:
    """Reads on where it stopped the last time."""

    def __init__(self, results_dir: Path, spec: RunSpec) -> None:
        self._path, self._offset = live_path(results_dir, spec), 0

    def new(self) -> Iterator[LiveValues]:
        """The values since the last call; nothing where the file can't be read."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._offset:  # the run has begun anew
                    self._offset = 0
                file.seek(self._offset)
                text = file.read(_MOST_BYTES)
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]  # the last line may still be written
        self._offset += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                said = parse_json(line.decode("utf-8", errors="replace"))
                values = {str(name): float(value) for name, value in said["values"].items()}
                yield LiveValues(int(said["step"]), values, float(said["time"]))

    def remove(self) -> None:
        """Takes the file away."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
