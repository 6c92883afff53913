"""A bench that is killed, terminated or interrupted at any moment: one line at most, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.execution.interruption import MESSAGE
from bench.execution.store import ResultStore
from bench.plan import Plan

ROOT = Path(__file__).parents[3]
LINE = f"error: {MESSAGE}\n"
SECONDS = 10
"""After which no process may be left."""

pytestmark = [
    pytest.mark.usefixtures("tiny_ml_100k", "outside_models"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


class Bench:
    """A bench in a process of its own; its worker processes are known by a variable of their environment."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.results, self._mark = folder / "results", f"GLASS_BENCH_TEST={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        command = [sys.executable, "-m", "bench", "run", "--datasets", "ml-100k", "--seeds", "1", *options]
        self.process = subprocess.Popen(
            [*command, "--results", str(self.results), "--reports", str(folder / "reports")],
            cwd=ROOT,
            env={**os.environ, name: value},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # What a shell starts in the background ignores Ctrl-C, and so would everything that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def listens(self) -> bool:
        """Whether SIGTERM reaches the bench itself: Python is up."""
        caught = Path(f"/proc/{self.process.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def is_at(self, run: str) -> bool:
        """Whether a worker process is making runs, and has said so."""
        return any(run in path.read_text() for path in self.results.glob("runs/.progress/*.log"))

    def family(self) -> list[int]:
        """Processes of this bench that are still there."""
        return family_of(self._mark)

    def end(self) -> str:
        """Waits for the end of the bench; returns what it has said on standard error."""
        _, said = self.process.communicate(timeout=500)
        return said

    def is_gone(self) -> bool:
        """Whether nothing is left soon after the end."""
        return when(lambda: not self.family(), seconds=SECONDS)


def family_of(mark: str) -> list[int]:
    """Processes that have a variable in their environment, as whatever they have started."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _content(path)]


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def when(condition: Callable[[], bool], seconds: float = 240) -> bool:  # a busy machine is no failure
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def bench(tmp_path: Path, outside_models: Path) -> Iterator[Callable[..., Bench]]:
    outside_models.write_text(outside_models.read_text() + "outside-hung = unruly_models:Hung\n")
    started: list[Bench] = []

    def start(*options: str) -> Bench:
        started.append(Bench(tmp_path, *options))
        return started[-1]

    yield start
    for one in started:
        for pid in one.family():
            os.kill(pid, signal.SIGKILL)


def test_workers_end_with_a_bench_that_is_killed(bench: Callable[..., Bench]) -> None:
    killed = bench("--models", "outside-hung", "--jobs", "1")
    assert when(lambda: killed.is_at("waiting"))
    assert len(killed.family()) >= 2
    killed.process.kill()
    killed.end()
    assert killed.is_gone()


def test_an_interrupt_during_start_up_is_one_line(bench: Callable[..., Bench]) -> None:
    started = bench("--models", "outside-hung", "--jobs", "1")
    assert when(started.listens)
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.end() == LINE
    assert started.process.returncode == 130
    assert started.is_gone()


def _run_script(folder: Path, text: str, *arguments: str) -> tuple[int, str, str]:
    """Runs a module by `python -m`, as the bench itself; returns exit code, output and what it said of errors."""
    (folder / "interrupted.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "interrupted", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


LISTENING = """
import os, signal, sys, time
from bench.execution import interruption

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
interruption.listen()
interruption.begin()
code = 0
"""
ENDING = """
except KeyboardInterrupt:
    code = interruption.EXIT_CODE
finally:
    interruption.end()
os.kill(os.getpid(), signal.SIGINT)  # comes too late to change anything
sys.exit(code)
"""
INTERRUPTED_TEXT = """
try:
    exec("os.kill(os.getpid(), signal.SIGINT)")  # as `dataclasses` does with the text of each class
"""


def test_an_interrupt_in_code_given_as_text_leaves_the_exit_code_alone(tmp_path: Path) -> None:
    """Python ends by SIGINT, not with its code, where KeyboardInterrupt has passed through code given as text."""
    assert _run_script(tmp_path, LISTENING + INTERRUPTED_TEXT + ENDING) == (130, "", "")


IMPORTED = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
sum(range(10_000_000))
print("imported")
"""
INTERRUPTED_IMPORT = """
try:
    try:
        import imported
    finally:
        print("left")
    time.sleep(60)
"""
INTERRUPTED_IMPORT_BEFORE_A_CLOSING_BLOCK = """
try:
    def load():
        with interruption.closing():
            import imported
            time.sleep(0.2)
            print("left")
        print("not reached")
    load()
"""
INTERRUPTED_DESTRUCTOR = """
class Kept:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))
try:
    kept = Kept()
    del kept
    print("left")
    time.sleep(60)
"""
STARTED_BY_AN_IMPORT = """
if __name__ == "__main__":
    import interrupted  # and the command runs for as long as this lasts
names = {"__name__": "bench.job", "os": os, "signal": signal, "time": time}
exec("def run(): os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", names)
try:
    names["run"]()
except KeyboardInterrupt:
    print("left")
interruption.end()
os._exit(interruption.EXIT_CODE)
"""
ENDED_SOON_AFTER_AN_IMPORT = """
import imported
interruption.end()
time.sleep(0.2)
print("left")
"""


@pytest.mark.parametrize("text", [INTERRUPTED_IMPORT, INTERRUPTED_IMPORT_BEFORE_A_CLOSING_BLOCK])
def test_an_interrupt_waits_for_the_end_of_an_import(text: str, tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text(IMPORTED)
    assert _run_script(tmp_path, LISTENING + text + ENDING) == (130, "imported\nleft\n", "")


def test_an_interrupt_in_a_destructor_is_raised_behind_it(tmp_path: Path) -> None:
    assert _run_script(tmp_path, LISTENING + INTERRUPTED_DESTRUCTOR + ENDING) == (130, "left\n", "")


def test_an_interrupt_does_not_wait_for_the_import_that_runs_the_bench(tmp_path: Path) -> None:
    assert _run_script(tmp_path, LISTENING + STARTED_BY_AN_IMPORT) == (130, "left\n", "")


def test_an_interrupt_that_waits_changes_nothing_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text(IMPORTED)
    assert _run_script(tmp_path, LISTENING + ENDED_SOON_AFTER_AN_IMPORT) == (0, "imported\nleft\n", "")


INTERRUPTED_TORCH = """
import subprocess
PRESS = "import os, sys, time; print(flush=True); input(); time.sleep(float(sys.argv[1])); os.kill(os.getppid(), 2)"
presser = subprocess.Popen(
    [sys.executable, "-c", PRESS, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
)
presser.stdout.readline()

def in_compiled_code(frame, event, called):
    if event == "c_call" and getattr(called, "__name__", "") == "_c10d_init":  # it calls Python, and catches nothing
        sys.setprofile(None)
        presser.stdin.write(chr(10))

sys.setprofile(in_compiled_code)
try:
    import torch
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.001, 0.002, 0.005, 0.01, 0.02])
def test_an_interrupt_while_a_compiled_package_is_imported(seconds: float, tmp_path: Path) -> None:
    assert _run_script(tmp_path, LISTENING + INTERRUPTED_TORCH + ENDING, str(seconds)) == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_three_signals_in_a_row_are_one_line(number: int, bench: Callable[..., Bench]) -> None:
    """The whole group gets them, as when a key is pressed or a terminal is closed."""
    running = bench("--models", "outside,outside-hung", "--jobs", "2")
    assert when(lambda: running.is_at("waiting"))
    assert when(lambda: bool(list(running.results.glob("runs/ml-100k/outside/*/result.json"))))
    for _ in range(3):
        (os.killpg if number == signal.SIGINT else os.kill)(running.process.pid, number)
        time.sleep(0.15)
    assert running.end() == LINE
    assert running.process.returncode == 130
    assert running.is_gone()
    plan = Plan.read(running.results, "full")
    assert [ResultStore(running.results).load(run) is not None for run in plan.runs] == [True, False]
    assert list((running.results / "runs" / ".progress").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_bench_may_end_at_any_moment(number: int, bench: Callable[..., Bench]) -> None:
    moments = np.random.default_rng(number).uniform(0, 12, 4)
    for moment in moments:
        ended = bench("--models", "outside,popularity,outside-hung", "--jobs", "2", "--force")
        assert when(ended.listens)
        time.sleep(moment)
        os.kill(ended.process.pid, number)
        said = ended.end()
        assert said == ("" if number == signal.SIGKILL else LINE), moment
        assert ended.is_gone(), moment
    again = bench("--models", "outside,popularity", "--jobs", "1", "--force")
    assert again.end() == ""
    assert again.process.returncode == 0
    assert [path for path in again.results.rglob("*") if path.name.endswith((".new", ".old"))] == []
