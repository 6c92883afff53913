"""The one interface that every system implements."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bench.config import Config
from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.plain_text import quoted
from bench.search_space import SearchSpace

Role = Literal["contestant", "baseline", "reference", "oracle"]
"""What a row is there for: to contend; to be what contestants have to beat, an earlier system, trained and tuned as
they are; to be a mark for all, like a row that counts what is popular; or to tell the best possible, knowing the
process behind generated data. Only contestants and baselines can be under-trained or unfit, and the best of baselines
and references is what the report measures the others by.
"""

OTHER_GROUP = "other"
"""Of models that say of no group that they are in it."""


@dataclass(frozen=True)
class Mechanism:
    """One line of a fidelity card.

    Attributes:
        name: The mechanism, in the paper's words.
        status: How near this implementation is to it.
        source: Paper equation or section, or the official code.
        note: What differs, and why. Empty when faithful.
        test: The test that pins it, as a pytest node id. Empty when none does.
    """

    name: str
    status: Literal["faithful", "approximated", "omitted"]
    source: str
    note: str = ""
    test: str = ""


@dataclass(frozen=True)
class Recommendations:
    """Ranked lists for a batch of queries, best first.

    Attributes:
        items: int32 `[n_queries, k]`, distinct items, padded at the end with -1. Here and below wider types will do.
        scores: float32 `[n_queries, k]`, non-increasing along a row, never NaN or +inf; by custom -inf where padded.
        sids: int32 `[n_queries, k]` or None. For semantic-ID models the distinct semantic IDs (numbered as in
            `Recommender.sid_of_item`) in the order in which they were generated, padded with -1.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sids: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class DecodingTrace:
    """What happened to the targets of a batch while a model generated semantic IDs, level by level.

    Levels are those of the generated ID, a disambiguation token included; a target's path is its codes. All ranks and
    positions are 0-based.

    Attributes:
        path_rank: int32 `[n, levels]`, rank of the target's first d codes, by total score, among all continuations of
            the surviving beams that the search considers at level d; -1 where the first d - 1 codes were no longer in
            the beam.
        in_beam: bool `[n, levels]`, whether the target's first d codes survive level d.
        best_prefix: bool `[n, levels]`, whether the best generated ID begins with the target's first d codes.
        forced_rank: int32 `[n, levels]`, rank of the target's code among the codes that share the probability of
            level d (all of its codebook, unless the model says otherwise), given the target's own codes before it
            (teacher forcing).
        after_wrong: int32 `[n, levels - 1]`, the same from level 2 on, but with the most probable other first code in
            the place of the target's: what a wrong first code costs. -1 where there is no other first code, or where
            only codes that continue an item's share the probability.
        retrieved: int32 `[n]`, events of the history that the decoder reads when it is given the target's first code:
            neighbours included, at most the search's limit. None for models that retrieve nothing.
        gate: float32 `[n]`, the share of what is read that comes from those events, given the target's codes: the mean
            over layers, tokens after the first and dimensions. None for models without a gate.
    """

    path_rank: NDArray[np.int32]
    in_beam: NDArray[np.bool_]
    best_prefix: NDArray[np.bool_]
    forced_rank: NDArray[np.int32]
    after_wrong: NDArray[np.int32]
    retrieved: NDArray[np.int32] | None = None
    gate: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SearchedLevel:
    """What a search of one user's history gave to a model before it generated one more code, beam by beam.

    Attributes:
        level: The code that is generated next, from 2 on: a search needs a first code.
        prefixes: int64 `[beams, level - 1]`, the codes so far, best beam first.
        scores: float32 `[beams]`, log-probability of each prefix; -inf where there is no such beam.
        read: int64 `[beams, limit]`, positions in the history of the events that were read, 0 the oldest, most recent
            first; padded with -1.
        gate: float32 `[beams, layers]`, the share of what each layer of the decoder reads that comes from those events,
            as a mean over dimensions.
    """

    level: int
    prefixes: NDArray[np.int64]
    scores: NDArray[np.float32]
    read: NDArray[np.int64]
    gate: NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """What a model read of one user's history on the way to its list.

    Attributes:
        short_term: Most recent events that it reads one by one.
        codes: int64 `[n_items, levels]`, the semantic ID of each item.
        searched: One for each level that is generated with a search; empty where the search is off.
        tiers: float32 `[first codes, tiers]`, the share of the long-term history whose items lie in each tier of
            similarity to each first code. None where no such summary is read.
        tier_edges: Inner edges of the tiers, ascending.
    """

    short_term: int
    codes: NDArray[np.int64]
    searched: tuple[SearchedLevel, ...]
    tiers: NDArray[np.float32] | None
    tier_edges: tuple[float, ...] = ()


@dataclass(frozen=True)
class CurvePoint:
    """One validation of a training run: epochs and optimiser steps so far, mean training loss since the last
    point, validation NDCG@10, seconds since the fit began.
    """

    epoch: float
    step: int
    loss: float
    validation: float
    seconds: float


class Checkpoint(Protocol):
    """Where one training of a fit keeps its state, so that a run which is broken off can go on from there.

    A state is nested mappings and lists of tensors, arrays, numbers and texts. Learning curve and diagnostics of
    the training's context are kept with it, and set back when it is loaded.
    """

    def load(self) -> dict[str, Any] | None:
        """The state to go on from, None for a training that begins; ask once, before the first step."""

    def due(self) -> bool:
        """Whether it is time to save; cheap enough to be asked after every step."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keeps a state in place of the one before."""


class NoCheckpoint:
    """Keeps nothing."""

    def __init__(self, context: FitContext) -> None: ...

    def load(self) -> None:
        return None

    def due(self) -> bool:
        return False

    def save(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class FitContext:
    """What a fit gets besides its data.

    Attributes:
        seed: Derived from the names of model, data set and replicate; seed every generator from it.
        device: "cpu" or "cuda".
        cache: Shared by all runs; for artifacts like semantic IDs that several runs need.
        validate: Scores a recommender on the validation queries by NDCG@10, the one early-stopping criterion
            of every model. The recommender sees the histories and never a target.
        report_progress: Called with the fraction of the work done (0 .. 1) and a few words.
        measured: Called with the optimiser steps so far and what was measured then, by name, for whoever follows the
            training live; the points of the learning curve are told without it.
        shared_seed: Derived from data set and replicate alone: for what the models of one replicate share, such as
            semantic IDs.
        curve: Filled by the fit, one point per validation.
        diagnostics: Filled by the fit with JSON-serialisable findings that the report shows, e.g.
            `sid_health`: list of one dict per level.
        new_checkpoint: Called with the context at the beginning of each training of the fit, which are always made in
            the same order: gives the place for its state.
        pieces: Of a `divisible` model: in how many pieces each batch is made, whose gradients are added up. More than
            one where memory did not suffice for whole batches.
    """

    seed: int
    device: str
    cache: ArtifactCache
    validate: Callable[[Recommender], float]
    report_progress: Callable[[float, str], None] = lambda fraction, words: None
    measured: Callable[[int, Mapping[str, float]], None] = lambda step, values: None
    shared_seed: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    new_checkpoint: Callable[[FitContext], Checkpoint] = NoCheckpoint
    pieces: int = 1

    def revise(self, validation: float) -> float:
        """Makes the curve tell what the kept weights reach with something that was chosen after the training.

        Args:
            validation: Of the kept weights with what was chosen.

        Returns:
            What the point of the kept weights, that of the best validation, told before.
        """
        kept = max(range(len(self.curve)), key=lambda place: self.curve[place].validation)
        before = self.curve[kept].validation
        self.curve[kept] = replace(self.curve[kept], validation=validation)
        return before


class Recommender(ABC):
    """A system under test. Subclass it in one file, add one registry line, and the whole harness applies.

    Attributes:
        Config: The configuration class; its defaults are the tuned ones.
        revision: Raise it whenever a change of code changes results, so that old results are not re-used.
        summary: One line for `bench list models`.
        role: What its rows are there for: whether others have to beat them, and whether to doubt one that does poorly.
        group: What kind of system it is, in a word or two ("counting", "semantic ID"); one group stands together there.
        paper: Who published it, and where: "Kang & McAuley, ICDM". "": nobody.
        year: Of that publication.
        fidelity: The fidelity card; empty for baselines without a paper of their own to be faithful to.
        search_space: What `bench tune` may try, by dotted key of the configuration; what most models have, like width,
            window and learning rate, needs no mention (`bench.search_space.USUAL`). Not a switch that makes a row what
            its label says, like whether it may copy.
        divisible: Whether one fit may be divided among devices (`bench run --devices`): a process for each calls `fit`
            with the same context, and they train together.
        unsavable: Why a fitted model of this kind can't be kept in a file ("": it can), one line for the user.
        sid_of_item: int32 `[n_items]` after `fit`, the semantic ID of each item by number; items that share
            a semantic ID share the number. None for models without semantic IDs.
    """

    Config: ClassVar[type[Config]] = Config
    revision: ClassVar[int] = 1
    summary: ClassVar[str] = ""
    group: ClassVar[str] = OTHER_GROUP
    paper: ClassVar[str] = ""
    year: ClassVar[int | None] = None
    role: ClassVar[Role] = "contestant"
    fidelity: ClassVar[tuple[Mechanism, ...]] = ()
    search_space: ClassVar[SearchSpace] = {}
    divisible: ClassVar[bool] = False
    unsavable: ClassVar[str] = ""
    sid_of_item: NDArray[np.int32] | None = None

    def __init__(self, config: BaseModel | Mapping[str, Any] | None = None) -> None:
        given = config.model_dump() if isinstance(config, BaseModel) else dict(config or {})
        self.config = self.Config.model_validate(given)

    @abstractmethod
    def fit(self, train: TrainingData, context: FitContext) -> None:
        """Learns from `train`; early stopping through `context.validate` only."""

    @abstractmethod
    def recommend(self, histories: Histories, k: int) -> Recommendations:
        """The `k` best items for each history; the harness checks that the lists keep to `Recommendations`.

        Deterministic, independent of how queries are batched, and blind to targets. With
        `histories.exclude_seen` the items of a history never occur in its list.
        """

    def trace(self, histories: Histories, targets: NDArray[np.int32], k: int) -> DecodingTrace | None:
        """How the targets fare while the model answers `recommend(histories, k)`, for diagnosis.

        Called once, after the test: the only call that gets targets, so nothing that it learns may stay. No
        ranking can depend on it.

        Args:
            histories: Of the queries.
            targets: int32 `[n_queries]`, the items that follow.
            k: As in the test; a beam is as wide as it is for lists of that length.

        Returns:
            None for models that generate nothing step by step.
        """
        return None

    def explain(self, history: Histories, k: int) -> Explanation | None:
        """What the model reads of a history while it answers `recommend(history, k)`, for somebody who asks why.

        Args:
            history: Of one query.
            k: As in `recommend`; a beam is as wide as it is for lists of that length.

        Returns:
            None for models that search no history.
        """
        return None

    def state(self) -> dict[str, Any]:
        """What `recommend` needs beside the configuration, after `fit`: by default all that the object holds.

        It may be made of numbers, texts, arrays, tensors, torch modules, sparse arrays and objects of this project or
        of the package of the model (`bench.execution.object_state`). A model that holds what only a training needs
        overrides this, and leaves it out.
        """
        return {name: value for name, value in vars(self).items() if name != "config"}

    def restore(self, state: Mapping[str, Any], device: str) -> None:
        """Makes a new object answer as the fitted one did whose `state` it was.

        Args:
            state: As `state` gave it; its tensors lie where they should.
            device: "cpu" or "cuda", where answers are computed.
        """
        vars(self).update(state)
        if "_device" in state:
            self._device = device

    @classmethod
    def packages_of_state(cls) -> tuple[str, ...]:
        """Imports and names packages outside this project whose objects are a part of `state`."""
        return ()

    def parameter_count(self) -> int:
        """Learned parameters after `fit`; counts for models without a gradient are 0."""
        return 0


def fault_of_declarations(model: type[Recommender]) -> str | None:
    """What the harness could not go by among what a class says of itself; None where all is well.

    A stranger's class may hold anything under these names, and a plan reads them before any run can fail.

    >>> fault_of_declarations(Recommender)
    >>> class Mine(Recommender):
    ...     role = "contender"
    >>> fault_of_declarations(Mine)
    "role is 'contender': it should be one of contestant, baseline, reference, oracle"
    """
    if not (inspect.isclass(model.Config) and issubclass(model.Config, BaseModel)):
        return "Config is no subclass of bench.config.Config: write class Config(bench.config.Config), or leave it out"
    if model.role not in get_args(Role):
        return f"role is {quoted(model.role)}: it should be one of {', '.join(get_args(Role))}"
    for name, kinds, words in (
        ("revision", int, "a whole number"),
        ("summary", str, "text"),
        ("group", str, "text"),
        ("paper", str, "text"),
        ("unsavable", str, "text"),
        ("year", int | None, "a whole number or None"),
        ("divisible", bool, "True or False"),
        ("search_space", Mapping, "a mapping of keys to choices"),
    ):
        value = getattr(model, name)
        if not isinstance(value, kinds) or (kinds is not bool and isinstance(value, bool)):
            return f"{name} is {quoted(value)}: it should be {words}"
    if not isinstance(model.fidelity, tuple) or not all(isinstance(line, Mechanism) for line in model.fidelity):
        return f"fidelity is {quoted(model.fidelity)}: it should be a tuple of bench.recommender.Mechanism"
    return None
