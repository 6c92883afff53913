"""Differences to the references with their intervals, and ranks averaged over data sets with theirs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from small_suites import plan, result_of, suite_of

from bench.analysis.average_ranks import ranks_with_intervals
from bench.analysis.effects import common_parts, effects_frame, resampled_frame
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare
from bench.evaluation.metrics import compute

ROWS = ("popularity", "tiger", "hstu")
N = 120


def runs_of(
    ranks: Callable[[str, str, int], np.ndarray], datasets: tuple[str, ...] = ("d",), rows: tuple[str, ...] = ROWS
) -> SuiteRuns:
    suite = suite_of(rows, datasets, seeds=2, references=("tiger", "popularity"))
    planned = plan(suite)
    results = [result_of(spec, ranks(spec.dataset.name, spec.label, spec.seed)) for spec in planned]
    return SuiteRuns.of(suite, planned, results)


def luck(dataset: str, row: str, seed: int) -> np.ndarray:
    """Tiger finds most, then hstu, then popularity; each seed is different."""
    chance = {"tiger": 0.6, "hstu": 0.5, "popularity": 0.1}[row.partition("-")[0]]
    random = np.random.default_rng([len(dataset), len(row), seed])
    return np.where(random.random(N) < chance, random.integers(1, 11, N), 0)


def test_every_difference_is_that_of_the_paired_test() -> None:
    runs = runs_of(luck)
    effects = effects_frame(runs)
    assert set(zip(effects["row"], effects["against"], strict=True)) == {
        *(("popularity", "tiger"), ("hstu", "tiger"), ("tiger", "popularity"), ("hstu", "popularity"))
    }
    queries = runs.results[0].queries
    assert queries is not None
    masks = common_parts(queries)
    assert set(zip(effects["family"], effects["part"], strict=True)) == set(masks)
    for line in effects.to_dict("records"):
        mask = masks[line["family"], line["part"]]
        test = compare(runs.of_row(line["row"]), runs.of_row(line["against"]), "ndcg@10", mask)
        assert test is not None
        told = (line["mean"], line["against_mean"], line["difference"], line["low"], line["high"])
        assert told == pytest.approx((test.first, test.second, test.difference, test.low, test.high))
        assert (line["n_queries"], line["seeds"]) == (mask.sum(), 2)


def test_parts_are_those_that_all_data_sets_have() -> None:
    queries = runs_of(luck).results[0].queries
    assert queries is not None
    parts = common_parts(queries)
    assert {family for family, _ in parts} == {"overall", "head-tail", "reach", "repetition", "history"}
    assert (parts["repetition", "repeat"] ^ parts["repetition", "explore"]).all()
    assert (parts["reach", "recent"] | parts["reach", "far"]).sum() == parts["repetition", "repeat"].sum()
    without = common_parts(queries.drop(columns=["item_gap"]))
    assert {family for family, _ in without} == {"overall", "head-tail", "history"}


def test_the_first_draw_is_the_data_and_the_others_scatter_around_it() -> None:
    runs = runs_of(luck)
    drawn = resampled_frame(runs)
    overall = drawn[drawn["family"] == "overall"].pivot(index="draw", columns="row", values="mean")
    for row in ROWS:
        values = [compute("ndcg@10", luck("d", row, seed), 20).mean() for seed in (0, 1)]
        assert overall[row][0] == pytest.approx(np.mean(values))
        assert overall[row][1:].mean() == pytest.approx(np.mean(values), abs=0.02)
        assert 0.005 < overall[row][1:].std() < 0.08
    pd.testing.assert_frame_equal(drawn, resampled_frame(runs))  # equal results, equal draws


def test_users_are_the_same_for_all_rows_of_a_draw() -> None:
    drawn = resampled_frame(runs_of(lambda dataset, row, seed: luck(dataset, "tiger", seed)))
    overall = drawn[drawn["family"] == "overall"].pivot(index="draw", columns="row", values="mean")
    np.testing.assert_allclose(overall["tiger"], overall["hstu"])


def ranks_over(runs: SuiteRuns) -> pd.DataFrame | None:
    frames = {dataset: resampled_frame(runs.on(dataset)) for dataset in runs.datasets}
    return ranks_with_intervals(frames, "overall", "overall")


def test_ranks_are_averaged_and_their_intervals_hold_what_chance_leaves_open() -> None:
    def clear(dataset: str, row: str, seed: int) -> np.ndarray:
        return np.full(N, {"popularity": 0, "tiger": 1, "hstu": 2}[row])

    table = ranks_over(runs_of(clear, ("x", "yy")))
    assert table is not None
    assert table["row"].tolist() == ["tiger", "hstu", "popularity"]
    assert table[["rank", "low", "high"]].to_numpy().tolist() == [[n, n, n] for n in (1.0, 2.0, 3.0)]

    def turned(dataset: str, row: str, seed: int) -> np.ndarray:
        return clear(dataset, {"tiger": "hstu", "hstu": "tiger"}.get(row, row) if dataset == "yy" else row, seed)

    split = ranks_over(runs_of(turned, ("x", "yy")))
    assert split is not None
    assert split.set_index("row")["rank"].to_dict() == {"tiger": 1.5, "hstu": 1.5, "popularity": 3.0}
    assert (split["x"] + split["yy"]).tolist() == [3.0, 3.0, 6.0]

    noisy = ranks_over(runs_of(luck, ("x", "yy")))
    assert noisy is not None
    close = noisy[noisy["row"] != "popularity"]
    assert (close["high"] - close["low"]).max() > 0  # two rows that are nearly level


def test_one_data_set_or_one_row_has_no_mean_rank() -> None:
    assert ranks_over(runs_of(luck)) is None
    assert ranks_over(runs_of(luck, ("x", "yy"), rows=("tiger",))) is None
