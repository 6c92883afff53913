"""The official GLASS function for one target at a time, in loops over vectors in float64: no mask, batch or cache.

It reads nothing but a `state_dict` with the official names; constants are the official ones, with the lines of
github.com/cst20/GLASS at commit d6014c3 where they stand. What the official code masks is not computed at all; where
it masks everything, attention there is uniform over padding, which is the same as reading one padding token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Vector = np.ndarray
EPSILON = 1e-6  # glass/main_glass.py, line 36: `T5LayerNorm`
BUCKETS, FURTHEST = 32, 128  # line 48: `T5RelativePositionBias`; half of the buckets for each direction, line 59
Codes = Sequence[int]


@dataclass
class Official:
    """An official network.

    Attributes:
        state: Its `state_dict`.
        stride: Widest codebook.
        short_term: Items that the encoder has room for.
        tier_last: Whether the SID-Tier token stands behind the history (paper).
        gate_input: "hidden" or "short" (paper).
        fixed_gate: A constant in place of the gate.
    """

    state: Mapping[str, Tensor]
    stride: int
    short_term: int
    tier_last: bool = False
    gate_input: str = "hidden"
    fixed_gate: float | None = None

    def logits(
        self,
        recent: Sequence[Codes],
        tier_shares: Sequence[float] | None,
        retrieved: Sequence[Codes] | None,
        known: Codes,
        begin: int,
    ) -> list[Vector]:
        """Scores of the whole vocabulary after the begin token and after each known code.

        Args:
            recent: Codes of the recent items, oldest first.
            tier_shares: Input of the SID-Tier MLP; None for a network without it.
            retrieved: Codes of the items found for the first code; None for a network without search.
            known: Codes of the target so far.
            begin: The begin token.
        """
        memory = self._encode(recent, tier_shares)
        tokens = [begin, *(1 + level * self.stride + code for level, code in enumerate(known))]
        found = None if retrieved is None else self._tokens(retrieved) or [0]
        states = [self._array("shared.weight")[token] for token in tokens]
        read = [] if found is None else [self._project(self._array("shared.weight")[token]) for token in found]
        for block in self._blocks("decoder_blocks"):
            normed = [self._norm(f"{block}.layer_norm1", state) for state in states]
            after = []
            for i, state in enumerate(states):
                bias = [self._bias("decoder_blocks", j - i) for j in range(i + 1)]
                state = state + self._attend(f"{block}.self_attn", normed[i], normed[: i + 1], bias)
                asked = self._norm(f"{block}.layer_norm2", state)
                fused = self._attend(f"{block}.cross_attn_hist", asked, memory, None)
                if read and i > 0:
                    short, new = fused, self._attend(f"{block}.cross_attn_sim", asked, read, None)
                    gate = self._gate(block, asked, short, new)
                    fused = short * (1 - gate) + new * gate
                state = state + fused
                after.append(state + self._feed_forward(block, state))
            states = after
        table = self._array("shared.weight")
        return [table @ self._norm("decoder_norm", state) for state in states]

    def _encode(self, recent: Sequence[Codes], tier_shares: Sequence[float] | None) -> list[Vector]:
        tokens = self._tokens(recent)
        room = self.short_term * (len(recent[0]) if recent else 1)
        first = room - len(tokens)  # the history is padded in front
        placed = [(first + j, self._array("shared.weight")[token]) for j, token in enumerate(tokens)]
        if tier_shares is not None:
            inner = np.maximum(self._linear("sidtier_mlp.0", np.asarray(tier_shares, dtype=np.float64)), 0)
            placed.insert(0, (room if self.tier_last else -1, self._linear("sidtier_mlp.3", inner)))
        elif not placed:
            placed = [(0, self._array("shared.weight")[0])]
        places, states = [place for place, _ in placed], [state for _, state in placed]
        for block in self._blocks("encoder_blocks"):
            normed = [self._norm(f"{block}.layer_norm1", state) for state in states]
            after = []
            for i, state in enumerate(states):
                bias = [self._bias("encoder_blocks", place - places[i]) for place in places]
                state = state + self._attend(f"{block}.self_attn", normed[i], normed, bias)
                after.append(state + self._feed_forward(block, state))
            states = after
        return [self._norm("encoder_norm", state) for state in states]

    def _tokens(self, items: Sequence[Codes]) -> list[int]:
        # glass/dataset.py, line 120: the code, plus 128 for each level before, plus 1
        return [1 + level * self.stride + code for codes in items for level, code in enumerate(codes)]

    def _gate(self, block: str, hidden: Vector, short: Vector, read: Vector) -> Vector:
        if self.fixed_gate is not None:
            return np.full_like(short, self.fixed_gate)
        asked = hidden if self.gate_input == "hidden" else short
        logits = self._linear(f"{block}.gate_layer", np.concatenate([asked, read]))
        return (1 + np.tanh(logits / 2)) / 2  # the sigmoid, without overflow

    def _attend(self, name: str, asked: Vector, memory: list[Vector], bias: list[Vector] | None) -> Vector:
        heads = self._array("encoder_blocks.0.self_attn.relative_bias.relative_attention_bias.weight").shape[1]
        query = self._linear(f"{name}.q", asked).reshape(heads, -1)
        keys = [self._linear(f"{name}.k", state).reshape(heads, -1) for state in memory]
        values = [self._linear(f"{name}.v", state).reshape(heads, -1) for state in memory]
        read = []
        for head in range(heads):
            scores = [query[head] @ key[head] + (0 if bias is None else bias[j][head]) for j, key in enumerate(keys)]
            weights = [math.exp(score - max(scores)) for score in scores]
            read.append(sum(w * value[head] for w, value in zip(weights, values, strict=True)) / sum(weights))
        return self._linear(f"{name}.o", np.concatenate(read))

    def _bias(self, stack: str, distance: int) -> Vector:
        table = self._array(f"{stack}.0.self_attn.relative_bias.relative_attention_bias.weight")
        assert len(table) == BUCKETS
        side, away = BUCKETS // 2, abs(distance)
        exact = side // 2  # line 65: `max_exact`
        bucket = away
        if away >= exact:
            octaves = math.log(away / exact) / math.log(FURTHEST / exact)
            bucket = min(side - 1, exact + int(octaves * (side - exact)))
        return table[bucket + (side if distance > 0 else 0)]

    def _feed_forward(self, block: str, state: Vector) -> Vector:
        inner = self._linear(f"{block}.ff_in", self._norm(f"{block}.layer_norm3", state))
        return self._linear(f"{block}.ff_out", np.maximum(inner, 0))

    def _project(self, state: Vector) -> Vector:
        return self._linear("sim_projector", state)

    def _norm(self, name: str, state: Vector) -> Vector:
        return state / math.sqrt((state**2).mean() + EPSILON) * self._array(f"{name}.weight")

    def _linear(self, name: str, state: Vector) -> Vector:
        bias = self._array(f"{name}.bias") if f"{name}.bias" in self.state else 0
        return self._array(f"{name}.weight") @ state + bias

    def _blocks(self, stack: str) -> list[str]:
        numbers = {int(name.split(".")[1]) for name in self.state if name.startswith(f"{stack}.")}
        return [f"{stack}.{number}" for number in sorted(numbers)]

    def _array(self, name: str) -> np.ndarray:
        return self.state[name].detach().double().numpy()


@dataclass(frozen=True)
class OfficialSizes:
    """What the shapes of an official `state_dict` depend on.

    Attributes:
        vocabulary: Tokens.
        tier_inputs: Inputs of SID-Tier's network; None without SID-Tier.
        dim, heads, head_dim, feed_forward, layers: Of encoder and decoder.
        search: Whether there is a second cross-attention.
        learned_gate: Whether its gate is learned.
    """

    vocabulary: int
    tier_inputs: int | None
    dim: int = 8
    heads: int = 2
    head_dim: int = 3
    feed_forward: int = 12
    layers: int = 2
    search: bool = True
    learned_gate: bool = True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, in the order in which values are drawn."""
        dim = self.dim
        shapes: dict[str, tuple[int, ...]] = {"shared.weight": (self.vocabulary, dim)}
        if self.search:
            shapes |= {"sim_projector.weight": (dim, dim), "sim_projector.bias": (dim,)}
        if self.tier_inputs is not None:
            shapes |= {"sidtier_mlp.0.weight": (dim, self.tier_inputs), "sidtier_mlp.0.bias": (dim,)}
            shapes |= {"sidtier_mlp.3.weight": (dim, dim), "sidtier_mlp.3.bias": (dim,)}
        for stack in ("encoder", "decoder"):
            for number in range(self.layers):
                shapes |= self._block_shapes(stack, number)
            shapes[f"{stack}_norm.weight"] = (dim,)
        return shapes

    def _block_shapes(self, stack: str, number: int) -> dict[str, tuple[int, ...]]:
        block, dim, inner = f"{stack}_blocks.{number}", self.dim, self.heads * self.head_dim
        attentions = ["self_attn"]
        shapes: dict[str, tuple[int, ...]] = {
            f"{block}.layer_norm1.weight": (dim,),
            f"{block}.layer_norm3.weight": (dim,),
        }
        shapes |= {
            f"{block}.ff_in.weight": (self.feed_forward, dim),
            f"{block}.ff_out.weight": (dim, self.feed_forward),
        }
        if number == 0:
            shapes[f"{block}.self_attn.relative_bias.relative_attention_bias.weight"] = (BUCKETS, self.heads)
        if stack == "decoder":
            shapes[f"{block}.layer_norm2.weight"] = (dim,)
            attentions.append("cross_attn_hist")
            if self.search:
                attentions.append("cross_attn_sim")
            if self.search and self.learned_gate:
                shapes |= {f"{block}.gate_layer.weight": (dim, 2 * dim), f"{block}.gate_layer.bias": (dim,)}
        for attention in attentions:
            shapes |= {f"{block}.{attention}.{part}.weight": (inner, dim) for part in "qkv"}
            shapes[f"{block}.{attention}.o.weight"] = (dim, inner)
        return shapes


def random_state(seed: int, sizes: OfficialSizes, deviation: float = 0.5) -> dict[str, Tensor]:
    """A `state_dict` as `torch.save(model.state_dict())` of the official code would write it, with random values.

    Weights have mean 0, those of normalisation 1; `deviation` is the standard deviation of all.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {name: deviation * torch.randn(shape, generator=generator) for name, shape in sizes.shapes().items()}
    state = {name: value + (1 if "norm" in name else 0) for name, value in state.items()}
    state["lm_head.weight"] = state["shared.weight"]
    if sizes.search:
        state["sim_embedding.weight"] = state["shared.weight"]
    return state
