"""Tables of a few events, written and read again."""

from __future__ import annotations

from pathlib import Path

from bench.data.events import EventLog

HEADER = "user,item,time\n"


def write(folder: Path, content: str | bytes, name: str = "toy.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def items(log: EventLog) -> list[str]:
    return log.item_ids[log.items].tolist()


def seconds(log: EventLog) -> list[int]:
    assert log.times is not None
    return (log.times // log.ticks).astype(int).tolist()
