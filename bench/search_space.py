"""What `bench tune` may try for a key of a model's configuration; a model declares it as `Recommender.search_space`.

search_space = {"dim": Choice(32, 64, 128), "dropout": Uniform(0.0, 0.6)}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Uniform:
    """A float between `low` and `high`, both included."""

    low: float
    high: float

    def including(self, value: float) -> Uniform:
        """Returns the same range, widened where it must be to hold `value`."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True)
class LogUniform:
    """A positive float between `low` and `high`, both included, whose logarithm is uniform."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low <= 0:
            raise ValueError(f"a logarithmic range holds positive values only, got {self.low}: use Uniform or Choice")

    def including(self, value: float) -> LogUniform:
        """Returns the same range, widened where it must be to hold `value`.

        Raises:
            ValueError: `value` is not positive.
        """
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True, init=False)
class Choice:
    """One of several JSON values, of which none is nearer to another; tuples count as the lists that they become."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        as_json = (list(option) if isinstance(option, tuple) else option for option in options)
        object.__setattr__(self, "options", tuple(as_json))

    def including(self, value: Any) -> Choice:
        """Returns the same options, and `value` where it is none of them."""
        return self if value in self.options else Choice(*self.options, value)


Dimension = Uniform | LogUniform | Choice
SearchSpace = Mapping[str, Dimension]
"""Dotted key of the configuration -> what may be tried for it."""
