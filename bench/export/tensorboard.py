"""Event files for TensorBoard: one run of the suite, one of TensorBoard's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.runs import Run, SuiteRuns
from bench.errors import BenchError
from bench.export.runs import INSTALL, curve, ended, final_values, folder_of, made_folder, started

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def export_tensorboard(planned: SuiteRuns, output: Path) -> list[Path]:
    """Writes learning curves, final values and configuration of each complete run.

    A second export replaces the first: TensorBoard would show the points of both.

    Args:
        planned: The runs of a suite.
        output: The log folder; runs lie at `DATASET/ROW/s{seed}` in it.

    Returns:
        The folder of each run.

    Raises:
        BenchError: TensorBoard is not installed, nothing is complete, or the folder can't be written to.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # brings in torch, and needs the package tensorboard
    except ImportError as error:
        raise BenchError(f"--to tensorboard needs the package tensorboard ({error}): {INSTALL}") from None
    written = []
    for run in ended(planned):
        if run.status == "complete":
            folder = made_folder(output / folder_of(run))
            for earlier in folder.glob("events.out.tfevents.*"):
                earlier.unlink()
            with SummaryWriter(str(folder)) as writer:
                _write(writer, planned, run)
            written.append(folder)
    return written


def _write(writer: SummaryWriter, planned: SuiteRuns, run: Run) -> None:
    assert run.result is not None  # a complete run has its result
    end = started(run.result) + run.result.fit_seconds
    for point in curve(run.result):
        writer.add_scalar(f"curve/{point.name}", point.value, point.step, walltime=point.time)
    for name, value in final_values(planned, run).items():
        writer.add_scalar(f"final/{name}", value, 0, walltime=end)
    identity = planned.on(run.spec.dataset.label).identities()[run.spec.label]._asdict()
    writer.add_text("identity", ", ".join(f"{name}: {value}" for name, value in identity.items()), 0, walltime=end)
    text = json.dumps(run.spec.model_dump(mode="json"), indent=1)
    writer.add_text("configuration", "\n".join(f"    {line}" for line in text.splitlines()), 0, walltime=end)
