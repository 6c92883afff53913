"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bench.evaluation.slices import (
    Slices,
    category_reach_slices,
    history_length_bins,
    history_length_quarters,
    popularity_slices,
    reach_slices,
)
from bench.reporting.grid import Grid, has_semantic_ids
from bench.reporting.leaderboard import by_slice
from bench.reporting.markdown import number, p_cell, p_value, plus_minus, table
from bench.reporting.significance import ALPHA, PairedComparison, compare, holm

MEAN = "item.overall.ndcg@10.mean"
STD = "item.overall.ndcg@10.std"


def findings(grid: Grid, wide: pd.DataFrame) -> list[str]:
    """Sentences on one data set, the most important first.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
    """
    ranked = wide[wide[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    sentences = [
        _leader(grid, ranked),
        *(_question(grid, pair) for pair in questions(grid)),
        _families(grid, ranked),
        _parts(grid),
        _floor(grid, ranked),
    ]
    return [sentence for sentence in sentences if sentence]


def questions(grid: Grid) -> list[tuple[str, str]]:
    """Pairs of rows that the suite asks about (`Suite.questions`), without those of which a model isn't there."""
    pairs = [(row_of(grid, first), row_of(grid, second)) for first, second in grid.suite.questions]
    return [(first, second) for first, second in pairs if first and second]


def question_table(grid: Grid, labels: tuple[str, str]) -> str | None:
    """One of the suite's questions, answered on each part of the test queries: Recall@10, difference, p-value.

    Returns:
        A markdown table, or None where the two models can't be compared.
    """
    left, right = (grid.of_model(label) for label in labels)
    assert left[0].queries is not None  # a complete result has its queries
    rows = []
    cuts: tuple[tuple[str, Callable[[pd.DataFrame], Slices]], ...] = (
        ("", popularity_slices),
        ("history of ", history_bins(grid)),
        ("", _halves),
        ("target in the history: ", reach_slices),
        ("its category in the history: ", category_reach_slices),
    )
    for kind, slicer in cuts:
        for name, mask in slicer(left[0].queries).items():
            found = compare(left, right, "recall@10", mask)
            if found:
                rows.append([f"{kind}{name}", f"{found.n_queries:,}", *_compared(found)])
    if not rows:
        return None
    return table(["Test queries", "n", *labels, "Difference", "95 % interval", "p"], rows)


def against_best(grid: Grid, wide: pd.DataFrame) -> str | None:
    """Every model against the best one, paired over queries, with Holm's correction.

    Returns:
        A markdown table, or None with fewer than two comparable models.
    """
    ranked = wide.loc[wide[MEAN].notna(), "model"].tolist()
    pairs = [(model, compare(grid.of_model(ranked[0]), grid.of_model(model), "ndcg@10")) for model in ranked[1:]]
    found = [(model, comparison) for model, comparison in pairs if comparison]
    if not found:
        return None
    adjusted = holm([comparison.p_value for _, comparison in found])
    rows = []
    for (model, comparison), corrected in zip(found, adjusted, strict=True):
        cells = _compared(comparison)
        rows.append([model, *cells[1:], p_cell(corrected), "yes" if corrected < ALPHA else "no"])
    headers = ["Model", "NDCG@10", f"{ranked[0]} is ahead by", "95 % interval", "p", "p (Holm)", "Significant"]
    return table(headers, rows)


def row_of(grid: Grid, model: str) -> str | None:
    """The label of the row with complete runs that stands for a model: the one named like it, else the first."""
    labels = [result.spec.label for result in grid.results if result.spec.model == model]
    return model if model in labels else (labels[0] if labels else None)


def history_bins(grid: Grid) -> Callable[[pd.DataFrame], Slices]:
    """The cut by history length that tells most on this data set: fixed bins, or quarters where these are few."""
    queries = next((result.queries for result in grid.results if result.queries is not None), None)
    few = queries is None or len(history_length_bins(queries)) < 3
    return history_length_quarters if few else history_length_bins


def _halves(queries: pd.DataFrame) -> Slices:
    """Shorter and longer histories, in halves: large enough parts for a test where the bins are not."""
    lengths = queries["history_length"].to_numpy()
    middle = int(np.median(lengths))
    return {f"shorter half (history <= {middle})": lengths <= middle, f"longer half (> {middle})": lengths > middle}


def _compared(found: PairedComparison) -> list[str]:
    """Cells: first, second, difference, interval, p."""
    return [
        number(found.first),
        number(found.second),
        f"{found.difference:+.4f}",
        f"{found.low:+.4f} .. {found.high:+.4f}",
        p_cell(found.p_value),
    ]


def _leader(grid: Grid, ranked: pd.DataFrame) -> str:
    best = ranked.iloc[0]
    seeds = int(best["complete"])
    text = f"**{best['model']}** has the highest mean NDCG@10: {plus_minus(best[MEAN], best[STD])}"
    text += f" over {seeds} seeds" if seeds > 1 else " (one seed, so its spread is unknown)"
    if len(ranked) < 2:
        return f"{text}. No other model has a complete run to compare it with."
    second = ranked.iloc[1]
    text += f"; {second['model']} follows with {plus_minus(second[MEAN], second[STD])}"
    found = compare(grid.of_model(best["model"]), grid.of_model(second["model"]), "ndcg@10")
    if found is None:
        return f"{text}. The two can't be compared query by query, so no test was made."
    verdict = "a significant difference" if found.significant else "no significant difference"
    return f"{text}: {verdict} ({p_value(found.p_value)}, paired over {found.n_queries:,} queries)."


def _question(grid: Grid, labels: tuple[str, str]) -> str:
    found = compare(grid.of_model(labels[0]), grid.of_model(labels[1]), "recall@10")
    if found is None:
        return ""
    text = f"**{labels[0]} against {labels[1]}**, Recall@10: {number(found.first)} against {number(found.second)}"
    text += f", a difference of {found.difference:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}"
    text += f", {p_value(found.p_value)})"
    if not found.significant:
        return f"{text}: no significant difference."
    winner, loser = labels if found.difference > 0 else (labels[1], labels[0])
    only = " (one seed)" if len(found.seeds) == 1 else ""
    return f"{text}: {winner} is significantly better than {loser}{only}."


def _families(grid: Grid, ranked: pd.DataFrame) -> str:
    """The best with and the best without semantic IDs."""
    with_ids = {result.spec.label for result in grid.results if has_semantic_ids(result)}
    groups = [ranked[ranked["model"].isin(with_ids)], ranked[~ranked["model"].isin(with_ids)]]
    if any(group.empty for group in groups):
        return ""
    (generative, plain) = (group.iloc[0] for group in groups)
    kind = "" if plain["parameters.mean"] > 0 else " (it has no learned parameters)"
    text = f"The best model with semantic IDs is {generative['model']} (NDCG@10 {number(generative[MEAN])}), the best "
    text += f"without is {plain['model']}{kind} ({number(plain[MEAN])})"
    found = compare(grid.of_model(generative["model"]), grid.of_model(plain["model"]), "ndcg@10")
    if found is None:
        return f"{text}."
    if not found.significant:
        return f"{text}: no significant difference ({p_value(found.p_value)})."
    winner = generative if found.difference > 0 else plain
    return f"{text}: {winner['model']} is significantly better ({p_value(found.p_value)})."


def _parts(grid: Grid) -> str:
    """The best on head and on tail targets."""
    scores = by_slice(grid, popularity_slices, "ndcg@10")
    words = []
    for part, meaning in (("head", "popular targets (head"), ("tail", "rare targets (tail")):
        rows = scores[scores["slice"] == part]
        if not rows.empty and rows["mean"].max() > 0:
            best = rows.loc[rows["mean"].idxmax()]
            words.append(
                f"on {meaning}, {best['queries']:,} queries) it is {best['model']} with {number(best['mean'])}"
            )
    return f"Highest mean NDCG@10 by part: {'; '.join(words)}." if words and len(grid.complete_models) > 1 else ""


def _floor(grid: Grid, ranked: pd.DataFrame) -> str:
    """What stays below recommending the same popular items to everybody."""
    floor = row_of(grid, grid.suite.floor) if grid.suite.floor else None
    if floor is None or len(ranked) < 2:
        return ""
    value = float(ranked.loc[ranked["model"] == floor, MEAN].iloc[0])
    below = ranked[(ranked[MEAN] < value) & (ranked["model"] != floor)]
    if below.empty:
        return f"No model with complete runs is below {floor} ({number(value)})."
    worst = [
        f"{row['model']} ({number(row[MEAN])}" + (f", {1 - row[MEAN] / value:.0%} lower)" if value else ")")
        for row in below.to_dict("records")
    ]
    return f"**Below {floor}** (NDCG@10 {number(value)}): {', '.join(worst)}."
