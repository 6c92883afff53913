"""The commands `python -m bench data ...`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.dataset_options import DATASET_HELP, chosen_dataset, takes_dataset_options
from bench.console import literal, table_console
from bench.errors import BenchError
from bench.plain_text import printable

if TYPE_CHECKING:
    from bench.analysis.data_card import DataCard

app = typer.Typer(no_args_is_help=True, help="Look at data sets.")

_PLOT_SUFFIXES = (".png", ".svg", ".pdf")


@app.callback()
def _group() -> None:
    """Keeps `describe` a command of its own while it is the only one."""


class Format(str, Enum):
    """How a card is written."""

    table = "table"
    markdown = "markdown"
    json = "json"


@app.command()
@takes_dataset_options
def describe(
    dataset: Annotated[str, typer.Argument(help=DATASET_HELP, show_default=False)],
    reading: dict[str, Any],
    plot: Annotated[Path | None, typer.Option(help="Draw it, too, into this .png, .svg or .pdf file.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How the card is printed.")] = Format.table,
) -> None:
    """Print the data card of a data set: sizes, lengths, repeats, ties, splits, licence, hash."""
    if plot is not None and plot.suffix not in _PLOT_SUFFIXES:
        raise BenchError(f"--plot {plot}: the file should end in {', '.join(_PLOT_SUFFIXES)}")
    from bench.analysis.data_card import make_card, shape_of  # bring in what reads data sets
    from bench.data import catalog

    spec = chosen_dataset(dataset, reading, "data describe")
    data = catalog.load_dataset(spec.name, spec.files, spec.sample_users)
    card = make_card(data, spec.protocol, spec.seen_items, spec.cold_targets, spec.confirm)
    _PRINTERS[format_](card)
    if plot is not None:
        from bench.reporting.figures.data import save_data_figure  # brings in the plotting libraries

        print(printable(save_data_figure(card, shape_of(data, card), plot) or f"plot: {plot}"))


def _print_table(card: DataCard) -> None:
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    table = Table(card.name, "", show_lines=False)
    for column in table.columns:
        column.overflow = "fold"
    for heading, rows in card.sections().items():
        table.add_section()
        table.add_row(Text(heading, style="bold"))
        for name, value in rows:
            table.add_row(literal(name), literal(value))
    console.print(table, highlight=False)


def _print_markdown(card: DataCard) -> None:
    from bench.reporting import markdown
    from bench.reporting.tables.card import card_page

    print(markdown.page(card_page(card)), end="")


def _print_json(card: DataCard) -> None:
    print(json.dumps(dataclasses.asdict(card), indent=1))


_PRINTERS: dict[Format, Callable[[DataCard], None]] = {
    Format.table: _print_table,
    Format.markdown: _print_markdown,
    Format.json: _print_json,
}
