"""The columns of the frames that are no files, and the declarations of all frames as markdown, for the manual."""

from __future__ import annotations

from bench.analysis.columns import (
    CONFIRMED,
    DECODING,
    EFFECTS,
    IDENTITY,
    LEADERBOARD,
    MEAN,
    METRICS,
    PAIRS,
    PUBLISHED,
    SEED,
    SEEDS,
    STD,
    TEST,
    TESTS,
    TRIALS,
)
from bench.analysis.declared import FrameColumns, number, text, whole
from bench.conventions import PRIMARY_NAME

SLICED = FrameColumns(
    "slices",
    f"{PRIMARY_NAME} at item level on the parts of the test queries, over seeds; parts with queries only.",
    (
        *IDENTITY,
        text("family", "how queries are divided, as in `metrics.csv`; 'head-tail' for head and tail"),
        text("part", "its name in the family"),
        whole("queries", "in the part"),
        SEEDS,
        MEAN,
        STD,
    ),
)

PART_DIFFERENCES = FrameColumns(
    "part_differences",
    f"Every row beside the best baseline (the best row where there is none) by {PRIMARY_NAME}, part by part; untested.",
    (
        *IDENTITY,
        text("against", "label of the row beside which it is"),
        text("family", "how queries are divided, as in `metrics.csv`; 'head-tail' for head and tail"),
        text("part", "its name in the family"),
        number("mean", "of the row over queries and the seeds that both have completed"),
        number("against_mean", "likewise of the other"),
        number("difference", "mean - against_mean"),
        number("low", "lower end of the 95 % interval of the difference"),
        number("high", "upper end"),
        whole("n_queries", "test queries in the part"),
        whole("seeds", "number of seeds that both have completed"),
    ),
)

QUESTIONS = FrameColumns(
    "questions",
    "The suite's questions of which both rows have complete runs, in order, tested or not.",
    (text("first", "label of the row that may be better"), text("second", "label of the other row")),
)

COMPARISONS = FrameColumns(
    "comparisons",
    "The rows of the suite's comparisons, in order, of those with two complete rows or more.",
    (
        text("title", "of the comparison"),
        text("question", "one sentence"),
        text("paper", "what the paper found; blank: not known"),
        whole("cost", "1 where the question is one of cost, too, else 0"),
        text("against", "label of the row that the others are tested against"),
        *IDENTITY,
        whole("complete", "number of complete runs; 0 of a row that is still pending"),
        *(number(column.name, f"{column.meaning}; blank without a test") for column in TEST if column.kind != "text"),
    ),
)

CURVES = FrameColumns(
    "curves",
    "The learning curves of all complete runs, one validation a row.",
    (
        *IDENTITY,
        SEED,
        number("epoch", "epochs so far"),
        number("step", "optimiser steps so far"),
        number("loss", "mean training loss since the last validation"),
        number("validation", f"{PRIMARY_NAME} on validation queries"),
        number("seconds", "since the fit began"),
    ),
)

SIDS = FrameColumns(
    "sids",
    "The semantic IDs of the catalogue and what is generated of them, one complete run a row.",
    (
        *IDENTITY,
        SEED,
        text("tokenizer", "what made them; blank: not known"),
        number("collision_rate", "share of the items that share theirs with another item"),
        number("unique_sids", "distinct semantic IDs"),
        number("catalogue_items", "items"),
        number("valid_share", "share of the generated semantic IDs that an item has"),
        whole("item_hits_without_sid_hit", "queries found at item level, but later or never at SID level"),
        number("seconds", "that their tokenizer took when it made them, item features not counted; blank: not known"),
    ),
)

SID_HEALTH = FrameColumns(
    "sid_health",
    "How well each level of each codebook is used, one level of one complete run a row.",
    (
        *IDENTITY,
        SEED,
        whole("level", "of the codes, as the model counts them"),
        text("kind", "'semantic', or what else the codes of the level are for"),
        whole("codebook_size", "codes"),
        whole("used", "of them"),
        number("utilisation", "share of the codes that are used"),
        number("perplexity", "number of equally used codes with the same entropy"),
        number("entropy", "of the codes' shares, in nats"),
        number("max_share", "the largest code's share of the items"),
    ),
)

CARD = FrameColumns(
    "card",
    "What is known of the data set from the results on it.",
    (
        text("section", "'size', 'rule', 'filter', 'origin', 'hash', 'set aside', 'excluded' or 'cold targets'"),
        text("name", "of the fact"),
        text("text", "the fact, where it is in words"),
        number("value", "the fact, where it is a number"),
    ),
)

RUNS = FrameColumns(
    "runs",
    "Every planned run: what became of it, where, and with which code.",
    (
        *IDENTITY,
        SEED,
        text("status", "'complete', 'failed', 'skipped' or 'pending'"),
        text("reason", "of failed and skipped runs"),
        text("key", "content hash of all that can change the outcome"),
        whole("revision", "of the model's code"),
        text("data_hash", "of the data set"),
        text("commit", "of the code; blank: not known"),
        text("device", "'cpu' or 'cuda'; blank: not known"),
        text("device_name", "of the processor"),
        text("threads", "of the process"),
        text("versions", "of the packages, and whatever else the run noted of where it was made"),
        text("started", "ISO time"),
        number("best_epoch", "of the best validation"),
        number("validation", f"the best {PRIMARY_NAME} on validation queries"),
        number("peak_memory_mib", "peak memory of the process"),
        text("flaws", "diagnostics that could not be read"),
    ),
)

TUNING = FrameColumns(
    "tuning",
    "How the configuration of each row was found.",
    (
        *IDENTITY,
        text("as_row", "the row whose search all that follows is of; blank where it is the row's own"),
        text(
            "searched_on",
            "the other data set of the suite whose search all that follows is of; blank where it is this one's",
        ),
        text("outcome", "'best trial', 'other epochs', 'other values', 'nothing better', 'a better one', 'no search'"),
        number("trial", "of the search that the configuration is from"),
        number("trials", "that have ended; blank without a search"),
        number("complete", "of them"),
        number("cut_short", "complete ones that the limit of time ended; they count with their best until then"),
        number("pruned", "of them"),
        number("failed", "of them"),
        number("seconds_per_trial", "limit of time; blank for none"),
        number("seconds", "that all trials and confirmations took together"),
        text("best_so_far", "the trials that were better than all before, 'VALIDATION (TRIAL)' each, comma-separated"),
        number("confirmed", "mean validation over seeds of the chosen trial; blank where none was confirmed"),
        number("seeds", "behind that mean"),
        number("validation_as_it_was", "of the row before the search"),
        number("best_validation", "of the best trial"),
        number("best_cut_short", "1 where the limit of time ended the best trial, else 0; blank without one"),
        number("best_epochs", "of the best trial, where the row trains for others; else blank"),
    ),
)

RESAMPLED = FrameColumns(
    "resampled",
    f"{PRIMARY_NAME} of each row over resampled users and seeds; draw 0 is the data as they are.",
    (
        *IDENTITY,
        text("family", "how queries are divided, as in `effects.csv`"),
        text("part", "its name in the family"),
        whole("draw", "number of the resample"),
        number("mean", "over the users and seeds of the draw"),
    ),
)

LOOKS = FrameColumns(
    "looks",
    "Every look at the users who are set aside, whichever suite it was for, the first one first.",
    (
        whole("look", "its number"),
        text("suite", "for which it was"),
        text("opened", "ISO time"),
        text("commit", "of the code that opened the ranks; blank: not known"),
        text("machine", "where that was"),
        whole("queries", "of users who are set aside"),
        text("rows", "labels of the rows that were opened"),
        text("trained_with", "commits of the code that trained them"),
    ),
)

FIDELITY = FrameColumns(
    "fidelity",
    "The fidelity cards: one mechanism of one row a row.",
    (
        *IDENTITY,
        text("name", "the mechanism, in the paper's words"),
        text("status", "'faithful', 'approximated' or 'omitted'"),
        text("source", "paper equation or section, or the official code"),
        text("note", "what differs, and why"),
        text("test", "the test that pins it"),
    ),
)

NOTES = FrameColumns(
    "notes", "What the suite says of its rows on the data set.", (*IDENTITY, text("note", "for a reader of figures"))
)

DOUBTS = FrameColumns(
    "doubts",
    "The rows that are no evidence, in the order of the leaderboard.",
    (*IDENTITY, text("in_short", "why, without the family of the tests that say so")),
)

PAPER = FrameColumns(
    "paper",
    "What the paper found of decoding, for the rows that come nearest.",
    (
        *IDENTITY,
        text("metric", "'acc@D', 'p@D', 'crp@D' or 'gate' (`bench.spec.PaperFinding`)"),
        number("value", "what the paper found"),
        text("system", "the paper's model"),
        text("of", "the paper's data set"),
        text("source", "where it stands"),
    ),
)

BESIDE = FrameColumns(
    "beside",
    "The rows of two results folders, A and B, by their CSV files; what one of them lacks is blank.",
    (
        text("dataset", "label of the data set"),
        text("row", "label of the row"),
        *(number(f"{column.name}_a", f"in A: {column.meaning}") for column in (SEEDS, MEAN, STD)),
        *(number(f"{column.name}_b", f"in B: {column.meaning}") for column in (SEEDS, MEAN, STD)),
        number("difference", "mean_b - mean_a; not tested"),
    ),
)

LENGTHS = FrameColumns(
    "lengths",
    "How many users have histories of which length.",
    (
        number("shortest", "events of the shortest history of the bin"),
        number("limit", "events of the shortest history beyond the bin"),
        whole("users", "in the bin"),
    ),
)

ITEM_COUNTS = FrameColumns(
    "item_counts",
    "The items with events, those with most events first.",
    (whole("rank", "of the item, from 1"), whole("events", "of the item")),
)

OVER_TIME = FrameColumns(
    "over_time",
    "How many events fall into which span of time; no row where there is no time.",
    (whole("start", "seconds since 1970, UTC"), whole("end", "likewise"), whole("events", "of the span")),
)

REACH = FrameColumns(
    "reach",
    "Where in their histories the test targets were last used.",
    (
        text("of", "'item' or 'category'"),
        text("part", "'recent', 'far' or 'never', as the slices by reach"),
        number("share", "of the test queries"),
    ),
)

FRAMES = (
    *(METRICS, LEADERBOARD, PAIRS, TESTS, CONFIRMED, EFFECTS, DECODING, PUBLISHED, TRIALS),
    *(
        SLICED,
        PART_DIFFERENCES,
        QUESTIONS,
        COMPARISONS,
        CURVES,
        SIDS,
        SID_HEALTH,
        CARD,
        RUNS,
        TUNING,
        FIDELITY,
        NOTES,
        DOUBTS,
        PAPER,
    ),
    *(LOOKS, RESAMPLED),
    *(BESIDE, LENGTHS, ITEM_COUNTS, OVER_TIME, REACH),
)
"""All of them, those that are files first."""


def documentation() -> str:
    """The declarations as markdown: a heading and a table each."""
    parts = []
    for frame in FRAMES:
        lines = [f"| `{column.name}` | {column.kind} | {column.meaning} |" for column in frame.columns]
        table = ["| column | kind | meaning |", "| --- | --- | --- |", *lines]
        parts.append("\n".join([f"### `{frame.file or frame.name}`", "", frame.meaning, "", *table]))
    return "\n\n".join(parts)
