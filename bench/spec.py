"""What is run (`Suite`, `RunSpec`) and what comes of it (`RunResult`): validated, hashable, serialisable."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    FailFast,
    Field,
    field_validator,
    model_validator,
)

from bench.config import NumbersAlone, added_field
from bench.data.cache import content_key
from bench.data.choices import ColdTargets, SeenItems
from bench.data.data_files import DataFiles, name_of, name_of_split
from bench.names import ColumnName, ModelName, PathName, RowLabel, Seed, Title, label_or_none
from bench.searched_as import SearchedAs

if TYPE_CHECKING:
    import pandas as pd

ProtocolName = Literal["leave-one-out", "temporal", "shipped"]


T = TypeVar("T")
Several = Annotated[tuple[T, ...], FailFast()]
"""Only the first wrong one is reported, so that a million wrong ones take no more time than one."""


class _Strict(NumbersAlone):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetSpec(DataFiles):
    """A data set as a suite asks for it: a registered one by its name, or one of the user's own by its path.

    Attributes:
        name: The registered name; with a `path` a name for tables and folders, by default the stem of the file.
        protocol: How interactions become training data and queries.
        seen_items: Goes before the data set's own rule on candidates. None keeps that.
        cold_targets: What becomes of queries whose target has no training event: they are made ("warn"), left out
            ("ignore") or not accepted ("raise").
        confirm: Share of the users whose queries are set aside (see `bench.data.set_aside`). None sets nobody aside.
        sample_users: Users of whom a fixed sample is taken (see `bench.data.user_sample`). None: all of them.
    """

    name: PathName
    protocol: ProtocolName = Field(default="leave-one-out", description="leave-one-out, temporal or shipped.")
    seen_items: SeenItems | None = Field(
        default=None,
        description="exclude or keep items of the history as candidates. Default: the data set's rule.",
    )
    cold_targets: ColdTargets = Field(
        default="warn", description="warn, ignore or raise at targets without training events."
    )
    confirm: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="share of the users set aside for `bench confirm`, e.g. 0.2. Default: none."
    )
    sample_users: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="size of a fixed random sample of the users, by the hash of their ids. Default: all."
    )

    @model_validator(mode="before")
    @classmethod
    def _named_like_its_file(cls, written: Any) -> Any:
        if not isinstance(written, dict) or not isinstance(written.get("path"), str):
            return written
        split = {"protocol": "shipped"} if written.get("valid") or written.get("test") else {}  # given to be used
        return {"name": name_of_split(written["path"]) if split else name_of(written["path"]), **split, **written}

    @model_validator(mode="after")
    def _with_a_path_if_with_files(self) -> DatasetSpec:
        used = [key for key, field in DataFiles.model_fields.items() if getattr(self, key) != field.default]
        if self.path is None and used:
            raise ValueError(f"{', '.join(used)}: for a data set of your own only, and with its path")
        if self.path is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"name '{self.name}' names a folder: use letters, digits, '.', '_' and '-'")
        return self

    @property
    def files(self) -> DataFiles | None:
        """Where the data lie and how they are read. None for a registered data set."""
        if self.path is None:
            return None
        return DataFiles.model_validate(self.model_dump(include=set(DataFiles.model_fields)))

    @property
    def names(self) -> tuple[str, ...]:
        """What a suite may call it: its name, its label, and the label that all of its users would have."""
        return tuple(dict.fromkeys((self.name, self.whole.label, self.label)))

    @property
    def whole(self) -> DatasetSpec:
        """The same with all of its users."""
        return self.model_copy(update={"sample_users": None})

    @property
    def label(self) -> str:
        """The name in tables and folders, with all that sets its queries apart from the usual ones.

        `ml-100k@temporal+keep+warm`: another protocol than leave-one-out, another rule on seen items than the data
        set's own, no queries with cold targets. `complete-journey+dev`: the queries of the users who are not set aside.
        `ml-100k+500users`: a sample of the users.
        """
        protocol = "" if self.protocol == "leave-one-out" else f"@{self.protocol}"
        seen = f"+{self.seen_items}" if self.seen_items else ""
        warm = "+warm" if self.cold_targets == "ignore" else ""
        sample = "" if self.sample_users is None else f"+{self.sample_users}users"
        return self.name + protocol + seen + warm + ("" if self.confirm is None else "+dev") + sample


class Published(_Strict):
    """A published figure beside the run that should reproduce it.

    Attributes:
        metric: A metric of the leaderboard, e.g. "recall@10".
        value: The published value.
        tolerance: Largest relative difference that still counts as reproduced. None for a trend.
        source: Where it was published.
        level: Whether items were to be predicted, or their semantic IDs.
        why: What differs from the published set-up, so that the figures may differ; printed unless they agree.
        trend: Whether the figure is from other data or another system: the order of rows may agree, but not the values.
    """

    metric: str
    value: float
    tolerance: float | None = None
    source: str
    level: Literal["item", "sid"] = "item"
    why: str = ""
    trend: bool = False

    @model_validator(mode="after")
    def _has_a_tolerance_or_is_a_trend(self) -> Published:
        if (self.tolerance is None) != self.trend:
            raise ValueError("should have either a tolerance or 'trend: true'")
        return self


class ModelFile(_Strict):
    """A model that lies in a Python file instead of being registered.

    Attributes:
        path: Of the file, absolute.
        name: Of the class in it.
        sha256: Of the text of the file and of those beside it that it imports: an edited model is another one.
    """

    path: str
    name: str
    sha256: str


class Entry(_Strict):
    """One row of a suite: a model with its configuration.

    Attributes:
        model: The registered name; in a suite's file also `my_model.py:MyModel`, a class of a file of one's own.
        file: The absolute path of that file, `model` being the name of the class. None: the model is registered.
        label: The row's name in tables; the model's name unless several rows share a model.
        config: What differs from the model's defaults.
        per_dataset: Further differences by data-set name.
        datasets: Only on these data sets. None: on all of the suite.
        published: Published figures that this row should reproduce, per data-set label.
        fixed: Keys of the configuration that make the row what its label says, so that `bench tune` leaves them alone,
            with all keys below them.
        searched_as: Another row of the suite whose configuration this row has, so that `bench tune` does not search it:
            its label, or a mapping (see below). Keys of its own, which that row lacks, are not searched either.
        note: What a reader of its figures should know, one text for all data sets or texts by data-set name; printed
            under the main table.
    """

    model: ModelName
    file: str | None = None
    label: Annotated[str, AfterValidator(label_or_none)] = ""
    config: dict[str, Any] = Field(default_factory=dict)
    per_dataset: dict[str, dict[str, Any]] = Field(default_factory=dict)
    datasets: tuple[str, ...] | None = None
    published: dict[str, Several[Published]] = Field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    searched_as: SearchedAs | None = added_field(None)
    note: str | dict[str, str] = ""

    @property
    def row(self) -> str:
        return self.label or self.model

    def runs_on(self, dataset: DatasetSpec) -> bool:
        """Tells whether the row is for a data set, which a suite may call by its name and by its label."""
        return self.datasets is None or bool(set(dataset.names) & set(self.datasets))

    def note_on(self, dataset: DatasetSpec) -> str:
        """Tells what the suite says of this row on a data set; "" where it says nothing."""
        if isinstance(self.note, str):
            return self.note
        return next((self.note[name] for name in reversed(dataset.names) if name in self.note), "")


class Comparison(_Strict):
    """A question that some rows of a suite answer together; the report gives each a section with a test and a figure.

    Attributes:
        title: Of the section.
        question: One sentence.
        rows: Labels of the rows, in the order of the table.
        against: The one of `rows` that the others are tested against.
        paper: What the paper found, one sentence with its source. "": not known, or the paper did not ask.
        cost: Whether the question is also one of cost; the figure then shows training and answering time, too.
    """

    title: Title
    question: str
    rows: Several[RowLabel]
    against: RowLabel
    paper: str = ""
    cost: bool = False


class PaperFinding(_Strict):
    """A paper's diagnosis of decoding, for the report to print beside what is measured here.

    Attributes:
        metric: "acc@D" (training accuracy of level D), "p@D" (prefix precision of the first D codes), "crp@D"
            (Conditional Rank Progression at level D) or "gate" (the course of the gate by number of retrieved events).
        system: What was measured, in the paper's words.
        value: The paper's value; of a gate 1 where it rises, -1 where it falls.
        dataset: The paper's data set.
        source: Where it stands, and whether at first or second hand.
        row: The row of this suite that comes nearest.
    """

    metric: str
    system: str
    value: float
    dataset: str
    source: str
    row: RowLabel

    @field_validator("metric")
    @classmethod
    def _is_a_decoding_metric(cls, metric: str) -> str:
        if not re.fullmatch(r"(acc|p|crp)@[1-9]|gate", metric):
            raise ValueError("should be acc@D, p@D or crp@D with the level for D, or gate")
        return metric


class Suite(_Strict):
    """A grid of runs, as written in `bench/suites/*.yaml`: every entry on every data set with every seed.

    Attributes:
        name: The file's stem.
        description: One line.
        datasets, models, seeds: The grid.
        questions: Pairs of rows, or of models whose first row is meant; the report says of each whether the first is
            better than the second, and where.
        floor: The model that every other one should beat.
        references: Rows, or models whose first row is meant, that every other row stands beside in the figures over all
            data sets.
        comparisons: Questions that several rows answer together. Rows that a selection left out are passed over.
        paper: Decoding diagnostics that a paper published.
        slices: Columns of the item table by which the report divides the test queries.
    """

    name: PathName
    description: str
    datasets: Several[DatasetSpec]
    models: Several[Entry]
    seeds: Several[Seed]
    questions: Several[tuple[RowLabel, RowLabel]] = ()
    floor: RowLabel | None = None
    references: Several[RowLabel] = ()
    comparisons: Several[Comparison] = ()
    paper: Several[PaperFinding] = ()
    slices: Several[ColumnName] = ()

    @property
    def searched_as(self) -> dict[str, SearchedAs]:
        """The rows that have the configuration of another one, by label."""
        return {entry.row: entry.searched_as for entry in self.models if entry.searched_as is not None}


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
        source: Where the model lies that has no registered name. Its text is part of the key, its path is not.
    """

    dataset: DatasetSpec
    data_hash: str
    model: ModelName
    revision: int
    config: dict[str, Any]
    seed: Seed
    label: RowLabel
    source: ModelFile | None = None

    @property
    def key(self) -> str:
        """Content hash of all that can change the outcome; equal keys are the same run.

        Where the data lie and how they were read is left to `data_hash`: the same data elsewhere give the same run.
        """
        left_out = set(DataFiles.model_fields)
        # The keys of runs from before there were such things stay what they were.
        left_out |= {name for name in ("confirm", "sample_users") if getattr(self.dataset, name) is None}
        here: bool | set[str] = True if self.source is None else {"path"}
        return content_key(self.model_dump(mode="json", exclude={"label": True, "dataset": left_out, "source": here}))


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
        diagnostics: Findings of the fit, e.g. `sid_health`.
        environment: Versions, commit, device name, threads, started (ISO time), peak memory in MiB.
        left_behind: What the run changed in its process and nobody could set right; no other run is made there.
        queries: One row per test query, see `bench.evaluation.evaluator.QUERY_COLUMNS`; None unless complete.
        decoding: One row per test query, see `bench.evaluation.decoding.DECODING_COLUMNS`; None for models that don't
            generate semantic IDs.
        sealed: As `queries`, of the users who are set aside. It is there while the run is made, and is not read back:
            see `bench.execution.confirmation`.
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
    left_behind: list[str] = field(default_factory=list)
    queries: pd.DataFrame | None = None
    decoding: pd.DataFrame | None = None
    sealed: pd.DataFrame | None = None
