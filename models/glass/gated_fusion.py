"""Adaptive gated fusion of what is read from short-term history and retrieved items (GLASS, arXiv 2602.05663)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn


class AdaptiveGatedFusion(nn.Module):
    """Decides, number by number, how much a token takes from retrieved items and how much from the recent history.

    Z = (1 - g) * Z_short + g * Z_ret with the vector gate g = sigmoid([x ; Z_ret] W_g) (section 3.4). g is 0 where
    nothing was retrieved, so that Z = Z_short there.

    Args:
        dim: Width.
        gate_input: What x is: "hidden", the normalised decoder state (official code), or "short", Z_short (paper).
        fixed_gate: A constant in place of the learned gate (ablation).

    Attributes:
        observe: Called with g `[..., dim]` in every forward pass, when set; for diagnosis.
    """

    observe: Callable[[Tensor], None] | None = None

    def __init__(self, dim: int, gate_input: Literal["hidden", "short"], fixed_gate: float | None = None) -> None:
        super().__init__()
        self.gate_input = gate_input
        self.fixed_gate = fixed_gate
        self.gate = nn.Linear(2 * dim, dim) if fixed_gate is None else None

    def forward(self, hidden: Tensor, short: Tensor, retrieved: Tensor, present: Tensor) -> Tensor:
        """Mixes what was read of the two histories.

        Args:
            hidden: Normalised decoder states `[..., dim]`.
            short: Z_short `[..., dim]`.
            retrieved: Z_ret `[..., dim]`.
            present: bool, broadcast to `[..., 1]`, whether anything was retrieved.

        Returns:
            Z `[..., dim]`.
        """
        if self.gate is None:
            gate = torch.full_like(short, self.fixed_gate or 0.0)
        else:
            state = hidden if self.gate_input == "hidden" else short
            gate = torch.sigmoid(self.gate(torch.cat([state, retrieved], dim=-1)))
        gate = gate * present
        if self.observe is not None:
            self.observe(gate)
        return (1 - gate) * short + gate * retrieved
