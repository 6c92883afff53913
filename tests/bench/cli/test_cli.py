from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.execution.store import ResultStore
from bench.plan import Plan

ROOT = Path(__file__).parents[3]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m bench` in a process of its own."""
    return subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "ful"], "unknown suite 'ful': did you mean full?"),
        (["run", "--suite", "absent.yaml"], "no suite file 'absent.yaml'"),
        (["run", "--models", "popularty"], "unknown model 'popularty': did you mean popularity"),
        (["run", "--models", ","], "--models: give at least one name"),
        (["run", "--datasets", "ml-10k"], "unknown data set 'ml-10k': did you mean ml-100k"),
        (["run", "--models", "popularity", "--set", "epochs=3"], "--set epochs=3: unknown key 'epochs'"),
        (["run", "--models", "item-knn", "--set", "neighbors=3"], "unknown key 'neighbors': did you mean neighbours"),
        (["run", "--seeds", "x"], "--seeds: should be a count"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "--device", "tpu"], "--device"),
        (["run", "--modles", "x"], "--modles"),
        (["report", "--suite", "ful"], "unknown suite 'ful': did you mean full?"),
        (["report", "--suite", "full"], "no results of suite 'full' in 'results': first run python -m bench run"),
        (["list", "modles"], "unknown listing 'modles': did you mean models?"),
    ],
)
@pytest.mark.usefixtures("tiny_ml_100k")
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, refused: Callable[[list[str]], str]
) -> None:
    assert message in refused(arguments)
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_models_from_outside_run_in_worker_processes_and_a_failure_sets_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    options = ["--models", "outside-raising,popularity,outside", "--datasets", "ml-100k", "--seeds", "1"]
    options += ["--set", "schedule.epochs=2"]
    first = bench("run", *options, *folders)
    assert (first.returncode, first.stderr) == (1, "")
    assert "2 complete, 1 failed, 0 skipped" in first.stdout
    assert "outside-raising on ml-100k, seed 0: RuntimeError: the loss is not a number" in first.stdout
    assert re.search(r"outside on ml-100k, seed 0: NDCG@10 0\.\d{4}, Recall@10 0\.\d{4}, ", first.stdout)

    plan = Plan.read(tmp_path / "results", "full")
    assert plan.command == f"python -m bench run --suite full {' '.join(options)}"
    result = ResultStore(tmp_path / "results").load(plan.runs[2])
    assert result is not None
    assert len(result.curve) == 2

    assert main(["run", "--models", "popularity,outside", *options[2:], *folders]) == 0
    assert "nothing to do, all 2 runs are complete" in capsys.readouterr().out
    assert (tmp_path / "reports" / "full" / "report.md").exists()


@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_a_report_needs_results_only_and_no_torch(tmp_path: Path) -> None:
    folders = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main(["run", "--models", "popularity", "--datasets", "ml-100k", "--seeds", "1", *folders]) == 0
    page = tmp_path / "reports" / "full" / "report.md"
    before = page.read_text()
    page.unlink()
    code = (
        "import sys; from bench.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'baselines', 'models'} & set(sys.modules), 'imports models'; sys.exit(code)"
    )
    rebuilt = subprocess.run([sys.executable, "-c", code, "report", *folders], cwd=ROOT, capture_output=True, text=True)
    assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
    assert page.read_text() == before


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_ctrl_c_keeps_what_is_complete(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "bench", "run", "--models", "outside,outside-slow", "--datasets", "ml-100k"]
    process = subprocess.Popen(
        [*command, "--seeds", "1", "--jobs", "1", "--results", str(results), "--reports", str(tmp_path / "reports")],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so would everything that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 240  # a busy machine is no failure
    while not list(results.glob("runs/ml-100k/outside/*/result.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    # Python ends itself by the signal where the interrupt struck inside a module that was being imported; a shell
    # reports 130 either way.
    assert process.returncode in (130, -signal.SIGINT)
    assert complaint == "error: interrupted; complete results are kept, and the same command goes on from there\n"
    plan = Plan.read(results, "full")
    assert [ResultStore(results).load(run) is not None for run in plan.runs] == [True, False]
    assert list((results / "runs" / ".progress").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "models"], ["popularity", "outside", "a model from outside", "1 faithful", "not available: "]),
        (["list", "models", "--fidelity"], ["drawing lots", "folklore"]),
        (["list", "datasets"], ["ml-100k", "GroupLens"]),
        (["list", "suites"], ["smoke", "full", "reproduce"]),
    ],
)
@pytest.mark.usefixtures("outside_models")
def test_list(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    for word in words:
        assert word in shown


@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_a_report_that_can_not_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import report

    folders = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]

    def fail(*_: object, **__: object) -> None:
        raise KeyError("ndcg")

    monkeypatch.setattr(report, "write_report", fail)
    assert main(["run", "--models", "popularity", "--datasets", "ml-100k", "--seeds", "1", *folders]) == 2
    shown = capsys.readouterr()
    assert "1 complete, 0 failed" in shown.out
    assert shown.err.startswith("error: the report could not be written (KeyError: 'ndcg'): all results are kept, and ")
    assert shown.err.count("\n") == 1
    assert main(["report", *folders]) == 2
    assert capsys.readouterr().err == "error: the report could not be written (KeyError: 'ndcg')\n"


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_a_swapped_table_is_a_failed_row_of_the_report_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    options = ["--models", "popularity,item-knn", "--datasets", "ml-100k", "--seeds", "1", *folders]
    assert main(["run", *options]) == 0
    runs = Plan.read(tmp_path / "results", "full").runs
    mine, other = (ResultStore(tmp_path / "results").folder(run) / "queries.parquet" for run in runs)
    right = mine.read_bytes()
    mine.write_bytes(other.read_bytes())
    capsys.readouterr()
    assert main(["report", *folders]) == 1
    reason = f"unreadable result file '{mine}' (not the file that this run wrote)"
    assert f"failed: popularity on ml-100k, seed 0: {reason}" in capsys.readouterr().out
    assert "not the file that this run wrote" in (tmp_path / "reports" / "full" / "report.md").read_text()
    assert main(["run", *options]) == 0
    assert "1 run to do, 1 is complete" in capsys.readouterr().out
    assert mine.read_bytes() == right
