"""Item level beside SID level, and how well the codebooks are used."""

from __future__ import annotations

from bench.reporting.section import SectionOf
from bench.reporting.tables.semantic_ids import level_table, sid_health_table

LEVELS = SectionOf(
    "item level and SID level",
    level_table,
    introduction=(
        "At item level the very item counts; at SID level any item with the same semantic ID. Items that share a score "
        'are ranked by a rule that doesn\'t know the target; "ties" is item level with these in random order, in '
        "expectation. The last column counts test queries found at item level but later or never at SID level, summed "
        "over seeds, and must be 0."
    ),
)
HEALTH = SectionOf(
    "semantic-ID health",
    sid_health_table,
    introduction=(
        "Perplexity is the number of equally used codes with the same entropy; the nearer to the number of codes, the "
        "better."
    ),
)
