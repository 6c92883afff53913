"""What a stored result may hold, checked on every reading: the values of `result.json`, the columns of its tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError

from bench.evaluation.decoding import DECODING_COLUMNS, n_levels
from bench.evaluation.evaluator import ID_COLUMNS, ITEM_COLUMN, K_MAX, QUERY_COLUMNS
from bench.execution.plain import plain, plain_text
from bench.spec import RunResult, Status

TABLES = ("queries", "decoding")
"""Fields of a result that are files of their own."""

SEALED = "sealed"
"""The field of the table that is written and not read back."""

REPORTED = (
    "user",
    "target",
    "history_length",
    "target_count",
    "target_quantile",
    "item_rank",
    "sid_rank",
)
"""Columns of queries that every table of a report needs; the sections that others are for are left out without them."""

_Amount = Annotated[FiniteFloat, Field(ge=0)]
_Counts = dict[str, NonNegativeInt]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Point(_Checked):
    """A point of a learning curve; loss and validation of a fit that diverged are no numbers."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, float]

    epoch: _Amount
    step: NonNegativeInt
    loss: float
    validation: float
    seconds: _Amount


class _Described(_Checked):
    model_config = ConfigDict(strict=True, extra="allow")

    users: NonNegativeInt = 0
    items: NonNegativeInt = 0
    events: NonNegativeInt = 0
    name: str = ""
    seen_items: str = ""
    licence: str = ""
    source: str = ""
    filters: list[str] = Field(default_factory=list)


class _Environment(_Checked):
    """Besides these, versions of packages by their names."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str | int | FiniteFloat]

    threads: NonNegativeInt = 0
    peak_memory_mib: _Amount = 0
    peak_gpu_memory_mib: _Amount = 0
    dataset: _Described = Field(default_factory=_Described)
    excluded: _Counts = Field(default_factory=dict)
    cold_targets: _Counts = Field(default_factory=dict)


class _Content(_Checked):
    """The fields of a `RunResult` but for its spec and its tables, in the same order."""

    status: Status
    reason: str
    fit_seconds: _Amount
    recommend_seconds: _Amount
    milliseconds_per_user: _Amount
    parameters: NonNegativeInt
    best_epoch: _Amount | None
    validation: Annotated[FiniteFloat, Field(ge=0, le=1)] | None
    curve: list[_Point]
    diagnostics: dict[str, Any]
    environment: _Environment
    left_behind: list[str]


def content_of(result: RunResult) -> dict[str, Any]:
    """The fields of a result that `result.json` holds, as JSON values; whatever they are, none of them raises."""
    content = {f.name: getattr(result, f.name) for f in fields(result) if f.name not in ("spec", SEALED, *TABLES)}
    parted = ("diagnostics", "environment")  # of a finding that is too large, the others are kept
    return {
        name: {plain_text(str(key)): plain(entry) for key, entry in value.items()}
        if name in parted and isinstance(value, dict)
        else plain(value)
        for name, value in content.items()
    }


def checked_content(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of a result as they are.

    Raises:
        ValueError: A field is missing, unknown, of another type, or out of its range; the message names it.
    """
    try:
        _Content.model_validate(content)
    except ValidationError as error:
        raise ValueError(_first_flaw(error)) from None
    return content


def conform(result: RunResult) -> None:
    """Turns a result that no reader would take, since a model has broken its contract, into a failed one that says why.

    Fields that can't be kept become those of a new result.
    """
    flaws = []
    content, empty = content_of(result), RunResult(result.spec, "failed")
    try:
        _Content.model_validate(content)
    except ValidationError as error:
        flaws.append(_first_flaw(error))
        content |= {str(part["loc"][0]): getattr(empty, str(part["loc"][0])) for part in error.errors()}
    for name, value in content.items():
        setattr(result, name, value)
    try:
        check_tables(result)
    except ValueError as error:
        flaws.append(str(error))
    if flaws and result.status == "complete":
        result.status, result.reason = "failed", f"ContractError: what the run left can't be kept: {'; '.join(flaws)}"
        result.queries = result.decoding = result.sealed = None


def check_tables(result: RunResult, for_report: bool = False) -> None:
    """Looks at the tables of a complete result.

    Args:
        result: With its tables as they are stored.
        for_report: Whether all columns have to be there that a report can't do without (`REPORTED`, and of a trace
            those of every level).

    Raises:
        ValueError: A table is missing, or has another length, a column that nobody declared, one of another type, or a
            value out of the column's range; the message names it.
    """
    if result.status != "complete":
        return
    if result.queries is None:
        raise ValueError("there is no table of queries")
    _check_present("queries", result.queries, REPORTED if for_report else ("item_rank",))
    _check_queries(result.queries, (result.environment.get("dataset") or {}).get("items"))
    if result.decoding is not None:
        if len(result.decoding) != len(result.queries):
            raise ValueError(f"decoding has {len(result.decoding)} rows for {len(result.queries)} queries")
        _check_decoding(result.decoding)
        if for_report:
            _check_present("decoding", result.decoding, _of_levels(n_levels(result.decoding)))


def as_declared(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its columns in the declared types, as far as that changes no value."""
    return table.assign(**{str(name): _as_declared(table[name]) for name in table if _declared(str(name)) is not None})


def _as_declared(values: pd.Series) -> pd.Series:
    dtype = _declared(str(values.name))
    if dtype is None or not (isinstance(values.dtype, np.dtype) and {values.dtype.kind, dtype.kind} <= set("iuf")):
        return values
    with np.errstate(all="ignore"):
        turned = values.to_numpy().astype(dtype)
    return pd.Series(turned, values.index) if np.array_equal(turned, values.to_numpy(), equal_nan=True) else values


_RANGES = {
    "user": (0, None),
    "target": (0, None),
    "history_length": (0, None),
    "target_count": (0, None),
    "target_quantile": (0, 1),
    "item_gap": (0, None),
    "category_gap": (0, None),
    "transition": (0, 3),
    "item_rank": (0, K_MAX),
    "sid_rank": (0, K_MAX),
    "sid_group": (1, None),
    "tie_first": (0, K_MAX),
    "tie_last": (0, K_MAX),
    "list_popularity": (0, 1),
    "list_novelty": (0, None),
    "new_items": (0, 10),
    "path_rank_D": (-1, None),
    "forced_rank_D": (0, None),
    "after_wrong_D": (-1, None),
    "retrieved": (0, None),
    "gate": (0, 1),
}
"""Least and greatest value of each column that holds numbers."""

_UNKNOWN = {"list_popularity", "list_novelty", "gate"}
"""Columns in which a value may be NaN."""

_ROUNDING = 1e-4
"""By how much sums of floats may leave a range."""


def _declared(column: str) -> np.dtype[Any] | None:
    meaning = QUERY_COLUMNS.get(column) or DECODING_COLUMNS.get(_family(column))
    return None if meaning is None else np.dtype(meaning.partition(",")[0])


def _family(column: str) -> str:
    return re.sub(r"_[1-9]\d*$", "_D", column)


def _of_levels(levels: int) -> list[str]:
    families = [name for name in DECODING_COLUMNS if name.endswith("_D")]
    numbered = [(family, level) for family in families for level in range(1, max(levels, 1) + 1)]
    return [f"{family[:-1]}{level}" for family, level in numbered if (family, level) != ("after_wrong_D", 1)]


def _check_present(kind: str, table: pd.DataFrame, columns: Iterable[str]) -> None:
    for column in columns:
        if column not in table:
            raise ValueError(f"{kind}: there is no column '{column}'")


def _check_queries(table: pd.DataFrame, n_items: int | None) -> None:
    for name in table:
        if not isinstance(name, str) or not (name in (*QUERY_COLUMNS, *ID_COLUMNS) or name.startswith(ITEM_COLUMN)):
            raise ValueError(f"queries: nobody declared a column '{name}'")
        if name in ID_COLUMNS and not all(isinstance(value, str) for value in table[name]):
            raise ValueError(f"queries: column '{name}' holds something else than text")
        if name in QUERY_COLUMNS:
            _check_column("queries", table[name], name)
    if n_items and "target" in table and len(table) and table["target"].max() >= n_items:
        raise ValueError(f"queries: column 'target' holds item {table['target'].max()} of {n_items}")
    ties = {"tie_first", "tie_last"} <= set(table)
    if ties and not (table["tie_first"].le(table["item_rank"]) & table["item_rank"].le(table["tie_last"])).all():
        raise ValueError("queries: column 'item_rank' lies outside the tie that 'tie_first' and 'tie_last' tell of")


def _check_decoding(table: pd.DataFrame) -> None:
    for name in table:
        if _family(str(name)) not in DECODING_COLUMNS:
            raise ValueError(f"decoding: nobody declared a column '{name}'")
        _check_column("decoding", table[name], _family(str(name)))


def _check_column(kind: str, values: pd.Series, name: str) -> None:
    where = f"{kind}: column '{values.name}'"
    dtype = _declared(name)
    if values.dtype != dtype:
        raise ValueError(f"{where} is of type {values.dtype}, not {dtype}")
    if name not in _RANGES or not len(values):
        return
    numbers = values.to_numpy()
    if numbers.dtype.kind == "f":
        numbers = numbers[~np.isnan(numbers)] if name in _UNKNOWN else numbers
        slack = _ROUNDING
    else:
        slack = 0
    low, high = _RANGES[name]
    if len(numbers) and not (
        numbers.min() >= low - slack and numbers.max() <= (np.inf if high is None else high + slack)
    ):
        reach = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{where} holds {numbers.min():g} to {numbers.max():g} where {reach} is possible")


def _first_flaw(error: ValidationError) -> str:
    """The first flaw: where it is, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
