"""All numbers of one data set as frames, made once: what every table, figure and CSV file is written from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis import columns, diagnostics, provenance, report_columns
from bench.analysis.comparisons import ComparisonResult
from bench.analysis.confirmed import confirmed_frames
from bench.analysis.csv_files import write_csv
from bench.analysis.decoding_csv import decoding_table
from bench.analysis.effects import effects_frame, resampled_frame
from bench.analysis.fitness import Doubt, floor_of
from bench.analysis.leaderboard import hits_beyond_sid_level, slices
from bench.analysis.part_differences import mark_of, part_differences_frame
from bench.analysis.published import replications
from bench.analysis.published_csv import published_frame
from bench.analysis.questions import questions
from bench.analysis.runs import SuiteRuns, generates_semantic_ids
from bench.analysis.searches import tuning_frame
from bench.evaluation.evaluator import K_MAX


@dataclass(frozen=True)
class DatasetFrames:
    """The frames of one data set; `bench.analysis.columns` declares the columns of each.

    Attributes:
        suite, dataset: Name of the suite, label of the data set.
        rows: Labels of all rows, in the order of the plan.
        n_queries: Test queries; 0 before any run is complete.
        metrics: Every measured value of every planned run.
        leaderboard: One line a row, with warnings.
        slices: The primary metric on each part of the queries.
        part_differences: Every row beside the best baseline on each part of the queries.
        pairs: Every two rows compared.
        tests: Questions part by part, comparisons, and every row against the floor.
        questions: Labels of the rows that the suite asks about.
        confirmed: The suite's questions on the users who were set aside.
        looks: Who has looked at these users when.
        effects: Every row beside the suite's references.
        resampled: Means of the rows over resampled users and seeds.
        comparisons: The rows of the suite's comparisons.
        decoding: Where decoding loses targets.
        curves: Learning curves.
        sids, sid_health: Semantic IDs, and how the levels of their codebooks are used.
        card: What is known of the data.
        runs: Every planned run, with its status, machine, versions and commit.
        published: Published figures beside the measured ones.
        tuning: How configurations were found.
        fidelity: The fidelity cards.
        notes: What the suite says of its rows.
        doubts: The rows that are no evidence.
        paper: What the paper found of decoding.
        floor: Label of the row that is the suite's floor; "" where that has no complete run.
        floor_named: What the suite names as its floor; "" for nothing.
        item_columns: Columns of the item table by which the suite divides the queries.
        list_length: Items of each ranked list that is judged.
    """

    suite: str
    dataset: str
    rows: tuple[str, ...]
    n_queries: int
    metrics: pd.DataFrame
    leaderboard: pd.DataFrame
    slices: pd.DataFrame
    part_differences: pd.DataFrame
    pairs: pd.DataFrame
    tests: pd.DataFrame
    questions: pd.DataFrame
    confirmed: pd.DataFrame
    looks: pd.DataFrame
    effects: pd.DataFrame
    resampled: pd.DataFrame
    comparisons: pd.DataFrame
    decoding: pd.DataFrame
    curves: pd.DataFrame
    sids: pd.DataFrame
    sid_health: pd.DataFrame
    card: pd.DataFrame
    runs: pd.DataFrame
    published: pd.DataFrame
    tuning: pd.DataFrame
    fidelity: pd.DataFrame
    notes: pd.DataFrame
    doubts: pd.DataFrame
    paper: pd.DataFrame
    floor: str
    floor_named: str
    item_columns: tuple[str, ...]
    list_length: int

    @property
    def seeds(self) -> dict[str, int]:
        """Label -> number of complete runs, of the rows that have any, in the order of the plan."""
        complete = self.leaderboard.set_index("row")["complete"]
        return {row: int(complete[row]) for row in self.rows if complete[row]}

    @property
    def models(self) -> dict[str, str]:
        """Label -> the registered model behind the row, of all rows, in the order of the plan."""
        model = self.leaderboard.set_index("row")["model"]
        return {row: str(model.get(row, row)) for row in self.rows}

    @property
    def mark(self) -> str:
        """Label of the row beside which figures show all others: the best baseline, else the best row; "" for none."""
        return mark_of(self.leaderboard)

    def equals(self, other: DatasetFrames) -> bool:
        """Whether two hold the same values, so that whatever is made from them is the same."""
        return all(_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    def write(self, folder: Path) -> None:
        """Writes the frames that are files.

        Always `leaderboard.csv`, `metrics.csv` and `pairs.csv`, and where there is something to tell `tests.csv`,
        `confirmed.csv`, `effects.csv`, `decoding.csv` and `published.csv`; a file of an earlier report with nothing
        left to tell is taken away.

        Args:
            folder: `RESULTS/SUITE/DATASET`.
        """
        write_csv(self.metrics, folder / columns.METRICS.file)
        write_csv(self.leaderboard, folder / columns.LEADERBOARD.file, float_format="%.10g")
        write_csv(self.pairs, folder / columns.PAIRS.file)
        for declared in (columns.TESTS, columns.CONFIRMED, columns.EFFECTS, columns.DECODING, columns.PUBLISHED):
            frame: pd.DataFrame = getattr(self, declared.name)
            if frame.empty:
                (folder / declared.file).unlink(missing_ok=True)
            else:
                write_csv(frame, folder / declared.file)


def _equal(first: object, second: object) -> bool:
    return first.equals(second) if isinstance(first, pd.DataFrame) else first == second


@dataclass(frozen=True)
class Tested:
    """What was tested in a data set, as `bench.analysis.dataset_tables` does it."""

    leaderboard: pd.DataFrame
    pairs: pd.DataFrame
    tests: pd.DataFrame
    comparisons: Sequence[ComparisonResult]
    doubts: Sequence[Doubt]


def dataset_frames(runs: SuiteRuns, metrics: pd.DataFrame, tested: Tested, results_dir: Path | None) -> DatasetFrames:
    """All frames of one data set.

    Args:
        runs: Of one data set.
        metrics: Its `bench.analysis.leaderboard.tidy_metrics`.
        tested: What was tested there.
        results_dir: Where searches for configurations are kept; None: nowhere.
    """
    confirmed, looks = confirmed_frames(runs, results_dir)
    n_queries = max((len(result.queries) for result in runs.results if result.queries is not None), default=0)
    return DatasetFrames(
        suite=runs.suite.name,
        dataset=runs.dataset,
        rows=tuple(runs.rows),
        n_queries=n_queries,
        metrics=metrics,
        leaderboard=tested.leaderboard,
        slices=slices(metrics, runs.suite.slices),
        part_differences=part_differences_frame(runs, tested.leaderboard),
        pairs=tested.pairs,
        tests=tested.tests,
        questions=report_columns.QUESTIONS.frame(questions(runs)),
        confirmed=confirmed,
        looks=looks,
        effects=effects_frame(runs),
        resampled=resampled_frame(runs),
        comparisons=comparisons_frame(runs, tested.comparisons),
        decoding=decoding_table(runs),
        curves=curves_frame(runs),
        sids=sids_frame(runs),
        sid_health=sid_health_frame(runs),
        card=provenance.card_frame(runs),
        runs=provenance.runs_frame(runs),
        published=published_frame(runs, replications(runs, runs.dataset)),
        tuning=tuning_frame(runs, results_dir),
        fidelity=fidelity_frame(runs),
        notes=notes_frame(runs),
        doubts=doubts_frame(runs, tested.doubts),
        paper=paper_frame(runs),
        floor=floor_of(runs) or "",
        floor_named=runs.suite.floor or "",
        item_columns=runs.suite.slices,
        list_length=K_MAX,
    )


def doubts_frame(runs: SuiteRuns, doubts: Sequence[Doubt]) -> pd.DataFrame:
    """The rows that are no evidence, with the columns `bench.analysis.report_columns.DOUBTS`."""
    known = runs.identities()
    return report_columns.DOUBTS.frame((*known[doubt.label], doubt.in_short) for doubt in doubts)


def paper_frame(runs: SuiteRuns) -> pd.DataFrame:
    """What the paper found, with the columns `bench.analysis.report_columns.PAPER`."""
    known = runs.identities()
    return report_columns.PAPER.frame(
        (*known[finding.row], finding.metric, finding.value, finding.system, finding.dataset, finding.source)
        for finding in runs.suite.paper
        if finding.row in known
    )


def comparisons_frame(runs: SuiteRuns, results: Sequence[ComparisonResult]) -> pd.DataFrame:
    """The rows of the suite's comparisons, with the columns `bench.analysis.report_columns.COMPARISONS`."""
    return report_columns.COMPARISONS.frame(line for result in results for line in _of_comparison(runs, result))


def _of_comparison(runs: SuiteRuns, result: ComparisonResult) -> Iterator[tuple[object, ...]]:
    known, comparison = runs.identities(), result.comparison
    asked = (comparison.title, comparison.question, comparison.paper, int(comparison.cost), comparison.against)
    for row in result.rows:
        cells: tuple[object, ...] = (np.nan,) * 11
        if row.test:
            test = row.test
            cells = (
                *(test.first, test.second, test.difference, test.low, test.high, test.effect_size, test.p_value),
                *(row.p_holm, result.family.size, test.n_queries, len(test.seeds)),
            )
        yield (*asked, *known[row.label], row.complete, *cells)
    for label in result.pending:
        yield (*asked, *known[label], 0, *(np.nan,) * 11)


def curves_frame(runs: SuiteRuns) -> pd.DataFrame:
    """Learning curves, with the columns `bench.analysis.report_columns.CURVES`."""
    known = runs.identities()
    fields = ("epoch", "step", "loss", "validation", "seconds")
    return report_columns.CURVES.frame(
        (*known[result.spec.label], result.spec.seed, *(float(point.get(field, np.nan)) for field in fields))
        for result in runs.results
        for point in result.curve
    )


def sids_frame(runs: SuiteRuns) -> pd.DataFrame:
    """What is generated of which semantic IDs, with the columns `bench.analysis.report_columns.SIDS`."""
    known, rows = runs.identities(), []
    for result in runs.results:
        if generates_semantic_ids(result):
            sid = diagnostics.sids(result)
            numbers = (sid.collision_rate, sid.unique_sids, sid.n_items, diagnostics.valid_share(result))
            cells = (sid.tokenizer or "", *numbers, hits_beyond_sid_level(result), sid.seconds)
            rows.append((*known[result.spec.label], result.spec.seed, *cells))
    return report_columns.SIDS.frame(rows)


def sid_health_frame(runs: SuiteRuns) -> pd.DataFrame:
    """How codebooks are used, with the columns `bench.analysis.report_columns.SID_HEALTH`."""
    known = runs.identities()
    return report_columns.SID_HEALTH.frame(
        (
            *(*known[result.spec.label], result.spec.seed, level.level, level.kind, level.codebook_size, level.used),
            *(level.utilisation, level.perplexity, level.entropy, level.max_share),
        )
        for result in runs.results
        for level in diagnostics.sid_health(result)
    )


def fidelity_frame(runs: SuiteRuns) -> pd.DataFrame:
    """The card that the last run of each row tells, with the columns `bench.analysis.report_columns.FIDELITY`."""
    cards = {run.spec.label: card for run in runs.runs if run.result and (card := diagnostics.fidelity(run.result))}
    known = runs.identities()
    return report_columns.FIDELITY.frame(
        (*known[label], *(line[name] or "" for name in ("name", "status", "source", "note", "test")))
        for label, card in cards.items()
        for line in card
    )


def notes_frame(runs: SuiteRuns) -> pd.DataFrame:
    """What the suite says of its rows on this data set, with the columns `bench.analysis.report_columns.NOTES`."""
    dataset, known = runs.runs[0].spec.dataset, runs.identities()
    written = {entry.row: entry.note_on(dataset) for entry in runs.suite.models}
    return report_columns.NOTES.frame((*known[row], written[row]) for row in runs.rows if written.get(row))
