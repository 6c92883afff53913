"""Lines that a user reads: one each, of bounded length, in which nothing controls the terminal."""

from __future__ import annotations

import contextlib
import io
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table

from bench.analysis.runs import Run
from bench.cli.main import main
from bench.console import Console, literal, say
from bench.errors import BenchError, MissingDataError, SkippedRun, message_of, reason_of, unknown_name
from bench.execution.forecast import Forecast
from bench.execution.heartbeat import Heartbeat, heartbeat_path, read_heartbeat
from bench.execution.progress import Progress
from bench.execution.worker import supervised
from bench.plain_text import MOST_CHARACTERS, one_line, printable, quoted, shortened
from bench.spec import DatasetSpec, RunResult, RunSpec

HOSTILE = "a\nb\r\x1b[2J\x1b]0;title\x07\u202eevil\u2028\u200b\ud800\x00\t\x9b31m"
SPEC = RunSpec(dataset=DatasetSpec(name="d"), data_hash="", model="m", revision=1, config={}, seed=0, label="m")


def test_every_character_without_a_glyph_is_spelled_out() -> None:
    assert printable("plain \u00e9 \u65e5 \U0001f600") == "plain \u00e9 \u65e5 \U0001f600"
    assert printable("a\x1b[0m\u202eb\ud800\x00") == r"a\x1b[0m\u202eb\ud800\x00"
    assert printable("a\tb\u00a0c\nd") == "a b c d"
    assert quoted("a\n\x1b") == r"'a\n\x1b'"
    assert quoted(10**5000).startswith("a value of type int")


def test_of_a_long_line_beginning_and_end_are_kept() -> None:
    line = one_line("where: " + "x" * 10_000 + ": what to do", 100)
    assert len(line) == 100
    assert line.startswith("where: xxx")
    assert line.endswith("xxx: what to do")
    assert " ... " in line
    assert shortened("short", 100) == "short"


@pytest.mark.parametrize("kind", [BenchError, SkippedRun, MissingDataError])
def test_every_error_is_one_bounded_line(kind: type[Exception]) -> None:
    for text in (HOSTILE, "x" * 10**6, HOSTILE * 10**4):
        assert str(kind(text)).isprintable()
        assert len(str(kind(text))) <= 2 * MOST_CHARACTERS
    assert str(kind("as it was")) == "as it was"


def test_an_unknown_name_is_repeated_in_part() -> None:
    error = str(unknown_name("model", HOSTILE + "x" * 10**6, ["glass"]))
    assert error.isprintable()
    assert len(error) < 150


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--suite", HOSTILE.replace("\x00", "") + ".yaml"],
        ["run", "--suite", "x" * 10_000],
        ["run", "--models", "y\x1b[2J" + "x" * 10_000],
        ["run", "--dataset", "y\x1b[2J" + "x" * 10_000],
        ["run", "--dataset", "~nobody-is-called-so/x.csv"],
        ["run", "--seeds", "\x1b[2J" + "1" * 10_000],
        ["run", "--" + "x" * 10_000],
        ["run", "--suite", "smoke", "--set", "y\x1b[2J=" + "x" * 10_000],
        ["report", "--suite", "y\x1b[2J" + "x" * 10_000],
        ["compare", "y\x1b[2J", "x" * 10_000],
        ["list", "y\x1b[2J" + "x" * 10_000],
        ["data", "describe", "y\u202e" + "x" * 10_000],
    ],
)
def test_whatever_is_asked_for_the_complaint_is_one_bounded_line(
    arguments: list[str], refused: Callable[[list[str]], str]
) -> None:
    complaint = refused(arguments)
    assert complaint.rstrip("\n").isprintable()
    assert len(complaint) <= MOST_CHARACTERS + len("error: \n")


def test_the_reason_of_a_failed_run_is_one_bounded_line(tmp_path: Path) -> None:
    class SpeechlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    for error in (ValueError(HOSTILE * 1000), SkippedRun(HOSTILE), SpeechlessError(), KeyboardInterrupt()):
        assert reason_of(error).isprintable()
        assert len(reason_of(error)) <= 300

    def fail(pulse: object) -> None:
        raise ValueError(HOSTILE * 1000)

    result = RunResult(spec=SPEC, status="complete")
    supervised(result, tmp_path, fail)
    assert result.status == "failed"
    assert result.reason.isprintable()
    assert len(result.reason) <= 300


def test_a_reason_from_a_file_is_one_bounded_line_wherever_it_is_told(tmp_path: Path) -> None:
    result = RunResult(spec=SPEC, status="failed", reason=HOSTILE * 1000)
    assert len(Run(SPEC, result).reason) <= MOST_CHARACTERS
    assert Run(SPEC, result).reason.isprintable()
    out = io.StringIO()
    with Progress(Console(file=out), tmp_path, Forecast([SPEC], 1)) as progress:
        progress.finished(result)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().rstrip("\n").isprintable()
    assert len(out.getvalue()) < MOST_CHARACTERS + 100


def test_words_of_a_heartbeat_are_few(tmp_path: Path) -> None:
    path = heartbeat_path(tmp_path, SPEC)
    path.parent.mkdir(parents=True)
    path.write_text('{"fraction": 0.5, "words": "epoch 1\\n\\u001b[2J%s", "started": 1.0}' % ("x" * 1000))
    beat = read_heartbeat(tmp_path, SPEC)
    assert isinstance(beat, Heartbeat)
    assert beat.words.isprintable()
    assert len(beat.words) <= 80
    for broken in ('{"fraction": "half", "words": "", "started": 1}', '{"fraction": 1}', "[]", "NaN"):
        path.write_text(broken)
        assert read_heartbeat(tmp_path, SPEC) is None


def printed(terminal: bool, *lines: str) -> str:
    """What a console writes of text in a line, in a cell, in a header and as literal text."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, color_system=None, width=200, legacy_windows=False)
    for line in lines:
        say(console, line)
        table = Table(line.replace("[", "("), title=literal(line))
        table.add_row(line)
        console.print(table, markup=False)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_terminal_gets_no_code_from_text(terminal: bool) -> None:
    shown = printed(terminal, HOSTILE, ":bug: [red]x[/red] \\[red]y")
    kinds = {unicodedata.category(character) for character in shown if character != "\n"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert r"\x1b[2J" in shown
    assert ":bug: [red]x[/red] \\[red]y" in shown


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    st.one_of(st.text(max_size=2000), st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"])))
)
def test_any_text_is_one_bounded_line(text: str) -> None:
    for line in (one_line(text), str(BenchError(text)), reason_of(ValueError(text)), one_line(text, 40), quoted(text)):
        assert line.isprintable()
        line.encode()
    assert len(one_line(text, 40)) <= 40
    assert len(one_line(text)) <= MOST_CHARACTERS
    assert one_line(one_line(text)) == one_line(text)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(max_size=60))
def test_no_text_controls_a_terminal(text: str) -> None:
    kinds = {unicodedata.category(character) for character in printed(True, text) if character != "\n"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.text(max_size=600).filter(lambda word: not word.startswith("-")))
def test_any_argument_gives_one_bounded_line(word: str) -> None:
    for command in (["run", "--suite"], ["run", "--models"], ["list"], ["report", "--suite"], ["data", "describe"]):
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            assert main([*command, word]) == 2
        complaint = told.getvalue()
        assert complaint.count("\n") == 1
        assert complaint.rstrip("\n").isprintable()
        assert len(complaint) <= MOST_CHARACTERS + len("error: \n")


def test_a_library_complains_in_its_first_line() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert message_of(ValueError("\nno magic bytes in footer\n  at reader.cc:12")) == "no magic bytes in footer"
    assert message_of(EOFError()) == "EOFError"
    assert message_of(MuteError()) == "its message can't be read"


def test_no_other_place_makes_a_line_of_an_exception() -> None:
    root = Path(__file__).parents[2]
    own_way = re.compile(r"str\(\w*error\w*\)(\.strip\(\))?\.splitlines|\{type\(\w*error\w*\)\.__name__\}: \{")
    ways = {
        path.relative_to(root).as_posix()
        for package in ("bench", "models", "baselines")
        for path in (root / package).rglob("*.py")
        if own_way.search(path.read_text(encoding="utf-8"))
    }
    assert ways <= {"bench/errors.py"}
