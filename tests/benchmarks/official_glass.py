"""The official GLASS code beside `glass-official`, the same function: samples and users a second, in one process.

Called by `peers.py --official-glass PATH`, where PATH is a copy of github.com/cst20/GLASS; nothing of it is kept. Its
network (`glass/main_glass.py`) is trained on random tokens of full length, as its own `train` does it: forward,
backward, AdamW, loss and gate read after every step; its anomaly detection is left off. It answers by its own
`generate`. Ours is trained and asked whole, histories and retrieval included, on generated data with histories
of 700 events. Both have the sizes of `glass-official`'s defaults and batches of equal size; of answers, ours is a list
of items, and theirs are codes that still have to be looked up.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import SkippedRun
from bench.execution import environment
from bench.registry import model_class
from bench.speed import measure
from bench.speed.machine import prepare, seconds_of
from bench.speed.setting import Setting

SIDE, OURS = "official GLASS", "glass-official"
"""Theirs and ours, as the table names them; ours is the registered model, too."""

LENGTH, BEAM = 700, 20
"""Events of a history of ours; width of the beam on both sides."""

RETRIEVED, BEGIN, TIERS = 30, 384, 256
"""Retrieved items, the begin token and the width of SID-Tier's counts, as in the official code's `main`."""


@dataclass(frozen=True)
class Sizes:
    """What both sides are given.

    Attributes:
        batch: Targets of a training step.
        queries: That are answered at a time, one number a measurement.
        items: Of our catalogue, on which no part of the network depends.
        repeats: Epochs of ours, steps of theirs in each, and answers that are timed.
    """

    batch: int = 2048
    queries: tuple[int, ...] = (128, 1)
    items: int = 3_000
    repeats: int = 5


@dataclass(frozen=True)
class Seen:
    """Medians: seconds of a step and of an answer by number of queries; peak GiB of training on a GPU, else None."""

    step: float
    answers: dict[int, float]
    gib: float | None


def held(path: Path, device: str, threads: int, sizes: Sizes, precision: str = "float32") -> str:
    """Trains and asks both sides, and returns a table.

    Raises:
        SkippedRun: There is no such code at the path, or it can't be loaded.
    """
    module = _loaded(path)
    prepare(device, threads)
    config = _config(sizes, precision)
    sides = {SIDE: _official(module, config, device, sizes), OURS: _ours(config, device, threads, sizes)}
    return _table(sides, sizes)


def _config(sizes: Sizes, precision: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(model_class(OURS).Config().model_dump_json())
    training = {**config["training"], "precision": precision}
    return {**config, "batch_targets": sizes.batch, "targets_per_epoch": 1.0, "training": training}


def _loaded(path: Path) -> Any:
    """The module `main_glass` of a copy of the official repository."""
    file = path / "glass" / "main_glass.py"
    if not file.exists():
        raise SkippedRun(f"no official GLASS code at '{path}': glass/main_glass.py is not there")
    spec = importlib.util.spec_from_file_location("main_glass", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))  # it imports its neighbours by their bare names
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise SkippedRun(f"official GLASS code at '{path}' can't be loaded: {error}") from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def _official(module: Any, config: dict[str, Any], device: str, sizes: Sizes) -> Seen:
    network, levels = config["network"], len(config["tokenizer"]["codebooks"])
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):  # it says what is switched on
        model = module.GLASS({
            "d_model": network["dim"], "d_ff": network["feed_forward"], "d_kv": network["head_dim"],
            "num_heads": network["heads"], "num_layers": network["encoder_layers"],
            "num_decoder_layers": network["decoder_layers"], "dropout_rate": network["dropout"],
            "vocab_size": config["vocabulary"], "pad_token_id": 0, "bos_token_id": BEGIN,
            "feed_forward_proj": "relu", "sidtier_dim": TIERS, "use_gate": True, "use_sidtier": True,
        }).to(device)  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    bfloat16 = config["training"]["precision"] == "bf16"

    def drawn(*shape: int) -> Tensor:
        return torch.randint(1, BEGIN, shape, device=device)

    def inputs(number: int) -> dict[str, Tensor]:
        history = drawn(number, config["short_term"] * levels)
        return {
            "input_ids": history,
            "attention_mask": torch.ones_like(history),
            "sidtier": torch.rand(number, TIERS, device=device),
        }

    given, similar = inputs(sizes.batch), drawn(sizes.batch, RETRIEVED * levels)
    labels, seen = drawn(sizes.batch, levels), torch.ones_like(similar)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            loss, _, gate = model(**given, sim_input_ids=similar, sim_attention_mask=seen, labels=labels)
        loss.backward()
        optimiser.step()
        loss.item(), gate.item()

    model.train()
    environment.reset_peak_memory(device)
    taken = statistics.median(seconds_of(step, device, sizes.repeats))
    gib = _gib(device)
    answers = {}
    for number in sizes.queries:
        asked = inputs(number)
        groups = drawn(number, config["tokenizer"]["codebooks"][0], RETRIEVED * levels)
        answers[number] = statistics.median(
            seconds_of(
                lambda asked=asked, groups=groups: model.generate(  # type: ignore[misc]
                    **asked, all_sim_input_ids=groups, all_sim_attention_mask=torch.ones_like(groups), beam_size=BEAM
                ),
                device,
                sizes.repeats,
            )
        )
    return Seen(taken, answers, gib)


def _ours(config: dict[str, Any], device: str, threads: int, sizes: Sizes) -> Seen:
    setting = Setting(LENGTH, sizes.items, sizes.batch, BEAM, sizes.queries)
    task = measure.Task(OURS, OURS, config, setting, device, threads, sizes.repeats, False)
    found = measure.measure(task)
    answers = {int(number): statistics.median(answer["seconds"]) for number, answer in found["answers"].items()}
    return Seen(statistics.median(found["step"]), answers, found["training_mib"] / 1024 if device == "cuda" else None)


def _gib(device: str) -> float | None:
    return environment.peak_memory(device)["peak_gpu_memory_mib"] / 1024 if device == "cuda" else None


def _table(sides: dict[str, Seen], sizes: Sizes) -> str:
    """A line a side, and how many times as fast ours is."""
    asked = "".join(f" {number} at a time, users/s |" for number in sizes.queries)
    lines = [f"| | training, samples/s |{asked} GiB |", f"| --- | --- |{' --- |' * len(sizes.queries)} --- |"]
    theirs, ours = sides[SIDE], sides[OURS]
    for name, side in sides.items():
        rates = [sizes.batch / side.step, *(number / side.answers[number] for number in sizes.queries)]
        gib = "" if side.gib is None else f"{side.gib:.1f}"
        lines.append(f"| {name} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + f" | {gib} |")
    ratios = [theirs.step / ours.step, *(theirs.answers[number] / ours.answers[number] for number in sizes.queries)]
    lines.append("| of theirs | " + " | ".join(f"{ratio:.2f} x" for ratio in ratios) + " | |")
    return "\n".join(lines)
