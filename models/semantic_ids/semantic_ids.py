"""Semantic IDs: a short tuple of codes for every item, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SemanticIds:
    """Holds the codes of all items of a catalogue.

    Attributes:
        codes: int64 `[n_items, levels]`; the last level is the disambiguation token where there is one.
        codebook_sizes: Codes per level.
        semantic_levels: Levels that a tokenizer made; the disambiguation level is not counted.
        seconds: How long the tokenizer took when it made them, whatever it learned from included, but for the item
            features; None where that is not known.
    """

    codes: NDArray[np.int64]
    codebook_sizes: tuple[int, ...]
    semantic_levels: int
    seconds: float | None = None

    @property
    def n_items(self) -> int:
        return len(self.codes)

    @property
    def levels(self) -> int:
        return self.codes.shape[1]

    @property
    def sid_of_item(self) -> NDArray[np.int32]:
        """int32 `[n_items]`: the semantic ID of each item by number. Items with equal semantic levels share it;
        the disambiguation token, which carries no meaning, doesn't count.
        """
        return _groups(self.codes[:, : self.semantic_levels])[0].astype(np.int32)


def with_disambiguation(semantic_codes: NDArray[np.int64], codebook_sizes: tuple[int, ...]) -> SemanticIds:
    """Appends one token that tells apart the items of equal codes (TIGER, section 3.1).

    The token numbers the items of a collision group from 0 in item order. Where no two items collide the level
    still exists, with one code.

    Args:
        semantic_codes: int64 `[n_items, semantic_levels]`.
        codebook_sizes: Codes per semantic level.

    >>> ids = with_disambiguation(np.array([[0, 2], [1, 1], [0, 2]]), codebook_sizes=(2, 3))
    >>> ids.codes.tolist()
    [[0, 2, 0], [1, 1, 0], [0, 2, 1]]
    >>> ids.codebook_sizes, ids.sid_of_item.tolist()
    ((2, 3, 2), [0, 1, 0])
    """
    group, _ = _groups(semantic_codes)
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    first = np.searchsorted(ordered, ordered)
    token = np.empty(len(group), dtype=np.int64)
    token[order] = np.arange(len(group)) - first
    return SemanticIds(
        codes=np.column_stack([semantic_codes, token]),
        codebook_sizes=(*codebook_sizes, int(token.max()) + 1),
        semantic_levels=semantic_codes.shape[1],
    )


def level_health(ids: SemanticIds) -> list[dict[str, float | int | str]]:
    """Measures how well each level's codebook is used.

    Returns:
        One dict per level: `level` (1-based), `kind` ("semantic" or "disambiguation"), `codebook_size`, `used` codes,
        `utilisation` (used / codebook_size), `entropy` in nats and `perplexity` of the items' codes, `max_share` of the
        most frequent code, and `collision_rate`, the share of items whose prefix up to this level belongs to another
        item too.
    """
    rows: list[dict[str, float | int | str]] = []
    for level, size in enumerate(ids.codebook_sizes):
        counts = np.bincount(ids.codes[:, level], minlength=size)
        share = counts[counts > 0] / ids.n_items
        entropy = float(abs((share * np.log(share)).sum()))  # of a single code 0, where minus the sum would be -0
        rows.append(
            {
                "level": level + 1,
                "kind": "semantic" if level < ids.semantic_levels else "disambiguation",
                "codebook_size": size,
                "used": int((counts > 0).sum()),
                "utilisation": float((counts > 0).mean()),
                "entropy": entropy,
                "perplexity": float(np.exp(entropy)),
                "max_share": float(share.max()),
                "collision_rate": collision_rate(ids.codes[:, : level + 1]),
            }
        )
    return rows


def collision_rate(codes: NDArray[np.int64]) -> float:
    """Returns the share of items that have the same codes as some other item.

    >>> collision_rate(np.array([[0, 2], [1, 1], [0, 2], [1, 0]]))
    0.5
    """
    group, size = _groups(codes)
    return float((size[group] > 1).mean())


def _groups(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups items of equal codes; groups are numbered in the lexicographic order of their codes.

    Returns:
        The group of each item int64 `[n_items]`, and the items of each group int64 `[n_groups]`.
    """
    number = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:  # one level at a time: sorting integers is many times faster than sorting rows
        _, number, size = np.unique(
            number * (column.max(initial=0) + 1) + column, return_inverse=True, return_counts=True
        )
    return number, size
