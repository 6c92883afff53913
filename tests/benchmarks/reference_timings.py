"""Times every registered model on a sample of MovieLens 100K, for the estimates of machines that have made no run yet.

    python tests/benchmarks/reference_timings.py

Writes `bench/execution/reference_timings.json`, in processor seconds of one thread, so that it may be run beside other
work, and prints what `REFERENCE_SECONDS` of `bench/execution/calibration.py` has to be. Models have their own
configurations but for the number of epochs.
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
from bench.execution.timings import Timing
from bench.execution.worker import execute
from bench.registry import BUILT_IN, model_class
from bench.spec import DatasetSpec, RunSpec

EPOCHS = {"training.epochs": 3, "training.validate_every": 3, "epochs": 1}
"""By key; those of RecBole's models, which have `epochs` of their own, take minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor seconds of every model.")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--models", default=",".join(BUILT_IN))
    arguments = parser.parse_args()
    dataset = DatasetSpec(name="ml-100k", sample_users=arguments.users)
    path = Path(timings.__file__).with_name("reference_timings.json")
    records: list[dict[str, Any]] = []
    speeds = [measured()]
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            timing = timed(name, dataset, Path(folder))
        speeds.append(measured())
        if timing is not None:
            records.append({**asdict(timing), "work": {**asdict(timing.work), "config": "", "data": ""}})
            lines = ",\n".join(f" {json.dumps(record)}" for record in records)
            path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"REFERENCE_SECONDS = {sorted(speeds)[len(speeds) // 2]:.3f}")


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
    """The defaults of a model, with few epochs."""
    written: dict[str, Any] = {}
    fields = config.model_fields
    if "training" in fields:
        written["training"] = {key.partition(".")[2]: value for key, value in EPOCHS.items() if "." in key}
    elif "epochs" in fields:
        written["epochs"] = EPOCHS["epochs"]
    return config.model_validate(written).model_dump(mode="json")


if __name__ == "__main__":
    main()
