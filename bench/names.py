"""Names that become folders, files or rows of tables: what they may hold, so that none leads anywhere else.

`PathName` is the type of every name that becomes a part of a path as it is, `RowLabel` that of what only tables,
figures and percent-encoded folder names show. Both are in Unicode's composed form (NFC), and neither holds anything
that means more than itself to a file system, a terminal, a spreadsheet, markdown, HTML or matplotlib.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from bench.errors import BenchError
from bench.plain_text import quoted

MOST_BYTES = 72
"""Of a name in UTF-8: percent-encoded, or with what sets a data set's queries apart and the kind of a figure, and with
what a temporary file's name has more, it still fits the 255 bytes of a file name."""

OWN = "own-"
"""What names of suites begin with that are the user's own: rows of another suite on other data."""

MOST_BYTES_OF_TITLE = 160
MOST_SEED = 2**32 - 1

RESERVED = frozenset(("runs", "cache", "tuning", "plan.json", "trials.csv", "best_so_far.png", "best_so_far.svg"))
"""Folders and files of this program, beside which folders with names of the user's lie."""

_WINDOWS = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_PATH_NAME = re.compile(r"\w([\w.+@ -]*[\w+@-])?")
_MEANS_MORE = re.compile(r"[<>|\\`*\[\]~\"$]")
_FORMULA = tuple("=+-@'")
_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_LATIN = re.compile(r"[A-Za-z]")

_LEGAL = (
    "use letters, digits, '.', '_', '-', '+', '@' and blanks inside, beginning with a letter or digit and not ending "
    "with '.'"
)


def path_name(name: str) -> str:
    """Checks a name that is one part of a path on every file system, in its composed form.

    Raises:
        ValueError: It is not; the message says what is allowed.
    """
    name = unicodedata.normalize("NFC", name)
    shown = f"name {quoted(name)}"
    if not _PATH_NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"{shown} names a folder: {_LEGAL}")
    if unicodedata.normalize("NFKC", name) != name:
        raise ValueError(f"{shown} names a folder, and holds letters that look like others: {_LEGAL}")
    if name.casefold() in RESERVED:
        raise ValueError(f"{shown} is that of a folder or file of this program: choose another")
    return _common(name, shown)


def row_label(label: str) -> str:
    """Checks a name for tables and figures, in its composed form.

    Raises:
        ValueError: It could be mistaken for something else there; the message says why.
    """
    label = unicodedata.normalize("NFC", label)
    shown = f"label {quoted(label)}"
    if not label or not label.isprintable() or label != label.strip():
        raise ValueError(f"{shown} should be text on one line, without control characters or blanks around it")
    if label.startswith(("_", ".")) or unicodedata.normalize("NFKC", label).startswith(_FORMULA):
        raise ValueError(f"{shown} should begin with a letter or digit")
    if _MEANS_MORE.search(label):
        raise ValueError(f'{shown} should hold none of < > | \\ ` * [ ] ~ " $')
    if label.endswith("."):
        raise ValueError(f"{shown} should not end with '.'")
    return _common(label, shown)


def _common(name: str, shown: str) -> str:
    if _WINDOWS.fullmatch(name):
        raise ValueError(f"{shown} is that of a device on Windows: choose another")
    if len(name.encode()) > MOST_BYTES:
        raise ValueError(f"{shown} is too long: use at most {MOST_BYTES} bytes")
    if _CYRILLIC.search(name) and _LATIN.search(name):
        raise ValueError(f"{shown} mixes Latin and Cyrillic letters, which look alike: use one alphabet")
    return name


def label_or_none(label: str) -> str:
    """`row_label`, or "" for no label of its own."""
    return row_label(label) if label else ""


def one_column(name: str) -> str:
    """Checks the name of a column of somebody's table, as that has it.

    Raises:
        ValueError: It would not stand on one line.
    """
    if not name.isprintable() or not name.strip() or len(name.encode()) > MOST_BYTES_OF_TITLE:
        most = f"{MOST_BYTES_OF_TITLE} bytes without control characters"
        raise ValueError(f"column {quoted(name)} should be one line of at most {most}")
    return name


def one_title(title: str) -> str:
    """Checks a title of a section, of which `file_part` makes a part of a file name.

    Raises:
        ValueError: There is no letter or digit in it, it is longer than a title, or it has more than one line.
    """
    title = unicodedata.normalize("NFC", title)
    if not title.isprintable() or len(title.encode()) > MOST_BYTES_OF_TITLE:
        most = f"{MOST_BYTES_OF_TITLE} bytes without control characters"
        raise ValueError(f"title {quoted(title)} should be one line of at most {most}")
    if not re.search(r"[^\W_]", title):
        raise ValueError(f"title {quoted(title)} should hold a letter or digit")
    return title


def file_part(title: str) -> str:
    """Writes a title as part of a file name: ASCII letters, digits and dashes; at most 60 of them, and never none.

    What has other letters or is longer ends in a hash, so that different titles stay different.

    >>> file_part("Is the long history needed?")
    'is-the-long-history-needed'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if slug and len(slug) <= 60 and title.isascii():
        return slug
    return "-".join(filter(None, (slug[:50].strip("-"), _digest(title))))


def legal_path_name(text: str, otherwise: str) -> str:
    """Finds the nearest legal name to a text of any kind, such as the stem of a file's name.

    A text that is a legal name of letters, digits, '.', '_' and '-' stays as it is.

    Args:
        text: Anything.
        otherwise: What it is called if nothing of it can stay.

    >>> legal_path_name("my events (2024)", "data"), legal_path_name("..", "data")
    ('my-events-2024', 'data')
    """
    name = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()))
    name = re.sub(r"\.\.+", ".", name).strip("-.") or otherwise
    if len(name.encode()) > MOST_BYTES:
        name = f"{name.encode()[:60].decode(errors='ignore').rstrip('-.')}-{_digest(text)}"
    try:
        return path_name(name)
    except ValueError:
        return path_name(f"{otherwise}-{_digest(name)}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def checked(name: str, where: str) -> str:
    """`path_name` for what the command line or a package names.

    Raises:
        BenchError: It is no such name.
    """
    try:
        return path_name(name)
    except ValueError as error:
        raise BenchError(f"{where}: {error}") from None


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Finds the first two names that a file system without upper and lower case, or a reader, can't tell apart.

    >>> alike(["tiger", "glass", "Tiger"])
    ('tiger', 'Tiger')
    """
    known: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in known:
            return known[folded], name
        known[folded] = name
    return None


PathName = Annotated[str, AfterValidator(path_name)]
"""A part of a path: names of suites, data sets and models."""

ModelName = Annotated[str, AfterValidator(path_name), AfterValidator(row_label)]
"""A model's name, which is also the label of a row that has no other."""

RowLabel = Annotated[str, AfterValidator(row_label)]
Title = Annotated[str, AfterValidator(one_title)]
ColumnName = Annotated[str, AfterValidator(one_column)]

Seed = Annotated[int, Field(ge=0, le=MOST_SEED, strict=True)]
"""Number of a replicate, which is part of a folder's name."""
