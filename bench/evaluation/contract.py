"""What a recommender promises of its answers (`Recommendations`, `DecodingTrace`), checked before anything is counted.

Silent repairs would hide bugs in models, so whatever breaks the contract ends the run with a line that says what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.interactions import PAD, Histories
from bench.recommender import DecodingTrace, Recommendations


class ContractError(ValueError):
    """A model has broken the contract of `bench.recommender`."""


def checked_sid_of_item(sid_of_item: Any, n_items: int) -> NDArray[np.int32] | None:
    """A recommender's semantic ID of each item, as a copy; None for models without.

    Raises:
        ContractError: It is no such array.
    """
    if sid_of_item is None:
        return None
    values = _array("sid_of_item", sid_of_item, "iu")
    if values.shape != (n_items,):
        raise ContractError(f"sid_of_item has shape {values.shape}, expected {(n_items,)}: one semantic ID per item")
    if n_items and not 0 <= values.min() <= values.max() < 2**31:
        raise ContractError(f"sid_of_item holds {values.min()} to {values.max()}, expected 0 or more")
    return values.astype(np.int32)


def checked(
    answer: Recommendations, histories: Histories, k: int, sid_of_item: NDArray[np.int32] | None
) -> Recommendations:
    """An answer of `recommend`, as plain arrays.

    Args:
        answer: What the recommender returned.
        histories: The queries, as the harness knows them.
        k: Length of the lists.
        sid_of_item: From `checked_sid_of_item`.

    Raises:
        ContractError: It does not keep to `Recommendations`, or lists a seen item where these are excluded.
    """
    if not isinstance(answer, Recommendations):
        raise ContractError(f"recommend returned a {type(answer).__name__}, expected Recommendations")
    shape = (len(histories), k)
    items = _lists("item", answer.items, shape, histories.n_items)
    scores = _array("recommend: scores", answer.scores, "f")
    _check_scores(scores, items, shape)
    if histories.exclude_seen:
        listed = items != PAD
        if histories.seen()[np.nonzero(listed)[0], items[listed]].any():
            raise ContractError("recommend returned a seen item although seen items are excluded")
    if answer.sids is None:
        return Recommendations(items, scores)
    if sid_of_item is None:
        raise ContractError("recommend returned semantic IDs, but sid_of_item is None")
    return Recommendations(
        items, scores, _lists("semantic ID", answer.sids, shape, int(sid_of_item.max(initial=-1)) + 1)
    )


def check_trace(trace: DecodingTrace, n: int) -> None:
    """Looks at an answer of `trace` to `n` queries.

    Raises:
        ContractError: It does not keep to `DecodingTrace`.
    """
    if not isinstance(trace, DecodingTrace):
        raise ContractError(f"trace returned a {type(trace).__name__}, expected DecodingTrace or None")
    ranks = _array("trace: path_rank", trace.path_rank, "iu")
    if len(ranks.shape) != 2 or len(ranks) != n:
        rows = len(ranks) if ranks.ndim else 0
        raise ContractError(f"trace returned {rows} rows for {n} queries (path_rank has shape {ranks.shape})")
    levels = ranks.shape[1]
    if levels == 0:
        raise ContractError("trace returned no level; a model that generates nothing step by step returns None")
    _check_range("path_rank", ranks, (n, levels), "iu", low=-1)
    for name in ("in_beam", "best_prefix"):
        _check_range(name, getattr(trace, name), (n, levels), "b")
    _check_range("forced_rank", trace.forced_rank, (n, levels), "iu", low=0)
    _check_range("after_wrong", trace.after_wrong, (n, max(levels - 1, 0)), "iu", low=-1)
    if trace.retrieved is not None:
        _check_range("retrieved", trace.retrieved, (n,), "iu", low=0)
    if trace.gate is not None:
        _check_range("gate", trace.gate, (n,), "f", low=0, high=1)


def _array(what: str, values: Any, kinds: str) -> NDArray[Any]:
    """An array of one of the kinds (NumPy's letters), without what a subclass may add to it."""
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        raise ContractError(f"{what}: a {type(values).__name__}, expected a NumPy array")
    if values.dtype.kind not in kinds:
        wanted = {"iu": "whole numbers", "f": "floats", "b": "booleans"}[kinds]
        raise ContractError(f"{what}: an array of {values.dtype}, expected {wanted}")
    return np.asarray(values)


def _lists(what: str, values: Any, shape: tuple[int, int], n: int) -> NDArray[np.int32]:
    """Lists of distinct numbers below `n`, padded at the end."""
    lists = _array(f"recommend: {what} lists", values, "iu")
    if lists.shape != shape:
        raise ContractError(f"recommend returned {what} lists of shape {lists.shape}, expected {shape}")
    if not lists.size:
        return lists.astype(np.int32)
    low, high = int(lists.min()), int(lists.max())
    if low < PAD or high >= n:
        raise ContractError(f"recommend returned {what} {low if low < PAD else high}, expected 0 to {n - 1} or {PAD}")
    if low == PAD and ((lists[:, :-1] == PAD) & (lists[:, 1:] != PAD)).any():
        raise ContractError(f"recommend returned a list with padding before its last {what}; padding comes at the end")
    ordered = np.sort(lists, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PAD)).any():
        raise ContractError(f"recommend returned one {what} twice in a list")
    return lists.astype(np.int32, copy=False)


def _check_scores(scores: NDArray[Any], items: NDArray[np.int32], shape: tuple[int, int]) -> None:
    """Scores that say in which order the items stand; those of padding, which say nothing, may be anything but NaN."""
    if scores.shape != shape:
        raise ContractError(f"recommend returned scores of shape {scores.shape}, expected {shape}")
    if not scores.size:
        return
    if np.isnan(scores).any():
        raise ContractError("recommend returned a score that is not a number (NaN)")
    listed = items != PAD
    if (scores.max() == np.inf) and (listed & (scores == np.inf)).any():
        raise ContractError("recommend returned an infinite score: what overflowed tells no items apart")
    if ((scores[:, 1:] > scores[:, :-1]) & listed[:, 1:]).any():
        raise ContractError("recommend returned scores that rise along a list; the best item comes first")


def _check_range(
    name: str, values: Any, shape: tuple[int, ...], kinds: str, low: float = -np.inf, high: float = np.inf
) -> None:
    """Raises where an array of a trace has another shape or kind, or a value out of range; of floats NaN is fine."""
    array = _array(f"trace: {name}", values, kinds)
    if array.shape != shape:
        raise ContractError(f"trace returned {name} of shape {array.shape}, expected {shape}")
    slack = 1e-4 if kinds == "f" else 0  # sums of floats
    if kinds != "b" and ((array < low - slack) | (array > min(high, 2**31 - 1) + slack)).any():
        reach = f"{low:g} or more" if high == np.inf else f"{low:g} to {high:g}"
        raise ContractError(f"trace returned {name} of {array.min():g} to {array.max():g}, expected {reach}")
