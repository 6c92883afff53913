"""YAML and JSON that somebody wrote: plain values are read as written, all else is refused in one line, quickly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.execution.heartbeat import heartbeat_path, read_heartbeat
from bench.execution.store import ResultStore, UnreadableResultError
from bench.json_text import parse_json
from bench.plan import Plan, expand
from bench.spec import DatasetSpec, Entry, Published, RunSpec, Suite
from bench.suite_files import load_suite, suite_names, suite_path
from bench.tuning.study import Study
from bench.yaml_text import MOST_BYTES, MOST_DEPTH, parse_yaml

SUITE = "datasets: [ml-100k]\nmodels: [popularity, {model: item-knn, label: k, config: {neighbours: 3}}]\nseeds: 2\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name: 2024-01-01", {"name": "2024-01-01"}),
        ("name: 2001-12-14t21:59:43.10-05:00", {"name": "2001-12-14t21:59:43.10-05:00"}),
        ("[no, on, off, yes, y, No, ON]", ["no", "on", "off", "yes", "y", "No", "ON"]),
        (
            "[true, False, null, ~, '1', 1, -2, 1.5, .5, 0x10, 1_000]",
            [True, False, None, None, "1", 1, -2, 1.5, 0.5, 16, 1000],
        ),
        ("base: &b {p: 1, q: 2}\nrow: {<<: *b, q: 3}", {"base": {"p": 1, "q": 2}, "row": {"p": 1, "q": 3}}),
        ("\ufeffa: 1", {"a": 1}),
        ("", None),
        ("a: =", {"a": "="}),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_what_is_plain_is_read_as_it_is_written(text: str, value: object) -> None:
    assert parse_yaml(text, "here") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "its aliases stand for more than 20,000 values"),
        (MERGES, "its aliases stand for more than 20,000 values"),
        ("a: &a [*a]", "an alias stands for what it is part of"),
        ("a: !!int abc", "'abc' is no whole number"),
        ("a: !!float abc", "'abc' is no finite number"),
        ("a: !!bool 3", "'3' is neither true nor false"),
        ("a: !!null 3", "'3' is not null"),
        ("a: !!python/object/apply:os.system [ls]", "tag '!!python/object/apply:os.system' makes something else"),
        ("a: !!binary aGk=", "tag '!!binary' makes"),
        ("a: !!timestamp 2024-01-01", "tag '!!timestamp' makes"),
        ("a: !mine 3", "tag '!mine' makes"),
        ("[" * 100_000, f"nested more than {MOST_DEPTH} deep"),
        ("{a: " * 50_000, f"nested more than {MOST_DEPTH} deep"),
        ("- " * 100_000, f"nested more than {MOST_DEPTH} deep"),
        ("[" + "1, " * 30_000 + "]", "more than 20,000 values"),
        ("x" * (MOST_BYTES + 1), "characters are too many"),
        ("a: 123456789012345678901", "'123456789012345678901' is too large: whole numbers have 64 bits"),
        ("a: " + "9" * 5000, "whole number"),
        ("a: .nan", "'.nan' is no finite number"),
        ("a: -.inf", "'-.inf' is no finite number"),
        ("a: 1.0e+400", "'1.0e+400' is no finite number"),
        ("a: 1\nb: 2\na: 3", "here, line 3: broken YAML: key 'a' is there twice"),
        ("x:\n  dim: 1\n  'dim': 2", "here, line 3: broken YAML: key 'dim' is there twice"),
        ("b: {<<: {q: 1}, <<: {r: 2}}", "key '<<' is there twice"),
        ("1: 2", "key '1' is no text: put it into quotes"),
        ("true: 2", "key 'true' is no text"),
        ("? [a]\n: 1", "a list or mapping as key is no text"),
        ("a: 1:30", "'1:30' is a number to the base of 8 or 60"),
        ("a: 010", "'010' is a number to the base of 8 or 60"),
        ("a:\n\tb: 1", "here, line 2: broken YAML: a tab where blanks are needed"),
        ("a: 1\n---\na: 2", "it holds several documents"),
        ("a: \x00", r"character '\x00' can't stand in it"),
        ("a: \x1b[31m", r"character '\x1b' can't stand in it"),
        ('a: "\\ud800"', "half of a surrogate pair"),
        ('a: "\\0"', "a character 0"),
        ("a: [1", "broken YAML: expected"),
        ("a: *nowhere", "undefined alias"),
    ],
)
def test_anything_else_is_refused_in_one_line_and_at_once(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(BenchError) as caught:
        parse_yaml(text, "here")
    assert time.process_time() - started < 5
    assert str(caught.value).startswith("here")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00\x01", "mine.yaml: can't be read: it is no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "mine.yaml: can't be read: it is no text in UTF-8"),
        (b"a: \x00", "mine.yaml: can't be read: it is no text, but holds bytes of 0"),
        (
            b"# " + b"x" * MOST_BYTES,
            "mine.yaml: can't be read: it has 262,146 bytes, and more than 262,144 are too many",
        ),
        (b"", "mine.yaml: a suite is a mapping"),
        (
            SUITE.replace("seeds: 2", "seeds: [123456789012345678901]").encode(),
            "is too large: whole numbers have 64 bits",
        ),
        (
            SUITE.replace("seeds: 2", "seeds: [4294967296]").encode(),
            "seeds: seed 4294967296 is too large: use 0 to 4294967295",
        ),
        (SUITE.replace("seeds: 2", "seeds: 1000000000").encode(), "should be a count (3 means 0, 1, 2; at most 1,000)"),
        (SUITE.replace("seeds: 2", "seeds: [-1]").encode(), "should be a count"),
        (SUITE.replace("seeds: 2", "seeds: [1.5]").encode(), "should be a count"),
        (SUITE.replace("seeds: 2", "seeds: [true]").encode(), "should be a count"),
        (SUITE.replace("seeds: 2", "seeds: 2\nseeds: 3").encode(), "line 4: broken YAML: key 'seeds' is there twice"),
        (SUITE.replace("ml-100k", "{path: ~nobody-is-called-so/x.csv}").encode(), "give the whole path"),
        (SUITE.replace("ml-100k", "{path: %s.csv}" % ("x" * 300)).encode(), "does not exist"),
    ],
)
def test_a_suite_file_that_is_none_is_one_line(
    tmp_path: Path, refused: Callable[[list[str]], str], content: bytes, message: str
) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    complaint = refused(["run", "--suite", "mine.yaml", "--results", "results"])
    assert message in complaint
    assert complaint.rstrip("\n").isprintable()
    assert len(complaint) <= 510


def test_what_is_no_file_is_no_suite(tmp_path: Path, refused: Callable[[list[str]], str]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "folder.yaml", "zero.yaml", "x" * 300 + ".yaml", "~nobody-is-called-so/x.yaml"):
        assert "no suite file '" in refused(["run", "--suite", name])


def test_a_suite_of_thousands_of_rows_is_read_in_bounded_time(tmp_path: Path) -> None:
    rows = "".join(f"- {{model: popularity, label: l{number}}}\n" for number in range(3900))
    (tmp_path / "mine.yaml").write_text(f"datasets: [ml-100k]\nmodels:\n{rows}- {{model: popularity, label: L7}}\n")
    started = time.process_time()
    with pytest.raises(BenchError, match="two rows are named 'l7' and 'L7'"):
        load_suite(str(tmp_path / "mine.yaml"))
    assert time.process_time() - started < 10


@pytest.mark.parametrize("runs", ["{}", "1", '{"seed": -1}'])
def test_a_plan_of_wrong_runs_is_told_of_the_first(tmp_path: Path, runs: str) -> None:
    suite = Suite(name="s", description="", datasets=(SPEC.dataset,), models=(Entry(model="m"),), seeds=(0,))
    path = tmp_path / "s" / "plan.json"
    Plan(suite=suite, runs=(), command="c").write(tmp_path)
    path.write_text(path.read_text().replace('"runs": []', f'"runs": [{", ".join([runs] * 30_000)}]'))
    started = time.process_time()
    with pytest.raises(BenchError, match=r"unreadable plan '.*' \(its content: "):
        Plan.read(tmp_path, "s")
    assert time.process_time() - started < 5


def test_names_that_yaml_takes_for_something_else_are_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE.replace("seeds: 2", "name: 2024-01-01").replace("label: k", "label: no"))
    suite = load_suite(str(tmp_path / "mine.yaml"))
    assert (suite.name, suite.models[1].row) == ("2024-01-01", "no")


def test_the_suites_of_the_project_read_as_before() -> None:
    for name in suite_names():
        text = suite_path(name).read_text()
        assert parse_yaml(text, name) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("neighbours=" + "[" * 5000, "the value is no YAML (nested more than 40 deep)"),
        ("neighbours=!!int abc", "the value is no YAML ('abc' is no whole number)"),
        ("neighbours=.nan", "the value is no YAML ('.nan' is no finite number)"),
        ("neighbours={a: 1, a: 2}", "the value is no YAML (key 'a' is there twice)"),
        ("item-knn." + "a." * 5000 + "b=1", "should read key=value"),
        ("neighbours=" + "9" * 30, "too large"),
    ],
)
@pytest.mark.usefixtures("tiny_ml_100k")
def test_values_of_set_are_read_with_the_same_care(setting: str, message: str) -> None:
    suite = Suite(
        name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=(Entry(model="item-knn"),), seeds=(0,)
    )
    with pytest.raises(BenchError) as caught:
        expand(suite, [setting])
    assert message in str(caught.value)
    assert str(caught.value).startswith("--set ")


@pytest.mark.parametrize("seeds", ["9" * 5000, "4294967296", "0,99999999999", "99999999999"])
def test_seeds_of_the_command_line_are_bounded(refused: Callable[[list[str]], str], seeds: str) -> None:
    assert "--seeds: " in refused(["run", "--seeds", seeds])


def test_figures_of_a_suite_are_finite() -> None:
    for value in ("nan", float("inf")):
        with pytest.raises(ValueError, match="finite"):
            Published(metric="recall@10", value=value, tolerance=0.1, source="s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a": ' * 100_000, "nested too deep"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": -Infinity}', "-Infinity is no finite number"),
        ('{"a": 1e999}', "1e999 is no finite number"),
        ('{"a": %s}' % ("9" * 5000), "is too large: whole numbers have 64 bits"),
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_json_that_no_table_could_hold_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_is_read_as_before() -> None:
    text = '{"a": [1, -2.5, "x", null, true, "\\ud83d\\ude00"], "b": {"a": {}}}'
    assert parse_json(text) == json.loads(text)
    assert str(parse_json("[NaN, Infinity]", finite=False)) == "[nan, inf]"


SPEC = RunSpec(dataset=DatasetSpec(name="d"), data_hash="", model="m", revision=1, config={}, seed=0, label="m")
BROKEN = ["[" * 100_000, '{"a": 1, "a": 2}', '{"a": NaN', "9" * 5000, "\x00", "null", "[]", '{"fraction": "x"}']


@pytest.mark.parametrize("text", BROKEN)
def test_broken_files_of_our_own_are_told_or_passed_over(tmp_path: Path, text: str) -> None:
    plan = tmp_path / "mine" / "plan.json"
    study = Study.folder(tmp_path, SPEC) / "study.json"
    result = ResultStore(tmp_path).folder(SPEC) / "result.json"
    for path in (plan, study, result, heartbeat_path(tmp_path, SPEC)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(BenchError, match="unreadable plan"):
        Plan.read(tmp_path, "mine")
    with pytest.raises(BenchError, match="unreadable study"):
        Study.read(tmp_path, SPEC)
    with pytest.raises(UnreadableResultError, match="unreadable result"):
        ResultStore(tmp_path).load(SPEC)
    assert read_heartbeat(tmp_path, SPEC) is None


def mutated(text: str, cuts: list[tuple[float, float, str]]) -> str:
    """A text in which some parts are replaced, each by its begin and length as shares of the text."""
    for begin, length, replacement in cuts:
        start = int(begin * len(text))
        text = text[:start] + replacement + text[start + int(length * 40) :]
    return text


PIECES = st.sampled_from(
    [
        *(
            "&a ",
            "*a",
            "<<: *a",
            "!!int x",
            "!!python/name:x",
            "? ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ": ",
            "\t",
            "\n",
            "---\n",
        ),
        *(
            "no",
            "2024-01-01",
            ".nan",
            ".inf",
            "1e999",
            "0x",
            "010",
            "1:30",
            "null",
            "~",
            "''",
            '"\\ud800"',
            "\x00",
            "#",
        ),
        *("9" * 30, "../x", "name: runs\n", "label: =1", "seeds: -1\n", "models: 7\n", "\u202e", "\ufeff", "é" * 50),
        *("[" * 60, "\x1b[0m"),
    ]
)
CUTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.one_of(PIECES, st.text(max_size=10))), max_size=4)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.sampled_from(["smoke", "full", "ablation", "lengths"]), CUTS)
def test_a_mutated_suite_is_a_suite_or_one_line(tmp_path_factory: pytest.TempPathFactory, name: str, cuts: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(mutated(suite_path(name).read_text(), cuts), encoding="utf-8", errors="surrogatepass")
    started = time.process_time()
    try:
        suite = load_suite(str(path))
    except BenchError as error:
        line = str(error)
    else:
        line = ""
        assert isinstance(suite, Suite)
        assert Suite.model_validate(suite.model_dump()) == suite
    assert line.isprintable()
    assert len(line) <= 1000
    assert time.process_time() - started < 5


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.dates())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(LEAVES, inner, max_size=4)),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "datasets", "models", "seeds", "questions", "comparisons", "paper", "slices", "floor"])


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.dictionaries(st.one_of(KEYS, st.text(max_size=5)), VALUES, max_size=5), st.booleans())
def test_a_random_document_is_a_suite_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object], complete: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    rest = {"datasets": ["ml-100k"], "models": ["popularity"]} if complete else {}
    path.write_text(yaml.dump(rest | content, allow_unicode=False), encoding="utf-8")
    try:
        assert isinstance(load_suite(str(path)), Suite)
    except BenchError as error:
        line = str(error)
    else:
        line = ""
    assert line.isprintable()


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=300)
@given(CUTS)
def test_a_mutated_plan_is_a_plan_or_one_line(tmp_path_factory: pytest.TempPathFactory, cuts: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    suite = Suite(name="s", description="d", datasets=(SPEC.dataset,), models=(Entry(model="m"),), seeds=(0,))
    Plan(suite=suite, runs=(SPEC,), command="c").write(folder)
    path = Plan.path(folder, "s")
    path.write_text(mutated(path.read_text(), cuts), encoding="utf-8", errors="surrogatepass")
    try:
        plan = Plan.read(folder, "s")
    except BenchError as error:
        line = str(error)
    else:
        line = ""
        written = [ResultStore(folder).folder(run) for run in plan.runs]
        assert all(place.resolve().is_relative_to((folder / "runs").resolve()) for place in written)
    assert line.isprintable()
