"""Parts that a module declares under an agreed name, so that a new part is one new file and one line in a list."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any


def collected(package: str, modules: Iterable[str], attribute: str) -> dict[str, Any]:
    """What modules of a package declare, by name, in their order.

    Args:
        package: E.g. "bench.evaluation".
        modules: Names within the package; each is imported.
        attribute: What each of them calls its table of names and parts.

    Raises:
        ValueError: Two of them declare the same name.
    """
    parts: dict[str, Any] = {}
    for name in modules:
        module = importlib.import_module(f"{package}.{name}")
        declared = getattr(module, attribute)
        twice = sorted(parts.keys() & declared.keys())
        if twice:
            raise ValueError(f"{module.__name__}.{attribute} has {', '.join(twice)}, which another module has too")
        parts |= declared
    return parts
