"""Small attention against a naive twin in float64, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs, and with the extra [dev] on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Case(NamedTuple):
    targets: int
    heads: int
    queries: int
    keys: int
    width: int
    bias: tuple[int, ...] | None  # its shape
    learns: bool = False
    scale: float | None = None
    dropout: float = 0.0
    dtype: torch.dtype = torch.float32


CASES = {
    "one-row-for-each-query": Case(5, 4, 3, 3, 8, (3, 3)),
    "one-row-for-each-target": Case(5, 2, 2, 20, 8, (5, 1, 1, 20)),
    "learned-bias": Case(3, 2, 2, 7, 16, (3, 2, 2, 7), True, 1.0),
    "odd-heads": Case(3, 2, 1, 5, 6, (3, 2, 1, 5), True),
    "no-bias": Case(2, 1, 1, 1, 4, None),
    "nothing": Case(0, 2, 2, 3, 4, (1, 1, 1, 3)),
    "history": Case(2, 2, 4, 151, 8, (2, 1, 1, 151), False, 1.0, 0.1),
    "history-no-dropout": Case(2, 1, 4, 151, 8, (2, 1, 1, 151), False, 1.0),
    "tiles-that-fit": Case(2, 1, 2, 128, 6, (1, 2, 128), True, None, 0.5),
    "own-tokens": Case(6, 3, 4, 4, 8, (3, 4, 4), True, 1.0, 0.3),
    "no-bias-dropout": Case(3, 2, 8, 33, 4, None, False, None, 0.2),
    "nothing-dropped": Case(0, 2, 2, 3, 4, (1, 1, 1, 3), False, None, 0.1),
    "two-bytes": Case(2, 2, 4, 70, 8, (2, 1, 1, 70), False, 1.0, 0.2, torch.bfloat16),
    "two-bytes-learned": Case(4, 2, 4, 4, 8, (2, 4, 4), True, None, 0.2, torch.float16),
}


def test_small_attention_and_its_gradients_are_those_of_a_naive_twin() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "0" if DEVICE == "cuda" else "1"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*CASES, "dropped", "leading-dimensions", "decoder"]


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_it_is_recorded_as_a_graph_that_drops_anew_at_each_replay(dropout: float) -> None:
    from graph_replays import replayed  # this file is a script, too, that knows no folder of tests

    from models.generation.small_attention import small_attention

    torch.manual_seed(0)
    sides = [torch.randn(64, 6, length, 64, device=DEVICE, requires_grad=True) for length in (4, 151, 151)]
    towards = torch.randn(sides[0].shape, device=DEVICE)

    def step() -> list[Tensor]:
        attended = small_attention(*sides, dropout=dropout)
        return [attended.detach(), *torch.autograd.grad(attended, sides, towards)]

    for direct, first, second in replayed(step):
        assert bool(first.isfinite().all())
        assert torch.equal(first, second) == torch.equal(first, direct) == (not dropout)


@pytest.mark.parametrize(
    ("query", "key", "few"),
    [
        ((9, 6, 4, 64), (9, 6, 151, 64), True),
        ((9, 1, 6, 4, 64), (9, 1, 6, 4, 64), True),
        ((9, 6, 9, 64), (9, 6, 151, 64), False),  # too many queries
        ((9, 6, 4, 8), (9, 6, 257, 8), False),  # too many keys
        ((9, 6, 4, 128), (9, 6, 151, 128), False),  # too wide
        ((6, 4, 64), (6, 151, 64), False),  # not of several targets
        ((9, 6, 4, 64), (6, 151, 64), False),  # keys that all share
        ((9, 6, 4, 64), (1, 6, 151, 64), False),
    ],
)
def test_a_gpu_asks_it_for_few_queries_and_keys_of_their_own(
    query: tuple[int, ...], key: tuple[int, ...], few: bool
) -> None:
    from models.generation.attention import _are_few

    assert _are_few(torch.empty(query), (torch.empty(key), torch.empty(key))) is few
    assert not _are_few(torch.empty(query).double(), (torch.empty(key), torch.empty(key)))


def test_what_is_more_than_it_takes_is_said() -> None:
    from models.generation.small_attention import small_attention

    with pytest.raises(ValueError, match="9 queries and 3 keys of 4 are more"):
        small_attention(torch.zeros(1, 1, 9, 4), *torch.zeros(2, 1, 1, 3, 4))


def _compare(case: Case, by_row: bool) -> None:
    from models.generation.attention_layout import kept_weights
    from models.generation.small_attention import small_attention

    n, heads, n_queries, n_keys, width, shape, learns, scale, dropout, dtype = case
    torch.manual_seed(0)
    # As they come: heads side by side, keys and values cut out of one tensor.
    query = torch.randn(n, n_queries, heads, width, device=DEVICE).to(dtype)
    both = torch.randn(n, n_keys, 2, heads, width, device=DEVICE).to(dtype)
    rows = None
    if by_row:  # of few, so that rows come back within a sequence and in others
        both = torch.randn(4, 2, heads, width, device=DEVICE).to(dtype)
        rows = torch.randint(4, (n, n_keys), device=DEVICE)
    bias = None
    if shape is not None:
        bias = torch.randn(shape, device=DEVICE)
        bias[..., 0] = -torch.inf if n_keys > 1 and not learns else 0.0
        bias[..., n_keys // 3 : n_keys // 2] = -torch.inf
    torch.manual_seed(3)
    kept = torch.ones(n, heads, n_queries, n_keys, device=DEVICE)
    if dropout:
        kept = kept_weights(tuple(kept.shape), dropout, kept.device)
        assert not n or 0 < kept.float().mean() < 1

    def twin(
        query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None, rows: Tensor | None
    ) -> Tensor:
        query, key, value = query.double(), key.double(), value.double()
        if rows is not None:
            key, value = (side[:, rows].transpose(0, 1) for side in (key, value))
        scores = query @ key.transpose(-1, -2) * (width**-0.5 if scale is None else scale)
        scores = scores if bias is None else scores + bias.double()
        return (scores.softmax(-1) * kept / (1 - dropout)) @ value

    found, wanted = [], []
    for attention, results in ((lambda *sides: small_attention(*sides, dropout), found), (twin, wanted)):
        leaves = [query.clone().requires_grad_(), both.clone().requires_grad_()]
        own_bias = bias
        if bias is not None and learns:
            leaves.append(own_bias := bias.clone().requires_grad_())
        if rows is None:
            key, value = leaves[1].permute(2, 0, 3, 1, 4).unbind(0)
        else:
            key, value = leaves[1].permute(1, 2, 0, 3).unbind(0)
        torch.manual_seed(3)
        out = attention(leaves[0].transpose(1, 2), key, value, own_bias, scale, rows)
        results.append(out)
        towards = torch.linspace(-1, 1, out.numel(), device=DEVICE).view_as(out).to(dtype).to(out.dtype)
        results.extend(torch.autograd.grad(out, leaves, towards))
    assert [tensor.dtype for tensor in found] == [dtype] * 3 + [torch.float32] * learns
    for ours, naive in zip(found, wanted, strict=True):
        if dtype == torch.float32:
            torch.testing.assert_close(ours.double(), naive.double(), rtol=1e-4, atol=1e-4)
        else:
            assert (ours.double() - naive).norm() < 0.02 * naive.norm()


def _compare_what_is_dropped() -> None:
    """Weights that are all equal, of values of which each has a number of its own: what is read says which remain."""
    from models.generation.small_attention import small_attention

    n, n_keys, dropout = 20, 16, 0.3
    torch.manual_seed(0)
    query, key = torch.zeros(n, 2, 4, n_keys, device=DEVICE), torch.randn(n, 2, n_keys, n_keys, device=DEVICE)
    value = torch.eye(n_keys, device=DEVICE).expand_as(key).clone().requires_grad_()
    read, other = (small_attention(query, key, value, dropout=dropout) for _ in range(2))
    remain = read > 0
    torch.testing.assert_close(read, remain / (n_keys * (1 - dropout)))
    share = remain.double().mean().item()
    deviation = (dropout * (1 - dropout) / remain.numel()) ** 0.5
    assert abs(share - (1 - dropout)) < 4 * deviation
    both = (remain & (other > 0)).double().mean().item()
    assert abs(both - (1 - dropout) ** 2) < 5 * deviation, "two calls draw apart from each other"
    towards = torch.randn(read.shape, device=DEVICE)
    (of_value,) = torch.autograd.grad(read, value, towards)
    torch.testing.assert_close(of_value, read.detach().transpose(-1, -2) @ towards, rtol=1e-4, atol=1e-5)


def _compare_leading_dimensions() -> None:
    """Two of them, with tables and without: as the decoder asks, which on a CPU copies and asks PyTorch."""
    from models.generation.attention import SharedKeyValue, _attend_to_few, attend

    torch.manual_seed(0)
    query = torch.randn(2, 3, 2, 2, 8, device=DEVICE)  # batch, positions, heads, tokens, head_dim
    bias = torch.randn(2, 3, 1, 1, 5, device=DEVICE)
    key, value = torch.randn(2, 2, 7, 8, device=DEVICE)
    shared = SharedKeyValue(key, value, torch.randint(7, (2, 3, 5), device=DEVICE))
    wanted = F.scaled_dot_product_attention(query, *shared.gathered(), attn_mask=bias)
    for key_value in (shared, shared.gathered()):
        for attention in (attend, _attend_to_few):
            torch.testing.assert_close(attention(query, key_value, bias, scale=None), wanted, rtol=1e-4, atol=1e-4)


def _compare_decoders() -> None:
    """A T5 decoder as a GPU has it beside plain attention that drops the same weights, in training and step by step."""
    from models.generation import transformer
    from models.generation.attention import KeyValue, _are_few, _attend_to_few
    from models.generation.t5_transformer import T5Config, T5Decoder, T5DecoderLayer, hide
    from models.generation.transformer import DecoderCache

    def few(query: Tensor, key_value: KeyValue, bias: Tensor, dropout: float, scale: float) -> Tensor:
        assert _are_few(query, key_value)
        return _attend_to_few(query, key_value, bias, scale, dropout)

    def plain(query: Tensor, key_value: KeyValue, bias: Tensor, dropout: float, scale: float) -> Tensor:
        key, value = key_value
        weights = (query @ key.transpose(-1, -2) * scale + bias).softmax(-1)
        if dropout:
            remain = torch.empty(weights.shape, dtype=torch.bool, device=DEVICE).bernoulli_(1 - dropout)
            weights = weights * remain / (1 - dropout)
        return weights @ value

    torch.manual_seed(0)
    config = T5Config(dim=24, heads=2, head_dim=8, decoder_layers=2, feed_forward=32, dropout=0.2)
    decoder = T5Decoder(config, 4, [T5DecoderLayer(config) for _ in range(2)]).to(DEVICE)
    tokens = torch.randn(5, 1, 4, 24, device=DEVICE)
    encoded = torch.randn(5, 70, 24, device=DEVICE)
    hidden_keys = hide((torch.arange(70) >= torch.tensor([0, 10, 50, 69, 70])[:, None]).to(DEVICE))
    outcomes: list[list[Tensor]] = []
    usual = transformer.attend
    try:
        for attention in (few, plain):
            transformer.attend = attention
            torch.manual_seed(5)
            trained = decoder.train()(tokens, decoder.read(encoded, hidden_keys), None)
            loss = trained.square().mul(torch.linspace(-1, 1, 24, device=DEVICE)).mean()
            outcomes.append([trained, *torch.autograd.grad(loss, list(decoder.parameters()))])
            memory, cache = decoder.eval().read(encoded, hidden_keys), DecoderCache()
            steps = [decoder(tokens[:, :, [step]], memory, None, cache) for step in range(4)]
            outcomes[-1] += [torch.cat(steps, 2), decoder(tokens, memory, None)]
    finally:
        transformer.attend = usual
    assert outcomes[0][0].std() > 0.1
    torch.testing.assert_close(*outcomes[0][-2:], rtol=1e-4, atol=1e-4)
    for ours, naive in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, naive, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    for name, made in CASES.items():
        _compare(made, by_row=False)
        _compare(made, by_row=True)
        print(name)
    _compare_what_is_dropped()
    print("dropped")
    _compare_leading_dimensions()
    print("leading-dimensions")
    _compare_decoders()
    print("decoder")
