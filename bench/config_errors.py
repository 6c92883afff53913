"""Validation errors of suites and model configurations, in one line that names the key and the remedy."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError, nearest, unknown_name
from bench.plain_text import one_line, quoted


def explain(error: ValidationError, schema: type[BaseModel], where: str) -> BenchError:
    """Tells the first problem of `error` as one line.

    Args:
        error: What pydantic raised.
        schema: The class that was validated; its field names are the suggestions for an unknown key.
        where: File, row or option in which the user wrote the value.
    """
    details = error.errors(include_url=False)
    # A misspelt key can also leave another one missing or a union unmatched; the misspelling is the cause.
    first = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    *parents, key = first["loc"] or ("",)
    if first["type"] == "extra_forbidden":
        known = {path for model in schemas_at(schema, parents) for path in key_paths(model)}
        nested = f"{where}, {dotted(parents)}" if parents else where
        if key in known and "." in str(key):  # --set takes keys with dots, a file doesn't
            *outer, last = str(key).split(".")
            written = "".join(f"{part}: {{" for part in outer) + f"{last}: ..." + "}" * len(outer)
            return BenchError(f"{nested}: key '{key}' lies within others: write {written}")
        return BenchError(f"{nested}: {unknown_name('key', str(key), known)}")
    if first["type"] == "missing":
        return BenchError(f"{where}: key '{dotted(first['loc'])}' is missing")
    message = one_line(first["msg"], 300).removeprefix("Value error, ").replace("Input should", "should")
    got = quoted(first["input"])
    given = "" if got in message else f", got {got}"
    if first["type"] in ("literal_error", "enum") and isinstance(first["input"], str):
        near = nearest(first["input"], re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", ""))))
        given += f": did you mean {near[0]}?" if near else ""
    return BenchError(f"{where}: {dotted(first['loc']) or 'value'}: {message}{given}")


def key_paths(schema: type[BaseModel]) -> list[str]:
    """Lists every key of a configuration class, nested ones as `training.epochs`."""
    nested = {name: _models_in(field.annotation) for name, field in schema.model_fields.items()}
    return list(nested) + [f"{name}.{path}" for name, models in nested.items() for m in models for path in key_paths(m)]


def schemas_at(schema: type[BaseModel], path: list[Any] | tuple[Any, ...]) -> list[type[BaseModel]]:
    """Finds the configuration classes to which a path of keys leads; several where a field is a union.

    Parts of the path that are no field (list indices, union tags) lead nowhere new and are passed over.
    """
    here = [schema]
    for part in path:
        annotations = [model.model_fields[part].annotation for model in here if part in model.model_fields]
        if annotations:
            here = [model for annotation in annotations for model in _models_in(annotation)]
    return here


def dotted(path: tuple[Any, ...] | list[Any]) -> str:
    """Writes `("models", 2, "config")` as `models[2].config`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
