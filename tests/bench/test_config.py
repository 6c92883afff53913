"""Configurations: what goes over what, and how two are read side by side."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from bench.config import Config, changes, flattened, merged
from bench.spec import DatasetSpec


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


class Numbers(Config):
    width: int = 8
    share: float | None = None
    books: tuple[int, ...] = (4, 4)
    switch: bool = False
    either: bool | int = 0
    anything: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize("written", [{"width": True}, {"share": False}, {"books": [True, 4]}])
def test_true_is_no_number(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"unable to parse string as an? (integer|number)"):
        Numbers.model_validate(written)


def test_true_is_one_of_what_may_be_true() -> None:
    written = {"switch": True, "either": True, "anything": {"a": True}, "width": 2, "share": 0.5, "books": [2, 3]}
    read = Numbers.model_validate(written).model_dump()
    assert read == {**written, "books": (2, 3)}
    assert read["either"] is True


@pytest.mark.parametrize("key", ["sample_users", "min_user_events", "confirm", "min_rating"])
def test_true_is_no_number_of_a_data_set_either(key: str) -> None:
    with pytest.raises(ValidationError, match=r"unable to parse string as an? (integer|number)"):
        DatasetSpec.model_validate({"path": "x.csv", key: True})
