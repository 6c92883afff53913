"""Fixtures for tests of the whole harness: a tiny data set, and models from outside the packages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Test processes share the cores (`pytest -n 2`): with several threads each, small networks take several times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# For the same reason a suite that a test runs finds one core: it trains with one thread, and its report is drawn by the
# process that runs the test and has imported what draws, not by new ones.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")
# What is measured in tests says nothing of this machine, and what was measured on it decides nothing in tests.
os.environ["GLASS_BENCH_CACHE"] = (measured := tempfile.TemporaryDirectory(prefix="glass-bench-measured-")).name

import numpy as np
import pytest

from bench.cli.main import main
from bench.data import catalog

OUTSIDE = Path(__file__).parent / "bench" / "outside"
ENTRY_POINTS = """[glass_bench.models]
outside = outside_models:Outside
outside-raising = outside_models:Raising
outside-dying = outside_models:Dying
outside-slow = outside_models:Slow
outside-lacking = outside_models:Lacking
outside-broken = outside_models_nowhere:Broken
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, `@pytest.mark.slow(minutes=6)`: begun last, one would keep a process busy while the
    others have nothing left to do.
    """
    items.sort(key=lambda item: -max([mark.kwargs.get("minutes", 0) for mark in item.iter_markers("slow")], default=0))


@pytest.fixture
def tiny_ml_100k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts 30 users with 12 of 40 films each in the place of ml-100k, for this process and those that it starts."""
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    events = [
        f"{user}\t{item}\t3\t{1000 * user + position}"
        for user in range(30)
        for position, item in enumerate(rng.permutation(40)[:12])
    ]
    films = [f"{item}\tFilm {item}\t199{item % 10}\t{('Drama', 'Comedy')[item % 2]}" for item in range(40)]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "ml-100k.inter").write_text("\n".join([header, *events, ""]))
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    (folder / "ml-100k.item").write_text("\n".join([header, *films, ""]))
    monkeypatch.setenv("GLASS_BENCH_DATA", str(folder.parent))
    catalog.load_dataset.cache_clear()
    yield
    catalog.load_dataset.cache_clear()


@pytest.fixture
def outside_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs the distribution `outside-models`, for this process and those that it starts.

    Returns:
        Its `entry_points.txt`, for tests that declare something else.
    """
    installed = tmp_path / "site-packages"
    declared = installed / "outside_models-1.0.dist-info"
    declared.mkdir(parents=True)
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-models\nVersion: 1.0\n")
    (declared / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{OUTSIDE}")
    monkeypatch.syspath_prepend(str(OUTSIDE))
    monkeypatch.syspath_prepend(str(installed))
    return declared / "entry_points.txt"


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], str]:
    """Runs a command in `tmp_path` that has to end with exit code 2 and one line that says why; returns the line."""
    monkeypatch.chdir(tmp_path)

    def complaint_of(arguments: list[str]) -> str:
        assert main(arguments) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith("error: ")
        assert complaint.count("\n") == 1
        return complaint

    return complaint_of
