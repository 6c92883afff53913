"""Random seeds that derive from names, so that no run depends on the order of the runs before it."""

from __future__ import annotations

import hashlib


def seed_for(*names: object) -> int:
    """Makes a 31-bit seed from any sequence of names, e.g. `seed_for("glass", "ml-100k", 0)`."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
