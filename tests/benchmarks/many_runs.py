"""How long a large grid of a trivial model takes: to make, store and report it, and to find it finished.

    python tests/benchmarks/many_runs.py                                    # 100 data sets x 100 seeds
    python tests/benchmarks/many_runs.py --datasets 20 --seeds 20 --beside ../other-checkout

Writes so many small data sets, runs `popularity` on each with every seed through the command line, two runs at a time,
and gives the same command again. Memory is that of the command and its worker processes together, looked at once a
second; on Linux pages that several of them share count once (PSS), elsewhere once in each. `--beside FOLDER` does the
same with the code of another checkout, one after the other: on a busy machine only such figures can be compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parents[2]
USERS, EVENTS, ITEMS = 40, 6, 60
"""Of each data set."""


@dataclass(frozen=True)
class Usage:
    """What a command took: seconds by the clock, processor seconds with those of its children, peak memory in MiB."""

    seconds: float
    processor: float
    mebibytes: float

    def __str__(self) -> str:
        return f"{self.seconds:8.1f} s, {self.processor:8.1f} processor s, {self.mebibytes:6.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of a grid of many trivial runs.")
    parser.add_argument("--datasets", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--beside", type=Path, default=None, help="another checkout, for comparison")
    arguments = parser.parse_args()
    for root in (ROOT, arguments.beside):
        if root is not None:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{root}: {arguments.datasets * arguments.seeds:,} runs", flush=True)
                measure(root.resolve(), Path(folder), arguments.datasets, arguments.seeds, arguments.jobs)


def measure(root: Path, folder: Path, datasets: int, seeds: int, jobs: int) -> list[Usage]:
    """Makes the grid with the code below `root`, and again, and rebuilds its report; prints a line for each."""
    suite = write_suite(folder, datasets, seeds)
    places = ["--results", str(folder / "results")]
    run = ["run", "--suite", str(suite), *places, "--reports", str(folder / "reports"), "--device", "cpu"]
    report = ["report", "--suite", "many", *places, "--reports", str(folder / "again")]
    usages = []
    for name, words in (("made", [*run, "--jobs", str(jobs)]), ("found finished", run), ("reported", report)):
        usages.append(used(root, words))
        print(f"  {name:<15} {usages[-1]}", flush=True)
    stored = len(list((folder / "results" / "runs").glob("*/*/s*/result.json")))
    if stored != datasets * seeds:
        raise SystemExit(f"{stored} of {datasets * seeds} results are there")
    return usages


def write_suite(folder: Path, datasets: int, seeds: int) -> Path:
    """Writes the data sets and a suite over them."""
    for number in range(datasets):
        rng = np.random.default_rng(number)
        item = (ITEMS * rng.random((USERS, EVENTS)) ** 2).astype(int)
        lines = [f"u{user},i{item[user, place]},{place}" for user in range(USERS) for place in range(EVENTS)]
        (folder / f"variant-{number}.csv").write_text("user,item,order\n" + "\n".join(lines) + "\n", encoding="utf-8")
    listed = "".join(f"  - {{path: variant-{number}.csv, order: order}}\n" for number in range(datasets))
    suite = folder / "many.yaml"
    suite.write_text(
        f"description: Many runs.\ndatasets:\n{listed}seeds: {seeds}\nmodels: [popularity]\n", encoding="utf-8"
    )
    return suite


def used(root: Path, words: list[str]) -> Usage:
    """Gives a command of this project, and waits for it.

    Raises:
        SystemExit: It failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(root), "GLASS_BENCH_COMMIT": "measured"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = psutil.Popen(
            [sys.executable, "-m", "bench", *words], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        peak, processor = 0, 0.0
        while process.poll() is None:
            peak, processor = max(peak, _resident(process)), max(processor, _processor(process))
            time.sleep(1.0 if time.perf_counter() - started > 10 else 0.1)
        seconds = time.perf_counter() - started
        if process.returncode:
            output.seek(0)
            raise SystemExit(output.read().decode()[-2000:])
    return Usage(seconds, processor, peak / 2**20)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    total = 0
    for member in _family(process):
        try:
            total += getattr(member.memory_full_info(), "pss", 0) or member.memory_info().rss
        except psutil.Error:
            continue
    return total


def _processor(process: psutil.Process) -> float:
    total = 0.0
    for member in _family(process):
        try:
            times = member.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
