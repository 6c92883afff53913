"""Rows of a suite that have the configuration of another row, for which it was searched: they need no search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from bench.config import flattened, is_at_or_below, value_at, with_values
from bench.errors import BenchError, unknown_name
from bench.names import RowLabel


class SearchedAs(BaseModel):
    """Says that a row has the configuration of another one; in a suite a plain label of a row will do.

    Attributes:
        row: Label of the row that is searched.
        keys: Keys of that row's configuration that both have, with all keys below them. Empty: all of it.
        within: Key of this row's configuration below which they are, such as `base_config`. "": they are the same keys.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    row: RowLabel
    keys: tuple[str, ...] = ()
    within: str = ""

    @model_validator(mode="before")
    @classmethod
    def _a_label_will_do(cls, written: Any) -> Any:
        return {"row": written} if isinstance(written, str) else written

    def shared(self, theirs: Mapping[str, Any]) -> dict[str, str]:
        """Dotted keys of the searched row's configuration that both rows have -> the same keys in this row's.

        Args:
            theirs: The complete configuration of the searched row.

        Raises:
            BenchError: It has none of the `keys`.
        """
        held = list(flattened(theirs))
        for key in self.keys:
            if not any(is_at_or_below(other, key) for other in held):
                raise BenchError(f"'searched_as', row '{self.row}': {unknown_name('key', key, held)}")
        meant = [key for key in held if not self.keys or any(is_at_or_below(key, above) for above in self.keys)]
        return {key: f"{self.within}.{key}" if self.within else key for key in meant}

    def differences(self, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
        """What is not the same in both configurations, one text a key; nothing where the row is what it says.

        >>> both = SearchedAs(row="base", within="base_config")
        >>> both.differences({"base_config": {"dim": 64}, "weight": 0.5}, {"dim": 64})
        []
        >>> both.differences({"base_config": {"dim": 64}}, {"dim": 32, "depth": 2})
        ['base_config.dim is 64 here, and dim is 32 there', 'base_config.depth is missing here, and depth is 2 there']
        """
        told = []
        for their_key, key in self.shared(theirs).items():
            here, there = _text(mine, key), _text(theirs, their_key)
            if here != there:
                told.append(f"{key} is {here} here, and {their_key} is {there} there")
        return told

    def with_found(self, mine: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        """This row's configuration with what a search has found for the other row.

        Args:
            mine: This row's complete configuration, which has all of the shared keys.
            found: The other row's complete configuration, after its search.
        """
        return with_values(mine, {key: value_at(found, their_key) for their_key, key in self.shared(found).items()})


def _text(config: Mapping[str, Any], key: str) -> str:
    try:
        return json.dumps(value_at(config, key))
    except (KeyError, TypeError):
        return "missing"
