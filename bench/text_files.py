"""Small text files of the user's, read whole: a file that can't be one is refused before it is read."""

from __future__ import annotations

import stat
from pathlib import Path

from bench.errors import BenchError


def read_text_file(path: Path, most_bytes: int) -> str:
    """Reads the text of a UTF-8 file, without a byte order mark.

    Args:
        path: A regular file, or a link to one.
        most_bytes: A larger file is none of its kind.

    Raises:
        BenchError: It is a folder or a device, can't be read, is too large, or holds something else than text.
        FileNotFoundError: There is no such file.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise BenchError(f"{path}: can't be read: it is no file, but {_kind(facts.st_mode)}")
        if facts.st_size > most_bytes:
            raise BenchError(
                f"{path}: can't be read: it has {facts.st_size:,} bytes, and more than {most_bytes:,} are too many"
            )
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BenchError(f"{path}: can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{path}: can't be read: it is no text in UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except ValueError as error:  # of a path that no file can have
        raise BenchError(f"{path}: can't be read: {error}") from None
    if "\0" in text:
        raise BenchError(f"{path}: can't be read: it is no text, but holds bytes of 0")
    return text


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
