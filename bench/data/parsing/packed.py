"""Files that are called text, and whose first bytes say that they are something else."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BenchError

_BEGINNINGS = (
    (b"\x1f\x8b", "packed with gzip", ".gz"),
    (b"PAR1", "a parquet file", ".parquet"),
    (b"PK\x03\x04", "a zip archive or a workbook (.xlsx)", ""),
    (b"BZh", "packed with bzip2", ""),
    (b"\xfd7zXZ\x00", "packed with xz", ""),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", ""),
)


_NEVER_IN_TEXT = bytes(byte for byte in range(32) if byte not in b"\t\n\r\x1a\x1f")
_LOOKED_AT = 64


def refuse_packed(path: Path, beginning: bytes) -> None:
    """Refuses what is no text, whatever it is called: advice on its encoding would help nobody.

    Args:
        path: The file.
        beginning: Its first bytes, or more of it; unpacked where its name says that it is packed.

    Raises:
        BenchError: They are those of another kind of file.
    """
    head = beginning[:_LOOKED_AT]
    for mark, kind, suffix in _BEGINNINGS:
        if not head.startswith(mark) or (mark.isalnum() and not set(head) & set(_NEVER_IN_TEXT)):
            continue  # a text may begin with these letters
        if suffix == ".gz":
            way = f"unpack it, or call it {path.name}.gz"
        else:
            way = f"call it {path.stem}{suffix}" if suffix else "unpack it, or give it the suffix that it should have"
        raise BenchError(f"{path} is no text, but {kind}; {way}")
