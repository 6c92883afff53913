"""Small attention against PyTorch's plain one, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs, and with the extra [dev] on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

CASES = [
    # targets, heads, queries, keys, head_dim, shape of the bias, does it learn, scale
    (5, 4, 3, 3, 8, (3, 3), False, None),
    (5, 2, 2, 20, 8, (5, 1, 1, 20), False, None),
    (3, 2, 2, 7, 16, (3, 2, 2, 7), True, 1.0),
    (3, 2, 1, 5, 6, (3, 2, 1, 5), True, None),
    (2, 1, 1, 1, 4, None, False, None),
    (0, 2, 2, 3, 4, (1, 1, 1, 3), False, None),
]


def test_small_attention_and_its_gradients_are_those_of_plain_attention() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "0" if DEVICE == "cuda" else "1"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*(f"case-{number}" for number in range(len(CASES))), "leading-dimensions"]


def _compare(case: tuple[object, ...], by_row: bool) -> None:
    from models.generation.small_attention import small_attention

    n, heads, n_queries, n_keys, width, shape, learns, scale = case
    torch.manual_seed(0)
    # As they come: heads side by side, keys and values cut out of one tensor.
    query = torch.randn(n, n_queries, heads, width, device=DEVICE)
    both = torch.randn(n, n_keys, 2, heads, width, device=DEVICE)
    rows = None
    if by_row:  # of few, so that rows come back within a sequence and in others
        both = torch.randn(4, 2, heads, width, device=DEVICE)
        rows = torch.randint(4, (n, n_keys), device=DEVICE)
    bias = None
    if shape is not None:
        bias = torch.randn(shape, device=DEVICE)
        bias[..., 0] = -torch.inf if bias.shape[-1] > 1 and not learns else 0.0
    found, wanted = [], []
    for attention, results in ((small_attention, found), (_plain, wanted)):
        leaves = [query.clone().requires_grad_(), both.clone().requires_grad_()]
        own_bias = bias
        if bias is not None and learns:
            leaves.append(own_bias := bias.clone().requires_grad_())
        if rows is None:
            key, value = leaves[1].permute(2, 0, 3, 1, 4).unbind(0)
        else:
            key, value = leaves[1].permute(1, 2, 0, 3).unbind(0)
        out = attention(leaves[0].transpose(1, 2), key, value, own_bias, scale, rows)
        results.append(out)
        results.extend(
            torch.autograd.grad((out * torch.linspace(-1, 1, out.numel(), device=DEVICE).view_as(out)).sum(), leaves)
        )
    for ours, plain in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def _plain(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None, rows: Tensor | None
) -> Tensor:
    if rows is not None:
        key, value = (side[:, rows].transpose(0, 1) for side in (key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)


def _compare_leading_dimensions() -> None:
    """Two of them, with tables and without: as the decoder asks, which on a CPU copies and asks PyTorch."""
    from models.generation.transformer import SharedKeyValue, _attend_to_few, attend

    torch.manual_seed(0)
    query = torch.randn(2, 3, 2, 2, 8, device=DEVICE)  # batch, positions, heads, tokens, head_dim
    bias = torch.randn(2, 3, 1, 1, 5, device=DEVICE)
    key, value = torch.randn(2, 2, 7, 8, device=DEVICE)
    shared = SharedKeyValue(key, value, torch.randint(7, (2, 3, 5), device=DEVICE))
    wanted = F.scaled_dot_product_attention(query, *shared.gathered(), attn_mask=bias)
    for key_value in (shared, shared.gathered()):
        for attention in (attend, _attend_to_few):
            torch.testing.assert_close(attention(query, key_value, bias, scale=None), wanted, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    for number, case in enumerate(CASES):
        _compare(case, by_row=False)
        _compare(case, by_row=True)
        print(f"case-{number}")
    _compare_leading_dimensions()
    print("leading-dimensions")
