"""Artifacts that several runs share, stored once under the hash of what determines them."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.files import replaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 1 << 22
"""Entries of an array that are hashed at a time: a memory-mapped array larger than memory can be hashed, too."""


def content_key(*parts: Any) -> str:
    """Makes a 16-digit hash of JSON-serialisable values, arrays and bytes, equal on every machine.

    An iterator of bytes counts as the bytes that it gives, one after the other.
    """
    digest = hashlib.sha256()
    numpy = sys.modules.get("numpy")  # who has not imported it has no arrays, and need not wait for it
    for part in parts:
        if numpy is not None and isinstance(part, numpy.ndarray):
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


_DIGEST = "sha256"
"""Name of the array in a file that tells what the others are, and what they were made from."""


class ArtifactCache:
    """Arrays by content key in a folder, safe for several processes at once.

    Args:
        folder: Where they are stored.
        undisturbed: A block in which artifacts are made: it keeps away what the asking run has changed of its process,
            and with it of the artifact that other runs are given.
    """

    def __init__(self, folder: Path, undisturbed: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        self.folder, self._undisturbed = folder, undisturbed

    def get(
        self, kind: str, key: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """Finds the arrays stored under (`kind`, `key`), made by `make` the first time.

        A second process that asks for the same artifact meanwhile waits for the first. A file that is unreadable, has
        changed, or was another artifact's is made anew.

        Args:
            kind: Names the artifact and its folder, e.g. "semantic_ids".
            key: Everything that determines the arrays: configuration, seed, and the content of the data that are read
                (`content_key`), not a name or hash that somebody else gave them.
            make: Computes the arrays. The module that defines it is part of the key: who has code of their own for an
                artifact of the same name is not given another's, nor others theirs.
        """
        import numpy as np
        from filelock import FileLock

        whole = {"key": dict(key), "made by": getattr(make, "__module__", "")}
        path = self.folder / kind / f"{content_key(whole)}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.exists():
                try:
                    return _read(path, kind, whole)
                except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
                    path.unlink()
            with self._undisturbed():
                arrays = {name: np.asarray(array) for name, array in make().items()}
            held = {**arrays, _DIGEST: _digest(kind, whole, arrays)}
            with replaced(path) as temporary:
                np.savez(temporary, **held)  # type: ignore[arg-type]  # numpy's stub takes the names for flags
            return arrays


def _read(path: Path, kind: str, key: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a file.

    Raises:
        ValueError: They are not those that were stored under this key; other errors come from what can't be read.
    """
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    if arrays.pop(_DIGEST).tobytes() != _digest(kind, key, arrays).tobytes():
        raise ValueError("not what was stored")
    return arrays


def _digest(kind: str, key: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """SHA-256 of arrays with what they were made from, uint8 `[32]`."""
    import numpy as np

    digest = hashlib.sha256(content_key(kind, dict(key)).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\x1e{array.dtype.str}{arrays[name].shape}".encode())
        for start in range(0, array.size, _CHUNK):
            digest.update(array.reshape(-1)[start : start + _CHUNK].tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)
