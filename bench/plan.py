"""From a suite and the command line to the list of runs, in the order in which they are made."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import registry
from bench.config import merged
from bench.config_errors import explain, key_paths
from bench.data import catalog
from bench.data.protocols import split
from bench.errors import BenchError, MissingDataError, SkippedRun, reason_of, unknown_name
from bench.files import exists, replaced
from bench.json_text import parse_json
from bench.model_files import is_model_file, model_file, split_model_file
from bench.names import OWN, alike, checked
from bench.recommender import Recommender
from bench.registry import model_names
from bench.spec import DatasetSpec, Entry, RunSpec, Several, Suite
from bench.suite_files import check_files, tell_apart
from bench.text_files import read_text_file
from bench.yaml_text import parse_yaml

_ARCHIVED = "archived-plan.json"
"""The plan that was committed with an archive; a plan of one's own goes before it."""

_MOST_BYTES = 32 * 2**20
"""Of a plan's file."""

_MOST_KEYS = 20
"""In the path of a `--set` option."""


class Plan(BaseModel):
    """The runs that were chosen, stored beside the results: a report needs neither the suite's file nor any model.

    Attributes:
        suite: The suite after the selections of the command line.
        runs: Every planned run, in order.
        command: How to run it again.
        settings: What `--set` changed in the configurations.
        tuned: Whether they are the best ones that `bench tune` had found.
        begin_within: Seconds after which no other run is begun; it is no part of what is stored. None: there is no end.
    """

    model_config = ConfigDict(frozen=True)

    suite: Suite
    runs: Several[RunSpec]
    command: str
    settings: tuple[str, ...] = ()
    tuned: bool = False
    begin_within: float | None = Field(default=None, exclude=True)

    @staticmethod
    def path(results_dir: Path, suite: str) -> Path:
        """Names the file of a suite's plan.

        Raises:
            BenchError: No suite can be named so.
        """
        return results_dir / checked(suite, "suite") / "plan.json"

    @classmethod
    def exists(cls, results_dir: Path, suite: str) -> bool:
        """Tells whether `read` finds a plan. A name that no file can have is that of none."""
        path = cls.path(results_dir, suite)
        return exists(path) or exists(path.with_name(_ARCHIVED))

    @staticmethod
    def suites(results_dir: Path) -> list[str]:
        """The names of the suites with a plan."""
        return sorted({path.parent.name for name in ("plan.json", _ARCHIVED) for path in results_dir.glob(f"*/{name}")})

    def write(self, results_dir: Path, archived: bool = False) -> None:
        """Stores the plan.

        Args:
            results_dir: Where results live.
            archived: Whether it is the one that goes with an archive; `read` takes it where there is no other.

        Raises:
            BenchError: The folder can't be written to.
        """
        path = self.path(results_dir, self.suite.name)
        try:
            with replaced(path.with_name(_ARCHIVED) if archived else path) as temporary:
                temporary.write_text(self.model_dump_json(indent=None if archived else 1), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"can't write results to '{results_dir}': {error.strerror}: choose --results") from None

    @classmethod
    def read_archived(cls, results_dir: Path, suite: str) -> Plan | None:
        """Reads the plan that goes with the archive of a suite; None where there is none, or it is unreadable."""
        path = cls.path(results_dir, suite).with_name(_ARCHIVED)
        try:
            return cls.model_validate(parse_json(read_text_file(path, _MOST_BYTES)))
        except (OSError, ValueError, BenchError):  # pydantic's errors are ValueErrors
            return None

    @classmethod
    def read(cls, results_dir: Path, suite: str) -> Plan:
        """Reads the plan of the latest `bench run` of a suite, else that of its archive.

        Raises:
            BenchError: There is none, or it is unreadable.
        """
        path = cls.path(results_dir, suite)
        if not exists(path) and exists(path.with_name(_ARCHIVED)):
            path = path.with_name(_ARCHIVED)
        again = f"python -m bench run --suite {shlex.quote(suite)} --results {shlex.quote(str(results_dir))}"
        if suite.startswith(OWN):  # which nobody finds before it is there
            again = f"python -m bench run --dataset FILE --name {shlex.quote(suite[len(OWN) :])}"
        try:
            plan = cls.model_validate(parse_json(read_text_file(path, _MOST_BYTES)))
            if plan.suite.name != path.parent.name:
                raise BenchError(f"it is that of suite '{plan.suite.name}'")
            check_files(plan.suite)
            tell_apart("data sets", dict.fromkeys(run.dataset.label for run in plan.runs), "rename one")
            tell_apart("rows", dict.fromkeys(run.label for run in plan.runs), "rename one")
        except OSError:
            raise BenchError(f"no results of suite '{suite}' in '{results_dir}': first run {again}") from None
        except ValidationError as error:
            why = explain(error, cls, "its content")
        except (ValueError, BenchError) as error:
            why = BenchError(error)
        else:
            return plan
        raise BenchError(f"unreadable plan '{path}' ({why}): {again} writes it anew, and keeps all results")


def select(
    suite: Suite,
    models: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    own: Sequence[DatasetSpec] = (),
) -> Suite:
    """Returns the suite, narrowed to what the command line names; None keeps all.

    Args:
        suite: As loaded.
        models: Rows of the suite. A model's name that is no row of its own stands for every row of that model; a
            registered model outside the suite runs with its defaults.
        datasets: Labels or names of the suite's data sets; others are taken with their defaults.
        seeds: Replace the suite's.
        own: Data sets from the command line; with those of `datasets` they replace the suite's.

    Raises:
        BenchError: A name is unknown, two data sets share one, or nothing is left to run.
    """
    changes: dict[str, Any] = {}
    if models is not None:
        changes["models"] = tuple(_unique(entry for name in models for entry in _entries(suite, name)))
    if datasets is not None or own:
        named = (spec for name in datasets or () for spec in _datasets(suite, name))
        changes["datasets"] = tuple(_unique([*named, *own]))
    if seeds is not None:
        changes["seeds"] = tuple(seeds)
    narrowed = suite.model_copy(update=changes)
    check_files(narrowed)
    return narrowed


def expand(suite: Suite, overrides: Sequence[str] = (), where: str = "") -> list[RunSpec]:
    """Lists every run of a suite with its complete configuration: each row's first seed before any second seed.

    Args:
        suite: What to run.
        overrides: `--set` options: `epochs=3` for every model that has the key, `tiger.epochs=3` for one, where that
            holds in whatever order they come.
        where: The suite's file, for error messages.

    Raises:
        BenchError: A key or value does not fit the model's configuration, or the files of no data set are here.
    """
    settings = [_Setting.parse(text, suite) for text in overrides]
    for place, setting in enumerate(settings):
        if any((setting.row, setting.keys) == (other.row, other.keys) for other in settings[:place]):
            raise BenchError(f"--set {setting.text}: the key is set before, too: give one value")
    settings.sort(key=lambda setting: setting.row is not None)  # what is for one row holds there, whatever is for all
    where = where or f"suite '{suite.name}'"
    templates, absent = [], []
    known: dict[tuple[str, str | None], type[Recommender]] = {}

    def class_of(entry: Entry) -> type[Recommender]:
        if (entry.model, entry.file) not in known:
            known[entry.model, entry.file] = registry.class_of(entry)
        return known[entry.model, entry.file]

    for dataset in suite.datasets:
        try:
            data_hash = _checked_hash(dataset)
        except MissingDataError as error:
            data_hash = ""  # each run becomes a row with the reason
            absent.append(str(error))
        for entry in suite.models:
            if entry.runs_on(dataset):
                template = _first_run(entry, class_of, dataset, data_hash, settings, where)
                templates.append(template)
    if len(absent) == len(suite.datasets):
        raise BenchError("; ".join(absent))
    for setting in settings:
        if not setting.used:
            raise _nobody_has(setting, suite)
    if not settings:  # which may be for one of the rows
        _check_searched_as(suite, templates, where)
    if not templates:
        raise BenchError(f"{where}: no model of the selection runs on these data sets: change --models or --datasets")
    return [template.model_copy(update={"seed": seed}) for seed in suite.seeds for template in templates]


def _check_searched_as(suite: Suite, runs: Sequence[RunSpec], where: str) -> None:
    """Raises BenchError where a row lacks the configuration of the row as which it is said to be searched."""
    # A run without a revision has a model that can't be made here.
    by_place = {(run.label, run.dataset.label): run for run in runs if run.revision}
    for (row, dataset), run in by_place.items():
        how = suite.searched_as.get(row)
        searched = by_place.get((how.row, dataset)) if how else None
        if how is None or searched is None:
            continue
        try:
            differences = how.differences(run.config, searched.config)
        except BenchError as error:
            raise BenchError(f"{where}, row '{row}': {error}") from None
        if differences:
            more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
            raise BenchError(
                f"{where}, row '{row}': searched_as: its configuration on {dataset} is not that of row '{how.row}' "
                f"({differences[0]}{more}): make them equal, or name what is with 'keys' and 'within'"
            )


def _checked_hash(dataset: DatasetSpec) -> str:
    """The content hash of a data set that can be loaded."""
    data = catalog.load_dataset(dataset.name, dataset.files, dataset.sample_users)
    if dataset.path is not None:  # of data that nobody has seen before, it is better to know now than in every run
        split(data, dataset.protocol, dataset.seen_items, dataset.cold_targets, dataset.confirm)
    return data.content_hash


def written_config(entry: Entry, dataset: DatasetSpec) -> dict[str, Any]:
    """What a suite writes of a row's configuration on a data set, which it may call by its name and by its label."""
    written = merged({}, entry.config)
    for name in dataset.names:
        written = merged(written, entry.per_dataset.get(name, {}))
    return written


def _first_run(
    entry: Entry,
    class_of: Callable[[Entry], type[Recommender]],
    dataset: DatasetSpec,
    data_hash: str,
    settings: Sequence[_Setting],
    where: str,
) -> RunSpec:
    written = written_config(entry, dataset)
    try:
        model: type[Recommender] | None = class_of(entry)
    except SkippedRun:
        model = None  # the run becomes a row with its reason; nobody here knows its defaults
    config, revision = written, 0
    if model is not None:
        config, revision = complete_config(model, written, f"{where}, row '{entry.row}'"), model.revision
    for setting in settings:
        if setting.concerns(entry, model):
            written = merged(written, setting.as_config())
            config = written if model is None else complete_config(model, written, f"--set {setting.text}")
            setting.used = True
    return RunSpec(
        dataset=dataset,
        data_hash=data_hash,
        model=entry.model,
        revision=revision,
        config=config,
        seed=0,
        label=entry.row,
        source=None if entry.file is None else model_file(entry.file, entry.model),
    )


def complete_config(model: type[Recommender], written: dict[str, Any], where: str) -> dict[str, Any]:
    """The configuration with all defaults, as JSON values.

    Raises:
        BenchError: It is not valid, or the model's class of configurations fails in another way.
    """
    try:
        return model.Config.model_validate(written).model_dump(mode="json")
    except ValidationError as error:
        raise explain(error, model.Config, where) from None
    except Exception as error:  # a stranger's validators and defaults may raise anything
        raise BenchError(f"{where}: its configuration can't be made: {reason_of(error)}") from error


@dataclass
class _Setting:
    """One `--set` option.

    Attributes:
        text: As written.
        row: The model or row that it names; None applies to every model that has the key.
        keys: The path of keys.
        value: Parsed as YAML.
        used: Whether any model took it.
    """

    text: str
    row: str | None
    keys: list[str]
    value: Any
    used: bool = False

    @classmethod
    def parse(cls, text: str, suite: Suite) -> _Setting:
        name, equals, value = text.partition("=")
        row = next((n for entry in suite.models for n in (entry.row, entry.model) if name.startswith(f"{n}.")), None)
        keys = (name[len(row) + 1 :] if row else name).strip().split(".")
        if not equals or not all(keys) or len(keys) > _MOST_KEYS:
            raise BenchError(f"--set {text}: should read key=value or model.key=value")
        try:
            return cls(text, row, keys, parse_yaml(value, ""))
        except BenchError as error:
            why = str(error).rpartition("broken YAML: ")[2]
            raise BenchError(f"--set {text}: the value is no YAML ({why}): put it into quotes") from None

    def concerns(self, entry: Entry, model: type[Recommender] | None) -> bool:
        if self.row is not None:
            return self.row in (entry.row, entry.model)
        return model is not None and ".".join(self.keys) in key_paths(model.Config)

    def as_config(self) -> dict[str, Any]:
        *parents, last = self.keys
        config = {last: self.value}
        for key in reversed(parents):
            config = {key: config}
        return config


def _nobody_has(setting: _Setting, suite: Suite) -> BenchError:
    """The error for a `--set` key that no model has: it may be a misspelt key or a misspelt model."""
    known: set[str] = set()
    for entry in suite.models:
        try:
            paths = key_paths(registry.class_of(entry).Config)
        except SkippedRun:
            continue
        known |= {*paths, *(f"{entry.row}.{path}" for path in paths)}
    return BenchError(f"--set {setting.text}: {unknown_name('key', '.'.join(setting.keys), known)}")


def _entries(suite: Suite, name: str) -> list[Entry]:
    if is_model_file(name):
        path, of_file = split_model_file(name)
        given = [entry for entry in suite.models if (entry.file, entry.model) == (path, of_file)]
        return given or [_own_row(path, of_file)]
    rows = [entry for entry in suite.models if entry.row == name]
    entries = rows or [entry for entry in suite.models if entry.model == name]
    if not entries and name not in model_names():
        raise unknown_name("model", name, {*model_names(), *(entry.row for entry in suite.models)})
    return entries or [Entry(model=name)]


def _own_row(path: str, name: str) -> Entry:
    """The row of a model in a file of the user's own.

    Raises:
        BenchError: It is called like a registered model, from which tables and folders could not tell it.
    """
    if alike([name, *model_names()]) is not None:
        raise BenchError(f"{path}: class {name} is called like a registered model: rename it")
    try:
        return Entry(model=name, file=path)
    except ValidationError as error:
        raise explain(error, Entry, f"--models {path}:{name}") from None


def _datasets(suite: Suite, name: str) -> list[DatasetSpec]:
    datasets = [spec for spec in suite.datasets if name in (spec.label, spec.name)]
    if not datasets and name not in catalog.available_datasets():
        raise unknown_name("data set", name, catalog.available_datasets())
    return datasets or [DatasetSpec(name=name)]


def _unique(values: Iterable[Any]) -> list[Any]:
    unique: list[Any] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return unique
