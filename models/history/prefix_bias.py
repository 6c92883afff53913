"""A bias of attention for how many of the codes generated so far an event's item has. Ours: the paper has none."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PrefixBias(nn.Module):
    """Lets attention prefer events whose items begin as the generated one does; all scalars are zero at first.

    A head learns one scalar for each number of leading codes that an event's item has in common.

    Each token has scalars of its own, as it knows one code more than the token before it.

    Args:
        heads: Of the attention.
        levels: Of the semantic IDs.
    """

    def __init__(self, heads: int, levels: int) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(levels - 1, levels - 1, heads))
        """What the agreement of one more code adds, by token and code."""

    def forward(self, agree: Tensor) -> Tensor:
        """Bias `[batch, positions, heads, n_known, r]`, row t for the token that knows `t + 1` codes.

        Args:
            agree: bool `[batch, positions, n_known, r]`, from `agreement`.
        """
        n_known = agree.shape[2]
        known = torch.ones(n_known, n_known, device=agree.device).tril().unsqueeze(-1)
        return torch.einsum("bpcr,tch->bphtr", agree.float(), self.steps[:n_known, :n_known] * known)


def agreement(known: Tensor, codes: Tensor) -> Tensor:
    """Compares prefixes: whether the first code, the first two, and so on, are those of an event's item.

    Args:
        known: int64 `[batch, positions, n_known]`, the codes of a prefix.
        codes: int64 `[batch, positions or 1, r, levels]`, those of the events' items.

    Returns:
        bool `[batch, positions, n_known, r]`.

    After the codes (1, 0), of three events one agrees in both, one in the first only, and one in none: that its second
    code is the same counts for nothing.

    >>> known = torch.tensor([[[1, 0]]])
    >>> codes = torch.tensor([[[[1, 0, 5], [1, 2, 5], [3, 0, 5]]]])
    >>> agreement(known, codes)[0, 0].tolist()
    [[True, True, False], [True, False, False]]
    """
    n_known = known.shape[-1]
    same = known.unsqueeze(2) == codes[..., :n_known]
    for level in range(1, n_known):  # on a GPU far cheaper than a cumulative product over so few codes
        same[..., level] &= same[..., level - 1]
    return same.transpose(-1, -2)
