"""Reference results: what is committed beside the code is not written over by a part of it, or by something else."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from bench.errors import BenchError
from bench.names import OWN
from bench.plan import Plan
from bench.suite_files import load_suite, suite_names

_SECONDS = 30


def committed(*folders: Path) -> list[Path]:
    """The folders in which git tracks a file; none where there is no git, or no repository."""
    return [folder for folder in folders if _holds_tracked(folder)]


def _holds_tracked(folder: Path) -> bool:
    return folder.is_dir() and _git_lists(folder, "ls-files")


def _is_changed(folder: Path) -> bool:
    """Whether what git tracks in a folder is not what was committed any more."""
    return _git_lists(folder, "status", "--porcelain", "--untracked-files=no")


def _git_lists(folder: Path, *command: str) -> bool:
    """Whether a command of git has anything to list of a folder; not where there is no git, or no repository."""
    # The folder may belong to somebody else, as in a container; that is no reason to write over it.
    words = ["git", "-c", "safe.directory=*", "-C", str(folder), *command, "--", "."]
    try:
        listed = subprocess.run(words, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return False
    return listed.returncode == 0 and bool(listed.stdout.strip())


def is_as_committed(plan: Plan, given_file_has_all: bool = True) -> bool:
    """Whether a plan is all that its suite asks for: nothing chosen, nothing set.

    Args:
        plan: What is run.
        given_file_has_all: Of a suite that doesn't come along: whether the plan is all that its own file asks for.
    """
    name = plan.suite.name
    if plan.settings or plan.tuned or name.startswith(OWN):
        return False
    return plan.suite == load_suite(name) if name in suite_names() else given_file_has_all


def keep_references(plan: Plan, results: Path, reports: Path, as_committed: bool) -> list[str]:
    """Sees to it, before any run begins, that committed results of a suite are written over by the whole suite only.

    Args:
        plan: What is about to be run.
        results, reports: Where its files go.
        as_committed: Whether the plan is all that its suite asks for.

    Returns:
        A line for the user where reference files are about to be made anew for the first time here.

    Raises:
        BenchError: Reference files would be written over by something else.
    """
    name = plan.suite.name
    held = committed(reports / name, results / name)
    again = bool(held) and _is_the_last(plan, results)
    if not held or (again and (as_committed or any(map(_is_changed, held)))):
        return []  # there are none, or the same run has written over them already
    where = " and ".join(f"'{folder}'" for folder in held)
    if as_committed:
        back = " ".join(shlex.quote(str(folder)) for folder in held)
        return [f"{where}: the committed results are made anew; `git restore {back}` brings them back"]
    raise BenchError(
        f"{where}: committed reference results of suite '{name}', which this run would replace by a part of it or by "
        "something else: give it a name of its own (--name NAME), other folders (--results, --reports), or --force"
    )


def keep_report(plan: Plan, results: Path, reports: Path) -> None:
    """As `keep_references`, for the report alone, of results that are there already.

    Raises:
        BenchError: A committed report would be replaced by one of other results.
    """
    name = plan.suite.name
    held = committed(reports / name)
    if held and not committed(results / name) and not is_as_committed(plan, given_file_has_all=False):
        raise BenchError(
            f"'{held[0]}': the committed report of suite '{name}', which would be replaced by one of '{results}', a "
            "part of it or something else: choose --reports, or --force"
        )


def _is_the_last(plan: Plan, results: Path) -> bool:
    """Whether the last run of the suite here was the same."""
    name = plan.suite.name
    if not Plan.exists(results, name):
        return False
    try:
        last = Plan.read(results, name)
    except BenchError:
        return False
    return last.suite == plan.suite and [run.key for run in last.runs] == [run.key for run in plan.runs]
