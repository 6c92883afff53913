"""A data card as a page: a list of facts below each heading."""

from __future__ import annotations

from bench.analysis.data_card import DataCard
from bench.reporting.blocks import Block, Heading, Page
from bench.reporting.table import Table


def card_page(card: DataCard) -> Page:
    """The sections of a card."""
    blocks: list[Block] = [Heading(card.name, level=1)]
    for heading, facts in card.sections().items():
        blocks += [Heading(heading), Table.of_facts("data-card", facts)]
    return Page(tuple(blocks))
