"""One row at one setting, in a process of its own: trained, asked, and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench.config import value_at, with_values
from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.execution import environment
from bench.execution.devices import Place, together
from bench.recommender import CurvePoint, FitContext, Recommender
from bench.registry import model_class
from bench.speed.generated import queries, training_data
from bench.speed.machine import prepare, seconds_of, settle
from bench.speed.setting import Setting

STEPS = 8
"""Of an epoch, about."""

NOT_TIMED = {"cpu": 2, "cuda": 12}
"""Epochs before those that are: they make what is made once. On a GPU that is a graph for every shape of batch, some of
which are first seen in later epochs, since windows begin elsewhere in each."""

LIST_LENGTH = 20


@dataclass(frozen=True)
class Task:
    """What a process is to measure.

    Attributes:
        row: Its label.
        model: The registered name.
        config: Complete, as JSON values.
        setting: The sizes.
        device: "cpu" or "cuda".
        threads: Of the process.
        repeats: Epochs and answers that are timed.
        count: Whether multiplications are counted, too, in a training of its own on the processor.
    """

    row: str
    model: str
    config: Mapping[str, Any]
    setting: Setting
    device: str
    threads: int
    repeats: int
    count: bool


def measure(task: Task) -> dict[str, Any]:
    """Measures; all times are lists of seconds, one a repeat.

    Returns:
        `parameters`; `preparation`, seconds of the fit before the first step, and `preparation_mib`; `step`, seconds of
        a training step by epoch, None of a model that notes no learning curve, `training_mib`, `step_flops` or None;
        `answers`, by number of queries: `seconds`, `flops` or None, `mib`. Memory is the peak of the process, or on a
        GPU of its tensors.
    """
    prepare(task.device, task.threads)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        if task.setting.devices > 1:
            found = together(partial(_as_member, task=task, cache=cache), task.setting.devices, task.device)
        else:
            found = _found(task, cache, partial(settle, task.device))
        if task.count:
            with suppress(Exception):  # a library that multiplies out of sight: then the share is not told
                _count(task, _data_of(task.setting), cache, found)
    return found


def _as_member(place: Place, task: Task, cache: Path) -> dict[str, Any]:
    """What one of several processes finds that train together; a step of theirs ends when all have taken it."""

    def settled() -> None:
        settle(task.device)
        place.told_by_the_first(lambda: 0.0, task.device)

    prepare(task.device, task.threads)
    with place.joined(task.device):
        return _found(task, cache, settled)


def _found(task: Task, cache: Path, settled: Callable[[], None]) -> dict[str, Any]:
    """What `measure` returns, measured in this process, nothing counted."""
    setting = task.setting
    train = _data_of(setting)
    environment.reset_peak_memory(task.device)
    started = perf_counter()
    recommender, curve = _trained(task, train, task.device, cache, NOT_TIMED[task.device] + task.repeats, settled)
    whole = perf_counter() - started
    return {
        "parameters": recommender.parameter_count(),
        "preparation": [whole - (curve[-1].seconds if curve else 0.0)],
        "step": _steps(curve[NOT_TIMED[task.device] - 1 :]),
        "training_mib": _peak(task.device),
        "step_flops": None,
        "answers": {str(n): _answered(recommender, n, setting, task) for n in setting.queries},
    }


@lru_cache(maxsize=1)  # a process measures one point, and may count it, too
def _data_of(setting: Setting) -> TrainingData:
    users = max(2, -(-STEPS * setting.events // setting.length))
    return training_data(users, setting.length, setting.items)


def _trained(
    task: Task, train: TrainingData, device: str, cache: Path, epochs: int, settled: Callable[[], None]
) -> tuple[Recommender, list[CurvePoint]]:
    """A training of some epochs with a validation after each, which judges nothing."""
    wanted = {
        **{"training.epochs": epochs, "training.validate_every": 1, "training.patience": epochs, "epochs": epochs},
        **{"training.batch_events": task.setting.events, "beam": task.setting.beam},
    }
    changes = {key: value for key, value in wanted.items() if value is not None and _has(task.config, key)}
    model = model_class(task.model)
    recommender = model(model.Config.model_validate(with_values(task.config, changes)))

    def validate(_: Recommender) -> float:
        settled()
        return 0.0

    context = FitContext(1, device, ArtifactCache(cache), validate=validate)
    recommender.fit(train, context)
    return recommender, context.curve


def _has(config: Mapping[str, Any], key: str) -> bool:
    try:
        value_at(config, key)
    except (KeyError, TypeError):
        return False
    return True


def _steps(curve: list[CurvePoint]) -> list[float] | None:
    """Seconds of a step in each epoch of a curve but the first."""
    pairs = pairwise(curve)
    steps = [(after.seconds - before.seconds) / max(1, after.step - before.step) for before, after in pairs]
    return steps or None


def _answered(recommender: Recommender, number: int, setting: Setting, task: Task) -> dict[str, Any]:
    histories = queries(number, setting.length, setting.items)
    environment.reset_peak_memory(task.device)
    taken = seconds_of(lambda: recommender.recommend(histories, LIST_LENGTH), task.device, task.repeats)
    return {"seconds": taken, "flops": None, "mib": _peak(task.device)}


def _peak(device: str) -> float:
    peak = environment.peak_memory(device)
    return peak["peak_gpu_memory_mib" if device == "cuda" else "peak_memory_mib"]


def _count(task: Task, train: TrainingData, cache: Path, found: dict[str, Any]) -> None:
    """Counts the multiplications and additions of matrix products in a step and in each answer."""
    trained: list[tuple[Recommender, list[CurvePoint]]] = []
    n_flops = _counted(lambda: trained.append(_trained(task, train, "cpu", cache, 1, lambda: None)))
    ((recommender, curve),) = trained
    if curve and curve[-1].step:
        found["step_flops"] = n_flops / curve[-1].step
    setting = task.setting
    for number, answer in found["answers"].items():
        histories = queries(int(number), setting.length, setting.items)
        n_flops = _counted(lambda asked=histories: recommender.recommend(asked, LIST_LENGTH))  # type: ignore[misc]
        answer["flops"] = n_flops or None


def _counted(work: Callable[[], object]) -> int:
    """FLOP of the matrix products, convolutions and fused attentions that `work` asks PyTorch for."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):
        """`FlopCounterMode` without its attribution to modules, which asks for gradients where there are none."""

        total = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs, count = kwargs or {}, flop_registry.get(func.overloadpacket)
            if count is None:
                with self:  # in inference mode, what is made of other functions comes here whole
                    parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
            made = func(*args, **kwargs)
            self.total += 0 if count is None else int(count(*args, **kwargs, out_val=made))
            return made

    with Counter() as counter:
        work()
    return counter.total


def spread(seconds: list[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return float(middle), float(low), float(high)
