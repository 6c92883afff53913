"""The benchmark of dask workers, on two runs."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("distributed")
SCRIPT = Path(__file__).parent / "cluster_speed.py"


@pytest.mark.slow
def test_the_benchmark_measures_both_backends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SCRIPT))
    suite = script["many_runs"].write_suite(tmp_path, 1, 2)
    local, dask = script["measure"]("two runs", ["--suite", str(suite)], 1)
    assert capsys.readouterr().out.startswith("two runs: local ")
    assert min(local.processor, dask.processor) > 0
