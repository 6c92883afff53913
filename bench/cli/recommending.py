"""What `bench recommend` does: from a saved model and users to lists, as a file or on the screen."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from bench.cli.recommend_options import RecommendOptions
from bench.cli.run_options import listed, usable
from bench.cli.stored import name_of
from bench.console import Console, literal, say, table_console
from bench.errors import BenchError
from bench.execution.saved_models import SavedModel, load_model
from bench.serving.finding import found_model
from bench.serving.lists import Asked, check_output, known_users, recommendations, users_in, with_history, write
from bench.serving.why import check_page, write_page

_SHOWN_USERS = 10
"""Whose lists are printed; files hold those of all."""


def answer(options: RecommendOptions) -> None:
    """Prints or writes what a saved model recommends.

    Raises:
        BenchError: Model, users or files can't be used as they are named.
    """
    if options.output is not None:
        check_output(options.output)
    if options.users is not None and options.users_file is not None:
        raise BenchError("--users and --users-file: give one of them")
    if options.as_tested and options.history is not None:
        raise BenchError("--as-tested is about the known histories, and --history gives others: leave one out")
    console = Console(stderr=True)
    folder = found_model(options.model, name_of(options.suite), options.results, options.dataset, options.seed)
    model = load_model(folder, usable(options.device))
    asked = _asked(options, model)
    if options.why is not None:
        check_page(options.why, len(asked.names))
    for note in filter(None, (model.note, *asked.notes)):
        say(console, f"warning: {note}")
    if options.why is not None:
        write_page(model, asked, options.k, options.why)
        say(Console(), f"page: {options.why}")
        if options.output is None:
            return
    table = recommendations(model, asked, options.k)
    if options.output is not None:
        write(table, options.output)
        say(Console(), f"{len(table):,} rows for {len(asked.names):,} users: {options.output}")
    else:
        _print(table, model)


def _asked(options: RecommendOptions, model: SavedModel) -> Asked:
    names = listed(options.users, "--users")
    if options.users_file is not None:
        names = users_in(options.users_file)
    if options.history is not None:
        return with_history(model, options.history, names)
    return known_users(model.data, names, options.as_tested)


def _print(table: pd.DataFrame, model: SavedModel) -> None:
    """Shows the lists of the first users, each under the name of its user."""
    users = list(dict.fromkeys(table["user"]))
    shown = table[table["user"].isin(users[:_SHOWN_USERS])]
    columns = [str(column) for column in shown if column != "repeat"]
    drawn = Table(title=literal(f"{model.spec.label} on {model.spec.dataset.label}"), title_justify="left")
    for column in columns:
        drawn.add_column(literal(column), justify="right" if column in ("rank", "score") else "left", overflow="fold")
    drawn.add_column("seen before")
    last = None
    for row in shown.to_dict("records"):
        if last not in (None, row["user"]):
            drawn.add_section()
        last = row["user"]
        cells = {**row, "rank": str(row["rank"]), "score": f"{row['score']:.4g}"}
        drawn.add_row(*(literal(str(cells[column])) for column in columns), "yes" if row["repeat"] else "")
    table_console().print(drawn, highlight=False)
    if len(users) > _SHOWN_USERS:
        say(
            Console(), f"{len(users) - _SHOWN_USERS:,} more users: choose some with --users, or write all with --output"
        )
