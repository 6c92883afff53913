"""Text that somebody else wrote is text in every output: no formula, no tag, no link, no command, no control code."""

from __future__ import annotations

import csv
import dataclasses
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from as_text import text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import make_suite, plan
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from test_html import Elements

from bench.analysis.csv_files import write_csv
from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.runs import SuiteRuns
from bench.export.latex import escape as latex
from bench.plain_text import printable
from bench.report import write_report
from bench.reporting import html
from bench.reporting.blocks import Code, Page
from bench.reporting.figures.style import headline
from bench.reporting.markdown import fenced, line, paragraph, table
from bench.reporting.table import Table
from bench.reporting.tables.provenance import runs_of, unfinished
from bench.reporting.words import code
from bench.spec import Comparison, Published, RunResult, RunSpec, Suite

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1",
    "=HYPERLINK(0)",
    "-x",
    "\n=1",
]
HOSTILE = (
    "<script>alert(1)</script> [x](javascript:alert(1)) ![y](http://e.example/y.png) | `a` **b** \x1b[2J\u202e\n# c\n=1"
)


def written(values: list[object], path: Path) -> list[str]:
    """The cells of one column of a file, as Python's reader of CSV sees them."""
    write_csv(pd.DataFrame({"text": values, "number": range(len(values))}), path)
    with path.open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_text_is_a_formula(text: str, tmp_path: Path) -> None:
    (cell,) = written([text], tmp_path / "a.csv")
    assert cell == "'" + printable(text).strip()


def test_other_cells_stay_as_they_are(tmp_path: Path) -> None:
    texts: list[object] = ["glass", 'a, b; "c"', "a=b", "-0.5", "+3", "-1e-05", "1-2", "it's", "", "ü"]
    assert written(texts, tmp_path / "a.csv") == texts
    assert written(["a\nb\x1b[0m\u202e"], tmp_path / "a.csv") == [r"a b\x1b[0m\u202e"]


def test_numbers_stay_numbers_and_blanks_blank(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"float": [-0.5, np.nan, 1e-12], "int": [-1, 0, 2], "bool": [True, False, True], "mixed": [None, -2.5, "=x"]}
    )
    frame.to_csv(tmp_path / "plain.csv", index=False)
    write_csv(frame, tmp_path / "safe.csv")
    assert (tmp_path / "safe.csv").read_text() == (tmp_path / "plain.csv").read_text().replace("=x", "'=x")
    back = pd.read_csv(tmp_path / "safe.csv")
    pd.testing.assert_frame_equal(back[["float", "int", "bool"]], frame[["float", "int", "bool"]])


def test_leaderboards_of_ordinary_runs_are_the_same_bytes_and_read_back(full_runs: SuiteRuns, tmp_path: Path) -> None:
    wide = write_frames(full_runs, tmp_path)["ml-100k"].leaderboard
    folder = tmp_path / "made-up" / "ml-100k"
    tidy = tidy_metrics(full_runs)
    assert (folder / "metrics.csv").read_text() == tidy.to_csv(index=False)
    assert (folder / "leaderboard.csv").read_text() == wide.to_csv(index=False, float_format="%.10g")
    again = leaderboard(pd.read_csv(folder / "metrics.csv"))
    assert again["row"].tolist() == wide["row"].tolist()
    np.testing.assert_allclose(again["item.overall.ndcg@10.mean"], wide["item.overall.ndcg@10.mean"])


@pytest.fixture(scope="module")
def told(results: list[RunResult], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Elements]:
    """A report in which everything that somebody may write is hostile, with its HTML."""
    suite = make_suite(seeds=(0,))
    figure = Published(metric="recall@10", value=0.9, tolerance=0.1, source=HOSTILE, why=HOSTILE)
    models = [entry.model_copy(update={"note": HOSTILE, "published": {"ml-100k": (figure,)}}) for entry in suite.models]
    asked = Comparison(
        title="$\\frac$ " + printable(HOSTILE)[:80],
        question=HOSTILE,
        rows=("glass", "tiger"),
        against="tiger",
        paper=HOSTILE,
    )
    suite = suite.model_copy(
        update={
            "description": HOSTILE,
            "models": tuple(models),
            "comparisons": (asked,),
            "slices": (printable(HOSTILE),),
        }
    )
    kept = [result for result in results if result.spec.seed == 0]
    ended = [dataclasses.replace(kept[0], status="failed", reason=HOSTILE, queries=None)]
    ended += [with_hostile_facts(result) for result in kept[1:]]
    root = tmp_path_factory.mktemp("hostile")
    return hostile_report(suite, plan(suite), ended, root)


def hostile_report(suite: Suite, specs: list[RunSpec], ended: list[RunResult], root: Path) -> tuple[Path, Elements]:
    report = write_report(suite, specs, ended, root / "results", root / "reports", f"```\n{HOSTILE}")
    return root, Elements(report.with_suffix(".html").read_text())


def with_hostile_facts(result: RunResult) -> RunResult:
    card = {"filters": [HOSTILE], "licence": HOSTILE, "source": HOSTILE, "seen_items": HOSTILE}
    facts = {"commit": HOSTILE, "device_name": HOSTILE, "torch": HOSTILE, "dataset": card, "excluded": {HOSTILE: 1}}
    fidelity = [{"name": HOSTILE, "status": HOSTILE, "source": HOSTILE, "note": HOSTILE, "test": HOSTILE}]
    return dataclasses.replace(
        result,
        environment={**result.environment, **facts},
        diagnostics={**result.diagnostics, "fidelity": fidelity},
        queries=None if result.queries is None else result.queries.assign(**{f"item:{printable(HOSTILE)}": HOSTILE}),
    )


def test_a_hostile_report_has_no_element_of_its_own(told: tuple[Path, Elements], tmp_path: Path) -> None:
    elements = told[1]
    assert elements.balanced
    assert len(list(elements.of("script"))) == len(list(Elements(html.page(Page(()), tmp_path)).of("script")))
    assert all(attributes["src"].startswith("data:image/") for attributes, _ in elements.of("img"))
    assert all(attributes["href"].startswith("#") for attributes, _ in elements.of("a"))
    assert [text for _, text in elements.of("h1")] == [
        f"made-up: {' '.join(printable(HOSTILE).split())}".replace("`", "")
    ]
    assert not [text for _, text in elements.of("strong") if text == "b"]


def test_a_hostile_report_has_no_control_code_and_stays_in_its_folders(told: tuple[Path, Elements]) -> None:
    root = told[0]
    files = [path for path in root.rglob("*") if path.is_file()]
    assert {path.relative_to(root).parts[:2] for path in files} == {("results", "made-up"), ("reports", "made-up")}
    for path in files:
        if path.suffix in (".md", ".html", ".csv"):
            kinds = {unicodedata.category(character) for character in path.read_text() if character not in "\n\t"}
            assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}, path
        if path.suffix == ".csv":
            with path.open(newline="") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            assert not [cell for cell in cells if cell.startswith(tuple("=+@\t\r"))], path
    markdown = (root / "reports/made-up/report.md").read_text()
    outside_code = [line for line in markdown.split("\n") if "](" in line and not line.startswith("![")]
    assert all("\\](" in line or "`" in line for line in outside_code)


def rendered(markdown: str) -> list[str]:
    """Types of the tokens of a page, for a reader of CommonMark that also takes HTML."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    return [part.type for token in tokens for part in (token, *(token.children or ()))]


@pytest.mark.parametrize(
    "text",
    [
        "<b>x</b>",
        "[x](y)",
        "![x](y)",
        "*x*",
        "__x__",
        "a\\",
        "&lt;",
        "<http://x.example>",
        "``a`",
        "# x",
        "x\n\n# y",
        "x\n=",
        "~~x~~",
    ],
)
def test_foreign_text_is_shown_as_it_is(text: str) -> None:
    shown = " ".join(text.split())
    for markdown in (line(text), paragraph(text)):
        tokens = MarkdownIt("commonmark", {"html": True}).parse(f"x {markdown}")
        assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
        children = tokens[1].children or []
        assert {child.type for child in children} <= {"text", "text_special"}
        assert "".join(child.content for child in children) == f"x {shown}"


def test_words_in_ordinary_text_and_its_code_stay_as_they_are() -> None:
    for text in (
        "RQ-VAE (`tokenizer.method: rq-vae`) or snake_case, 5 % (p < 0.001)".replace("<", "of"),
        "a - b + c = d",
        "-",
    ):
        assert line(text) == text
    assert line("`a|<b>` *c*") == r"`a|<b>` \*c\*"
    assert line(code("results/a_b")) == "`results/a_b`"
    assert line(code("a`b")) == r"a\`b"
    assert fenced("x\n```\ny") == "````\nx\n```\ny\n````"


def test_headers_of_a_table_can_not_break_it() -> None:
    text = table(Table.of("t", ["a | b\nc", "d"], [["1", "2"]]))
    assert len(text.splitlines()) == 3
    assert r"a \| b c" in text


def test_a_reason_and_a_command_stay_in_their_place(full_runs: SuiteRuns, planned: list[RunSpec]) -> None:
    failed = RunResult(spec=planned[0], status="failed", reason=HOSTILE)
    runs = SuiteRuns.of(full_runs.suite, planned[:1], [failed])
    assert len(text_of(unfinished(runs_of([frames_of(runs)]))).splitlines()) == 3
    assert text_of(Code("a\n```\nb")) == "````\na\n```\nb\n````"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\write18{ls}", r"\textbackslash{}write18\{ls\}"),
        ("$x$ & 5 % #1 a_b", r"\$x\$ \& 5 \% \#1 a\_b"),
        ("a\n\n\\input{x}\x1b", r"a \textbackslash{}input\{x\}\textbackslash{}x1b"),
    ],
)
def test_latex_gets_no_command_from_text(text: str, expected: str) -> None:
    assert latex(text) == expected


def test_dollars_in_a_title_are_no_mathematics() -> None:
    figure = Figure()
    headline(figure, r"$\frac$ and $x$", "a$b")
    figure.draw_without_rendering()


CELLS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=st.sampled_from("=+-@\t\r\n '\"a0.,;|\x1b\u202e\ufeff\uff1d"), max_size=12),
    st.sampled_from([*FORMULAS, HOSTILE]),
    st.floats(),
    st.integers(-(10**9), 10**9),
    st.none(),
)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.lists(CELLS, min_size=1, max_size=6))
def test_no_written_cell_is_a_formula_or_a_control_code(
    tmp_path_factory: pytest.TempPathFactory, values: list[object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    cells = written(values, path)
    assert len(cells) == len(values)
    for cell, value in zip(cells, values, strict=True):
        assert cell.isprintable()
        assert cell == cell.strip()
        assert not cell.startswith(tuple("=@\uff1d\uff0b\uff0d\uff20"))
        if cell.startswith(("+", "-")):
            float(cell)
        if isinstance(value, str):
            assert cell.removeprefix("'") == printable(value).strip().removeprefix("'")
    back = pd.read_csv(path, keep_default_na=False, dtype=str)
    assert back["text"].tolist() == cells


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    st.one_of(st.text(max_size=80), st.text(alphabet=st.sampled_from("<>&\"'`*_[]()!#|\\~ \nab1=.:-+$"), max_size=40))
)
def test_foreign_text_brings_no_markup_but_code(text: str) -> None:
    plain = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "code_inline"}
    assert set(rendered(paragraph(text))) <= plain
    assert set(rendered(f"x {line(text)}")) <= plain
    cells = rendered(table(Table.of("t", ["a", "b"], [[text, "x"]])))
    assert cells.count("td_open") == 2
    assert {name for name in cells if not name.startswith(("t", "inline"))} <= {"code_inline"}
    assert "\n" not in line(text)
    assert "\n" not in latex(text)
