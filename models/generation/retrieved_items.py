"""Long-term items retrieved by first-level code, made ready for attention: what GLASS and DualGR share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data.interactions import PAD
from models.generation.attention import KeyValue, SharedKeyValue
from models.generation.causal_transformer import Attention, Retrieved
from models.history.long_term import RaggedItems, look_up
from models.history.semantic_search import SemanticSearchIndex


class SearchIndexes:
    """Builds the search index of a ragged array once, and keeps it for as long as the array is in use.

    A training validates between its epochs: the index of the queries must not push out that of the training events,
    which a recorded step goes on reading where it lay when it was recorded.
    """

    def __init__(self) -> None:
        self._indexes: WeakKeyDictionary[RaggedItems, SemanticSearchIndex] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, object]:
        """Nothing: an index belongs to arrays of this process, and is made again for others."""
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._indexes = WeakKeyDictionary()

    def of(self, events: RaggedItems, first_codes: Tensor, codebook_size: int) -> SemanticSearchIndex:
        """The index of `events`.

        Args:
            events: The ragged array, recognised by identity.
            first_codes: int64 `[n_items]`, first-level code of each item; the same at every call.
            codebook_size: K0.
        """
        index = self._indexes.get(events)
        if index is None:
            index = SemanticSearchIndex(events.items, events.offsets, first_codes, codebook_size, events.longest)
            self._indexes[events] = index
        return index


@dataclass(frozen=True)
class Retrieval:
    """What a search of the history retrieved.

    Attributes:
        layers: Keys and values for each decoder layer.
        index: int64 `[batch, positions, r]`, where the events lie in the ragged array, padded with `PAD`.
        items: int64 `[batch, positions, r]`, what lies there; anything at padding.
        embedded: float32 `[n, dim]`, the items as attention reads them: at least those that occur.
        row: int64 `[batch, positions, r]`, the row of `embedded` of each event; anything at padding.
    """

    layers: list[Retrieved]
    index: Tensor
    items: Tensor
    embedded: Tensor
    row: Tensor

    def with_biases(self, biases: Sequence[Tensor]) -> Retrieval:
        """The same, with a bias `[batch, positions, heads, 1 or n_known, r]` more on each layer's attention."""
        layers = [replace(layer, bias=layer.bias + bias) for layer, bias in zip(self.layers, biases, strict=True)]
        return replace(self, layers=layers)


def prepare_retrieved(
    index: Tensor,
    events: RaggedItems,
    embed: Callable[[Tensor], Tensor],
    attentions: Sequence[Attention],
    first_token: int,
    n_items: int,
) -> Retrieval:
    """Keys and values of retrieved events.

    Args:
        index: int64 `[batch, positions, r]`, into `events`, padded with `PAD`.
        events: What was searched.
        embed: From items int64 `[n]` to what attention reads, `[n, dim]`.
        attentions: The attention of each layer that will read them.
        first_token: The first of the decoder's tokens that knows the first code.
        n_items: Size of the catalogue.
    """
    missing = index == PAD
    items = look_up(events.items, index)
    embedded_items, row = _to_embed(items, missing, n_items)
    embedded = embed(embedded_items)
    present = ~missing.all(-1)
    some = None if index.is_cuda else present.flatten().nonzero().squeeze(1)
    # Where nothing was retrieved, attention sees the padding, whatever that gives: what it reads there is not used.
    hidden = (missing & present.unsqueeze(-1))[:, :, None, None, :]
    bias = torch.zeros(hidden.shape, device=index.device).masked_fill(hidden, -torch.inf)
    read_rows = row if some is None else row.flatten(0, 1)[some]
    layers = [
        Retrieved(key_value, bias, present[:, :, None, None], first_token, some)
        for key_value in _looked_up([attention.prepare(embedded) for attention in attentions], read_rows)
    ]
    return Retrieval(layers, index, items, embedded, row)


def _to_embed(items: Tensor, missing: Tensor, n_items: int) -> tuple[Tensor, Tensor]:
    """Which items to embed for retrieved `items`, and the row of each among them.

    An item is often retrieved many times in a batch and should be embedded once. A GPU would have to be asked which are
    distinct, and waited for: there it is the whole catalogue or, where that is larger, each occurrence.

    Args:
        items: int64 `[...]`.
        missing: bool `[...]`, where an item is padding and means nothing.
        n_items: Size of the catalogue.

    Returns:
        int64 `[n]`, at least one, and int64 `[...]`; at padding the row of any of them.
    """
    if not items.is_cuda:
        distinct, row_of_found = items[~missing].unique(return_inverse=True)
        row = torch.zeros_like(items).masked_scatter(~missing, row_of_found)
        return distinct if len(distinct) else distinct.new_zeros(1), row
    if n_items <= items.numel():
        to_embed, row = torch.arange(n_items, device=items.device), items
    else:
        to_embed, row = items.flatten(), torch.arange(items.numel(), device=items.device).view_as(items)
    # Padding is spread over all rows: one row with half of all look-ups has a gradient that a GPU adds up one by one.
    spread = torch.arange(row.numel(), device=row.device).view_as(row) % len(to_embed)
    return to_embed, torch.where(missing, spread, row)


def _looked_up(prepared: Sequence[tuple[Tensor, Tensor]], rows: Tensor) -> Sequence[KeyValue]:
    """Keys and values of each layer for row numbers.

    Args:
        prepared: Of each layer, keys and values `[heads, n, head_dim]`.
        rows: Which of the `n` to take, `[..., r]`.

    Returns:
        Of each layer, keys and values `[..., heads, r, head_dim]`; on a GPU the tables and the rows, for the copies
        alone would take it longer than all that is computed with them.
    """
    if rows.is_cuda:
        return [SharedKeyValue(key, value, rows) for key, value in prepared]
    sides = [side.transpose(0, 1) for key_value in prepared for side in key_value]
    # One look-up for all layers, since its gradient has to sort the rows. That of an embedding is several times faster
    # than that of fancy indexing.
    gathered = F.embedding(rows, torch.stack(sides, 1).flatten(1))
    parts = gathered.unflatten(-1, (len(sides), *sides[0].shape[1:])).movedim(-4, -2).unbind(-4)
    return list(zip(parts[::2], parts[1::2], strict=True))
