"""What a reader should know of all tests of a report; it stands once, before their tables."""

from __future__ import annotations

from bench.analysis.fitness import LEAST_COVERAGE, UNFIT
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Bullets
from bench.reporting.words import strong

_METRIC = (
    f"{PRIMARY_NAME} at item level is the primary metric: validation selects by it, and every test below is of it. All "
    "other metrics are secondary: they are shown, and no difference is concluded from them."
)
_TEST = (
    "A two-sided permutation test, paired over queries, covers the choice of queries; from two seeds on, a t-test with "
    "the variance of queries and of seeds covers both, and the larger p-value counts. Two rows have one such p-value "
    "on all queries, wherever the report compares them."
)
_FAMILIES = (
    "Among many tests some have a small p-value by chance. So a verdict follows only from a p-value that is under "
    f"{ALPHA:g} after Holm's correction over the family of tests that it belongs to, and both p-values are told. They "
    "differ the more, the larger the family is, and the same two rows can be in several: a question stands in the "
    "suite and shares its family with the suite's other questions alone; two rows that are picked from a table, since "
    "their figures stand out, are one of all pairs of rows. The rows of a comparison, the parts of one kind of a "
    "question, and all rows against the floor are families of their own. `pairs.csv` and `tests.csv` name the family "
    "of each test and its size."
)
_SEEDS = (
    "The spread over seeds (±) includes all that a run draws from its seed: initial weights, the order of training, "
    "dropout, sampled negatives, and for models with semantic IDs the tokenizer, so that the share of the IDs is in "
    "it. It does not include the data and their split, which are the same for all seeds, nor how a configuration was "
    "found. A row that draws nothing, such as a counter, has a spread of 0."
)
_WARNINGS = (
    f'A row is "{UNFIT}" where the first ten items of all its lists hold under {100 * LEAST_COVERAGE:g} % of the '
    "catalogue (or under a tenth of what they could hold at most, where that is less), or where it is not "
    "significantly above the suite's floor. Whatever is concluded from such a row says so. Rows that count what is "
    "popular are marks for the others, and are not warned of."
)

HOW_TESTED = Bullets(
    (
        strong("One metric.") + f" {_METRIC}",
        strong("One test.") + f" {_TEST}",
        strong("Families.") + f" {_FAMILIES}",
        strong("Seeds.") + f" {_SEEDS}",
        strong("Warnings.") + f" {_WARNINGS}",
    )
)
