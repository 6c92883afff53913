"""How long a grid still takes: by the speed of its runs so far, each run weighed by what it is expected to cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.execution.costs import Estimate
from bench.execution.heartbeat import Heartbeat
from bench.spec import RunResult, RunSpec

Row: TypeAlias = tuple[str, str]
"""Data set and label: what tells how long a run takes."""

Beats = Sequence[tuple[RunSpec, "Heartbeat | None"]]
"""Runs under way, and what they last told of themselves."""


_OF_ESTIMATES = 0.7
"""How many runs' word the estimates are worth: (0.43 / 0.5)^2, by how far rows lie from the average of their data set,
and that average from its estimate, in logarithms of seconds (measured, see `bench.execution.outlook`)."""


def row_of(spec: RunSpec) -> Row:
    return spec.dataset.label, spec.label


@dataclass(frozen=True)
class _Durations:
    """How long so many runs took together."""

    runs: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> _Durations:
        return cls(len(seconds), sum(seconds))

    def __add__(self, other: _Durations) -> _Durations:
        return _Durations(self.runs + other.runs, self.seconds + other.seconds)


@dataclass(frozen=True)
class _Told:
    """How long a run took, or will have taken by its speed so far.

    Attributes:
        row: Its row.
        seconds: From its start to its end.
        weight: How much of it has been seen, 0 .. 1.
    """

    row: Row
    seconds: float
    weight: float


class Forecast:
    """Expects how long the runs of a grid still take, and says nothing while that would be a guess.

    A run is expected to take as long as others of its row; else as long as it was estimated to, times the ratio at
    which the runs so far stood to their estimates. Of runs that train, that ratio is known only once one of them has
    told how far it is: runs that count take seconds and tell nothing of it. A run that has ended counts whole there,
    one under way as far as it is, since its beginning holds what is made once; the estimates keep some weight, too.

    Args:
        todo: The runs that will be made.
        jobs: Runs at a time.
        known: Earlier results, whose durations tell how long runs of the same row take.
        costs: What a run of each row was estimated to cost; rows without an estimate take no time. None: nothing was
            estimated, and a run of an unknown row takes as long as runs do on average.
        seconds_per_run: What ends a run if nothing else does. None: nothing does.
    """

    def __init__(
        self,
        todo: Sequence[RunSpec],
        jobs: int,
        known: Sequence[RunResult] = (),
        costs: Mapping[Row, Estimate] | None = None,
        seconds_per_run: float | None = None,
    ) -> None:
        self._jobs, self._costs = jobs, costs
        self._limit = math.inf if seconds_per_run is None else seconds_per_run
        self._todo = {spec.key for spec in todo}
        self.total = len(self._todo)
        self._waiting = Counter(map(row_of, todo))
        self._ended: dict[Row, _Durations] = {}
        self._all_ended = _Durations()
        for result in known:
            self._learn(result)

    @property
    def done(self) -> int:
        """Runs that have ended."""
        return self.total - len(self._todo)

    def finished(self, result: RunResult) -> None:
        """Takes a run off the list, and learns from how long it took."""
        if result.spec.key in self._todo:
            self._todo.remove(result.spec.key)
            self._waiting[row_of(result.spec)] -= 1
        self._learn(result)

    def remaining(self, beats: Beats) -> float | None:
        """Seconds until all runs have ended, None while nothing is known."""
        seen = _seen(beats)
        lefts = [(1, self._left(row_of(spec), beat, seen)) for spec, beat in beats]
        waiting = self._waiting - Counter(row_of(spec) for spec, _ in beats)
        # Runs of one row, however many, are expected to take equally long.
        lefts += [(runs, self._left(row, None, seen)) for row, runs in waiting.items()]
        known = [(runs, left) for runs, left in lefts if left is not None]
        if len(known) < len(lefts):
            return None
        longest = max((left for _, left in known), default=0.0)
        return max(longest, sum(runs * left for runs, left in known) / self._jobs)

    def remaining_of(self, spec: RunSpec, beat: Heartbeat | None) -> float | None:
        """Seconds until one run under way ends, None while nothing is known."""
        return self._left(row_of(spec), beat, [])

    def _left(self, row: Row, beat: Heartbeat | None, seen: Sequence[_Told]) -> float | None:
        """Seconds until one run ends: what it still needs, or what its limit leaves it; None while neither is known."""
        needed = self._needed(row, beat, seen)
        most = max(0.0, self._limit - (beat.elapsed if beat else 0.0))
        left = most if needed is None else min(needed, most)
        return None if math.isinf(left) else left

    def _needed(self, row: Row, beat: Heartbeat | None, seen: Sequence[_Told]) -> float | None:
        """Seconds that one run still needs: by its own speed, else by that of the row's other runs, else by any."""
        if beat and beat.remaining is not None:
            return beat.remaining
        elapsed = beat.elapsed if beat else 0.0
        same = self._ended.get(row) or _Durations.of([one.seconds for one in seen if one.row == row])
        if same.runs:
            return max(0.0, same.seconds / same.runs - elapsed)
        if self._costs is not None:
            expected = self._expected(row, seen)
            return None if expected is None else max(0.0, expected - elapsed)
        pool = self._all_ended + _Durations.of([one.seconds for one in seen])
        return max(0.0, pool.seconds / pool.runs - elapsed) if pool.runs else None

    def _expected(self, row: Row, seen: Sequence[_Told]) -> float | None:
        """What a run of a row takes by its estimate, and by how right the estimates of its kind were so far."""
        costs = self._costs or {}
        if row not in costs:
            return 0.0
        estimate = costs[row]
        told = [_Told(other, one.seconds / one.runs, 1.0) for other, one in self._ended.items()] + list(seen)
        alike = [one for one in told if one.row in costs and costs[one.row].trains == estimate.trains]
        if estimate.trains and not alike:
            return None
        logs = [one.weight * math.log(max(one.seconds, 1e-3) / max(costs[one.row].seconds, 1e-3)) for one in alike]
        return estimate.seconds * math.exp(sum(logs) / (_OF_ESTIMATES + sum(one.weight for one in alike)))

    def _learn(self, result: RunResult) -> None:
        if result.status == "complete":
            row, one = row_of(result.spec), _Durations.of([result.fit_seconds + result.recommend_seconds])
            self._ended[row] = self._ended.get(row, _Durations()) + one
            self._all_ended = self._all_ended + one


def _seen(beats: Beats) -> list[_Told]:
    """How long the runs under way will have taken, of those that have told how far they are."""
    told = [(row_of(spec), beat) for spec, beat in beats if beat]
    return [_Told(row, beat.elapsed + beat.remaining, beat.fraction) for row, beat in told if beat.remaining]
