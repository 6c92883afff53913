"""The causal network over semantic IDs that TIGER, GLASS and DualGR share: its loss, likelihoods and beam search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.interactions import PAD
from models.generation.beam_search import Beams, BeamStep, beam_search
from models.generation.causal_transformer import CodeEmbedding, Decoder, DecoderLayer, Encoder, Retrieved
from models.generation.config import GenerativeConfig
from models.generation.decoding_trace import events_read
from models.generation.query_batch import QueryBatch
from models.generation.retrieved_items import Retrieval
from models.generation.sid_generator import SIDGenerator
from models.generation.transformer import DecoderCache, Memory
from models.history.copying import Copies, CopyableEvents, CopyHead
from models.history.gaps import N_CLASSES
from models.history.long_term import LongTerm
from models.semantic_ids.trie import PrefixTrie


class CausalNetwork(SIDGenerator):
    """Encoder-decoder over the codes of a catalogue. Subclasses add what they read from the long-term history.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        config: Configuration.
        decoder_layer: Makes one decoder layer; called once for each, after the encoder was made. None makes plain ones.
        n_prefix: Tokens that stand before the events in the encoder, beside the start token (`prefix`).
        searches: Whether the history is searched once the first code is known (`retrieve`).

    Attributes:
        n_prefix: Rows of what the decoder reads that stand before the events, beside the start token.
        unsearched: How many events before a target no search finds.
    """

    decoder: Decoder[DecoderLayer]

    def __init__(
        self,
        trie: PrefixTrie,
        config: GenerativeConfig,
        decoder_layer: Callable[[], DecoderLayer] | None = None,
        n_prefix: int = 0,
        searches: bool = False,
    ) -> None:
        super().__init__(trie, over_catalogue=config.normalise == "catalogue", temperature=config.temperature)
        self.n_prefix = n_prefix
        self.short_term = self.unsearched = config.short_term
        network = config.network
        length = 1 + n_prefix + config.short_term
        self.embedding = CodeEmbedding(trie.ids.codebook_sizes, network.dim)
        nothing = torch.zeros(N_CLASSES, network.dim)  # so that it begins as the network without
        self.gap = nn.Embedding.from_pretrained(nothing, freeze=False) if config.gaps else None
        self.encoder = Encoder(network, length)
        make_layer = decoder_layer or partial(DecoderLayer, network)
        self.decoder = Decoder(network, length, [make_layer() for _ in range(network.decoder_layers)])
        self.copy_short = CopyHead(network.dim, self.levels) if config.copying else None
        self.copy_retrieved = CopyHead(network.dim, self.levels) if config.copying and searches else None

    def prefix(self, long_term: LongTerm) -> Tensor | None:
        """Tokens `[batch, n_prefix, dim]` that summarise the long-term history before anything is generated."""
        return None

    def retrieve(self, long_term: LongTerm, known: Tensor, first_token: int) -> Retrieval | None:
        """What the decoder reads once the first code is known.

        Args:
            long_term: Of the batch; `ends` int64 `[batch]` or, one for each position, `[batch, positions or 1]`.
            known: int64 `[batch, positions, n_known]`, the codes that the last of the decoder's tokens knows.
            first_token: The first of the decoder's tokens that knows the first code.
        """
        return None

    def searchable(self, long_term: LongTerm, n_events: Tensor) -> LongTerm:
        """The events that a search for each position may find: all but the `unsearched` ones before its target.

        For a query these are the long-term history. A training window often begins later, and its first targets would
        learn to find in a search what no query finds there.

        Args:
            long_term: Of the batch, with `ends` int64 `[batch]`.
            n_events: int64 `[batch or 1, positions]`, how many events of the window come before each target.
        """
        return replace(long_term, ends=(long_term.ends.unsqueeze(1) + n_events - self.unsearched).clamp(min=0))

    def events_read(self, queries: QueryBatch, first_codes: Tensor) -> Tensor | None:
        searchable = self.searchable(queries.long_term, queries.n_events.unsqueeze(1))
        retrieval = self.retrieve(searchable, first_codes[:, None, None], first_token=1)
        return events_read(_layers(retrieval))

    def ages(self, searchable: LongTerm, index: Tensor) -> Tensor:
        """How many events before its target each retrieved one lies: int64 `[batch, positions, r]`, 1 is the last.

        Args:
            searchable: What was searched.
            index: int64 `[batch, positions, r]`, into its ragged array; the age of `PAD` means nothing.
        """
        ends = searchable.ends.unsqueeze(1) if searchable.ends.ndim == 1 else searchable.ends
        target = searchable.events.offsets[searchable.rows].unsqueeze(1) + ends + self.unsearched
        return target.unsqueeze(-1) - index

    def encode(self, items: Tensor, long_term: LongTerm, gaps: Tensor | None = None) -> Tensor:
        """Encoder output `[batch, 1 + n_prefix + length, dim]`.

        Args:
            items: int64 `[batch, length]`, padded with `PAD`.
            long_term: Of the batch.
            gaps: int64 `[batch, length]`, see `gap_classes`; read only where the configuration says so.
        """
        events = self.embedding.item(self.codes[items.clamp(min=0)])
        if self.gap is not None:
            assert gaps is not None, "a network that reads gaps needs them"
            events = events + self.gap(gaps)
        return self.encoder(events, self.prefix(long_term))

    def loss(
        self,
        items: Tensor,
        targets: Tensor,
        long_term: LongTerm,
        n_events: Tensor | None = None,
        everywhere: bool = False,
        gaps: Tensor | None = None,
    ) -> Tensor:
        """Mean negative log-likelihood (nats) of the target items, the sum over their codes, at the temperature.

        Args:
            items: int64 `[batch, length]`, padded with `PAD`.
            targets: int64 `[batch, length]`, the item after each position, `PAD` where there is none to learn.
            long_term: Of the batch.
            n_events: int64 `[batch, length]`, how many of `items` each target's history holds. None: all up to its
                position.
            everywhere: Whether scores are made at all positions, so that no shape depends on which of them have a
                target, and not at those alone; the loss is the same.
            gaps: See `encode`.
        """
        if n_events is None:
            n_events = (torch.arange(items.shape[1], device=items.device) + 1).unsqueeze(0)
        codes = self.codes[targets.clamp(min=0)]
        hidden, copies = self._forced(items, n_events, codes, long_term, gaps)
        wanted = targets != PAD

        def chosen(states: Tensor) -> Tensor:
            """The rows `[n, ...]` of states `[batch, positions, ...]` from which targets are scored."""
            return states.flatten(0, 1) if everywhere else states[wanted]

        hidden, copies = chosen(hidden), [copy.at(chosen) for copy in copies]
        logits = [self._logits(level, hidden[:, level], copies) for level in range(self.levels)]
        targets = chosen(targets)
        codes = chosen(codes).masked_fill((targets == PAD).unsqueeze(1), PAD)
        total = hidden.new_zeros(())
        for level, scores in enumerate(self.sharing(logits, targets.clamp(min=0))):
            total = total + self.level_loss(level, scores, codes[:, level])
        return total

    def forced_logits(self, queries: QueryBatch, codes: Tensor) -> list[Tensor]:
        n_events = queries.n_events.unsqueeze(1)
        hidden, copies = self._forced(queries.items, n_events, codes.unsqueeze(1), queries.long_term, queries.gaps)
        return [self._logits(level, hidden[:, :, level], copies)[:, 0] for level in range(self.levels)]

    def log_likelihoods(self, queries: QueryBatch, items: Tensor) -> Tensor:
        """Log-probabilities of generating items: what a beam search would find, had it kept their codes all the way.

        Args:
            queries: What is known of each.
            items: int64 `[n, candidates]`.

        Returns:
            float32 `[n, candidates]`; items that share a semantic ID share its log-probability.
        """
        codes = self.codes[items]
        n_events = queries.n_events.unsqueeze(1).expand(-1, items.shape[1])
        hidden, copies = self._forced(queries.items, n_events, codes, queries.long_term, queries.gaps)
        logits = [self._logits(level, hidden[:, :, level], copies).flatten(0, 1) for level in range(self.levels)]
        total = hidden.new_zeros(items.numel())
        for level, scores in enumerate(self.sharing(logits, items.flatten())):
            total = total + scores.log_softmax(-1).gather(-1, codes.flatten(0, 1)[:, level, None]).squeeze(-1)
        return total.view_as(items)

    def _logits(self, level: int, hidden: Tensor, copies: Sequence[Copies]) -> Tensor:
        """Scores `[..., codebook_size]` of a level's codes for the decoder states `[..., dim]` before it."""
        logits = self.embedding.logits(level, hidden)
        for copy in copies:
            logits = copy.added_to(logits, level)
        return logits

    def _copyable_short(self, encoded: Tensor, items: Tensor, n_events: Tensor) -> CopyableEvents | None:
        """The short-term events before each target, known by their encoder states; None where nothing is copied.

        Args:
            encoded: float32 `[batch, 1 + n_prefix + length, dim]`.
            items: int64 `[batch, length]`, padded with `PAD`.
            n_events: int64 `[batch or 1, positions]`, how many of the events come before each target.
        """
        if self.copy_short is None:
            return None
        key = self.copy_short.key(encoded[:, -items.shape[1] :]).unsqueeze(1)
        age = n_events.unsqueeze(-1) - torch.arange(items.shape[1], device=items.device)
        present = (items != PAD).unsqueeze(1) & (age > 0)
        return CopyableEvents(key, self.codes[items.clamp(min=0)].unsqueeze(1), age, present)

    def _copies(
        self,
        hidden: Tensor,
        known: Tensor,
        short: CopyableEvents | None,
        searchable: LongTerm,
        retrieval: Retrieval | None,
    ) -> list[Copies]:
        """What the decoder may copy.

        Args:
            hidden: Its states `[batch, positions, tokens, dim]`.
            known: int64 `[batch, positions, n_known]`, the codes that the last state knows.
            short: The short-term events.
            searchable: What was searched.
            retrieval: What the search retrieved, if there was one.
        """
        copies = []
        if self.copy_short is not None and short is not None:
            copies.append(self.copy_short(hidden, known, short))
        if self.copy_retrieved is not None and retrieval is not None:
            index = retrieval.index
            key = F.embedding(retrieval.row, self.copy_retrieved.key(retrieval.embedded))
            events = CopyableEvents(key, self.codes[retrieval.items], self.ages(searchable, index), index != PAD)
            # The begin token, if its state is here, knows no first code by which a search could retrieve events.
            begin = max(hidden.shape[2] - known.shape[-1], 0)
            copies.append(self.copy_retrieved(hidden[:, :, begin:], known, events))
        return copies

    def _forced(
        self, items: Tensor, n_events: Tensor, codes: Tensor, long_term: LongTerm, gaps: Tensor | None = None
    ) -> tuple[Tensor, list[Copies]]:
        """Decoder states under teacher forcing, where retrieval, too, uses the target's own first code.

        Args:
            items: int64 `[batch, length]`, padded with `PAD`.
            n_events: int64 `[batch or 1, positions]`, how many of the events come before each target.
            codes: int64 `[batch, positions, levels]`, the targets.
            long_term: Of the batch.
            gaps: See `encode`.

        Returns:
            float32 `[batch, positions, levels, dim]`, the state of a level knows the codes of the levels before it;
            and what may be copied.
        """
        encoded = self.encode(items, long_term, gaps)
        memory = self.decoder.read(encoded, n_events + self.n_prefix)
        begin = self.decoder.begin.expand(*codes.shape[:2], -1)
        known = [self.embedding.code(level, codes[..., level]) for level in range(self.levels - 1)]
        searchable = self.searchable(long_term, n_events)
        retrieval = self.retrieve(searchable, codes[..., :-1], first_token=1) if self.levels > 1 else None
        hidden = self.decoder(torch.stack([begin, *known], dim=2), memory, _layers(retrieval))
        short = self._copyable_short(encoded, items, n_events)
        return hidden, self._copies(hidden, codes[..., :-1], short, searchable, retrieval)

    def generate(self, queries: QueryBatch, width: int, observe: Callable[[BeamStep], None] | None = None) -> Beams:
        encoded, n_events = self.encode(queries.items, queries.long_term, queries.gaps), queries.n_events.unsqueeze(1)
        memory = self.decoder.read(encoded, n_events + self.n_prefix)
        searchable = self.searchable(queries.long_term, n_events)
        short = self._copyable_short(encoded, queries.items, n_events)
        cache = DecoderCache()

        def step(level: int, codes: Tensor, parents: Tensor) -> Tensor:
            if level == 0:
                tokens, retrieval = self.decoder.begin.expand(len(queries), 1, 1, -1), None
            else:
                cache.reorder(parents)
                tokens = self.embedding.code(level - 1, codes[..., -1:])
                retrieval = self.retrieve(searchable, codes, first_token=0)
            hidden = self.decoder(tokens, _for_beams(memory, codes.shape[1]), _layers(retrieval), cache)
            copies = self._copies(hidden, codes, short, searchable, retrieval)
            return self._logits(level, hidden[:, :, -1], copies).log_softmax(-1)

        open_nodes = None if queries.seen is None else self.trie.open_nodes(queries.seen)
        return beam_search(step, self.trie, len(queries), width, open_nodes, observe, self.over_catalogue)


def _layers(retrieval: Retrieval | None) -> list[Retrieved] | None:
    return None if retrieval is None else retrieval.layers


def _for_beams(memory: Memory, beams: int) -> Memory:
    """Lets every beam look at what its query looks at."""
    return Memory(memory.key_values, memory.bias.expand(-1, -1, beams, -1))
