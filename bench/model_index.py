"""What models say of themselves, in a file that is read in milliseconds where importing every network takes seconds.

`bench/model_index.json` is written from the classes, never by hand, whenever one of them says something else:

    python -m bench.model_index

A test holds that the two are equal.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import SkippedRun
from bench.files import replaced
from bench.recommender import Mechanism, Recommender
from bench.registry import BUILT_IN, model_class

INDEX = Path(__file__).with_name("model_index.json")


@dataclass(frozen=True)
class ModelEntry:
    """A model as lists show it; its fields are those of `Recommender`."""

    group: str
    paper: str
    year: int | None
    role: str
    summary: str
    fidelity: tuple[Mechanism, ...]

    @classmethod
    def of(cls, model: type[Recommender]) -> ModelEntry:
        """Asks the class itself."""
        return cls(model.group, model.paper, model.year, model.role, model.summary, model.fidelity)

    @classmethod
    def read(cls, written: dict[str, Any]) -> ModelEntry:
        """Reads an entry of the file.

        Raises:
            TypeError: Fields are missing, or there are others.
        """
        return cls(**{**written, "fidelity": tuple(Mechanism(**line) for line in written["fidelity"])})


def model_entry(name: str) -> ModelEntry:
    """Finds what a model says of itself; imports it only where the file does not know it.

    Raises:
        SkippedRun: As `model_class`, for a model that is not in the file.
        BenchError: Likewise.
    """
    known = indexed() if name in BUILT_IN else {}
    return known[name] if name in known else ModelEntry.of(model_class(name))


@cache
def indexed() -> dict[str, ModelEntry]:
    """Reads the file: entries by model."""
    return {name: ModelEntry.read(written) for name, written in json.loads(INDEX.read_text(encoding="utf-8")).items()}


def write_index(path: Path = INDEX) -> None:
    """Writes the entries of all built-in models, in the order of the registry.

    A model whose optional package is missing here keeps the entry that it has.
    """
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries: dict[str, Any] = {}
    for name in BUILT_IN:
        try:
            entries[name] = asdict(ModelEntry.of(model_class(name)))
        except SkippedRun:
            if name in before:
                entries[name] = before[name]
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_index()
