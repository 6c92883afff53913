"""What `models.generation.recommender.GenerativeRecommender` asks of a network that generates semantic IDs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from models.generation.beam_search import Beams, BeamStep
from models.generation.decoding_trace import Gate
from models.generation.level_accuracy import LevelAccuracy
from models.history.long_term import LongTerm
from models.semantic_ids.trie import PrefixTrie


class SIDGenerator(nn.Module, ABC):
    """A network that scores codes level by level and searches among them.

    Attributes:
        codes: int64 `[n_items, levels]`, buffer.
        accuracy: Counts training accuracy.
    """

    codes: Tensor
    accuracy: LevelAccuracy

    @abstractmethod
    def generate(
        self,
        items: Tensor,
        kept: Tensor,
        long_term: LongTerm,
        trie: PrefixTrie,
        width: int,
        seen: Tensor | None,
        observe: Callable[[BeamStep], None] | None = None,
    ) -> Beams:
        """Beam search for each query.

        Args:
            items: int64 `[n, short_term]`, padded with `PAD`.
            kept: int64 `[n]`, events of each.
            long_term: Of the queries.
            trie: Valid semantic IDs.
            width: Of the beam.
            seen: bool `[n, n_items]` or None; items that must not be generated.
            observe: Told of every level of the search.
        """

    @abstractmethod
    def forced_logits(self, items: Tensor, kept: Tensor, codes: Tensor, long_term: LongTerm) -> list[Tensor]:
        """Scores of every code of every level, given the codes before it: one target a query, after all its events.

        Args:
            items: int64 `[n, short_term]`, padded with `PAD`.
            kept: int64 `[n]`, events of each.
            codes: int64 `[n, levels]`.
            long_term: Of the queries.

        Returns:
            float32 `[n, codebook_size]` per level.
        """

    def gates(self) -> Sequence[Gate]:
        """The gates through which the decoder reads what was retrieved; for diagnosis."""
        return ()

    def events_read(self, kept: Tensor, long_term: LongTerm, first_codes: Tensor) -> Tensor | None:
        """How many retrieved events the decoder reads given each query's first code; for diagnosis.

        Args:
            kept: int64 `[n]`, short-term events of each.
            long_term: Of the queries.
            first_codes: int64 `[n]`.

        Returns:
            int64 `[n]`; None for networks that retrieve nothing.
        """
        return None
