"""Every column of every frame and CSV file, named once, with its kind and its meaning.

A frame is made by `FrameColumns.frame` and is thereby what is declared here: these columns in this order and of these
kinds. Here are those that are files; `bench.analysis.report_columns` has the others, and writes all of them down as
markdown.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.declared import Column, FrameColumns, number, text, whole
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, SECONDARY_METRIC
from bench.evaluation.metrics import REPORTED

SCHEMA = 5
"""Version of the columns of the CSV files and of the names in them; raise it when one changes its meaning or goes.

Schema 1 had no column `schema`; its `metrics.csv` had the slices `overall`, `head`, `tail` and those by reach, and of
level "run" only the costs and "complete". Schema 2 had nothing of what is best possible. Schema 3 had no `warning` in
`leaderboard.csv`; `pairs.csv` and `tests.csv` had no `family_size`, `family` of `tests.csv` was what `partition` is
now, and its questions were tested by Recall@10. Up to schema 4 the row's label was called `model`, and no file told the
registered model or its role. `bench.analysis.old_files` reads them all.
"""


class Columns:
    """Names of the columns that several frames share."""

    SCHEMA = "schema"
    SUITE = "suite"
    DATASET = "dataset"
    ROW = "row"
    MODEL = "model"
    ROLE = "role"
    SEED = "seed"


TRIALS_SCHEMA = 2
"""Version of the columns of `trials.csv`; 1 had no registered model, no role, and the label as `model`."""

PLACE = (
    whole(Columns.SCHEMA, "version of the columns, see `bench.analysis.columns.SCHEMA`"),
    text(Columns.SUITE, "name of the suite"),
    text(Columns.DATASET, "label of the data set"),
)
IDENTITY = (
    text(Columns.ROW, "label of the row"),
    text(Columns.MODEL, "the registered model behind the row; rows may share one"),
    text(
        Columns.ROLE,
        "'contestant', 'baseline', 'reference' or 'oracle', as the model declares it (`bench.recommender.Role`); blank "
        "before a run could tell",
    ),
)
IDENTITY_NAMES = [column.name for column in IDENTITY]
SEED = whole(Columns.SEED, "number of the replicate")
SEEDS = whole("seeds", "number of seeds behind the mean")
MEAN = number("mean", "over these seeds")
STD = number("std", "standard deviation over seeds (ddof=1); blank with one seed")


def _sides(*ends: str) -> tuple[Column, ...]:
    """The two rows of a test.

    Args:
        ends: What the first and the second row are.
    """
    columns = []
    for name, meaning in zip(("first", "second"), ends, strict=True):
        columns.append(text(name, meaning))
        columns += [text(f"{name}_{own.name}", f"of `{name}`: {own.meaning}") for own in IDENTITY[1:]]
    return tuple(columns)


TEST = (
    number("first_mean", "mean of the first over queries and the seeds that both have completed"),
    number("second_mean", "likewise of the second"),
    number("difference", "first_mean - second_mean"),
    number("low", "lower end of the 95 % interval of the difference"),
    number("high", "upper end"),
    number("effect_size", "the difference in standard deviations of the queries' differences"),
    number("p_value", "two-sided, of this test alone, see `bench.analysis.significance.PairedComparison`"),
    number("p_holm", "with Holm's correction over the family"),
    text("family", "the tests that were corrected together, see `bench.analysis.families`; no two share a name"),
    whole("family_size", "how many tests these are"),
    whole("n_queries", "test queries in the part"),
    whole("seeds", "number of seeds that both have completed"),
)
_METRIC = text("metric", "what is compared, at item level")

METRICS = FrameColumns(
    "metrics",
    "Every measured value of every planned run, one a row.",
    (
        *PLACE,
        *IDENTITY,
        SEED,
        text("status", "'complete', 'failed', 'skipped' or 'pending'"),
        text("reason", "of failed and skipped runs"),
        text("level", "'item' or 'sid' for means over test queries, 'run' for what belongs to a run as a whole"),
        text("slice", "the queries of the mean, see `bench.analysis.leaderboard.tidy_metrics`"),
        text("metric", "e.g. 'recall@10', 'fit_seconds'; listed there, too"),
        number("value", "blank in a slice without queries"),
    ),
    "metrics.csv",
)

STATUSES = ("complete", "failed", "skipped", "pending")
LEVELS = ("item", "sid")
SLICES = ("overall", "head", "tail")
RANKING_METRICS = REPORTED
PART_METRICS = (PRIMARY_METRIC, SECONDARY_METRIC)
"""Metrics on the parts of the queries that have not all `RANKING_METRICS`."""
LIST_METRICS = ("popularity@10", "novelty@10")
COSTS = ("fit_seconds", "milliseconds_per_user", "parameters")
REPETITION = ("repeat", "explore")
"""Parts of the family "repetition", with columns of `PART_METRICS` in the leaderboard: targets that their user had
before, and all others."""
_EXTRA = (
    *(f"item.overall.{metric}" for metric in (*(f"expected-{name}" for name in PART_METRICS), *LIST_METRICS)),
    "coverage@10",
    *(f"item.overall.cce-{name}" for name in PART_METRICS),
    *(f"{level}.{part}.{metric}" for level in LEVELS for part in REPETITION for metric in PART_METRICS),
)


def _scores() -> Iterator[Column]:
    names = [f"{level}.{part}.{metric}" for level in LEVELS for part in SLICES for metric in RANKING_METRICS]
    for name in (*names, *COSTS, *_EXTRA):
        yield number(f"{name}.mean", "mean over the complete seeds")
        yield number(f"{name}.std", "standard deviation over them (ddof=1); blank with one seed")


LEADERBOARD = FrameColumns(
    "leaderboard",
    f"One line a row of the suite, best mean of {PRIMARY_NAME} first. Scores are named LEVEL.SLICE.METRIC.STATISTIC; "
    "SID level is blank for models without semantic IDs, and so is what a result was stored without.",
    (
        PLACE[0],
        *IDENTITY,
        text("status", "'complete', 'partial' (some runs are), or the first of 'failed', 'skipped', 'pending'"),
        text("reason", "of failed and skipped runs"),
        text("warning", "why the row is no evidence (`bench.analysis.fitness`); blank for all others"),
        whole("complete", "number of complete runs, the seeds behind every mean"),
        *(whole(status, f"number of {status} runs") for status in STATUSES[1:]),
        *_scores(),
    ),
    "leaderboard.csv",
)

PAIRS = FrameColumns(
    "pairs",
    f"Every two rows with complete runs, compared by {PRIMARY_NAME}.",
    (*PLACE, _METRIC, *_sides("label of the row with the higher mean in the leaderboard", "the other one"), *TEST),
    "pairs.csv",
)

TESTS = FrameColumns(
    "tests",
    "Every test beyond those of all pairs: the suite's questions part by part, its comparisons, its floor.",
    (
        *PLACE,
        text("kind", "'question' (`Suite.questions`), 'comparison' (`Suite.comparisons`) or 'floor' (`Suite.floor`)"),
        text("title", "what is asked: 'A against B', or the comparison's title"),
        text(
            "partition", "how queries are divided, see `bench.analysis.questions.PARTITIONS`; 'overall' is not at all"
        ),
        text("part", "of the queries; where `metrics.csv` has it, its slice is 'PARTITION:PART', or the part alone"),
        _METRIC,
        *_sides("label of the row that is tested", "label of the row that it is tested against"),
        *TEST,
        text("secondary_metric", "of the next two columns: shown with a question, not tested; else blank"),
        number(
            "secondary_first_mean", "mean of the first over queries and the seeds that both have completed, item level"
        ),
        number("secondary_second_mean", "likewise of the second"),
    ),
    "tests.csv",
)

CONFIRMED = FrameColumns(
    "confirmed",
    "The suite's questions on the users who were set aside (`bench confirm`), whom no choice has ever seen.",
    (
        *PLACE,
        whole("look", "number of the look that opened the later of the two rows"),
        text("opened", "ISO time of that look"),
        text("title", "what is asked: 'A against B'"),
        _METRIC,
        *_sides("label of the row that is tested", "label of the row that it is tested against"),
        *TEST,
    ),
    "confirmed.csv",
)

EFFECTS = FrameColumns(
    "effects",
    "Every row beside every reference of the suite (`Suite.references`), on parts that all data sets have; untested.",
    (
        *PLACE,
        *IDENTITY,
        text("against", "label of the reference"),
        text("family", "how queries are divided: 'overall', 'head-tail', 'reach', 'repetition' or 'history'"),
        text("part", "its name in the family"),
        _METRIC,
        number("mean", "of the row over queries and the seeds that both have completed"),
        number("against_mean", "likewise of the reference"),
        number("difference", "mean - against_mean"),
        number("low", "lower end of the 95 % interval of the difference"),
        number("high", "upper end"),
        whole("n_queries", "test queries in the part"),
        whole("seeds", "number of seeds that both have completed"),
    ),
    "effects.csv",
)

DECODING = FrameColumns(
    "decoding",
    "Where decoding loses targets, one value a row, per seed.",
    (
        *PLACE,
        *IDENTITY,
        SEED,
        text("metric", "see `bench.analysis.decoding_csv`"),
        text(
            "part",
            "'level:D' with D from 1; 'first-place:P', the place of the target's first code, from 1, in the groups of "
            "`bench.evaluation.decoding.FIRST_PLACES`; 'retrieved:N', queries with so many retrieved events; 'overall'",
        ),
        number("value", "a mean over the n queries where nothing else is said"),
        number("n", "queries behind the value; blank for training accuracy, which is over training steps"),
    ),
    "decoding.csv",
)

PUBLISHED = FrameColumns(
    "published",
    "Published figures beside the measured ones.",
    (
        *PLACE,
        *IDENTITY,
        text("metric", "as in `metrics.csv`; of decoding 'acc@D', 'p@D', 'crp@D', 'gate' (`bench.spec.PaperFinding`)"),
        text("level", "'item' or 'sid'; 'decoding' for what is compared with `decoding.csv`"),
        number("published", "the published value"),
        number("tolerance", "largest relative difference that counts as reproduced; blank for a trend"),
        number("mean", "measured here, mean over seeds; blank without a complete run, and of decoding"),
        STD,
        SEEDS,
        number("difference", "mean / published - 1"),
        text("verdict", "'reproduced', 'above', 'below', 'trend only', or why there is none"),
        text("source", "where it was published"),
        text("why", "what differs from the published set-up"),
    ),
    "published.csv",
)

TRIALS = FrameColumns(
    "trials",
    "The trials of searches for configurations, one a row.",
    (
        whole(Columns.SCHEMA, "version of the columns; 1 had the label as `model`"),
        PLACE[2],
        *IDENTITY,
        whole("trial", "its number; 0 is the row as it is"),
        text("state", "'complete', 'pruned' or 'failed'"),
        number(f"validation_{PRIMARY_METRIC}", "the best of its validations, of complete trials only"),
        whole("validations", "how many"),
        number("seconds", "wall-clock time"),
        number("seconds_per_trial", "limit of time; blank for none"),
        text("values", "what was tried, JSON by dotted key"),
        text("reason", "why it failed, or that the limit of time ended it"),
    ),
    "trials.csv",
)
