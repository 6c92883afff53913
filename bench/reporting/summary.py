"""The findings in plain words, each one a sentence that follows from the numbers and claims no more than they carry."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.analysis.families import Family, against_floor, all_pairs, both, in_words
from bench.analysis.fitness import UNFIT, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import HEAD_TAIL, MEAN, STD
from bench.analysis.pairs import pair_of
from bench.analysis.questions import OVERALL
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME, SECONDARY_METRIC, metric_name
from bench.number_text import number, p_value, plus_minus, ratio
from bench.reporting.cautions import caution
from bench.reporting.tables.questions import Labels, answer_in_words, lines_of, questions_of
from bench.reporting.words import Text, Words, joined, strong

Line = dict[Any, Any]
"""A line of a frame."""


def findings(frames: DatasetFrames, answered: Labels | None = None) -> list[Words | str]:
    """Sentences on one data set: the suite's first question (who is better, at what cost), then the rest.

    For whom is a table (`bench.reporting.tables.questions.for_whom_table`).

    Rows that the figures themselves picked are tested with the correction over all pairs.

    Args:
        frames: Of the data set.
        answered: The question that `overview` has answered already.
    """
    ranked = frames.leaderboard[frames.leaderboard[MEAN].notna()]
    if ranked.empty:
        return ["No run is complete yet."]
    questions = questions_of(frames)
    first = [labels for labels in questions[:1] if labels != answered]
    sentences: list[Text | None] = [
        *(_question(frames, labels) for labels in first),
        *(_at_what_cost(frames, labels) for labels in first),
        _unfit(frames),
        _leader(frames, ranked),
        *(_question(frames, labels) for labels in questions[1:]),
        _families(frames, ranked),
        _parts(frames),
        _floor(frames, ranked),
    ]
    return [sentence for sentence in sentences if sentence]


def overall_test(frames: DatasetFrames, labels: Labels) -> Line | None:
    """The line of a question's test on all queries; None where its rows could not be paired."""
    return next(iter(lines_of(frames, labels, OVERALL).to_dict("records")), None)


def floor_tests(frames: DatasetFrames) -> pd.DataFrame:
    """Every row against the suite's floor."""
    return frames.tests[frames.tests["kind"] == "floor"]


def _unfit(frames: DatasetFrames) -> Words | None:
    """The rows from which nothing follows, and why."""
    if frames.doubts.empty:
        return None
    text = strong(f"Warning, {UNFIT}") + f": {', '.join(frames.doubts['in_short'])}"
    tests = floor_tests(frames)
    told = tests[tests["first"].isin(frames.doubts["row"]) & ~_above_floor(tests)]
    return text + ("." if told.empty else f" ({_of_floor(told).phrase}).")


def _above_floor(tests: pd.DataFrame) -> pd.Series:
    return (tests["p_holm"] < ALPHA) & (tests["difference"] > 0)


def _of_floor(tests: pd.DataFrame) -> Family:
    """The family of the tests against the floor."""
    return against_floor(tests["second"].iloc[0], int(tests["family_size"].iloc[0]))


def _leader(frames: DatasetFrames, ranked: pd.DataFrame) -> Words:
    best = ranked.iloc[0]
    seeds = int(best["complete"])
    text = strong(best["row"]) + f" has the highest mean {PRIMARY_NAME}: {plus_minus(best[MEAN], best[STD])}"
    text += f" over {seeds} seeds" if seeds > 1 else " (one seed, so its spread is unknown)"
    if len(ranked) < 2:
        return text + ". No other model has a complete run to compare it with."
    second = ranked.iloc[1]
    text += f"; {second['row']} follows with {plus_minus(second[MEAN], second[STD])}"
    pair = pair_of(frames.pairs, best["row"], second["row"])
    if pair is None:
        return text + ". The two can't be compared query by query, so no test was made."
    verdict = "a significant difference" if pair["p_holm"] < ALPHA else "no significant difference"
    p_values = in_words(pair["p_value"], pair["p_holm"], all_pairs(len(frames.pairs)))
    text += f": {verdict} ({p_values}; paired over {pair['n_queries']:,} queries)."
    return joined(" ", [text, caution([best["row"], second["row"]], unfit_rows(frames.leaderboard))])


def _question(frames: DatasetFrames, labels: Labels) -> Words | None:
    test = overall_test(frames, labels)
    if test is None:
        return None
    secondary = f"{number(test['secondary_first_mean'])} against {number(test['secondary_second_mean'])}, not tested."
    return joined(
        " ",
        [
            strong(f"{labels[0]} against {labels[1]}") + f", {PRIMARY_NAME}: {answer_in_words(test)}.",
            caution(labels, unfit_rows(frames.leaderboard)),
            _as_a_pair(frames, test),
            f"Secondary: {metric_name(SECONDARY_METRIC)} {secondary}",
        ],
    )


def _as_a_pair(frames: DatasetFrames, test: Line) -> str:
    """What becomes of a question's p-value among all pairs, where the verdict there is another one."""
    pair = pair_of(frames.pairs, test["first"], test["second"])
    if pair is None or (pair["p_holm"] < ALPHA) == (test["p_holm"] < ALPHA):
        return ""
    family, other = all_pairs(len(frames.pairs)), "significant" if pair["p_holm"] < ALPHA else "not significant"
    corrected = p_value(pair["p_holm"])
    return f"For a reader who picked these two from the table it is {other}: {corrected} with {family.phrase}."


def _at_what_cost(frames: DatasetFrames, labels: Labels) -> Words:
    """Time to train and to answer, of the first against the second."""
    parts, differ = [], what_differs(frames, labels)
    for cost, verb, unit, digits in (
        ("fit_seconds", "trains in", "s", 1),
        ("milliseconds_per_user", "answers in", "ms per user", 2),
    ):
        first, second = _costs(frames, cost, labels)
        over = cost_ratio(frames, cost, labels)
        times = "" if over is None or differ else f" ({ratio(over)})"
        parts.append(f"{verb} {number(first, digits)} {unit} against {number(second, digits)} {unit}{times}")
    text = strong("At what cost") + f": {labels[0]} {' and '.join(parts)}, means over the seeds"
    return text + (f", with different {' and '.join(differ)}: these times don't compare." if differ else ".")


def what_differs(frames: DatasetFrames, labels: Labels) -> list[str]:
    """What of the runs of two rows differs, so that their times can't be compared."""
    runs = frames.runs[frames.runs["row"].isin(labels) & (frames.runs["status"] == "complete")]
    columns = {"hardware": ["device", "device_name"], "threads": ["threads"], "code": ["commit"]}
    return [name for name, facts in columns.items() if len(runs[facts].drop_duplicates()) > 1]


def cost_ratio(frames: DatasetFrames, cost: str, labels: Labels) -> float | None:
    """A cost of the first row over that of the second; None where there is nothing to divide by."""
    first, second = _costs(frames, cost, labels)
    return first / second if second > 0 else None


def _costs(frames: DatasetFrames, cost: str, labels: Labels) -> tuple[float, float]:
    """A cost of two rows, means over seeds."""
    means = frames.leaderboard.set_index("row")[f"{cost}.mean"]
    return float(means[labels[0]]), float(means[labels[1]])


def _families(frames: DatasetFrames, ranked: pd.DataFrame) -> Words | str:
    """The best with and the best without semantic IDs."""
    with_ids = ranked["row"].isin(frames.sids["row"])
    if with_ids.all() or not with_ids.any():
        return ""
    generative, plain = ranked[with_ids].iloc[0], ranked[~with_ids].iloc[0]
    kind = "" if plain["parameters.mean"] > 0 else " (it has no learned parameters)"
    text = f"With semantic IDs {generative['row']} has the highest mean {PRIMARY_NAME} ({number(generative[MEAN])}), "
    text += f"without them {plain['row']}{kind} ({number(plain[MEAN])})"
    pair = pair_of(frames.pairs, generative["row"], plain["row"])
    if pair is None:
        return f"{text}. The two can't be compared query by query, so no test was made."
    winner = generative if pair["difference"] > 0 else plain
    verdict = f"{winner['row']} is significantly better" if pair["p_holm"] < ALPHA else "no significant difference"
    p_values = in_words(pair["p_value"], pair["p_holm"], all_pairs(len(frames.pairs)))
    doubt = caution([generative["row"], plain["row"]], unfit_rows(frames.leaderboard))
    return joined(" ", [f"{text}: {verdict} ({p_values}).", doubt])


def _parts(frames: DatasetFrames) -> str:
    """The best on head and on tail targets."""
    scores = frames.slices[frames.slices["family"] == HEAD_TAIL]
    leaders = []
    for part, meaning in (("head", "popular targets (head"), ("tail", "rare targets (tail")):
        rows = scores[scores["part"] == part]
        if not rows.empty and rows["mean"].max() > 0:
            best = rows.loc[rows["mean"].idxmax()]
            leaders.append(
                f"on {meaning}, {best['queries']:,} queries) it is {best['row']} with {number(best['mean'])}"
            )
    if not leaders or len(frames.seeds) < 2:
        return ""
    return f"Highest mean {PRIMARY_NAME} by part: {'; '.join(leaders)}. The lead in these parts was not tested."


def _floor(frames: DatasetFrames, ranked: pd.DataFrame) -> Words | str:
    """What stays below recommending the same popular items to everybody, and whether that is more than chance."""
    floor = frames.floor
    if not floor or len(ranked) < 2:
        return ""
    value = float(ranked.loc[ranked["row"] == floor, MEAN].iloc[0])
    below = ranked[(ranked[MEAN] < value) & (ranked["row"] != floor)]
    if below.empty:
        return f"No model with complete runs has a lower mean than {floor} ({PRIMARY_NAME} {number(value)})."
    tests = floor_tests(frames)
    by_row = {test["first"]: test for test in tests.to_dict("records")}
    rows = [_below(row, value, by_row.get(row["row"])) for row in below.to_dict("records")]
    family = f" ({_of_floor(tests).phrase})" if len(tests) else ""
    return strong(f"Below {floor}") + f" ({PRIMARY_NAME} {number(value)}): {', '.join(rows)}{family}."


def _below(row: Line, floor: float, test: Line | None) -> str:
    """One row below the floor, by how much, and whether that is more than chance."""
    verdict = ", not tested" if test is None else "" if test["p_holm"] < ALPHA else ", not significantly"
    p_values = f": {both(test['p_value'], test['p_holm'])}" if test else ""
    return f"{row['row']} ({number(row[MEAN])}, {1 - row[MEAN] / floor:.0%} lower{verdict}{p_values})"
