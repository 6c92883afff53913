"""What the users say who were set aside: the suite's questions, and who has looked at them how often."""

from __future__ import annotations

from typing import Any

from bench.analysis.fitness import unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.cautions import caution
from bench.reporting.kinds import COUNT, decimals
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import tested_columns, values_of_test
from bench.reporting.tables.questions import answer_in_words, questions_of
from bench.reporting.words import Words, joined, strong

HOW_TO_READ = (
    "Some users, chosen by the hash of their ids, are set aside: their events train the models as everybody's do, but "
    "no validation, no search and no other figure of this report has their queries. Their ranks are made with the "
    "others and opened by `bench confirm` alone, once for each configuration. Each opening is a look; what was chosen "
    "after a look is confirmed by none of the queries that it showed."
)
_SHORT = 10
"""Digits of a commit that tell it apart."""


def share_set_aside(frames: DatasetFrames) -> float | None:
    """The share of users who are set aside; None where nobody is."""
    shares = frames.card.loc[frames.card["name"] == "set aside", "value"]
    return float(shares.iloc[0]) if len(shares) else None


def state(frames: DatasetFrames) -> str:
    """How often the users who are set aside have been looked at; "" where nobody is."""
    share, looks = share_set_aside(frames), frames.looks
    if share is None:
        return ""
    if looks.empty:
        return f"{share:.0%} of the users are set aside, and nobody has looked at them: `bench confirm` does."
    first, last = looks.iloc[0], looks.iloc[-1]
    times = "once, on" if len(looks) == 1 else f"{len(looks)} times, first on {_day(first)} and last on"
    text = f"{last['queries']:,} users ({share:.0%}) were set aside and have been looked at {times} {_day(last)}"
    missing = [
        f"{a} against {b}"
        for a, b in questions_of(frames)
        if frames.confirmed.empty or not ((frames.confirmed["first"] == a) & (frames.confirmed["second"] == b)).any()
    ]
    pending = f" Not confirmed as configured now: {'; '.join(missing)}." if missing else ""
    warning = (
        " What was chosen after the first look is no longer confirmed by users whom nobody had seen."
        if len(looks) > 1
        else ""
    )
    return f"{text}.{warning}{pending}"


def confirmed_table(frames: DatasetFrames) -> Table | None:
    """The suite's questions on the users who were set aside; None where none is confirmed."""
    columns = (
        Column("Question"),
        *(Column(side, decimals()) for side in ("First", "Second")),
        *tested_columns("Difference"),
        *(Column(name, COUNT) for name in ("Tests in family", "Users", "Seeds", "Look")),
    )
    rows = [
        (
            *(test["title"], test["first_mean"], test["second_mean"], *values_of_test(test)),
            *(test[name] for name in ("family_size", "n_queries", "seeds", "look")),
        )
        for test in frames.confirmed.to_dict("records")
    ]
    return Table.of("confirmed", columns, rows) if rows else None


def looks_table(frames: DatasetFrames) -> Table | None:
    """Who has looked when, at what, and with which code."""
    names = ("Look", "Opened", "For suite", "Users", "Rows", "Opened by commit", "Trained by commit", "On")
    columns = tuple(Column(name, COUNT) if name in ("Look", "Users") else Column(name) for name in names)
    rows = [
        (
            *(look["look"], look["opened"], look["suite"], look["queries"], look["rows"]),
            *(_commits(look["commit"] or "unknown"), _commits(look["trained_with"]), look["machine"]),
        )
        for look in frames.looks.to_dict("records")
    ]
    return Table.of("looks", columns, rows) if rows else None


def confirmed_sentences(frames: DatasetFrames) -> list[Words]:
    """The suite's questions in words, for the head of the summary."""
    return [_sentence(frames, test) for test in frames.confirmed.to_dict("records")]


def _sentence(frames: DatasetFrames, test: dict[Any, Any]) -> Words:
    basis = f"; {test['n_queries']:,} users, look {test['look']} of {len(frames.looks)}"
    told = strong(test["title"]) + f", {PRIMARY_NAME}: {answer_in_words(test, basis)}."
    return joined(" ", [told, caution((test["first"], test["second"]), unfit_rows(frames.leaderboard))])


def _day(look: Any) -> str:
    return str(look["opened"])[:10]


def _commits(text: str) -> str:
    """Commits, shortened; one with uncommitted changes still says so."""
    return ", ".join(commit[:_SHORT] + ("-dirty" if commit.endswith("-dirty") else "") for commit in text.split(", "))
