"""Who is set aside for confirmation: users whose queries no choice has ever seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SALT = "glass-bench confirm 1"
"""Part of the protocol: with another one other users would be set aside, and whatever has been confirmed be undone."""

_BYTES = 8


def set_aside(user_ids: Sequence[str] | NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Tells which users are set aside: those whose hash is among the lowest `share` of all hashes.

    The hash is made of the first 8 bytes of the SHA-256 of the salt, a unit separator (U+001F) and the id's text in
    UTF-8, read as a big-endian number. So it depends on no other user, no order, no version and no machine; about
    `share` of the users are set aside, and whoever is at 0.1 is at 0.2, too.

    Args:
        user_ids: The ids as the data name them, `[n_users]`.
        share: Above 0 and below 1.

    Returns:
        bool `[n_users]`.

    Example:
        >>> set_aside(["6", "7", "8"], 0.2).tolist()
        [False, True, False]
    """
    limit = int(share * 2 ** (8 * _BYTES))
    return np.array([_hash(str(user)) < limit for user in user_ids], dtype=bool)


def _hash(user: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{SALT}\x1f{user}".encode()).digest()[:_BYTES], "big")
