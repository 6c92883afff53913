"""The trials of one row on one data set, as stored in `RESULTS/tuning/DATASET/MODEL/KEY/study.json`.

The key is that of the row's own run with seed 0, so that a changed default, a new revision or other data start a new
study. Reading one needs neither Optuna nor any model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from bench.config import with_values
from bench.errors import BenchError
from bench.files import replaced
from bench.json_text import parse_json
from bench.searched_as import SearchedAs
from bench.spec import RunSpec, Several
from bench.text_files import read_text_file

_MOST_BYTES = 32 * 2**20
"""Of a study's file."""

State = Literal["complete", "pruned", "failed"]


class Trial(BaseModel):
    """One configuration that was tried.

    Attributes:
        number: 0 is the row as it is.
        state: "pruned" when its validations fell behind those of earlier trials, "failed" when the model raised.
        values: Dotted key -> what was tried, and how often the trial validates, which follows from its epochs.
        validations: NDCG@10 at each validation, in order.
        shares: How much of the trial was over at each of them, of its epochs or its seconds, whichever is further.
        validation: The best of them, which the fit keeps; of complete trials only.
        seconds: Wall-clock time.
        reason: Why it failed, or that the time limit ended it.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    state: State
    values: dict[str, Any]
    validations: Several[float] = ()
    shares: Several[float] = ()
    validation: float | None = None
    seconds: float = 0.0
    reason: str = ""

    @property
    def cut_short(self) -> bool:
        """Whether the limit of time ended a trial that counts as complete, with its best validation until then."""
        return self.state == "complete" and bool(self.reason)


class Confirmation(BaseModel):
    """A trial's configuration once more, with another seed.

    Attributes:
        trial: Number of the trial.
        seed: Of the run; that of all trials is 0.
        validation: Its best; None where it failed.
        seconds: Wall-clock time.
        reason: As of a trial.
    """

    model_config = ConfigDict(frozen=True)

    trial: int
    seed: int
    validation: float | None = None
    seconds: float = 0.0
    reason: str = ""


class Study(BaseModel):
    """All trials of a row, with what makes them comparable.

    Attributes:
        base: The row's own run, with seed 0.
        space: Dotted key -> what may be tried, in words.
        seconds_per_trial: Time limit of each trial, None for none.
        trials: In the order of their numbers, as far as they have ended.
        confirmations: Of the best trials, in the order of trials and seeds, as far as they have ended.
    """

    model_config = ConfigDict(frozen=True)

    base: RunSpec
    space: dict[str, str]
    seconds_per_trial: float | None = None
    trials: Several[Trial] = Field(default=())
    confirmations: Several[Confirmation] = Field(default=())

    @staticmethod
    def folder(results_dir: Path, run: RunSpec) -> Path:
        """Names the folder of the study of a run's row; the run's seed does not matter."""
        base = run.model_copy(update={"seed": 0})
        return results_dir / "tuning" / base.dataset.label / base.model / base.key

    @classmethod
    def read(cls, results_dir: Path, run: RunSpec) -> Study | None:
        """Reads the study of a run's row, None before its first trial.

        Raises:
            BenchError: The file is unreadable.
        """
        path = cls.folder(results_dir, run) / "study.json"
        return _read(path) if path.exists() else None

    @classmethod
    def all_of(cls, results_dir: Path, run: RunSpec) -> list[Study]:
        """Lists the studies of a run's model on its data set, whatever configuration they started from.

        Raises:
            BenchError: A file is unreadable.
        """
        folder = cls.folder(results_dir, run).parent
        return [_read(path) for path in sorted(folder.glob("*/study.json"))]

    def write(self, results_dir: Path) -> None:
        """Stores the study in place of its earlier state.

        Raises:
            BenchError: The folder can't be written to.
        """
        path = self.folder(results_dir, self.base) / "study.json"
        try:
            with replaced(path) as temporary:
                temporary.write_text(self._text(), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"can't write to '{path.parent}': {error.strerror}: choose --results") from None

    def _text(self) -> str:
        """The study as JSON, one trial a line: small, and a change of it is easy to read."""
        content = self.model_dump(mode="json")
        fields = []
        for name, value in content.items():
            if isinstance(value, list) and value:
                lines = ",\n  ".join(json.dumps(entry) for entry in value)
                fields.append(f' "{name}": [\n  {lines}\n ]')
            else:
                fields.append(f' "{name}": {json.dumps(value)}')
        return "{\n" + ",\n".join(fields) + "\n}\n"

    def with_trial(self, trial: Trial) -> Study:
        """Returns the study with one more trial, or with another outcome of a trial that it has."""
        others = [known for known in self.trials if known.number != trial.number]
        return self.model_copy(update={"trials": tuple(sorted([*others, trial], key=lambda known: known.number))})

    def with_confirmation(self, made: Confirmation) -> Study:
        """Returns the study with one more confirmation, or with another outcome of one that it has."""
        others = [known for known in self.confirmations if (known.trial, known.seed) != (made.trial, made.seed)]
        ordered = sorted([*others, made], key=lambda known: (known.trial, known.seed))
        return self.model_copy(update={"confirmations": tuple(ordered)})

    def leading(self, most: int) -> list[Trial]:
        """The complete trials with the highest validations, the earlier of equals first."""
        complete = [trial for trial in self.trials if trial.validation is not None]
        return sorted(complete, key=lambda trial: -(trial.validation or 0.0))[:most]

    @property
    def confirmed(self) -> dict[int, float]:
        """Mean validation over seeds, by number of the trial: of those with the most seeds, none of which failed."""
        by_trial: dict[int, list[float | None]] = {}
        for made in self.confirmations:
            by_trial.setdefault(made.trial, []).append(made.validation)
        most = max(map(len, by_trial.values()), default=0)
        own = {trial.number: trial.validation for trial in self.trials}
        means = {}
        for number, validations in by_trial.items():
            known = [value for value in (own.get(number), *validations) if value is not None]
            if len(known) == most + 1:
                means[number] = sum(known) / len(known)
        return means

    @property
    def best(self) -> Trial | None:
        """The complete trial with the highest validation, the earliest of equals. None without a complete trial.

        Where some were confirmed with other seeds, it is that of them with the highest mean.
        """
        means = self.confirmed
        if means:
            return next(trial for trial in self.trials if trial.number == max(means, key=lambda number: means[number]))
        return next(iter(self.leading(1)), None)

    @property
    def default(self) -> Trial | None:
        """Trial 0, the row as it is; None before it has ended."""
        return next((trial for trial in self.trials if trial.number == 0), None)

    @property
    def best_config(self) -> dict[str, Any]:
        """The complete configuration of the best trial; the row's own without one."""
        return with_values(self.base.config, self.best.values) if self.best else self.base.config

    @property
    def changes(self) -> dict[str, Any]:
        """What sets the best trial apart from the row as it is; nothing where that is the best."""
        if self.best is None or self.best.number == 0:
            return {}
        row = self.default.values if self.default else {}
        return {key: value for key, value in self.best.values.items() if key not in row or row[key] != value}

    @property
    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(trial.state for trial in self.trials)

    @property
    def n_cut_short(self) -> int:
        """How many of the complete trials the limit of time ended."""
        return sum(trial.cut_short for trial in self.trials)

    def as_settings(self) -> list[str]:
        """Writes the changes as values of `--set`, e.g. `tiger.training.learning_rate=0.002`."""
        return [f"{self.base.label}.{key}={_yaml(value)}" for key, value in self.changes.items()]


def tuned_runs(
    runs: Sequence[RunSpec], results_dir: Path, searched_as: Mapping[str, SearchedAs] | None = None
) -> tuple[list[RunSpec], list[str]]:
    """Gives runs the best configurations that a search had for their rows on their data sets.

    Args:
        runs: As planned.
        results_dir: Where searches are kept.
        searched_as: The rows, by label, that have another row's configuration: they take what was found for that.

    Returns:
        The runs, unchanged where no search has found anything, and a line on each row.

    Raises:
        BenchError: There was no search for any of them, or the file of one is unreadable.
    """
    by_place = {(run.label, run.dataset.label): run for run in runs}
    tuned, lines = [], {}
    for run in runs:
        row, how = f"{run.label} on {run.dataset.label}", (searched_as or {}).get(run.label)
        searched = run if how is None else by_place.get((how.row, run.dataset.label))
        if how and searched and how.differences(run.config, searched.config):
            searched = None  # a setting of the user's has changed one of both
        study = Study.read(results_dir, searched) if searched else None
        if study is None or study.best is None:
            tuned.append(run)
            lines[row] = f"not tuned: {row}"
            continue
        found = study.best_config if how is None else how.with_found(run.config, study.best_config)
        tuned.append(run.model_copy(update={"config": found}))
        whose = "" if how is None else f"as row {how.row}, "
        lines[row] = f"tuned: {row}, {whose}trial {study.best.number} of {len(study.trials)}"
    if not any(line.startswith("tuned") for line in lines.values()):
        raise BenchError(f"--tuned: no search for any of these runs in '{results_dir}': first run python -m bench tune")
    return tuned, list(lines.values())


def _read(path: Path) -> Study:
    try:
        return Study.model_validate(parse_json(read_text_file(path, _MOST_BYTES)))
    except (OSError, ValueError, BenchError):
        raise BenchError(f"unreadable study '{path}': delete the file to start this search anew") from None


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return str(text).removesuffix("\n").removesuffix("\n...").strip()
