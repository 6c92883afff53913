"""How long a grid takes on a dask cluster of two workers of one thread each, beside `--jobs 2` on the same machine.

    python tests/benchmarks/cluster_speed.py    # 11 rows of suite smoke, and 200 trivial runs; medians of 3
    python tests/benchmarks/cluster_speed.py --rounds 1 --rows popularity,item-knn --datasets 2 --seeds 2

Each round has a cluster of its own, so that what the first run of a worker costs is part of it; the cluster is there
before the clock starts. Processor seconds are those of the command, the cluster and all that they start: on a busy
machine the ratio of these tells more than that of the clock.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import many_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = "popularity,item-knn,tifuknn,gru4rec,sasrec-ce,hstu,lrurec,tiger,glass,dualgr,rpg"
CLUSTER = """
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of a grid on dask workers, beside the local one.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default=ROWS, help="of suite smoke")
    parser.add_argument("--datasets", type=int, default=10, help="of the trivial runs")
    parser.add_argument("--seeds", type=int, default=20, help="of the trivial runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many = many_runs.write_suite(Path(folder), arguments.datasets, arguments.seeds)
        measure("smoke", ["--suite", "smoke", "--models", arguments.rows], arguments.rounds)
        measure(f"{arguments.datasets * arguments.seeds} trivial runs", ["--suite", str(many)], arguments.rounds)


def measure(name: str, what: Sequence[str], rounds: int) -> tuple[many_runs.Usage, many_runs.Usage]:
    """Makes a grid in both ways, in turn, and prints the medians; returns these, first the local one."""
    here, there = [], []
    for _ in range(rounds):
        here.append(made(what, ["--jobs", "2"]))
        with cluster() as (process, address):
            before = processor_seconds(process)
            usage = made(what, ["--backend", "dask", "--scheduler", address])
            worked = usage.processor + processor_seconds(process) - before
            there.append(many_runs.Usage(usage.seconds, worked, usage.mebibytes))
    local, dask = (
        many_runs.Usage(
            median(usage.seconds for usage in usages),
            median(usage.processor for usage in usages),
            max(usage.mebibytes for usage in usages),
        )
        for usages in (here, there)
    )
    print(
        f"{name}: local {local.seconds:.1f} s ({local.processor:.1f} processor s), "
        f"dask {dask.seconds:.1f} s ({dask.processor:.1f} processor s): "
        f"{dask.seconds / local.seconds:.2f} x ({dask.processor / local.processor:.2f} x)",
        flush=True,
    )
    return local, dask


def made(what: Sequence[str], how: Sequence[str]) -> many_runs.Usage:
    """Makes a grid in a folder of its own. Processor seconds are those of all processes that the command has ended."""
    with tempfile.TemporaryDirectory() as folder:
        places = ["--results", f"{folder}/results", "--reports", f"{folder}/reports"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        usage = many_runs.used(many_runs.ROOT, ["run", *what, *how, *places, "--device", "cpu"])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return replace(usage, processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@contextmanager
def cluster() -> Iterator[tuple[psutil.Process, str]]:
    """A dask cluster of two workers in processes of their own, with its address."""
    process = psutil.Popen(
        [sys.executable, "-c", CLUSTER],
        cwd=many_runs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.communicate("\n")


def processor_seconds(process: Any) -> float:
    """Of a process and all that it has started, those that have ended and been waited for among them."""
    total = 0.0
    for member in (process, *process.children(recursive=True)):
        times = member.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


if __name__ == "__main__":
    main()
