"""The templates of pages, in the folder `page`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, FunctionLoader, StrictUndefined


def environment(autoescape: bool, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Reads templates from the installed package; a name that a template doesn't know is an error."""
    loader: BaseLoader = FunctionLoader(resource)
    made = Environment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(filters)
    return made


def resource(name: str) -> str:
    """A file of the folder `page`."""
    return (files("bench.reporting") / "page" / name).read_text(encoding="utf-8").strip()
