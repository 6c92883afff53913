"""The commands `python -m bench doctor` and `python -m bench cache clean`."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import psutil
import typer
from joblib import cpu_count

from bench.cli.run_options import Device, usable
from bench.console import Console, say
from bench.data import catalog
from bench.errors import BenchError, SkippedRun
from bench.execution import environment
from bench.execution.progress import Progress, clock
from bench.execution.scheduler import Workers
from bench.execution.store import stored_results
from bench.execution.upkeep import abandoned, caches, clean, under_way
from bench.plan import expand
from bench.spec import DatasetSpec, RunSpec, Suite
from bench.suite_files import load_suite

_EXTRAS = ("optuna", "distributed", "mlflow-skinny", "tensorboard", "sentence-transformers", "recbole")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

cache = typer.Typer(no_args_is_help=True, help="Look after what runs keep beside their results.")
ResultsOption = Annotated[Path, typer.Option(help="Folder of the results.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.command()(doctor)
    app.add_typer(cache, name="cache")


@cache.callback()
def _group() -> None:
    """Keeps `clean` a command of its own while it is the only one."""


@cache.command("clean")
def clean_(results: ResultsOption = Path("results")) -> None:
    """Remove cached artifacts, checkpoints and what killed processes have left; results stay."""
    say(Console(), f"{_size(clean(results))} removed from '{results}'; all results are kept")


@cache.command("show")
def show(results: ResultsOption = Path("results")) -> None:
    """Print what is cached, and how large it is."""
    for line in _cached(results):
        say(Console(), line)


def doctor(
    suite: Annotated[str, typer.Option(help="Whose data and runs are looked at: a name, or a .yaml file.")] = "full",
    results: ResultsOption = Path("results"),
) -> None:
    """Print what a run would find: versions, devices, memory, disk, data, caches, and what is still to do."""
    console = Console()
    chosen = load_suite(suite)
    for title, lines in (
        ("versions", _versions()),
        ("machine", _machine(results)),
        ("data", _data(chosen)),
        ("caches", _cached(results)),
        (f"suite {chosen.name}", _todo(chosen, results, console)),
    ):
        say(console, title)
        for line in lines:
            say(console, f"  {line}")


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
    yield f"memory: {_size(memory.available)} of {_size(memory.total)} available"
    existing = next(path for path in (results, *results.resolve().parents) if path.exists())
    yield f"disk: {_size(shutil.disk_usage(existing).free)} free for '{results}'"


def _data(suite: Suite) -> Iterator[str]:
    for spec in suite.datasets:
        yield f"{spec.label}: {_found(spec)}"


def _found(spec: DatasetSpec) -> str:
    try:
        events = catalog.load_dataset(spec.name, spec.files).interactions
    except (BenchError, SkippedRun) as error:
        return f"missing: {error}"
    return f"found: {events.n_users:,} users, {events.n_items:,} items, {events.n_events:,} events"


def _cached(results: Path) -> Iterator[str]:
    held = caches(results)
    for one in held:
        yield f"{one.kind}: {one.files} files, {_size(one.size)}"
    left = abandoned(results)
    if left and not under_way(results):
        yield f"left by killed processes: {len(left)}"
    yield "`bench cache clean` removes them" if held or left else "nothing is cached"


def _todo(suite: Suite, results: Path, console: Console) -> Iterator[str]:
    try:
        runs = [spec for spec in expand(suite, where=suite.name) if spec.data_hash]  # the others lack their data
    except BenchError as error:
        yield f"can't be run: {error}"
        return
    known = stored_results(runs, results, console)
    complete = {result.spec.key for result in known if result.status == "complete"}
    todo = list({spec.key: spec for spec in runs if spec.key not in complete}.values())
    yield f"{len(runs)} runs, {len(todo)} of them to do"
    if todo:
        workers = Workers.for_machine(usable(Device.auto), None, len(todo))
        remaining = Progress(console, results, todo, workers.jobs, known).remaining([])
        yield f"{workers}: {_estimate(remaining, todo)}"


def _estimate(seconds: float | None, todo: list[RunSpec]) -> str:
    if seconds is None:
        return f"no run of it was made here so far, so nobody knows how long {len(todo)} take"
    return f"about {clock(seconds)}, by the runs that were made here"


def _size(n_bytes: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} {_UNITS[-1]}"
