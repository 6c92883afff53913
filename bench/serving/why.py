"""The page "why this item": a user's history, what the search of it gave to the model, and the list that came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from bench.data.interactions import Histories
from bench.errors import BenchError
from bench.execution.saved_models import KnownData, SavedModel
from bench.files import replaced
from bench.recommender import Explanation, SearchedLevel
from bench.reporting.templates import environment, resource
from bench.serving.lists import Asked, recommendations

MOST_LANES = 20
"""Candidates that are drawn; the list itself may be longer."""

_MOST_BEAMS = 20
"""Of a level, in its table."""


@dataclass(frozen=True)
class Event:
    """One event of the history.

    Attributes:
        place: How many events ago, 1 is the last.
        left: Where it lies on the time line, in percent of its width.
        when: Its date; "" where the data have no time.
        item: Original id.
        text: Of the item.
    """

    place: int
    left: float
    when: str
    item: str
    text: str


@dataclass(frozen=True)
class Step:
    """What was read before one code of a candidate was generated.

    Attributes:
        level: Number of the code.
        read: How many events.
        gate: Mean share of what is read that comes from them.
    """

    level: int
    read: int
    gate: float


@dataclass(frozen=True)
class Candidate:
    """One item of the list.

    Attributes:
        rank, score, repeat: As in the list.
        item, text: Its original id and its text.
        codes: Its semantic ID, as text.
        read: The events that the search read on the way to it.
        own: Earlier events of the item itself.
        steps: Level by level; empty where no beam led to it.
        tiers: Share of the long-term history in each tier of similarity to its first code, 0 to 1.
    """

    rank: int
    score: float
    repeat: bool
    item: str
    text: str
    codes: str
    read: tuple[Event, ...]
    own: tuple[Event, ...]
    steps: tuple[Step, ...]
    tiers: tuple[float, ...]

    @property
    def gate(self) -> float:
        """The mean over its steps."""
        return sum(step.gate for step in self.steps) / max(1, len(self.steps))


def check_page(path: Path, users: int) -> None:
    """Makes sure that a page can be written for so many users.

    Raises:
        BenchError: It is not one, or the file has another suffix.
    """
    if path.suffix != ".html":
        raise BenchError(f"--why {path}: the file should end in .html")
    if users != 1:
        raise BenchError(
            f"--why {path}: the page is about one user, and {users:,} are asked for: name one with --users"
        )


def write_page(model: SavedModel, asked: Asked, k: int, path: Path) -> None:
    """Writes the page about one user's list.

    Raises:
        BenchError: The model searches no history, `asked` is not one user, or the file can't be written.
    """
    check_page(path, len(asked.names))
    told = model.recommender.explain(asked.histories.copy(), k)
    if told is None:
        raise BenchError(
            f"model '{model.spec.model}' searches no history while it answers: there is no such page of it"
        )
    table = recommendations(model, asked, k)
    page = environment(True, {"percent": _percent, "counted": _counted}).get_template("why.html.j2")
    try:
        with replaced(path) as temporary:
            temporary.write_text(page.render(**content(model, asked, table, told)), encoding="utf-8")
    except OSError as error:
        raise BenchError(f"can't write '{path}': {error.strerror}") from None


def content(model: SavedModel, asked: Asked, table: pd.DataFrame, told: Explanation) -> dict[str, Any]:
    """What the page shows, by the names that its template uses."""
    history, data = asked.histories, model.data
    events = [_event(data, history, position) for position in range(len(history.items))]
    n_short = min(told.short_term, len(events))
    candidates = [_candidate(row, data, history, events, told) for row in table.head(MOST_LANES).to_dict("records")]
    return {
        "css": Markup(resource("page.css") + "\n" + resource("why.css")),
        "user": str(asked.names[0]),
        "row": model.spec.label,
        "dataset": model.spec.dataset.label,
        "n_events": len(events),
        "n_short": n_short,
        "short_share": 1 + 98 * n_short / max(1, len(events)),
        "first": events[0] if events else None,
        "last": events[-1] if events else None,
        "candidates": candidates,
        "n_more": len(table) - len(candidates),
        "searched": [_level_table(level, events) for level in told.searched],
        "reads": _reads(told, events),
        "tier_edges": [-1.0, *told.tier_edges, 1.0] if told.tiers is not None else [],
        "gated": bool(told.searched) and told.searched[0].gate.shape[1] > 0,
    }


def _event(data: KnownData, history: Histories, position: int) -> Event:
    item, n = int(history.items[position]), len(history.items)
    when = ""
    if data.has_time:
        when = f"{datetime.fromtimestamp(int(history.timestamps[position]), timezone.utc):%Y-%m-%d}"
    left = 1 + 98 * (position + 0.5) / n  # a little room for the marks at both ends
    return Event(n - position, round(left, 2), when, str(data.item_ids[item]), text_of(data, item))


def text_of(data: KnownData, item: int) -> str:
    """The first text of an item, or its id."""
    for column in data.text_columns:
        if column in data.columns and (text := str(data.columns[column].iloc[item])):
            return text
    return str(data.item_ids[item])


def _candidate(
    row: dict[Any, Any], data: KnownData, history: Histories, events: Sequence[Event], told: Explanation
) -> Candidate:
    item = int(np.flatnonzero(data.item_ids == row["item"])[0])
    codes = told.codes[item]
    steps, read = [], tuple[Event, ...]()
    for level in told.searched:
        beam = _beam_of(level, codes)
        if beam is not None:
            read = _events_at(level.read[beam], events)
            steps.append(Step(level.level, len(read), _mean(level.gate[beam])))
    tiers = () if told.tiers is None else tuple(map(float, told.tiers[codes[0]]))
    return Candidate(
        rank=int(row["rank"]),
        score=float(row["score"]),
        repeat=bool(row["repeat"]),
        item=str(row["item"]),
        text=text_of(data, item),
        codes=_sid(codes),
        read=read,
        own=tuple(events[position] for position in np.flatnonzero(history.items == item)),
        steps=tuple(steps),
        tiers=tiers,
    )


def _beam_of(level: SearchedLevel, codes: NDArray[np.int64]) -> int | None:
    """The beam whose prefix an item's codes begin with; None where the beam held none."""
    known = level.prefixes.shape[1]
    found = np.flatnonzero((level.prefixes == codes[:known]).all(axis=1) & (level.scores > -np.inf))
    return int(found[0]) if len(found) else None


def _events_at(positions: NDArray[np.int64], events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(events[position] for position in positions if position >= 0)


def _level_table(level: SearchedLevel, events: Sequence[Event]) -> dict[str, Any]:
    """The beams of one level, as rows."""
    alive = np.flatnonzero(level.scores > -np.inf)
    rows = [
        {
            "beam": place + 1,
            "prefix": _sid(level.prefixes[beam]),
            "score": float(level.scores[beam]),
            "read": len(_events_at(level.read[beam], events)),
            "gate": _mean(level.gate[beam]),
            "layers": [float(value) for value in level.gate[beam]],
        }
        for place, beam in enumerate(alive[:_MOST_BEAMS])
    ]
    return {"level": level.level, "rows": rows, "n_more": len(alive) - len(rows)}


def _reads(told: Explanation, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The events that were read for each first code, in the order of the beams, each once."""
    reads: dict[int, tuple[Event, ...]] = {}
    for level in told.searched:
        for beam in np.flatnonzero(level.scores > -np.inf):
            found = _events_at(level.read[beam], events)
            if found:
                reads.setdefault(int(level.prefixes[beam, 0]), found)
    return [{"code": code, "events": found} for code, found in reads.items()]


def _sid(codes: NDArray[np.int64]) -> str:
    """Codes as one word that no line breaks."""
    return "\N{NO-BREAK SPACE}\N{MIDDLE DOT}\N{NO-BREAK SPACE}".join(map(str, codes))


def _counted(number: int, noun: str = "event") -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
