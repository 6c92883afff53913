"""Parts that modules declare: in the order of the list, and no name twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.declarations import collected


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "declared_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "late.py").write_text("PARTS = {'z': 1, 'a': 2}")
    (folder / "early.py").write_text("PARTS = {'m': 3}")
    (folder / "again.py").write_text("PARTS = {'b': 4, 'm': 5}")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "declared_parts"


def test_parts_come_in_the_order_of_the_modules_and_of_their_tables(package: str) -> None:
    assert list(collected(package, ["late", "early"], "PARTS").items()) == [("z", 1), ("a", 2), ("m", 3)]


def test_a_name_that_two_modules_declare_is_refused(package: str) -> None:
    with pytest.raises(ValueError, match=r"declared_parts.again.PARTS has m, which another module has too"):
        collected(package, ["early", "again"], "PARTS")
