"""Whatever the queries are like, the parts of every family hold each query once, and their means sum to the whole's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import make_result, make_suite, plan

from bench.analysis.leaderboard import tidy_metrics
from bench.analysis.questions import OVERALL, PARTITIONS, question_tests
from bench.analysis.runs import SuiteRuns

SUITE = make_suite(seeds=(0,)).model_copy(update={"slices": ("kind", "year")})
SPECS = {spec.label: spec for spec in plan(SUITE)}
RESULTS = {label: make_result(SPECS[label]) for label in ("tiger", "glass")}
"""Of the made-up results only the queries are replaced."""


@st.composite
def worlds(draw: st.DrawFn, fewest: int = 1) -> pd.DataFrame:
    """What is the same for all models: histories and targets, any of which may be all alike."""
    n = draw(st.integers(fewest, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def values(*choices: float | str) -> np.ndarray:
        some = draw(st.lists(st.sampled_from(choices), min_size=1, unique=True))
        return random.choice(np.array(some, dtype=object), n)

    return pd.DataFrame(
        {
            "user": np.arange(n),
            "target": random.integers(0, 9, n),
            "history_length": values(1, 50, 51, 200, 201, 999, 1001).astype(np.int32),
            "target_count": values(0, 1, 5, 6, 100).astype(np.int32),
            "target_quantile": values(0.0, 0.1, 0.2, 0.55, 0.99).astype(np.float32),
            "item_gap": values(0, 1, 50, 51).astype(np.int32),
            "category_gap": values(0, 50, 51).astype(np.int32),
            "item:kind": values(*"abcdefghij", "", " "),
            "item:year": values(*range(1990, 2003)).astype(np.int32),
        }
    )


def judged(queries: pd.DataFrame, labels: tuple[str, ...], seed: int) -> SuiteRuns:
    """Runs with random ranks for these queries."""
    random = np.random.default_rng(seed)
    results = []
    for label in labels:
        sid = random.integers(0, 21, len(queries))
        item = np.where((sid > 0) & (random.random(len(queries)) < 0.8), np.minimum(sid + 1, 20), 0)
        ranked = queries.assign(item_rank=item, sid_rank=sid, tie_first=item, tie_last=item)
        results.append(dataclasses.replace(RESULTS[label], queries=ranked))
    return SuiteRuns.of(SUITE, [SPECS[label] for label in labels], results)


@settings(deadline=None, max_examples=50)
@given(queries=worlds(), seed=st.integers(0, 1000))
def test_the_parts_of_every_family_in_the_csv_sum_to_the_whole(queries: pd.DataFrame, seed: int) -> None:
    tidy = tidy_metrics(judged(queries, ("tiger",), seed))
    tidy = tidy[tidy["level"].isin(["item", "sid"])]
    sizes = tidy[tidy["metric"] == "queries"].set_index("slice")["value"]
    assert sizes["overall"] == len(queries)
    tidy = tidy[tidy["metric"] != "queries"].assign(n=tidy["slice"].map(sizes))
    assert tidy.loc[tidy["n"] > 0, "value"].notna().all()
    assert tidy.loc[tidy["n"] == 0, "value"].isna().all(), "an empty part has no mean"
    family = tidy["slice"].str.partition(":")[0].replace({"head": "head and tail", "tail": "head and tail"})
    tidy = tidy.assign(family=family, sum=(tidy["value"] * tidy["n"]).fillna(0.0))
    sums = tidy.groupby(["family", "level", "metric"])[["sum", "n"]].sum()
    whole = sums.loc["overall"]
    assert {"head and tail", "history", "history-quarter", "popularity", "item.kind", "item.year"} <= set(family)
    for name in set(family) - {"overall"}:
        part = sums.loc[name]
        pd.testing.assert_frame_equal(part, whole.loc[part.index], rtol=1e-9)
        assert {("item", "recall@10"), ("sid", "ndcg@10")} <= set(part.index)


@settings(deadline=None, max_examples=20)
@given(queries=worlds(fewest=40), seed=st.integers(0, 1000))
def test_the_tested_parts_of_a_question_sum_to_the_whole(queries: pd.DataFrame, seed: int) -> None:
    tests = question_tests(judged(queries, ("tiger", "glass"), seed))
    (overall,) = [test for test in tests if test.partition == OVERALL]
    assert {test.partition for test in tests} <= set(PARTITIONS)
    for family in {test.partition for test in tests}:
        parts = [test.test for test in tests if test.partition == family]
        if sum(part.n_queries for part in parts) == overall.test.n_queries:  # a part of one query has no test
            for field in ("first", "second", "difference"):
                total = sum(getattr(part, field) * part.n_queries for part in parts)
                np.testing.assert_allclose(total, getattr(overall.test, field) * len(queries), atol=1e-9)
        else:
            assert overall.test.n_queries - sum(part.n_queries for part in parts) <= 5


def test_the_parts_in_the_made_up_report_have_no_query_twice(full_runs: SuiteRuns) -> None:
    tests = question_tests(full_runs)
    for labels in {test.labels for test in tests}:
        for family in PARTITIONS:
            parts = [test.test.n_queries for test in tests if (test.labels, test.partition) == (labels, family)]
            assert sum(parts) in (0, 943)
