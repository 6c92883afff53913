"""The search space of a row: what its model declares, and the usual keys that its configuration has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_origin

from bench.config import flattened, is_at_or_below, value_at
from bench.config_errors import key_paths
from bench.errors import BenchError, unknown_name
from bench.recommender import Recommender
from bench.search_space import USUAL, SearchSpace
from bench.spec import RunSpec

_EPOCHS = "training.epochs"
VALIDATIONS = 8
"""Of a trial that runs to its last epoch: equally many for all, whatever their epochs."""
PATIENCE = 3
"""Validations without a new best after which a trial's training stops, the same for all."""


class NothingToSearchError(BenchError):
    """A row has no key that a search may change."""


def space_of(model: type[Recommender], base: RunSpec, fixed: Collection[str] = ()) -> SearchSpace:
    """Tells what a search may try for a row.

    A model that holds another one's configuration in a mapping may declare keys of that: they count for the rows whose
    configuration has them.

    Args:
        model: The class behind it; what it declares goes before the usual ranges.
        base: The row's run, whose values are part of every range.
        fixed: Keys that stay as they are, with all keys below them.

    Raises:
        NothingToSearchError: There is nothing to search.
        BenchError: The model declares a key that its configuration lacks, or a fixed one is unknown.
    """
    known = key_paths(model.Config)
    held = flattened(base.config)
    within = {name for name, field in model.Config.model_fields.items() if get_origin(field.annotation) is dict}
    for key in model.search_space:
        if key not in known and key.partition(".")[0] not in within:
            raise BenchError(f"search space of model '{base.model}': {unknown_name('key', key, known)}")
    space = {key: dimension for key, dimension in USUAL.items() if key in known}
    space |= {key: dimension for key, dimension in model.search_space.items() if key in known or key in held}
    for key in fixed:
        if key not in known and not any(is_at_or_below(other, key) for other in held):
            raise BenchError(f"row '{base.label}', 'fixed': {unknown_name('key', key, known)}")
    space = {
        key: dimension for key, dimension in space.items() if not any(is_at_or_below(key, above) for above in fixed)
    }
    if not space:
        raise NothingToSearchError(
            f"model '{base.model}' has nothing to tune: leave it out, or declare a search_space in its class"
        )
    try:
        return {key: dimension.including(value_at(base.config, key)) for key, dimension in space.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"search space of model '{base.model}' does not fit row '{base.label}': {error}") from None


def with_stopping_rule(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Adds to the values of a trial how often it validates and when it stops, as far as its configuration says so.

    That follows from its epochs, by one rule for all: `VALIDATIONS` in equal steps, and `PATIENCE`. So no row is judged
    more often than another, and none stops at what another would have waited for.

    Args:
        base: The row's configuration.
        values: Drawn from its space, by dotted key.
    """
    completed = dict(values)
    for key, epochs in values.items():
        prefix = key.removesuffix(_EPOCHS)
        if key.endswith(_EPOCHS):
            held = flattened(base)
            rule = {"validate_every": max(1, round(epochs / VALIDATIONS)), "patience": PATIENCE}
            completed |= {
                f"{prefix}training.{name}": value for name, value in rule.items() if f"{prefix}training.{name}" in held
            }
    return completed
