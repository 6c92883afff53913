"""Small official networks beside their naive twins, and random queries for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from naive_network import ragged
from naive_official import Codes, Official, random_state
from torch import Tensor

from bench.data.interactions import PAD
from models.glass.official import GlassOfficialConfig, GlassOfficialNetwork
from models.glass.official_weights import load_official
from models.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation

N_ITEMS, SHORT_TERM, STRIDE = 14, 4, 5
SIZES = (4, 3, 5)
SIZE = {"dim": 8, "heads": 2, "head_dim": 3, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2}
SMALL: dict[str, Any] = {"short_term": SHORT_TERM, "network": SIZE, "vocabulary": 20, "search": {"limit": 3}}
VARIANTS: dict[str, dict[str, Any]] = {
    "official": {},
    "token last": {"sid_tier": {"place": "last"}},
    "equal tiers of cosines": {"sid_tier": {"tiers": 6, "similarity": "cosine"}},
    "gate on Z_short": {"gate_input": "short"},
    "fixed gate": {"fixed_gate": 0.5},
    "neighbours": {"search": {"neighbours": 2, "threshold": 2, "limit": 3}},
    "with a trie": {"trie": True},
    "disambiguated": {"tokenizer": {"disambiguate": True}},
    "search alone": {"sid_tier": {"enabled": False}},
    "SID-Tier alone": {"search": {"enabled": False}},
    "neither": {"sid_tier": {"enabled": False}, "search": {"enabled": False}},
}


@contextmanager
def double_precision() -> Iterator[None]:
    """Networks made and run inside compute in float64, where equal functions are equal whatever the weights."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def semantic_ids(disambiguate: bool = False) -> SemanticIds:
    """Random codes; first code 3 has no item, several items share a semantic ID."""
    codes = np.random.default_rng(3).integers(0, (3, 2, 2), (N_ITEMS, 3))
    return with_disambiguation(codes, SIZES) if disambiguate else SemanticIds(codes, SIZES, 3)


def item_vectors() -> np.ndarray:
    """Features whose inner products with prototypes reach beyond [-1, 1] here and there."""
    return np.random.default_rng(4).normal(0, 0.8, (N_ITEMS, 3)).astype(np.float32)


@dataclass
class Case:
    """A network, the naive function with its weights, and what the latter needs to know of it."""

    network: GlassOfficialNetwork
    official: Official
    config: GlassOfficialConfig
    begin: int

    @classmethod
    def of(cls, variant: str, seed: int = 0, deviation: float = 0.5) -> Case:
        config = GlassOfficialConfig.model_validate(SMALL | VARIANTS[variant])
        ids = semantic_ids(config.tokenizer.disambiguate)
        network = GlassOfficialNetwork(ids, item_vectors(), config).eval()
        tiers = config.sid_tier.tiers
        n_tiers = tiers if isinstance(tiers, int) else len(tiers) + 1
        stride = max(ids.codebook_sizes)
        state = random_state(
            seed,
            network.vocabulary.rows,
            SIZES[0] * n_tiers if config.sid_tier.enabled else None,
            search=config.search.enabled,
            learned_gate=config.fixed_gate is None,
            deviation=deviation,
        )
        load_official(network, state)
        naive = Official(
            state, stride, SHORT_TERM, config.sid_tier.place == "last", config.gate_input, config.fixed_gate
        )
        return cls(network, naive, config, ids.levels * stride)

    def codes(self, item: int) -> list[int]:
        return self.network.codes[item].tolist()

    def naive_logits(self, history: list[int], known: Codes) -> list[np.ndarray]:
        """The naive function after a whole history."""
        recent, before = history[-SHORT_TERM:], history[:-SHORT_TERM]
        found = [self.codes(item) for item in self.found(before, known[0])] if known else []
        return self.official.logits(
            [self.codes(item) for item in recent],
            self.tier_shares(before) if self.config.sid_tier.enabled else None,
            found if self.config.search.enabled else None,
            known,
            self.begin,
        )

    def found(self, before: list[int], code: int) -> list[int]:
        """What hard search finds, newest first, walking back."""
        first, search = self.network.codes[:, 0].tolist(), self.config.search
        own = [item for item in reversed(before) if first[item] == code]
        if search.neighbours and len(own) < search.threshold:
            assert self.network.neighbours is not None
            for other in self.network.neighbours[code].tolist():
                own = own + [item for item in reversed(before) if first[item] == other]
        return own[: search.limit]

    def tier_shares(self, before: list[int]) -> list[float]:
        """A histogram per code, as numpy makes it."""
        vectors, first = item_vectors(), semantic_ids().codes[:, 0]
        tiers = self.config.sid_tier.tiers
        edges = np.linspace(-1, 1, tiers + 1) if isinstance(tiers, int) else np.array([-1, *tiers, 1])
        shares: list[float] = []
        for code in range(SIZES[0]):
            members = vectors[first == code]
            prototype = (members if len(members) else vectors).mean(0)
            similarity = [float(np.float32(vectors[item] @ prototype)) for item in before]
            if self.config.sid_tier.similarity == "cosine":
                lengths = [np.linalg.norm(vectors[item]) * np.linalg.norm(prototype) for item in before]
                similarity = [s / length for s, length in zip(similarity, lengths, strict=True)]
            shares += (np.histogram(similarity, bins=edges)[0] / max(1, len(before))).tolist()
        return shares


def queries(histories: list[list[int]]) -> tuple[Tensor, Tensor, LongTerm]:
    """Recent items, their number and the long-term history of each query, as a recommender hands them over."""
    kept = [min(SHORT_TERM, len(history)) for history in histories]
    items = [history[len(history) - k :] + [PAD] * (SHORT_TERM - k) for history, k in zip(histories, kept, strict=True)]
    ends = torch.tensor([len(history) - k for history, k in zip(histories, kept, strict=True)])
    return torch.tensor(items), torch.tensor(kept), LongTerm(ragged(histories), torch.arange(len(histories)), ends)
