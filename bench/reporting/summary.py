"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.evaluation.slices import (
    REACH_WINDOW,
    ReachOf,
    Slices,
    category_reach_slices,
    history_length_bins,
    history_length_quarters,
    popularity_slices,
    reach_parts,
    reach_slices,
)
from bench.reporting.grid import Grid, has_semantic_ids
from bench.reporting.leaderboard import by_slice
from bench.reporting.markdown import NONE, number, p_cell, p_value, plus_minus, table
from bench.reporting.significance import ALPHA, PairedComparison, compare, holm

MEAN = "item.overall.ndcg@10.mean"
STD = "item.overall.ndcg@10.std"
FAR = "far"
"""The part of `reach_parts` that only a model with a long history has in sight."""


def findings(grid: Grid, wide: pd.DataFrame) -> list[str]:
    """Sentences on one data set: the suite's first question (who is better, for whom, at what cost), then the rest.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
    """
    ranked = wide[wide[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    asked = questions(grid)
    sentences = [
        *(_question(grid, pair) for pair in asked[:1]),
        *(_for_whom(grid, pair) for pair in asked[:1]),
        *(_at_what_cost(grid, wide, pair) for pair in asked[:1]),
        _leader(grid, ranked),
        *(_question(grid, pair) for pair in asked[1:]),
        _families(grid, ranked),
        _parts(grid),
        _floor(grid, ranked),
    ]
    return [sentence for sentence in sentences if sentence]


def overview(grids: Sequence[Grid], tables: Mapping[str, pd.DataFrame]) -> str | None:
    """The suite's first question on every data set, a line each.

    Args:
        grids: Runs of one data set each.
        tables: The leaderboard of each data set, by label.

    Returns:
        A markdown table and how to read it, or None with fewer than two data sets to answer it on.
    """
    rows, names = [], ("", "")
    for grid in grids:
        dataset = grid.datasets[0]
        for labels in questions(grid)[:1]:
            found = compare(grid.of_model(labels[0]), grid.of_model(labels[1]), "recall@10")
            if found:
                names = labels
                far = next((part.test for part in _reach_tests(grid, labels) if part.name == FAR), None)
                wide = tables[dataset]
                columns = ("fit_seconds", "milliseconds_per_user") if _same_hardware(grid, labels) else ()
                ratios = [_ratio(*_costs(wide, column, labels)) or NONE for column in columns] or [NONE, NONE]
                rows.append(
                    [
                        dataset,
                        str(wide["model"].iloc[0]),
                        *_compared(found),
                        f"{far.difference:+.4f}" if far else NONE,
                        *ratios,
                    ]
                )
    if len(rows) < 2:
        return None
    headers = ["Data set", "Best by NDCG@10", *names, "Difference", "95 % interval", "p", "Difference on far targets"]
    return (
        f"**{names[0]} against {names[1]}**, Recall@10 on each data set. The p-values are not corrected for the number "
        f"of data sets. Far: last seen more than {REACH_WINDOW} events ago. The last two columns are times of "
        f"{names[0]} over those of {names[1]}.\n\n" + table([*headers, "Training time", "Time per user"], rows, left=2)
    )


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


@dataclass(frozen=True)
class _Part:
    """A test on the queries of one reach: its key in `reach_parts`, and the p-value with Holm's correction."""

    name: str
    test: PairedComparison
    p_value: float


def _reach_tests(grid: Grid, labels: tuple[str, str], of: ReachOf = "item") -> list[_Part]:
    """The two models on targets near, far and never seen, as one family of tests; empty where there are no parts."""
    left, right = (grid.of_model(label) for label in labels)
    assert left[0].queries is not None  # a complete result has its queries
    masks = reach_parts(left[0].queries, of=of)
    tests = {name: test for name, mask in masks.items() if (test := compare(left, right, "recall@10", mask))}
    corrected = holm([test.p_value for test in tests.values()])
    return [_Part(name, test, p) for (name, test), p in zip(tests.items(), corrected, strict=True)]


def _for_whom(grid: Grid, labels: tuple[str, str]) -> str:
    """Where the difference is: by reach of the target, or of its category where users never take an item twice."""
    parts, subject = _reach_tests(grid, labels), "targets"
    if not parts:
        parts, subject = _reach_tests(grid, labels, "category"), "targets whose category was"
    meanings = {
        FAR: f"last seen more than {REACH_WINDOW} events ago",
        "recent": "seen since then",
        "never": "never seen",
    }
    found = {part.name: part for part in parts}
    words = [
        f"{meaning} ({part.test.n_queries:,} queries) {number(part.test.first)} against {number(part.test.second)}, "
        f"{_verdict(part, labels)}"
        for name, meaning in meanings.items()
        if (part := found.get(name))
    ]
    if not words:
        return ""
    start = f"Recall@10 of {labels[0]} against {labels[1]} on {subject}"
    return f"**For whom**: {start} {'; '.join(words)} (Holm's correction over these parts)."


def _verdict(part: _Part, labels: tuple[str, str]) -> str:
    if part.p_value >= ALPHA:
        return f"no significant difference ({p_value(part.p_value)})"
    winner = labels[0] if part.test.difference > 0 else labels[1]
    return f"{winner} is significantly better ({p_value(part.p_value)})"


def _at_what_cost(grid: Grid, wide: pd.DataFrame, labels: tuple[str, str]) -> str:
    """Time to train and to answer, of the first against the second."""
    words, comparable = [], _same_hardware(grid, labels)
    for column, verb, unit, digits in (
        ("fit_seconds", "trains in", "s", 1),
        ("milliseconds_per_user", "answers in", "ms per user", 2),
    ):
        first, second = _costs(wide, column, labels)
        ratio = _ratio(first, second)
        times = f" ({ratio})" if ratio and comparable else ""
        words.append(f"{verb} {number(first, digits)} {unit} against {number(second, digits)} {unit}{times}")
    text = f"**At what cost**: {labels[0]} {' and '.join(words)}, means over the seeds"
    return f"{text}." if comparable else f"{text}, on different hardware: these times don't compare."


def _same_hardware(grid: Grid, labels: tuple[str, str]) -> bool:
    """Whether the times of two rows can be compared."""
    results = [result for label in labels for result in grid.of_model(label)]
    return len({(r.environment.get("device"), r.environment.get("device_name")) for r in results}) == 1


def _costs(wide: pd.DataFrame, column: str, labels: tuple[str, str]) -> tuple[float, float]:
    """A cost of two rows of a leaderboard, means over seeds."""
    means = wide.set_index("model")[f"{column}.mean"]
    return float(means[labels[0]]), float(means[labels[1]])


def _ratio(first: float, second: float) -> str:
    """E.g. "x 1.5"; "" where there is nothing to divide by."""
    return f"x {first / second:.2g}" if second > 0 else ""


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
