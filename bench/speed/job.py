"""`bench speed`: measures what is missing, each point in a process of its own, and writes the table and the page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.analysis.csv_files import write_csv
from bench.analysis.csv_folders import figures_of
from bench.console import say
from bench.conventions import PRIMARY_METRIC
from bench.errors import SkippedRun, reason_of
from bench.parentage import in_own_process
from bench.plan import complete_config
from bench.registry import model_class
from bench.spec import Entry
from bench.speed.columns import SPEED
from bench.speed.frames import speed_frame
from bench.speed.machine import Machine, measure_machine
from bench.speed.measure import Task, measure
from bench.speed.points import Points
from bench.speed.setting import Setting

FOLDER = "speed"
"""Within the folders of results and of reports."""

WINDOW = "length"
"""The key of how many recent events a next-item model reads."""


def learned(entries: Sequence[Entry]) -> list[Entry]:
    """The rows that are trained step by step."""
    return [entry for entry in entries if "training" in model_class(entry.model).Config.model_fields]


def tasks_of(
    entries: Sequence[Entry],
    settings: Sequence[Setting],
    device: str,
    threads: int,
    repeats: int,
    count: bool,
    whole: bool = False,
) -> tuple[list[Task], list[str]]:
    """Every row at every setting that concerns it.

    Beams other than a row's own concern rows that have one, several devices rows whose training can be divided.

    Args:
        entries: The rows.
        settings: What sizes they are measured at.
        device, threads, repeats, count: As in a task.
        whole: Measure each row that reads a window of its history (`length`) a second time with a window of the whole
            history, under its label and "-whole".

    Returns:
        The tasks, setting by setting; and a line for each row that can't be measured here.

    Raises:
        BenchError: A configuration doesn't fit its model.
    """
    tasks, absent = [], []
    for entry in entries:
        try:
            model = model_class(entry.model)
        except SkippedRun as skipped:
            absent.append(f"{entry.row}: {skipped}")
            continue
        config = complete_config(model, dict(entry.config), f"row '{entry.row}'")
        concerned = [
            one for one in settings if (one.beam is None or "beam" in config) and (one.devices == 1 or model.divisible)
        ]
        how = (device, threads, repeats, count)
        tasks += [Task(entry.row, entry.model, config, one, *how) for one in concerned]
        if whole and WINDOW in config:
            row = f"{entry.row}-whole"
            tasks += [Task(row, entry.model, {**config, WINDOW: one.length}, one, *how) for one in concerned]
    place = {setting: number for number, setting in enumerate(settings)}
    return sorted(tasks, key=lambda task: place[task.setting]), absent


def run_speed(tasks: Sequence[Task], results: Path, console: Console, force: bool = False) -> bool:
    """Measures what is missing.

    Args:
        tasks: At least one, all for one device.
        results: Folder of the results.
        console: For progress.
        force: Measure again what is there.

    Returns:
        Whether all of it was measured.
    """
    points = Points(results / FOLDER)
    machine = _machine(tasks[0], points, console, force)
    todo = [task for task in tasks if force or points.missing(task, machine)]
    say(console, f"{len(tasks) - len(todo)} of {len(tasks)} points are there, {len(todo)} to measure")
    whole = True
    for number, task in enumerate(todo, start=1):
        say(console, f"[{number}/{len(todo)}] {task.row}: {task.setting}")
        try:
            points.save(task, machine, in_own_process(measure, task, threads=task.threads))
        except BrokenProcessPool:
            points.save(task, machine, None, "the process died (out of memory?)")
            whole = False
        except Exception as error:
            points.save(task, machine, None, reason_of(error))
            whole = False
    return whole


def _machine(task: Task, points: Points, console: Console, force: bool) -> Machine:
    known = None if force else points.machine(task.device, task.threads)
    if known is None:
        say(console, f"measuring the machine ({task.device}, {task.threads} threads)")
        known = in_own_process(measure_machine, task.device, task.threads, threads=task.threads)
        points.save_machine(known)
    return known


def quality_of(results: Path, suite: str | None) -> pd.DataFrame:
    """The quality of a suite's rows, to be drawn against latency: columns `dataset`, `row`, `mean` and `std`.

    Raises:
        BenchError: The suite has no figures in this folder.
    """
    if suite is None:
        return pd.DataFrame(columns=["dataset", "row", "mean", "std"])
    return figures_of(results, suite, PRIMARY_METRIC).reset_index()


def write_speed(results: Path, reports: Path, command: str, quality: pd.DataFrame) -> list[Path]:
    """Writes `speed.csv` and the page from all measurements in a results folder, those of earlier calls included.

    Args:
        results: Folder of the results.
        reports: Folder of the reports.
        command: How to repeat it.
        quality: From `quality_of`, to be drawn against latency.

    Returns:
        What was written.
    """
    from bench.speed.page import write_speed_page  # brings in the plotting libraries

    points = list(Points(results / FOLDER).all())
    frame = speed_frame(points)
    table, page = results / FOLDER / SPEED.file, reports / FOLDER / "report.md"
    write_csv(frame, table, float_format="%.6g")
    machines = {tuple(sorted(map(str, point["machine"].items()))): Machine(**point["machine"]) for point in points}
    write_speed_page(frame, list(machines.values()), quality, command, page)
    return [table, page, page.with_suffix(".html")]
