"""When a trial is given up: the median stopping rule at a few rungs, the same for all rows.

A rung is a share of the trial, of its epochs or of its seconds, whichever is further: a long schedule is compared with
others at the same share of theirs, and nothing depends on how fast a model is. A trial that is below the median of the
earlier ones at a rung is given up; those that were given up later count there, too, so that about half of the trials
pass each rung, as in asynchronous successive halving with a factor of two (Li et al., MLSys 2020). The comparison is
the median stopping rule of Golovin et al. (KDD 2017, section 3.2.1), over the best validation so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.tuning.study import Study

RUNGS = (0.25, 0.5)
"""Shares of a trial after which it is compared with the earlier ones."""
LEAST_PEERS = 4
"""Earlier trials that have to have reached a rung before another one is given up there."""
_TOLERANCE = 1e-3
"""Of a share, which is rounded where it is kept."""


@dataclass(frozen=True)
class Pruner:
    """What a trial has to reach.

    Attributes:
        thresholds: At each of `RUNGS`, None where nothing is asked.
    """

    thresholds: tuple[float | None, ...]

    def gives_up(self, validations: Sequence[float], shares: Sequence[float]) -> bool:
        """Tells whether a trial falls short at the rungs that its last validation is the first one beyond.

        Args:
            validations: So far.
            shares: Of the trial that was over at each of them.
        """
        for rung, threshold in zip(RUNGS, self.thresholds, strict=True):
            newly = reached(rung, shares) and not reached(rung, shares[:-1])
            if newly and threshold is not None and max(validations) < threshold:
                return True
        return False


NEVER = Pruner((None,) * len(RUNGS))
"""Of the row as it is, which all others are measured by, and of confirmations."""


def pruner_for(study: Study) -> Pruner:
    """What the next trial has to reach, given those that have ended."""
    thresholds: list[float | None] = []
    for rung in RUNGS:
        peers = [
            best
            for trial in study.trials
            if trial.state != "failed"
            and (best := best_at(rung, trial.validations, trial.shares, trial.state == "complete")) is not None
        ]
        thresholds.append(median(peers) if len(peers) >= LEAST_PEERS else None)
    return Pruner(tuple(thresholds))


def reached(rung: float, shares: Sequence[float]) -> bool:
    """Tells whether a trial with validations at such shares has been judged at a rung."""
    return any(share >= rung - _TOLERANCE for share in shares)


def best_at(rung: float, validations: Sequence[float], shares: Sequence[float], complete: bool) -> float | None:
    """The best validation of a trial up to a rung: up to the first one beyond it.

    Returns:
        None where the trial was given up before; the best of all where it was complete before.

    >>> best_at(0.5, (0.1, 0.3, 0.2, 0.4), (0.2, 0.4, 0.6, 0.8), complete=True)
    0.3
    """
    beyond = next((place for place, share in enumerate(shares) if share >= rung - _TOLERANCE), None)
    if beyond is not None:
        return max(validations[: beyond + 1])
    return max(validations, default=None) if complete else None
