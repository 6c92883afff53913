"""Files about the project say what is so: versions, checks, and the picture of the house."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "models", "baselines")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workflow() -> dict:
    return yaml.safe_load(text(".github/workflows/ci.yml"))


def commands(workflow: dict, job: str) -> list[str]:
    return [step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step]


def test_the_public_ci_runs_every_python_version_that_is_claimed(workflow: dict) -> None:
    claimed = re.findall(r"Programming Language :: Python :: (3\.\d+)", text("pyproject.toml"))
    assert claimed == ["3.10", "3.11", "3.12"]
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == claimed


def test_the_public_ci_and_the_script_run_the_same_checks(workflow: dict) -> None:
    script = text(".ci/run")
    tests = re.search(r"^test_command='(.*)'$", script, re.MULTILINE)
    assert tests is not None
    assert tests[1] in commands(workflow, "tests")
    assert tests[1] in text("README.md").splitlines()
    assert commands(workflow, "slow-tests")[-1] == "python -m pytest -m slow"
    for check in ("ruff check .", "ruff format --check .", "mypy", "mkdocs build --strict"):
        assert check in commands(workflow, "style-and-docs")
        assert f"run '{check}" in script


def test_commits_are_checked_by_what_ci_checks_with() -> None:
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"  # the versions of constraints.txt, and no others
    assert [hook["entry"] for hook in repository["hooks"]] == ["ruff check --fix", "ruff format", "mypy"]


def test_every_direct_requirement_has_its_exact_version() -> None:
    quoted = re.findall(r'^\s*["\']([A-Za-z0-9_.-]+)[<>=!;]', text("pyproject.toml"), re.MULTILINE)
    pinned = {line.partition("==")[0] for line in text("constraints.txt").splitlines()}
    optional = {"sentence-transformers", "mlflow-skinny"}  # of extras that CI does not install
    optional |= {"triton"}  # its version is that which PyTorch asks for
    assert len(quoted) > 25
    assert set(map(str.lower, quoted)) - optional - pinned == set()


def test_the_picture_of_the_house_leaves_no_room_out() -> None:
    picture = text("CONTRIBUTING.md").split("```")[1]
    drawn = set(re.findall(r"\b(?:bench|models|baselines|tests|docs|results|reports)/[\w./]*", picture))
    assert {place for place in drawn if not (ROOT / place).exists()} == set()
    rooms = {f"bench/{folder.parent.name}/" for folder in (ROOT / "bench").glob("*/__init__.py")}
    assert rooms <= drawn
    inner = {
        folder.parent.name for package in ("models", "baselines") for folder in (ROOT / package).glob("*/__init__.py")
    }
    assert {name for name in inner if f"{name}/" not in picture} == set()


def kept_by_git(folder: str) -> list[Path] | None:
    """The files of a folder that are committed or would be, or None outside a repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return None if listed.returncode else [ROOT / name for name in listed.stdout.splitlines()]


REPORTS = sorted((ROOT / "reports").glob("*/report.md"))


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.parent.name)
def test_a_committed_report_shows_the_figures_that_are_there(report: Path) -> None:
    shown = re.findall(r"^!\[[^\]]*\]\(([^)]*)\)", report.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) >= 2
    assert [figure for figure in shown if not (report.parent / figure).is_file()] == []
    kept = kept_by_git("reports")
    if kept is not None:  # a figure that lies here but is ignored would be missing in a clone
        assert [figure for figure in shown if report.parent / figure not in kept] == []
    assert f"({report.parent.name}/report.md)" in text("reports/README.md")


def test_committed_reports_are_small() -> None:
    files = kept_by_git("reports")
    if files is None:
        pytest.skip("no git repository")
    assert {path.suffix for path in files} == {".md", ".png"}
    assert sum(path.stat().st_size for path in files if path.exists()) < 4_000_000
