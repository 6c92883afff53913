"""How SIM is configured: what is searched, how, and by what the found events are ranked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.config import Config, added_field
from bench.errors import unknown_name
from bench.registry import model_names
from models.heads import heads_divide
from models.semantic_ids.tokenizer import TokenizerConfig
from models.training.loop import TrainingConfig


class PrefixConfig(Config):
    """Says which semantic IDs the hard search goes by (R2LED, arXiv 2602.06622).

    Attributes:
        levels: How many codes an event's item must have in common with the candidate, from the first one on.
        tokenizer: How items become semantic IDs.
    """

    levels: int = Field(default=1, ge=1)
    tokenizer: TokenizerConfig = TokenizerConfig()

    @model_validator(mode="after")
    def _has_the_levels(self) -> PrefixConfig:
        if self.levels > len(self.tokenizer.codebooks):
            raise ValueError(f"{self.levels} levels are more than tokenizer.codebooks has")
        return self


class SIMConfig(Config):
    """Configures SIM: its two ways to search a lifelong history, and the network that ranks by what they retrieve.

    Attributes:
        short_term: Most recent events, read by the DIN-like branch; everything before is the long-term history.
        search: The general search unit: "hard" keeps long-term events of the candidate's category, "soft" those whose
            items have the largest inner product with the candidate.
        limit: Events that the search keeps per candidate.
        dim: Width of the item embeddings.
        heads: Heads of the target attentions.
        hidden: Width of the ranking network's hidden layer.
        dropout: Of the ranking network's input.
        negatives: Candidates drawn uniformly from the catalogue per batch, shared by its targets.
        batch_targets: Training targets of one step.
        targets_per_epoch: Share of all training targets that an epoch visits, drawn anew each time.
        first_stage: Registered model whose best items are the candidates; trained beforehand with the same seed. None:
            every item is a candidate.
        first_stage_config: Its configuration, where it differs from that model's defaults.
        candidates: How many items of the first stage are ranked; no meaning without one.
        decoupled: Whether attention, and the soft search, compare items by embeddings of their own, while what is read
            of an event, and the candidate that is ranked, has others (DARE, arXiv 2410.02604).
        prefix: Makes the hard search go by semantic IDs in place of categories. None: by categories.
        training: Schedule and stopping; `batch_events` has no meaning here.
    """

    short_term: int = Field(default=50, ge=1)
    search: Literal["hard", "soft"] = "hard"
    limit: int = Field(default=20, ge=1)
    dim: int = Field(default=32, ge=1)
    heads: int = Field(default=2, ge=1)
    hidden: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    negatives: int = Field(default=128, ge=1)
    batch_targets: int = Field(default=128, ge=1)
    targets_per_epoch: float = Field(default=0.2, gt=0, le=1)
    first_stage: str | None = None
    first_stage_config: dict[str, Any] = Field(default_factory=dict)
    candidates: int = Field(default=500, ge=1)
    decoupled: bool = added_field(False)
    prefix: PrefixConfig | None = added_field(None)
    training: TrainingConfig = TrainingConfig(epochs=15, validate_every=3, average=0.99, learning_rate=3e-3)

    @field_validator("first_stage")
    @classmethod
    def _is_registered(cls, name: str | None) -> str | None:
        if name is not None and name not in (known := model_names()):
            raise unknown_name("model", name, known)
        return name

    @model_validator(mode="after")
    def _only_the_hard_search_has_prefixes(self) -> SIMConfig:
        if self.prefix is not None and self.search == "soft":
            raise ValueError("prefix says what the hard search goes by, and search is soft")
        return self

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> SIMConfig:
        heads_divide(self.dim, self.heads)
        return self


class SIMSoftConfig(SIMConfig):
    """Configures SIM with soft search."""

    search: Literal["hard", "soft"] = "soft"
