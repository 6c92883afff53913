"""The report of a suite: leaderboards, figures, and one page as markdown and as HTML, rebuilt while runs end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis import diagnostics, families, fitness
from bench.analysis.dataset_tables import DatasetTables, write_tables
from bench.analysis.decoding import traced
from bench.analysis.frames import DatasetFrames
from bench.analysis.grid import Grid
from bench.analysis.pairs import average_ranks
from bench.analysis.published import replications
from bench.analysis.questions import questions as suite_questions
from bench.conventions import HEAD_SHARE, PRIMARY_NAME, REACH_WINDOW
from bench.files import replaced
from bench.names import file_part
from bench.reporting import html, summary
from bench.reporting.drawn import Drawn
from bench.reporting.figures import decoding as decoding_figures
from bench.reporting.figures import published as published_figures
from bench.reporting.figures import quality, style, training
from bench.reporting.figures.comparison import comparison as comparison_figure
from bench.reporting.figures.marks import Styles
from bench.reporting.figures.pairs import pairwise_figure, ranks_figure
from bench.reporting.how_tested import HOW_TESTED
from bench.reporting.markdown import foreign, page_text, paragraph
from bench.reporting.tables import comparisons, decoding, pairs, provenance, published, questions, tuning
from bench.reporting.tables import results as sections
from bench.spec import RunResult, RunSpec, Suite


def write_report(
    suite: Suite,
    planned: Sequence[RunSpec],
    results: Sequence[RunResult],
    results_dir: Path,
    reports_dir: Path,
    command: str,
    processes: int = 1,
    drawn: Drawn | None = None,
) -> Path:
    """Writes all that can be said so far; runs without a result are shown as pending.

    Args:
        suite: What was asked for.
        planned: Every run of it, in order.
        results: Those that have ended, in any order, failed and skipped ones included.
        results_dir: The CSV files go in here, see `bench.analysis.dataset_tables.write_tables`.
        reports_dir: `SUITE/report.md`, `SUITE/report.html` and `SUITE/figures/` go in here.
        command: How to run it again.
        processes: Data sets whose figures are drawn at a time.
        drawn: What earlier calls for the same plan and folders have drawn; changed data sets alone are drawn again.

    Returns:
        The path of `report.md`.
    """
    grid = Grid.of(suite, planned, results)
    tables = write_tables(grid, results_dir)
    page = reports_dir / suite.name / "report.md"
    looks = style.model_styles(grid.models)
    grids = [grid.on(dataset) for dataset in grid.datasets]
    overview, told = summary.overview(grids, tables), summary.shared_question(grids, tables)
    parts = [
        f"# {suite.name}: {foreign(suite.description)}",
        provenance.progress(grid) + (" **Preliminary.**" if len(grid.results) < len(grid.runs) else ""),
        "## Summary",
        *filter(None, [overview]),
        *(_summary(part, tables[part.datasets[0]], told) for part in grids),
        "## What was run, and how to run it again",
        provenance.how_to_repeat(grid, command),
        *(provenance.dataset_card(grid.on(dataset)) for dataset in grid.datasets),
        "## Tuning budget",
        tuning.budget_section(grid, results_dir),
    ]
    parts += _section("## How differences are tested", "", HOW_TESTED if grid.results else None)
    arguments = [(part, tables[part.datasets[0]], looks, page.parent / "figures") for part in grids]
    parts += chain.from_iterable((drawn or Drawn()).sections(grids, _dataset_sections, arguments, processes))
    parts += _over_datasets(
        average_ranks({name: found.wide for name, found in tables.items()}), page.parent / "figures"
    )
    cards = {
        result.spec.label: card
        for run in grid.runs
        if (result := run.result) and (card := diagnostics.fidelity(result))
    }
    parts += _section(
        "## Fidelity cards",
        "How near each mechanism is to its source, and the test that pins it.",
        sections.fidelity_cards(cards),
    )
    parts += ["## Runs that failed, were skipped or are pending", provenance.unfinished(grid)]
    parts += filter(None, [provenance.unreadable_diagnostics(grid)])
    parts.append("## Excluded users")
    parts += [f"**{dataset}**\n\n{provenance.excluded_users(grid.on(dataset))}" for dataset in grid.datasets]
    text = page_text("\n\n".join(parts)) + "\n"
    with replaced(page) as path:
        path.write_text(text, encoding="utf-8")
    html.write_page(text, page.with_suffix(".html"))
    return page


def _summary(grid: Grid, found: DatasetTables, told: tuple[str, str] | None) -> str:
    sentences = summary.findings(grid, found, told)
    sentences += [f"**{foreign(answer.comparison.title)}**: {comparisons.sentence(answer)}" for answer in found.answers]
    return f"**{grid.datasets[0]}**\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)


def _over_datasets(ranks: pd.DataFrame | None, folder: Path) -> list[str]:
    """The models over all data sets; nothing where there is one data set, or one model on all of them."""
    if ranks is None:
        return []
    style.use_style()
    style.save(ranks_figure(ranks), folder / "ranks")
    return _section(
        "## Over all data sets",
        f"Models with complete runs on every data set, ranked by mean {PRIMARY_NAME} on each.",
        pairs.ranks_table(ranks.rename(columns={"row": "model"})),
        "![Mean ranks with the critical difference](figures/ranks.png)",
    )


def _dataset_sections(grid: Grid, found: DatasetTables, looks: Styles, folder: Path) -> list[str]:
    """All tables and figures of one data set, possibly in a process of its own."""
    dataset, wide, compared, frames = grid.datasets[0], found.wide, found.compared, found.frames
    legend = f"{fitness.UNFIT_MARK.strip()} {fitness.UNFIT}: see the table of results." if found.unfit else None
    style.use_style()

    def picture(name: str, alternative: str, figure: Figure | None) -> str | None:
        if figure is None:
            return None
        style.save(figure, folder / f"{dataset}-{name}")
        return f"![{alternative}](figures/{dataset}-{name}.png)"

    parts = _section(
        f"## {dataset}: results",
        "Item level, mean ± standard deviation over seeds. Best **bold**, second <u>underlined</u>, by means alone, "
        "which is no test. With one target a query, Hit@K equals Recall@K.",
        sections.main_table(wide, grid, compared),
        sections.best_possible_table(grid),
        sections.notes(grid),
        picture("quality", f"{PRIMARY_NAME} of every model", quality.quality(frames, looks)),
    )
    if not grid.results:
        return parts
    parts += _section(
        f"### Is the best one better? ({dataset})",
        f"{PRIMARY_NAME}, each model against the best by mean, on the seeds that both have completed. p is that of the "
        f"test alone; p (Holm) has {families.all_pairs(len(compared)).phrase}, since the numbers themselves chose the "
        "best one. Effect size: the difference in standard deviations of the queries' differences.",
        pairs.against_best(compared, found.unfit),
        legend,
    )
    parts += _section(
        f"### Who beats whom ({dataset})",
        "The same test for every two models: the row is significantly better (>) or worse (<) than the column's model, "
        f"or neither is shown (=), with {families.all_pairs(len(compared)).phrase}. Both p-values of each pair are in "
        "`pairs.csv`.",
        pairs.beats_table(compared, found.unfit),
        picture("pairs", f"Differences in {PRIMARY_NAME} between every two models", pairwise_figure(frames)),
    )
    for number, pair in enumerate(suite_questions(grid)):
        parts += _section(
            f"### {' against '.join(pair)}, part by part ({dataset})",
            questions.HOW_TO_READ if number == 0 else "",
            questions.question_table(found.tests, pair),
            fitness.caution(pair, found.unfit),
        )
    for number, answer in enumerate(found.answers):
        comparison, title = answer.comparison, foreign(answer.comparison.title)
        parts += _section(
            f"## {dataset}: {title}",
            paragraph(comparison.question),
            comparisons.findings(answer),
            comparisons.HOW_TO_READ if number == 0 else None,
            comparisons.comparison_table(answer),
            legend if answer.unfit else None,
            picture(
                f"comparison-{file_part(comparison.title)}",
                title,
                comparison_figure(frames, comparison.title, looks),
            ),
        )
    parts += _section(
        f"## {dataset}: item level and SID level",
        "At item level the very item counts; at SID level any item with the same semantic ID. Items that share a score "
        'are ranked by a rule that doesn\'t know the target; "ties" is item level with these in random order, in '
        "expectation. The last column counts "
        "test queries found at item level but later or never at SID level, summed over seeds, and must be 0.",
        sections.level_table(grid, wide),
    )
    parts += _section(
        f"## {dataset}: head and tail",
        f"Head: targets among the {100 * HEAD_SHARE:g} % of items with the most training interactions. Tail: all "
        "others.",
        sections.head_tail_table(wide),
        sections.cold_table(grid),
        picture("head-tail", f"{PRIMARY_NAME} on head and tail targets", quality.head_tail(frames, looks)),
        picture("popularity", f"{PRIMARY_NAME} by popularity of the target", quality.popularity(frames)),
    )
    parts += _section(
        f"## {dataset}: what is recommended",
        "Of the first ten items of every list. Coverage: share of the catalogue that anybody got. Popularity: mean "
        "share of the catalogue that is no more popular in training (1: only the most popular item). Novelty: mean "
        "of -log2 of the item's share of training interactions.",
        sections.beyond_accuracy_table(wide),
    )
    parts += _section(
        f"## {dataset}: the target's kind",
        f"By columns of the item table: {PRIMARY_NAME}.",
        sections.column_tables(grid),
    )
    parts += _section(
        f"## {dataset}: history length",
        f"{PRIMARY_NAME}.",
        sections.history_table(grid),
        sections.history_quarters_table(grid),
        picture("history-length", f"{PRIMARY_NAME} by length of the history", quality.history_length(frames, looks)),
    )
    parts += _section(
        f"## {dataset}: reach",
        f"{PRIMARY_NAME} by how far back the target, or any item of its category, last occurred in the user's history. "
        f"What occurred only before the last {REACH_WINDOW} events is out of sight of every model that reads no "
        "further.",
        sections.reach_table(grid, "item"),
        picture("reach-item", f"{PRIMARY_NAME} by reach of the target", quality.reach(frames, looks, "item")),
        sections.reach_table(grid, "category"),
        picture("reach-category", f"{PRIMARY_NAME} by reach of its category", quality.reach(frames, looks, "category")),
    )
    parts += _section(
        f"## {dataset}: semantic-ID health",
        "Perplexity is the number of equally used codes with the same entropy; the nearer to the number of codes, the "
        "better.",
        sections.sid_health_table(grid),
    )
    parts += _decoding(traced(grid), frames, looks, picture)
    parts += _section(
        f"## {dataset}: learning curves",
        "",
        picture(
            "learning-curves",
            f"Validation {PRIMARY_NAME} during training",
            training.learning_curves(frames, looks),
        ),
    )
    parts += _section(
        f"## {dataset}: cost",
        "Wall-clock times of runs that may have shared the machine with others.",
        sections.cost_table(grid, wide),
        picture("cost", f"{PRIMARY_NAME} against training time, answering time and size", training.cost(frames, looks)),
    )
    return parts + _published(grid, frames, looks, picture)


def _published(
    grid: Grid, frames: DatasetFrames, looks: Styles, picture: Callable[[str, str, Figure | None], str | None]
) -> list[str]:
    """What others published of these rows; nothing where the suite names nothing."""
    dataset = frames.dataset
    found = replications(grid, dataset)
    figure = published_figures.published(frames, looks)
    parts = _section(
        f"## {dataset}: published against measured",
        "Reproduced: the mean over seeds is within the tolerance that the suite sets. Trend only: the figure is from "
        "other data or another system, so that its size says nothing about this one.",
        published.published_table(found),
        picture("published", "Published values and measured ones", figure),
    )
    parts += _section(
        f"### Where the set-up differs ({dataset})",
        "Of every figure that was not reproduced. A difference named here may be the cause; none was tested alone.",
        published.reasons(found),
    )
    return parts + _section(
        f"### Are the trends the same? ({dataset})",
        "The rows whose figures show a trend only, from the lowest mean to the highest; the order was not tested.",
        published.order_of_trends(found),
    )


def _decoding(
    grid: Grid, frames: DatasetFrames, looks: Styles, picture: Callable[[str, str, Figure | None], str | None]
) -> list[str]:
    """Where the models with traces lose their targets; nothing where no model has one."""
    dataset = frames.dataset
    if not grid.runs:
        return []
    parts = _section(
        f"## {dataset}: how decoding goes",
        "What happened to the targets of the test queries while semantic IDs were generated, level by level, in the "
        "same beam search as in the test. The last level is the disambiguation token, where there is one. All figures "
        "are means over queries, ± standard deviation over seeds; no difference between rows was tested.",
        decoding.findings(grid),
    )
    parts += _section(
        f"### Accuracy of each level ({dataset})",
        "Share of targets whose code is the most probable of its level, given the codes before it. In training: with "
        "dropout, over the steps before the validation whose weights were tested.",
        decoding.accuracy_table(grid),
    )
    parts += _section(
        f"### Prefix precision ({dataset})",
        "P_1, P_12, ...: share of queries whose best generated ID begins with the target's first codes.",
        decoding.prefix_table(grid),
        picture("decoding-prefixes", "Prefix precision and survival in the beam", decoding_figures.prefixes(frames)),
    )
    parts += _section(
        f"### Conditional Rank Progression ({dataset})",
        "Two readings. The mean rank: the 0-based place of the target's path among all continuations of the beam, over "
        "the n queries whose shorter path is in the beam. The places lost: how much further back the path stands than "
        "one level before, over the queries whose path is in the beam at both levels.",
        decoding.progression_table(grid),
        picture("decoding-ranks", "Conditional Rank Progression, both readings", decoding_figures.ranks(frames)),
    )
    parts += _section(
        f"### What the paper found ({dataset})",
        "The paper's figures are from other data, known at second hand, and the exact formula of CRP is not certain, "
        "so only directions and orders of size can agree. Of the two readings of CRP, the places lost are compared.",
        decoding.paper_table(grid),
    )
    parts += _section(
        f"### What a wrong first code costs ({dataset})",
        "Rank (0 is first) and accuracy of the target's later codes, given its own first code, and given the most "
        "probable other one in its place.",
        decoding.wrong_first_table(grid),
        picture("decoding-first-code", "Hits by the first code's place", decoding_figures.first_code(frames)),
    )
    return parts + _section(
        f"### Gate and retrieved events ({dataset})",
        "For the target's first code: how many long-term events the decoder gets to read, and what share of the "
        "reading the gate leaves to them.",
        decoding.retrieval_table(grid),
        picture("decoding-gate", "Gate by number of retrieved events", decoding_figures.gate(frames, looks)),
        picture("decoding-retrieved", "Histogram of retrieved lengths", decoding_figures.retrieved(frames)),
    )


def _section(heading: str, words: str, *content: str | None) -> list[str]:
    """A heading, words on how to read what follows, and tables or figures; nothing where there is none of these."""
    present = [part for part in content if part]
    return [heading, *([words] if words else []), *present] if present else []
