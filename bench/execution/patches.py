"""Functions and classes that a run has replaced: in this project, in the libraries that it counts with, in Python.

They are put back. But a library may have replaced them while it was imported, which it does once in a process; the next
run of the same model would be made without. So whoever finds a patch should not make another run in the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

OWN = ("bench", "models", "baselines")
_LIBRARIES = ("numpy", "torch", "pandas", "scipy", "sklearn", "pyarrow", "threadpoolctl", "pydantic", "filelock")
_IN_FULL = (*OWN, "torch.nn", "torch.optim", "torch._tensor", "pandas.core.frame", "pandas.core.series")
"""Packages whose modules are all looked at, and their classes, too; of other libraries what is in the front row."""

_PYTHON = {"builtins", "collections", "copy", "functools", "hashlib", "heapq", "io", "itertools", "json", "math"}
_PYTHON |= {"operator", "os", "pathlib", "pickle", "random", "re", "shutil", "statistics", "tempfile", "time", "zlib"}

_DESCRIPTORS = (classmethod, staticmethod, property)
_VALUES = (int, float, str, bytes, tuple, frozenset, type(None))
_CONTAINERS = (dict, list, set)
_ABSENT = object()


@dataclass(frozen=True)
class Code:
    """What modules and classes held at a moment.

    Attributes:
        modules: The modules themselves, by name.
        held: Module or class -> its attributes.
        contents: Containers of this project's modules, by the module's name and theirs, with what they held.
    """

    modules: Mapping[str, ModuleType]
    held: list[tuple[str, Any, dict[str, Any]]]
    contents: list[tuple[str, Any, Any]] = field(default_factory=list)

    @classmethod
    def now(cls) -> Code:
        """All modules that have been imported so far and are watched."""
        modules = {name: module for name, module in list(sys.modules.items()) if _is_watched(name, module)}
        held: list[tuple[str, Any, dict[str, Any]]] = [
            (name, module, dict(vars(module))) for name, module in modules.items()
        ]
        owners: dict[type, str] = {}
        for name, module in modules.items():
            if name.startswith(_IN_FULL):
                for owner in _classes_of(name, module):
                    owners.setdefault(owner, name)
        held += [(f"{name}.{owner.__name__}", owner, dict(vars(owner))) for owner, name in owners.items()]
        contents = [
            (f"{name}.{key}", value, value.copy())
            for name, module in modules.items()
            if _is_own(name)
            for key, value in vars(module).items()
            if type(value) in _CONTAINERS and not key.startswith("__")
        ]
        return cls(modules, held, contents)

    def put_back(self) -> list[str]:
        """Puts back what has been replaced or removed since; returns its names."""
        names = [*self._modules_put_back()]
        for name, owner, before in self.held:
            names += _put_back(name, owner, before)
        for name, container, before in self.contents:
            if not _same_content(container, before):
                container.clear()
                (container.extend if isinstance(container, list) else container.update)(before)
                names.append(name)
        return names

    def _modules_put_back(self) -> Iterator[str]:
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
                yield name
        for name, module in list(sys.modules.items()):
            if _is_own(name) and name not in self.modules and not _is_where_it_belongs(name, module):
                del sys.modules[name]
                yield name


def _is_watched(name: str, module: object) -> bool:
    if not isinstance(module, ModuleType):
        return False
    first, *rest = name.split(".")
    in_front = len(rest) <= 1 and not any(part.startswith("_") for part in rest)
    return name.startswith(_IN_FULL) or first in _PYTHON or (first in _LIBRARIES and in_front)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in OWN


def _is_where_it_belongs(name: str, module: object) -> bool:
    """Whether a module of this project was imported from its folder; whoever likes can put another in its place."""
    package = sys.modules.get(name.partition(".")[0])
    homes = [Path(folder).resolve() for folder in getattr(package, "__path__", ())]
    file = getattr(module, "__file__", None)
    return file is not None and any(home in Path(file).resolve().parents for home in homes)


def _classes_of(name: str, module: ModuleType) -> list[type]:
    """The classes of a module, also if they say that they are its package's, as `torch._tensor.Tensor` does."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return [value for value in classes if f"{name}.".startswith(f"{value.__module__}.")]


def _put_back(name: str, owner: Any, before: Mapping[str, Any]) -> list[str]:
    held, own = vars(owner), _is_own(name)
    changed = [key for key, value in before.items() if held.get(key, _ABSENT) is not value]
    changed = [key for key in changed if _counts(before[key], own) and not _is_equal(held.get(key), before[key])]
    for key in changed:
        setattr(owner, key, before[key])
    added = [key for key in held if key not in before and isinstance(held[key], FunctionType | property)]
    added = [key for key in added if isinstance(owner, type) and (own or _hides_inherited(owner, key))]
    for key in added:
        delattr(owner, key)
    return [f"{name}.{key}" for key in (*changed, *added)]


def _hides_inherited(owner: type, key: str) -> bool:
    """Whether a class got a method that its bases have: as good as replaced, unless torch only watches it."""
    hooked = getattr(vars(owner)[key], "hooked", False)  # see `_is_equal`
    return not hooked and any(key in vars(base) for base in owner.__mro__[1:])


def _counts(value: Any, own: bool) -> bool:
    """Whether an attribute is code, or in this project a plain value: a library's own counters go on counting."""
    return callable(value) or isinstance(value, _DESCRIPTORS) or (own and isinstance(value, _VALUES))


def _is_equal(value: Any, before: Any) -> bool:
    """Whether a number or text is another object, but the same, or a function is the same and torch only watches it."""
    if getattr(value, "hooked", False):  # the first optimiser of each kind has torch wrap `step` for its profiler
        return getattr(value, "__wrapped__", None) is before
    return type(value) is type(before) and isinstance(value, _VALUES) and bool(value == before)


def _same_content(first: Any, second: Any) -> bool:
    if isinstance(first, set):
        return bool(first == second)
    pairs = zip(first.items(), second.items(), strict=True) if isinstance(first, dict) else ()
    if len(first) != len(second):
        return False
    if isinstance(first, dict):
        return all(key == other and value is old for (key, value), (other, old) in pairs)
    return all(map(lambda value, old: value is old, first, second))
