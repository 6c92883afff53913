"""Configurations: what goes over what, and how two are read side by side."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.config import Config, changes, flattened, merged


class Few(Config):
    method: Literal["few"] = "few"
    size: int = 1


class Many(Config):
    method: Literal["many"] = "many"
    size: int = 100
    spread: float = 0.5


class Whole(Config):
    part: Few | Many = Field(default=Many(size=7, spread=0.1), discriminator="method")
    weights: dict[str, int] = Field(default={"a": 1, "b": 2})


def test_a_nested_mapping_names_what_differs_from_the_fields_default() -> None:
    assert Whole.model_validate({"part": {"size": 8}}).part == Many(size=8, spread=0.1)


def test_another_variant_has_its_own_defaults() -> None:
    assert Whole.model_validate({"part": {"method": "few"}}).part == Few(size=1)


def test_a_mapping_that_is_no_configuration_is_one_value() -> None:
    assert Whole.model_validate({"weights": {"b": 3}}).weights == {"b": 3}


def test_json_values_are_merged_key_by_key_and_share_nothing() -> None:
    under: dict[str, Any] = {"a": {"b": [1], "c": {"d": 1}}, "e": 2}
    over: dict[str, Any] = {"a": {"c": {"f": [3]}}, "e": {"g": 4}}
    both = merged(merged({}, under), over)
    assert both == {"a": {"b": [1], "c": {"d": 1, "f": [3]}}, "e": {"g": 4}}
    both["a"]["b"].append(0)
    both["a"]["c"]["f"].append(0)
    assert (under["a"]["b"], over["a"]["c"]["f"]) == ([1], [3])


def test_configurations_are_flattened_and_compared_key_by_key() -> None:
    config = {"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}], "f": "text", "g": None}
    assert flattened(config) == {"a.b": "1", "a.c": "{}", "d": '[1, {"e": 2}]', "f": "text", "g": "null"}
    assert changes(config, {**config, "a": {"b": 2, "c": {}}, "h": True}) == ["a.b: 1 -> 2", "h: (none) -> true"]
    assert changes(config, config) == []
