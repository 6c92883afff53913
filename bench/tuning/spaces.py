"""The search space of a row: what its model declares, and the usual keys that its configuration has."""

from __future__ import annotations

from typing import get_origin

from bench.config import flattened, value_at
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
    """Tells what a search may try for a row.

    A model that holds another one's configuration in a mapping may declare keys of that: they count for the rows whose
    configuration has them.

    Args:
        model: The class behind it; what it declares goes before the usual ranges.
        base: The row's run, whose values are part of every range.

    Raises:
        BenchError: There is nothing to search, or the model declares a key that its configuration lacks.
    """
    known = key_paths(model.Config)
    held = flattened(base.config)
    within = {name for name, field in model.Config.model_fields.items() if get_origin(field.annotation) is dict}
    for key in model.search_space:
        if key not in known and key.partition(".")[0] not in within:
            raise BenchError(f"search space of model '{base.model}': {unknown_name('key', key, known)}")
    space = {key: dimension for key, dimension in USUAL.items() if key in known}
    space |= {key: dimension for key, dimension in model.search_space.items() if key in known or key in held}
    if not space:
        raise BenchError(
            f"model '{base.model}' has nothing to tune: leave it out, or declare a search_space in its class"
        )
    try:
        return {key: dimension.including(value_at(base.config, key)) for key, dimension in space.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"search space of model '{base.model}' does not fit row '{base.label}': {error}") from None
