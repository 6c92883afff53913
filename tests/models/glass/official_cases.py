"""Small official networks beside their naive twins, and random queries for both.

A twin knows the variant's settings as written here and, for the rest, the official code's, with the lines of
github.com/cst20/GLASS at commit d6014c3 where they stand; it never reads the configuration of the network under test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from naive_network import ragged, trie_of
from naive_official import Codes, Official, random_state
from torch import Tensor

from bench.data.interactions import PAD
from models.generation.query_batch import QueryBatch
from models.glass.official import GlassOfficialConfig, SIDTierT5Network, official_network
from models.glass.official_weights import load_official
from models.history.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation

N_ITEMS, SHORT_TERM, STRIDE = 14, 4, 5
SIZES = (4, 3, 5)
SIZE = {"dim": 8, "heads": 2, "head_dim": 3, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2}
LIMIT, VOCABULARY = 3, 20
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": SIZE,
    "vocabulary": VOCABULARY,
    "search": {"limit": LIMIT},
}
BIN_BOUNDARIES = (-1.0, -0.1, 0.0, 0.1, 1.0)  # data/prepare_glass.py, line 34
OFFICIAL: dict[str, Any] = {
    "tiers": BIN_BOUNDARIES,
    "similarity": "dot",  # data/prepare_glass.py, line 472
    "tier_last": False,  # glass/main_glass.py, `forward_encoder`: [SIDTier, History]
    "gate_input": "hidden",  # glass/main_glass.py, `DualAwareT5Block.forward`: [normed_hidden_states, out_sim]
    "fixed_gate": None,
    "neighbours": 0,  # data/prepare_glass.py, `step3_augment_train_data`: the target's own first code alone
    "threshold": 0,
    "sid_tier": True,
    "search": True,
}
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


TOLD: dict[str, dict[str, Any]] = {
    "official": {},
    "token last": {"tier_last": True},
    "equal tiers of cosines": {"tiers": np.linspace(-1, 1, 6 + 1), "similarity": "cosine"},
    "gate on Z_short": {"gate_input": "short"},
    "fixed gate": {"fixed_gate": 0.5},
    "neighbours": {"neighbours": 2, "threshold": 2},
    "with a trie": {},
    "disambiguated": {},
    "search alone": {"sid_tier": False},
    "SID-Tier alone": {"search": False},
    "neither": {"sid_tier": False, "search": False},
}
"""What the twin of each variant is told."""


@dataclass
class Case:
    """A network, the naive function with its weights, and what the latter needs to know of it.

    Attributes:
        network: Under test, with the configuration of its variant.
        official: The naive function.
        told: `OFFICIAL`, with what the variant changes.
        begin: The begin token.
    """

    network: SIDTierT5Network
    official: Official
    told: dict[str, Any]
    begin: int

    @classmethod
    def of(cls, variant: str, seed: int = 0, deviation: float = 0.5) -> Case:
        told, ids = OFFICIAL | TOLD[variant], semantic_ids(variant == "disambiguated")
        config = GlassOfficialConfig.model_validate(SMALL | VARIANTS[variant])
        network = official_network(trie_of(ids), item_vectors(), config).eval()
        stride = max(ids.codebook_sizes)
        state = random_state(
            seed,
            # As many rows as the codes need, where those are more (the disambiguated variant).
            max(VOCABULARY, 1 + ids.levels * stride),
            SIZES[0] * (len(told["tiers"]) - 1) if told["sid_tier"] else None,
            search=told["search"],
            learned_gate=told["fixed_gate"] is None,
            deviation=deviation,
        )
        load_official(network, state)
        naive = Official(state, stride, SHORT_TERM, told["tier_last"], told["gate_input"], told["fixed_gate"])
        return cls(network, naive, told, ids.levels * stride)

    def codes(self, item: int) -> list[int]:
        return self.network.codes[item].tolist()

    def naive_logits(self, history: list[int], known: Codes) -> list[np.ndarray]:
        """The naive function after a whole history."""
        recent, before = history[-SHORT_TERM:], history[:-SHORT_TERM]
        found = [self.codes(item) for item in self.found(before, known[0])] if known else []
        return self.official.logits(
            [self.codes(item) for item in recent],
            self.tier_shares(before) if self.told["sid_tier"] else None,
            found if self.told["search"] else None,
            known,
            self.begin,
        )

    def found(self, before: list[int], code: int) -> list[int]:
        """What hard search finds, newest first, walking back."""
        first = semantic_ids().codes[:, 0].tolist()
        own = [item for item in reversed(before) if first[item] == code]
        if self.told["neighbours"] and len(own) < self.told["threshold"]:
            for other in nearest(code)[: self.told["neighbours"]]:
                own = own + [item for item in reversed(before) if first[item] == other]
        return own[:LIMIT]

    def tier_shares(self, before: list[int]) -> list[float]:
        """A histogram per code, as numpy makes it (data/prepare_glass.py, line 477)."""
        vectors = item_vectors()
        shares: list[float] = []
        for code in range(SIZES[0]):
            prototype = prototype_of(code)
            similarity = [float(np.float32(vectors[item] @ prototype)) for item in before]
            if self.told["similarity"] == "cosine":
                lengths = [np.linalg.norm(vectors[item]) * np.linalg.norm(prototype) for item in before]
                similarity = [s / length for s, length in zip(similarity, lengths, strict=True)]
            shares += (np.histogram(similarity, bins=np.array(self.told["tiers"]))[0] / max(1, len(before))).tolist()
        return shares


def prototype_of(code: int) -> np.ndarray:
    """The mean vector of a first code's items, of all where it has none (data/prepare_glass.py, lines 83 to 88)."""
    vectors, first = item_vectors(), semantic_ids().codes[:, 0]
    members = vectors[first == code]
    return (members if len(members) else vectors).mean(0)


def nearest(code: int) -> list[int]:
    """The other first codes with items, by the cosine of their prototypes with that of `code` (GLASS, section 3.5)."""
    used = sorted(set(semantic_ids().codes[:, 0].tolist()) - {code})
    own = prototype_of(code)

    def cosine(other: int) -> float:
        vector = prototype_of(other)
        return float(own @ vector / np.linalg.norm(own) / np.linalg.norm(vector))

    return sorted(used, key=cosine, reverse=True)


def queries(histories: list[list[int]], seen: Tensor | None = None) -> QueryBatch:
    """The queries of some histories, as a recommender hands them over."""
    kept = [min(SHORT_TERM, len(history)) for history in histories]
    items = [history[len(history) - k :] + [PAD] * (SHORT_TERM - k) for history, k in zip(histories, kept, strict=True)]
    ends = torch.tensor([len(history) - k for history, k in zip(histories, kept, strict=True)])
    long_term = LongTerm(ragged(histories), torch.arange(len(histories)), ends)
    return QueryBatch(torch.tensor(items), torch.tensor(kept), long_term, seen)
