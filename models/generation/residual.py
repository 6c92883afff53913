"""What stands between the sub-layers of a transformer: dropout, residual sums and their RMS normalisation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.kernels import has_triton


class RMSNorm(nn.RMSNorm):
    """PyTorch's, in other steps where these take less time.

    On a GPU it is one kernel each way, where Triton is installed; under autocast normalised rows are in the type that
    linear layers read. PyTorch's gradient of the weight sums hundreds of thousands of short rows with few threads,
    which takes twelve times as long as an ordinary sum: so without Triton the product with the weight is a step of its
    own. On a CPU nothing is fused, and PyTorch's single steps, with their gradients, take four times as long as those
    of `_NormalisedRows`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if _is_fused(x):
            from models.generation.fused_dropout import summed

            return summed(x, None, self.weight, 0.0, self.epsilon(x.dtype))[1]
        if x.is_cuda:
            return F.rms_norm(x, self.normalized_shape, None, self.eps) * self.weight
        if x.dtype != torch.float32:
            return super().forward(x)
        normalised: Tensor = _NormalisedRows.apply(x, self.weight, self.epsilon(x.dtype))
        return normalised

    def epsilon(self, dtype: torch.dtype) -> float:
        """What is added to the mean square of a row; PyTorch's own choice where `eps` is None."""
        return torch.finfo(dtype).eps if self.eps is None else self.eps


class _NormalisedRows(torch.autograd.Function):
    """`F.rms_norm` of rows `[..., dim]` with a weight `[dim]`, its gradient in few passes over memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse = mean_square.add_(epsilon).rsqrt_()
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        unit, inverse, weight = ctx.saved_tensors
        product = gradient * unit
        along = (product @ weight).div_(-unit.shape[-1]).unsqueeze(-1)
        of_x = (gradient * weight).addcmul_(unit, along).mul_(inverse)
        return of_x, product.flatten(0, -2).sum(0), None


class Residual(nn.Dropout):
    """What stands between two sub-layers: dropout of what one of them makes, the residual sum, and its normalisation.

    On a GPU each of these calls is one kernel, where Triton is installed.
    """

    def sum(self, hidden: Tensor, update: Tensor) -> Tensor:
        """`hidden` + dropped `update`, both `[..., dim]`."""
        if _is_fused(hidden):
            from models.generation.fused_dropout import summed

            return summed(hidden, update, None, self._share, 0.0)[0]
        return hidden + self(update)

    def normalised_sum(self, hidden: Tensor, update: Tensor, norm: RMSNorm) -> tuple[Tensor, Tensor]:
        """The sum as above, and what `norm` makes of it."""
        if _is_fused(hidden):
            from models.generation.fused_dropout import summed

            return summed(hidden, update, norm.weight, self._share, norm.epsilon(hidden.dtype))
        hidden = hidden + self(update)
        return hidden, norm(hidden)

    @property
    def _share(self) -> float:
        return self.p if self.training else 0.0


def _is_fused(states: Tensor) -> bool:
    """Whether kernels of our own add and normalise states `[..., dim]`."""
    if not states.is_cuda or states.dtype == torch.float64 or not has_triton():
        return False
    from models.generation.fused_dropout import MOST_WIDTH

    return states.shape[-1] <= MOST_WIDTH


def relu_and_dropout(states: Tensor, probability: float) -> Tensor:
    """Dropout of a ReLU of states; on a GPU one kernel each way, where Triton is installed.

    Args:
        states: `[..., width]`.
        probability: Of a zero, from 0 to below 1.
    """
    if probability and states.is_cuda and states.dtype != torch.float64 and has_triton():
        from models.generation import fused_dropout

        return fused_dropout.dropped_relu(states, probability)
    active = states.relu()
    return F.dropout(active, probability) if probability else active
