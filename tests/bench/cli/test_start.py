"""The command line starts quickly, importing what is slow to import where it is used, and declares options once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from bench.cli.dataset_options import takes_dataset_options
from bench.cli.options import takes_options
from bench.data.data_files import DataFiles
from bench.spec import DatasetSpec

SLOW = ("torch", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "joblib", "loky")


def imported_by(*arguments: str) -> set[str]:
    """Packages that a command imports, of those that are slow to import."""
    code = (
        "import sys; from bench.cli.main import main; code = main(sys.argv[1:]);"
        f" print('imported', *sorted(set({SLOW!r}) & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_help_imports_nothing_slow(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) == set()


@pytest.mark.parametrize("what", [("models",), ("models", "--fidelity"), ("datasets",), ("suites",)])
def test_lists_import_no_model_and_draw_nothing(what: tuple[str, ...]) -> None:
    assert imported_by("list", *what) <= (set() if what[0] == "models" else {"pandas", "pyarrow"})


def test_the_fields_of_a_dataclass_become_options() -> None:
    @dataclass(frozen=True)
    class Numbers:
        first: Annotated[int, typer.Argument()]
        second: Annotated[int, typer.Option("--plus", min=0, help="Is added.")] = 1

    seen: list[tuple[Numbers, bool]] = []

    def add(numbers: Numbers, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        seen.append((numbers, loud))

    add.__annotations__["numbers"] = Numbers  # else it would be looked up by its name in this module
    add.__annotations__["loud"] = Annotated[bool, typer.Option("--loud")]
    app = typer.Typer(add_completion=False)
    app.command()(takes_options(add))
    runner = CliRunner()
    assert runner.invoke(app, ["3", "--plus", "4", "--loud"]).exit_code == 0
    assert runner.invoke(app, ["5"]).exit_code == 0
    assert runner.invoke(app, []).exit_code == 2
    assert seen == [(Numbers(3, 4), True), (Numbers(5, 1), False)]
    assert "Is added." in runner.invoke(app, ["--help"]).output


def test_each_key_of_a_data_set_is_an_option_with_its_description_as_help() -> None:
    app = typer.Typer(add_completion=False)
    given: list[dict[str, object]] = []

    @app.command()
    @takes_dataset_options
    def command(reading: dict[str, object]) -> None:
        given.append(reading)

    runner = CliRunner(env={"COLUMNS": "400"})
    shown = runner.invoke(app, ["--help"]).output
    fields = {key: field for key, field in DatasetSpec.model_fields.items() if key not in ("name", "path")}
    for key, field in fields.items():
        assert f"--{key.replace('_', '-')}" in shown
        assert field.description
        assert field.description in shown
    assert set(DataFiles.model_fields) - {"path"} < set(fields)
    assert runner.invoke(app, ["--no-header", "--keep", "a=b", "--keep", "c=d", "--min-rating", "4"]).exit_code == 0
    assert given == [{"no_header": True, "keep": ["a=b", "c=d"], "min_rating": "4"}]
