from pathlib import Path

import joblib
import pytest

from bench.execution.scheduler import DIED, Workers, run_all
from bench.execution.store import ResultStore
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, Suite


@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_a_worker_that_dies_fails_its_own_run_and_no_other(tmp_path: Path) -> None:
    models = ("outside-dying", "outside", "popularity")
    suite = Suite(
        name="s",
        description="",
        datasets=(DatasetSpec(name="ml-100k"),),
        models=tuple(Entry(model=model) for model in models),
        seeds=(0,),
    )
    specs = expand(suite)
    results: list[RunResult] = []
    run_all(specs, tmp_path, Workers("cpu", jobs=2, threads=1), results.append, lambda running: None)
    assert {result.spec.label: result.status for result in results} == {
        "outside-dying": "failed",
        "outside": "complete",
        "popularity": "complete",
    }
    assert len(results) == 3
    dead = ResultStore(tmp_path).load(specs[0])
    assert dead is not None
    assert dead.reason == DIED
    assert "last words" in (ResultStore(tmp_path).folder(specs[0]) / "log.txt").read_text()
    assert list((tmp_path / "runs" / ".progress").iterdir()) == []


def test_cores_are_divided_and_never_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    assert Workers.for_machine("cpu", None, 100) == Workers("cpu", jobs=6, threads=1)
    assert Workers.for_machine("cpu", None, 2) == Workers("cpu", jobs=2, threads=3)
    assert Workers.for_machine("cpu", 4, 100) == Workers("cpu", jobs=4, threads=1)
    assert Workers.for_machine("cuda", None, 100) == Workers("cuda", jobs=3, threads=2)
    assert Workers.for_machine("cpu", 3, 0) == Workers("cpu", jobs=1, threads=6)
