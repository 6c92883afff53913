"""The benchmark of preparing large data, on small data."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "prepare_at_scale.py"


def test_the_benchmark_takes_generated_tables_through_every_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(SCRIPT))
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path))
    script["write_tables"](tmp_path / "taobao-mm" / "raw", users=120, events=60, items=3_000)
    stages = script["prepare"](tmp_path / "cache")
    printed = capsys.readouterr().out
    assert len(stages.rows) == 9
    for name, seconds, _, peak in stages.rows:
        assert name in printed
        assert seconds >= 0
        assert peak > 1
    assert "users, " in printed.splitlines()[-1]
    script["print_slopes"](stages, stages, 1_000)
    assert capsys.readouterr().out.count("| 0.00 | 0.0 |") == 9
