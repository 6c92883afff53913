"""A configuration that a search has found is the one that a suite would write, to the last type."""

from __future__ import annotations

import pytest

from bench.cli.running import _as_if_written
from bench.spec import DatasetSpec, RunSpec


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("personal-popularity", {"half_life": 158, "window": 200, "smoothing": 200}),
        ("sasrec-ce", {"dropout": 0, "training": {"epochs": 20, "average": 0}}),
    ],
)
def test_whole_numbers_that_a_search_chose_give_the_key_of_the_written_row(
    model: str, found: dict[str, object]
) -> None:
    def key(values: dict[str, object]) -> str:
        run = RunSpec(
            dataset=DatasetSpec(name="ml-100k"),
            data_hash="h",
            model=model,
            revision=1,
            config=values,
            seed=0,
            label="r",
        )
        return _as_if_written(run).key

    assert key(found) == key(as_floats(found))


def as_floats(values: dict[str, object]) -> dict[str, object]:
    return {
        name: as_floats(value) if isinstance(value, dict) else float(value) if name in FLOATS else value  # type: ignore[arg-type]
        for name, value in values.items()
    }


FLOATS = {"half_life", "smoothing", "dropout", "average"}
