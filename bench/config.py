"""Configurations: what every model's is based on, how mappings go over defaults, and keys with dots in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator


class Config(BaseModel):
    """Base of every model's configuration: validated, immutable, and strict about unknown keys.

    A mapping for a nested configuration names what differs from that field's default: `{"training": {"epochs": 1}}`
    keeps every other setting of `training`. Where it chooses another variant of a tagged union, that variant's own
    defaults apply.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        fields = cls.model_fields
        return {
            key: no_truth_for_a_number(cls._over_default(key, value), fields[key].annotation if key in fields else None)
            for key, value in written.items()
        }

    @classmethod
    def _over_default(cls, key: str, value: Any) -> Any:
        field = cls.model_fields.get(key)
        default = field.get_default(call_default_factory=True) if field else None
        return merged(default, value) if isinstance(default, BaseModel) and isinstance(value, Mapping) else value


def no_truth_for_a_number(value: Any, annotation: Any) -> Any:
    """Makes text of `true` and `false` for a field of numbers, so that pydantic doesn't take them for 1 and 0.

    Args:
        value: As written.
        annotation: Of the field.

    >>> no_truth_for_a_number(True, int), no_truth_for_a_number([True, 2], tuple[int, ...])
    ('true', ['true', 2])
    >>> no_truth_for_a_number(True, bool | int)
    True
    """
    if isinstance(value, list | tuple):
        values = [no_truth_for_a_number(one, annotation) for one in value]
        return values if isinstance(value, list) else tuple(values)
    kinds = _kinds_in(annotation) if isinstance(value, bool) else set()
    return str(value).lower() if kinds & {int, float} and not kinds & {bool, Any} else value


def _kinds_in(annotation: Any) -> set[Any]:
    """All types that an annotation is made of."""
    parts = get_args(annotation)
    return {annotation} if not parts or get_origin(annotation) is Literal else set().union(*map(_kinds_in, parts))


class NumbersAlone(BaseModel):
    """Takes `true` and `false` for no numbers, where pydantic would for 1 and 0.

    `Config` sees to it by itself: what tells variants of a tagged union apart may have no such validator.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        return no_truth_for_a_number(value, cls.model_fields[str(info.field_name)].annotation)


def added_field(default: Any, **constraints: Any) -> Any:
    """Declares a field that a configuration did not always have: written out only where it is not the default.

    A stored run is found again by its whole configuration. With this a new option changes no run that does not use it.

    Args:
        default: Does what was done before there was the field.
        constraints: As for `pydantic.Field`.

    >>> class Old(Config):
    ...     width: int = 8
    >>> class New(Old):
    ...     depth: int = added_field(1, ge=1)
    >>> New().model_dump() == Old().model_dump(), New(depth=2).model_dump()
    (True, {'width': 8, 'depth': 2})
    """
    return Field(default=default, exclude_if=lambda value: value == default, **constraints)


def merged(under: BaseModel | Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lays one configuration over another, key by key, where both are nested; else what `over` says goes.

    Args:
        under: A validated configuration, of which nested configurations are merged and nothing else; or JSON values,
            of which mappings are.
        over: Goes before. Where it chooses another variant than the configuration `under` is of, it goes alone, so
            that the variant's own defaults apply.

    Returns:
        A mapping that shares no list or mapping with `over`.

    >>> merged({"training": {"epochs": 8, "batch": 64}, "dim": 32}, {"training": {"epochs": 1}})
    {'training': {'epochs': 1, 'batch': 64}, 'dim': 32}
    """
    if _is_of_another_variant(under, over):
        return deepcopy(dict(over))
    nested = BaseModel if isinstance(under, BaseModel) else Mapping
    result = dict(under)  # of a configuration, its fields as they are
    for name, value in over.items():
        both = isinstance(result.get(name), nested) and isinstance(value, Mapping)
        result[name] = merged(result[name], value) if both else deepcopy(value)
    return result


def _is_of_another_variant(under: BaseModel | Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """Tells whether a field of one legal value, the tag of a union's variant, is to have another one."""
    fields = type(under).model_fields if isinstance(under, BaseModel) else {}
    tags = {name for name in fields if get_origin(of := fields[name].annotation) is Literal and len(get_args(of)) == 1}
    return any(over[name] != getattr(under, name) for name in tags if name in over)


def is_at_or_below(key: str, above: str) -> bool:
    """Whether a dotted key is another one, or lies in what that holds.

    >>> is_at_or_below("network.dim", "network"), is_at_or_below("networks", "network")
    (True, False)
    """
    return key == above or key.startswith(f"{above}.")


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """Looks up the value of a dotted key.

    Raises:
        KeyError: The configuration has no such key.

    >>> value_at({"training": {"epochs": 8}}, "training.epochs")
    8
    """
    here: Any = config
    for part in key.split("."):
        here = here[part]
    return here


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Copies a configuration, with other values at some dotted keys.

    >>> with_values({"training": {"epochs": 8}, "dim": 32}, {"training.epochs": 1})
    {'training': {'epochs': 1}, 'dim': 32}
    """
    changed: dict[str, Any] = deepcopy(dict(config))
    for key, value in values.items():
        *parents, last = key.split(".")
        here = changed
        for part in parents:
            here = here[part]
        here[last] = value
    return changed


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Writes a nested configuration as dotted keys and JSON values, in its own order.

    Args:
        config: JSON values; only mappings are taken apart, lists stay whole.
        prefix: In front of every key.

    Returns:
        One text a key. An empty mapping is the value `{}`.

    >>> flattened({"training": {"epochs": 8}, "tokenizer": {"codebooks": [64, 256]}})
    {'training.epochs': '8', 'tokenizer.codebooks': '[64, 256]'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Tells what turns one configuration into another, one key each.

    A key that only one of them has (it came or went with a change of the code) reads `(none)` on the other side.

    >>> changes({"training": {"epochs": 8}}, {"training": {"epochs": 12}, "dim": 32})
    ['training.epochs: 8 -> 12', 'dim: (none) -> 32']
    """
    left, right = flattened(first), flattened(second)
    keys = dict.fromkeys([*left, *right])
    return [
        f"{key}: {left.get(key, '(none)')} -> {right.get(key, '(none)')}"
        for key in keys
        if left.get(key) != right.get(key)
    ]
