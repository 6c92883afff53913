"""The sections about a suite as a whole, before and after those of its data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.analysis import diagnostics
from bench.analysis.grid import Grid
from bench.analysis.pairs import average_ranks
from bench.conventions import PRIMARY_NAME
from bench.reporting import summary
from bench.reporting.blocks import Block, Bullets, Code, Heading, Notice, Paragraph, Picture, section
from bench.reporting.figures import style
from bench.reporting.figures.pairs import ranks_figure
from bench.reporting.how_tested import HOW_TESTED
from bench.reporting.overview import overview, shared_question
from bench.reporting.section import DatasetFrames
from bench.reporting.tables import pairs, provenance, tuning
from bench.reporting.tables.comparisons import sentence
from bench.reporting.tables.fidelity import fidelity_cards
from bench.reporting.words import strong


@dataclass(frozen=True)
class SuiteFrames:
    """What the sections about a suite are made from.

    Attributes:
        grid: All runs.
        datasets: What there is of each data set, by label.
        results_dir: Where results live, and the searches beside them.
        figures: The folder of figures.
        command: How to run it again.
    """

    grid: Grid
    datasets: Mapping[str, DatasetFrames]
    results_dir: Path
    figures: Path
    command: str


def title(frames: SuiteFrames) -> list[Block]:
    """The name of the suite, and how much of it is done."""
    suite, progress = frames.grid.suite, provenance.progress(frames.grid)
    preliminary = len(frames.grid.results) < len(frames.grid.runs)
    text = f"{progress} " + strong("Preliminary.") if preliminary else progress
    return [Heading(f"{suite.name}: {suite.description}", level=1), Paragraph(text)]


def summary_of_all(frames: SuiteFrames) -> list[Block]:
    """The findings in words: of all data sets, then of each."""
    grids = [dataset.grid for dataset in frames.datasets.values()]
    tables = {label: dataset.tables for label, dataset in frames.datasets.items()}
    answered = shared_question(grids, tables)
    blocks: list[Block] = [Heading("Summary"), *overview(grids, tables)]
    for label, dataset in frames.datasets.items():
        sentences = summary.findings(dataset.grid, dataset.tables, answered)
        sentences += [strong(answer.comparison.title) + ": " + sentence(answer) for answer in dataset.tables.answers]
        blocks += [Paragraph(strong(label)), Bullets(tuple(sentences))]
    return blocks


def how_to_repeat(frames: SuiteFrames) -> list[Block]:
    """The command, the machines, and the data."""
    return [
        Heading("What was run, and how to run it again"),
        Code(frames.command),
        provenance.setup_table(frames.grid),
        *map(Notice, provenance.mixtures(frames.grid)),
        *(provenance.dataset_card(dataset.grid) for dataset in frames.datasets.values()),
    ]


def tuning_budget(frames: SuiteFrames) -> list[Block]:
    """How configurations were found."""
    table = tuning.budget_table(frames.grid, frames.results_dir)
    return [Heading("Tuning budget"), table or Paragraph(tuning.NO_SEARCH)]


def how_tested(frames: SuiteFrames) -> list[Block]:
    """How to read all tests that follow."""
    return section(Heading("How differences are tested"), "", [HOW_TESTED if frames.grid.results else None])


def over_datasets(frames: SuiteFrames) -> list[Block]:
    """The models over all data sets; nothing where there is one data set, or one model on all of them."""
    ranks = average_ranks({label: dataset.wide for label, dataset in frames.datasets.items()})
    if ranks is None:
        return []
    style.use_style()
    style.save(ranks_figure(ranks), frames.figures / "ranks")
    return section(
        Heading("Over all data sets"),
        f"Models with complete runs on every data set, ranked by mean {PRIMARY_NAME} on each.",
        [
            pairs.ranks_table(ranks),
            Paragraph(pairs.ranks_tested(ranks)),
            Picture(f"{frames.figures.name}/ranks.png", "Mean ranks with the critical difference"),
        ],
    )


def fidelity(frames: SuiteFrames) -> list[Block]:
    """The card of each model."""
    cards = {
        result.spec.label: card
        for run in frames.grid.runs
        if (result := run.result) and (card := diagnostics.fidelity(result))
    }
    blocks = [block for labels, table in fidelity_cards(cards).items() for block in (Heading(labels, level=3), table)]
    introduction = "How near each mechanism is to its source, and the test that pins it."
    return section(Heading("Fidelity cards"), introduction, blocks)


def unfinished(frames: SuiteFrames) -> list[Block]:
    """Runs without a result, and diagnostics that nobody could read."""
    table = provenance.unfinished(frames.grid)
    unreadable = provenance.unreadable_diagnostics(frames.grid)
    heading = Heading("Runs that failed, were skipped or are pending")
    blocks: list[Block] = [heading, table or Paragraph("None.")]
    return [*blocks, Paragraph(provenance.UNREADABLE), unreadable] if unreadable else blocks


def excluded_users(frames: SuiteFrames) -> list[Block]:
    """Who has no query on which data set."""
    blocks: list[Block] = [Heading("Excluded users")]
    for label, dataset in frames.datasets.items():
        excluded, cold = provenance.excluded_users(dataset.grid), provenance.cold_targets(dataset.grid)
        blocks += [Paragraph(strong(label)), Paragraph(excluded) if isinstance(excluded, str) else excluded]
        blocks += [Paragraph(cold)] if cold else []
    return blocks


SuiteSection = Callable[[SuiteFrames], list[Block]]

BEFORE: tuple[SuiteSection, ...] = (
    title,
    summary_of_all,
    how_to_repeat,
    tuning_budget,
    how_tested,
)
AFTER: tuple[SuiteSection, ...] = (over_datasets, fidelity, unfinished, excluded_users)
