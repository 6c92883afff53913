"""The best configurations of a search as rows of a suite's YAML, to be copied into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError
from bench.files import replaced
from bench.registry import class_of
from bench.spec import RunSpec, Suite
from bench.tuning.study import Study


def write_rows(suite: Suite, studies: Sequence[Study], results_dir: Path, taken: Sequence[RunSpec] = ()) -> list[Path]:
    """Writes `tuning/DATASET/rows.yaml`: each searched row with the configuration of its best trial.

    Args:
        suite: That the rows are of.
        studies: What was found.
        results_dir: Where results live.
        taken: The runs of rows that have the configuration of another one; they follow, with what was found for that.

    Returns:
        The paths of the files, one a data set.

    Raises:
        BenchError: The folder can't be written to.
    """
    written = []
    for dataset in dict.fromkeys(study.base.dataset.label for study in studies):
        path = results_dir / "tuning" / dataset / "rows.yaml"
        text = rows_text(suite, [study for study in studies if study.base.dataset.label == dataset], taken)
        try:
            with replaced(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BenchError(f"can't write to '{path.parent}': {error.strerror}: choose --results") from None
        written.append(path)
    return written


def rows_text(suite: Suite, studies: Sequence[Study], taken: Sequence[RunSpec] = ()) -> str:
    """The rows as YAML, each below a comment on how its configuration was found, on validation queries alone."""
    dataset = studies[0].base.dataset
    parts = [f"# Found by `bench tune` on {dataset.label}, by validation {PRIMARY_NAME} alone.\nmodels:"]
    parts += [_row_text(suite, study.base, study.best_config, _comments(study)) for study in studies]
    by_row = {study.base.label: study for study in studies}
    for run in taken:
        how = suite.searched_as[run.label]
        study = by_row.get(how.row)
        if study is None or run.dataset.label != dataset.label or how.differences(run.config, study.base.config):
            continue
        config = how.with_found(run.config, study.best_config)
        parts.append(_row_text(suite, run, config, [f"# as row '{how.row}'"]))
    return "\n".join(parts) + "\n"


def _row_text(suite: Suite, run: RunSpec, config: dict[str, Any], comments: Sequence[str]) -> str:
    """One row as an entry of a suite's list."""
    entry = next(entry for entry in suite.models if entry.row == run.label)
    row: dict[str, Any] = {"model": entry.model}
    if entry.label:
        row["label"] = entry.label
    if entry.fixed:
        row["fixed"] = list(entry.fixed)
    if entry.searched_as:
        row["searched_as"] = entry.searched_as.model_dump(mode="json", exclude_defaults=True)
    beyond = _beyond_defaults(run, config)
    row |= {"config": beyond} if beyond else {}
    written = yaml.safe_dump([row], sort_keys=False, default_flow_style=None, width=110)
    return "\n".join(f"  {line}" for line in [*comments, *written.splitlines()])


def _comments(study: Study) -> list[str]:
    counts, limit, best = study.counts, study.seconds_per_trial, study.best
    ended = ", ".join(f"{counts[state]} {state}" for state in ("complete", "pruned", "failed") if counts[state])
    budget = f"# {len(study.trials)} trials ({ended})" + (f" of at most {limit:g} s" if limit is not None else "")
    if best is None:
        return [f"{budget}: the row as it is, since none is complete"]
    found = f"trial {best.number}, {best.validation:.4f}"
    if best.number == 0:
        found = f"nothing better than the row as it is, {best.validation:.4f}"
    found += ", ended by the limit" if best.cut_short else ""
    means = study.confirmed
    if not means:
        return [f"{budget}: {found}"]
    seeds = len({made.seed for made in study.confirmations}) + 1
    return [f"{budget}: {found}, mean of {seeds} seeds {means[best.number]:.4f}, the best of {len(means)} confirmed"]


def _beyond_defaults(run: RunSpec, config: dict[str, Any]) -> dict[str, Any]:
    """What a complete configuration says beyond the defaults of a run's model."""
    model = class_of(run)
    beyond = _beyond(config, model.Config().model_dump(mode="json"))
    complete = model.Config.model_validate(beyond).model_dump(mode="json")
    return beyond if complete == config else config  # where defaults depend on other keys, all of it


def _beyond(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ, of nested mappings those within."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            nested = _beyond(value, default)
            found |= {key: nested} if nested else {}
        elif key not in defaults or value != default:
            found[key] = value
    return found
