"""Biased attention against a naive twin in float64, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from models.generation.lean_attention import BiasInParts

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs, and with the extra [dev] on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

TWO_BYTES = torch.bfloat16 if DEVICE == "cuda" else torch.float16
"""The interpreter multiplies the bits of bfloat16 as if they were integers."""


class Case(NamedTuple):
    batch: int
    heads: int
    queries: int
    keys: int
    width: int
    dropout: float = 0.0
    scale: float = 1.0
    dtype: torch.dtype = torch.float32
    learns: bool = True
    precision: str = "highest"


CASES = {
    "tiles-that-fit": Case(1, 2, 64, 64, 32, 0.1),
    "tiles-that-do-not": Case(3, 1, 70, 152, 32, 0.1),
    "wide-heads": Case(2, 1, 33, 80, 64, 0.5, 0.3),
    "odd-heads": Case(2, 3, 20, 67, 20, 0.2, 0.5),
    "widest-heads": Case(1, 1, 17, 20, 128),
    "short": Case(5, 1, 1, 1, 4),
    "no-dropout": Case(2, 1, 20, 100, 32),
    "bias-is-given": Case(2, 2, 7, 70, 16, 0.1, learns=False),
    "two-bytes": Case(2, 1, 70, 50, 32, 0.1, 0.5, TWO_BYTES),
    "two-bytes-no-dropout": Case(2, 1, 65, 40, 64, 0.0, 0.2, TWO_BYTES),
    "tf32": Case(2, 1, 20, 70, 32, 0.1, 0.5, precision="high"),
    "nothing": Case(0, 2, 3, 5, 8, 0.1),
}


def test_biased_attention_and_its_gradients_are_those_of_a_naive_twin() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "0" if DEVICE == "cuda" else "1"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*CASES, "parts", "lean", "encoder", "shared", "hidden", "retrieved"]


@pytest.mark.parametrize(
    ("query", "key", "bias", "taken"),
    [
        ((9, 6, 20, 32), (9, 6, 151, 32), (9, 1, 1, 151), True),  # beams that read a history of their own
        ((9, 6, 20, 32), (1, 6, 151, 32), (9, 1, 1, 151), False),  # one that all share
        ((9, 6, 20, 32), (9, 1, 151, 32), (9, 1, 1, 151), False),
        ((9, 6, 20, 32), (9, 6, 151, 32), (9, 6, 20, 151), False),  # a bias of its own for every score
        ((9, 6, 20, 32), (9, 6, 151, 32), (1, 1, 1, 151), False),
        ((6, 180, 32), (6, 400, 32), (180, 400), True),  # beams that read a vocabulary by their own counts
        ((6, 180, 32), (6, 400, 32), (6, 180, 400), False),
        ((6, 180, 32), (1, 400, 32), (180, 400), False),
        ((6, 180, 32), (6, 400, 32), (1, 400), False),
        ((9, 5, 6, 20, 32), (9, 5, 6, 151, 32), (9, 1, 1, 151), False),
    ],
)
def test_a_gpu_asks_it_where_a_bias_hides_keys_or_counts_shared_ones(
    query: tuple[int, ...],
    key: tuple[int, ...],
    bias: tuple[int, ...],
    taken: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from models.generation import attention

    given = torch.empty(query), torch.empty(key), torch.zeros(bias)
    assert attention._in_parts(*given) is None, "a CPU has other ways"
    monkeypatch.setattr(attention, "_has_tiles", lambda query: True)
    assert (attention._in_parts(*given) is not None) is taken
    assert attention._in_parts(*given[:2], given[2].requires_grad_()) is None, "its gradient would be lost"


def test_what_is_not_of_the_same_sequences_is_refused() -> None:
    from models.generation.biased_attention import biased_attention

    bias = BiasInParts(torch.zeros(1, 1, 16), torch.zeros(3, 1, 1, 16))
    query, key = torch.zeros(3, 2, 5, 8), torch.zeros(1, 2, 16, 8)
    with pytest.raises(ValueError, match="not of the same sequences and heads"):
        biased_attention(query, key, key, bias, 0.0, 1.0)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_it_is_recorded_as_a_graph_that_drops_anew_at_each_replay(dropout: float) -> None:
    from graph_replays import replayed  # this file is a script, too, that knows no folder of tests

    from models.generation.biased_attention import biased_attention

    sides, bias = _made(Case(4, 2, 70, 152, 32))
    learned = [*sides, bias.by_place]
    towards = torch.randn(sides[0].shape, device=DEVICE)

    def step() -> list[Tensor]:
        attended = biased_attention(*sides, bias, dropout, 1.0)
        return [attended.detach(), *torch.autograd.grad(attended, learned, towards)]

    for direct, first, second in replayed(step):
        assert bool(first.isfinite().all())
        assert torch.equal(first, second) == torch.equal(first, direct) == (not dropout)


def _made(case: Case) -> tuple[list[Tensor], BiasInParts]:
    """Queries, keys and values as an encoder has them, heads side by side, and a bias whose places are its own."""
    draw = torch.Generator().manual_seed(0)
    sides = []
    for length in (case.queries, case.keys, case.keys):
        side = torch.randn(case.batch, length, case.heads, case.width, generator=draw).to(DEVICE, case.dtype)
        sides.append(side.transpose(1, 2).requires_grad_())
    by_place = torch.randn(case.queries, case.keys, case.heads, generator=draw).to(DEVICE).movedim(-1, 0)
    by_key = torch.zeros(case.batch, 1, 1, case.keys)
    if case.keys > 1:
        by_key[1:, ..., case.keys // 3 :] = -torch.inf  # the last tile as a whole
        by_key[2:] = by_key[2:].flip(-1)  # the first tile as a whole
    return sides, BiasInParts(by_place.requires_grad_(case.learns), by_key.to(DEVICE))


def _twin(case: Case, sides: list[Tensor], bias: BiasInParts, kept: Tensor) -> Tensor:
    query, key, value = (side.double() for side in sides)
    scores = case.scale * query @ key.transpose(-1, -2) + bias.by_place.double() + bias.by_key.double()
    return (scores.softmax(-1) * kept / (1 - case.dropout)) @ value


def _outcome(attend: Callable[[], Tensor], learned: list[Tensor]) -> list[Tensor]:
    """What attention gives, and the gradients of what it is made of; a gradient comes in, too, as heads lie inside."""
    torch.manual_seed(3)
    attended = attend()
    draw = torch.Generator().manual_seed(1)
    towards = torch.randn(attended.transpose(1, 2).shape, generator=draw).to(DEVICE, attended.dtype).transpose(1, 2)
    return [attended.detach(), *torch.autograd.grad(attended, learned, towards)]


def _compare(case: Case) -> None:
    from models.generation.attention_layout import ROW_MULTIPLE, kept_weights
    from models.generation.biased_attention import biased_attention

    sides, bias = _made(case)
    learned = [*sides, bias.by_place] if case.learns else sides
    kept = torch.ones(case.batch, case.heads, case.queries, case.keys, device=DEVICE)
    if case.dropout:
        torch.manual_seed(3)
        row = case.keys + -case.keys % ROW_MULTIPLE
        kept = kept_weights((*kept.shape[:-1], row), case.dropout, torch.device(DEVICE))[..., : case.keys]
        assert not case.batch or 0 < kept.float().mean() < 1
    torch.set_float32_matmul_precision(case.precision)
    found = _outcome(lambda: biased_attention(*sides, bias, case.dropout, case.scale), learned)
    wanted = _outcome(lambda: _twin(case, sides, bias, kept), learned)
    exact = case.dtype == torch.float32 and case.precision == "highest"
    for ours, naive in zip(found, wanted, strict=True):
        assert ours.shape == naive.shape
        if exact:
            torch.testing.assert_close(ours.double(), naive.double(), rtol=1e-4, atol=1e-4)
        else:
            assert (ours.double() - naive).norm() < 0.02 * naive.norm()
    assert [tensor.dtype for tensor in found] == [case.dtype] * 4 + [torch.float32] * case.learns


def _compare_parts() -> None:
    """The gradient of places, added up over parts of the batch of which the last is smaller."""
    from models.generation import biased_attention as biased

    usual = biased._PROGRAMS_OF_PLACE
    try:
        for programs in (1, 4):
            biased._PROGRAMS_OF_PLACE = programs
            _compare(Case(5, 1, 7, 9, 16, 0.1))
    finally:
        biased._PROGRAMS_OF_PLACE = usual


def _compare_with_lean_attention() -> None:
    """Where rows need not be filled up, both drop the same weights under the same seed."""
    from models.generation.biased_attention import biased_attention
    from models.generation.lean_attention import lean_attention

    sides, bias = _made(Case(3, 2, 10, 32, 16))
    learned = [*sides, bias.by_place]
    found = _outcome(lambda: biased_attention(*sides, bias, 0.3, 0.5), learned)
    wanted = _outcome(lambda: lean_attention(*sides, bias, 0.3, 0.5), learned)
    for ours, lean in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, lean, rtol=1e-4, atol=1e-4)


def _compare_encoders() -> None:
    """A T5 encoder that is trained with it beside one with PyTorch's attention, as a GPU without Triton has it."""
    import torch.nn.functional as F

    from models.generation import attention
    from models.generation.biased_attention import biased_attention
    from models.generation.t5_transformer import T5Config, T5Encoder, hide

    def pytorch_s(query: Tensor, key: Tensor, value: Tensor, bias: BiasInParts, dropout: float, scale: float) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, bias.by_place + bias.by_key, dropout, scale=scale)

    torch.manual_seed(0)
    config = T5Config(dim=24, heads=2, head_dim=8, encoder_layers=1, feed_forward=32, dropout=0.0)
    encoder = T5Encoder(config, length=13).to(DEVICE).train()
    embedded = torch.randn(4, 13, 24, device=DEVICE)
    visible = (torch.arange(13) < torch.tensor([13, 5, 1, 0])[:, None]).to(DEVICE)
    outcomes = []
    usual = attention._attend_in_parts
    try:
        for attending in (biased_attention, pytorch_s):
            attention._attend_in_parts = attending
            encoded = encoder(embedded, hide(visible))
            loss = encoded.square().mul(torch.linspace(-1, 1, 24, device=DEVICE)).mean()
            outcomes.append([encoded, *torch.autograd.grad(loss, list(encoder.parameters()))])
    finally:
        attention._attend_in_parts = usual
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def _compare_shared_places() -> None:
    """A bias that heads, queries or both share, and its gradient; and hidden keys that sequences share."""
    from models.generation.biased_attention import biased_attention

    case = Case(2, 2, 40, 20, 16)
    sides, _ = _made(case)
    by_key = torch.zeros(1, 1, 1, 20, device=DEVICE)
    by_key[..., 15:] = -torch.inf
    for heads, queries in [(1, 40), (2, 1), (1, 1)]:
        draw = torch.Generator().manual_seed(5)
        bias = BiasInParts(torch.randn(heads, queries, 20, generator=draw).to(DEVICE).requires_grad_(), by_key)
        learned = [*sides, bias.by_place]
        found = _outcome(lambda bias=bias: biased_attention(*sides, bias, 0.0, 0.5), learned)
        wanted = _outcome(
            lambda bias=bias: _twin(case._replace(scale=0.5), sides, bias, torch.ones(1, device=DEVICE)), learned
        )
        for ours, naive in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours.double(), naive.double(), rtol=1e-4, atol=1e-4)


def _compare_attend(sides: list[Tensor], bias: Tensor) -> None:
    """`attend` as a GPU has it, with a bias that is not learned, beside products in float64."""
    from models.generation import attention

    usual, chosen = attention._has_tiles, []
    try:
        attention._has_tiles = lambda query: not chosen.append(query.shape)  # type: ignore[func-returns-value]
        found = _outcome(lambda: attention.attend(sides[0], (sides[1], sides[2]), bias, scale=0.5), sides)
    finally:
        attention._has_tiles = usual
    assert chosen
    query, key, value = (side.double() for side in sides)
    weights = (0.5 * query @ key.transpose(-1, -2) + bias.double()).softmax(-1)
    for ours, naive in zip(found, _outcome(lambda: weights @ value, sides), strict=True):
        torch.testing.assert_close(ours.double(), naive.double(), rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    for name, made in CASES.items():
        _compare(made)
        print(name)
    _compare_parts()
    print("parts")
    _compare_with_lean_attention()
    print("lean")
    _compare_encoders()
    print("encoder")
    _compare_shared_places()
    print("shared")
    made_sides, made_bias = _made(Case(3, 2, 20, 51, 8))
    _compare_attend(made_sides, made_bias.by_key)
    print("hidden")
    made_sides, made_bias = _made(Case(1, 2, 70, 51, 8))
    times = (torch.arange(70, device=DEVICE)[:, None] * torch.arange(51, device=DEVICE) + 1) % 4
    _compare_attend([side.detach()[0].requires_grad_() for side in made_sides], times.log())
    print("retrieved")
