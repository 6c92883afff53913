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
    """A p as the README writes it: three digits where they matter."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def both(p: float, holm: float) -> str:
    """The p of a test alone, and after Holm's correction."""
    return f"p {written(p)}; {written(holm)}".replace("p 0", "p = 0").replace("p 1", "p = 1")


TOLD = " ".join(README.split())
HOUSEHOLDS, CUSTOMERS = answer.DATASETS


def test_the_readme_s_headline_is_the_confirmatory_result() -> None:
    confirmed = pd.read_csv(answer.RESULTS / CUSTOMERS / "confirmed.csv").set_index(["first", "second"])
    assert "suite's six questions" in TOLD
    assert set(confirmed["family_size"]) == {len(confirmed)} == {6}
    assert f"from {confirmed['n_queries'].iloc[0]} customers of Online Retail II" in TOLD
    assert set(confirmed["look"]) == {1}
    assert "**Nothing is confirmed.**" in TOLD
    assert confirmed["p_holm"].min() >= 0.05
    for second in ("tiger", "sasrec-ce", "counts-whole"):
        one = confirmed.loc[("glass", second)]
        interval = f"{one.low:+.3f} to {one.high:+.3f}, {both(one.p_value, one.p_holm)})"
        assert re.search(rf"{re.escape(f'{one.difference:+.3f}')} \((95 % )?{re.escape(interval)}", TOLD), (second, one)


def test_the_readme_s_other_answers_are_those_of_the_suite_s_questions() -> None:
    for dataset, tiger in ((CUSTOMERS, "among the customers ("), (HOUSEHOLDS, "among the households (")):
        tests = pd.read_csv(answer.RESULTS / dataset / "tests.csv")
        asked = tests[(tests["kind"] == "question") & (tests["part"] == "overall")].set_index(["first", "second"])
        assert len(asked) == 6
        one = asked.loc[("glass", "tiger")]
        means = f"{one.first_mean:.3f} against {one.second_mean:.3f}"
        assert f"{tiger}{means}, {both(one.p_value, one.p_holm)})" in TOLD, one
        for second in ("sasrec-ce", "counts-whole"):
            assert asked.loc[("glass", second)].p_holm >= 0.05, "above neither"


def test_the_readme_s_best_row_is_that_of_the_results() -> None:
    holm = []
    for dataset in answer.DATASETS:
        board = pd.read_csv(answer.RESULTS / dataset / "leaderboard.csv").set_index("row")
        assert board["item.overall.ndcg@10.mean"].idxmax() == "sasrec-ce-copying"
        pairs = pd.read_csv(answer.RESULTS / dataset / "pairs.csv")
        pairs = pairs[(pairs["first"] == "sasrec-ce-copying") & (pairs["second"] == "sasrec-ce")]
        assert pairs["p_value"].item() < 0.001
        holm.append(written(pairs["p_holm"].item()))
    assert f"(p < 0.001 on both; {holm[0]} and {holm[1]} over all pairs)" in TOLD
    for dataset, words in ((HOUSEHOLDS, "among the households ({})"), (CUSTOMERS, "among the customers ({})")):
        one = answer.differences(answer.RESULTS / dataset)["sasrec-ce-copying"]
        assert words.format(both(one.p, one.p_holm)) in TOLD, one


def test_the_figure_shows_the_difference_to_the_mark() -> None:
    found = answer.differences(answer.RESULTS / HOUSEHOLDS)
    tiger, copying = found["tiger"], found["sasrec-ce-copying"]
    assert (tiger.low, tiger.mean, tiger.high) == pytest.approx((-0.0162, -0.0094, -0.0025), abs=5e-5)
    drawn = answer.draw({"here": {"tiger": tiger, "sasrec-ce-copying": copying}, "there": {"tiger": copying}})
    here, there = drawn.axes
    above, _, interval, mean, *_ = here.lines
    assert list(above.get_xdata()) == [copying.low, copying.high], "the best by the mean over both is on top"
    assert list(interval.get_xdata()) == [tiger.low, tiger.high]
    assert list(mean.get_xdata()) == [tiger.mean]
    assert mean.get_color() == row_style("tiger").color, "as in every report"
    assert mean.get_markerfacecolor() == "white", "not settled after Holm's correction"
    assert here.get_yticklabels()[1].get_text() == "TIGER, last 50 events"
    assert list(there.lines[0].get_ydata()) == [1, 1], "rows without results there leave their place blank"


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
