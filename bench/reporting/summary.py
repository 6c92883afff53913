"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.evaluation.slices import REACH_WINDOW, popularity_slices
from bench.reporting.dataset_tables import DatasetTables
from bench.reporting.grid import Grid, generates_semantic_ids
from bench.reporting.leaderboard import by_slice
from bench.reporting.markdown import NONE, number, p_cell, p_value, plus_minus, table
from bench.reporting.pairwise import pair_of, verdicts
from bench.reporting.questions import OVERALL, PartTest, compared_cells, of_question, questions, row_of
from bench.reporting.significance import ALPHA

MEAN = "item.overall.ndcg@10.mean"
STD = "item.overall.ndcg@10.std"
OF_ALL_PAIRS = "Holm's correction over all pairs of models"
FAR = ("reach", "far")
"""The part of the queries that only a model with a long history has in sight."""


def findings(grid: Grid, found: DatasetTables, told: bool = False) -> list[str]:
    """Sentences on one data set: the suite's first question (who is better, for whom, at what cost), then the rest.

    Args:
        grid: Runs on one data set.
        found: What was computed of it. Models that the figures themselves picked are tested with the correction over
            all pairs.
        told: Whether `overview` has answered the first question already.
    """
    wide, compared, tests = found.wide, found.compared, found.tests
    ranked = wide[wide[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    asked = questions(grid)
    first = [] if told else asked[:1]
    sentences = [
        *(_question(tests, pair) for pair in first),
        *(_for_whom(tests, pair) for pair in first),
        *(_at_what_cost(grid, wide, pair) for pair in first),
        _leader(ranked, compared),
        *(_question(tests, pair) for pair in asked[1:]),
        _families(grid, ranked, compared),
        _parts(grid),
        _floor(grid, ranked, compared),
    ]
    return [sentence for sentence in sentences if sentence]


def overview(grids: Sequence[Grid], tables: Mapping[str, DatasetTables]) -> str | None:
    """The suite's first question on every data set: a line each, and for whom.

    Args:
        grids: Runs of one data set each.
        tables: What was computed of each, by label.

    Returns:
        A markdown table and how to read it, or None with fewer than two data sets to answer it on.
    """
    rows, whom, names = [], [], ("", "")
    better: list[str] = []
    worse: list[str] = []
    for grid in grids:
        dataset = grid.datasets[0]
        for labels in questions(grid)[:1]:
            found = of_question(tables[dataset].tests, labels)
            if found:
                names, overall = labels, found[OVERALL, OVERALL]
                far, wide = found.get(FAR), tables[dataset].wide
                columns = ("fit_seconds", "milliseconds_per_user") if not _differ(grid, labels) else ()
                ratios = [_ratio(*_costs(wide, column, labels)) or NONE for column in columns] or [NONE, NONE]
                rows.append(
                    [
                        dataset,
                        *compared_cells(overall.test),
                        p_cell(overall.p_holm),
                        "yes" if overall.p_holm < ALPHA else "no",
                        f"{far.test.difference:+.4f}" if far else NONE,
                        *ratios,
                    ]
                )
                if overall.p_holm < ALPHA:
                    (better if overall.test.difference > 0 else worse).append(dataset)
                whom.append(_for_whom(tables[dataset].tests, labels, f" ({dataset})"))
    if len(rows) < 2:
        return None
    headers = ["Data set", *names, "Difference", "95 % interval", "p", "Significant"]
    headers += ["On far targets", "Training time", "Time per user"]
    verdict = f"**{names[0]} against {names[1]}**: significantly better on {len(better)} of {len(rows)} data sets"
    verdict += "".join(f", {dataset}" for dataset in better)
    verdict += f"; significantly worse on {', '.join(worse)}." if worse else "."
    how_to_read = (
        f"{verdict} Recall@10 on each data set; the p-values are corrected over the questions "
        f"asked of a data set (Holm), not for the number of data sets. Far: last seen more than {REACH_WINDOW} events "
        f"ago. The last two columns are times of {names[0]} over those of {names[1]}."
    )
    lines = "\n".join(f"- {sentence}" for sentence in whom if sentence)
    return "\n\n".join(filter(None, [how_to_read, table(headers, rows), lines]))


def _leader(ranked: pd.DataFrame, compared: pd.DataFrame) -> str:
    best = ranked.iloc[0]
    seeds = int(best["complete"])
    text = f"**{best['model']}** has the highest mean NDCG@10: {plus_minus(best[MEAN], best[STD])}"
    text += f" over {seeds} seeds" if seeds > 1 else " (one seed, so its spread is unknown)"
    if len(ranked) < 2:
        return f"{text}. No other model has a complete run to compare it with."
    second = ranked.iloc[1]
    text += f"; {second['model']} follows with {plus_minus(second[MEAN], second[STD])}"
    found = pair_of(compared, best["model"], second["model"])
    if found is None:
        return f"{text}. The two can't be compared query by query, so no test was made."
    verdict = "a significant difference" if found["p_holm"] < ALPHA else "no significant difference"
    basis = f"paired over {found['n_queries']:,} queries, {OF_ALL_PAIRS}"
    return f"{text}: {verdict} ({p_value(found['p_holm'])}, {basis})."


def _question(tests: list[PartTest], labels: tuple[str, str]) -> str:
    asked = of_question(tests, labels)
    if not asked:
        return ""
    part = asked[OVERALL, OVERALL]
    found = part.test
    text = f"**{labels[0]} against {labels[1]}**, Recall@10: {number(found.first)} against {number(found.second)}"
    text += f", a difference of {found.difference:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}"
    n_questions = sum(test.family == OVERALL for test in tests)
    corrected = f" with Holm's correction over {n_questions} questions" if n_questions > 1 else ""
    text += f", {p_value(part.p_holm)}{corrected})"
    if part.p_holm >= ALPHA:
        return f"{text}: no significant difference."
    winner, loser = labels if found.difference > 0 else (labels[1], labels[0])
    only = " (one seed)" if len(found.seeds) == 1 else ""
    return f"{text}: {winner} is significantly better than {loser}{only}."


def _for_whom(tests: list[PartTest], labels: tuple[str, str], place: str = "") -> str:
    """Where the difference is: by reach of the target, or of its category where users never take an item twice."""
    parts, subject = of_question(tests, labels, "reach"), "targets"
    if not parts:
        parts, subject = of_question(tests, labels, "category-reach"), "targets whose category was"
    meanings = {
        "far": f"last seen more than {REACH_WINDOW} events ago",
        "recent": "seen since then",
        "never": "never seen",
    }
    found = {part.part: part for part in parts.values()}
    words = [
        f"{meaning} ({part.test.n_queries:,} queries) {number(part.test.first)} against {number(part.test.second)}, "
        f"{_verdict(part)}"
        for name, meaning in meanings.items()
        if (part := found.get(name))
    ]
    if not words:
        return ""
    start = f"Recall@10 of {labels[0]} against {labels[1]} on {subject}"
    return f"**For whom**{place}: {start} {'; '.join(words)} (Holm's correction over these parts)."


def _verdict(part: PartTest) -> str:
    if part.p_holm >= ALPHA:
        return f"no significant difference ({p_value(part.p_holm)})"
    winner = part.labels[0] if part.test.difference > 0 else part.labels[1]
    return f"{winner} is significantly better ({p_value(part.p_holm)})"


def _at_what_cost(grid: Grid, wide: pd.DataFrame, labels: tuple[str, str]) -> str:
    """Time to train and to answer, of the first against the second."""
    words, differ = [], _differ(grid, labels)
    for column, verb, unit, digits in (
        ("fit_seconds", "trains in", "s", 1),
        ("milliseconds_per_user", "answers in", "ms per user", 2),
    ):
        first, second = _costs(wide, column, labels)
        ratio = _ratio(first, second)
        times = f" ({ratio})" if ratio and not differ else ""
        words.append(f"{verb} {number(first, digits)} {unit} against {number(second, digits)} {unit}{times}")
    text = f"**At what cost**: {labels[0]} {' and '.join(words)}, means over the seeds"
    return f"{text}, with different {' and '.join(differ)}: these times don't compare." if differ else f"{text}."


def _differ(grid: Grid, labels: tuple[str, str]) -> list[str]:
    """What of the runs of two rows differs, so that their times can't be compared."""
    environments = [result.environment for label in labels for result in grid.of_model(label)]
    keys = {"hardware": ("device", "device_name"), "threads": ("threads",), "code": ("commit",)}
    return [
        name for name, parts in keys.items() if len({tuple(found.get(p) for p in parts) for found in environments}) > 1
    ]


def _costs(wide: pd.DataFrame, column: str, labels: tuple[str, str]) -> tuple[float, float]:
    """A cost of two rows of a leaderboard, means over seeds."""
    means = wide.set_index("model")[f"{column}.mean"]
    return float(means[labels[0]]), float(means[labels[1]])


def _ratio(first: float, second: float) -> str:
    """E.g. "x 1.5"; "" where there is nothing to divide by."""
    return f"x {first / second:.2g}" if second > 0 else ""


def _families(grid: Grid, ranked: pd.DataFrame, compared: pd.DataFrame) -> str:
    """The best with and the best without semantic IDs."""
    with_ids = {result.spec.label for result in grid.results if generates_semantic_ids(result)}
    groups = [ranked[ranked["model"].isin(with_ids)], ranked[~ranked["model"].isin(with_ids)]]
    if any(group.empty for group in groups):
        return ""
    (generative, plain) = (group.iloc[0] for group in groups)
    kind = "" if plain["parameters.mean"] > 0 else " (it has no learned parameters)"
    text = f"The best model with semantic IDs is {generative['model']} (NDCG@10 {number(generative[MEAN])}), the best "
    text += f"without is {plain['model']}{kind} ({number(plain[MEAN])})"
    found = pair_of(compared, generative["model"], plain["model"])
    if found is None:
        return f"{text}."
    p = f"{p_value(found['p_holm'])}, {OF_ALL_PAIRS}"
    if found["p_holm"] >= ALPHA:
        return f"{text}: no significant difference ({p})."
    winner = generative if found["difference"] > 0 else plain
    return f"{text}: {winner['model']} is significantly better ({p})."


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
    if not words or len(grid.complete_models) < 2:
        return ""
    return f"Highest mean NDCG@10 by part: {'; '.join(words)}. The lead in these parts was not tested."


def _floor(grid: Grid, ranked: pd.DataFrame, compared: pd.DataFrame) -> str:
    """What stays below recommending the same popular items to everybody, and whether that is more than chance."""
    floor = row_of(grid, grid.suite.floor) if grid.suite.floor else None
    if floor is None or len(ranked) < 2:
        return ""
    value = float(ranked.loc[ranked["model"] == floor, MEAN].iloc[0])
    below = ranked[(ranked[MEAN] < value) & (ranked["model"] != floor)]
    if below.empty:
        return f"No model with complete runs has a lower mean than {floor} (NDCG@10 {number(value)})."
    shown = verdicts(compared, floor)
    words = [
        f"{row['model']} ({number(row[MEAN])}, {1 - row[MEAN] / value:.0%} lower"
        + ("" if shown.get(row["model"]) == -1 else ", not significantly")
        + ")"
        for row in below.to_dict("records")
    ]
    return f"**Below {floor}** (NDCG@10 {number(value)}): {', '.join(words)}."
