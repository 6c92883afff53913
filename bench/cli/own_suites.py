"""Suites of the user's own: rows of a suite on other data, under a name, a title and folders of their own.

They are called `own-NAME`. Their plan stands beside their results, so that every command finds them by that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.config_errors import explain
from bench.errors import BenchError, unknown_name
from bench.files import expanded
from bench.names import OWN, checked, legal_path_name, path_name
from bench.plan import Plan
from bench.spec import DatasetSpec, RunSpec, Suite
from bench.suite_files import load_suite, suite_names, suite_path


@dataclass(frozen=True)
class GivenSuite:
    """A suite as a command names it.

    Attributes:
        suite: As its file has it, or as it was run last where it is one of the user's own.
        where: Its file, for error messages.
        settings, tuned, command: See `Plan`; only one of the user's own has them.
    """

    suite: Suite
    where: str
    settings: tuple[str, ...] = ()
    tuned: bool = False
    command: str = ""


def given_suite(name_or_path: str, results: Path) -> GivenSuite:
    """Reads a suite that is given by its name, by its file, or as `own-NAME` by the results that it has.

    Args:
        name_or_path: As the user wrote it.
        results: Where results of suites of the user's own are.

    Raises:
        BenchError: There is no such suite, or its file can't be read.
    """
    if name_or_path.startswith(OWN) and not name_or_path.endswith((".yaml", ".yml")):
        check_own_exists(name_or_path, results)
        plan = Plan.read(results, name_or_path)
        where = f"suite '{name_or_path}' in '{results}'"
        return GivenSuite(plan.suite, where, plan.settings, plan.tuned, plan.command)
    return GivenSuite(load_suite(name_or_path), str(suite_path(name_or_path)))


def check_own_exists(name: str, results: Path) -> None:
    """Raises BenchError where a results folder has no suite of that name, with the nearest known ones."""
    if not Plan.exists(results, name):
        error = unknown_name("suite", name, [*suite_names(), *Plan.suites(results)])
        raise BenchError(f"{error} ('{results}' has no results of that name: `bench run --dataset FILE` makes some)")


def with_names(own: Sequence[DatasetSpec], names: Sequence[str]) -> list[DatasetSpec]:
    """Gives data sets of the user's own the names of `--name`, where there are as many of these.

    Args:
        own: As `--dataset` gives them; registered ones among them keep their names.
        names: As `--name` gives them.

    Raises:
        BenchError: There are several names, but not one for each file; or one is no name.
    """
    paths = [spec for spec in own if spec.path is not None]
    if len(names) > 1 and len(names) != len(paths):
        raise BenchError(
            f"--name: give one name for all, or one for each --dataset that is a file ({len(paths)}), not {len(names)}"
        )
    if len(names) != len(paths):
        return list(own)
    chosen = iter(names)
    return [spec if spec.path is None else _renamed(spec, next(chosen)) for spec in own]


def _renamed(spec: DatasetSpec, name: str) -> DatasetSpec:
    try:
        return DatasetSpec.model_validate({**spec.model_dump(), "name": name.removeprefix(OWN)})
    except ValidationError as error:
        raise explain(error, DatasetSpec, "--name") from None


def as_own(suite: Suite, base: str, own: Sequence[DatasetSpec], names: Sequence[str]) -> Suite:
    """Gives a suite a name and a title of its own where it is run on data of the user's, or `--name` asks for it.

    Args:
        suite: As chosen.
        base: Name of the suite that its rows are of.
        own: The data sets of `--dataset`, by `with_names`.
        names: As `--name` gives them.

    Raises:
        BenchError: A name is none.
    """
    files = [spec for spec in own if spec.path is not None]
    if not files and not names:
        return suite
    if len(names) == 1:
        name = checked(OWN + names[0].removeprefix(OWN), "--name")
    else:
        name = _joined([spec.name for spec in files])
    shown = [spec.label if spec.path is None else Path(spec.path).name for spec in suite.datasets]
    whose = "your own data" if len(files) == len(suite.datasets) else "your choice of data"
    # A file called `[x]_*.csv` is no markup, and its name no second line.
    text = " ".join(f"{' and '.join(shown)} ({whose}), with rows of suite {base}.".split())
    return suite.model_copy(update={"name": name, "description": text})


def _joined(names: Sequence[str]) -> str:
    """`own-` and the names of all data sets, shortened where that would be too long for a folder."""
    text = OWN + "+".join(names)
    try:
        return path_name(text)
    except ValueError:
        return legal_path_name(text, "own")


def changes_of_own(plan: Plan, results: Path) -> list[str]:
    """Tells what the report of a suite of the user's own showed so far, and will not show any more.

    Args:
        plan: What is about to be run.
        results: Where results are.

    Raises:
        BenchError: The name is that of other data.
    """
    name = plan.suite.name
    if not name.startswith(OWN) or not Plan.exists(results, name):
        return []
    before = Plan.read(results, name)
    known = {run.dataset.name: run for run in before.runs if run.dataset.path is not None}
    for run in plan.runs:
        other = known.get(run.dataset.name)
        if other is not None and _is_other_data(run, other):
            raise BenchError(
                f"'{results / name}' holds results of {other.dataset.path}, and {run.dataset.path} is another file of "
                "that name: give it one of its own with --name"
            )
    gone = [
        *dict.fromkeys(run.dataset.label for run in before.runs if not _has(plan, "dataset", run)),
        *dict.fromkeys(run.label for run in before.runs if not _has(plan, "row", run)),
    ]
    if not gone:
        return []
    shown = ", ".join(gone[:6]) + (f" and {len(gone) - 6} more" if len(gone) > 6 else "")
    keeps = "results are kept, and with another --name the report, too"
    return [f"the report of {name} so far also had {shown}, which this run leaves out; {keeps}"]


def _has(plan: Plan, what: str, run: RunSpec) -> bool:
    if what == "dataset":
        return any(run.dataset.label == other.dataset.label for other in plan.runs)
    return any(run.label == other.label for other in plan.runs)


def _is_other_data(run: RunSpec, other: RunSpec) -> bool:
    """Whether two runs are on different files with different content; a file that grew or was moved is the same."""
    if run.data_hash == other.data_hash or run.dataset.path is None or other.dataset.path is None:
        return False
    return expanded(run.dataset.path).resolve() != expanded(other.dataset.path).resolve()
