"""Weights of the official GLASS code for the networks of `models.glass.official`, parameter by parameter.

The names are those of the class `GLASS` in the authors' `main_glass.py`, read in their repository; its checkpoints
(`torch.save(model.state_dict())`) load with `torch.load(path, weights_only=True)`. No checkpoint was at hand: what is
pinned is the function for random weights, within the bounds of `load_official`, not a file.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.errors import BenchError
from models.glass.official import SIDTierT5Network

_TIED = ("lm_head.weight", "sim_embedding.weight")
"""Other names of `shared.weight`."""

_MODULES = {
    "embedding": "shared",
    "project": "sim_projector",
    "sid_tier.mlp.0": "sidtier_mlp.0",
    "sid_tier.mlp.3": "sidtier_mlp.3",
    "encoder.bias.table": "encoder_blocks.0.self_attn.relative_bias.relative_attention_bias",
    "encoder.norm": "encoder_norm",
    "decoder.bias.table": "decoder_blocks.0.self_attn.relative_bias.relative_attention_bias",
    "decoder.norm": "decoder_norm",
}
_BLOCKS = {"encoder.layers": "encoder_blocks", "decoder.layers": "decoder_blocks"}
_PARTS = {
    "attention_norm": "layer_norm1",
    "attention": "self_attn",
    "self_norm": "layer_norm1",
    "self_attention": "self_attn",
    "cross_norm": "layer_norm2",
    "cross_attention": "cross_attn_hist",
    "retrieved_attention": "cross_attn_sim",
    "fusion.gate": "gate_layer",
    "feed_forward_norm": "layer_norm3",
    "feed_forward.0": "ff_in",
    "feed_forward.3": "ff_out",
}
_PROJECTIONS = {"query": "q", "key": "k", "value": "v", "out": "o"}


def official_name(ours: str) -> str:
    """Translates the name of a parameter into that of the official code; `begin` alone has none there.

    >>> official_name("decoder.layers.2.retrieved_attention.key.weight")
    'decoder_blocks.2.cross_attn_sim.k.weight'
    """
    module, _, leaf = ours.rpartition(".")
    if module in _MODULES:
        return f"{_MODULES[module]}.{leaf}"
    stack, layers, number_and_part = module.split(".", 2)
    number, _, part = number_and_part.partition(".")
    if part not in _PARTS:
        attention, _, projection = part.rpartition(".")
        part, leaf = attention, f"{_PROJECTIONS[projection]}.{leaf}"
    return f"{_BLOCKS[f'{stack}.{layers}']}.{number}.{_PARTS[part]}.{leaf}"


def load_official(network: SIDTierT5Network, state: Mapping[str, Tensor], begin_token: int | None = None) -> None:
    """Copies official weights into a network of the same size.

    The network is the official function then, up to rounding. In float64 no logit differs from it by more than 1e-8. In
    float32, the precision of both, no logit differs from the float64 function by more than 1e-4 (absolute) where logits
    are of unit scale, with a root mean square up to 2. Larger weights make attention, whose scores T5 doesn't divide,
    nearly hard, and a near tie then decides by rounding: with logits of root mean square 10, differences of 1e-3 occur.

    Args:
        network: Changed in place.
        state: The official `state_dict`, with or without the prefix `module.` of `DataParallel`.
        begin_token: Row of the token table from which decoding begins, `bos_token_id` of the official code. None: the
            code's own default there, three levels of 128 codes: 384, which is levels times the widest codebook.

    Raises:
        BenchError: A parameter is absent, left over, or of another shape.
    """
    given = {name.removeprefix("module."): value for name, value in state.items()}
    if begin_token is None:
        begin_token = network.levels * network.vocabulary.stride
    ours: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        theirs = "shared.weight" if name == "begin" else official_name(name)
        if theirs not in given:
            raise BenchError(f"official weights lack '{theirs}': configure the network without that part")
        value = given[theirs][begin_token] if name == "begin" else given[theirs]
        if value.shape != parameter.shape:
            raise BenchError(
                f"official weight '{theirs}' has shape {tuple(value.shape)}, the network's {tuple(parameter.shape)}: "
                "make the network's configuration that of the weights"
            )
        ours[name] = value
    used = {official_name(name) for name in ours if name != "begin"}
    for name in sorted(given.keys() - used):
        if name not in _TIED or not torch.equal(given[name], given["shared.weight"]):
            raise BenchError(f"official weight '{name}' has no place in the network: configure it with that part")
    network.load_state_dict(ours, strict=True)
