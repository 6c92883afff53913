"""What is varied: histories, batches, beams and catalogues, one at a time around a common setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Setting:
    """The sizes of one measurement.

    Attributes:
        length: Events of every history, in training and of queries.
        items: Of the catalogue.
        events: Padded events of a training step.
        beam: Width of the beam search; None leaves it as the row has it.
        queries: That are answered at a time, one number a measurement. Empty: only training is timed.
        devices: That train together.
    """

    length: int
    items: int
    events: int
    beam: int | None
    queries: tuple[int, ...]
    devices: int = 1

    @property
    def sizes(self) -> dict[str, Any]:
        """All but the queries, as JSON values; one device goes without saying, as it did before there could be more."""
        unsaid = {"queries"} | ({"devices"} if self.devices == 1 else set())
        return {key: value for key, value in asdict(self).items() if key not in unsaid}

    def __str__(self) -> str:
        beam = f", beam {self.beam}" if self.beam else ""
        devices = f", {self.devices} devices" if self.devices > 1 else ""
        return f"{self.length:,} events of history, {self.items:,} items, {self.events:,} events a step{beam}{devices}"


@dataclass(frozen=True)
class Sweep:
    """What the sizes are varied over. The first of each is that of the common setting, around which one is varied."""

    lengths: tuple[int, ...]
    items: tuple[int, ...]
    events: tuple[int, ...]
    beams: tuple[int | None, ...]
    queries: tuple[int, ...]
    devices: tuple[int, ...] = (1,)

    def settings(self) -> list[Setting]:
        """The common setting with all numbers of queries, then each other size.

        Of other batches, and of several devices, training alone is timed.
        """
        first = self.devices[0]
        queries = self.queries if first == 1 else ()
        base = Setting(self.lengths[0], self.items[0], self.events[0], self.beams[0], queries, first)
        one = queries[:1]
        varied = [
            *(replace(base, length=length, queries=one) for length in self.lengths[1:]),
            *(replace(base, items=items, queries=one) for items in self.items[1:]),
            *(replace(base, events=events, queries=()) for events in self.events[1:]),
            *(replace(base, beam=beam, queries=one) for beam in self.beams[1:]),
            *(replace(base, devices=devices, queries=()) for devices in self.devices[1:]),
        ]
        return list(dict.fromkeys([base, *varied]))


def sizes(text: str | None, default: Sequence[int]) -> tuple[int, ...]:
    """Reads a comma-separated list of sizes.

    Raises:
        ValueError: One of them is no positive whole number, or there is none.
    """
    if text is None:
        return tuple(default)
    parts = [part.strip().replace("_", "") for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and 0 < int(part) < 10**9 for part in parts):
        raise ValueError(f"'{text}': give positive whole numbers, comma-separated")
    return tuple(dict.fromkeys(map(int, parts)))
