"""DualGR computed for one target at a time, in plain loops over vectors: no mask, no batch, no cache, no search index.

Written from the definitions, with the vector arithmetic of `tests/models/naive_network.py`. DualGR has no public code
and its paper's constants were not at hand: those here are written out, and the fidelity card calls them ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from naive_network import _array, _attend, _bias, _encode, _feed_forward, _linear, _rms, searchable
from torch import nn

from baselines.dualgr import DualGRNetwork

Vector = np.ndarray
FREQUENCIES = 12
"""Buckets of how often a code occurs: 1, 2-3, 4-7, ..., the last open."""


def log_likelihood(
    network: DualGRNetwork, recent: Sequence[int], long_term: Sequence[int], target: int
) -> tuple[list[float], list[list[float]]]:
    """One target after `recent` events and the `long_term` events before them.

    Returns:
        The log-probability of each code, and the long branch's share of each token in each layer.
    """
    codes = network.codes[target].tolist()
    tables = [_array(table) for table in network.embedding.tables]
    hidden = [_array(network.decoder.begin), *(table[code] for table, code in zip(tables, codes[:-1], strict=False))]
    short = _encode(network, recent, long_term)
    distance = [_bias(network.decoder.bias.table, len(short) - 1 - place) for place in range(len(short))]
    findable = searchable(network, recent, long_term)
    long = [long_codes(network, long_term)] + [bucket(network, findable, codes[0])] * (len(codes) - 1)
    shares = []
    for layer in network.decoder.layers:
        normed = [_rms(layer.self_norm, state) for state in hidden]
        after, shares_of_layer = [], []
        for token, state in enumerate(hidden):
            state = state + _attend(layer.self_attention, normed[token], normed[: token + 1], None)
            asked = _rms(layer.cross_norm, state)
            of_short = _attend(layer.cross_attention, asked, short, distance)
            of_long = _attend(layer.cross_attention, asked, long[token], None) if long[token] else np.zeros_like(state)
            share = long_share(layer.router, asked, of_short, of_long) if long[token] else 0.0
            state = state + (1 - share) * of_short + share * of_long
            after.append(state + _feed_forward(layer, state))
            shares_of_layer.append(share)
        hidden = after
        shares.append(shares_of_layer)
    answer = []
    for table, state, code in zip(tables, hidden, codes, strict=True):
        logits = table @ _rms(network.decoder.norm, state)
        answer.append(float(logits[code] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()))
    return answer, shares


def long_codes(network: DualGRNetwork, long_term: Sequence[int]) -> list[Vector]:
    """One vector for each level-1 code that occurs in the long-term history."""
    counts = Counter(network.codes[item, 0].item() for item in long_term)
    table, frequency = _array(network.embedding.tables[0]), _array(network.frequency)
    return [
        _linear(network.project, table[code] + frequency[min(count.bit_length(), FREQUENCIES) - 1])
        for code, count in sorted(counts.items())
    ]


def bucket(network: DualGRNetwork, long_term: Sequence[int], code: int) -> list[Vector]:
    """One vector for each of the most recent long-term events whose level-1 code is `code`; tests set how many."""
    items = [item for item in reversed(long_term) if network.codes[item, 0] == code][: network.bucket_limit]
    tables = [_array(table) for table in network.embedding.tables]
    return [
        _linear(network.project, sum(table[code] for table, code in zip(tables, network.codes[item], strict=True)))
        for item in items
    ]


def long_share(router: nn.Module, state: Vector, short: Vector, long: Vector) -> float:
    query = _linear(router.query, state)
    nearer = _cosine(query, long) - _cosine(query, short)
    if router.kind == "hard":
        return float(nearer > 0)
    return float(1 / (1 + np.exp(-router.scale.item() * nearer)))


def _cosine(left: Vector, right: Vector) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
