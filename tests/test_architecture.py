"""The rooms of the house: who may import whom, lazily or not, and that the harness names no model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from bench.registry import BUILT_IN

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "models", "baselines")
BASE = {
    *("bench", "bench.config", "bench.config_errors", "bench.console", "bench.conventions", "bench.declarations"),
    *("bench.errors", "bench.files", "bench.json_text", "bench.names", "bench.number_text", "bench.own_packages"),
    *(
        "bench.parentage",
        "bench.plain_text",
        "bench.search_space",
        "bench.searched_as",
        "bench.seeds",
        "bench.text_files",
        "bench.yaml_text",
    ),
}
FLOORS: tuple[set[str], ...] = (
    BASE,
    {"bench.data"},
    {"bench.recommender", "bench.spec"},
    {
        "bench.brief_index",
        "bench.evaluation",
        "bench.model_files",
        "bench.model_index",
        "bench.registry",
        "bench.suite_files",
    },
    {"bench.plan"},
    {"bench.execution"},
    {"bench.tuning"},
    {"bench.analysis"},
    {"bench.reporting"},
    {"bench.export", "bench.job", "bench.quick", "bench.report", "bench.serving", "bench.speed"},
    {"bench.cli", "bench.__main__"},
    {"bench.api"},
)
"""Rooms of the harness, from the ground up: nothing knows anything of the floors above it."""

INNER_FLOORS: Mapping[str, tuple[str, ...]] = {
    "bench.reporting": ("bench.reporting.tables", "bench.reporting.figures"),
    "models": ("models.history", "models.semantic_ids", "models.training", "models.generation", "models.glass"),
}
"""Folders within a room: each knows those before it at most; tables and figures don't know each other at all."""

MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS, MOST_LINES_OF_A_MODULE = 60, 8, 400

WORDS_OF_THE_FIELD = {"popularity", "oracle"}
"""Names of models that are also the name of a slice of the queries, and of a role."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imported(module: str) -> Iterator[str]:
    """Modules of this project that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {module: {other for other in imported(module) if other in MODULES} - {module} for module in MODULES}


def room_of(module: str) -> str:
    """The folder or file of the package that a module lies in: "bench.data", "bench.plan", "models.glass"."""
    return ".".join(module.split(".")[:2])


def within(module: str, folder: str) -> bool:
    return module == folder or module.startswith(f"{folder}.")


def circle(arrows: Mapping[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def test_every_room_of_the_harness_has_its_floor() -> None:
    assert {room_of(module) for module in MODULES if within(module, "bench")} == set().union(*FLOORS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(IMPORTS) is None


def test_no_rooms_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for module, others in IMPORTS.items():
        arrows.setdefault(room_of(module), set()).update(set(map(room_of, others)) - {room_of(module)})
    assert circle(arrows) is None


def test_nothing_knows_the_floors_above_it() -> None:
    floor = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    upwards = [
        f"{module} -> {other}"
        for module, others in IMPORTS.items()
        for other in others
        if within(module, "bench") and within(other, "bench") and floor[room_of(other)] > floor[room_of(module)]
    ]
    assert not upwards


@pytest.mark.parametrize("room", INNER_FLOORS)
def test_folders_of_a_room_know_those_before_them_at_most(room: str) -> None:
    folders = INNER_FLOORS[room]
    above = {folder: folders if room == "bench.reporting" else folders[place:] for place, folder in enumerate(folders)}
    upwards = [
        f"{module} -> {other}"
        for folder in folders
        for module in MODULES
        if within(module, folder)
        for other in IMPORTS[module]
        if not within(other, folder) and any(within(other, one) for one in above[folder])
    ]
    assert not upwards


def test_the_report_is_made_of_frames() -> None:
    """It asks no result again, and measures nothing: whatever it shows is a declared column of `bench.analysis`."""
    floors = ("bench.data", "bench.spec", "bench.evaluation", "bench.plan", "bench.execution", "bench.tuning")
    asked = {*floors, "bench.analysis.runs", "bench.analysis.diagnostics"}
    wrong = [
        f"{module} -> {other}"
        for module, others in IMPORTS.items()
        for other in others
        if within(module, "bench.reporting") and any(within(other, one) for one in asked)
    ]
    assert not wrong


def test_figures_are_functions_of_frames() -> None:
    """They ask no result, and nothing that could tell them more than the frames hold."""
    allowed = {
        *("bench.conventions", "bench.files", "bench.analysis.frames", "bench.analysis.leaderboard"),
        *("bench.analysis.decoding", "bench.analysis.families", "bench.analysis.pairs", "bench.analysis.significance"),
        *("bench.analysis.data_card", "bench.number_text", "bench.seeds"),
        "bench.model_index",  # of models: their families, the same whatever was run
    }
    figures = [module for module in MODULES if within(module, "bench.reporting.figures")]
    others = {other for module in figures for other in IMPORTS[module] if not within(other, "bench.reporting.figures")}
    assert others <= allowed


def test_baselines_stand_on_models_and_models_on_the_harness() -> None:
    allowed = {"bench": {"bench"}, "models": {"bench", "models"}, "baselines": {"bench", "models", "baselines"}}
    wrong = [
        f"{module} -> {other}"
        for module, others in IMPORTS.items()
        for other in others
        if other.split(".")[0] not in allowed[module.split(".")[0]]
    ]
    assert not wrong


def too_large(path: Path) -> Iterator[str]:
    """A module, or functions of it, that nobody reads at one go."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if len(text.splitlines()) > MOST_LINES_OF_A_MODULE:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            count = sum(one is not None and one.arg not in ("self", "cls") for one in parameters)
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            # A kernel takes each pointer and each stride by itself; only the function that launches it calls it.
            kernel = any(ast.unparse(decorator) == "triton.jit" for decorator in node.decorator_list)
            if n_lines > MOST_LINES_OF_A_FUNCTION or (count > MOST_PARAMETERS and not kernel):
                yield f"{name}: {node.name}"


def test_functions_and_modules_are_small() -> None:
    modules = [path for folder in (*PACKAGES, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert not {large for path in modules for large in too_large(path)}


def words(path: Path) -> Iterator[str]:
    """Names and texts in a module's code; what docstrings say is no code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def test_the_harness_names_no_model() -> None:
    names = "|".join(re.escape(name) for name in BUILT_IN if name not in WORDS_OF_THE_FIELD)
    wrong = {
        f"{module}: {word!r}"
        for module, path in MODULES.items()
        if within(module, "bench") and module != "bench.registry"
        for word in words(path)
        if re.search(rf"(?<![\w-])({names})(?![\w-])", word.lower().replace("_", "-"))
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_says_what_it_is_for(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    silent = [folder for folder in folders if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))]
    assert not silent
