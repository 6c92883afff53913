"""Configurations as flat lists of keys, to be read side by side. Knows nothing of models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested configuration as dotted keys and JSON values, in its own order.

    Args:
        config: JSON values; only mappings are taken apart, lists stay whole.
        prefix: In front of every key.

    Returns:
        E.g. `{"training.epochs": "8", "tokenizer.codebooks": "[64, 256]"}`. An empty mapping is the value `{}`.
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """What turns one configuration into another, one key each: `training.epochs: 8 -> 12`.

    A key that only one of them has (it came or went with a change of the code) reads `(none)` on the other side.
    """
    left, right = flattened(first), flattened(second)
    keys = dict.fromkeys([*left, *right])
    return [
        f"{key}: {left.get(key, '(none)')} -> {right.get(key, '(none)')}"
        for key in keys
        if left.get(key) != right.get(key)
    ]
