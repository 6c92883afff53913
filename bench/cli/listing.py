"""What `bench list` shows: models with their fidelity, data sets, suites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.table import Table

from bench.brief_index import brief_index
from bench.cli.options import FOLDER_OF_RESULTS
from bench.console import Console, say, table_console
from bench.errors import BenchError, SkippedRun, unknown_name
from bench.model_index import ModelEntry, model_entry
from bench.names import OWN
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
    if what is None:
        list_briefly(Console())
        return
    name = what.replace(" ", "").replace("-", "").lower()  # as in "data sets"
    listings: dict[str, Callable[[Console], None]] = {
        "models": lambda console: list_models(console, fidelity),
        "datasets": list_datasets,
        "suites": list_suites,
    }
    if name not in listings:
        raise unknown_name("listing", what, listings)
    listings[name](table_console())


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
    """Prints a table of all data sets, those that can be run on this machine first; loads none."""
    from bench.data import catalog  # brings in what reads data sets
    from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE

    table = _table("data set", "summary", "licence")
    here, absent = [], []
    for name, entry in catalog.CATALOG.items():
        try:
            entry.find()
            here.append((name, entry.summary, entry.licence))
        except (BenchError, SkippedRun, OSError) as error:
            reason = str(error).partition(" (the data folder is")[0]
            absent.append((name, f"{entry.summary}\n{reason}", entry.licence))
    for group, rows in (("runnable now", here), ("not on this machine", absent)):
        if rows:
            table.add_section()
            table.add_row(f"{group}:")
        for row in rows:
            table.add_row(*row)
    console.print(table, markup=False)
    say(console, f"The data folder is ${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench.")
    say(console, "Your own: python -m bench data describe FILE, then python -m bench run --dataset FILE")


def list_suites(console: Console) -> None:
    """Prints a table of the suites that come with the project, and of the user's own in the usual folder of results."""
    from bench.plan import Plan
    from bench.suite_files import load_suite, suite_names  # bring in what reads data sets

    table = _table("suite", "description", "models", "data sets", "seeds")
    own = [name for name in Plan.suites(FOLDER_OF_RESULTS) if name.startswith(OWN)]
    for name in (*suite_names(), *own):
        try:
            suite = Plan.read(FOLDER_OF_RESULTS, name).suite if name in own else load_suite(name)
        except BenchError as error:  # somebody has changed the file of a plan
            table.add_row(name, str(error), "", "", "")
            continue
        rows, data = (", ".join(names) for names in ((e.row for e in suite.models), (d.label for d in suite.datasets)))
        table.add_row(name, suite.description, rows, data, str(len(suite.seeds)))
    console.print(table, markup=False)


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns:
        column.overflow = "fold"
    return table
