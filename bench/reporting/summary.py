"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from bench.analysis.dataset_tables import DatasetTables
from bench.analysis.families import all_pairs, both, in_words
from bench.analysis.fitness import UNFIT, FloorTest, caution, floor_of, mark_of
from bench.analysis.grid import Grid, generates_semantic_ids
from bench.analysis.leaderboard import by_slice
from bench.analysis.pairs import pair_of
from bench.analysis.questions import OVERALL, PartTest, of_question, questions
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, REACH_WINDOW, SECONDARY_METRIC, metric_name
from bench.evaluation.slices import popularity_slices
from bench.number_text import NONE, number, p_cell, p_value, plus_minus
from bench.reporting.markdown import table
from bench.reporting.tables.questions import compared_cells

MEAN = f"item.overall.{PRIMARY_METRIC}.mean"
STD = f"item.overall.{PRIMARY_METRIC}.std"
Labels = tuple[str, str]
"""The two rows of a question."""

FAR = ("reach", "far")
"""The part of the queries that only a model with a long history has in sight."""


def findings(grid: Grid, found: DatasetTables, told: Labels | None = None) -> list[str]:
    """Sentences on one data set: the suite's first question (who is better, for whom, at what cost), then the rest.

    Args:
        grid: Runs on one data set.
        found: What was computed of it. Models that the figures themselves picked are tested with the correction over
            all pairs.
        told: The question that `overview` has answered already.
    """
    wide, tests = found.wide, found.tests
    ranked = wide[wide[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    asked = questions(grid)
    first = [pair for pair in asked[:1] if pair != told]
    sentences = [
        *(_question(found, pair) for pair in first),
        *(_for_whom(tests, pair) for pair in first),
        *(_at_what_cost(grid, wide, pair) for pair in first),
        _unfit(found),
        _leader(ranked, found),
        *(_question(found, pair) for pair in asked[1:]),
        _families(grid, ranked, found),
        _parts(grid),
        _floor(grid, ranked, found.floor),
    ]
    return [sentence for sentence in sentences if sentence]


def shared_question(grids: Sequence[Grid], tables: Mapping[str, DatasetTables]) -> Labels | None:
    """The rows of the first question, where two data sets or more answer it; what `overview` is about."""
    asked = [questions(grid)[0] for grid in grids if _answered(grid, tables)]
    return next((labels for labels in asked if asked.count(labels) > 1), None)


def overview(grids: Sequence[Grid], tables: Mapping[str, DatasetTables]) -> str | None:
    """The suite's first question on every data set: a line each, and for whom.

    Args:
        grids: Runs of one data set each.
        tables: What was computed of each, by label.

    Returns:
        A markdown table and how to read it, or None with fewer than two data sets to answer it on.
    """
    names = shared_question(grids, tables)
    if names is None:
        return None
    answered = [grid for grid in grids if _answered(grid, tables) and questions(grid)[0] == names]
    rows = [_overview_row(grid, tables[grid.datasets[0]], names) for grid in answered]
    headers = ["Data set", *names, "Difference", "95 % interval", "p", "p (Holm)", "Significant"]
    headers += ["On far targets", "Training time", "Time per user"]
    by_dataset = {grid.datasets[0]: tables[grid.datasets[0]] for grid in answered}
    sizes = {of_question(found.tests, names)[OVERALL, OVERALL].family.size for found in by_dataset.values()}
    how_to_read = (
        f"{_verdict_over(names, by_dataset)} {PRIMARY_NAME} on each data set. p is that of the test alone; p (Holm) is "
        f"corrected over the suite's questions on a data set ({_range(sizes)}), not for the number of data sets. Far: "
        f"last seen more than {REACH_WINDOW} events ago. The last two columns are times of {names[0]} over those of "
        f"{names[1]}."
    )
    whom = (_for_whom(found.tests, names, f" ({dataset})") for dataset, found in by_dataset.items())
    lines = "\n".join(f"- {sentence}" for sentence in whom if sentence)
    return "\n\n".join(filter(None, [how_to_read, table(headers, rows), lines]))


def _answered(grid: Grid, tables: Mapping[str, DatasetTables]) -> bool:
    """Whether the first question that a data set has rows for was tested there."""
    return any(of_question(tables[grid.datasets[0]].tests, labels) for labels in questions(grid)[:1])


def _overview_row(grid: Grid, found: DatasetTables, labels: Labels) -> list[str]:
    """The line of one data set."""
    tests = of_question(found.tests, labels)
    overall, far = tests[OVERALL, OVERALL], tests.get(FAR)
    costs = ("fit_seconds", "milliseconds_per_user") if not _differ(grid, labels) else ()
    ratios = [_ratio(*_costs(found.wide, cost, labels)) or NONE for cost in costs] or [NONE, NONE]
    return [
        grid.datasets[0],
        *compared_cells(overall.test),
        p_cell(overall.test.p_value),
        p_cell(overall.p_holm),
        ("yes" if overall.p_holm < ALPHA else "no") + mark_of(labels, found.unfit),
        f"{far.test.difference:+.4f}" if far else NONE,
        *ratios,
    ]


def _verdict_over(labels: Labels, found: Mapping[str, DatasetTables]) -> str:
    """On which data sets the first is better, on which worse, and where the two are no evidence."""
    better: list[str] = []
    worse: list[str] = []
    unfit: list[str] = []
    for dataset, tables in found.items():
        part = of_question(tables.tests, labels)[OVERALL, OVERALL]
        doubted = [label for label in labels if label in tables.unfit]
        if doubted:
            unfit.append(f"{dataset} ({' and '.join(doubted)})")
        elif part.p_holm < ALPHA:
            (better if part.test.difference > 0 else worse).append(dataset)
    text = f"**{labels[0]} against {labels[1]}**: significantly better on {len(better)} of {len(found)} data sets"
    text += "".join(f", {dataset}" for dataset in better)
    text += f"; significantly worse on {', '.join(worse)}" if worse else ""
    text += f"; {UNFIT} on {', '.join(unfit)}" if unfit else ""
    return f"{text}."


def _range(sizes: Collection[int]) -> str:
    """E.g. "3 tests", "1 to 2 tests"."""
    low, high = min(sizes), max(sizes)
    return f"{low} test{'s' if low > 1 else ''}" if low == high else f"{low} to {high} tests"


def _unfit(found: DatasetTables) -> str:
    """The rows from which nothing follows, and why."""
    if not found.doubts:
        return ""
    text = f"**Warning, {UNFIT}**: {', '.join(doubt.in_short for doubt in found.doubts)}"
    tested = [doubt.test.family.phrase for doubt in found.doubts if doubt.test]
    return f"{text} ({tested[0]})." if tested else f"{text}."


def _leader(ranked: pd.DataFrame, tables: DatasetTables) -> str:
    best = ranked.iloc[0]
    seeds = int(best["complete"])
    text = f"**{best['model']}** has the highest mean {PRIMARY_NAME}: {plus_minus(best[MEAN], best[STD])}"
    text += f" over {seeds} seeds" if seeds > 1 else " (one seed, so its spread is unknown)"
    if len(ranked) < 2:
        return f"{text}. No other model has a complete run to compare it with."
    second = ranked.iloc[1]
    text += f"; {second['model']} follows with {plus_minus(second[MEAN], second[STD])}"
    found = pair_of(tables.compared, best["model"], second["model"])
    if found is None:
        return f"{text}. The two can't be compared query by query, so no test was made."
    verdict = "a significant difference" if found["p_holm"] < ALPHA else "no significant difference"
    p_values = in_words(found["p_value"], found["p_holm"], all_pairs(len(tables.compared)))
    text = f"{text}: {verdict} ({p_values}; paired over {found['n_queries']:,} queries)."
    return _joined(text, caution([best["model"], second["model"]], tables.unfit))


def _question(tables: DatasetTables, labels: Labels) -> str:
    asked = of_question(tables.tests, labels)
    if not asked:
        return ""
    part = asked[OVERALL, OVERALL]
    found = part.test
    text = f"**{labels[0]} against {labels[1]}**, {PRIMARY_NAME}: {number(found.first)} against {number(found.second)}"
    text += f", a difference of {found.difference:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}"
    text += f", {in_words(found.p_value, part.p_holm, part.family)})"
    if part.p_holm >= ALPHA:
        verdict = "no significant difference"
    else:
        winner, loser = labels if found.difference > 0 else (labels[1], labels[0])
        only = " (one seed)" if len(found.seeds) == 1 else ""
        verdict = f"{winner} is significantly better than {loser}{only}"
    return _joined(
        f"{text}: {verdict}.",
        caution(labels, tables.unfit),
        _as_a_pair(tables.compared, part),
        f"Secondary: {metric_name(SECONDARY_METRIC)} {' against '.join(map(number, part.secondary))}, not tested.",
    )


def _as_a_pair(compared: pd.DataFrame, part: PartTest) -> str:
    """What becomes of a question's p-value among all pairs, where the verdict there is another one."""
    found = pair_of(compared, *part.labels)
    if found is None or (found["p_holm"] < ALPHA) == (part.p_holm < ALPHA):
        return ""
    family, other = all_pairs(len(compared)), "significant" if found["p_holm"] < ALPHA else "not significant"
    corrected = p_value(found["p_holm"])
    return f"For a reader who picked these two from the table it is {other}: {corrected} with {family.phrase}."


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _for_whom(tests: list[PartTest], labels: Labels, place: str = "") -> str:
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
    start = f"{PRIMARY_NAME} of {labels[0]} against {labels[1]} on {subject}"
    family = next(iter(found.values())).family
    return f"**For whom**{place}: {start} {'; '.join(words)} ({family.phrase})."


def _verdict(part: PartTest) -> str:
    p_values = both(part.test.p_value, part.p_holm)
    if part.p_holm >= ALPHA:
        return f"no significant difference ({p_values})"
    winner = part.labels[0] if part.test.difference > 0 else part.labels[1]
    return f"{winner} is significantly better ({p_values})"


def _at_what_cost(grid: Grid, wide: pd.DataFrame, labels: Labels) -> str:
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


def _differ(grid: Grid, labels: Labels) -> list[str]:
    """What of the runs of two rows differs, so that their times can't be compared."""
    environments = [result.environment for label in labels for result in grid.of_model(label)]
    keys = {"hardware": ("device", "device_name"), "threads": ("threads",), "code": ("commit",)}
    return [
        name for name, parts in keys.items() if len({tuple(found.get(p) for p in parts) for found in environments}) > 1
    ]


def _costs(wide: pd.DataFrame, column: str, labels: Labels) -> tuple[float, float]:
    """A cost of two rows of a leaderboard, means over seeds."""
    means = wide.set_index("model")[f"{column}.mean"]
    return float(means[labels[0]]), float(means[labels[1]])


def _ratio(first: float, second: float) -> str:
    """E.g. "x 1.5"; "" where there is nothing to divide by."""
    return f"x {first / second:.2g}" if second > 0 else ""


def _families(grid: Grid, ranked: pd.DataFrame, tables: DatasetTables) -> str:
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
    return _joined(f"{text}: {verdict} ({p_values}).", caution([generative["model"], plain["model"]], tables.unfit))


def _parts(grid: Grid) -> str:
    """The best on head and on tail targets."""
    scores = by_slice(grid, popularity_slices, PRIMARY_METRIC)
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
    return f"Highest mean {PRIMARY_NAME} by part: {'; '.join(words)}. The lead in these parts was not tested."


def _floor(grid: Grid, ranked: pd.DataFrame, tests: Sequence[FloorTest]) -> str:
    """What stays below recommending the same popular items to everybody, and whether that is more than chance."""
    floor = floor_of(grid)
    if floor is None or len(ranked) < 2:
        return ""
    value = float(ranked.loc[ranked["model"] == floor, MEAN].iloc[0])
    below = ranked[(ranked[MEAN] < value) & (ranked["model"] != floor)]
    if below.empty:
        return f"No model with complete runs has a lower mean than {floor} ({PRIMARY_NAME} {number(value)})."
    against = {test.label: test for test in tests}
    words = []
    for row in below.to_dict("records"):
        test = against.get(row["model"])
        verdict = ", not tested" if test is None else "" if test.p_holm < ALPHA else ", not significantly"
        p_values = f": {both(test.test.p_value, test.p_holm)}" if test else ""
        words.append(f"{row['model']} ({number(row[MEAN])}, {1 - row[MEAN] / value:.0%} lower{verdict}{p_values})")
    family = f" ({tests[0].family.phrase})" if tests else ""
    return f"**Below {floor}** ({PRIMARY_NAME} {number(value)}): {', '.join(words)}{family}."
