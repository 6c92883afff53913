"""Models that hang, take too much, talk without end, or won't let their process go."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from outside_models import Outside, OutsideConfig

from bench.data.dataset import TrainingData
from bench.recommender import FitContext


class Hung(Outside):
    """Waits for something that never happens."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        print("waiting")
        self._wait_for_ever()

    def _wait_for_ever(self) -> None:
        while True:
            time.sleep(1)


class Greedy(Outside):
    """Takes 128 MiB more every tenth of a second, and gives nothing back."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        taken = []
        for _ in range(100):
            taken.append(np.ones(2**24))
            time.sleep(0.1)


class Talkative(Outside):
    """Prints 9 MB; its first and last lines are worth keeping."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        super().fit(train, context)
        for line in range(90_000):
            print(f"line {line:06} {'.' * 88}")


class Threaded(Outside):
    """Leaves a thread running that no process can end with."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        super().fit(train, context)
        threading.Thread(target=threading.Event().wait, name="for ever").start()


class Pressing(Outside):
    """Raises what only a user's key should."""

    error: type[BaseException] = KeyboardInterrupt

    def fit(self, train: TrainingData, context: FitContext) -> None:
        raise self.error("not the user")


class Generating(Pressing):
    error = GeneratorExit


class Leaving(Pressing):
    error = SystemExit


class Pausing(Outside):
    """Takes five seconds."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        super().fit(train, context)
        time.sleep(5)


class PatientConfig(OutsideConfig):
    """Where fits leave a mark, and for how many marks of others this one waits."""

    marks: str = "."
    waits_for: int = 0


class Patient(Outside):
    """Goes on when so many others have been fitted, and gives up after two minutes."""

    Config = PatientConfig
    config: PatientConfig

    def fit(self, train: TrainingData, context: FitContext) -> None:
        super().fit(train, context)
        marks, given_up = Path(self.config.marks), time.monotonic() + 120
        while len(list(marks.iterdir())) < self.config.waits_for:
            if time.monotonic() > given_up:
                raise TimeoutError("the others have not been fitted")
            time.sleep(0.1)
        (marks / f"{context.seed}-{self.config.schedule.epochs}").touch()
