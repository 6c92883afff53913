"""Where the models that generate semantic IDs lose their targets, from the traces of decoding; nothing without one."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block
from bench.reporting.decoding_findings import findings
from bench.reporting.figures import decoding as figures
from bench.reporting.figures.marks import Styles
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables import decoding as tables


class PrefixesFigure(ReportFigure):
    name = "decoding-prefixes"
    alternative = "Prefix precision and survival in the beam"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return figures.prefixes(frames)


class RanksFigure(ReportFigure):
    name = "decoding-ranks"
    alternative = "Conditional Rank Progression, both readings"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return figures.ranks(frames)


class FirstCodeFigure(ReportFigure):
    name = "decoding-first-code"
    alternative = "Hits by the first code's place"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return figures.first_code(frames)


class GateFigure(ReportFigure):
    name = "decoding-gate"
    alternative = "Gate by number of retrieved events"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return figures.gate(frames, styles)


class RetrievedFigure(ReportFigure):
    name = "decoding-retrieved"
    alternative = "Histogram of retrieved lengths"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return figures.retrieved(frames)


class Findings(Section):
    title = "how decoding goes"
    introduction = (
        "What happened to the targets of the test queries while semantic IDs were generated, level by level, in the "
        "same beam search as in the test. The last level is the disambiguation token, where there is one. All figures "
        "are means over queries, ± standard deviation over seeds; no difference between rows was tested."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield findings(frames)


class LevelAccuracy(Section):
    title = "Accuracy of each level"
    level = 3
    introduction = (
        "Share of targets whose code is the most probable of its level, given the codes before it. In training: with "
        "dropout, over the steps before the validation whose weights were tested."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.accuracy_table(frames)


class Prefixes(Section):
    title = "Prefix precision"
    level = 3
    introduction = "P_1, P_12, ...: share of queries whose best generated ID begins with the target's first codes."

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.prefix_table(frames)
        yield PrefixesFigure()


class RankProgression(Section):
    title = "Conditional Rank Progression"
    level = 3
    introduction = (
        "Two readings. The mean rank: the 0-based place of the target's path among all continuations of the beam, over "
        "the n queries whose shorter path is in the beam. The places lost: how much further back the path stands than "
        "one level before, over the queries whose path is in the beam at both levels."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.progression_table(frames)
        yield RanksFigure()


class Paper(Section):
    title = "What the paper found"
    level = 3
    introduction = (
        "The paper's figures are from other data, known at second hand, and the exact formula of CRP is not certain, "
        "so only directions and orders of size can agree. Of the two readings of CRP, the places lost are compared."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.paper_table(frames)


class WrongFirstCode(Section):
    title = "What a wrong first code costs"
    level = 3
    introduction = (
        "Rank (0 is first) and accuracy of the target's later codes, given its own first code, and given the most "
        "probable other one in its place."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.wrong_first_table(frames)
        yield FirstCodeFigure()


class Retrieval(Section):
    title = "Gate and retrieved events"
    level = 3
    introduction = (
        "For the target's first code: how many long-term events the decoder gets to read, and what share of the "
        "reading the gate leaves to them."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield tables.retrieval_table(frames)
        yield GateFigure()
        yield RetrievedFigure()
