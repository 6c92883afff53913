"""A tiny world for SIM, and SIM as a walk over each user's own history, one candidate at a time, in float64.

The paper (arXiv 2006.05639) names neither buckets of time gaps nor a scale of the attention's scores: those here are
this implementation's own, written out below, and the fidelity card calls the exact search unit approximated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.sim.config import SIMConfig
from baselines.sim.events import Events, Moments
from baselines.sim.network import SIMNetwork, TargetAttention
from models.history.semantic_search import SemanticSearchIndex

N_ITEMS, SHORT_TERM, LIMIT = 12, 3, 4
LAST_TIME_BUCKET, LAST_ORDER_BUCKET = 31, 63
HEAD_WIDTH = 4
CATEGORY = [0, 1, 2, 1, 2, 3, 1, 1, 2, 0, 3, 2]
SMALL: dict[str, Any] = {"short_term": SHORT_TERM, "limit": LIMIT, "dim": 8, "heads": 2, "hidden": 6, "dropout": 0.3}
# One user of each kind: no event, fewer events than the short term, a long history, one without repeats.
ROWS = [[], [4, 4], [1, 3, 0, 6, 7, 1, 3, 2, 9, 5, 5, 1], list(range(11))]
TIMES = [
    [],
    [10, 10],
    [0, 0, 5, 9, 200, 201, 5000, 5000, 80_000, 80_000, 80_100, 90_000],
    [0, 1, 3, 7, 8, 100, 1000, 2000, 4000, 10**6, 10**9],
]


def network(search: str = "hard", **config: Any) -> SIMNetwork:
    torch.manual_seed(0)
    network = SIMNetwork(N_ITEMS, np.array(CATEGORY), SIMConfig.model_validate(SMALL | {"search": search} | config))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape))
    return network.eval()


def events_of(rows: list[list[int]], times: list[list[int]]) -> Events:
    items = torch.tensor([item for row in rows for item in row], dtype=torch.long)
    seconds = torch.tensor([second for row in times for second in row], dtype=torch.long)
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])], dtype=torch.long)
    index = SemanticSearchIndex(items, offsets, torch.tensor(CATEGORY), max(CATEGORY) + 1)
    return Events(items, seconds, offsets, index)


def everyone(ends: list[int] | None = None) -> Moments:
    ends = [len(row) for row in ROWS] if ends is None else ends
    return Moments(events_of(ROWS, TIMES), torch.arange(len(ROWS)), torch.tensor(ends))


def naive_search(network: SIMNetwork, row: list[int], candidate: int) -> list[int]:
    """Positions of the long-term events that the general search unit keeps."""
    long_term = range(max(0, len(row) - SHORT_TERM))
    if network.config.search == "hard":
        return [p for p in long_term if CATEGORY[row[p]] == CATEGORY[candidate]][-LIMIT:]
    table = _compared(network)
    return sorted(long_term, key=lambda p: -float(table[row[p]] @ table[candidate]))[:LIMIT]


def naive_score(network: SIMNetwork, row: list[int], times: list[int], candidate: int) -> float:
    table, compared = _table(network), _compared(network)

    def read(attention: TargetAttention, positions: list[int]) -> np.ndarray:
        if not positions:
            return np.zeros(8)
        query = _array(attention.query.weight) @ compared[candidate]
        key_value = []
        for p in positions:
            seconds = min(LAST_TIME_BUCKET, int(np.floor(np.log2(1 + times[-1] - times[p]))))
            steps = min(LAST_ORDER_BUCKET, int(np.floor(4 * np.log2(1 + len(row) - 1 - p))))
            gap = _array(attention.time_gap.weight)[seconds] + _array(attention.order_gap.weight)[steps]
            key, value = np.split(_array(attention.key_value.weight), 2)
            key_value.append(np.concatenate([key @ compared[row[p]], value @ table[row[p]]]) + gap)
        answer = []
        for head in (slice(0, 4), slice(4, 8)):
            weights = np.exp([query[head] @ kv[:8][head] / np.sqrt(HEAD_WIDTH) for kv in key_value])
            weights /= weights.sum()
            answer.append(sum(w * kv[8:][head] for w, kv in zip(weights, key_value, strict=True)))
        return np.concatenate(answer)

    own = table[candidate]
    short = read(network.short, list(range(max(0, len(row) - SHORT_TERM), len(row))))
    long = read(network.long, naive_search(network, row, candidate))
    features = np.concatenate([own, short, long, own * short, own * long])
    _, inner, prelu, outer = network.rank
    hidden = _linear(inner, features)
    hidden = np.where(hidden > 0, hidden, _array(prelu.weight) * hidden)
    return float(_linear(outer, hidden)[0]) + float(network.popularity.weight[candidate, 0])


def _table(network: SIMNetwork) -> np.ndarray:
    return _array(network.items.weight) + _array(network.categories.weight)[CATEGORY]


def _compared(network: SIMNetwork) -> np.ndarray:
    """DARE: attention has tables of its own; what is read of an event, and ranked, has the others."""
    if not network.config.decoupled:
        return _table(network)
    items, categories = network.compared  # type: ignore[misc]
    return _array(items.weight) + _array(categories.weight)[CATEGORY]


def _linear(layer: nn.Linear, state: np.ndarray) -> np.ndarray:
    return _array(layer.weight) @ state + _array(layer.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
