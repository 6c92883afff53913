"""What the pages of the manual hold: code blocks by language and title, and changes of files shown as a diff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]*)\")?[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of code; `title` is empty where it has none."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for indent, language, title, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        yield Block(language, title, "".join(lines))


def apply(block: Block, project: Path) -> None:
    """Writes the file that a block shows into a copy of the project, or makes the change that it shows."""
    path = project / block.title
    if block.language != "diff":
        assert not path.exists(), f"{block.title} is no new file"
        path.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    assert sum(line.startswith("+") for line in lines) == 1, f"{block.title}: one line, as promised"
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    old = path.read_text(encoding="utf-8")
    assert old.count(before) == 1, f"{block.title} does not read like this any more:\n{before}"
    path.write_text(old.replace(before, "".join(line[1:] for line in lines)), encoding="utf-8")
