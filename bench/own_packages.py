"""Whether the packages that this project imports by name are its own. Imports nothing that takes time."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from bench.errors import BenchError

_IMPORTED_BY_NAME = ("baselines", "models")
_HOME = Path(__file__).resolve().parents[1]
"""The folder in which the packages of this project lie beside each other."""


def check_own_packages(home: Path = _HOME) -> None:
    """Makes sure that the models that will be imported are those of this project.

    With `python -m bench` the current folder comes first on Python's path, so that a folder `models` in it would hide
    ours.

    Args:
        home: The folder in which they have to lie.

    Raises:
        BenchError: Python finds another package or module, or none, under the name of one of ours.
    """
    for name in _IMPORTED_BY_NAME:
        spec = find_spec(name)
        if spec is None:
            raise BenchError(f"there is no package '{name}' in {home}: install glass-bench again")
        places = _places(spec)
        if home / name not in places:
            raise BenchError(
                f"{places[0]} hides the package '{name}' of glass-bench ({home / name}): use the command "
                "`glass-bench`, which does not look into the current folder, or go to another folder"
            )


def _places(spec: ModuleSpec) -> list[Path]:
    """The folders of a package, or the file of a module."""
    return [Path(place).resolve() for place in spec.submodule_search_locations or [str(spec.origin)]]
