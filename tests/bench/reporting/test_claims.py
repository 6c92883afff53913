"""Whatever the results are, the summary calls nothing better unless the files hold a corrected p-value under 0.05."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from as_text import text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_suites import grid_of, suite_of

from bench.analysis.dataset_tables import write_frames
from bench.number_text import p_cell
from bench.reporting.overview import overview, shared_question
from bench.reporting.summary import findings
from bench.reporting.tables import comparisons
from bench.spec import Comparison

ROWS = ("popularity", "tiger", "tiger-wide", "hstu", "hstu-wide")
DATASETS = ("a", "b")
QUESTIONS = (("tiger", "hstu"), ("hstu", "hstu-wide"), ("tiger-wide", "popularity"))
CLAIMS = r"significantly (?:better|worse|lower|higher|above|below)|a significant difference"


def told(seed: int, n_queries: int, n_seeds: int, spread: float, folder: Path) -> dict[str, list[str]]:
    """The summary of a random suite by data set, "" for what is said over all; its files go to `folder`."""
    random = np.random.default_rng(seed)
    skill = {(dataset, row): random.normal(0, spread) for dataset in DATASETS for row in ROWS}
    luck = {dataset: random.normal(size=n_queries) for dataset in DATASETS}

    def ranks(dataset: str, row: str, seed: int) -> np.ndarray:
        score = (
            luck[dataset] + skill[dataset, row] + random.normal(0, 0.6) * (spread > 1) + random.normal(size=n_queries)
        )
        return np.where(score > 0.8, random.integers(1, 12, n_queries), 0)

    wide = Comparison(title="Width", question="?", rows=("hstu", "hstu-wide", "tiger-wide"), against="hstu")
    suite = suite_of(ROWS, DATASETS, n_seeds, questions=QUESTIONS, floor="popularity", comparisons=(wide,))
    runs = grid_of(suite, ranks, items_in_lists={"hstu-wide": int(random.integers(1, 60))})
    frames = write_frames(runs, folder)
    datasets = list(frames.values())
    first = shared_question(datasets)
    return {
        "": text_of(overview(datasets)).splitlines(),
        **{
            dataset: [
                *map(text_of, findings(of_dataset, first if random.random() < 0.5 else None)),
                *(text_of(comparisons.sentence(compared)) for compared in comparisons.comparisons_of(of_dataset)),
            ]
            for dataset, of_dataset in frames.items()
        },
    }


class Checked:
    """The claims of one data set against its files; a claim that was checked is taken out of the sentence."""

    def __init__(self, folder: Path) -> None:
        self.pairs = pd.read_csv(folder / "pairs.csv").to_dict("records")
        self.tests = pd.read_csv(folder / "tests.csv")
        self.warned = set(pd.read_csv(folder / "leaderboard.csv").query("warning.notna()")["row"])

    def of_tests(self, first: str, second: str, **wanted: str) -> dict[str, float]:
        rows = self.tests
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        (row,) = rows[(rows["first"] == first) & (rows["second"] == second)].to_dict("records")
        return row

    def of_pairs(self, first: str, second: str) -> dict[str, float]:
        (row,) = [row for row in self.pairs if {row["first"], row["second"]} == {first, second}]
        sign = 1 if row["first"] == first else -1
        return {**row, "first": first, "second": second, "difference": sign * row["difference"]}

    def rest(self, sentence: str) -> str:
        """What is left of a sentence when each claim that its files carry is taken out."""
        if found := re.match(r"\*\*(\S+) against (\S+)\*\*, NDCG@10", sentence):
            test = self.of_tests(*found.groups(), kind="question", partition="overall")
            assert_told(sentence, test, f"{test['family_size']} questions of the suite")
            assert_cautioned(sentence, set(found.groups()) & self.warned)
            sentence = without(r": (\S+) is significantly better than (\S+?)(?: \(one seed\))?\.", sentence, test)
        elif found := re.match(r"\*\*(\S+)\*\* has the highest mean NDCG@10.*; (\S+) follows", sentence):
            pair = self.of_pairs(*found.groups())
            assert_told(sentence, pair, f"{len(self.pairs)} pairs of rows")
            assert_cautioned(sentence, set(found.groups()) & self.warned)
            sentence = without(r"a significant difference", sentence, pair)
        elif found := re.match(r"With semantic IDs (\S+) has .*, without them (\S+) ", sentence):
            pair = self.of_pairs(*found.groups())
            assert_told(sentence, pair, f"{len(self.pairs)} pairs of rows")
            sentence = without(r": (\S+) is significantly better", sentence, pair)
        elif sentence.startswith("Against hstu"):
            assert_cautioned(sentence, {"hstu", "hstu-wide", "tiger-wide"} & self.warned)
            for verdict in ("lower", "higher"):
                for group in re.findall(rf"significantly {verdict}: ((?:\S+ \([^)]*\)(?:, )?)+)", sentence):
                    for row in re.findall(r"(\S+) \(", group):
                        test = self.of_tests(row, "hstu", kind="comparison")
                        assert test["p_holm"] < 0.05
                        assert (test["difference"] > 0) == (verdict == "higher")
                        assert f"Holm {p_cell(test['p_holm'])}" in sentence
                sentence = sentence.replace(f"significantly {verdict}: ", "")
        elif sentence.startswith("**Below popularity**"):
            for row, unsure in re.findall(r"(\S+) \([\d.]+, \d+% lower(, not significantly)?: ", sentence):
                test = self.of_tests(row, "popularity", kind="floor")
                assert (test["p_holm"] < 0.05) == (not unsure)
                assert test["difference"] < 0
                assert f"Holm {p_cell(test['p_holm'])}" in sentence
        elif sentence.startswith("**Warning"):
            for row in re.findall(r"(\S+) \([^()]*significantly below popularity", sentence):
                test = self.of_tests(row, "popularity", kind="floor")
                assert test["p_holm"] < 0.05
                assert test["difference"] < 0
            assert set(re.findall(r"(?:: |, )(\S+) \(its", sentence)) == self.warned
            sentence = sentence.replace("not significantly above", "").replace("significantly below", "")
        return sentence


def assert_told(sentence: str, test: dict[str, float], family: str) -> None:
    """Both p-values and the family."""
    assert (
        f"p {'' if test['p_value'] < 0.001 else '= '}{p_cell(test['p_value'])}; {p_cell(test['p_holm'])} with"
        in sentence
    )
    assert family in sentence


def assert_cautioned(sentence: str, unfit: set[str]) -> None:
    """Rows that the leaderboard warns of are named beside the verdict."""
    found = re.search(r"\*\*Not evidence\*\*: (.*?) (?:is|are) under-trained", sentence)
    assert set(found[1].split(" and ") if found else ()) == unfit


def without(claim: str, sentence: str, test: dict[str, float]) -> str:
    """The sentence without a claim, which the file must carry; the other way round, too."""
    found = re.search(rf"(?<!no ){claim}", sentence)
    assert bool(found) == (test["p_holm"] < 0.05), (sentence, test)
    if found and found.groups():
        assert found[1] == (test["first"] if test["difference"] > 0 else test["second"])
    return sentence.replace(found[0], "") if found else sentence


def check(seed: int, n_queries: int, n_seeds: int, spread: float) -> int:
    """Checks the summary of a random suite.

    Returns:
        How many claims it made.
    """
    claims = 0
    with tempfile.TemporaryDirectory() as temporary:
        summary = told(seed, n_queries, n_seeds, spread, Path(temporary))
        checked = {dataset: Checked(Path(temporary) / "small" / dataset) for dataset in DATASETS}
    for dataset in DATASETS:
        for sentence in summary[dataset]:
            claims += len(re.findall(CLAIMS, sentence))
            assert not re.search(CLAIMS, checked[dataset].rest(sentence)), sentence
            assert not re.search(r"\b(?:beats|outperforms|superior)\b", sentence)
    verdict = summary[""][0].partition(". NDCG@10")[0]
    first, second = QUESTIONS[0]
    sides = {"better on [0-9]+ of 2 data sets((?:, \\w)*)": 1, "worse on (\\w(?:, \\w)*)": -1}
    for words, sign in sides.items():
        for group in re.findall(f"significantly {words}", verdict):
            for dataset in re.findall(r"\w", group):
                test = checked[dataset].of_tests(first, second, kind="question", partition="overall")
                assert test["p_holm"] < 0.05
                assert test["difference"] * sign > 0
                assert not checked[dataset].warned & {first, second}
    return claims


@pytest.mark.parametrize(("seed", "spread"), [(1, 0.0), (2, 0.6), (3, 2.0)])
def test_the_summary_claims_what_the_files_carry(seed: int, spread: float) -> None:
    claims = check(seed, n_queries=90, n_seeds=2, spread=spread)
    assert claims > 0 or spread == 0, "nothing was claimed, so nothing was checked"


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    n_queries=st.integers(12, 120),
    n_seeds=st.integers(1, 3),
    spread=st.sampled_from([0.0, 0.2, 0.5, 1.0, 2.5]),
)
def test_no_random_results_make_the_summary_claim_more(seed: int, n_queries: int, n_seeds: int, spread: float) -> None:
    check(seed, n_queries, n_seeds, spread)
