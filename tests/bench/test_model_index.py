"""What lists show of models is what the classes say, though none is imported for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import model_index
from bench.errors import BenchError, SkippedRun
from bench.model_index import INDEX, ModelEntry, indexed, model_entry, write_index
from bench.registry import BUILT_IN, model_class


def test_the_index_has_every_model_in_the_order_of_the_registry() -> None:
    assert list(indexed()) == list(BUILT_IN), "run `python -m bench.model_index`"


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_index_says_what_the_model_says(name: str) -> None:
    try:
        model = model_class(name)
    except SkippedRun as skipped:
        pytest.skip(str(skipped))
    assert indexed()[name] == ModelEntry.of(model), "run `python -m bench.model_index`"


def test_what_is_written_is_what_is_committed(tmp_path: Path) -> None:
    write_index(tmp_path / "index.json")
    assert (tmp_path / "index.json").read_text() == INDEX.read_text(), "run `python -m bench.model_index`"


def test_a_model_whose_package_is_missing_keeps_its_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = list(BUILT_IN)[:3]
    monkeypatch.setattr(model_index, "BUILT_IN", (first, second))
    write_index(path := tmp_path / "index.json")
    before = path.read_text()

    def missing(name: str) -> type:
        raise SkippedRun(f"{name} needs a package")

    monkeypatch.setattr(model_index, "BUILT_IN", (first, second, third))
    monkeypatch.setattr(model_index, "model_class", missing)
    write_index(path)
    assert path.read_text() == before


def test_models_of_other_packages_are_asked_themselves(outside_models: Path) -> None:
    import outside_models as theirs

    assert model_entry("outside") == ModelEntry.of(theirs.Outside)
    with pytest.raises(BenchError, match="outside-broken"):
        model_entry("outside-broken")
