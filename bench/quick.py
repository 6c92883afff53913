"""`bench run --quick`: a first answer within minutes on any data, which is marked as such wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.config import value_at, with_values
from bench.execution.costs import Costs
from bench.plan import Plan
from bench.registry import model_class, model_names
from bench.spec import DatasetSpec, Entry, RunSpec, Suite

QUICK = "-quick"
"""Ends the name of a suite that is a quick answer."""

SECONDS = 180.0
"""In which `--quick` gives its answer on two cores."""

_START_SECONDS, _REPORT_SECONDS, _EVENT_SECONDS = 20.0, 12.0, 4e-6
"""Of these seconds: until all processes have imported and read their data, for the report on a data set, and per event
that has to be read before a sample can be taken."""

_MARGIN = 1.5
"""How many times as long as estimated the runs may take."""

_LAST_BEGINNING = 0.75
"""Share of the time for runs in which runs are begun: the last ones are the longest."""

_SAMPLES = (20_000, 10_000, 5_000, 2_000, 1_000, 500, 250)
"""Sizes of the samples of users, of which the first is taken that can be answered in time."""

_EPOCHS = (12, 8, 5, 3)
"""Most epochs, likewise."""

_FEWEST_ROWS = 3

Expand = Callable[[Suite], list[RunSpec]]


def quick_keys(epochs: int) -> dict[str, int]:
    """The most that the keys of a training may be, wherever a configuration has them: the same for every model.

    A short training is judged a few times, and its learning rate rises in a few steps.
    """
    return {"epochs": epochs, "validate_every": max(1, epochs // 3), "warmup_steps": 20}


@dataclass(frozen=True)
class _Choice:
    """What is left of a suite: its data sets with samples of users, its rows, and the most epochs."""

    datasets: tuple[DatasetSpec, ...]
    rows: tuple[Entry, ...]
    epochs: int


def quickened(plan: Plan, expand: Expand, costs: Costs, jobs: int, settings: Sequence[str] = ()) -> Plan:
    """Narrows a plan to what answers its question in `SECONDS`: one seed, few epochs, and as far as that is not enough,
    a sample of the users, fewer data sets and fewer rows.

    Args:
        plan: The whole.
        expand: Makes the runs of a suite, as those of `plan` were made.
        costs: Of runs on this machine.
        jobs: Runs at a time.
        settings: `--set` options of the user, which are kept.

    Returns:
        A plan under a name of its own, with the time after which no other run is to be begun.
    """
    kept = {text.partition("=")[0].split(".")[-1] for text in settings}
    runs = [spec for spec in plan.runs if spec.seed == plan.suite.seeds[0]]
    choice = _chosen(plan.suite, runs, costs, jobs, kept)
    suite = plan.suite.model_copy(
        update={
            "name": f"{plan.suite.name}{QUICK}",
            "description": f"{_told(plan.suite, choice, costs)} {plan.suite.description}".strip(),
            "datasets": choice.datasets,
            "models": tuple(entry.model_copy(update={"published": {}}) for entry in choice.rows),
            "seeds": plan.suite.seeds[:1],
            "paper": (),
        }
    )
    made = tuple(with_few_epochs(spec, choice.epochs, kept) for spec in expand(suite))
    within = _LAST_BEGINNING * _time_for_runs(plan.suite.datasets, costs)
    return plan.model_copy(update={"suite": suite, "runs": made, "begin_within": within})


def with_few_epochs(spec: RunSpec, epochs: int, kept: frozenset[str] | set[str] = frozenset()) -> RunSpec:
    """A run whose trainings, those of models within its model included, have few epochs.

    Args:
        spec: With its complete configuration.
        epochs: The most.
        kept: Keys that stay as they are.
    """
    most = {key: value for key, value in quick_keys(epochs).items() if key not in kept}
    return spec.model_copy(update={"config": _capped(spec.config, most)})


def _capped(config: Mapping[str, Any], most: Mapping[str, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in _keys(config):
        name, value = key.split(".")[-1], value_at(config, key)
        if name in most and isinstance(value, int) and not isinstance(value, bool) and value > most[name]:
            values[key] = most[name]
    capped = with_values(config, values)
    for key, value in config.items():
        # A model may train another one beforehand: `base: NAME` with `base_config`, whose defaults are not written out.
        inner = config.get(key.removesuffix("_config")) if key.endswith("_config") else None
        if isinstance(value, Mapping) and isinstance(inner, str) and inner in model_names():
            whole = model_class(inner).Config.model_validate(value).model_dump(mode="json")
            capped[key] = _capped(whole, most)
    return capped


def _keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all values that are no mappings."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _chosen(suite: Suite, runs: Sequence[RunSpec], costs: Costs, jobs: int, kept: set[str]) -> _Choice:
    """The most that can be done in time; users are left out before data sets are, and data sets before rows."""
    datasets, rows = suite.datasets, suite.models
    while True:
        for users in (None, *_SAMPLES):
            for epochs in _EPOCHS:
                choice = _Choice(tuple(_sampled(dataset, users, costs) for dataset in datasets), rows, epochs)
                if _needed(choice, runs, costs, jobs, kept) <= _time_for_runs(datasets, costs):
                    return choice
        if len(datasets) > 1:
            datasets = datasets[:-1]
        elif len(rows) > _FEWEST_ROWS:
            rows = _without_the_dearest(suite, rows, runs, costs)
        else:
            return choice


def _needed(choice: _Choice, runs: Sequence[RunSpec], costs: Costs, jobs: int, kept: set[str]) -> float:
    """Seconds that the runs of a choice may take."""
    users = {dataset.whole.label: dataset.sample_users for dataset in choice.datasets}
    rows = {entry.row for entry in choice.rows}
    each = [0.0]
    for spec in runs:
        if spec.label in rows and spec.dataset.whole.label in users:
            estimate = costs.of(with_few_epochs(spec, choice.epochs, kept), users[spec.dataset.whole.label])
            each.append(0.0 if estimate is None else estimate.seconds)
    return _MARGIN * max(*each, sum(each) / jobs)


def _time_for_runs(datasets: Sequence[DatasetSpec], costs: Costs) -> float:
    """What reading the data and writing the report leave of `SECONDS`."""
    events = sum((costs.sizes(dataset) or (0, 0, 0))[2] for dataset in datasets)
    return max(30.0, SECONDS - _START_SECONDS - _REPORT_SECONDS * len(datasets) - _EVENT_SECONDS * events)


def _sampled(dataset: DatasetSpec, users: int | None, costs: Costs) -> DatasetSpec:
    """A data set with so many users at most; a sample that the user has asked for stays what it is."""
    there = (costs.sizes(dataset) or (0, 0, 0))[0]
    if users is None or dataset.sample_users is not None or users >= there:
        return dataset
    return dataset.model_copy(update={"sample_users": users})


def _without_the_dearest(
    suite: Suite, rows: tuple[Entry, ...], runs: Sequence[RunSpec], costs: Costs
) -> tuple[Entry, ...]:
    """Leaves out the row that takes longest; what others are measured by, and the first question's rows, come last."""
    spared = {suite.floor, *suite.references, *(suite.questions[0] if suite.questions else ())}
    seconds = {entry.row: 0.0 for entry in rows}
    for spec in runs:
        estimate = costs.of(spec) if spec.label in seconds else None
        seconds[spec.label] = max(seconds.get(spec.label, 0.0), estimate.seconds if estimate else 0.0)
    others = [entry for entry in rows if not {entry.row, entry.model} & spared] or list(rows)
    dearest = max(others, key=lambda entry: seconds[entry.row])
    return tuple(entry for entry in rows if entry is not dearest)


def _told(suite: Suite, choice: _Choice, costs: Costs) -> str:
    """What a reader of the report has to know first."""
    parts = [f"at most {choice.epochs} epochs", "one seed"]
    for dataset in choice.datasets:
        if dataset.sample_users is not None:
            there = (costs.sizes(dataset.whole) or (0, 0, 0))[0]
            parts.append(f"{min(dataset.sample_users, there):,} of {there:,} users of {dataset.name}")
    left_out = [entry.row for entry in suite.models if entry not in choice.rows]
    unasked = [dataset.label for dataset in suite.datasets if dataset.name not in {one.name for one in choice.datasets}]
    parts += [f"without {', '.join(names)}" for names in (left_out, unasked) if names]
    return f"quick first answer, not a result ({'; '.join(parts)})."
