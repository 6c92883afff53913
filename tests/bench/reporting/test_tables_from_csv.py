"""Every table of results can be recomputed from the CSV files, cell by cell."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from enriched import enriched

from bench.reporting import pairwise, sections
from bench.reporting.grid import Grid
from bench.reporting.leaderboard import METRICS, leaderboard, tidy_metrics, write_leaderboards
from bench.reporting.markdown import number, p_cell, percent, plus_minus

Cells = dict[tuple[str, str], str]


class Files:
    """What lies in the results folder, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.metrics = pd.read_csv(folder / "metrics.csv")
        self.pairs = pd.read_csv(folder / "pairs.csv")

    def values(self, model: str, metric: str, part: str = "overall", level: str = "item") -> pd.Series:
        found = self.metrics
        for column, wanted in (("model", model), ("metric", metric), ("slice", part), ("level", level)):
            found = found[found[column] == wanted]
        return found["value"]

    def cell(self, model: str, metric: str, part: str = "overall", level: str = "item", digits: int = 4) -> str:
        values = self.values(model, metric, part, level)
        return plus_minus(values.mean(), values.std(ddof=1), digits)

    def mean(self, model: str, metric: str) -> float:
        return self.values(model, metric, level="run").mean()

    def size(self, model: str, part: str) -> int:
        return int(self.values(model, "queries", part).iloc[0])


@pytest.fixture(scope="module")
def grid(full_grid: Grid) -> Grid:
    return enriched(full_grid, slices=("genre", "year"))


@pytest.fixture(scope="module")
def wide(grid: Grid) -> pd.DataFrame:
    return leaderboard(tidy_metrics(grid))


@pytest.fixture(scope="module")
def files(grid: Grid, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("results")
    pairwise.write_pairs(grid, write_leaderboards(grid, folder), folder)
    return Files(folder / "made-up" / "ml-100k")


def cells(text: str | None, key: int = 1) -> Cells:
    """(first cells of the row, heading) -> cell, without marks."""
    assert text is not None
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heading, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    plain = re.compile(r"\*\*|</?u>| [▲▼]")
    return {
        (" ".join(row[:key]), column): plain.sub("", cell)
        for row in rows
        for column, cell in zip(heading[key:], row[key:], strict=True)
    }


def test_main_table(grid: Grid, wide: pd.DataFrame, files: Files) -> None:
    found = cells(sections.main_table(wide, grid, files.pairs))
    for model in grid.models:
        assert found[model, "Runs"] == str(int(files.mean(model, "complete") * 3))
        for metric in METRICS:
            assert found[model, sections.NAMES[metric]] == files.cell(model, metric)


def test_head_and_tail(grid: Grid, wide: pd.DataFrame, files: Files) -> None:
    found = cells(sections.head_tail_table(wide))
    for model in grid.models:
        for part in ("head", "tail"):
            assert found[model, f"{part.capitalize()} NDCG@10"] == files.cell(model, "ndcg@10", part)
            assert found[model, f"{part.capitalize()} Recall@10"] == files.cell(model, "recall@10", part)


REACH = {"recent": "last 50 events", "far": "only before the last 50", "never": "never"}


@pytest.mark.parametrize(
    ("family", "n_parts"),
    [
        ("reach", 3),
        ("category-reach", 3),
        ("cold", 3),
        ("history", 3),
        ("history-quarter", 4),
        ("item.genre", 4),
        ("item.year", 4),
    ],
)
def test_parts_of_the_queries(grid: Grid, files: Files, family: str, n_parts: int) -> None:
    genre, year = str(sections.column_tables(grid)).split("\n\n")
    text = {
        "reach": sections.reach_table(grid, "item"),
        "category-reach": sections.reach_table(grid, "category"),
        "cold": sections.cold_table(grid),
        "history": sections.history_table(grid),
        "history-quarter": sections.history_quarters_table(grid),
        "item.genre": genre,
        "item.year": year,
    }[family]
    names = files.metrics["slice"].drop_duplicates()
    parts = [name.partition(":")[2] for name in names if name.partition(":")[0] == family]
    assert len(parts) == n_parts
    expected = {}
    for model in grid.models:
        for part in parts:
            heading = REACH.get(part, part) if family.endswith("reach") else part
            size = files.size(model, f"{family}:{part}")
            expected[model, f"{heading} (n = {size:,})"] = files.cell(model, "recall@10", f"{family}:{part}")
    assert cells(text) == expected


def test_item_and_sid_level(grid: Grid, wide: pd.DataFrame, files: Files) -> None:
    found = cells(sections.level_table(grid, wide))
    models = {model for model, _ in found}
    assert models == {"tiger", "glass", "glass-no-sid-tier"}
    for model in models:
        for metric in ("recall@10", "ndcg@10"):
            name = sections.NAMES[metric]
            assert found[model, f"{name} item"] == files.cell(model, metric)
            assert found[model, f"{name} SID"] == files.cell(model, metric, level="sid")
            assert found[model, f"{name} ties"] == files.cell(model, f"expected-{metric}")
        assert (
            found[model, f"{sections.NAMES['recall@10']} ties"] != found[model, f"{sections.NAMES['recall@10']} item"]
        )
        assert found[model, "Items that collide"] == percent(files.mean(model, "collision_rate"))
        sids, items = (int(files.mean(model, metric)) for metric in ("unique_sids", "catalogue_items"))
        assert found[model, "SIDs / items"] == f"{sids} / {items}"
        assert found[model, "Valid SIDs"] == percent(files.values(model, "valid_share", level="run").min(), digits=2)
        wrong = files.values(model, "item_hits_without_sid_hit", level="run").sum()
        assert found[model, "Item hit without SID hit"] == str(int(wrong))


def test_what_is_recommended(grid: Grid, wide: pd.DataFrame, files: Files) -> None:
    found = cells(sections.beyond_accuracy_table(wide))
    for model in grid.models:
        assert found[model, "Coverage@10"] == files.cell(model, "coverage@10", level="run")
        assert found[model, "Popularity@10"] == files.cell(model, "popularity@10")
        assert found[model, "Novelty@10, bits"] == files.cell(model, "novelty@10")
    result = grid.of_model("sim")[0]
    assert result.queries is not None
    first = files.values("sim", "coverage@10", level="run").iloc[0]
    assert first == pytest.approx(result.queries["new_items"].sum() / 1682)
    assert files.values("sim", "popularity@10").iloc[0] == pytest.approx(np.nanmean(result.queries["list_popularity"]))


def test_semantic_id_health(grid: Grid, files: Files) -> None:
    found = cells(sections.sid_health_table(grid), key=2)
    for level in range(3):
        row = f"tiger, glass, glass-no-sid-tier {level}"
        used = {
            metric: files.values("glass", metric, f"code:{level}", "run").iloc[0]
            for metric in ("codebook_size", "used", "utilisation", "perplexity", "entropy", "max_share")
        }
        assert found[row, "Codes"] == f"{used['codebook_size']:,.0f}"
        assert found[row, "Used"] == f"{used['used']:,.0f}"
        assert found[row, "Utilisation"] == percent(used["utilisation"])
        assert found[row, "Perplexity"] == number(used["perplexity"], 1)
        assert found[row, "Entropy (nats)"] == number(used["entropy"], 2)
        assert found[row, "Largest code's share"] == percent(used["max_share"])


def test_cost(grid: Grid, wide: pd.DataFrame, files: Files) -> None:
    found = cells(sections.cost_table(grid, wide))
    for model in grid.models:
        assert found[model, "Training, s"] == files.cell(model, "fit_seconds", level="run", digits=1)
        assert found[model, "ms per user"] == files.cell(model, "milliseconds_per_user", level="run", digits=2)
        assert found[model, "Parameters"] == f"{files.mean(model, 'parameters'):,.0f}"
        assert found[model, "Best epoch"] == number(files.mean(model, "best_epoch"), 1)
        assert found[model, "Peak memory, MiB"] == number(files.mean(model, "peak_memory_mib"), 0)
        assert found[model, "Validation NDCG@10"] == number(files.mean(model, "validation"))


def test_published_against_measured(grid: Grid, files: Files) -> None:
    found = cells(sections.published_table(grid, "ml-100k"))
    assert found["gru4rec-recbole", "Measured"] == files.cell("gru4rec-recbole", "recall@10")
    difference = files.values("gru4rec-recbole", "recall@10").mean() / 0.1103 - 1
    assert found["gru4rec-recbole", "Difference"] == f"{difference:+.1%}"


def test_comparisons(files: Files) -> None:
    best = files.pairs["first"].iloc[0]
    found = cells(pairwise.against_best(files.pairs))
    rows = files.pairs[files.pairs["first"] == best].to_dict("records")
    assert len(rows) == 10
    for row in rows:
        assert found[row["second"], f"{best} is ahead by"] == f"{row['difference']:+.4f}"
        assert found[row["second"], "p (Holm)"] == p_cell(row["p_holm"])
    assert pairwise.beats_table(files.pairs) is not None


def test_the_parts_of_a_family_sum_to_the_whole(grid: Grid, files: Files) -> None:
    """The mean over all queries is that over the parts, weighted by their queries; in every family, run and metric."""
    tidy = files.metrics[files.metrics["level"].isin(["item", "sid"])]
    sizes = tidy[tidy["metric"] == "queries"].set_index(["model", "seed", "slice"])["value"]
    tidy = tidy[tidy["metric"].isin(["recall@10", "ndcg@10"])].join(sizes.rename("n"), on=["model", "seed", "slice"])
    tidy["family"] = tidy["slice"].str.partition(":")[0].replace({"head": "head and tail", "tail": "head and tail"})
    tidy["sum"] = tidy["value"] * tidy["n"]
    sums = tidy.groupby(["family", "model", "seed", "level", "metric"])[["sum", "n"]].sum()
    whole = sums.loc["overall"]
    families = set(sums.index.get_level_values("family")) - {"overall"}
    assert len(families) == 9
    for family in families:
        pd.testing.assert_frame_equal(sums.loc[family], whole, rtol=1e-9)
