"""What a grid will take, in words, before any of it is made: time and memory as ranges, and how sure they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import psutil

from bench.execution.costs import Basis, Costs, Estimate, Means
from bench.execution.forecast import Row, row_of
from bench.execution.scheduler import Backend, Workers
from bench.spec import RunResult, RunSpec

_START_SECONDS, _REPORT_SECONDS = 8.0, 6.0
"""Until worker processes have imported what they need; of the last report, for each data set."""

_SHARED = 0.6
"""Share of the squared error of estimates (of logarithms of seconds) that rows have in common.

Measured by leaving out what was predicted: 16 trained rows on two data sets, each estimated from other runs of its
model on one machine, erred by 0.4 to 0.6 on the average of a data set, and by 0.35 to 0.5 around that.
"""

_HOW_SURE: Mapping[Basis, str] = {
    "same": "measured in earlier runs of the same rows here",
    "model": "scaled from other runs of the same models here",
    "reference": "scaled from the project's reference machine by a calibration of this one",
    "nothing": "guessed, since no run of the model was ever measured on such a device",
}
"""By what an estimate is based on, from the surest to the least sure."""


@dataclass(frozen=True)
class Outlook:
    """What some runs are expected to cost.

    Attributes:
        todo: The runs.
        costs: Of a run of each row, as far as its data can be read.
        jobs: Runs at a time.
    """

    todo: Sequence[RunSpec]
    costs: Mapping[Row, Estimate]
    jobs: int

    @classmethod
    def on(cls, backend: Backend, todo: Sequence[RunSpec], known: Sequence[RunResult]) -> Outlook | None:
        """Estimates runs; None for a backend of other machines, whose speed nobody has measured."""
        if not isinstance(backend, Workers):
            return None
        return cls.by(Costs(Means(backend.device, backend.jobs, backend.threads), known), todo, backend.jobs)

    @classmethod
    def by(cls, costs: Costs, todo: Sequence[RunSpec], jobs: int) -> Outlook:
        """Estimates one run of each row."""
        rows = {row_of(spec): spec for spec in todo if spec.data_hash}  # the others are skipped
        estimates = {row: costs.of(spec) for row, spec in rows.items()}
        return cls(todo, {row: one for row, one in estimates.items() if one is not None}, jobs)

    @property
    def seconds(self) -> tuple[float, float]:
        """From when to when all of it will have ended, in seconds from now, reports included."""
        runs = Counter(row for spec in self.todo if (row := row_of(spec)) in self.costs)
        jobs, factor = max(1, min(self.jobs, sum(runs.values()))), self._factor(runs)
        each = [(count, self.costs[row]) for row, count in runs.items()]
        middle = sum(count * one.seconds for count, one in each)
        # No more than if every row were at its best, or at its worst.
        earliest = max(middle / factor, sum(count * one.seconds / one.factor for count, one in each))
        latest = min(middle * factor, sum(count * one.seconds * one.factor for count, one in each))
        low = max([earliest / jobs, *(one.seconds / one.factor for _, one in each)])
        high = max([latest / jobs, *(one.seconds * one.factor for _, one in each)])
        beside = _START_SECONDS + _REPORT_SECONDS * len({spec.dataset.label for spec in self.todo})
        return low + beside / 2, high + beside

    def _factor(self, runs: Mapping[Row, int]) -> float:
        """How far the time of all runs together may be from the sum of their estimates.

        An estimate errs for two reasons. One concerns its row alone, so that such errors average out over rows, though
        not over the seeds of one. The other it has in common with rows that were estimated likewise, and these err
        together: how a data set differs from the one that was scaled, a machine from another, what else it does.
        """
        own = 0.0
        common: dict[tuple[str, str], float] = {}
        for row, count in runs.items():
            cost = self.costs[row]
            error = count * cost.seconds * math.log(cost.factor)
            own += (1 - _SHARED) * error**2
            # Of two data sets, each is unlike what was measured in its own way; a machine is the same for all.
            source = (cost.basis, row[0] if cost.basis == "model" else "")
            common[source] = common.get(source, 0.0) + error
        together = sum(count * self.costs[row].seconds for row, count in runs.items())
        error = math.sqrt(own + _SHARED * sum(one**2 for one in common.values()))
        return math.exp(error / together) if together else 1.0

    @property
    def gib(self) -> float:
        """The most memory that as many runs as there are at a time may take together."""
        most = sorted(self.costs[row].memory_mib for spec in self.todo if (row := row_of(spec)) in self.costs)
        return sum(most[-self.jobs :]) / 1024

    def lines(self) -> Iterator[str]:
        """Time, what it is based on, and memory beside what there is."""
        yield f"estimate for this machine: {spoken_range(*self.seconds)}, {self.sureness}"
        available = psutil.virtual_memory().available / 2**30
        beyond = "" if self.gib < available else ": fewer at a time (--jobs) take less"
        yield f"memory: up to about {_rounded(self.gib):g} GiB of {_rounded(available):g} GiB available{beyond}"

    @property
    def sureness(self) -> str:
        """What the estimates of how many rows are based on."""
        counts = Counter(estimate.basis for estimate in self.costs.values())
        parts = [(counts[basis], words) for basis, words in _HOW_SURE.items() if counts[basis]]
        if len(parts) == 1:
            return parts[0][1]
        rows = [f"{count} {'row' if count == 1 else 'rows'} {words}" for count, words in parts]
        return "; ".join(rows) or "no row of it can be run here"


def early_first(todo: Sequence[RunSpec], costs: Mapping[Row, Estimate]) -> list[RunSpec]:
    """Brings runs into the order in which a first report is worth reading soonest, and all have ended soonest.

    The first seed of every row comes before any second one, and among these the rows of every data set that cost no
    more than the mean come first, from cheap to dear. All others, and all of a later seed, come from dear to cheap, so
    that at the end no processor waits for the last long run of another.
    """
    seeds = list(dict.fromkeys(spec.seed for spec in todo))

    def seconds(spec: RunSpec) -> float:
        cost = costs.get(row_of(spec))
        return cost.seconds if cost is not None else 0.0

    mean = fmean(map(seconds, todo)) if todo else 0.0

    def place(spec: RunSpec) -> tuple[int, bool, float]:
        turn, cost = seeds.index(spec.seed), seconds(spec)
        is_early = turn == 0 and cost <= mean
        return turn, not is_early, cost if is_early else -cost

    return sorted(todo, key=place)


def spoken_range(low: float, high: float) -> str:
    """Writes a range of seconds, with no more digits than it deserves.

    >>> spoken_range(50, 130), spoken_range(300, 1250), spoken_range(4000, 9000), spoken_range(2, 15)
    ('1 to 2 minutes', '5 to 21 minutes', '1.1 to 2.5 hours', 'less than a minute')
    >>> spoken_range(100, 110), spoken_range(1800, 9000)
    ('about 2 minutes', '30 minutes to 2.5 hours')
    """
    if high < 45:
        return "less than a minute"
    first, second = _spoken(low), _spoken(high)
    if first == second:
        return f"about {' '.join(first)}"
    if first[1].rstrip("s") == second[1].rstrip("s"):
        return f"{first[0]} to {' '.join(second)}"
    return f"{' '.join(first)} to {' '.join(second)}"


def _spoken(seconds: float) -> tuple[str, str]:
    """A number and its unit."""
    if seconds < 3600:
        count = max(1, round(_rounded(seconds / 60)))
        return str(count), "minute" if count == 1 else "minutes"
    hours = _rounded(seconds / 3600)
    return f"{hours:g}", "hour" if hours == 1 else "hours"


def _rounded(value: float) -> float:
    """Two digits, whatever the size."""
    if value <= 0:
        return 0.0
    return round(value, 1 - math.floor(math.log10(value)))
