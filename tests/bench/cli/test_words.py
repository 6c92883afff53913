"""Small words of the command line: help, version, quiet and verbose, completion, and what was meant by a wrong one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import brief_index
from bench.cli import main as cli
from bench.errors import nearest, unknown_name
from bench.model_index import indexed

FEW = ["--suite", "smoke", "--models", "popularity,personal-popularity", "--jobs", "1"]


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"], ["data", "describe", "-h"], ["cache", "-h"]])
def test_help_has_a_short_name_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    assert "Usage: bench" in capsys.readouterr().out


def test_the_version_is_told_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "glass-bench 0.1.0\n"


def test_a_bare_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    index = brief_index.brief_index()
    for name in (*indexed(), *index["datasets"], *index["suites"]):
        assert name in said
    assert len(said.splitlines()) < 40


def test_the_brief_index_says_what_catalogue_and_suites_say() -> None:
    assert brief_index.brief_index() == brief_index.current(), "run `python -m bench.brief_index`"
    assert json.loads(brief_index.INDEX.read_text(encoding="utf-8")).keys() == {"datasets", "suites"}


@pytest.mark.usefixtures("tiny_ml_100k")
def test_quiet_says_nothing_and_verbose_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outside_models: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", *FEW, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["run", *FEW]) == 0
    assert "nothing to do, all 2 runs are complete" in capsys.readouterr().out, "the next command is not quiet"
    failing = ["run", "--suite", "smoke", "--models", "outside-raising", "--jobs", "1"]
    assert cli.main([*failing, "-q"]) == 1
    assert capsys.readouterr().out == (
        "  failed: outside-raising on ml-100k+300users, seed 0: RuntimeError: the loss is not a number\n"
    )
    assert cli.main([*failing, "--verbose"]) == 1
    said = capsys.readouterr().out
    assert "  | RuntimeError: the loss is" in said.splitlines(), said


def test_nobody_is_quiet_and_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--suite", "smoke", "--dry-run", "-q", "-v"]) == 2
    assert capsys.readouterr().err == "error: --quiet and --verbose are opposites: give one of them\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("bench run --suite f", {"factors", "full"}),
        ("bench run --models glass,tig", {"glass,tiger", "glass,tiger-t5"}),
        ("bench run --datasets planted-m", {"planted-mixed"}),
        ("bench comp", {"compare"}),
    ],
)
def test_the_shell_completes_names(words: str, offered: set[str]) -> None:
    code = "import sys; sys.argv = ['bench']; from bench.cli.main import main; sys.exit(main())"
    asked = {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["run", "--set", "glass.dimm=3"], "did you mean network.dim "),
        (["run", "--set", "glass.lerning_rate=3"], "did you mean training.learning_rate"),
        (["run", "--set", "dimm=3"], "did you mean dim "),
        (["run", "--models", "galss"], "did you mean glass?"),
        (["run", "--datasets", "ml-100"], "did you mean ml-100k "),
        (["run", "--suite", "ful"], "did you mean full?"),
        (["run", "--device", "cpuu"], "'cpuu' is not one of 'auto', 'cpu', 'cuda': did you mean cpu?"),
        (["run", "--modles", "glass"], "--models"),
        (["runn"], "Did you mean 'run'?"),
        (["list", "modls"], "did you mean models?"),
        (["data", "describe", "ml-100"], "did you mean ml-100k "),
        (["data", "describe", "ml-100k", "--protocol", "temporel"], "did you mean temporal?"),
        (["data", "describe", "ml-100k", "--format", "tabl"], "did you mean table?"),
    ],
)
@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_misspelt_word_gets_the_one_that_was_meant(
    arguments: list[str], meant: str, refused: Callable[[list[str]], str]
) -> None:
    complaint = refused(arguments)
    assert meant in complaint
    assert len(complaint) < 250


SUITE = """datasets: [ml-100k]
models:
  - {{model: {model}, config: {{{key}: 3}}}}
questions: [[{row}, {row}]]
"""


@pytest.mark.parametrize(
    ("part", "wrong", "meant"),
    [
        ("model", "sasrec-cee", "did you mean sasrec-ce"),
        ("key", "lengthh", "did you mean length?"),
        ("row", "sasrec", "did you mean sasrec-ce?"),
    ],
)
@pytest.mark.usefixtures("tiny_ml_100k")
def test_so_does_one_in_a_suite(part: str, wrong: str, meant: str, tmp_path: Path, refused: Callable) -> None:
    right = {"model": "sasrec-ce", "key": "length", "row": "sasrec-ce"}
    (tmp_path / "mine.yaml").write_text(SUITE.format(**{**right, part: wrong}))
    assert meant in refused(["run", "--suite", "mine.yaml"])


@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=40), max_size=300))
def test_no_list_is_long_and_what_is_known_is_found(name: str, known: list[str]) -> None:
    message = str(unknown_name("model", name, known))
    assert message.count(",") <= 12 + name.count(",") + sum(text.count(",") for text in known)
    assert len(nearest(name, known)) <= 3
    for text in known[:3]:
        assert text.lower() in [one.lower() for one in nearest(text, known)]
