"""What `bench doctor` finds: versions, devices, memory, disk, data, caches, and what a suite still has to do."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from loky import cpu_count

from bench.cli.run_options import Device, usable
from bench.console import Console
from bench.data import catalog
from bench.errors import BenchError, SkippedRun
from bench.execution import environment
from bench.execution.outlook import Outlook
from bench.execution.scheduler import Workers
from bench.execution.store import stored_results
from bench.execution.upkeep import abandoned, caches, under_way
from bench.plan import expand
from bench.spec import DatasetSpec, Suite

_EXTRAS = ("optuna", "distributed", "mlflow-skinny", "tensorboard", "sentence-transformers", "recbole")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def findings(
    suite: Suite, results: Path, console: Console, settings: Sequence[str] = ()
) -> Iterator[tuple[str, Iterator[str]]]:
    """What a run would find, as lines under headings.

    Args:
        suite: Whose data and runs are looked at.
        results: Folder of the results.
        console: For warnings.
        settings: As of `--set`.
    """
    yield "versions", _versions()
    yield "machine", _machine(results)
    yield "data", _data(suite)
    yield "caches", cached(results)
    yield f"suite {suite.name}", _todo(suite, results, console, settings)


def _versions() -> Iterator[str]:
    found = environment.versions()
    yield ", ".join(f"{package} {number}" for package, number in found.items() if package != "recbole")
    yield f"commit {environment.commit() or 'unknown'}, {platform.platform()}"
    for package in _EXTRAS:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package} is not installed"


def _machine(results: Path) -> Iterator[str]:
    device = usable(Device.auto)
    yield f"{cpu_count()} cores, {environment.device_name('cpu')}"
    if device == "cuda":
        yield f"{len(environment.gpus())} GPUs, {environment.device_name('cuda')}"
    else:
        yield "no GPU that torch can use"
    memory = psutil.virtual_memory()
    yield f"memory: {size_of(memory.available)} of {size_of(memory.total)} available"
    existing = next(path for path in (results, *results.resolve().parents) if path.exists())
    yield f"disk: {size_of(shutil.disk_usage(existing).free)} free for '{results}'"


def _data(suite: Suite) -> Iterator[str]:
    for spec in suite.datasets:
        yield f"{spec.label}: {_found(spec)}"


def _found(spec: DatasetSpec) -> str:
    try:
        events = catalog.load_dataset(spec.name, spec.files, spec.sample_users).interactions
    except (BenchError, SkippedRun) as error:
        return f"missing: {error}"
    return f"found: {events.n_users:,} users, {events.n_items:,} items, {events.n_events:,} events"


def cached(results: Path) -> Iterator[str]:
    stored = caches(results)
    for one in stored:
        yield f"{one.kind}: {one.files} files, {size_of(one.size)}"
    left = abandoned(results)
    if left and not under_way(results):
        yield f"left by killed processes: {len(left)}"
    yield "`bench cache clean` removes them" if stored or left else "nothing is cached"


def _todo(suite: Suite, results: Path, console: Console, settings: Sequence[str]) -> Iterator[str]:
    try:
        runs = [
            spec for spec in expand(suite, settings, where=suite.name) if spec.data_hash
        ]  # the others lack their data
    except BenchError as error:
        yield f"can't be run: {error}"
        return
    known = stored_results(runs, results, console)
    complete = {result.spec.key for result in known if result.status == "complete"}
    todo = list({spec.key: spec for spec in runs if spec.key not in complete}.values())
    yield f"{len(runs)} runs, {len(todo)} of them to do"
    if todo:
        workers = Workers.for_machine(usable(Device.auto), None, len(runs))
        yield str(workers)
        outlook = Outlook.on(workers, todo, known)
        yield from () if outlook is None else outlook.lines()


def size_of(n_bytes: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} {_UNITS[-1]}"
