"""What `models.generation.recommender.GenerativeRecommender` needs of a network that generates semantic IDs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.interactions import PAD
from models.generation.beam_search import Beams, BeamStep
from models.generation.decoding_trace import Gate, best_other_code, code_ranks
from models.generation.level_accuracy import LevelAccuracy
from models.generation.query_batch import QueryBatch
from models.history.long_term import LongTerm
from models.semantic_ids.trie import PrefixTrie


class SIDGenerator(nn.Module, ABC):
    """A network that scores the codes of a catalogue level by level and searches among them.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        over_catalogue: Whether only the codes that lead on to a semantic ID of the catalogue share the probability of
            a level (`normalise: catalogue`), and not all of its codebook.
        temperature: In training, scores are divided by it before the softmax.

    Attributes:
        trie, over_catalogue, temperature: As given.
        levels: Of the semantic IDs.
        codes: int64 `[n_items, levels]`, buffer.
        accuracy: Counts training accuracy.
    """

    codes: Tensor

    def __init__(self, trie: PrefixTrie, over_catalogue: bool, temperature: float = 1.0) -> None:
        super().__init__()
        self.trie = trie
        self.over_catalogue = over_catalogue
        self.temperature = temperature
        self.levels = trie.levels
        self.register_buffer("codes", torch.from_numpy(trie.ids.codes), persistent=False)
        self.accuracy = LevelAccuracy(trie.levels)

    def level_loss(self, level: int, scores: Tensor, codes: Tensor) -> Tensor:
        """Mean negative log-likelihood (nats) of a level's codes at the temperature; counts how many come first.

        Args:
            level: Which one.
            scores: float32 `[n, n_codes]`.
            codes: int64 `[n]`, `PAD` where there is nothing to learn.
        """
        self.accuracy.count(level, scores, codes)
        scores = scores if self.temperature == 1 else scores / self.temperature
        return F.cross_entropy(scores, codes, ignore_index=PAD)

    @abstractmethod
    def generate(self, queries: QueryBatch, width: int, observe: Callable[[BeamStep], None] | None = None) -> Beams:
        """Beam search for each query.

        Args:
            queries: What is known of each.
            width: Of the beam.
            observe: Is called with every level of the search.
        """

    @abstractmethod
    def forced_logits(self, queries: QueryBatch, codes: Tensor) -> list[Tensor]:
        """Scores of every code of every level, given the codes before it: one target a query, after all its events.

        Args:
            queries: What is known of each.
            codes: int64 `[n, levels]`.

        Returns:
            float32 `[n, codebook_size]` per level.
        """

    def summarise(self, long_term: LongTerm) -> Tensor | None:
        """What the network reads of whole long-term histories and no parameter has a part in; None where nothing is.

        Made beforehand, as `LongTerm.summary`, it leaves a step whose shapes depend on no history's length.
        """
        return None

    def sharing(self, logits: Sequence[Tensor], items: Tensor) -> Sequence[Tensor]:
        """Scores of each level, with -inf for the codes that have no share of its probability after an item's prefix.

        Args:
            logits: Per level float32 `[n, codebook_size]`.
            items: int64 `[n]`, whose codes before each level are known.
        """
        if not self.over_catalogue:
            return logits
        prefixes = enumerate(self.trie.prefixes(items))
        return [self.trie.only_children(level, nodes, logits[level]) for level, nodes in prefixes]

    def ranks_after_wrong(self, queries: QueryBatch, codes: Tensor, first_logits: Tensor) -> Tensor:
        """Ranks of a target's later codes after the most probable other first code; for diagnosis.

        Args:
            queries: What is known of each.
            codes: int64 `[n, levels]`, the targets.
            first_logits: float32 `[n, codebook_size]`, scores of the first codes.

        Returns:
            int64 `[n, levels - 1]`, from 0; -1 where there is no other code, and where only prefixes of the catalogue
            share probability: another first code with the target's later ones is none.
        """
        if self.over_catalogue:
            return torch.full_like(codes[:, 1:], -1)
        other, exists = best_other_code(first_logits, codes[:, 0], self.codes[:, 0])
        misled = torch.cat([other.unsqueeze(1), codes[:, 1:]], dim=1)
        ranks = code_ranks(self.forced_logits(queries, misled), codes)[:, 1:]
        return ranks.masked_fill(~exists.unsqueeze(1), -1)

    def gates(self) -> Sequence[Gate]:
        """The gates through which the decoder reads what was retrieved; for diagnosis."""
        return ()

    def events_read(self, queries: QueryBatch, first_codes: Tensor) -> Tensor | None:
        """How many retrieved events the decoder reads given each query's first code; for diagnosis.

        Args:
            queries: What is known of each.
            first_codes: int64 `[n]`.

        Returns:
            int64 `[n]`; None for networks that retrieve nothing.
        """
        return None
