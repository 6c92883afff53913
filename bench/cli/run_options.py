"""Options that the commands which train models have in common."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import typer

from bench.errors import BenchError
from bench.execution.limits import Limits
from bench.execution.scheduler import Backend, Workers


class BackendName(str, Enum):
    """What makes the runs."""

    local = "local"
    dask = "dask"


BackendOption = Annotated[
    BackendName, typer.Option(help="Where runs are made: worker processes here, or those of a dask cluster.")
]
Scheduler = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of the dask cluster, as tcp://HOST:8786.")]
CheckpointEvery = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Between two checkpoints of a training that may be broken off.")
]
KeepCheckpoints = Annotated[bool, typer.Option("--keep-checkpoints", help="Also of runs that have ended.")]
RunTimeout = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="End a run that takes longer: it becomes a failed row.")
]
RunMemory = Annotated[
    float | None, typer.Option(min=0, metavar="GIB", help="End a run whose processes hold more memory, likewise.")
]


class Device(str, Enum):
    """Where models are trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def usable(device: Device) -> str:
    """The name that torch knows it by: "cuda" or "cpu".

    Raises:
        BenchError: A GPU is asked for that isn't there.
    """
    import torch  # only here: `report` and `list` do without

    if device is Device.cuda and not torch.cuda.is_available():
        raise BenchError("--device cuda: torch finds no GPU on this machine: use --device auto or cpu")
    return "cuda" if device is not Device.cpu and torch.cuda.is_available() else "cpu"


def backend_for(
    device: Device, jobs: int | None, limits: Limits, backend: BackendName, scheduler: str | None
) -> Callable[[int], Backend]:
    """Where so many runs are made.

    Raises:
        BenchError: A GPU is asked for that isn't there, no scheduler answers, or the options don't fit one another.
    """
    if (backend is BackendName.dask) != (scheduler is not None):
        raise BenchError("--backend dask goes with --scheduler ADDRESS, as `dask scheduler` prints it")
    if scheduler is not None:
        if jobs is not None:
            raise BenchError("--jobs is for --backend local: each thread of a dask worker makes one run at a time")
        from bench.execution.cluster import Cluster  # needs the optional package

        cluster = Cluster.at(scheduler, None if device is Device.auto else device.value, limits)
        return lambda runs: cluster
    name = usable(device)
    return lambda runs: Workers.for_machine(name, jobs, runs, limits)


def listed(text: str | None, option: str) -> list[str] | None:
    """Names from a comma-separated list; None where the option is not used.

    Raises:
        BenchError: There is no name in it.
    """
    if text is None:
        return None
    names = [name.strip() for name in unicodedata.normalize("NFC", text).split(",") if name.strip()]
    if not names:
        raise BenchError(f"{option}: give at least one name")
    return names
