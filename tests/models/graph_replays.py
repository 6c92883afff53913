"""A training step of attention, recorded as a CUDA graph and replayed: what tests of kernels ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def replayed(step: Callable[[], Sequence[Tensor]]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What a step gives directly, and in two replays of its recording, tensor by tensor."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        directly = step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    outcomes = []
    for _ in range(2):
        graph.replay()
        outcomes.append([tensor.clone() for tensor in found])
    return list(zip(directly, *outcomes, strict=True))
