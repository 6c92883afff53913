"""The suite's comparisons as tables and sentences."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.analysis.families import both, of_comparison
from bench.analysis.fitness import mark_of, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import MEAN, SID_MEAN
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, SECONDARY_METRIC
from bench.number_text import number
from bench.reporting.blocks import Bullets
from bench.reporting.cautions import caution
from bench.reporting.kinds import COUNT, mean_std
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import over_seeds, tested_columns, values_of_test
from bench.reporting.words import Words, joined, words

HOW_TO_READ = (
    f"In this and the next comparisons, {PRIMARY_NAME} at item level is tested as above. p is that of the row alone, p "
    "(Holm) is corrected over the tested rows of the table. A difference that is not significant is not thereby zero: "
    "its interval tells what it may be."
)


@dataclass(frozen=True)
class Compared:
    """One comparison of a data set.

    Attributes:
        title, question, paper: In the words of the suite.
        against: Label of the row that the others are tested against.
        rows: Its complete rows in order: their lines of the leaderboard, with the test of each.
        pending: Labels of rows without a complete run.
        unfit: Those of its rows that are no evidence.
    """

    title: str
    question: str
    paper: str
    against: str
    rows: pd.DataFrame
    pending: tuple[str, ...]
    unfit: tuple[str, ...]

    @property
    def tested(self) -> pd.DataFrame:
        """The rows with a test."""
        return self.rows[self.rows["difference"].notna()]


def comparisons_of(frames: DatasetFrames) -> list[Compared]:
    """All comparisons of a data set of which two rows or more are complete."""
    lines = frames.leaderboard.drop(columns=["model", "role", "complete"])
    unfit = unfit_rows(frames.leaderboard)
    compared = []
    for title, rows in frames.comparisons.groupby("title", sort=False):
        first = rows.iloc[0]
        complete = rows[rows["complete"] > 0].merge(lines, on="row")
        compared.append(
            Compared(
                str(title),
                first["question"],
                first["paper"],
                first["against"],
                complete,
                tuple(rows.loc[rows["complete"] == 0, "row"]),
                tuple(row for row in complete["row"] if row in unfit),
            )
        )
    return compared


def comparison_table(compared: Compared) -> Table:
    """Quality, the test, and cost of each row."""
    rows = compared.rows
    scores = {f"item.overall.{PRIMARY_METRIC}": PRIMARY_NAME}
    if rows[SID_MEAN].notna().any():
        scores[f"sid.overall.{PRIMARY_METRIC}"] = f"{PRIMARY_NAME} SID"
    scores[f"item.overall.{SECONDARY_METRIC}"] = column(SECONDARY_METRIC)
    columns = [
        Column("Row"),
        *(Column(name, mean_std()) for name in scores.values()),
        *tested_columns(f"{PRIMARY_NAME} - {compared.against}"),
        Column("Training, s", mean_std(1)),
        Column("ms per user", mean_std(2)),
        Column("Parameters", COUNT),
    ]
    values = [
        [Flagged(row, mark_of([row], compared.unfit)) for row in rows["row"]],
        *(over_seeds(rows, score) for score in scores),
        *zip(*(values_of_test(row) for row in rows.to_dict("records")), strict=True),
        *(over_seeds(rows, cost) for cost in ("fit_seconds", "milliseconds_per_user")),
        rows["parameters.mean"],
    ]
    return Table.of("comparison", columns, zip(*values, strict=True))


def findings(compared: Compared) -> Bullets:
    """What was measured here, and what the paper says where that is known."""
    paper = [f"In the paper: {compared.paper}"] if compared.paper else []
    return Bullets((words("Here: ", sentence(compared)), *paper))


def sentence(compared: Compared) -> Words:
    """The answer in words: which rows differ significantly from the one they vary, and in which direction."""
    reference = compared.rows[compared.rows["row"] == compared.against]
    tested = compared.tested
    if reference.empty:
        return words(f"{compared.against} has no complete run yet, so nothing could be tested.")
    if tested.empty:
        return words(f"No row could be compared with {compared.against} query by query.")
    significant = tested["p_holm"] < ALPHA
    groups = {
        "significantly lower": tested[significant & (tested["difference"] < 0)],
        "significantly higher": tested[significant & (tested["difference"] > 0)],
        "no significant difference": tested[~significant],
    }
    verdicts = [f"{verdict}: {', '.join(_in_short(rows))}" for verdict, rows in groups.items() if len(rows)]
    family = of_comparison(compared.title, len(tested))
    basis = f"{family.phrase}; paired over {int(tested['n_queries'].iloc[0]):,} queries, {_seeds(tested)}"
    text = f"Against {compared.against} ({PRIMARY_NAME} {number(reference[MEAN].iloc[0])}), {'; '.join(verdicts)} "
    left_out = f"Not complete yet: {', '.join(compared.pending)}." if compared.pending else ""
    return joined(" ", [f"{text}({basis}).", caution(compared.rows["row"].tolist(), compared.unfit), left_out])


def _in_short(rows: pd.DataFrame) -> list[str]:
    """E.g. "tiger (-0.0101, p = 0.003, Holm 0.007)"."""
    return [
        f"{row['row']} ({row['difference']:+.4f}, {both(row['p_value'], row['p_holm'])})"
        for row in rows.to_dict("records")
    ]


def _seeds(tested: pd.DataFrame) -> str:
    low, high = int(tested["seeds"].min()), int(tested["seeds"].max())
    if high == 1:
        return "one seed"
    return f"mean of {low} seeds" if low == high else f"mean of {low} to {high} seeds"
