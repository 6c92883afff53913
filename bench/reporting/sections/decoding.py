"""Where the models that generate semantic IDs lose their targets, from the traces of decoding; nothing without one."""

from __future__ import annotations

from bench.reporting.decoding_findings import findings
from bench.reporting.figures import decoding as figures
from bench.reporting.section import FigureOf, SectionOf
from bench.reporting.tables import decoding as tables

SECTIONS = (
    SectionOf(
        "how decoding goes",
        findings,
        introduction=(
            "What happened to the targets of the test queries while semantic IDs were generated, level by level, in "
            "the same beam search as in the test. The last level is the disambiguation token, where there is one. All "
            "figures are means over queries, ± standard deviation over seeds; no difference between rows was tested."
        ),
    ),
    SectionOf(
        "Accuracy of each level",
        tables.accuracy_table,
        introduction=(
            "Share of targets whose code is the most probable of its level, given the codes before it. In training: "
            "with dropout, over the steps before the validation whose weights were tested."
        ),
        level=3,
    ),
    SectionOf(
        "Prefix precision",
        tables.prefix_table,
        FigureOf(
            "decoding-prefixes",
            "Prefix precision and survival in the beam",
            lambda frames, styles: figures.prefixes(frames),
        ),
        introduction="P_1, P_12, ...: share of queries whose best generated ID begins with the target's first codes.",
        level=3,
    ),
    SectionOf(
        "Conditional Rank Progression",
        tables.progression_table,
        FigureOf(
            "decoding-ranks",
            "Conditional Rank Progression, both readings",
            lambda frames, styles: figures.ranks(frames),
        ),
        introduction=(
            "Two readings. The mean rank: the 0-based place of the target's path among all continuations of the beam, "
            "over the n queries whose shorter path is in the beam. The places lost: how much further back the path "
            "stands than one level before, over the queries whose path is in the beam at both levels."
        ),
        level=3,
    ),
    SectionOf(
        "What the paper found",
        tables.paper_table,
        introduction=(
            "The paper's figures are from other data, known at second hand, and the exact formula of CRP is not "
            "certain, so only directions and orders of size can agree. Of the two readings of CRP, the places lost are "
            "compared."
        ),
        level=3,
    ),
    SectionOf(
        "What a wrong first code costs",
        tables.wrong_first_table,
        FigureOf(
            "decoding-first-code",
            "Hits by the first code's place",
            lambda frames, styles: figures.first_code(frames),
        ),
        introduction=(
            "Rank (0 is first) and accuracy of the target's later codes, given its own first code, and given the most "
            "probable other one in its place."
        ),
        level=3,
    ),
    SectionOf(
        "Gate and retrieved events",
        tables.retrieval_table,
        FigureOf("decoding-gate", "Gate by number of retrieved events", figures.gate),
        FigureOf(
            "decoding-retrieved",
            "Histogram of retrieved lengths",
            lambda frames, styles: figures.retrieved(frames),
        ),
        introduction=(
            "For the target's first code: how many long-term events the decoder gets to read, and what share of the "
            "reading the gate leaves to them."
        ),
        level=3,
    ),
)
