"""SID-Tier: the long-term history as counts of similarity tiers to every first-level code (GLASS, arXiv 2602.05663)."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.history.long_term import LongTerm, count_cells
from models.kernels import has_triton

CHUNK_ITEMS = 1 << 16
"""Items of which temporary arrays are made at a time."""

_BLOCK = (64, 1 << 12)
"""Histories and items of one sparse product: its result and its cells stay in a processor's cache."""

MOST_TIERS = 255
"""A tier takes one byte for every item and code, and one value is left for what lies in none of them."""


def code_prototypes(
    features: NDArray[np.float32], first_codes: NDArray[np.int64], codebook_size: int
) -> NDArray[np.float32]:
    """Averages the features of the items of each first-level code; codes without items get the mean of all items.

    Args:
        features: float32 `[n_items, dims]`.
        first_codes: int64 `[n_items]`.
        codebook_size: K0.

    Returns:
        float32 `[codebook_size, dims]`.
    """
    count = np.bincount(first_codes, minlength=codebook_size)
    total = np.zeros((codebook_size, features.shape[1]), dtype=np.float64)
    for start in range(0, len(features), CHUNK_ITEMS):
        codes, rows = first_codes[start : start + CHUNK_ITEMS], features[start : start + CHUNK_ITEMS]
        members = sp.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))), (codebook_size, len(codes)))
        total += members @ rows.astype(np.float64)
    total[count == 0] = features.mean(axis=0, dtype=np.float64)
    return (total / np.maximum(count, 1)[:, None]).astype(np.float32)


def similarity_tiers(
    features: NDArray[np.float32], prototypes: NDArray[np.float32], edges: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Cuts the cosines between all items and prototypes into tiers.

    Args:
        features: float32 `[n_items, dims]`.
        prototypes: float32 `[codebook_size, dims]`.
        edges: Inner edges of at most `MOST_TIERS` tiers, ascending, float64 `[tiers - 1]`; a value on an edge belongs
            to the tier above.

    Returns:
        uint8 `[n_items, codebook_size]`, `0 .. tiers - 1`.

    Three items against two prototypes, in the four tiers of the official code:

    >>> features = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    >>> prototypes = np.array([[1, 0], [-1, 20]], dtype=np.float32)
    >>> similarity_tiers(features, prototypes, np.array([-0.1, 0.0, 0.1])).tolist()
    [[3, 1], [2, 3], [3, 3]]
    """
    tiers = np.empty((len(features), len(prototypes)), dtype=np.uint8)
    directions = _unit(prototypes).T
    for start in range(0, len(features), CHUNK_ITEMS):
        cosine = _unit(features[start : start + CHUNK_ITEMS]) @ directions
        tiers[start : start + CHUNK_ITEMS] = np.searchsorted(edges, cosine, side="right")
    return tiers


def tier_counts(tiers: Tensor, n_tiers: int, long_term: LongTerm) -> Tensor:
    """Counts how much of each long-term history lies in each tier of each code.

    Args:
        tiers: uint8 `[n_items, codebook_size]`, from `similarity_tiers`.
        n_tiers: N.
        long_term: Of a batch.

    Returns:
        float32 `[batch, codebook_size, n_tiers]`: counts divided by the length of the history; each code's row sums
        to 1, or to 0 where the history is empty.

    Item 0 lies in tier 1 of both codes, item 1 in tier 0 of the first and tier 1 of the second. Of four events, three
    before the end of the long-term history, two are item 0:

    >>> from models.history.long_term import RaggedItems
    >>> events = RaggedItems(torch.tensor([0, 1, 0, 1]), torch.tensor([0, 4]), longest=4)
    >>> history = LongTerm(events, rows=torch.tensor([0]), ends=torch.tensor([3]))
    >>> tier_counts(torch.tensor([[1, 1], [0, 1]], dtype=torch.uint8), 2, history)
    tensor([[[0.3333, 0.6667],
             [0.0000, 1.0000]]])
    """
    if tiers.is_cuda and has_triton():
        from models.glass.tier_kernels import counted_in_registers as counted
    elif tiers.is_cuda:
        counted = _counted_at_once
    else:
        # About what each costs: a look-up for each event and code, or an eighth of one for each item, code and history.
        n_events, n_histories = int(long_term.lengths.sum()), len(long_term.rows)
        counted = _counted_by_item if len(tiers) * (n_histories + 8) <= 8 * n_events else _counted_by_history
    counts = counted(tiers, n_tiers, long_term).view(len(long_term.rows), tiers.shape[1], n_tiers)
    return counts / long_term.lengths.clamp(min=1)[:, None, None]


def _counted_at_once(tiers: Tensor, n_tiers: int, long_term: LongTerm) -> Tensor:
    """The counts int64 `[batch * codebook_size * n_tiers]` of `tier_counts`, without waiting for the device."""
    codebook_size, batch = tiers.shape[1], len(long_term.rows)
    sequence, items = long_term.flattened()
    code = torch.arange(codebook_size, device=tiers.device)
    cell = (sequence[:, None] * codebook_size + code) * n_tiers + tiers[items]
    return count_cells(cell.flatten(), batch * codebook_size * n_tiers)


def _counted_by_history(tiers: Tensor, n_tiers: int, long_term: LongTerm) -> Tensor:
    """The same int64 `[batch, codebook_size * n_tiers]` on a CPU, in a fifth to a ninth of the time.

    Cells of one history are small numbers: two bytes for each event and code, where cells of the whole batch would
    take eight, several times over.
    """
    n_cells = tiers.shape[1] * n_tiers
    small = np.int16 if n_cells <= np.iinfo(np.int16).max else np.int32
    first_cell = (np.arange(tiers.shape[1]) * n_tiers).astype(small)
    tier_of_item = tiers.numpy()
    counts = np.empty((len(long_term.rows), n_cells), dtype=np.int64)
    for number, items in enumerate(long_term.each()):
        counts[number] = np.bincount((tier_of_item[items] + first_cell).ravel(), minlength=n_cells)
    return torch.from_numpy(counts)


def _counted_by_item(tiers: Tensor, n_tiers: int, long_term: LongTerm) -> Tensor:
    """The same int64 `[batch, codebook_size * n_tiers]` on a CPU, for histories as long as the catalogue or longer.

    How often each item occurs in each history is counted first, which costs one look-up an event instead of one for
    each event and code. A product of the items' cells, a sparse matrix of ones, with these numbers does the rest.
    """
    n_items, codebook_size = tiers.shape
    first_cell = np.arange(codebook_size, dtype=np.int32) * n_tiers
    histories, (most, chunk) = long_term.each(), _BLOCK
    counts = np.empty((len(long_term.rows), codebook_size * n_tiers), dtype=np.int64)
    for begin in range(0, len(counts), most):
        block = counts[begin : begin + most]
        # Numbers of events, which float64 holds exactly up to 2^53 and float32 up to 2^24.
        exact = np.float32 if int(long_term.lengths.max()) < 1 << 24 else np.float64
        occurrences = np.stack([np.bincount(next(histories), minlength=n_items) for _ in block], 1).astype(exact)
        total = np.zeros((codebook_size * n_tiers, len(block)), dtype=exact)
        for start in range(0, n_items, chunk):
            cells = tiers[start : start + chunk].numpy() + first_cell
            pointers = np.arange(0, cells.size + 1, codebook_size, dtype=np.int32)
            ones = np.ones(cells.size, dtype=exact)
            members = sp.csc_matrix((ones, cells.ravel(), pointers), (len(total), len(cells)))
            total += members @ occurrences[start : start + chunk]
        block[:] = total.T
    return torch.from_numpy(counts)


class SIDTier(nn.Module):
    """Turns the tier counts of a long-term history into one encoder token: Linear, ReLU, Dropout, Linear.

    Args:
        tiers: From `similarity_tiers`.
        n_tiers: N.
        dim: Width of the token and of the hidden layer.
        dropout: Between the layers.
    """

    tiers: Tensor

    def __init__(self, tiers: NDArray[np.uint8], n_tiers: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.n_tiers = n_tiers
        self.register_buffer("tiers", torch.from_numpy(tiers), persistent=False)
        self.mlp = nn.Sequential(
            nn.Linear(tiers.shape[1] * n_tiers, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)
        )

    def shares(self, long_term: LongTerm) -> Tensor:
        """The tier counts float32 `[batch, codebook_size, n_tiers]` of long-term histories, which nothing learns."""
        return tier_counts(self.tiers, self.n_tiers, long_term)

    def forward(self, long_term: LongTerm) -> Tensor:
        """Summarises each long-term history as one token, `[batch, 1, dim]`."""
        shares = self.shares(long_term) if long_term.summary is None else long_term.summary
        return self.mlp(shares.flatten(1)).unsqueeze(1)


def tier_edges(tiers: int) -> NDArray[np.float64]:
    """Returns the inner edges that cut [-1, 1] into equal tiers, as the paper does."""
    return np.linspace(-1, 1, tiers + 1)[1:-1]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
