"""What `bench tune` may try for a key of a model's configuration; a model declares it as `Recommender.search_space`.

search_space = {"temperature": LogUniform(0.02, 0.2), "bias": Choice("none", "both")}

What most models have, such as a width or a learning rate, stands in `USUAL`: all are searched in the same ranges.
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


@dataclass(frozen=True, init=False)
class Multiple:
    """A whole number: the row's own one, times one of `factors`. For what is a matter of scale, such as epochs."""

    factors: tuple[float, ...]

    def __init__(self, *factors: float) -> None:
        object.__setattr__(self, "factors", factors)

    def including(self, value: int) -> Choice:
        """Returns the multiples of the row's own value, which is one of them, rounded and at least 1.

        >>> Multiple(0.5, 1, 2).including(9)
        Choice(options=(4, 9, 18))
        """
        return Choice(*sorted({max(1, round(factor * value)) for factor in (*self.factors, 1)}))


Dimension = Uniform | LogUniform | Choice | Multiple
SearchSpace = Mapping[str, Dimension]
"""Dotted key of the configuration -> what may be tried for it."""

_WIDTHS, _DEPTHS, _WINDOWS = Choice(64, 128, 256), Choice(1, 2, 4), Choice(50, 100, 200, 500, 1000)
_DROPOUTS, _RATES, _DECAYS = Uniform(0.0, 0.6), LogUniform(3e-4, 1e-2), Choice(0.0, 0.01, 0.1)

USUAL: SearchSpace = {
    **dict.fromkeys(("training.learning_rate", "learning_rate"), _RATES),
    **dict.fromkeys(("training.weight_decay", "weight_decay"), _DECAYS),
    "training.average": Choice(0.0, 0.99, 0.999),
    "training.epochs": Multiple(0.5, 1, 2),
    **dict.fromkeys(("dropout", "dropout_prob", "network.dropout"), _DROPOUTS),
    **dict.fromkeys(("dim", "hidden_size", "network.dim"), _WIDTHS),
    **dict.fromkeys(("blocks", "num_layers", "network.encoder_layers", "network.decoder_layers"), _DEPTHS),
    **dict.fromkeys(("length", "short_term"), _WINDOWS),
}
"""What is searched without a model's saying so, as far as its configuration has these keys: the same for all of them.
A model narrows a range only where it can't compute more."""
