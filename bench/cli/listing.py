"""What `bench list` shows: models with their fidelity, data sets, suites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.table import Table

from bench.brief_index import brief_index
from bench.console import Console, say, table_console
from bench.errors import BenchError, SkippedRun, unknown_name
from bench.model_index import ModelEntry, model_entry
from bench.recommender import OTHER_GROUP, Mechanism
from bench.registry import model_names


def show(what: str | None, fidelity: bool = False) -> None:
    """Prints one of the lists.

    Args:
        what: "models", "datasets" or "suites". None: all of them, briefly.
        fidelity: With models: print their fidelity cards, too.

    Raises:
        BenchError: There is no such list.
    """
    listings: dict[str, Callable[[Console], None]] = {
        "models": lambda console: list_models(console, fidelity),
        "datasets": list_datasets,
        "suites": list_suites,
    }
    if what is None:
        list_briefly(Console())
        return
    if what not in listings:
        raise unknown_name("listing", what, listings)
    listings[what](table_console())


def list_briefly(console: Console) -> None:
    """Prints the names of everything; imports nothing that takes time."""
    groups: dict[str, list[str]] = {}
    for name in model_names():
        try:
            group = model_entry(name).group
        except (BenchError, SkippedRun):
            group = "not available"
        groups.setdefault(group, []).append(name)
    last = [group for group in (OTHER_GROUP, "not available") if group in groups]
    say(console, "models (`list models` tells of each):")
    for group in [*(group for group in groups if group not in last), *last]:
        say(console, f"  {group}: {', '.join(groups[group])}")
    index = brief_index()
    say(console, "data sets (`list datasets`), and files of your own by --dataset FILE:")
    say(console, f"  {', '.join(index['datasets'])}")
    say(console, "suites (`list suites`):")
    for name, description in index["suites"].items():
        say(console, f"  {name}: {description}")


def list_models(console: Console, fidelity: bool = False) -> None:
    """Prints a table of all models, and with `fidelity` the card of each.

    Groups stand in the order of their first models; a model that can't be imported is listed last, with the reason.
    """
    table = _table("model", "paper", "year", "role", "summary", "fidelity")
    cards: dict[str, tuple[Mechanism, ...]] = {}
    groups: dict[str, list[tuple[str, ...]]] = {}
    absent: list[tuple[str, ...]] = []
    for name in model_names():
        try:
            model = model_entry(name)
        except (BenchError, SkippedRun) as error:
            absent.append((name, "", "", "", f"not available: {error}", ""))
            continue
        cards[name] = model.fidelity
        groups.setdefault(model.group, []).append((name, *_described(model)))
    last = {OTHER_GROUP: groups.pop(OTHER_GROUP, []), "not available": absent}
    for group, rows in (groups | last).items():
        if rows:
            table.add_section()
            table.add_row(f"{group}:")
        for row in rows:
            table.add_row(*row)
    console.print(table, markup=False)
    for name, card in cards.items():
        if fidelity and card:
            table = _table("mechanism", "status", "source", "note", "test")
            for mechanism in card:
                table.add_row(mechanism.name, mechanism.status, mechanism.source, mechanism.note, mechanism.test)
            console.print(f"\n{name}", markup=False, highlight=False)
            console.print(table, markup=False)


def _described(model: ModelEntry) -> tuple[str, str, str, str, str]:
    """Cells of a model's row: its paper, year, role and summary, and how faithful it is."""
    counts = Counter(mechanism.status for mechanism in model.fidelity)
    shown = [f"{counts[status]} {status}" for status in ("faithful", "approximated", "omitted") if counts[status]]
    return model.paper, str(model.year or ""), model.role, model.summary, ", ".join(shown)


def list_datasets(console: Console) -> None:
    """Prints a table of all data sets; loads none."""
    from bench.data import catalog  # brings in what reads data sets

    table = _table("data set", "summary", "licence")
    for name, entry in catalog.CATALOG.items():
        table.add_row(name, entry.summary, entry.licence)
    console.print(table, markup=False)


def list_suites(console: Console) -> None:
    """Prints a table of the suites that come with the project."""
    from bench.suite_files import load_suite, suite_names  # bring in what reads data sets

    table = _table("suite", "description", "models", "data sets", "seeds")
    for name in suite_names():
        suite = load_suite(name)
        rows, data = (", ".join(names) for names in ((e.row for e in suite.models), (d.label for d in suite.datasets)))
        table.add_row(name, suite.description, rows, data, str(len(suite.seeds)))
    console.print(table, markup=False)


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns:
        column.overflow = "fold"
    return table
