"""What runs will cost: minutes and memory, as ranges, by what earlier runs took, here and on the reference machine.

A run takes as long as others of its row on the same data did; else as one of its model did whose work is nearest,
scaled by events, epochs, items, the size of the network and threads; else as models do on average. The further that is
from what was measured, the wider the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from bench.data import catalog
from bench.errors import BenchError, SkippedRun
from bench.execution import timings
from bench.execution.calibration import slowness
from bench.execution.timings import Timing, Work
from bench.spec import DatasetSpec, RunResult, RunSpec

Basis = Literal["same", "model", "reference", "nothing"]
"""What an estimate is based on: runs of the same row on the same data here, other runs of the model here, the reference
machine's (those of its processor scaled by a calibration of this one), or an average over models."""

_FACTOR: Mapping[Basis, float] = {"same": 1.3, "model": 1.7, "reference": 2.0, "nothing": 4.0}
_ANOTHER_GPU = 2.0
"""How much more uncertain the reference is for a GPU: nothing calibrates one."""
_WIDEST = 5.0
_GPU_GAIN, _GPU_FACTOR = 8.0, 4.0
"""How many times as fast a GPU may be as one thread, where no run of the model was made on it, and how uncertain."""

_TRAINED_SECONDS, _COUNTED_SECONDS, _ANSWER_SECONDS = 6e-5, 1e-6, 6e-4
"""Of an event in an epoch, of an event that is counted, and of a query, of a model of which nothing is known, on the
reference machine."""

_PROCESS_MIB, _EVENT_MIB = 450.0, 60 / 2**20
"""What a worker process takes before it has any data, and what it takes more for an event."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one run.

    Attributes:
        seconds: The middle of the range.
        factor: The range goes from `seconds / factor` to `seconds * factor`.
        basis: How it is known.
        memory_mib: Peak memory of its process.
        trains: Whether the model is trained in epochs.
    """

    seconds: float
    factor: float
    basis: Basis
    memory_mib: float
    trains: bool


@dataclass(frozen=True)
class Means:
    """What runs are made with: "cpu" or "cuda", how many at a time, and threads of each."""

    device: str
    jobs: int
    threads: int


class Costs:
    """Estimates runs.

    Args:
        means: What they are made with.
        known: Earlier results of the same folder, beside those that the user's cache folder keeps.

    Attributes:
        sizes: Users, items and events of a data set, None where it can't be read.
    """

    def __init__(self, means: Means, known: Sequence[RunResult] = ()) -> None:
        self._means = means
        here = [timing for result in known if (timing := Timing.of(result)) is not None]
        self._by_model: dict[str, list[Timing]] = {}
        for timing in [*here, *timings.kept(), *timings.reference()]:
            self._by_model.setdefault(timing.work.model, []).append(timing)
        self._slowness = cache(slowness)
        self.sizes: Callable[[DatasetSpec], tuple[int, int, int] | None] = cache(_sizes)

    def of(self, spec: RunSpec, users: int | None = None) -> Estimate | None:
        """The cost of a run; None where its data can't be read, so that it won't be made.

        Args:
            spec: The run.
            users: Of whom a sample would be taken; None: the data as they are.
        """
        sizes = self.sizes(spec.dataset)
        if sizes is None:
            return None
        n_users, n_items, n_events = sizes
        if users is not None and users < n_users:
            n_events, n_users = math.ceil(n_events * users / n_users), users
            # As many items as turn up in so many draws from all of them; from a skewed choice come fewer.
            n_items = math.ceil(n_items * -math.expm1(-n_events / n_items))
        return self.of_work(Work.of(spec, n_users, n_items, n_events))

    def of_work(self, work: Work) -> Estimate:
        """The cost of work on data of some size."""
        usable = [one for one in self._by_model.get(work.model, []) if one.device == self._means.device]
        same = [one for one in usable if one.here and (one.work.config, one.work.data) == (work.config, work.data)]
        if same:
            seconds = [self._on_threads(one.fit_seconds + one.recommend_seconds, one, work) for one in same]
            memory = max(one.memory_mib for one in same)
            return Estimate(sum(seconds) / len(same), _FACTOR["same"], "same", memory, work.epochs is not None)
        if usable:
            return self._scaled(min(usable, key=lambda one: _distance(one, work)), work)
        of_cpu = self._by_model.get(work.model, []) if self._means.device != "cpu" else []
        if of_cpu:
            nearest = self._scaled(min(of_cpu, key=lambda one: _distance(one, work)), work)
            return replace(nearest, seconds=nearest.seconds / _GPU_GAIN, factor=_GPU_FACTOR, basis="nothing")
        return self._average(work)

    def _scaled(self, timing: Timing, work: Work) -> Estimate:
        done = timing.work
        growth = _growth(timing, work)
        answers = work.users / done.users * (work.items / done.items) ** 0.5
        seconds = self._on_threads(timing.fit_seconds * growth + timing.recommend_seconds * answers, timing, work)
        basis: Basis = "model" if timing.here else "reference"
        factor = _FACTOR[basis] * (1 + 0.15 * _distance(timing, work))
        if not timing.here and timing.device == "cpu":
            seconds *= self._slowness()
        elif not timing.here:
            factor *= _ANOTHER_GPU
        factor = min(_WIDEST, factor)
        more = (work.events - done.events) * _EVENT_MIB
        return Estimate(seconds, factor, basis, max(_PROCESS_MIB, timing.memory_mib + more), work.epochs is not None)

    def _on_threads(self, seconds: float, timing: Timing, work: Work) -> float:
        """A network gains from more threads, though not all that they are; counting uses one."""
        if work.epochs is None or self._means.device != "cpu":
            return seconds
        return seconds * math.sqrt(max(1, timing.threads) / max(1, self._means.threads))

    def _average(self, work: Work) -> Estimate:
        trained = _COUNTED_SECONDS if work.epochs is None else _TRAINED_SECONDS * work.epochs
        gain = _GPU_GAIN if self._means.device != "cpu" else 1.0
        seconds = (trained * work.events + _ANSWER_SECONDS * work.users) * self._slowness() / gain
        memory = _PROCESS_MIB + work.events * _EVENT_MIB
        return Estimate(seconds, _FACTOR["nothing"], "nothing", memory, work.epochs is not None)


def _growth(timing: Timing, work: Work) -> float:
    """How many times as much training there is as in an earlier run of the model."""
    done = timing.work
    if work.epochs is None or done.epochs is None:
        return (work.events / done.events) * (work.epochs or 1.0) / (done.epochs or 1.0)
    stopped = 1.0 if timing.epochs is None else min(1.0, timing.epochs / _plain(done.epochs))
    # Early stopping comes the later, the fewer epochs there are.
    expected = work.epochs if work.epochs < done.epochs else work.epochs * stopped
    passes = work.events * expected / (done.events * done.epochs * stopped)
    return passes * (work.size / done.size) * (work.items / done.items) ** 0.4


def _plain(epochs: float) -> float:
    return max(epochs, 1.0)


def _distance(timing: Timing, work: Work) -> float:
    """How far work is from what was measured: in logarithms, so that twice and half are equally far."""
    done = timing.work
    pairs = (
        (work.events * (work.epochs or 1.0), done.events * (done.epochs or 1.0)),
        (work.items, done.items),
        (work.size**2, done.size**2),  # the least certain of all scales
    )
    apart = sum(abs(math.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs)
    return apart + (0.0 if timing.here else 0.5) + (0.0 if (work.epochs is None) == (done.epochs is None) else 3.0)


def _sizes(dataset: DatasetSpec) -> tuple[int, int, int] | None:
    """Users, items and events of a data set."""
    try:
        events = catalog.load_dataset(dataset.name, dataset.files, dataset.sample_users).interactions
    except (BenchError, SkippedRun):
        return None
    return events.n_users, events.n_items, events.n_events
