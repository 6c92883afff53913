"""What is installed is what runs: a wheel in an environment of its own, also beside packages of other people."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from packaging.metadata import Metadata

from bench.cli.main import main
from bench.errors import BenchError
from bench.own_packages import check_own_packages

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "models", "baselines")


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command without this session's path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the source tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    done = run(pip, source)
    assert done.returncode == 0, done.stderr
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment's commands, in which the wheel is installed.

    What the project depends on is that of the environment of the tests; the project itself is not found there, since
    an editable installation works by a `.pth` file, which is read in an environment's own folder only.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    installed = run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)], folder
    )
    assert installed.returncode == 0, installed.stderr
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "of_the_tests.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


@pytest.fixture
def folder_with_models(tmp_path: Path) -> Path:
    """A project of somebody else's, with packages called like ours, and a table of events."""
    for name in ("models", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a stranger was imported')")
    events = [(f"u{user}", f"i{(user * step) % 17}", 1000 + step) for user in range(12) for step in range(1, 9)]
    pd.DataFrame(events, columns=["user", "item", "time"]).to_csv(tmp_path / "log.csv", index=False)
    return tmp_path


@pytest.mark.slow
def test_the_wheel_holds_three_packages_and_their_files(wheel: Path) -> None:
    files = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    ours = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    shipped = {path.relative_to(ROOT).as_posix() for path in ours}
    assert set(files) == {name for name in shipped if "__pycache__" not in name}


@pytest.mark.slow
def test_an_index_would_take_its_metadata(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (folder,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    metadata = Metadata.from_email(archive.read(f"{folder}/METADATA"), validate=True)
    assert metadata.license_files == ["LICENSE"]
    assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")
    minor = {line.rpartition(" ")[2] for line in metadata.classifiers or () if ":: Python :: 3." in line}
    assert minor == {"3.10", "3.11", "3.12"}
    assert not any(line.startswith("License ::") for line in metadata.classifiers or ()), "the expression says it"
    commands = configparser.ConfigParser()
    commands.read_string(archive.read(f"{folder}/entry_points.txt").decode())
    assert set(commands["console_scripts"]) == {"bench", "glass-bench"}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["models", "datasets", "suites"])
def test_it_lists_from_an_empty_folder(commands: Path, tmp_path: Path, what: str) -> None:
    done = run([str(commands / "python"), "-m", "bench", "list", what], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"models": "glass", "datasets": "ml-100k", "suites": "smoke"}[what] in done.stdout
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


@pytest.mark.slow
def test_a_suite_runs_in_an_empty_folder_and_writes_there_and_nowhere_else(commands: Path, tmp_path: Path) -> None:
    installed = {path for path in commands.parent.rglob("*") if "__pycache__" not in path.parts}
    done = run([str(commands / "glass-bench"), "run", "--suite", "smoke", "--models", "popularity,tiger"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"results", "reports"}
    page = (tmp_path / "reports" / "smoke" / "report.html").read_text(encoding="utf-8")
    assert "data:image/" in page
    assert "aria-sort" in page, "its template, style and script came along"
    assert {path for path in commands.parent.rglob("*") if "__pycache__" not in path.parts} == installed


@pytest.mark.slow
def test_the_command_runs_in_a_folder_that_has_models_of_its_own(commands: Path, folder_with_models: Path) -> None:
    command = str(commands / "glass-bench")
    listed = run([command, "list", "models"], folder_with_models)
    assert listed.returncode == 0, listed.stderr
    assert "glass" in listed.stdout
    arguments = ["run", "--suite", "smoke", "--models", "popularity,sasrec-ce", "--dataset", "log.csv"]
    done = run([command, *arguments], folder_with_models)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 complete" in done.stdout
    assert list(folder_with_models.glob("reports/*/report.html"))


@pytest.mark.slow
def test_python_m_bench_says_what_hides_what(commands: Path, folder_with_models: Path) -> None:
    done = run([str(commands / "python"), "-m", "bench", "list", "models"], folder_with_models)
    assert done.returncode == 2
    hidden = f"error: {folder_with_models / 'baselines'} hides the package 'baselines' of glass-bench"
    assert done.stderr.startswith(hidden)
    assert done.stderr.count("\n") == 1
    assert "use the command `glass-bench`" in done.stderr


def test_packages_in_another_place_are_refused(tmp_path: Path) -> None:
    check_own_packages()
    with pytest.raises(BenchError, match=r"/baselines hides the package 'baselines' of glass-bench"):
        check_own_packages(tmp_path)


def test_a_module_called_like_a_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["list", "models"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'models.py'} hides the package 'models'")
