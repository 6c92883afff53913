"""The command `python -m bench speed`: what it takes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import (
    FOLDER_OF_REPORTS,
    FOLDER_OF_RESULTS,
    ReportsOption,
    ResultsOption,
    SuiteOption,
    takes_options,
)
from bench.cli.run_options import Device, listed, usable
from bench.cli.verbosity import with_verbosity
from bench.console import Console, say
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.speed.setting import Setting

ROWS_FROM = "long"
"""The suite whose learned rows are measured unless another is named."""

_LENGTHS, _ITEMS = (1_000, 50, 100, 10_000), (10_000, 1_000, 100_000)
_EVENTS, _QUERIES = (1_024, 16_384), (128, 1, 1_024)


@dataclass(frozen=True)
class SpeedOptions:
    """What is measured, and where. The help of each option says what it is for."""

    models: Annotated[
        str | None,
        typer.Option(help="Rows of the suite, or registered models, comma-separated. Default: its learned rows."),
    ] = None
    suite: SuiteOption = ROWS_FROM
    lengths: Annotated[str | None, typer.Option(help="Events of history; the first is the common one.")] = None
    items: Annotated[str | None, typer.Option(help="Sizes of the catalogue, likewise.")] = None
    events: Annotated[str | None, typer.Option(help="Padded events of a training step, likewise.")] = None
    beams: Annotated[str | None, typer.Option(help="Widths of the beam, likewise. Default: each row's own.")] = None
    queries: Annotated[str | None, typer.Option(help="Queries that are answered at a time, likewise.")] = None
    devices: Annotated[
        str | None,
        typer.Option(help="GPUs, or processes on a CPU, that train one model together, likewise. Default: 1."),
    ] = None
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Measure rows that read a window a second time, with the whole history as window."
        ),
    ] = False
    repeats: Annotated[int, typer.Option(min=2, help="Epochs, and answers, behind each median.")] = 5
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto
    threads: Annotated[int | None, typer.Option(min=1, help="Default: all processors.")] = None
    count: Annotated[
        bool, typer.Option("--count/--no-count", help="Count matrix products, too, in a training on the processor.")
    ] = True
    quality: Annotated[
        str | None, typer.Option(metavar="SUITE", help="Draw quality against latency by the results of this suite.")
    ] = None
    results: ResultsOption = FOLDER_OF_RESULTS
    reports: ReportsOption = FOLDER_OF_REPORTS
    force: Annotated[bool, typer.Option("--force", help="Measure again what is there.")] = False


def register(app: typer.Typer) -> None:
    """Adds the command of this module to the command line."""
    app.command()(with_verbosity(speed))


@takes_options
def speed(options: SpeedOptions) -> None:
    """Measure training steps, answers, preparation and memory by the sizes of histories, batches and catalogues."""
    from loky import cpu_count

    from bench.plan import select
    from bench.speed.job import learned, quality_of, run_speed, tasks_of, write_speed
    from bench.suite_files import load_suite

    settings = _sweep(options)
    quality = quality_of(options.results, options.quality)  # which is refused rather now than after all measurements
    names, suite = listed(options.models, "--models"), load_suite(options.suite)
    entries = list(select(suite, models=names).models) if names else learned(suite.models)
    device, console = usable(options.device), Console()
    threads = options.threads or cpu_count()
    tasks, absent = tasks_of(entries, settings, device, threads, options.repeats, options.count, options.whole)
    for line in absent:
        say(console, f"not measured: {line}")
    if not tasks:
        raise BenchError("--models: none of these rows can be measured here")
    complete = run_speed(tasks, options.results, console, options.force)
    for path in write_speed(options.results, options.reports, _command(options), quality):
        say(console, f"written: {path}")
    raise typer.Exit(0 if complete else 1)


def _sweep(options: SpeedOptions) -> list[Setting]:
    """The settings that the options ask for."""
    from bench.speed.setting import Sweep, sizes

    def read(name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        try:
            return sizes(getattr(options, name), default)
        except ValueError as error:
            raise BenchError(f"--{name} {error}") from None

    lengths, items = read("lengths", _LENGTHS), read("items", _ITEMS)
    events, queries = read("events", _EVENTS), read("queries", _QUERIES)
    return Sweep(lengths, items, events, read("beams") or (None,), queries, read("devices", (1,))).settings()


def _command(options: SpeedOptions) -> str:
    names = ("models", "lengths", "items", "events", "beams", "queries", "devices", "quality")
    used = [(name, getattr(options, name)) for name in names if getattr(options, name) is not None]
    used = [("suite", options.suite)] * (options.suite != ROWS_FROM) + used
    return (
        "python -m bench speed"
        + "".join(f" --{name} {shlex.quote(str(value))}" for name, value in used)
        + " --whole" * options.whole
    )
