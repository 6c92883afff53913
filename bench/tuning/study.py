"""The trials of one row on one data set, as stored in `RESULTS/tuning/DATASET/MODEL/KEY/study.json`.

The key is that of the row's own run with seed 0, so that a changed default, a new revision or other data start a new
study. Reading one needs neither Optuna nor any model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from bench.config import with_values
from bench.errors import BenchError
from bench.files import replaced
from bench.json_text import parse_json
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
        values: Dotted key of the search space -> what was tried.
        validations: NDCG@10 at each validation, in order.
        validation: The best of them, which the fit keeps; of complete trials only.
        seconds: Wall-clock time.
        reason: Why it failed, or that the time limit ended it.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    state: State
    values: dict[str, Any]
    validations: Several[float] = ()
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
    """

    model_config = ConfigDict(frozen=True)

    base: RunSpec
    space: dict[str, str]
    seconds_per_trial: float | None = None
    trials: Several[Trial] = Field(default=())

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
                temporary.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        except OSError as error:
            raise BenchError(f"can't write to '{path.parent}': {error.strerror}: choose --results") from None

    def with_trial(self, trial: Trial) -> Study:
        """Returns the study with one more trial, or with another outcome of a trial that it has."""
        others = [known for known in self.trials if known.number != trial.number]
        return self.model_copy(update={"trials": tuple(sorted([*others, trial], key=lambda known: known.number))})

    @property
    def best(self) -> Trial | None:
        """The complete trial with the highest validation, the earliest of equals. None without a complete trial."""
        complete = [trial for trial in self.trials if trial.validation is not None]
        return max(complete, key=lambda trial: trial.validation or 0.0, default=None)

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

    def as_settings(self) -> list[str]:
        """Writes the changes as values of `--set`, e.g. `tiger.training.learning_rate=0.002`."""
        return [f"{self.base.label}.{key}={_yaml(value)}" for key, value in self.changes.items()]


def tuned_runs(runs: Sequence[RunSpec], results_dir: Path) -> tuple[list[RunSpec], list[str]]:
    """Gives runs the best configurations that a search had for their rows on their data sets.

    Returns:
        The runs, unchanged where no search has found anything, and a line on each row.

    Raises:
        BenchError: There was no search for any of them, or the file of one is unreadable.
    """
    tuned, lines = [], {}
    for run in runs:
        study, row = Study.read(results_dir, run), f"{run.label} on {run.dataset.label}"
        if study is None or study.best is None:
            tuned.append(run)
            lines[row] = f"not tuned: {row}"
        else:
            tuned.append(run.model_copy(update={"config": study.best_config}))
            lines[row] = f"tuned: {row}, trial {study.best.number} of {len(study.trials)}"
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
