"""The generative networks computed for one target at a time, in plain loops over vectors: no mask, no batch, no cache.

What a target must not see is simply not there. Everything is float64 and reads the weights of the network under test,
and of its configuration what a test sets. Constants are written out below with their source, and never come from the
code under test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from baselines.gems import StreamSum
from models.generation.causal_network import CausalNetwork
from models.generation.causal_transformer import Attention, Retrieved
from models.glass.glass import GlassNetwork, SIDTierNetwork
from models.history.age_bias import AgeBias
from models.history.copying import CopyHead
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import PrefixTrie

Vector = np.ndarray

RMS_EPSILON = 2.0**-23
"""What `torch.nn.RMSNorm` adds under the root without `eps` (PyTorch's documentation: `torch.finfo(dtype).eps`).

T5 has 1e-6 (transformers, `T5Config.layer_norm_epsilon`); the fidelity cards call the network's constants approximated.
"""
AGE_EDGES = (
    *(2, 3, 4, 6, 8, 12, 16, 23, 32, 46, 64, 91, 128, 182, 256, 363, 512, 725),
    *(1024, 1449, 2048, 2897, 4096, 5793),
)
"""Ages at which a bucket of the age bias begins: half powers of two, rounded up. Of no paper (card of `glass`)."""


def read_of(prepared: Retrieved, row: int, position: int) -> tuple[Tensor, Tensor]:
    """The keys and values `[heads, r, head_dim]` that attention reads for one target; fails if it reads none there."""
    assert isinstance(prepared.key_value, tuple)
    place = row * prepared.present.shape[1] + position
    if prepared.some is not None:
        place = (prepared.some == place).nonzero().item()
        return prepared.key_value[0][place], prepared.key_value[1][place]
    key, value = (side.flatten(0, 1) for side in prepared.key_value)
    return key[place], value[place]


def randomise(network: nn.Module, seed: int = 0) -> None:
    """Moves every parameter away from its initial value, so that a bias table of zeros or a norm of ones can't hide."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))


def ragged(rows: Sequence[Sequence[int]]) -> RaggedItems:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return RaggedItems.from_arrays(items, offsets, "cpu")


def long_term_of(rows: Sequence[Sequence[int]]) -> LongTerm:
    """Long-term histories that are whole rows."""
    return LongTerm(ragged(rows), torch.arange(len(rows)), torch.tensor([len(row) for row in rows]))


def trie_of(ids: SemanticIds) -> PrefixTrie:
    """The trie of a catalogue whose items are all as popular."""
    return PrefixTrie(ids, np.zeros(ids.n_items, dtype=np.int64), "cpu")


def log_likelihood(
    network: CausalNetwork,
    recent: Sequence[int],
    long_term: Sequence[int],
    target: int,
    gaps: Sequence[int] | None = None,
) -> list[float]:
    """Log-probability of each code of `target` after `recent` events and the `long_term` events before them.

    Of a network that reads them, `gaps` are the classes of time before each of the recent events.
    """
    codes = [int(code) for code in network.codes[target]]
    answer = []
    for level, logits in enumerate(code_logits(network, recent, long_term, codes, gaps)):
        code = codes[level]
        if network.over_catalogue:
            logits = logits + only_continuing(network, codes[:level], len(logits))
        answer.append(float(logits[code] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()))
    return answer


def only_continuing(network: CausalNetwork, prefix: Sequence[int], size: int) -> Vector:
    """0 for codes with which some item goes on after `prefix`, -inf for the others."""
    level = len(prefix)
    continuing = {codes[level] for codes in network.codes.tolist() if codes[:level] == list(prefix)}
    return np.array([0.0 if code in continuing else -np.inf for code in range(size)])


def code_logits(
    network: CausalNetwork,
    recent: Sequence[int],
    long_term: Sequence[int],
    codes: Sequence[int],
    gaps: Sequence[int] | None = None,
) -> list[Vector]:
    """Scores of all codes of each level, given those of `codes` before it."""
    encoded = _encode(network, recent, long_term, gaps)
    tokens = [_array(network.decoder.begin)]
    tokens += [_array(table)[code] for table, code in zip(network.embedding.tables, codes[:-1], strict=False)]
    findable = searchable(network, recent, long_term)
    length = len(recent) + len(long_term)
    hidden = _decode(network, tokens, encoded, findable, length, codes)
    answer = []
    for level, state in enumerate(hidden):
        logits = _array(network.embedding.tables[level]) @ state
        if network.copy_short is not None:
            short = zip(recent, encoded[len(encoded) - len(recent) :], range(len(recent), 0, -1), strict=True)
            logits = _with_copies(network.copy_short, network, logits, state, codes[:level], list(short))
        if network.copy_retrieved is not None and level > 0:
            places = naive_search(network, findable, codes[0])
            found = [(findable[place], _retrieved(network, findable[place]), length - place) for place in places]
            logits = _with_copies(network.copy_retrieved, network, logits, state, codes[:level], found)
        answer.append(logits)
    return answer


def _with_copies(
    head: CopyHead,
    network: CausalNetwork,
    logits: Vector,
    state: Vector,
    known: Sequence[int],
    events: Sequence[tuple[int, Vector, int]],
) -> Vector:
    """The logarithm of each code's weight once every event with the known codes has added its own to its next code's.

    Events are items, what their keys are made of, and their ages.
    """
    weight, level = np.exp(logits), len(known)
    query = _linear(head.query, state)
    for item, described, age in events:
        codes = network.codes[item].tolist()
        if codes[:level] == list(known):
            score = query @ _linear(head.key, described) / np.sqrt(len(query))
            score = score + _array(head.level_bias)[level] + _of_age(head.age_bias, age)[0]
            weight[codes[level]] += np.exp(score)
    return np.log(weight)


def searchable(network: CausalNetwork, recent: Sequence[int], long_term: Sequence[int]) -> list[int]:
    """All events but the last `short_term` ones, most of which may stand in `long_term`; these, too, if GLASS may."""
    everything = [*long_term, *recent]
    hidden = 0 if isinstance(network, GlassNetwork) and network.search.recent else network.short_term
    return everything[: max(0, len(everything) - hidden)]


def naive_search(network: GlassNetwork, findable: Sequence[int], code: int) -> list[int]:
    """The places in `findable` of the events that semantic hard search returns, in order (GLASS, 3.3 and 3.5)."""
    first = network.codes[:, 0].tolist()
    if getattr(network, "indexer", None) is not None:
        return naive_indexer(network, findable, code)[0]
    first_seen = max(0, len(findable) - (network.horizon or len(findable)))
    latest = range(len(findable) - 1, first_seen - 1, -1)
    own = [place for place in latest if first[findable[place]] == code]
    if network.neighbours is not None and len(own) < network.search.threshold:
        for other in network.neighbours[code].tolist():
            own = own + [place for place in latest if first[findable[place]] == other]
    return own[: network.search.limit]


def naive_indexer(network: GlassNetwork, findable: Sequence[int], code: int) -> tuple[list[int], list[float]]:
    """GEMs: the places of the best events of the middle stream, best and then newest first, and their scores."""
    indexer = network.indexer
    query = _linear(indexer.query, _array(network.embedding.tables[0])[code])
    first_seen = max(0, len(findable) - indexer.middle)
    scored = []
    for place in range(first_seen, len(findable)):
        key = _linear(indexer.key, _embedded(network, findable[place]))
        scored.append((-float(query @ key) / np.sqrt(len(query)), -place))
    best = sorted(scored)[: network.search.limit]
    return [-place for _, place in best], [-score for score, _ in best]


def _encode(
    network: CausalNetwork, recent: Sequence[int], long_term: Sequence[int], gaps: Sequence[int] | None = None
) -> list[Vector]:
    encoder = network.encoder
    hidden = [_array(encoder.start)]
    if isinstance(network, SIDTierNetwork) and network.sid_tier is not None:
        tiers, n_tiers = network.sid_tier.tiers.tolist(), network.sid_tier.n_tiers
        long_term = long_term[-network.horizon :] if network.horizon else long_term
        counts = np.zeros((len(tiers[0]), n_tiers))
        for item in long_term:
            for code, tier in enumerate(tiers[item]):
                counts[code, tier] += 1 / len(long_term)
        first, _, _, second = network.sid_tier.mlp
        hidden.append(_linear(second, np.maximum(_linear(first, counts.reshape(-1)), 0)))
    for place, item in enumerate(recent):
        hidden.append(_embedded(network, item))
        if gaps is not None:
            assert network.gap is not None
            hidden[-1] = hidden[-1] + _array(network.gap.weight)[gaps[place]]
    for layer in encoder.layers:
        normed = [_rms(layer.attention_norm, state) for state in hidden]
        read = [
            _attend(
                layer.attention, normed[i], normed[: i + 1], [_bias(encoder.bias.table, i - j) for j in range(i + 1)]
            )
            for i in range(len(hidden))
        ]
        hidden = [state + found for state, found in zip(hidden, read, strict=True)]
        hidden = [state + _feed_forward(layer, state) for state in hidden]
    return [_rms(encoder.norm, state) for state in hidden]


def _decode(
    network: CausalNetwork,
    tokens: list[Vector],
    encoded: list[Vector],
    findable: Sequence[int],
    length: int,
    codes: Sequence[int],
) -> list[Vector]:
    decoder, hidden = network.decoder, tokens
    distance = [_bias(decoder.bias.table, len(encoded) - 1 - j) for j in range(len(encoded))]
    for layer in decoder.layers:
        normed = [_rms(layer.self_norm, state) for state in hidden]
        after = []
        for i, state in enumerate(hidden):
            state = state + _attend(layer.self_attention, normed[i], normed[: i + 1], None)
            asked = _rms(layer.cross_norm, state)
            fused = short = _attend(layer.cross_attention, asked, encoded, distance)
            if isinstance(network, GlassNetwork) and i > 0:
                found = naive_search(network, findable, codes[0])
                if found:
                    memory = [_retrieved(network, findable[place]) for place in found]
                    bias = [np.zeros(layer.retrieved_attention.heads) for _ in found]
                    if layer.age_bias is not None:
                        bias = [b + _of_age(layer.age_bias, length - p) for b, p in zip(bias, found, strict=True)]
                    if layer.prefix_bias is not None:
                        steps = _array(layer.prefix_bias.steps)[i - 1]
                        for place, each in zip(found, bias, strict=True):
                            item = network.codes[findable[place]].tolist()
                            for level in range(i):
                                if item[: level + 1] == list(codes[: level + 1]):
                                    each += steps[level]
                    if getattr(network, "indexer", None) is not None:
                        scores = naive_indexer(network, findable, codes[0])[1]
                        bias = [b + score for b, score in zip(bias, scores, strict=True)]
                    read = _attend(layer.retrieved_attention, asked, memory, bias)
                    if isinstance(layer.fusion, StreamSum):
                        fused = short + read
                    else:
                        gate = _gate(layer.fusion, asked, short, read)
                        fused = (1 - gate) * short + gate * read
            state = state + fused
            after.append(state + _feed_forward(layer, state))
        hidden = after
    return [_rms(decoder.norm, state) for state in hidden]


def _retrieved(network: GlassNetwork, item: int) -> Vector:
    """What attention reads of a retrieved item."""
    return _linear(network.project, _embedded(network, item))


def _embedded(network: CausalNetwork, item: int) -> Vector:
    return sum(_array(table)[code] for table, code in zip(network.embedding.tables, network.codes[item], strict=True))


def _gate(fusion: nn.Module, hidden: Vector, short: Vector, read: Vector) -> Vector:
    if fusion.fixed_gate is not None:
        return np.full_like(short, fusion.fixed_gate)
    asked = hidden if fusion.gate_input == "hidden" else short
    return 1 / (1 + np.exp(-_linear(fusion.gate, np.concatenate([asked, read]))))


def _attend(attention: Attention, asked: Vector, memory: list[Vector], bias: list[Vector] | None) -> Vector:
    """Attention divided by the root of a head's width (Vaswani et al., eq. 1), unlike T5's, as the cards say."""
    query = _linear(attention.query, asked)
    key_value = [_linear(attention.key_value, state) for state in memory]
    dim = len(query)
    width = dim // attention.heads
    read = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        scores = np.array([query[part] @ kv[:dim][part] / np.sqrt(width) for kv in key_value])
        if bias is not None:
            scores = scores + np.array([b[head] for b in bias])
        weights = np.exp(scores - scores.max())
        weights = weights / weights.sum()
        read.append(sum(w * kv[dim:][part] for w, kv in zip(weights, key_value, strict=True)))
    return _linear(attention.out, np.concatenate(read))


def _bias(table: Tensor, distance: int) -> Vector:
    return _array(table)[:, min(distance, table.shape[1] - 1)]


def _of_age(bias: AgeBias, age: int) -> Vector:
    """By counting the edges that the age has reached."""
    return _array(bias.table)[sum(edge <= age for edge in AGE_EDGES)]


def _feed_forward(layer: nn.Module, state: Vector) -> Vector:
    inner, _, outer = layer.feed_forward
    return _linear(outer, np.maximum(_linear(inner, _rms(layer.feed_forward_norm, state)), 0))


def _rms(norm: nn.RMSNorm, state: Vector) -> Vector:
    return state / np.sqrt((state**2).mean() + RMS_EPSILON) * _array(norm.weight)


def _linear(layer: nn.Linear, state: Vector) -> Vector:
    return _array(layer.weight) @ state + (0 if layer.bias is None else _array(layer.bias))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
