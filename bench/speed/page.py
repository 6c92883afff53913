"""The page about speed, from `speed.csv` and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.files import replaced
from bench.number_text import significant
from bench.reporting import html, markdown
from bench.reporting.blocks import Block, Code, Heading, Page, Paragraph, Picture, bullets, paragraph, section
from bench.reporting.figures import style
from bench.reporting.figures.looks import Styles, row_styles
from bench.reporting.kinds import COUNT, RATIO, digits_of, numbers, percent
from bench.reporting.table import Column, Table
from bench.speed.columns import ANSWER, PREPARATION, STEP
from bench.speed.figures import (
    SIZES,
    growth,
    growth_figure,
    one_answer,
    others_in_words,
    quality_figure,
    scaling_figure,
)
from bench.speed.machine import Machine

_INTRODUCTION = (
    "Medians over repeats after what is made once, with their quartiles, on generated data: histories of equal length, "
    "items drawn by a power of their rank. The floor is the least time that the same matrix products take at the rate "
    "measured for large ones, or passes over the parameters at the measured rate of copying, whichever is more."
)
_MS = digits_of()
_TIMES = (Column("ms", _MS), Column("quartiles, ms", align="right"))
_FLOOR = (
    Column("GFLOP", digits_of()),
    Column("floor, ms", _MS),
    Column("bound"),
    Column("share reached", percent()),
)
_MEMORY = Column("peak memory, MiB", COUNT)
_SIZES_OF = {
    STEP: ("length", "items", "events", "devices"),
    ANSWER: tuple(name for name in SIZES if name != "devices"),
    PREPARATION: ("length", "items", "events"),
}
"""What is told of each measure."""

_SIZE_COLUMNS = {name: Column(words.lower(), COUNT) for name, words in SIZES.items()}


def write_speed_page(
    frame: pd.DataFrame,
    machines: list[Machine],
    quality: pd.DataFrame,
    command: str,
    path: Path,
) -> None:
    """Writes the page as markdown and as HTML, and its figures.

    Args:
        frame: With the columns `bench.speed.columns.SPEED`.
        machines: What was measured of the machines themselves.
        quality: Columns `dataset`, `row`, `mean` and `std` of a suite, or empty.
        command: How to repeat it.
        path: Of the markdown file.
    """
    style.use_style()
    styles = row_styles(dict(zip(frame["row"], frame["model"], strict=True)))
    content = Page(tuple(_blocks(frame, machines, quality, command, _Drawing(path.parent / "figures", styles))))
    with replaced(path) as temporary:
        temporary.write_text(markdown.page(content), encoding="utf-8")
    html.write_page(content, path.with_suffix(".html"))


class _Drawing:
    """Where figures go, and how rows look."""

    def __init__(self, folder: Path, styles: Styles) -> None:
        self.folder, self.styles = folder, styles

    def picture(self, figure: Figure | str | None, name: str, alternative: str) -> Picture | Paragraph | None:
        if figure is None or isinstance(figure, str):
            return paragraph(figure)
        style.save(figure, self.folder / name)
        return Picture(f"{self.folder.name}/{name}.png", alternative)


def _blocks(
    frame: pd.DataFrame, machines: list[Machine], quality: pd.DataFrame, command: str, drawing: _Drawing
) -> Iterator[Block]:
    yield Heading("speed: what a step, an answer and their preparation cost", level=1)
    yield Paragraph(_INTRODUCTION)
    yield Code(command)
    yield from section(Heading("Machines"), "", [_machines(machines)])
    complete = frame[frame["status"] == "complete"]
    for (device, hardware), lines in complete.groupby(["device", "hardware"], sort=False):
        where = f"{device}, {hardware}"
        for measure, sizes in _SIZES_OF.items():
            yield from _measured(lines, measure, sizes, where, drawing)
        yield from _quality(lines, quality, where, drawing)
    missing = frame[frame["status"] != "complete"]
    reasons = [f"{one.row}, {one.length:,} events, {one.items:,} items: {one.reason}" for one in missing.itertuples()]
    yield from section(Heading("Not measured"), "", [bullets(list(dict.fromkeys(reasons)))])


def _machines(machines: list[Machine]) -> Table:
    columns = (
        Column("device"),
        Column("threads", COUNT),
        Column("copies, GB/s", numbers(",.1f")),
        Column("float32 products, GFLOP/s", COUNT),
        Column("precision"),
        Column("bfloat16, GFLOP/s", digits_of()),
        Column("versions"),
        Column("commit"),
    )
    rows = [
        (
            f"{one.device}, {one.hardware}",
            one.threads,
            one.copy_rate / 1e9,
            one.matrix_rate / 1e9,
            one.precision,
            one.bfloat16_rate / 1e9,
            ", ".join(f"{name} {version}" for name, version in one.versions.items()),
            one.commit[:12],
        )
        for one in machines
    ]
    return Table.of("machines", columns, rows)


def _measured(lines: pd.DataFrame, measure: str, sizes: tuple[str, ...], where: str, drawing: _Drawing) -> list[Block]:
    """The table of one measure, the figures of its growth, and by how much it grows."""
    own = lines[lines["measure"] == measure]
    if own.empty:
        return []
    if (own["devices"] == 1).all():
        sizes = tuple(size for size in sizes if size != "devices")
    device = own["device"].iloc[0]
    content: list[Block | None] = [_table(own, measure, sizes)]
    for size in sizes if measure != PREPARATION else ():
        grown = growth(lines, measure, size)
        file = f"{device}-{measure.replace(' ', '-')}-by-{size}"
        if size == "devices":
            figure = scaling_figure(grown, drawing.styles)
        else:
            figure = growth_figure(grown, measure, size, drawing.styles)
        content += [drawing.picture(figure, file, f"{measure} by {SIZES[size].lower()}"), _ratios(grown, size)]
    return section(Heading(f"{measure.capitalize()} ({where})"), "", content)


def _table(own: pd.DataFrame, measure: str, sizes: tuple[str, ...]) -> Table:
    rate = (Column("queries/s", COUNT),) if measure == ANSWER else ()
    floor = () if measure == PREPARATION else _FLOOR
    columns = (Column("row"), *(_SIZE_COLUMNS[name] for name in sizes), *_TIMES, *rate, *floor, _MEMORY)
    rows = []
    for line in own.to_dict("records"):
        times = (line["median_ms"], f"{significant(line['low_ms'])} to {significant(line['high_ms'])}")
        rates = (line["per_second"],) if rate else ()
        known = (line["gflop"], line["floor_ms"], line["bound"], line["share"]) if floor else ()
        rows.append((line["row"], *(line[name] for name in sizes), *times, *rates, *known, line["peak_memory_mib"]))
    return Table.of(measure.replace(" ", "-"), columns, rows)


def _ratios(lines: pd.DataFrame, size: str) -> Table | None:
    """How many times as long each row takes at the largest size as at the smallest that it was measured at."""
    if lines.empty:
        return None
    rows = []
    for row, own in lines.groupby("row", sort=False):
        low, high = own.iloc[0], own.iloc[-1]
        rows.append((row, low[size], high[size], high["median_ms"] / low["median_ms"]))
    columns = (Column("row"), Column("from", COUNT), Column("to", COUNT), Column("times as long", RATIO))
    caption = f"By {SIZES[size].lower()}; {others_in_words(lines, size)}."
    return Table.of(f"growth-by-{size}", columns, rows, caption=caption)


def _quality(lines: pd.DataFrame, quality: pd.DataFrame, where: str, drawing: _Drawing) -> list[Block]:
    answers = one_answer(lines)
    if quality.empty or answers.empty:
        return []
    content: list[Block | None] = []
    for dataset, scores in quality.groupby("dataset", sort=False):
        known = scores.merge(answers[["row", "median_ms"]], on="row")
        name = f"{answers['device'].iloc[0]}-quality-{dataset}"
        figure = quality_figure(known, str(dataset), drawing.styles)
        content.append(drawing.picture(figure, name, "quality against the time of an answer"))
    how = f"Times of answers at {others_in_words(answers, '')}."
    return section(Heading(f"Quality against latency ({where})"), how, content)
