"""Artifacts that several runs share, stored once under the hash of what determines them."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from bench.files import replaced

_CHUNK = 1 << 22
"""Entries of an array that are hashed at a time: a memory-mapped array larger than memory can be hashed, too."""


def content_key(*parts: Any) -> str:
    """A 16-digit hash of JSON-serialisable values, arrays and bytes, equal on every machine.

    An iterator of bytes counts as the bytes that it gives, one after the other.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            entries = part.reshape(-1)
            for start in range(0, len(entries), _CHUNK):
                digest.update(entries[start : start + _CHUNK].tobytes())
        elif isinstance(part, Iterator):
            for piece in part:
                digest.update(piece)
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(part, sort_keys=True, separators=(",", ":")).encode())
        digest.update(b"\x1e")
    return digest.hexdigest()[:16]


class ArtifactCache:
    """Arrays by content key in a folder, safe for several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(
        self, kind: str, key: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """The arrays stored under (`kind`, `key`), made by `make` the first time.

        A second process that asks for the same artifact meanwhile waits for the first. An unreadable file is made anew.

        Args:
            kind: Names the artifact and its folder, e.g. "semantic_ids".
            key: Everything that determines the arrays: configuration, seed, data hash.
            make: Computes the arrays.
        """
        path = self.folder / kind / f"{content_key(dict(key))}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.exists():
                try:
                    with np.load(path, allow_pickle=False) as stored:
                        return dict(stored)
                except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
                    path.unlink()
            arrays = dict(make())
            with replaced(path) as temporary:
                np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for flags
            return arrays
