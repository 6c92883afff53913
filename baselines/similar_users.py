"""Matrices of queries against training users: leaving out a query's own user, and keeping the nearest."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from baselines.full_ranking import top_k
from baselines.known_users import STRANGER


def without_own(similarity: sp.csr_array, users: NDArray[np.int64]) -> sp.csr_array:
    """Similarities without those of a query to the training events of its own user.

    Args:
        similarity: float64 `[n_queries, n_users]`, sparse.
        users: int64 `[n_queries]`, from `KnownUsers.of`.
    """
    cells = sp.coo_array(similarity)
    query, user = cells.coords
    other = users[query] != user
    return sp.coo_array((cells.data[other], (query[other], user[other])), shape=cells.shape).tocsr()


def nearest(similarity: sp.csr_array, neighbours: int) -> sp.csr_array:
    """The largest similarities of each query; ties go to the lower user.

    Args:
        similarity: float64 `[n_queries, n_users]`, sparse and not negative.
        neighbours: Entries kept in each row.
    """
    users, values = top_k(similarity.toarray(), neighbours)
    offsets = np.arange(len(users) + 1) * users.shape[1]
    kept = sp.csr_array((values.ravel(), users.ravel(), offsets), shape=similarity.shape)
    kept.eliminate_zeros()
    return kept


def mean_of_nearest(distances: NDArray[np.float64], users: NDArray[np.int64], neighbours: int) -> sp.csr_array:
    """Weights that average over the nearest training users of each query.

    Args:
        distances: float64 `[n_queries, n_users]`; +inf where a user is no neighbour of anybody.
        users: int64 `[n_queries]`, the training user of each query, who is no neighbour of the query; or `STRANGER`.
        neighbours: Users to average over; all that can be neighbours where these are fewer.

    Returns:
        float64 `[n_queries, n_users]`, sparse; a row sums to 1, or to 0 where there is no neighbour. Ties go to the
        lower user.
    """
    known = np.flatnonzero(users != STRANGER)
    distances = distances.copy()
    distances[known, users[known]] = np.inf
    nearest_users, negated = top_k(-distances, neighbours)
    near = np.isfinite(negated)
    weights = near / near.sum(axis=1, keepdims=True).clip(min=1)
    query = np.nonzero(near)[0]
    cells = (query, nearest_users[near])
    return sp.coo_array((weights[near], cells), shape=distances.shape).tocsr()
