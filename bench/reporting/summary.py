"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analysis.dataset_tables import DatasetTables
from bench.analysis.families import all_pairs, both, in_words
from bench.analysis.fitness import UNFIT, FloorTest, floor_of
from bench.analysis.grid import Grid, generates_semantic_ids
from bench.analysis.leaderboard import by_slice
from bench.analysis.pairs import pair_of
from bench.analysis.questions import OVERALL, PartTest, of_question, questions
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, REACH_WINDOW, SECONDARY_METRIC, metric_name
from bench.evaluation.slices import popularity_slices
from bench.number_text import number, p_value, plus_minus
from bench.reporting.cautions import caution
from bench.reporting.words import Text, Words, joined, strong

MEAN = f"item.overall.{PRIMARY_METRIC}.mean"
STD = f"item.overall.{PRIMARY_METRIC}.std"
Labels = tuple[str, str]
"""The two rows of a question."""

FAR = ("reach", "far")
"""The part of the queries that only a model with a long history has in sight."""


def findings(grid: Grid, found: DatasetTables, answered: Labels | None = None) -> list[Words | str]:
    """Sentences on one data set: the suite's first question (who is better, for whom, at what cost), then the rest.

    Args:
        grid: Runs on one data set.
        found: What was computed of it. Models that the figures themselves picked are tested with the correction over
            all pairs.
        answered: The question that `overview` has answered already.
    """
    wide, tests = found.wide, found.tests
    ranked = wide[wide[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    asked = questions(grid)
    first = [pair for pair in asked[:1] if pair != answered]
    sentences: list[Text | None] = [
        *(_question(found, pair) for pair in first),
        *(for_whom(tests, pair) for pair in first),
        *(_at_what_cost(grid, wide, pair) for pair in first),
        _unfit(found),
        _leader(ranked, found),
        *(_question(found, pair) for pair in asked[1:]),
        _families(grid, ranked, found),
        _parts(grid),
        _floor(grid, ranked, found.floor),
    ]
    return [sentence for sentence in sentences if sentence]


def _unfit(found: DatasetTables) -> Words | None:
    """The rows from which nothing follows, and why."""
    if not found.doubts:
        return None
    text = strong(f"Warning, {UNFIT}") + f": {', '.join(doubt.in_short for doubt in found.doubts)}"
    tested = [doubt.test.family.phrase for doubt in found.doubts if doubt.test]
    return text + (f" ({tested[0]})." if tested else ".")


def _leader(ranked: pd.DataFrame, tables: DatasetTables) -> Words:
    best = ranked.iloc[0]
    seeds = int(best["complete"])
    text = strong(best["model"]) + f" has the highest mean {PRIMARY_NAME}: {plus_minus(best[MEAN], best[STD])}"
    text += f" over {seeds} seeds" if seeds > 1 else " (one seed, so its spread is unknown)"
    if len(ranked) < 2:
        return text + ". No other model has a complete run to compare it with."
    second = ranked.iloc[1]
    text += f"; {second['model']} follows with {plus_minus(second[MEAN], second[STD])}"
    found = pair_of(tables.compared, best["model"], second["model"])
    if found is None:
        return text + ". The two can't be compared query by query, so no test was made."
    verdict = "a significant difference" if found["p_holm"] < ALPHA else "no significant difference"
    p_values = in_words(found["p_value"], found["p_holm"], all_pairs(len(tables.compared)))
    text += f": {verdict} ({p_values}; paired over {found['n_queries']:,} queries)."
    return joined(" ", [text, caution([best["model"], second["model"]], tables.unfit)])


def _question(tables: DatasetTables, labels: Labels) -> Words | None:
    tests = of_question(tables.tests, labels)
    if not tests:
        return None
    part = tests[OVERALL, OVERALL]
    found = part.test
    text = f", {PRIMARY_NAME}: {number(found.first)} against {number(found.second)}"
    text += f", a difference of {found.difference:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}"
    text += f", {in_words(found.p_value, part.p_holm, part.family)})"
    if part.p_holm >= ALPHA:
        verdict = "no significant difference"
    else:
        winner, loser = labels if found.difference > 0 else (labels[1], labels[0])
        only = " (one seed)" if len(found.seeds) == 1 else ""
        verdict = f"{winner} is significantly better than {loser}{only}"
    secondary = f"{metric_name(SECONDARY_METRIC)} {' against '.join(map(number, part.secondary))}, not tested."
    return joined(
        " ",
        [
            strong(f"{labels[0]} against {labels[1]}") + f"{text}: {verdict}.",
            caution(labels, tables.unfit),
            _as_a_pair(tables.compared, part),
            f"Secondary: {secondary}",
        ],
    )


def _as_a_pair(compared: pd.DataFrame, part: PartTest) -> str:
    """What becomes of a question's p-value among all pairs, where the verdict there is another one."""
    found = pair_of(compared, *part.labels)
    if found is None or (found["p_holm"] < ALPHA) == (part.p_holm < ALPHA):
        return ""
    family, other = all_pairs(len(compared)), "significant" if found["p_holm"] < ALPHA else "not significant"
    corrected = p_value(found["p_holm"])
    return f"For a reader who picked these two from the table it is {other}: {corrected} with {family.phrase}."


def for_whom(tests: list[PartTest], labels: Labels, dataset: str = "") -> Words | None:
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
    sentences = [
        f"{meaning} ({part.test.n_queries:,} queries) {number(part.test.first)} against {number(part.test.second)}, "
        f"{_verdict(part)}"
        for name, meaning in meanings.items()
        if (part := found.get(name))
    ]
    if not sentences:
        return None
    start = f"{PRIMARY_NAME} of {labels[0]} against {labels[1]} on {subject}"
    family = next(iter(found.values())).family
    return strong("For whom") + f"{dataset}: {start} {'; '.join(sentences)} ({family.phrase})."


def _verdict(part: PartTest) -> str:
    p_values = both(part.test.p_value, part.p_holm)
    if part.p_holm >= ALPHA:
        return f"no significant difference ({p_values})"
    winner = part.labels[0] if part.test.difference > 0 else part.labels[1]
    return f"{winner} is significantly better ({p_values})"


def _at_what_cost(grid: Grid, wide: pd.DataFrame, labels: Labels) -> Words:
    """Time to train and to answer, of the first against the second."""
    parts, differ = [], what_differs(grid, labels)
    for cost, verb, unit, digits in (
        ("fit_seconds", "trains in", "s", 1),
        ("milliseconds_per_user", "answers in", "ms per user", 2),
    ):
        first, second = _costs(wide, cost, labels)
        ratio = cost_ratio(wide, cost, labels)
        times = "" if ratio is None or differ else f" (x {ratio:.2g})"
        parts.append(f"{verb} {number(first, digits)} {unit} against {number(second, digits)} {unit}{times}")
    text = strong("At what cost") + f": {labels[0]} {' and '.join(parts)}, means over the seeds"
    return text + (f", with different {' and '.join(differ)}: these times don't compare." if differ else ".")


def what_differs(grid: Grid, labels: Labels) -> list[str]:
    """What of the runs of two rows differs, so that their times can't be compared."""
    environments = [result.environment for label in labels for result in grid.of_model(label)]
    keys = {"hardware": ("device", "device_name"), "threads": ("threads",), "code": ("commit",)}
    return [
        name for name, parts in keys.items() if len({tuple(facts.get(p) for p in parts) for facts in environments}) > 1
    ]


def cost_ratio(wide: pd.DataFrame, cost: str, labels: Labels) -> float | None:
    """A cost of the first row over that of the second; None where there is nothing to divide by."""
    first, second = _costs(wide, cost, labels)
    return first / second if second > 0 else None


def _costs(wide: pd.DataFrame, cost: str, labels: Labels) -> tuple[float, float]:
    """A cost of two rows of a leaderboard, means over seeds."""
    means = wide.set_index("model")[f"{cost}.mean"]
    return float(means[labels[0]]), float(means[labels[1]])


def _families(grid: Grid, ranked: pd.DataFrame, tables: DatasetTables) -> Words | str:
    """The best with and the best without semantic IDs."""
    with_ids = {result.spec.label for result in grid.results if generates_semantic_ids(result)}
    groups = [ranked[ranked["model"].isin(with_ids)], ranked[~ranked["model"].isin(with_ids)]]
    if any(group.empty for group in groups):
        return ""
    (generative, plain) = (group.iloc[0] for group in groups)
    kind = "" if plain["parameters.mean"] > 0 else " (it has no learned parameters)"
    text = f"With semantic IDs {generative['model']} has the highest mean {PRIMARY_NAME} ({number(generative[MEAN])}), "
    text += f"without them {plain['model']}{kind} ({number(plain[MEAN])})"
    found = pair_of(tables.compared, generative["model"], plain["model"])
    if found is None:
        return f"{text}. The two can't be compared query by query, so no test was made."
    winner = generative if found["difference"] > 0 else plain
    verdict = f"{winner['model']} is significantly better" if found["p_holm"] < ALPHA else "no significant difference"
    p_values = in_words(found["p_value"], found["p_holm"], all_pairs(len(tables.compared)))
    doubt = caution([generative["model"], plain["model"]], tables.unfit)
    return joined(" ", [f"{text}: {verdict} ({p_values}).", doubt])


def _parts(grid: Grid) -> str:
    """The best on head and on tail targets."""
    scores = by_slice(grid, popularity_slices, PRIMARY_METRIC)
    leaders = []
    for part, meaning in (("head", "popular targets (head"), ("tail", "rare targets (tail")):
        rows = scores[scores["slice"] == part]
        if not rows.empty and rows["mean"].max() > 0:
            best = rows.loc[rows["mean"].idxmax()]
            leaders.append(
                f"on {meaning}, {best['queries']:,} queries) it is {best['model']} with {number(best['mean'])}"
            )
    if not leaders or len(grid.complete_models) < 2:
        return ""
    return f"Highest mean {PRIMARY_NAME} by part: {'; '.join(leaders)}. The lead in these parts was not tested."


def _floor(grid: Grid, ranked: pd.DataFrame, tests: Sequence[FloorTest]) -> Words | str:
    """What stays below recommending the same popular items to everybody, and whether that is more than chance."""
    floor = floor_of(grid)
    if floor is None or len(ranked) < 2:
        return ""
    value = float(ranked.loc[ranked["model"] == floor, MEAN].iloc[0])
    below = ranked[(ranked[MEAN] < value) & (ranked["model"] != floor)]
    if below.empty:
        return f"No model with complete runs has a lower mean than {floor} ({PRIMARY_NAME} {number(value)})."
    against = {test.label: test for test in tests}
    rows = []
    for row in below.to_dict("records"):
        test = against.get(row["model"])
        verdict = ", not tested" if test is None else "" if test.p_holm < ALPHA else ", not significantly"
        p_values = f": {both(test.test.p_value, test.p_holm)}" if test else ""
        rows.append(f"{row['model']} ({number(row[MEAN])}, {1 - row[MEAN] / value:.0%} lower{verdict}{p_values})")
    family = f" ({tests[0].family.phrase})" if tests else ""
    return strong(f"Below {floor}") + f" ({PRIMARY_NAME} {number(value)}): {', '.join(rows)}{family}."
