"""A fitted model in Python: trained here, or loaded."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from loky import cpu_count

from bench.api.data import Data, as_path, as_spec, own_errors
from bench.cli.run_options import Device, usable
from bench.data import catalog
from bench.data.cache import ArtifactCache
from bench.errors import BenchError, SkippedRun, reason_of
from bench.execution import worker
from bench.execution.isolation import ProcessState
from bench.execution.live_values import Listeners
from bench.execution.saved_models import KnownData, SavedModel, load_model, save_model
from bench.files import exists
from bench.plan import expand
from bench.serving.finding import found_model
from bench.serving.lists import Asked, known_users, recommendations, with_history
from bench.serving.why import write_page
from bench.spec import Entry, RunResult, RunSpec, Suite


class FittedModel:
    """A model that answers in the ids of its data.

    Attributes:
        spec: Model, complete configuration, data set and seed.
        validation: Best validation NDCG@10 of the training; None of a model that was loaded, or has none.
    """

    def __init__(self, saved: SavedModel, validation: float | None = None) -> None:
        self._saved, self.validation = saved, validation

    @property
    def spec(self) -> RunSpec:
        return self._saved.spec

    @property
    def users(self) -> list[str]:
        """The original ids of all known users."""
        names: list[str] = self._saved.data.user_ids.tolist()
        return names

    def recommend(
        self,
        users: object | Iterable[object] | None = None,
        k: int = 10,
        history: Data | None = None,
        as_tested: bool = False,
    ) -> pd.DataFrame:
        """The best items for users, one row a user and rank.

        Args:
            users: Original ids, or one of them. None: all users.
            k: Items for each.
            history: Path or table of events that take the place of the known ones, also of other users.
            as_tested: Whether histories end where those of the test did, instead of holding all that is known.

        Returns:
            Columns `user`, `rank`, `item`, the items' texts, `score` and `repeat`, as
            `bench.serving.lists.RECOMMENDATION_COLUMNS` explains them.

        Raises:
            BenchError: Nobody has an id, or a history can't be used.
        """
        with own_errors():
            return recommendations(self._saved, self._asked(users, history, as_tested), k)

    def why(self, user: object, path: str | os.PathLike[str], k: int = 10) -> Path:
        """Writes the page about one user's list: what a search of the history gave to the model.

        Raises:
            BenchError: The model searches no history, or the page can't be written.
        """
        write_page(self._saved, self._asked(user, None, False), k, Path(path))
        return Path(path)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Keeps the model in a folder, for `bench.load` and `bench recommend`.

        Raises:
            BenchError: It, or a part of it, can't be kept, or the folder holds something else.
        """
        save_model(Path(path), self._saved)
        return Path(path)

    def _asked(self, users: object, history: Data | None, as_tested: bool) -> Asked:
        one = users is not None and (isinstance(users, str) or not isinstance(users, Iterable))
        names: Any = [users] if one else users
        if history is None:
            return known_users(self._saved.data, names, as_tested)
        with tempfile.TemporaryDirectory() as folder:
            return with_history(self._saved, as_path(history, Path(folder)), names)

    def __repr__(self) -> str:
        return f"<{self.spec.model} on {self.spec.dataset.label}, seed {self.spec.seed}>"


def fit(
    model: str,
    data: Data,
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    **reading: Any,
) -> FittedModel:
    """Trains a model as a run does: early stopping on validation queries, the test's events unseen.

    Args:
        model: Registered name (`bench list models`).
        data: A registered data set, a path, or a table with one row an event.
        config: What differs from the model's defaults, nested or with dotted keys.
        seed: Of the replicate.
        device: "auto", "cpu" or "cuda".
        reading: How data of one's own are read and judged: the options of `bench run`, by keyword.

    Raises:
        BenchError: Something doesn't fit, or the training failed; the message says what.
    """
    with own_errors(), as_spec(data, reading) as dataset, tempfile.TemporaryDirectory() as folder:
        if device not in Device.__members__:
            raise BenchError(f"device '{device}': choose {', '.join(Device.__members__)}")
        suite = Suite(
            name="fit",
            description="",
            datasets=(dataset,),
            models=(Entry(model=model, config=_nested(config or {})),),
            seeds=(seed,),
        )
        (spec,) = expand(suite, where=f"config of {model}")
        return _fitted(spec, usable(Device(device)), ArtifactCache(Path(folder)))


def _fitted(spec: RunSpec, device: str, cache: ArtifactCache) -> FittedModel:
    result, before = RunResult(spec=spec, status="complete"), ProcessState.now()
    try:
        made = worker.fit(result, cache, device, cpu_count(), Listeners())
    except (BenchError, SkippedRun):
        raise
    except Exception as error:
        raise BenchError(f"model '{spec.model}' failed on '{spec.dataset.label}': {reason_of(error)}") from error
    finally:
        before.restore()  # a training sets seeds and threads, which are the caller's own
    data = catalog.load_dataset(spec.dataset.name, spec.dataset.files, spec.dataset.sample_users)
    known = KnownData.of(data, spec.dataset.seen_items, made.parts.test)
    return FittedModel(SavedModel(spec, made.recommender, known), result.validation)


def load(path: str | os.PathLike[str], device: str = "auto") -> FittedModel:
    """Loads a model that `FittedModel.save` or `bench run --save-models` has kept; warns where it answers otherwise.

    Args:
        path: Folder of a saved model or of a run.
        device: Where a model that was trained on a GPU answers: "auto", "cpu" or "cuda".

    Raises:
        BenchError: There is no such model, or it is of another version.
    """
    if device not in Device.__members__:
        raise BenchError(f"device '{device}': choose {', '.join(Device.__members__)}")
    folder = Path(path)
    if not exists(folder):
        raise BenchError(f"'{folder}' does not exist: give the folder of a saved model")
    saved = load_model(found_model(str(folder), "", Path()), usable(Device(device)))
    if saved.note:
        warnings.warn(saved.note, stacklevel=2)
    return FittedModel(saved)


def _nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose dotted keys are spelled out: `{"training.epochs": 3}` as `{"training": {"epochs": 3}}`."""
    nested: dict[str, Any] = {}
    for key, value in config.items():
        *parents, last = str(key).split(".")
        here = nested
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = {**here.get(last, {}), **value} if isinstance(value, Mapping) else value
    return nested
