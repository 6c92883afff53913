"""Small files in the states in which they are found, and what is read from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.protocols import Queries
from bench.data.sources.own import load_own
from bench.errors import BenchError

CASES = Path(__file__).parent / "cases"


def load(path: Path, **options: object) -> Dataset:
    return load_own("toy", DataFiles.model_validate({"path": str(path), **options}))


def history(dataset: Dataset, user: str) -> list[str]:
    row = dataset.interactions.row(dataset.user_ids.tolist().index(user))
    return dataset.item_ids[dataset.interactions.items[row]].tolist()


def targets(dataset: Dataset, queries: Queries) -> dict[str, str]:
    return {
        str(dataset.user_ids[user]): str(dataset.item_ids[item])
        for user, item in zip(queries.users, queries.targets, strict=True)
    }


def notes_of(dataset: Dataset) -> str:
    return " | ".join(dataset.filters)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(BenchError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ROWS = [("u", "c", 3), ("u", "b", 2), ("u", "a", 1), ("v", "b", 5), ("v", "a", 4)]
DAY = 86_400
START = 1_600_000_000


def atomic(path: Path, header: str, lines: list[str]) -> Path:
    return write(path, "\n".join([header, *lines]) + "\n")
