"""What goes with every verdict on rows that are no evidence, see `bench.analysis.fitness`."""

from __future__ import annotations

from collections.abc import Collection

from bench.analysis.fitness import UNFIT, UNFIT_MARK
from bench.reporting.blocks import Paragraph
from bench.reporting.words import Words, strong


def caution(labels: Collection[str], unfit: Collection[str]) -> Words | None:
    """A sentence to follow a verdict on these rows; None where all of them are fit."""
    named = [label for label in labels if label in unfit]
    if not named:
        return None
    verb = "is" if len(named) == 1 else "are"
    return strong("Not evidence") + f": {' and '.join(named)} {verb} under-trained or unfit."


def flag_explained(unfit: Collection[str]) -> Paragraph | None:
    """What the sign behind a verdict means; None where no row is unfit."""
    return Paragraph(f"{UNFIT_MARK.strip()} {UNFIT}: see the table of results.") if unfit else None
