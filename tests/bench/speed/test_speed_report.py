"""`bench speed` from the command to the page: what is there is not measured again, and what failed says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.analysis.declared import FrameColumns
from bench.cli.main import main
from bench.spec import Entry
from bench.speed import job
from bench.speed.columns import SPEED
from bench.speed.figures import growth, one_answer
from bench.speed.job import tasks_of
from bench.speed.machine import Machine, measure_machine
from bench.speed.measure import Task, measure
from bench.speed.setting import Sweep

MACHINE = Machine("cpu", "some processor", 2, 1e10, 1e11, 1e9, "float32", {"torch": "2"}, "abcdef", "2026-01-01")


def found_of(task: Task) -> dict[str, Any]:
    """Times in proportion to the sizes, so that growth can be told; one row is out of order at long histories."""
    length, items = task.setting.length, task.setting.items
    if task.row == "hstu" and length >= 1_000:
        raise MemoryError("too long")
    seconds = length * (1e-4 if task.row == "hstu" else 1e-6)
    answers = {
        str(n): {"seconds": [n * seconds, 3 * n * seconds, 2 * n * seconds], "flops": 1e6 * n, "mib": 10.0}
        for n in task.setting.queries
    }
    step = {"step": [seconds, seconds + items * 1e-9], "step_flops": None, "training_mib": 7.0}
    return {"parameters": 1_000, "preparation": [2.0], "answers": answers, **step}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was measured so far; no process is started."""
    done: list[str] = []

    def directly(work: Callable[..., Any], *arguments: Any, threads: int) -> Any:
        if work is measure_machine:
            done.append("machine")
            return MACHINE
        assert work is measure
        (task,) = arguments
        done.append(f"{task.row} {task.setting.length} {task.setting.items} {task.setting.events}")
        return found_of(task)

    monkeypatch.setattr(job, "in_own_process", directly)
    return done


def speed(folder: Path, *options: str, code: int = 0) -> pd.DataFrame:
    common = ("speed", "--device", "cpu", "--threads", "2", "--results", str(folder), "--reports", str(folder / "r"))
    assert main([*common, *options]) == code
    return pd.read_csv(folder / "speed" / "speed.csv")


def checked(frame: pd.DataFrame, declared: FrameColumns) -> None:
    declared.checked(frame.astype(dict.fromkeys(("bound", "reason"), object)).fillna({"bound": "", "reason": ""}))


FEW = ("--models", "sasrec-ce,hstu", "--items", "100", "--events", "64", "--queries", "4,1")


def test_a_call_goes_on_where_the_one_before_ended(tmp_path: Path, measured: list[str]) -> None:
    speed(tmp_path, *FEW, "--lengths", "100,200")
    assert measured == [
        "machine",
        *(f"{row} {length} 100 64" for length in (100, 200) for row in ("sasrec-ce", "hstu")),
    ]
    measured.clear()
    speed(tmp_path, *FEW, "--lengths", "100,200,300")
    assert measured == ["sasrec-ce 300 100 64", "hstu 300 100 64"]
    measured.clear()
    speed(tmp_path, *FEW, "--lengths", "200,100,300")  # now 200 is asked by one query, too
    assert measured == ["sasrec-ce 200 100 64", "hstu 200 100 64"]
    measured.clear()
    table = speed(tmp_path, *FEW, "--lengths", "100", "--force")
    assert measured == ["machine", "sasrec-ce 100 100 64", "hstu 100 100 64"]
    checked(table, SPEED)
    assert table.groupby("measure").size().to_dict() == {"answer": 10, "preparation": 6, "training step": 6}


def test_medians_floors_and_shares(tmp_path: Path, measured: list[str]) -> None:
    table = speed(tmp_path, *FEW, "--lengths", "100")
    line = table[(table["row"] == "sasrec-ce") & (table["queries"] == 4)].iloc[0]
    assert line["median_ms"] == pytest.approx(0.8)
    assert (line["low_ms"], line["high_ms"]) == pytest.approx((0.6, 1.0))
    assert line["per_second"] == pytest.approx(5_000)
    assert line["floor_ms"] == pytest.approx(0.04)
    assert line["bound"] == "arithmetic"
    assert line["share"] == pytest.approx(0.05)
    step = table[(table["row"] == "sasrec-ce") & (table["measure"] == "training step")].iloc[0]
    assert step["peak_memory_mib"] == 7
    assert step[["gflop", "floor_ms", "share"]].isna().all()


def test_the_page_shows_how_rows_grow_and_what_failed(tmp_path: Path, measured: list[str]) -> None:
    table = speed(tmp_path, *FEW, "--lengths", "100,200,1000", code=1)
    failed = table[table["status"] == "failed"]
    assert failed["row"].tolist() == ["hstu"]
    assert failed["reason"].tolist() == ["MemoryError: too long"]
    text = (tmp_path / "r" / "speed" / "report.md").read_text()
    assert "hstu, 1,000 events, 100 items: MemoryError: too long" in text
    assert "10 x" in text  # sasrec-ce from 100 to 1,000 events
    assert "python -m bench speed --models sasrec-ce,hstu" in text
    assert (tmp_path / "r" / "speed" / "figures" / "cpu-answer-by-length.svg").is_file()
    assert (tmp_path / "r" / "speed" / "report.html").stat().st_size > 20_000
    measured.clear()
    speed(tmp_path, *FEW, "--lengths", "100,200,1000", code=1)
    assert measured == ["hstu 1000 100 64"], "what failed is tried again"


def test_growth_holds_all_other_sizes_still(tmp_path: Path, measured: list[str]) -> None:
    table = speed(tmp_path, *FEW, "--lengths", "100,200,300", "--items", "100,1000")
    grown = growth(table, "answer", "length")
    assert set(grown["queries"]) == {4}
    assert set(grown["items"]) == {100}
    assert grown[grown["row"] == "hstu"]["length"].tolist() == [100, 200, 300]
    assert growth(table, "answer", "beam").empty
    assert set(one_answer(table)["queries"]) == {1}


def test_quality_is_drawn_against_latency(tmp_path: Path, measured: list[str]) -> None:
    lines = [
        {"schema": 5, "suite": "some", "dataset": "data", "row": row, "model": row, "role": "baseline", "seed": seed}
        | {"level": "item", "slice": "overall", "metric": "ndcg@10", "value": 0.1 + 0.01 * seed, "queries": 9}
        for row in ("sasrec-ce", "hstu")
        for seed in (0, 1)
    ]
    (tmp_path / "some" / "data").mkdir(parents=True)
    pd.DataFrame(lines).to_csv(tmp_path / "some" / "data" / "metrics.csv", index=False)
    speed(tmp_path, *FEW, "--lengths", "100", "--quality", "some")
    assert (tmp_path / "r" / "speed" / "figures" / "cpu-quality-data.png").is_file()
    assert "Quality against latency" in (tmp_path / "r" / "speed" / "report.md").read_text()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--lengths", "many"), "error: --lengths 'many': give positive whole numbers, comma-separated"),
        (("--models", "glas"), "error: unknown model 'glas': did you mean glass"),
        (("--quality", "nothing"), "error: no figures of suite 'nothing'"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str], options: tuple[str, str], line: str
) -> None:
    given = ["speed", "--device", "cpu", *FEW[2:], "--models", "popularity", "--results", str(tmp_path / "a")]
    assert main([*given, *options, "--reports", str(tmp_path / "b")]) == 2
    (written,) = capsys.readouterr().err.splitlines()
    assert written.startswith(line)
    assert not measured  # bad input is told before anything is measured


def test_the_rows_of_the_suite_that_learn_are_measured_by_default(tmp_path: Path, measured: list[str]) -> None:
    table = speed(tmp_path, "--lengths", "100", "--items", "100", "--events", "64", "--queries", "1")
    assert {"glass", "tiger-extended-copying", "sim", "hstu", "sasrec-ce"} <= set(table["row"])
    assert not {"popularity", "counts-whole", "item-knn"} & set(table["row"])


def test_a_row_with_a_window_is_measured_with_the_whole_history_too(tmp_path: Path, measured: list[str]) -> None:
    few = ("--models", "sasrec-ce,glass", "--items", "100", "--events", "64", "--queries", "1", "--lengths", "30,700")
    table = speed(tmp_path, *few, "--whole")
    rows = ("sasrec-ce", "sasrec-ce-whole", "glass")  # glass has no key `length`: its search reads everything already
    assert measured == ["machine", *(f"{row} {length} 100 64" for length in (30, 700) for row in rows)]
    assert set(table["row"]) == set(rows)
    assert "--queries 1 --whole" in (tmp_path / "r" / "speed" / "report.md").read_text()


def test_the_window_of_such_a_row_is_the_history_s_length() -> None:
    entries = [Entry(model="sasrec-ce", config={"length": 50}), Entry(model="glass")]
    settings = Sweep((30, 700), (100,), (64,), (None,), (1,)).settings()
    tasks, _ = tasks_of(entries, settings, "cpu", 1, 2, False, whole=True)
    windows = {(task.row, task.setting.length): task.config.get("length") for task in tasks}
    assert windows == {
        ("sasrec-ce", 30): 50,
        ("sasrec-ce", 700): 50,
        ("sasrec-ce-whole", 30): 30,
        ("sasrec-ce-whole", 700): 700,
        ("glass", 30): None,
        ("glass", 700): None,
    }


@pytest.mark.slow
def test_real_processes_measure_a_real_row(tmp_path: Path) -> None:
    few = ("--items", "100", "--events", "64", "--queries", "2", "--lengths", "20", "--repeats", "2")
    table = speed(tmp_path, "--models", "sasrec-ce", *few)
    assert table["status"].tolist() == ["complete"] * 3
    assert table[table["measure"] == "answer"]["share"].between(0, 1).all()
