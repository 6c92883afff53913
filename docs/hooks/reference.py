"""Fills the manual's lists of models, data sets and keys from the code, whenever the manual is built.

`{{ models }}`, `{{ datasets }}`, `{{ columns }}`, `{{ suite keys }}`, `{{ model keys }}`, `{{ usual search space }}`
and `{{ search spaces }}` in a page become tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bench.analysis.report_columns import documentation
from bench.cli.main import app
from bench.data.catalog import CATALOG
from bench.data.data_files import DataFiles
from bench.errors import BenchError
from bench.recommender import Recommender
from bench.registry import BUILT_IN, model_class
from bench.search_space import USUAL, Choice, Dimension, LogUniform, Multiple
from bench.searched_as import SearchedAs
from bench.spec import Comparison, DatasetSpec, Entry, PaperFinding, Published, Suite

_MARK = re.compile(r"^\{\{ ([a-z ]+) \}\}.*$", re.MULTILINE)
"""What follows on the line is for those who read the page as a file."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The hook that mkdocs calls with each page."""
    return _MARK.sub(lambda mark: _LISTS[mark[1]](), markdown)


def attributes(model: type[BaseModel]) -> dict[str, str]:
    """Name -> meaning of the fields of a model: its description, or the line under "Attributes:" of the docstrings."""
    found: dict[str, str] = {}
    for one in model.__mro__:
        _, _, section = (one.__doc__ or "").partition("Attributes:\n")
        for names, meaning in re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", section, re.MULTILINE):
            for name in names.split(", "):
                found.setdefault(name, " ".join(meaning.split()))
    found |= {name: field.description for name, field in model.model_fields.items() if field.description}
    return found


def _suite_keys() -> str:
    parts = [_keys_of("The suite", Suite, leave=("name",))]
    parts.append(_keys_of("Each of `models`", Entry))
    parts.append(_table("Each of `datasets`", ("key", "default", "meaning"), _dataset_rows()))
    parts.append(_keys_of("`searched_as` of a row", SearchedAs))
    titles = {"Each of `comparisons`": Comparison, "Each of `published`": Published, "Each of `paper`": PaperFinding}
    parts += [_keys_of(title, model) for title, model in titles.items()]
    return "\n\n".join(parts)


def _keys_of(title: str, model: type[BaseModel], leave: Sequence[str] = ()) -> str:
    meanings = attributes(model)
    rows = [
        (f"`{name}`", _default(field), meanings.get(name, ""))
        for name, field in model.model_fields.items()
        if name not in leave
    ]
    return _table(title, ("key", "default", "meaning"), rows)


def _dataset_rows() -> Iterator[tuple[str, str, str]]:
    """With the words that the command line's help has for the same keys."""
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    helps = {parameter.name: parameter.help for parameter in command.params if getattr(parameter, "help", None)}
    meanings = {**attributes(DatasetSpec), "path": "A file or folder of your own; without it `name` is registered."}
    for name, field in DatasetSpec.model_fields.items():
        meaning = helps.get(name) if name in DataFiles.model_fields else None
        yield f"`{name}`", _default(field), meaning or meanings.get(name, "")


def _model_keys() -> str:
    return "\n\n".join(f"## {name}\n\n{_options(model)}" for name, model in _models() if model is not None)


def _options(model: type[Recommender]) -> str:
    rows = [(f"`{key}`", default, meaning) for key, default, meaning in _flat(model.Config, "")]
    summary = f"{model.summary[:1].upper()}{model.summary[1:]}."
    return (
        f"{summary}\n\n{_table('', ('key', 'default', 'meaning'), rows)}" if rows else f"{summary} It has no options."
    )


def _flat(config: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Fields with nested configurations opened, by dotted keys."""
    meanings = attributes(config)
    for name, field in config.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _flat(type(default), f"{prefix}{name}.")
            continue
        nested = _configuration_in(field.annotation)
        if nested is None or default is None:  # an optional configuration can be left out as a whole
            yield prefix + name, _default(field), meanings.get(name, "")
        if nested is not None:
            yield from _flat(nested, f"{prefix}{name}.")


def _configuration_in(annotation: Any) -> type[BaseModel] | None:
    """The one configuration that a field without a default, or with the default None, may hold."""
    among = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    return next((kind for kind in among if issubclass(kind, BaseModel)), None)


def _models() -> Iterator[tuple[str, type[Recommender] | None]]:
    """None for a model whose optional package is not installed here."""
    for name in BUILT_IN:
        try:
            yield name, model_class(name)
        except BenchError:
            yield name, None


def _model_list() -> str:
    rows = [(f"`{name}`", model.summary if model else "needs RecBole") for name, model in _models()]
    return _table("", ("name", "what"), rows)


def _dataset_list() -> str:
    rows = ((f"`{name}`", entry.summary, entry.licence) for name, entry in CATALOG.items())
    return _table("", ("name", "what", "licence"), rows)


def _usual_space() -> str:
    """Ranges that hold for all, each with the keys that share it."""
    keys: dict[str, list[str]] = {}
    for key, dimension in USUAL.items():
        keys.setdefault(_range(dimension), []).append(f"`{key}`")
    return _table("", ("keys", "range"), ((", ".join(names), shown) for shown, names in keys.items()))


def _spaces() -> str:
    """What the models say beyond these: models that say the same share a line."""
    models: dict[tuple[str, str], list[str]] = {}
    for name, model in _models():
        for key, dimension in model.search_space.items() if model else ():
            models.setdefault((f"`{key}`", _range(dimension)), []).append(f"`{name}`")
    rows = ((", ".join(names), key, shown) for (key, shown), names in models.items())
    return _table("", ("models", "key", "range"), rows)


def _range(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return ", ".join(f"`{option}`" for option in dimension.options)
    if isinstance(dimension, Multiple):
        return f"{', '.join(f'{factor:g}' for factor in dimension.factors)} times the row's own"
    logarithmic = ", its logarithm uniform" if isinstance(dimension, LogUniform) else ""
    return f"{dimension.low:g} to {dimension.high:g}{logarithmic}"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "needed"
    choices = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    shown = "-" if value is None or value == "" or value == () or value == {} else f"`{value}`"
    return f"{shown}, of {', '.join(choices)}" if choices else shown


def _table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headers) + " |", "|" + " --- |" * len(headers)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"## {title}\n"] * bool(title) + lines)


_LISTS: dict[str, Callable[[], str]] = {
    "models": _model_list,
    "datasets": _dataset_list,
    "columns": documentation,
    "suite keys": _suite_keys,
    "model keys": _model_keys,
    "usual search space": _usual_space,
    "search spaces": _spaces,
}
