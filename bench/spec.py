"""What is run (`Suite`, `RunSpec`) and what comes of it (`RunResult`): validated, hashable, serialisable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from bench.data.cache import content_key
from bench.data.dataset import SeenItems

ProtocolName = Literal["leave-one-out"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSpec(_Strict):
    """A data set as a suite asks for it.

    Attributes:
        name: The registered name.
        protocol: How interactions become training data and queries.
        seen_items: Overrides the data set's own rule on candidates. None keeps it.
    """

    name: str
    protocol: ProtocolName = "leave-one-out"
    seen_items: SeenItems | None = None

    @property
    def label(self) -> str:
        """The name in tables and folders; `ml-100k+keep` where the rule on seen items is not the data set's own."""
        return self.name + (f"+{self.seen_items}" if self.seen_items else "")


class Published(_Strict):
    """A published figure beside the run that should reproduce it.

    Attributes:
        metric: A metric of the leaderboard, e.g. "recall@10".
        value: The published value.
        tolerance: Largest relative difference that still counts as reproduced.
        source: Where it was published.
    """

    metric: str
    value: float
    tolerance: float
    source: str


class Entry(_Strict):
    """One row of a suite: a model with its configuration.

    Attributes:
        model: The registered name.
        label: The row's name in tables; the model's name unless several rows share a model.
        config: What differs from the model's defaults.
        per_dataset: Further differences by data-set name.
        datasets: Only on these data sets. None: on all of the suite.
        published: Published figures that this row should reproduce, per data-set label.
        note: What a reader of its figures should know; printed under the main table.
    """

    model: str
    label: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    per_dataset: dict[str, dict[str, Any]] = Field(default_factory=dict)
    datasets: tuple[str, ...] | None = None
    published: dict[str, tuple[Published, ...]] = Field(default_factory=dict)
    note: str = ""

    @property
    def row(self) -> str:
        return self.label or self.model


class Suite(_Strict):
    """A grid of runs, as written in `bench/suites/*.yaml`: every entry on every data set with every seed.

    Attributes:
        name: The file's stem.
        description: One line.
        datasets, models, seeds: The grid.
        questions: Pairs of models; the report says of each whether the first is better than the second, and where.
        floor: The model that every other one should beat.
    """

    name: str
    description: str
    datasets: tuple[DatasetSpec, ...]
    models: tuple[Entry, ...]
    seeds: tuple[int, ...]
    questions: tuple[tuple[str, str], ...] = ()
    floor: str | None = None


class RunSpec(_Strict):
    """One run: everything that can change its outcome, and the label under which tables show it.

    Attributes:
        dataset: Data set and protocol.
        data_hash: Content hash of the data set.
        model: Registered model name.
        revision: `Recommender.revision` of the code that runs it.
        config: The complete configuration, defaults included.
        seed: Number of the replicate.
        label: The row's name in tables. Not part of the key.
    """

    dataset: DatasetSpec
    data_hash: str
    model: str
    revision: int
    config: dict[str, Any]
    seed: int
    label: str

    @property
    def key(self) -> str:
        """Content hash of all that can change the outcome; equal keys are the same run."""
        return content_key(self.model_dump(mode="json", exclude={"label"}))


Status = Literal["complete", "failed", "skipped"]


@dataclass
class RunResult:
    """What one run leaves behind.

    Attributes:
        spec: What was run.
        status: "complete"; "failed" when the model raised; "skipped" when this machine can't run it.
        reason: One line, for failed and skipped runs.
        fit_seconds, recommend_seconds: Wall-clock time of training and of answering the test queries.
        milliseconds_per_user: `recommend_seconds` by query.
        parameters: Learned parameters.
        best_epoch: Epoch of the best validation, None without validation.
        validation: Best validation NDCG@10, None without validation.
        curve: One dict per validation (`CurvePoint` fields).
        diagnostics: What the fit found out, e.g. `sid_health`.
        environment: Versions, commit, device name, threads, started (ISO time), peak memory in MiB.
        queries: One row per test query, see `bench.evaluation.evaluator.QUERY_COLUMNS`; None unless complete.
    """

    spec: RunSpec
    status: Status
    reason: str = ""
    fit_seconds: float = 0.0
    recommend_seconds: float = 0.0
    milliseconds_per_user: float = 0.0
    parameters: int = 0
    best_epoch: float | None = None
    validation: float | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    queries: pd.DataFrame | None = None
