"""The benchmark of recorded training steps, on a small catalogue."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "training_speed.py"


def test_the_benchmark_times_steps_however_launched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SCRIPT))
    train = script["made_up"](users=12, length=20, items=40)
    assert train.interactions.n_users == 12
    for eager in (False, True):
        script["trained"]("sasrec-ce", 64, train, "cpu", tmp_path, eager)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["sasrec-ce"] * 2
    assert "ms a step of 64 events" in lines[0]
