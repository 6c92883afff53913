"""Generative retrieval as TIGER and the official GLASS code do it: a T5 over code tokens, one target per example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.data.interactions import PAD
from models.generation.beam_search import Beams, BeamStep, beam_search
from models.generation.config import GenerativeConfig
from models.generation.query_batch import QueryBatch
from models.generation.sid_generator import SIDGenerator
from models.generation.t5_transformer import RetrievedTokens, T5Config, T5Decoder, T5DecoderLayer, T5Encoder, hide
from models.generation.transformer import DecoderCache, Memory
from models.history.long_term import LongTerm
from models.semantic_ids.every_code import EveryCode, leaf_numbers
from models.semantic_ids.tokenizer import TokenizerConfig
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import TrainingConfig

PAD_TOKEN = 0
"""The token of padding, where a history has no event."""


class T5GenerativeConfig(GenerativeConfig):
    """Configuration shared by the T5-style models.

    The official GLASS code trains with AdamW at a constant 1e-4 and weight decay 0.01, 2048 targets a batch, each
    target once an epoch, up to 2000 epochs, early stopping on validation NDCG@20 with a patience of 100. The schedule
    here is one for small data.

    Attributes:
        network: Size of the encoder-decoder.
        vocabulary: Rows of the token table; unused ones still take part in the softmax, as in the official code. Where
            the codes need more, there are more.
        initial_std: Standard deviation of the token embeddings before training, 1 in the official code. They are the
            output layer, too, whose logits nothing scales: from 1 on training takes long to find its way out of
            confident nonsense. The default is about the inverse square root of the width.
        trie: Whether generation is confined to the catalogue's semantic IDs. Otherwise every code may follow every
            other, and generated IDs that no item has are dropped.
        batch_targets: Training targets of one step; `training.batch_events` has no meaning here.
        targets_per_epoch: Share of all training targets that an epoch visits, drawn anew each time.
    """

    tokenizer: TokenizerConfig = TokenizerConfig(disambiguate=False)
    network: T5Config = T5Config()
    vocabulary: int = Field(default=1000, ge=1)
    initial_std: float = Field(default=0.1, gt=0)
    trie: bool = False
    batch_targets: int = Field(default=512, ge=1)
    targets_per_epoch: float = Field(default=0.5, gt=0, le=1)
    training: TrainingConfig = TrainingConfig(epochs=30, warmup_steps=200, validate_every=3, average=0.99)

    @field_validator("normalise")
    @classmethod
    def _over_the_vocabulary(cls, normalise: str) -> str:
        if normalise != "codebook":
            raise ValueError("the T5-style models normalise over their whole vocabulary, as the official code does")
        return normalise

    @field_validator("gaps")
    @classmethod
    def _reads_codes_alone(cls, gaps: bool) -> bool:
        if gaps:
            raise ValueError("the T5-style models read the codes of events and no times, as the official code does")
        return gaps

    @field_validator("copying")
    @classmethod
    def _generates_all(cls, copying: bool) -> bool:
        if copying:
            raise ValueError("the T5-style models generate every code, as the official code does")
        return copying


@dataclass(frozen=True)
class TokenVocabulary:
    """One vocabulary over the codes of all levels: token = 1 + level * stride + code, and 0 for padding.

    Attributes:
        sizes: Codes per level.
        rows: Rows of the token table, at least `used`.
    """

    sizes: tuple[int, ...]
    rows: int

    @classmethod
    def over(cls, sizes: tuple[int, ...], rows: int) -> TokenVocabulary:
        """A vocabulary with `rows` rows, or as many as the codes need."""
        return cls(sizes, max(rows, 1 + len(sizes) * max(sizes)))

    @property
    def stride(self) -> int:
        """Tokens from one level to the next: the widest codebook."""
        return max(self.sizes)

    @property
    def used(self) -> int:
        """Rows that padding and codes can reach."""
        return 1 + len(self.sizes) * self.stride

    def token(self, level: int, codes: Tensor) -> Tensor:
        """Tokens of codes int64 `[...]` of one level."""
        return codes + (1 + level * self.stride)

    def tokens(self, codes: Tensor) -> Tensor:
        """Tokens of codes int64 `[..., levels]`."""
        return codes + 1 + torch.arange(codes.shape[-1], device=codes.device) * self.stride

    def span(self, level: int) -> slice:
        """Where a level's codes lie in the vocabulary."""
        first = 1 + level * self.stride
        return slice(first, first + self.sizes[level])


class T5Network(SIDGenerator):
    """A T5 that reads the tokens of recent items and generates the tokens of the next one.

    The begin token is a vector of its own and can't be generated. In the official code it is token 384, by the same
    arithmetic also the token of the last code of a third level with 128 codes.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        config: Configuration.
        decoder_layer: Makes one decoder layer; called once for each, after the encoder was made. None makes plain ones.
        n_prefix: Tokens that join the events in the encoder (`join`).
    """

    tokens: Tensor
    leaves: Tensor
    decoder: T5Decoder[T5DecoderLayer]

    def __init__(
        self,
        trie: PrefixTrie,
        config: T5GenerativeConfig,
        decoder_layer: Callable[[], T5DecoderLayer] | None = None,
        n_prefix: int = 0,
    ) -> None:
        super().__init__(trie, over_catalogue=False, temperature=config.temperature)
        ids = trie.ids
        self.codebook_sizes = ids.codebook_sizes
        self.confined = config.trie
        self.vocabulary = TokenVocabulary.over(ids.codebook_sizes, config.vocabulary)
        # The last row stands for `PAD`, which as an index is -1.
        tokens = torch.cat([self.vocabulary.tokens(self.codes), torch.full((1, ids.levels), PAD_TOKEN)])
        self.register_buffer("tokens", tokens, persistent=False)
        self.register_buffer("leaves", torch.from_numpy(leaf_numbers(ids)), persistent=False)
        network = config.network
        self.embedding = nn.Embedding(self.vocabulary.rows, network.dim)
        self.begin = nn.Parameter(torch.empty(network.dim))
        for vectors in (self.embedding.weight, self.begin):
            nn.init.normal_(vectors, std=config.initial_std)
        self.encoder = T5Encoder(network, n_prefix + config.short_term * ids.levels)
        make_layer = decoder_layer or partial(T5DecoderLayer, network)
        self.decoder = T5Decoder(network, ids.levels, [make_layer() for _ in range(network.decoder_layers)])

    def join(self, events: Tensor, visible: Tensor, long_term: LongTerm) -> tuple[Tensor, Tensor]:
        """Lets what summarises the long-term history join the embedded events; here nothing does.

        Args:
            events: float32 `[batch, n, dim]`, right-aligned.
            visible: bool `[batch, n]`, False at padding.
            long_term: Of the batch.

        Returns:
            The encoder's input float32 `[batch, n + n_prefix, dim]`, and what of it is visible.
        """
        return events, visible

    def retrieve(self, long_term: LongTerm, first_codes: Tensor, first_token: int) -> list[RetrievedTokens] | None:
        """What each decoder layer reads once the first code is known.

        Args:
            long_term: Of the batch.
            first_codes: int64 `[batch, beams]`.
            first_token: The first of the decoder's tokens that knows the first code.
        """
        return None

    def embedded_events(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """Embeds the tokens int64 `[batch, events * levels]` of recent items for the encoder, with `dim` numbers each.

        Args:
            tokens: Item after item, right-aligned.
            visible: bool like `tokens`, False at padding.
        """
        return self.embedding(tokens)

    def decoder_inputs(self, codes: Tensor, last: bool = False) -> Tensor:
        """Embeds the begin token and the codes generated so far.

        Args:
            codes: int64 `[..., n]`, the first n codes of an item.
            last: Whether only the last of these inputs is wanted.

        Returns:
            float32 `[..., n + 1, dim]`, or `[..., 1, dim]`.
        """
        begin = self.begin.expand(*codes.shape[:-1], 1, -1)
        if last and codes.shape[-1] == 0:
            return begin
        known = self.embedding(self.vocabulary.tokens(codes)[..., -1:] if last else self.vocabulary.tokens(codes))
        return known if last else torch.cat([begin, known], dim=-2)

    def encode(self, items: Tensor, long_term: LongTerm) -> Memory:
        """Encodes recent items int64 `[batch, short_term]`, left-aligned and padded with `PAD`, for the decoder."""
        length = items.shape[1]
        # Padding goes in front, so that the newest event always stands at the same position.
        position = torch.arange(length, device=items.device) - (items == PAD).sum(1, keepdim=True)
        items = torch.where(position >= 0, items.gather(1, position.clamp(min=0)), PAD)
        tokens = self.tokens[items].flatten(1)
        visible = tokens != PAD_TOKEN
        embedded, visible = self.join(self.embedded_events(tokens, visible), visible, long_term)
        hidden_keys = hide(visible)
        return self.decoder.read(self.encoder(embedded, hidden_keys), hidden_keys)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores `[..., vocabulary]` of every token for decoder states `[..., dim]` (tied, not scaled)."""
        return F.linear(hidden, self.embedding.weight)

    def forced(self, items: Tensor, codes: Tensor, long_term: LongTerm) -> Tensor:
        """Logits under teacher forcing, where retrieval, too, uses the target's own first code.

        Args:
            items: int64 `[batch, short_term]`, left-aligned and padded with `PAD`.
            codes: int64 `[batch, levels]`, the targets.
            long_term: Of the batch.

        Returns:
            float32 `[batch, levels, vocabulary]`; those of a level know the codes of the levels before it.
        """
        inputs = self.decoder_inputs(codes[:, :-1]).unsqueeze(1)
        retrieved = self.retrieve(long_term, codes[:, :1], first_token=1)
        return self.logits(self.decoder(inputs, self.encode(items, long_term), retrieved)[:, 0])

    def loss(self, items: Tensor, targets: Tensor, long_term: LongTerm) -> Tensor:
        """Mean negative log-likelihood (nats) over the whole vocabulary, the sum over a target's codes.

        The official code takes the mean over codes: the same up to a constant factor.

        Args:
            items: int64 `[batch, short_term]`, left-aligned and padded with `PAD`.
            targets: int64 `[batch]`.
            long_term: Of the batch.
        """
        logits, tokens = self.forced(items, self.codes[targets], long_term), self.tokens[targets]
        total = logits.new_zeros(())
        for level in range(self.levels):
            total = total + self.level_loss(level, logits[:, level], tokens[:, level])
        return total

    def forced_logits(self, queries: QueryBatch, codes: Tensor) -> list[Tensor]:
        logits = self.forced(queries.items, codes, queries.long_term)
        return [logits[:, level, self.vocabulary.span(level)] for level in range(self.levels)]

    def generate(self, queries: QueryBatch, width: int, observe: Callable[[BeamStep], None] | None = None) -> Beams:
        """See `SIDGenerator.generate`.

        Log-probabilities are those of the whole vocabulary, but only codes of the level that is being generated
        compete: the official code lets tokens of other levels take up the beam, where they match nothing.
        """
        memory = self.encode(queries.items, queries.long_term)
        cache = DecoderCache()

        def step(level: int, codes: Tensor, parents: Tensor) -> Tensor:
            retrieved = None
            if level > 0:
                cache.reorder(parents)
                retrieved = self.retrieve(queries.long_term, codes[..., 0], first_token=0)
            hidden = self.decoder(self.decoder_inputs(codes, last=True), memory, retrieved, cache)
            return self.logits(hidden[:, :, -1]).log_softmax(-1)[..., self.vocabulary.span(level)]

        open_nodes = None if queries.seen is None else self.trie.open_nodes(queries.seen)
        if self.confined:
            return beam_search(step, self.trie, len(queries), width, open_nodes, observe)
        tree = EveryCode(self.codebook_sizes, self.leaves, None if open_nodes is None else open_nodes[-1])
        beams = beam_search(step, tree, len(queries), width, observe=observe)
        return replace(beams, leaves=tree.leaf_of(beams.leaves))
