"""README and manual say what is so: their figures are those of the committed results, their links lead somewhere."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import answer
import pandas as pd
import pytest
import reference
from pages import DOCS, ROOT, blocks

from baselines.personal_popularity import PersonalPopularityConfig
from bench.reporting.figures.looks import row_style
from bench.spec import DatasetSpec, Entry
from models.glass.glass import GlassConfig

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_shows_its_answer() -> None:
    assert len(README.split()) <= 1200
    assert README.index("](docs/figures/answer.svg)") < README.index("## Two commands")


def test_the_readme_s_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "reports" / "README.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []


def written(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def test_the_readme_s_p_values_are_those_of_the_results() -> None:
    told = " ".join(README.split())
    differences = {one.row: one for one in answer.differences()}
    (family,) = {one.family_size for one in differences.values()}
    assert f"all {family} pairs of rows" in told
    for row, name in (("tiger", "TIGER"), ("hstu", "HSTU"), ("sasrec-ce", "SASRec")):
        one = differences[row]
        corrected = f"{one.p_holm:.3f}" if one.p_holm < 0.05 else f"{one.p_holm:.2f}"
        assert re.search(rf"{name}[^(]*\({written(one.p)}; {corrected}\)", told), (row, one)
    assert not [one for one in differences.values() if one.mean > 0 and one.p_holm < 0.05]


def test_the_readme_s_answers_are_those_of_the_suite_s_questions() -> None:
    told = " ".join(README.split())
    tests = pd.read_csv(answer.RESULTS / "tests.csv")
    asked = tests[(tests["kind"] == "question") & (tests["part"] == "overall")].set_index(["first", "second"])
    assert len(asked) == 6
    assert "suite's six questions" in told
    for pair, words in {
        ("glass", "tiger"): "than TIGER (NDCG@10 0.092 against 0.087, ",
        ("glass", "sasrec-ce"): "or SASRec (0.091, ",
        ("glass-extended", "tiger-extended"): "with the same extras (",
        ("glass-extended-copying", "tiger-extended-copying"): "with copying ",
        ("glass-extended", "sasrec-ce"): "and against SASRec (",
    }.items():
        one = asked.loc[pair]
        corrected = f"{one.p_holm:.3f}" if one.p_holm < 0.05 else f"{one.p_holm:.2f}"
        corrected = "< 0.001" if one.p_holm < 0.001 else corrected
        assert f"{words}{written(one.p_value)}; {corrected}" in told, (pair, one)


def test_the_figure_shows_the_difference_to_the_mark() -> None:
    tiger = next(one for one in answer.differences() if one.row == "tiger")
    assert (tiger.low, tiger.mean, tiger.high) == pytest.approx((-0.0168, -0.0101, -0.0033), abs=5e-5)
    drawn = answer.draw([tiger])
    interval, mean, *_ = drawn.axes[0].lines
    assert list(interval.get_xdata()) == [tiger.low, tiger.high]
    assert list(mean.get_xdata()) == [tiger.mean]
    assert mean.get_color() == row_style("tiger").color, "as in every report"
    assert mean.get_markerfacecolor() == "white", "not settled after Holm's correction"
    assert drawn.axes[0].get_yticklabels()[0].get_text() == "TIGER, last 50 events"


def test_the_committed_figure_is_that_of_the_committed_results(tmp_path: Path) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if f'matplotlib=={version("matplotlib")}; python_version >= "3.11"' not in constraints:
        pytest.skip("another version of matplotlib draws another file")
    answer.main(tmp_path / "answer.svg")
    assert (tmp_path / "answer.svg").read_text() == (DOCS / "figures" / "answer.svg").read_text()


def test_keys_have_their_meanings_from_the_docstrings() -> None:
    assert (
        reference.attributes(Entry)["label"]
        == "The row's name in tables; the model's name unless several rows share a model."
    )
    assert reference.attributes(DatasetSpec)["min_user_events"].startswith("Leave out users with fewer events")
    keys = {key: (default, meaning) for key, default, meaning in reference._flat(PersonalPopularityConfig, "")}
    assert keys["window"] == ("-", "Only so many of the user's last events count. None: all.")
    nested = dict.fromkeys(key for key, _, _ in reference._flat(GlassConfig, ""))
    assert {"search.neighbours", "training.epochs", "tokenizer.codebooks", "beam"} <= nested.keys()


def test_every_stencil_is_filled() -> None:
    marks = [mark for page in DOCS.rglob("*.md") for mark in reference._MARK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(marks) == sorted(reference._LISTS)
    filled = reference.on_page_markdown("{{ datasets }} (for readers of the file)")
    assert filled.startswith("| name | what | licence |")
    assert "`ml-100k` | MovieLens-100K: 943 users" in filled
    assert reference.on_page_markdown("{{ suite keys }}").count("\n## ") >= 3


def test_the_manual_s_python_reads_the_committed_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block.text for block in blocks(DOCS / "guide" / "comparing.md") if block.language == "python"]
    monkeypatch.chdir(ROOT)
    made: dict[str, object] = {}
    exec(code, made)
    ranks = made["ranks"]
    assert {"row", "seed", "user", "item_rank"} <= set(ranks.columns)
    assert ranks.groupby(["row", "seed"]).size().min() == 2134
