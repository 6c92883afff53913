"""The search space of a row: what its model declares, and the usual keys that its configuration has."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from bench.config_errors import key_paths
from bench.errors import BenchError, unknown_name
from bench.recommender import Recommender
from bench.search_space import Choice, LogUniform, SearchSpace, Uniform
from bench.spec import RunSpec

USUAL: SearchSpace = {
    "training.learning_rate": LogUniform(3e-4, 1e-2),
    "learning_rate": LogUniform(3e-4, 1e-2),
    "training.weight_decay": Choice(0.0, 0.01, 0.1),
    "weight_decay": Choice(0.0, 0.01, 0.1),
    "dropout": Uniform(0.0, 0.6),
    "dropout_prob": Uniform(0.0, 0.6),
    "network.dropout": Uniform(0.0, 0.6),
}
"""What is searched without a model's saying so, as far as its configuration has these keys."""


def space_of(model: type[Recommender], base: RunSpec) -> SearchSpace:
    """What a search may try for a row.

    Args:
        model: The class behind it; what it declares goes before the usual ranges.
        base: The row's run, whose values are part of every range.

    Raises:
        BenchError: There is nothing to search, or the model declares a key that its configuration lacks.
    """
    known = key_paths(model.Config)
    for key in model.search_space:
        if key not in known:
            raise BenchError(f"search space of model '{base.model}': {unknown_name('key', key, known)}")
    space = {key: dimension for key, dimension in USUAL.items() if key in known} | dict(model.search_space)
    if not space:
        raise BenchError(
            f"model '{base.model}' has nothing to tune: leave it out, or declare a search_space in its class"
        )
    try:
        return {key: dimension.including(value_at(base.config, key)) for key, dimension in space.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"search space of model '{base.model}' does not fit row '{base.label}': {error}") from None


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key.

    Raises:
        KeyError: The configuration has no such key.
    """
    here: Any = config
    for part in key.split("."):
        here = here[part]
    return here


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration with other values at some dotted keys."""
    changed: dict[str, Any] = deepcopy(dict(config))
    for key, value in values.items():
        *parents, last = key.split(".")
        here = changed
        for part in parents:
            here = here[part]
        here[last] = value
    return changed
