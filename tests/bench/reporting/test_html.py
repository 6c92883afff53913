"""The HTML page says what the markdown says, in one file, and shows foreign text as text."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.number_text import p_cell, percent, plus_minus
from bench.reporting.html import FEWEST_ROWS_TO_FILTER, LARGEST_SVG, page, sort_number
from bench.reporting.markdown import table
from bench.reporting.report import write_report
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
    names = re.findall(r"\(figures/(.+?)\.png\)", report.read_text())
    images = Elements(report.with_suffix(".html").read_text()).of("img")
    for name, (attributes, _) in zip(names, images, strict=True):
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/svg+xml"
        drawing = (report.parent / "figures" / f"{name}.svg").read_text()
        assert unquote(data) == drawing.replace('"', "'")


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
    assert heads["NDCG@10"]["data-kind"] == "number"
    assert {attributes["aria-sort"] for attributes in heads.values()} == {"none"}
    assert len(list(board.of("button"))) == len(heads)
    for attributes, cell in board.of("td"):
        if "±" in cell:
            assert float(attributes["data-number"]) == float(cell.split(" ")[0])


def test_the_same_report_gives_the_same_page(
    report: Path, suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    again = write_report(suite, planned, results, tmp_path / "results", tmp_path / "reports", "the command")
    assert again.with_suffix(".html").read_bytes() == report.with_suffix(".html").read_bytes()


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (plus_minus(0.1226, 0.0022), 0.1226),
        (p_cell(0.012), 0.012),
        (percent(0.153), 15.3),
        ("1,390,858", 1_390_858),
        ("+0.0031 .. +0.0203", 0.0031),
        ("-0.0273", -0.0273),
        ("x 0.96", 0.96),
        ("25435 / 28165", 25_435),
        ("2 (1 failed)", 2),
        ("1e-05", 1e-5),
        ("0.0784 ± 0.0009 ▲", 0.0784),
        ("-", None),
        ("", None),
        ("glass-50", None),
        ("51-200", None),
        ("3rd", None),
    ],
)
def test_a_cell_is_sorted_by_its_first_number(cell: str, number: float | None) -> None:
    assert sort_number(cell) == number


def test_bounds_are_sorted_beside_their_value() -> None:
    cells = ["0.002", p_cell(0.0001), "0.001", "99.9 %", percent(0.99999), "100 %"]
    assert sorted(cells, key=lambda cell: sort_number(cell) or 0) == [
        "< 0.001",
        "0.001",
        "0.002",
        "99.9 %",
        "> 99.9 %",
        "100 %",
    ]


def test_a_column_is_numeric_only_if_all_of_its_cells_are(tmp_path: Path) -> None:
    text = table(["Model", "Value", "Runs", "None"], [["b", "0.2 ± 0.1", "3", "-"], ["a", "-", "1 pending", "-"]])
    elements = Elements(page(text.replace("1 pending", "pending"), tmp_path))
    kinds = {text: attributes.get("data-kind") for attributes, text in elements.of("th")}
    assert kinds == {"Model": None, "Value": "number", "Runs": None, "None": None}
    assert [attributes.get("data-number") for attributes, _ in elements.of("td")][1::4] == ["0.2", ""]


def test_names_and_values_side_by_side_are_not_sorted(tmp_path: Path) -> None:
    elements = Elements(page(table(["", ""], [["Seeds", "0; 1"], ["Items", "1,682"]], left=2), tmp_path))
    assert [attributes["class"] for attributes, _ in elements.of("table")] == ["facts"]
    assert list(elements.of("button")) == []


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
    assert [text for _, text in elements.of("script")] == [
        text for _, text in Elements(page("", tmp_path)).of("script")
    ]
    assert list(elements.of("img")) == []
    assert [text for _, text in elements.of("title")] == [f"made-up: {HOSTILE}"]
    assert HOSTILE in [text for _, text in elements.of("td")]
    assert HOSTILE in [text for _, text in elements.of("pre")]


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=st.sampled_from("<>&\"'`*_[]()!#|\\u/ \nahref=:-")), st.booleans())
def test_no_text_brings_in_an_element_of_its_own(words: str, in_table: bool) -> None:
    markdown = table(["Model", words], [[words, words]]) if in_table else words
    elements = Elements(page(markdown, Path("nowhere")))
    allowed = {tag for tag, _, _ in Elements(page("", Path("nowhere"))).found}
    written = {"h1", "h2", "h3", "h4", "h5", "h6", "p", "u", "em", "strong", "code", "pre", "a", "ul", "ol", "li", "hr"}
    written |= {"br", "blockquote", "div", "table", "thead", "tbody", "tr", "th", "td", "button"}
    assert {tag for tag, _, _ in elements.found} <= allowed | written
    for tag, attributes, _ in elements.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not attributes.get("href", "").startswith("javascript:")


def test_figures_from_elsewhere_and_missing_ones_are_named_by_their_text(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    sources = ("https://example.org/a.png", "../secret.png", str(tmp_path / "secret.png"), "figures/none.png")
    elements = Elements(page("\n\n".join(f"![figure]({source})" for source in sources), tmp_path / "reports"))
    assert list(elements.of("img")) == []
    assert [text for _, text in elements.of("em")] == ["figure"] * len(sources)


def test_a_large_figure_is_embedded_as_png(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"small")
    for size, kind in ((LARGEST_SVG, "data:image/svg+xml,"), (LARGEST_SVG + 1, "data:image/png;")):
        (tmp_path / "a.svg").write_bytes(b" " * size)
        ((attributes, _),) = Elements(page("![a](a.png)", tmp_path)).of("img")
        assert attributes["src"].startswith(kind)


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
    values = {"tiger": "**0.3 ± 0.1**", "glass-10": "0.20 ± 0.01", "glass-9": "0.1", "sim": "-"}
    rows = [[name, value] for name, value in values.items()]
    rows += [[f"other-{number}", f"0.0{number}"] for number in range(1, FEWEST_ROWS_TO_FILTER)]
    written = tmp_path / "page.html"
    written.write_text(page(table(["Model", "NDCG@10"], rows), tmp_path).replace("</body>", CLICKS))
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
