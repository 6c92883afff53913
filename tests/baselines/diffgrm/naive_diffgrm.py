"""DiffGRM in loops, from its source (liuzhao09/DiffGRM @ad7b971, `genrec/models/DIFF_GRM/`): slow, and independent.

A network's weights are looked up in its modules; what is done with them, constants and order are the source's.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from torch import Tensor, nn

from baselines.diffgrm.network import Attention, DiffGRMNetwork, FeedForward

EPSILON = 1e-5
"""`norm_eps: 1e-5` in config.yaml."""

Codes = tuple[int | None, ...]
"""Digits of an item; None where the source writes a mask."""


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def linear(layer: nn.Linear, state: np.ndarray) -> np.ndarray:
    return state @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))


def norm(layer: nn.LayerNorm, states: np.ndarray) -> np.ndarray:
    centred = states - states.mean(-1, keepdims=True)
    return centred / np.sqrt(states.var(-1, keepdims=True) + EPSILON) * array(layer.weight) + array(layer.bias)


def attention(layer: Attention, states: np.ndarray, read: np.ndarray, hidden: list[bool]) -> np.ndarray:
    """`MultiHeadAttention`: one matrix for queries, keys and values, without a bias; scores over sqrt(head's width)."""
    dim, heads = states.shape[-1], layer.heads
    weights = array(layer.qkv.weight)
    query, key, value = states @ weights[:dim].T, read @ weights[dim : 2 * dim].T, read @ weights[2 * dim :].T
    found = np.zeros_like(states)
    for row in range(len(states)):
        for head in range(heads):
            part = slice(head * dim // heads, (head + 1) * dim // heads)
            shares = [
                0.0 if hidden[place] else math.exp(query[row, part] @ key[place, part] / math.sqrt(dim / heads))
                for place in range(len(read))
            ]
            for place, share in enumerate(shares):
                found[row, part] += share / sum(shares) * value[place, part]
    return linear(layer.out, found)


def feed_forward(layer: FeedForward, states: np.ndarray) -> np.ndarray:
    """`FeedForward` with `act='gelu'`, which is `F.gelu`: the exact one."""
    inner = linear(layer.inner, states)
    erf = np.vectorize(math.erf)
    return linear(layer.outer, inner * 0.5 * (1 + erf(inner / math.sqrt(2))))


def tables(network: DiffGRMNetwork) -> list[np.ndarray]:
    """The rows of the one table of tokens that belong to each digit."""
    ends = np.cumsum(network.sizes)
    return [array(network.embedding.weight)[end - size : end] for end, size in zip(ends, network.sizes, strict=True)]


def encoded(network: DiffGRMNetwork, history: list[int], length: int) -> np.ndarray:
    """`DIFF_GRM.forward` up to the encoder's output: events first, padding behind, which becomes 0."""
    rows = []
    for place in range(length):
        codes = array(network.codes)[history[place]].astype(int) if place < len(history) else [0] * len(network.sizes)
        side_by_side = np.concatenate([table[code] for table, code in zip(tables(network), codes, strict=True)])
        inner = np.maximum(linear(network.item[0], side_by_side), 0)  # type: ignore[arg-type]
        rows.append(linear(network.item[2], inner) + array(network.positions.weight)[place])  # type: ignore[arg-type]
    states, hidden = np.array(rows), [place >= len(history) for place in range(length)]
    for layer in network.encoder:
        normed = norm(layer.attention_norm, states)
        states = states + attention(layer.attention, normed, normed, hidden)
        states = states + feed_forward(layer.feed_forward, norm(layer.feed_forward_norm, states))
    return norm(network.norm, states) * ~np.array(hidden)[:, None]


def log_probabilities(network: DiffGRMNetwork, memory: np.ndarray, codes: Codes) -> list[np.ndarray]:
    """`forward_decoder_only` and `_compute_digit_logits`: per digit one vector."""
    rows = [
        array(network.masks.weight)[digit] if code is None else tables(network)[digit][code]
        for digit, code in enumerate(codes)
    ]
    states = np.array(rows)
    for layer in network.decoder:
        normed = norm(layer.digits_norm, states)
        states = states + attention(layer.among_digits, normed, normed, [False] * len(states))
        read = attention(layer.to_history, norm(layer.history_norm, states), memory, [False] * len(memory))
        states = states + read
        states = states + feed_forward(layer.feed_forward, norm(layer.feed_forward_norm, states))
    states = norm(network.norm, states)
    logits = [table @ state for table, state in zip(tables(network), states, strict=True)]
    return [scores - math.log(np.exp(scores - scores.max()).sum()) - scores.max() for scores in logits]


def loss(network: DiffGRMNetwork, memories: list[np.ndarray], targets: list[Codes], smoothing: float) -> float:
    """`guided` with `guided_select: least` and `msp`, not refreshed: the mean over masked digits of all views."""
    losses = []
    for memory, target in zip(memories, targets, strict=True):
        nothing = log_probabilities(network, memory, (None,) * len(target))
        order = sorted(range(len(target)), key=lambda digit: nothing[digit].max())
        for masked in (order[:count] for count in range(1, len(target) + 1)):
            view = tuple(None if digit in masked else code for digit, code in enumerate(target))
            found = log_probabilities(network, memory, view)
            for digit in masked:
                code = target[digit]
                assert code is not None
                spread = -found[digit].mean()
                losses.append((1 - smoothing) * -found[digit][code] + smoothing * spread)
    return float(np.mean(losses))


def denoised(
    network: DiffGRMNetwork, memory: np.ndarray, catalogue: set[Codes], width: int
) -> list[tuple[Codes, float]]:
    """`iterative_mask_decode` with every step confined to the catalogue: full IDs and scores, best first."""
    digits = len(network.sizes)
    beams: dict[Codes, float] = {(None,) * digits: 0.0}
    for _ in range(digits):
        ways: dict[Codes, float] = {}
        for codes, score in beams.items():
            found = log_probabilities(network, memory, codes)
            for digit, code in product(range(digits), range(max(network.sizes))):
                if codes[digit] is not None or code >= network.sizes[digit]:
                    continue
                longer = (*codes[:digit], code, *codes[digit + 1 :])
                if any(all(a in (None, b) for a, b in zip(longer, item, strict=True)) for item in catalogue):
                    ways[longer] = max(ways.get(longer, -math.inf), score + found[digit][code])
        beams = dict(sorted(ways.items(), key=lambda way: -way[1])[:width])
    return sorted(beams.items(), key=lambda way: -way[1])
