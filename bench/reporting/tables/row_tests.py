"""The test of two rows that somebody asked for, with what is needed to check it and to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.analysis.row_tests import RowTest
from bench.config import changes, flattened
from bench.conventions import metric_name
from bench.number_text import number, p_value
from bench.reporting.kinds import COUNT, VERDICT, Interval, MeanStd, decimals, mean_std
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import tested_columns


def tested_table(tests: Sequence[RowTest], metric: str, part: str) -> Table:
    """One line a data set."""
    first, second = tests[0].first, tests[0].second
    columns = (
        Column("Data set"),
        Column("n", COUNT),
        *(Column(label, decimals()) for label in (first, second)),
        *tested_columns("Difference"),
        Column("Seeds", COUNT),
        Column("Significant", VERDICT),
    )
    rows: list[tuple[Any, ...]] = []
    for one in tests:
        test = one.test
        if test is None:
            rows.append((one.dataset, *(None,) * 8, one.refusal))
            continue
        cells = (test.n_queries, test.first, test.second, test.difference, Interval(test.low, test.high))
        rows.append(
            (one.dataset, *cells, test.p_value, one.p_holm, len(test.seeds), "yes" if one.significant else "no")
        )
    title = f"{metric_name(metric)} of {first} against {second}, part of the queries: {part}"
    return Table.of("row-test", columns, rows, title=title)


def tested_sentences(tests: Sequence[RowTest], metric: str, part: str) -> list[str]:
    """The answer in words, a sentence a data set, and how to read it."""
    sentences = []
    for one in tests:
        test = one.test
        if test is None:
            sentences.append(f"{one.dataset}: not tested ({one.refusal})")
            continue
        if one.significant:
            winner = one.first if test.difference > 0 else one.second
            verdict = f"{winner} is significantly better"
        else:
            verdict = "no significant difference"
        means = f"{number(test.first)} against {number(test.second)}"
        interval = f"95 % interval {test.low:+.4f} to {test.high:+.4f}, {p_value(test.p_value)}"
        queries = f"{test.n_queries:,} queries of part {part}, {len(test.seeds)} seeds"
        sentences.append(f"{one.dataset}: {verdict}: {metric_name(metric)} {means} ({interval}; {queries})")
    return [
        *sentences,
        "Paired over queries, as in the report. p (Holm) is corrected over the data sets above, and not for whatever "
        "else was tried: rows, metric and part that were picked since their figures stand out are one choice of many.",
    ]


def configuration_table(test: RowTest) -> Table:
    """Both configurations key by key."""
    first, second = (flattened(_spec(test, label)) for label in (test.first, test.second))
    keys = dict.fromkeys([*first, *second])
    rows = [(key, first.get(key, "(none)"), second.get(key, "(none)")) for key in keys]
    return Table.of("configurations", ("Key", test.first, test.second), rows, title=f"Configurations on {test.dataset}")


def configuration_lines(test: RowTest, written: Mapping[str, str]) -> list[str]:
    """What the rows are: their models, what the suite sets, and what differs between them.

    Args:
        test: Of two rows.
        written: Label -> what the suite writes of the row's configuration.
    """
    lines = []
    for label in (test.first, test.second):
        spec = next(spec for spec in test.specs if spec.label == label)
        told = written.get(label) or "nothing"
        lines.append(f"{label}: model {spec.model}, revision {spec.revision}; the suite sets {told}")
    differing = changes(_spec(test, test.first), _spec(test, test.second))
    shared = f"{len(differing)} keys differ" if len(differing) != 1 else "1 key differs"
    return [*lines, f"{shared} between the two; --configurations prints all keys of both"]


def origin_lines(test: RowTest, suite: str) -> list[str]:
    """Where the results come from, and the command that makes them again."""
    made = [result.environment for result in test.results]
    commits = dict.fromkeys(str(environment.get("commit") or "unknown") for environment in made)
    devices = dict.fromkeys(str(e.get("device_name") or e.get("device") or "unknown") for e in made)
    numbers = sorted({spec.seed for spec in test.specs})
    seeds = ",".join(map(str, numbers)) + ("," if len(numbers) == 1 else "")  # one number would be a count
    words = ["--models", f"{test.first},{test.second}", "--datasets", test.dataset, "--seeds", seeds]
    again = f"python -m bench run --suite {shlex.quote(suite)} {shlex.join(words)} --force --name again"
    return [
        f"trained with commit {', '.join(commits)} on {', '.join(devices)}, data hash {test.specs[0].data_hash}",
        f"again: {again}",
    ]


def leaderboard_table(
    dataset: str, rows: Mapping[str, np.ndarray], metrics: Sequence[str], part: str, n_queries: int
) -> Table:
    """Means over seeds, the best row by the first metric first.

    Args:
        dataset: Its label.
        rows: Label -> float64 `[n_seeds, n_metrics]`.
        metrics: The columns.
        part: Of the queries.
        n_queries: In the part.
    """
    order = sorted(rows, key=lambda label: -np.nan_to_num(rows[label][:, 0].mean(), nan=-1.0))
    columns = [Column("Row"), Column("Seeds", COUNT), *(Column(column(m), mean_std(), best="high") for m in metrics)]
    lines = [(label, len(rows[label]), *map(_over_seeds, rows[label].T)) for label in order]
    return Table.of("leaderboard", columns, lines, title=f"{dataset}, {part} ({n_queries:,} queries)")


def _over_seeds(values: np.ndarray) -> MeanStd:
    return MeanStd(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else np.nan)


def _spec(test: RowTest, label: str) -> dict[str, Any]:
    return next(spec.config for spec in test.specs if spec.label == label)
