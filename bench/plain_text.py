"""Text from files, paths and exceptions as one readable line: nothing in it moves a cursor or hides what it says."""

from __future__ import annotations

MOST_CHARACTERS = 500
"""Of a line that tells of an error or of a reason."""

_ELLIPSIS = " ... "


def printable(text: str) -> str:
    r"""Writes a blank for every kind of white space, and `\x1b`, `\u202e` and the like for what has no glyph.

    Control characters, escape codes of terminals, marks of direction, invisible characters and halves of surrogate
    pairs are all spelled out. Text that holds none of these is returned as it is.
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """Writes any text as one line of at most `most` characters; of a longer one the middle is left out.

    The beginning says where something is wrong, and the end what to do about it.
    """
    if len(text) > 20 * most:  # of a whole file, say, which need not be gone through to be left out
        text = text[: 10 * most] + _ELLIPSIS + text[-10 * most :]
    return shortened(" ".join(printable(" ".join(text.split())).split()), most)


def quoted(value: object, most: int = 60) -> str:
    """Repeats what a user wrote, for an error message: in quotes where it is text, spelled out, and not too long."""
    if isinstance(value, str):
        return f"'{shortened(''.join(map(_spelled_out, value[: 2 * most] + value[2 * most :][-most:])), most)}'"
    try:
        return one_line(repr(value), most)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or a value that holds itself
        return f"a value of type {type(value).__name__}"


def shortened(line: str, most: int) -> str:
    """Writes a line of at most `most` characters; of a longer one the middle is left out."""
    if len(line) <= most:
        return line
    tail = most // 3
    return line[: most - tail - len(_ELLIPSIS)] + _ELLIPSIS + line[len(line) - tail :]


def _spelled(character: str) -> str:
    return " " if character.isspace() else _spelled_out(character)


def _spelled_out(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
