"""The sections about a suite as a whole, before and after those of its data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.analysis.frames import DatasetFrames
from bench.reporting import summary
from bench.reporting.blocks import Block, Bullets, Code, Heading, Notice, Paragraph, section
from bench.reporting.how_tested import HOW_TESTED
from bench.reporting.overview import overview, shared_question
from bench.reporting.sections.across import across
from bench.reporting.tables import confirmed, provenance, tuning
from bench.reporting.tables.comparisons import comparisons_of, sentence
from bench.reporting.tables.fidelity import fidelity_cards
from bench.reporting.tables.questions import for_whom_table, questions_of
from bench.reporting.words import strong


@dataclass(frozen=True)
class SuiteFrames:
    """What the report of a suite is made from.

    Attributes:
        name, description: Of the suite.
        command: How to run it again.
        datasets: The frames of each data set, by label.
        figures: The folder of figures.
    """

    name: str
    description: str
    command: str
    datasets: Mapping[str, DatasetFrames]
    figures: Path

    @property
    def all(self) -> list[DatasetFrames]:
        """The frames, in the order of the plan."""
        return list(self.datasets.values())

    @property
    def runs(self) -> pd.DataFrame:
        """Every planned run."""
        return provenance.runs_of(self.all)

    @property
    def models(self) -> dict[str, str]:
        """Label -> the registered model behind the row, of all rows, in the order of the plan."""
        return {row: model for frames in self.all for row, model in frames.models.items()}


def title(suite: SuiteFrames) -> list[Block]:
    """The name of the suite, and how much of it is done."""
    progress = provenance.progress(suite.runs)
    preliminary = (suite.runs["status"] != "complete").any()
    text = f"{progress} " + strong("Preliminary.") if preliminary else progress
    return [Heading(f"{suite.name}: {suite.description}", level=1), Paragraph(text)]


def summary_of_all(suite: SuiteFrames) -> list[Block]:
    """The findings in words: of all data sets, then of each."""
    answered = shared_question(suite.all)
    blocks: list[Block] = [Heading("Summary"), *confirmatory(suite), *overview(suite.all)]
    for frames in suite.all:
        sentences = summary.findings(frames, answered)
        sentences += [strong(one.title) + ": " + sentence(one) for one in comparisons_of(frames)]
        asked = [labels for labels in questions_of(frames)[:1] if labels != answered]
        whom = [table for labels in asked if (table := for_whom_table([frames], labels))]
        parts = [sentences[:1], sentences[1:]] if whom else [sentences, []]  # the question, for whom, and the rest
        first, rest = ([Bullets(tuple(part))] if part else [] for part in parts)
        blocks += [Paragraph(strong(frames.dataset)), *first, *whom, *rest]
    return blocks


def confirmatory(suite: SuiteFrames) -> list[Block]:
    """What the users say who were set aside, on each data set that has some: before all that is no confirmation."""
    blocks: list[Block] = []
    for frames in suite.all:
        if state := confirmed.state(frames):
            blocks.append(Paragraph(strong(f"Confirmatory result, {frames.dataset}") + f": {state}"))
            blocks += [Bullets(tuple(sentences))] if (sentences := confirmed.confirmed_sentences(frames)) else []
    return [*blocks, Paragraph(strong("Development queries") + ":")] if blocks else []


def how_to_repeat(suite: SuiteFrames) -> list[Block]:
    """The command, the machines, and the data."""
    return [
        Heading("What was run, and how to run it again"),
        Code(suite.command),
        provenance.setup_table(suite.runs, suite.all[0].list_length),
        *map(Notice, provenance.mixtures(suite.runs)),
        *map(provenance.dataset_card, suite.all),
    ]


def tuning_budget(suite: SuiteFrames) -> list[Block]:
    """How configurations were found."""
    return [Heading("Tuning budget"), tuning.budget_table(suite.all) or Paragraph(tuning.NO_SEARCH)]


def how_tested(suite: SuiteFrames) -> list[Block]:
    """How to read all tests that follow."""
    complete = any(frames.n_queries for frames in suite.all)
    return section(Heading("How differences are tested"), "", [HOW_TESTED if complete else None])


def over_datasets(suite: SuiteFrames) -> list[Block]:
    """What all data sets say together, with figures."""
    return across(suite.all, suite.figures)


def fidelity(suite: SuiteFrames) -> list[Block]:
    """The card of each row."""
    cards = fidelity_cards(suite.all)
    blocks = [block for labels, table in cards.items() for block in (Heading(labels, level=3), table)]
    introduction = "How near each mechanism is to its source, and the test that pins it."
    return section(Heading("Fidelity cards"), introduction, blocks)


def unfinished(suite: SuiteFrames) -> list[Block]:
    """Runs without a result, and diagnostics that nobody could read."""
    unreadable = provenance.unreadable_diagnostics(suite.runs)
    heading = Heading("Runs that failed, were skipped or are pending")
    blocks: list[Block] = [heading, provenance.unfinished(suite.runs) or Paragraph("None.")]
    return [*blocks, Paragraph(provenance.UNREADABLE), unreadable] if unreadable else blocks


def excluded_users(suite: SuiteFrames) -> list[Block]:
    """Who has no query on which data set."""
    blocks: list[Block] = [Heading("Excluded users")]
    for frames in suite.all:
        excluded, cold = provenance.excluded_users(frames), provenance.cold_targets(frames)
        blocks += [Paragraph(strong(frames.dataset)), Paragraph(excluded) if isinstance(excluded, str) else excluded]
        blocks += [Paragraph(cold)] if cold else []
    return blocks


SuiteSection = Callable[[SuiteFrames], list[Block]]

BEFORE: tuple[SuiteSection, ...] = (title, summary_of_all, over_datasets, how_to_repeat, tuning_budget, how_tested)
AFTER: tuple[SuiteSection, ...] = (fidelity, unfinished, excluded_users)
