"""The HTML page says what the markdown says, in one file, and shows foreign text as text."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from bench.report import write_report
from bench.reporting import markdown
from bench.reporting.blocks import Block, Bullets, Code, Heading, Notice, Page, Paragraph, Picture
from bench.reporting.html import FEWEST_ROWS_TO_FILTER, page
from bench.reporting.kinds import P_VALUE, RUNS, MeanStd, Runs, decimals, mean_std
from bench.reporting.table import Column, Table
from bench.reporting.words import strong
from bench.spec import RunResult, RunSpec, Suite

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "input", "img", "br", "hr"}


class Elements(HTMLParser):
    """Every element with its attributes and text, and whether tags are closed in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.balanced = True
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()
        self.balanced = self.balanced and not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, [])
        self.found.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop()[0] != tag:
            self.balanced = False

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    def of(self, tag: str) -> Iterator[tuple[dict[str, str], str]]:
        return ((attributes, "".join(words).strip()) for name, attributes, words in self.found if name == tag)


@pytest.fixture(scope="module")
def report(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("html")
    return write_report(suite, planned, results, folder / "results", folder / "reports", "the command")


def test_every_table_and_figure_of_the_markdown_is_in_the_page(report: Path) -> None:
    markdown, elements = report.read_text(), Elements(report.with_suffix(".html").read_text())
    assert elements.balanced
    assert len(list(elements.of("table"))) == len(re.findall(r"^\|:?-", markdown, flags=re.MULTILINE))
    images = list(elements.of("img"))
    assert [attributes["alt"] for attributes, _ in images] == re.findall(r"^!\[(.+?)\]", markdown, flags=re.MULTILINE)
    for level in (1, 2, 3):
        headings = [text for _, text in elements.of(f"h{level}")]
        assert headings == re.findall(rf"^{'#' * level} (.+)$", markdown, flags=re.MULTILINE)


def test_figures_are_the_files_beside_the_page(report: Path) -> None:
    files = re.findall(r"\((figures/.+?)\)", report.read_text())
    images = Elements(report.with_suffix(".html").read_text()).of("img")
    for file, (attributes, _) in zip(files, images, strict=True):
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/webp;base64"
        assert len(data) < (report.parent / file).with_suffix(".svg").stat().st_size / 2
        with Image.open(BytesIO(base64.b64decode(data))) as shown, Image.open(report.parent / file) as drawn:
            assert ImageChops.difference(shown.convert("RGB"), drawn.convert("RGB")).getbbox() is None


def test_the_page_loads_nothing(report: Path) -> None:
    elements = Elements(report.with_suffix(".html").read_text())
    for tag, attributes, _ in elements.found:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "url(" not in "".join(text for _, text in elements.of("style"))
    policies = [attributes["content"] for attributes, _ in elements.of("meta") if "http-equiv" in attributes]
    assert [policy.startswith("default-src 'none'") for policy in policies] == [True]


def test_contents_lead_to_every_section(report: Path) -> None:
    elements = Elements(report.with_suffix(".html").read_text())
    links = [attributes["href"] for attributes, _ in elements.of("a")]
    assert links == [f"#{attributes['id']}" for attributes, _ in elements.of("h2")]
    anchors = [attributes["id"] for level in (1, 2, 3) for attributes, _ in elements.of(f"h{level}")]
    assert len(set(anchors)) == len(anchors)


def test_the_leaderboard_can_be_sorted_and_filtered(report: Path) -> None:
    text = report.with_suffix(".html").read_text()
    start = text.index("results</h2>")
    board = Elements(text[text.index('<div class="table">', start) : text.index("</table>", start)])
    assert [attributes["type"] for attributes, _ in board.of("input")] == ["search"]
    heads = {text: attributes for attributes, text in board.of("th")}
    assert "data-kind" not in heads["Model"]
    assert heads["NDCG@10"]["data-kind"] == "mean-std"
    assert heads["Runs"]["data-kind"] == "runs"
    assert list(heads)[1] == "NDCG@10", "what sorts the table stands first, where it is on screen"
    assert {name: attributes["aria-sort"] for name, attributes in heads.items() if name != "NDCG@10"} == dict.fromkeys(
        [name for name in heads if name != "NDCG@10"], "none"
    )
    assert heads["NDCG@10"]["aria-sort"] == "descending"
    assert len(list(board.of("button"))) == len(heads)
    for attributes, cell in board.of("td"):
        if "±" in cell:
            assert float(attributes["data-number"]) == pytest.approx(float(cell.split(" ")[0]), abs=5e-5)


def test_the_same_report_gives_the_same_page(
    report: Path, suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    again = write_report(suite, planned, results, tmp_path / "results", tmp_path / "reports", "the command")
    assert again.with_suffix(".html").read_bytes() == report.with_suffix(".html").read_bytes()


def shown(*blocks: Block, folder: Path = Path("nowhere")) -> str:
    return page(Page(blocks), folder)


def test_values_sort_a_column_and_not_their_text() -> None:
    """Of two p-values that are both "< 0.001" the smaller one is smaller."""
    columns = (Column("Model"), Column("p", P_VALUE), Column("Value", mean_std()), Column("Runs", RUNS))
    rows = [["b", 0.0004, MeanStd(0.2, 0.1), Runs(2, "1 failed")], ["a", 0.00001, None, Runs(0, "3 pending")]]
    elements = Elements(shown(Table.of("t", columns, rows)))
    assert [attributes["data-name"] for attributes, _ in elements.of("table")] == ["t"]
    assert [attributes.get("data-kind") for attributes, _ in elements.of("th")] == [None, "p-value", "mean-std", "runs"]
    cells = [(text, attributes.get("data-number")) for attributes, text in elements.of("td")]
    assert cells == [
        *(("b", None), ("< 0.001", "0.0004"), ("0.2000 ± 0.1000", "0.2"), ("2 (1 failed)", "2")),
        *(("a", None), ("< 0.001", "1e-05"), ("-", ""), ("3 pending", "0")),
    ]


def test_names_and_values_side_by_side_are_not_sorted() -> None:
    elements = Elements(shown(Table.of_facts("facts", [("Seeds", "0; 1"), ("Items", "1,682")])))
    assert [attributes["class"] for attributes, _ in elements.of("table")] == ["facts"]
    assert list(elements.of("button")) == []


def test_each_block_is_an_element_of_its_own() -> None:
    """Headings, lists, warnings and code say in HTML what they say in markdown."""
    blocks = (
        Heading("A & B", 1),
        Paragraph("x `y` " + strong("z")),
        Bullets(("one", "`two`")),
        Notice("w"),
        Code("<c>"),
    )
    elements = Elements(shown(*blocks))
    for tag, text in (("h1", "A & B"), ("p", "x y z"), ("blockquote", "Warning: w"), ("pre", "<c>")):
        assert next(elements.of(tag))[1] == text
    assert [text for _, text in elements.of("ul")] == ["one\ntwo"]
    assert [text for _, text in elements.of("li")] == ["one", "two"]
    assert markdown.page(Page(blocks)) == (
        "# A & B\n\nx `y` **z**\n\n- one\n- `two`\n\n> **Warning:** w\n\n```\n<c>\n```\n"
    )


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_foreign_text_is_shown_as_text(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    described = suite.model_copy(update={"description": HOSTILE})
    failed = dataclasses.replace(results[0], status="failed", reason=HOSTILE, queries=None)
    few = [spec for spec in planned if spec.seed == 0][:2]
    written = write_report(described, few, [failed], tmp_path / "results", tmp_path / "reports", HOSTILE)
    elements = Elements(written.with_suffix(".html").read_text())
    assert elements.balanced
    assert [text for _, text in elements.of("script")] == [text for _, text in Elements(shown()).of("script")]
    assert list(elements.of("img")) == []
    assert [text for _, text in elements.of("title")] == [f"made-up: {HOSTILE}"]
    assert HOSTILE in [text for _, text in elements.of("td")]
    assert HOSTILE in [text for _, text in elements.of("pre")]


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=st.sampled_from("<>&\"'`*_[]()!#|\\u/ \nahref=:-")))
def test_no_text_brings_in_an_element_of_its_own(text: str) -> None:
    """Wherever it stands: the elements are those of the same page with other words."""
    table = Table.of(text, ["Model", Column(text, decimals())], [[text, 0.1], [text, 0.2]], caption=text)
    blocks = (Heading(text, 1), Heading(text), Paragraph(text), Bullets((text,)), Notice(text), Code(text), table)
    elements = Elements(shown(*blocks, Picture(text, text)))
    allowed = {tag for tag, _, _ in Elements(shown()).found}
    allowed |= {"h1", "h2", "p", "em", "strong", "code", "pre", "a", "ul", "ol", "li", "blockquote"}
    allowed |= {"div", "table", "thead", "tbody", "tr", "th", "td", "button"}
    assert elements.balanced
    assert {tag for tag, _, _ in elements.found} <= allowed
    for tag, attributes, _ in elements.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert attributes.get("href", "#").startswith("#")


def test_figures_from_elsewhere_and_missing_ones_are_named_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    Image.new("RGB", (1, 1)).save(tmp_path / "secret.png")
    (tmp_path / "reports" / "text.png").write_bytes(b"no picture")
    sources = ("https://example.org/a.png", "../secret.png", str(tmp_path / "secret.png"), "none.png", "text.png")
    pictures = [Picture(source, "figure") for source in sources]
    elements = Elements(shown(*pictures, folder=tmp_path / "reports"))
    assert list(elements.of("img")) == []
    assert [text for _, text in elements.of("em")] == ["figure"] * len(sources)


def test_a_figure_that_was_drawn_again_is_embedded_anew(tmp_path: Path) -> None:
    pages = []
    for position, color in enumerate(("red", "red", "blue")):
        Image.new("RGB", (2, 2), color).save(tmp_path / "a.png")
        os.utime(tmp_path / "a.png", ns=(position // 2, position // 2))
        pages.append(shown(Picture("a.png", "a"), folder=tmp_path))
    assert pages[0] == pages[1] != pages[2]


CLICKS = """<script>
const board = document.querySelector("table:not(.facts)");
const names = () => [...board.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
const [model, value] = board.tHead.querySelectorAll("button");
const seen = [names()];
for (const button of [value, value, model]) { button.click(); seen.push(names()); }
const box = document.querySelector("input");
box.value = "GLASS 0.2"; box.dispatchEvent(new Event("input")); seen.push(names());
document.title = JSON.stringify(seen);
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_a_browser_sorts_by_click_and_filters_by_words(tmp_path: Path) -> None:
    values = {"tiger": MeanStd(0.3, 0.1), "glass-10": MeanStd(0.2, 0.01), "glass-9": MeanStd(0.1, 0.0), "sim": None}
    values |= {f"other-{number}": MeanStd(0.01 * number, 0.0) for number in range(1, FEWEST_ROWS_TO_FILTER)}
    rows = list(values.items())
    table = Table.of("t", ("Model", Column("NDCG@10", mean_std(2), best="high")), rows)
    written = tmp_path / "page.html"
    written.write_text(shown(table).replace("</body>", CLICKS))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", written.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    ((_, title),) = Elements(dumped).of("title")
    as_written, largest_first, smallest_first, by_name, filtered = json.loads(title)
    others = [name for name, _ in rows[4:]]
    assert as_written == [name for name, _ in rows]
    assert largest_first == ["tiger", "glass-10", "glass-9", *reversed(others), "sim"]
    assert smallest_first == [*others, "glass-9", "glass-10", "tiger", "sim"], "what has no value stays last"
    assert by_name == ["glass-9", "glass-10", *others, "sim", "tiger"]
    assert filtered == ["glass-10"]
