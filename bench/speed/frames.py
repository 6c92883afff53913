"""From stored measurements to one frame: medians and spread, the floor of the machine, and the share reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from bench.speed.columns import ANSWER, PREPARATION, SCHEMA, SPEED, STEP
from bench.speed.machine import Floor, Machine
from bench.speed.measure import spread


def speed_frame(points: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """All measurements as a frame with the columns `SPEED`, ordered by row, what is measured, and sizes."""
    frame = SPEED.frame(row for point in points for row in _rows(point))
    order = ["device", "hardware", "measure", "row", "length", "items", "events", "devices", "beam", "queries"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _rows(point: dict[str, Any]) -> Iterator[list[object]]:
    task, found, machine = point["task"], point["found"], Machine(**point["machine"])
    before = [SCHEMA, task["row"], task["model"]]
    place = [machine.device, machine.hardware, machine.threads]
    sizes = [task["setting"][name] for name in ("length", "items", "events")]
    sizes.append(task["setting"].get("devices", 1))
    sizes.append(np.nan if task["setting"]["beam"] is None else task["setting"]["beam"])
    after = [point["status"], point["reason"], machine.commit]
    if found is None:
        yield [*before, STEP, *place, *sizes, np.nan, *_times(None, None, None), np.nan, np.nan, *_floor(), *after]
        return
    parameters = found["parameters"]
    memory = found["training_mib"]
    times = _times(found["preparation"], None, memory)
    yield [*before, PREPARATION, *place, *sizes, np.nan, *times, parameters, np.nan, *_floor(), *after]
    if found["step"]:
        floor = machine.floor_of_step(found["step_flops"], parameters)
        times = _times(found["step"], None, memory)
        known = _floor(floor, found["step"], found["step_flops"])
        yield [*before, STEP, *place, *sizes, np.nan, *times, parameters, _giga(found["step_flops"]), *known, *after]
    for queries, answer in found["answers"].items():
        floor = machine.floor_of_answer(answer["flops"], parameters)
        times = _times(answer["seconds"], int(queries), answer["mib"])
        known = _floor(floor, answer["seconds"], answer["flops"])
        what = [*before, ANSWER, *place, *sizes, int(queries)]
        yield [*what, *times, parameters, _giga(answer["flops"]), *known, *after]


def _times(seconds: list[float] | None, queries: int | None, memory: float | None) -> list[object]:
    """The cells from `repeats` to `peak_memory_mib`."""
    if seconds is None:
        return [np.nan] * 6
    middle, low, high = (1e3 * value for value in spread(seconds))
    rate = np.nan if queries is None else 1e3 * queries / middle
    return [len(seconds), middle, low, high, rate, memory]


def _floor(floor: Floor | None = None, seconds: list[float] | None = None, flops: float | None = None) -> list[object]:
    """The cells `floor_ms`, `bound` and `share`; blank where nothing could be counted."""
    if floor is None or seconds is None or flops is None:
        return [np.nan, "", np.nan]
    return [1e3 * floor.seconds, floor.bound, floor.seconds / spread(seconds)[0]]


def _giga(flops: float | None) -> float:
    return np.nan if flops is None else flops / 1e9
