"""Whether a recommender answers alike when it is asked again, and in other company."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.interactions import PAD
from bench.data.protocols import Queries
from bench.evaluation.contract import ContractError, checked, checked_sid_of_item
from bench.evaluation.evaluator import K_MAX
from bench.recommender import Recommender

MOST_ASKED = 32
"""Queries that are asked again: the first ones."""

LEAST_SHARED = 0.9
"""Share of the listed items that have to be the same. Sums of floats differ a little with the shape of a batch, and
items whose scores are nearly equal may change places at the end of a list."""


def check_asked_again(recommender: Recommender, queries: Queries, k: int = K_MAX) -> None:
    """Asks some queries at once, and in another order in two parts of unequal size, and compares the lists.

    A number of a model whose answers depend on chance, or on which queries come together, can't be made again.

    Args:
        recommender: Fitted.
        queries: Histories and targets; only copies of the histories reach the recommender.
        k: Length of the lists.

    Raises:
        ContractError: The lists differ, beyond what rounding explains.
    """
    n = min(len(queries), MOST_ASKED)
    sid_of_item = checked_sid_of_item(recommender.sid_of_item, queries.interactions.n_items)

    def listed(numbers: NDArray[np.intp]) -> list[set[int]]:
        histories = queries.interactions.histories(queries.users[numbers], queries.ends[numbers], queries.exclude_seen)
        answer = checked(recommender.recommend(histories.copy(), k), histories, k, sid_of_item)
        return [set(row[row != PAD].tolist()) for row in answer.items]

    together = listed(np.arange(n))
    order = np.random.default_rng(0).permutation(n)
    apart = [one for part in np.split(order, [n // 3]) if len(part) for one in listed(part)]
    together = [together[number] for number in order]
    shared = sum(len(one & other) for one, other in zip(together, apart, strict=True))
    most = sum(max(len(one), len(other)) for one, other in zip(together, apart, strict=True))
    if most and shared < LEAST_SHARED * most:
        raise ContractError(
            f"recommend answered {n} of the queries anew with other items: {1 - shared / most:.0%} of them; lists may "
            "depend neither on chance (seed what draws) nor on which queries come together"
        )
