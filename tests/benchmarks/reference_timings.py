"""Times every registered model on a sample of MovieLens 100K, for the estimates of machines that have made no run yet.

    python tests/benchmarks/reference_timings.py                    # all models on one thread of a processor
    python tests/benchmarks/reference_timings.py --models hstu,sim  # some of them; the others' records stay
    python tests/benchmarks/reference_timings.py --suite long       # a GPU: from the suite's results; others' stay

Writes `bench/execution/reference_timings.json`, in processor seconds of one thread, so that it may be run beside other
work, and prints what `REFERENCE_SECONDS` of `bench/execution/calibration.py` has to be. Models have their own
configurations but for the number of epochs and of the targets that one draws. Of a suite's results it takes the median
of each row and data set that was made on a GPU, as many runs at a time as there were.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.config import Config
from bench.data import catalog
from bench.errors import BenchError, SkippedRun
from bench.execution import timings
from bench.execution.calibration import measured
from bench.execution.store import ResultStore
from bench.execution.timings import Timing
from bench.execution.worker import execute
from bench.plan import Plan
from bench.registry import BUILT_IN, model_class
from bench.spec import DatasetSpec, RunSpec

EPOCHS = {"training.epochs": 3, "training.validate_every": 3, "epochs": 1}
"""By key; those of RecBole's models, which have `epochs` of their own, take minutes."""

SHARE_OF_TARGETS = 0.05
"""That an epoch draws at most, where it draws some: a step of a large network takes a minute."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor seconds of every model.")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--models", default=",".join(BUILT_IN))
    parser.add_argument("--suite", help="A suite whose results tell of a GPU; nothing is run.")
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    if arguments.suite:
        told = on_gpu(arguments.suite, arguments.results)
        models = {(one.work.model, one.work.users, one.work.items) for one in told}
        others = [
            one
            for one in timings.reference()
            if one.device == "cpu" or (one.work.model, one.work.users, one.work.items) not in models
        ]
        write([*others, *told])
        return
    dataset = DatasetSpec(name="ml-100k", sample_users=arguments.users)
    speeds = [measured()]
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            timing = timed(name, dataset, Path(folder))
        speeds.append(measured())
        if timing is not None:
            others = [one for one in timings.reference() if (one.work.model, one.device) != (name, "cpu")]
            write([*others, timing])
    print(f"REFERENCE_SECONDS = {sorted(speeds)[len(speeds) // 2]:.3f}")


def write(records: list[Timing]) -> None:
    """Writes the file, a line a record: processors first, models in the order of `list models`."""
    order = {name: place for place, name in enumerate(BUILT_IN)}
    records = sorted(records, key=lambda one: (one.device, order[one.work.model]))
    lines = [json.dumps({**asdict(one), "work": {**asdict(one.work), "config": "", "data": ""}}) for one in records]
    path = Path(timings.__file__).with_name("reference_timings.json")
    path.write_text("[\n" + ",\n".join(f" {line}" for line in lines) + "\n]\n", encoding="utf-8")


def on_gpu(suite: str, results: Path) -> list[Timing]:
    """What a suite's rows took on a GPU: of each row and data set the run of median time."""
    store = ResultStore(results)
    by_row: dict[tuple[str, str], list[Timing]] = {}
    for spec in Plan.read(results, suite).runs:
        result = store.load(spec)
        timing = None if result is None else Timing.of(result)
        if timing is not None and timing.device == "cuda":
            seconds = {key: round(getattr(timing, key), 2) for key in ("fit_seconds", "recommend_seconds")}
            by_row.setdefault((spec.dataset.label, spec.label), []).append(replace(timing, **seconds))
    return [sorted(row, key=lambda one: one.fit_seconds)[len(row) // 2] for row in by_row.values()]


def timed(name: str, dataset: DatasetSpec, folder: Path) -> Timing | None:
    """What a model takes; None where it can't be run here."""
    try:
        model = model_class(name)
    except (BenchError, SkippedRun):
        return None
    data_hash = catalog.load_dataset(dataset.name, dataset.files, dataset.sample_users).content_hash
    config = few_epochs(model.Config)
    spec = RunSpec(
        dataset=dataset, data_hash=data_hash, model=name, revision=model.revision, config=config, seed=0, label=name
    )
    wall, processor = time.perf_counter(), time.process_time()
    result = execute(spec, folder, "cpu", threads=1)
    share = min(1.0, (time.process_time() - processor) / (time.perf_counter() - wall))
    print(f"{name}: {result.status} {result.reason} {result.fit_seconds * share:.1f} s", flush=True)
    timing = Timing.of(result)
    if timing is None:
        return None
    seconds = {key: round(getattr(timing, key) * share, 4) for key in ("fit_seconds", "recommend_seconds")}
    return replace(timing, **seconds)


def few_epochs(config: type[Config]) -> dict[str, Any]:
    """The defaults of a model, with few epochs of few targets."""
    written: dict[str, Any] = {}
    fields = config.model_fields
    if "training" in fields:
        written["training"] = {key.partition(".")[2]: value for key, value in EPOCHS.items() if "." in key}
    elif "epochs" in fields:
        written["epochs"] = EPOCHS["epochs"]
    if "targets_per_epoch" in fields:
        written["targets_per_epoch"] = min(SHARE_OF_TARGETS, fields["targets_per_epoch"].default)
    return config.model_validate(written).model_dump(mode="json")


if __name__ == "__main__":
    main()
