"""Fused dropout against naive twins in float64, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs, and with the extra [dev] on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EPSILON = 1e-6


class Case(NamedTuple):
    shape: tuple[int, ...]
    dropout: float = 0.0
    adds: bool = True
    normalises: bool = True
    dtype: torch.dtype = torch.float32  # of the update


CASES = {
    "rows-that-fit": Case((64, 128), 0.1),
    "rows-that-do-not": Case((3, 45, 96), 0.3),
    "narrow": Case((70, 6), 0.5),
    "wide": Case((5, 300), 0.2),
    "no-dropout": Case((2, 7, 64)),
    "sum-alone": Case((4, 9, 32), 0.4, normalises=False),
    "sum-without-dropout": Case((9, 32), normalises=False),
    "norm-alone": Case((33, 48), adds=False),
    "two-bytes": Case((50, 64), 0.2, dtype=torch.float16),
    "nothing": Case((0, 16), 0.1),
}


def test_fused_dropout_and_its_gradients_are_those_of_naive_twins() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "0" if DEVICE == "cuda" else "1"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*CASES, "relu", "coins"]


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_a_replayed_step_tosses_new_coins() -> None:
    from graph_replays import replayed  # this file is a script, too, that knows no folder of tests

    from models.generation.fused_dropout import dropped_relu, summed

    torch.manual_seed(0)
    hidden, update, weight = _drawn(64, 128), _drawn(64, 128), _drawn(128)
    towards = torch.randn(64, 128, device=DEVICE)

    def step() -> list[Tensor]:
        _, normed = summed(hidden, dropped_relu(update, 0.5), weight, 0.5, EPSILON)
        return [normed.detach(), *torch.autograd.grad(normed, [hidden, update, weight], towards)]

    for direct, first, second in replayed(step):
        assert bool(first.isfinite().all())
        assert not torch.equal(first, second)
        assert not torch.equal(first, direct)


def _check(case: Case) -> None:
    from models.generation.fused_dropout import summed

    torch.manual_seed(1)
    hidden, weight = _drawn(*case.shape), _drawn(case.shape[-1])
    update = _drawn(*case.shape, dtype=case.dtype) if case.adds else None
    total, normed = summed(hidden, update, weight if case.normalises else None, case.dropout, EPSILON)
    if not case.adds:
        assert total is hidden
    given = [side for side in (hidden, update, weight if case.normalises else None) if side is not None]
    outputs = [total] * case.adds + [normed] * case.normalises
    of_outputs = [torch.randn(case.shape, device=DEVICE) for _ in outputs]
    gradients = torch.autograd.grad(outputs, given, of_outputs)

    twins = [side.detach().double().requires_grad_() for side in given]
    expected = twins[0]
    if case.adds:
        # An update is never 0, so that the sum says what was dropped.
        kept = (total != hidden).double().detach()
        if total.numel() > 500 and case.dropout:
            assert abs(1 - kept.mean().item() - case.dropout) < 4 * (case.dropout / total.numel()) ** 0.5
        assert case.dropout or kept.all()
        expected = expected + twins[1] * kept / (1 - case.dropout)
    naive = [expected] * case.adds
    if case.normalises:
        naive.append(expected / (expected.square().mean(-1, keepdim=True) + EPSILON).sqrt() * twins[-1])
    of_naive = torch.autograd.grad(naive, twins, [side.double() for side in of_outputs])
    tolerance = 2e-3 if case.dtype == torch.float16 else 1e-5
    for ours, theirs in zip([*outputs, *gradients], [*naive, *of_naive], strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= tolerance * theirs.norm()
    assert all(gradient.dtype == side.dtype for gradient, side in zip(gradients, given, strict=True))


def _check_relu() -> None:
    from models.generation.fused_dropout import dropped_relu

    for shape, dropout in (((7, 1500), 0.1), ((3, 5), 0.5), ((0, 4), 0.1)):
        torch.manual_seed(2)
        states = _drawn(*shape)
        out = dropped_relu(states, dropout)
        of_out = torch.randn(shape, device=DEVICE)
        (gradient,) = torch.autograd.grad(out, states, of_out)
        kept = out != 0
        assert not kept[states <= 0].any()
        torch.testing.assert_close(out, torch.where(kept, states / (1 - dropout), 0.0))
        torch.testing.assert_close(gradient, torch.where(kept, of_out / (1 - dropout), 0.0))
        if states.numel() > 500:
            positive = (states > 0).sum().item()
            assert abs(1 - kept.sum().item() / positive - dropout) < 4 * (dropout / positive) ** 0.5


def _check_coins() -> None:
    """Neighbours, and numbers that have parts of one draw, are dropped by chances of their own; seeds differ."""
    from models.generation.fused_dropout import dropped_relu

    torch.manual_seed(3)
    size, block = 1 << 14, 1024
    first, second = ((dropped_relu(torch.ones(size, device=DEVICE), 0.5) > 0).float() for _ in range(2))
    assert abs((first == second).float().mean().item() - 0.5) < 0.03
    for step in (1, 2, 64, block, 2 * block, 4 * block):
        assert abs((first[step:] == first[:-step]).float().mean().item() - 0.5) < 0.03, step


def _drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, device=DEVICE).to(dtype).requires_grad_()


if __name__ == "__main__":
    for name, each in CASES.items():
        _check(each)
        print(name, flush=True)
    _check_relu()
    print("relu")
    _check_coins()
    print("coins")
