"""The benchmark of large grids, on a small one."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "many_runs.py"


@pytest.mark.slow
def test_the_benchmark_makes_a_grid_and_finds_it_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SCRIPT))
    made, again, report = script["measure"](SCRIPT.parents[2], tmp_path, datasets=2, seeds=2, jobs=2)
    assert capsys.readouterr().out.count("\n") == 3
    assert again.processor < made.processor
    assert min(usage.mebibytes for usage in (made, again, report)) > 50
