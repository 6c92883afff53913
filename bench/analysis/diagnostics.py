"""What models note about themselves, as far as it has the form that the report knows.

A model may note anything. What has another form costs its own cell of its own row, and the report says whose it was.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, TypeAdapter, ValidationError

from bench.spec import RunResult

_Amount = Annotated[FiniteFloat, Field(ge=0)]
_Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


class _Noted(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Sids(_Noted):
    """`sid`: the semantic IDs of the catalogue."""

    tokenizer: str | None = None
    n_items: NonNegativeInt | None = None
    unique_sids: NonNegativeInt | None = None
    collision_rate: _Share | None = None
    seconds: _Amount | None = None


class CodebookLevel(_Noted):
    """One line of `sid_health`: how the codebook of a level is used."""

    level: int
    codebook_size: NonNegativeInt
    used: NonNegativeInt
    utilisation: _Share
    perplexity: _Amount
    entropy: FiniteFloat
    max_share: _Share
    kind: str = "semantic"


class Decoding(_Noted):
    """`decoding`: what was generated for the test queries."""

    valid_share: _Share | None = None


class MechanismLine(_Noted):
    """One line of `fidelity`, see `bench.recommender.Mechanism`."""

    name: str
    status: str
    source: str
    note: str | None = ""
    test: str | None = ""


_FORMS: dict[str, TypeAdapter[Any]] = {
    "sid": TypeAdapter(Sids),
    "sid_health": TypeAdapter(list[CodebookLevel]),
    "decoding": TypeAdapter(Decoding),
    "exact": TypeAdapter(dict[str, FiniteFloat]),
    "training_accuracy": TypeAdapter(list[list[FiniteFloat]]),
    "fidelity": TypeAdapter(list[MechanismLine]),
}
_EMPTY: dict[str, Any] = {"sid": Sids(), "decoding": Decoding(), "exact": {}}


def _noted(result: RunResult, key: str) -> Any:
    if key in result.diagnostics:
        with suppress(ValidationError):
            return _FORMS[key].validate_python(result.diagnostics[key], strict=True)
    return _EMPTY.get(key, [])


def sids(result: RunResult) -> Sids:
    """Of models with semantic IDs; nothing is known of others."""
    noted: Sids = _noted(result, "sid")
    return noted


def sid_health(result: RunResult) -> list[CodebookLevel]:
    """Level by level; none of models without semantic IDs."""
    noted: list[CodebookLevel] = _noted(result, "sid_health")
    return noted


def valid_share(result: RunResult) -> float | None:
    """Share of the generated semantic IDs that an item has."""
    noted: Decoding = _noted(result, "decoding")
    return noted.valid_share


def exact(result: RunResult) -> dict[str, float]:
    """Metric -> its expectation, from a row that knows how the data were generated."""
    noted: dict[str, float] = _noted(result, "exact")
    return noted


def training_accuracy(result: RunResult) -> list[list[float]]:
    """Accuracy of each level, validation by validation."""
    noted: list[list[float]] = _noted(result, "training_accuracy")
    return noted


def fidelity(result: RunResult) -> list[dict[str, Any]]:
    """The fidelity card of the model, one dict a mechanism."""
    noted: list[MechanismLine] = _noted(result, "fidelity")
    return [line.model_dump() for line in noted]


def malformed(result: RunResult) -> list[str]:
    """What the model noted under a name that the report knows, but in another form; one short sentence each."""
    flaws = []
    for key, form in _FORMS.items():
        try:
            if key in result.diagnostics:
                form.validate_python(result.diagnostics[key], strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            flaws.append(f"{'.'.join(map(str, (key, *first['loc'])))}: {first['msg']}")
    return flaws
