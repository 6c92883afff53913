"""Fitted models on disk, with all that their answers need: one folder a model, complete or not there at all.

`RESULTS/models/DATASET/MODEL/s{seed}-{key}/`, or any folder that the user names, holds

- `model.json`: the run's spec, what it was made with, and the SHA-256 of every other file;
- `state.json`, `state.safetensors`: `Recommender.state`, its tensors and arrays apart (`bench.execution.object_state`);
- `items.parquet`, `users.parquet`: original ids by index, and the item table;
- `events.safetensors`: every user's events, where the history of each test query ends, and some answers, which the
  model has to give again when it is loaded.

Nothing is pickled. A folder holds the histories of the data's users: whoever passes it on passes them on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.data import catalog
from bench.data.dataset import Dataset, SeenItems
from bench.data.interactions import Interactions
from bench.data.protocols import Queries
from bench.errors import BenchError, SkippedRun, reason_of
from bench.execution import environment
from bench.execution.content import content_of
from bench.execution.object_state import ObjectPacker, ObjectUnpacker
from bench.recommender import Recommender
from bench.registry import class_of
from bench.spec import RunResult, RunSpec

FORMAT = 1
"""Raise it when a file changes its meaning; folders of another format are refused."""

PROBED, PROBE_LENGTH = 8, 10
"""How many test queries a loaded model has to answer as it did, and the length of the lists."""

NO_TEST = -1

NOT_SAVED = "model_not_saved"
"""In the environment of a run whose model should have been saved: the reason why it is not."""

_ID = "id"


@dataclass(frozen=True)
class KnownData:
    """What of its data set a fitted model needs to answer in the words of whoever brought it.

    Attributes:
        interactions: All events of all users.
        item_ids, user_ids: The original ids, as strings, by index.
        columns: The item table, one row an item.
        text_columns: Those that describe an item in words.
        exclude_seen: Whether the items of a history are no candidates.
        has_time, baskets: See `Dataset`.
        test_ends: int64 `[n_users]`, how many of a user's events the history of the test query holds; `NO_TEST` where
            there was none.
    """

    interactions: Interactions
    item_ids: NDArray[np.str_]
    user_ids: NDArray[np.str_]
    columns: pd.DataFrame
    text_columns: tuple[str, ...]
    exclude_seen: bool
    has_time: bool
    baskets: bool
    test_ends: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset, seen_items: SeenItems | None, test: Queries) -> KnownData:
        """What a fit leaves of a data set, with the queries that it was tested on."""
        ends = np.full(dataset.interactions.n_users, NO_TEST, dtype=np.int64)
        ends[test.users] = test.ends
        table = dataset.item_table
        return cls(
            interactions=dataset.interactions,
            item_ids=np.asarray(dataset.item_ids).astype(np.str_),
            user_ids=np.asarray(dataset.user_ids).astype(np.str_),
            columns=table.columns,
            text_columns=table.text_columns,
            exclude_seen=(seen_items or dataset.seen_items) == "exclude",
            has_time=dataset.has_time,
            baskets=dataset.baskets,
            test_ends=ends,
        )


@dataclass(frozen=True)
class SavedModel:
    """A fitted model with what it knows of its data.

    Attributes:
        spec: The run that it is of.
        recommender: Fitted.
        data: Its users and items.
        note: What a user should know of it, one line; "" for nothing.
    """

    spec: RunSpec
    recommender: Recommender
    data: KnownData
    note: str = ""


def model_folder(results_dir: Path, spec: RunSpec) -> Path:
    """Where `bench run --save-models` keeps the model of a run."""
    return results_dir / "models" / spec.dataset.label / spec.model / f"s{spec.seed}-{spec.key}"


def is_saved(folder: Path) -> bool:
    """Tells whether a folder holds a saved model."""
    return (folder / "model.json").is_file()


def keep_model(results_dir: Path, result: RunResult, recommender: Recommender, test: Queries) -> None:
    """Saves the model of a run; where that can't be done, notes the reason in the run's environment and goes on."""
    spec, told = result.spec, content_of(result)["diagnostics"]  # a model may count in them while it answers
    dataset = catalog.load_dataset(spec.dataset.name, spec.dataset.files, spec.dataset.sample_users)
    data = KnownData.of(dataset, spec.dataset.seen_items, test)
    try:
        save_model(model_folder(results_dir, spec), SavedModel(spec, recommender, data))
    except Exception as error:
        print(f"the model is not saved: {error}")
        result.environment[NOT_SAVED] = str(error) if isinstance(error, BenchError) else reason_of(error)
    result.diagnostics = told


def save_model(folder: Path, model: SavedModel) -> None:
    """Keeps a fitted model, in place of what was in the folder before.

    Raises:
        BenchError: The model, or a part of it, can't be kept, the folder holds something else, or it can't be written.
    """
    recommender = model.recommender
    name = model.spec.model
    if recommender.unsavable:
        raise BenchError(f"model '{name}' can't be saved: {recommender.unsavable}")
    packer = ObjectPacker(_packages(type(recommender)))
    try:
        state = packer.pack(recommender.state())
    except TypeError as error:
        raise BenchError(f"model '{name}' can't be saved: {error}: override `state` and `restore`") from None
    if folder.exists() and not is_saved(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise BenchError(f"'{folder}' holds something else than a saved model: choose a new folder")
    written = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(written, ignore_errors=True)
    try:
        written.mkdir(parents=True)
        _write(written, model, state, packer.tensors)
        if folder.exists():
            shutil.rmtree(folder)
        written.replace(folder)
    except OSError as error:
        raise BenchError(f"can't save the model to '{folder}': {error.strerror}") from None
    finally:
        shutil.rmtree(written, ignore_errors=True)


def _write(folder: Path, model: SavedModel, state: Any, tensors: Mapping[str, Any]) -> None:
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_tensors

    data = model.data
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    save_tensors(dict(tensors), folder / "state.safetensors")
    pd.DataFrame({_ID: data.user_ids}).to_parquet(folder / "users.parquet", index=False)
    columns = {f"column:{name}": _storable(values) for name, values in data.columns.items()}
    pd.DataFrame({_ID: data.item_ids, **columns}).to_parquet(folder / "items.parquet", index=False)
    events = data.interactions
    asked = np.flatnonzero(data.test_ends != NO_TEST)[:PROBED]
    arrays = {
        "items": events.items,
        "timestamps": np.ascontiguousarray(events.timestamps),
        "offsets": events.offsets,
        "test_ends": data.test_ends,
        "probe_users": asked,
        "probe_items": _answers(model.recommender, data, asked),
    }
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / "events.safetensors")
    content = {
        "format": FORMAT,
        "spec": json.loads(model.spec.model_dump_json()),
        "data": {
            "text_columns": list(data.text_columns),
            **{key: getattr(data, key) for key in ("exclude_seen", "has_time", "baskets")},
        },
        "made_with": {**environment.versions(), "commit": environment.commit()},
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / "model.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def load_model(folder: Path, device: str = "cpu") -> SavedModel:
    """Reads a saved model, and makes sure that it answers as it did.

    Args:
        folder: As `save_model` left it.
        device: Where answers are computed, if the model was trained on a GPU: "cpu" or "cuda".

    Raises:
        BenchError: The folder holds no saved model, a file of it has changed, or it is of another version of the model.
    """
    if not is_saved(folder):
        raise BenchError(f"'{folder}' holds no saved model: `bench run --save-models` makes one")
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise BenchError(f"'{folder}' was saved by another version of this program: train the model again")
        for name, digest in content["files"].items():
            if _sha256(folder / name) != digest:
                raise BenchError(f"'{folder / name}' has changed since the model was saved: train the model again")
        spec = RunSpec.model_validate(content["spec"])
        data, arrays = _read_data(folder, content["data"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise BenchError(f"unreadable model '{folder}' ({reason_of(error)}): train the model again") from None
    made_with = content["made_with"]
    recommender = _restored(folder, spec, device, made_with)
    return SavedModel(spec, recommender, data, _probe(folder, recommender, data, arrays, made_with))


def _read_data(folder: Path, said: Mapping[str, Any]) -> tuple[KnownData, dict[str, NDArray[Any]]]:
    from safetensors.numpy import load_file

    arrays = load_file(folder / "events.safetensors")
    items = pd.read_parquet(folder / "items.parquet")
    item_ids = items.pop(_ID).to_numpy(dtype=np.str_)
    items.columns = [name.removeprefix("column:") for name in items]
    data = KnownData(
        interactions=Interactions(arrays["items"], arrays["timestamps"], arrays["offsets"], len(item_ids)),
        item_ids=item_ids,
        user_ids=pd.read_parquet(folder / "users.parquet")[_ID].to_numpy(dtype=np.str_),
        columns=items,
        text_columns=tuple(said["text_columns"]),
        exclude_seen=bool(said["exclude_seen"]),
        has_time=bool(said["has_time"]),
        baskets=bool(said["baskets"]),
        test_ends=arrays["test_ends"],
    )
    return data, arrays


def _restored(folder: Path, spec: RunSpec, device: str, made_with: Mapping[str, str]) -> Recommender:
    from safetensors.torch import load_file

    try:
        model = class_of(spec)
    except SkippedRun as error:
        raise BenchError(f"saved model '{folder}': {error}") from None
    if model.revision != spec.revision:
        raise BenchError(
            f"'{folder}' is of revision {spec.revision} of model '{spec.model}', and this program has revision "
            f"{model.revision}: train the model again, or use {_version(made_with)}"
        )
    try:
        packages = _packages(model)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        unpacker = ObjectUnpacker(load_file(folder / "state.safetensors"), packages, device)
        recommender = model(spec.config)
        recommender.restore(unpacker.unpack(state), device)
    except Exception as error:  # whatever a change of the model's code leads to
        raise _outdated(folder, made_with, error) from error
    return recommender


def _probe(
    folder: Path,
    recommender: Recommender,
    data: KnownData,
    arrays: Mapping[str, NDArray[Any]],
    made_with: Mapping[str, str],
) -> str:
    """Asks again what was asked when the model was saved; says what differs, "" for nothing."""
    before, users = arrays["probe_items"], arrays["probe_users"]
    try:
        now = _answers(recommender, data, users)
    except Exception as error:  # likewise
        raise _outdated(folder, made_with, error) from error
    same = int((now == before).all(axis=1).sum())
    if same == len(before):
        return ""
    return (
        f"{len(before) - same} of {len(before)} answers differ from those that the model gave when it was "
        f"saved with {_version(made_with)}: versions or processor are others"
    )


def _answers(recommender: Recommender, data: KnownData, users: NDArray[np.int64]) -> NDArray[np.int32]:
    """int32 `[n, PROBE_LENGTH]`, what the model recommends to users of the test."""
    if not len(users):
        return np.empty((0, PROBE_LENGTH), dtype=np.int32)
    histories = data.interactions.histories(users, data.test_ends[users], data.exclude_seen)
    return recommender.recommend(histories, PROBE_LENGTH).items.astype(np.int32)


def _outdated(folder: Path, made_with: Mapping[str, str], error: BaseException) -> BenchError:
    return BenchError(
        f"saved model '{folder}' does not fit this program ({reason_of(error)}): train it again, or use "
        f"{_version(made_with)}"
    )


def _version(made_with: Mapping[str, str]) -> str:
    commit = made_with.get("commit", "")
    return f"glass-bench {made_with.get('glass-bench', '')}" + (f" at commit {commit[:12]}" if commit else "")


def _packages(model: type[Recommender]) -> tuple[str, ...]:
    """Where the parts of a model may come from beside this project: its own package, and what it names."""
    return (model.__module__.partition(".")[0], *model.packages_of_state())


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return hashed.hexdigest()


def _storable(values: pd.Series) -> Any:
    """A column of the item table; one of mixed values as text, which is what tables show of it."""
    return values.astype(str).array if values.dtype == object else values.array
