"""How long runs took, and how much memory, one short record each: what `bench.execution.costs` estimates others by.

Records of this machine are kept in a file of the user's cache folder, so that they serve every folder of results. Those
of the machine that this project is measured on come along (`reference_timings.json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.data.cache import content_key
from bench.execution.calibration import cache_folder
from bench.execution.environment import device_name
from bench.files import replaced
from bench.json_text import parse_json
from bench.spec import RunResult, RunSpec

_MOST_RECORDS = 2000
"""That are kept; then the older half goes."""

_SECONDS_FOR_A_LOCK = 1.0

_REFERENCE = Path(__file__).with_name("reference_timings.json")

_WIDTHS = ("dim", "hidden_size", "embedding_size")
_DEPTHS = ("blocks", "encoder_layers", "decoder_layers", "num_layers", "n_layers")
_LENGTHS = ("length", "short_term", "max_item_list_length")
"""Keys by which configurations say how large a network is and how much it reads, wherever they stand."""


@dataclass(frozen=True)
class Work:
    """What decides how long a run takes, as far as that can be known before.

    Attributes:
        model: Registered name.
        config: Hash of the configuration.
        data: Content hash of the data.
        users, items, events: Of the data set.
        epochs: That the configuration allows. None: the model is not trained in epochs, it counts.
        size: Grows with width, depth and length of the network; of use beside that of another run only.
    """

    model: str
    config: str
    data: str
    users: int
    items: int
    events: int
    epochs: float | None
    size: float

    @classmethod
    def of(cls, spec: RunSpec, users: int, items: int, events: int) -> Work:
        return cls(
            model=spec.model,
            config=content_key(spec.config, spec.revision),
            data=f"{spec.data_hash}{spec.dataset.protocol}",
            users=users,
            items=items,
            events=events,
            epochs=epochs_of(spec.config),
            size=_size_of(spec.config),
        )


@dataclass(frozen=True)
class Timing:
    """A run that has ended.

    Attributes:
        work: What was to be done.
        device: "cpu" or "cuda".
        threads: Of the run.
        epochs: That it took until it stopped. None: as in `work`.
        fit_seconds, recommend_seconds: See `RunResult`.
        memory_mib: Peak memory of its process.
        here: Whether it was made on this machine.
    """

    work: Work
    device: str
    threads: int
    epochs: float | None
    fit_seconds: float
    recommend_seconds: float
    memory_mib: float
    here: bool = True

    @classmethod
    def of(cls, result: RunResult) -> Timing | None:
        """What a result tells; None where the run did not end well, or its record has gaps, as old ones have."""
        made, data = result.environment, result.environment.get("dataset")
        if result.status != "complete" or not isinstance(data, Mapping):
            return None
        with suppress(KeyError, TypeError, ValueError):
            return cls(
                Work.of(result.spec, *(int(data[part]) for part in ("users", "items", "events"))),
                device=str(made["device"]),
                threads=int(made["threads"]),
                epochs=float(result.curve[-1]["epoch"]) if result.curve else None,
                fit_seconds=result.fit_seconds,
                recommend_seconds=result.recommend_seconds,
                memory_mib=float(made["peak_memory_mib"]),
            )
        return None


def keep(result: RunResult) -> None:
    """Keeps what a result tells, if it tells anything of this machine: one of a cluster may be another's."""
    timing = Timing.of(result)
    processor = result.environment.get("device_name") if timing is not None and timing.device == "cpu" else None
    if timing is not None and processor in (None, device_name("cpu")):
        record(timing)


def record(timing: Timing) -> None:
    """Keeps a record; where the folder can't be written to, nothing is kept, and nobody is the worse for it."""
    path = _path()
    with suppress(OSError, Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_SECONDS_FOR_A_LOCK):
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(timing))}\n")
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            if len(lines) > _MOST_RECORDS:
                with replaced(path) as temporary:
                    temporary.write_text("".join(lines[-_MOST_RECORDS // 2 :]), encoding="utf-8")


def kept() -> list[Timing]:
    """The records of this machine; lines that nobody can read are passed over."""
    try:
        lines = _path().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    return _read(lines, here=True)


def reference() -> list[Timing]:
    """The records that come along, of another machine."""
    return _read([json.dumps(record) for record in json.loads(_REFERENCE.read_text(encoding="utf-8"))], here=False)


def _path() -> Path:
    return cache_folder() / "timings.jsonl"


def _read(lines: Sequence[str], here: bool) -> list[Timing]:
    timings = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            record: dict[str, Any] = parse_json(line)
            names = {field.name for field in fields(Work)}
            if set(record["work"]) == names:
                timings.append(Timing(**{**record, "work": Work(**record["work"]), "here": here}))
    return timings


def epochs_of(config: Mapping[str, Any]) -> float | None:
    """How many epochs a configuration allows, weighed by the share of the targets that one of them draws.

    The model's own training goes before those of models inside it. None: nothing is trained in epochs.

    >>> epochs_of({"dim": 8, "training": {"epochs": 4}}), epochs_of({"base_config": {"training": {"epochs": 3}}})
    (4.0, 3.0)
    >>> epochs_of({"targets_per_epoch": 0.5, "training": {"epochs": 4}}), epochs_of({"smoothing": 2.0})
    (2.0, None)
    """
    share = config.get("targets_per_epoch")
    weight = float(share) if isinstance(share, float) and 0 < share < 1 else 1.0
    own = config.get("training")
    for place in (own, config):
        epochs = place.get("epochs") if isinstance(place, Mapping) else None
        if isinstance(epochs, int | float):
            return float(epochs) * weight
    inner = (epochs_of(value) for value in config.values() if isinstance(value, Mapping))
    return next((epochs for epochs in inner if epochs is not None), None)


def _size_of(config: Mapping[str, Any]) -> float:
    """Width times depth to a little less than one each, since what does not grow with them takes its time, too."""
    found: dict[str, list[float]] = {"width": [], "depth": [], "length": []}
    _collect(config, found)
    width, length = (max(found[name], default=1.0) for name in ("width", "length"))
    return float(width**0.8 * max(1.0, sum(found["depth"])) ** 0.8 * length**0.3)


def _collect(config: Mapping[str, Any], found: dict[str, list[float]]) -> None:
    kinds = {**dict.fromkeys(_WIDTHS, "width"), **dict.fromkeys(_DEPTHS, "depth"), **dict.fromkeys(_LENGTHS, "length")}
    for key, value in config.items():
        if isinstance(value, Mapping):
            _collect(value, found)
        elif key in kinds and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            found[kinds[key]].append(float(value))
