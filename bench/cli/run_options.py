"""The options of the commands that train models, and what the words in them mean."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer

from bench.cli.dataset_options import DATASET_HELP
from bench.cli.options import FOLDER_OF_REPORTS, FOLDER_OF_RESULTS, ReportsOption, ResultsOption, SuiteOption, begun
from bench.errors import BenchError

SECONDS_BETWEEN_CHECKPOINTS = 180.0
"""A checkpoint costs a second or so; what was done since the last one is lost."""


class Device(str, Enum):
    """Where models are trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class BackendName(str, Enum):
    """What makes the runs."""

    local = "local"
    dask = "dask"


class Tracker(str, Enum):
    """What runs are tracked with while they are made."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


@dataclass(frozen=True)
class RunOptions:
    """What is run, and where. The help of each option says what it is for."""

    suite: SuiteOption = "full"
    models: Annotated[
        str | None,
        typer.Option(
            help="Only these rows, comma-separated; models outside the suite may join.", autocompletion=begun("models")
        ),
    ] = None
    datasets: Annotated[
        str | None, typer.Option(help="Only these data sets, comma-separated.", autocompletion=begun("datasets"))
    ] = None
    dataset: Annotated[
        list[str] | None, typer.Option(help=f"In place of the suite's data sets; may be repeated. {DATASET_HELP}")
    ] = None
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep results and report apart, as suite own-NAME. Default with files of your own: the file's name. "
            "Several names are those of the files, in order."
        ),
    ] = None
    seeds: Annotated[str | None, typer.Option(help="A count (3 means 0,1,2) or a list (0,2; one seed: 2,).")] = None
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: what fits the machine.")] = None
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto
    devices: Annotated[
        int, typer.Option(min=1, help="GPUs, or processes on a CPU, that train one model together, where it can be so.")
    ] = 1
    results: ResultsOption = FOLDER_OF_RESULTS
    reports: ReportsOption = FOLDER_OF_REPORTS
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a configuration: model.key=value, or key=value for all."
        ),
    ] = None
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="A first answer within 3 minutes on two cores: one seed, few epochs, a sample of the users where "
            "needed. Kept apart, as suite NAME-quick.",
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell which runs there are to do, and about how long they take.")
    ] = False
    tuned: Annotated[
        bool, typer.Option("--tuned", help="With the best configurations that `bench tune` has found.")
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Make complete runs again, and write over committed reference results.")
    ] = False
    run_timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="End a run that takes longer: it becomes a failed row."),
    ] = None
    run_memory: Annotated[
        float | None, typer.Option(min=0, metavar="GIB", help="End a run whose processes hold more memory, likewise.")
    ] = None
    checkpoint_every: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Between two checkpoints of a training that may be broken off."),
    ] = SECONDS_BETWEEN_CHECKPOINTS
    keep_checkpoints: Annotated[bool, typer.Option("--keep-checkpoints", help="Also of runs that have ended.")] = False
    backend: Annotated[
        BackendName, typer.Option(help="Where runs are made: worker processes here, or those of a dask cluster.")
    ] = BackendName.local
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the dask cluster, as tcp://HOST:8786.")
    ] = None
    track: Annotated[
        Tracker | None,
        typer.Option(help="Tell this tool of losses, validations and results as runs go; it writes to exports/."),
    ] = None


@dataclass(frozen=True)
class TuneOptions:
    """What is tuned, and how. The help of each option says what it is for."""

    dataset: Annotated[str, typer.Option(help=f"One of the suite's data sets, by label or name, or: {DATASET_HELP}")]
    models: Annotated[
        str, typer.Option(help="Rows of the suite or registered models, comma-separated; all: every row of the suite.")
    ] = "all"
    trials: Annotated[int, typer.Option(min=1, help="Of each row, earlier ones included.")] = 20
    seconds_per_trial: Annotated[
        float | None, typer.Option(min=0, help="End each trial after this time, with its best validation so far.")
    ] = None
    confirm_top: Annotated[
        int, typer.Option(min=0, metavar="N", help="Choose among the N best trials of each row by more seeds.")
    ] = 0
    seeds: Annotated[int, typer.Option(min=1, help="With --confirm-top: other seeds of each of them.")] = 2
    stop_after: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Begin no trial that could not end within this time.")
    ] = math.inf
    suite: Annotated[str, typer.Option(help="Where the rows to start from stand: a name, or a .yaml file.")] = "full"
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time. On a CPU, 1 gives the same ones every time.")
    ] = None
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto
    results: ResultsOption = FOLDER_OF_RESULTS
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Start elsewhere: model.key=value, or key=value for all."),
    ] = None


def usable(device: Device) -> str:
    """Returns the name that torch knows it by: "cuda" or "cpu".

    Raises:
        BenchError: A GPU was chosen that isn't there.
    """
    import torch  # only here: `report` and `list` do without

    if device is Device.cuda and not torch.cuda.is_available():
        raise BenchError("--device cuda: torch finds no GPU on this machine: use --device auto or cpu")
    return "cuda" if device is not Device.cpu and torch.cuda.is_available() else "cpu"


def listed(text: str | None, option: str) -> list[str] | None:
    """Splits a comma-separated list into names; None where the option is not used.

    Raises:
        BenchError: There is no name in it.
    """
    if text is None:
        return None
    names = [name.strip() for name in unicodedata.normalize("NFC", text).split(",") if name.strip()]
    if not names:
        raise BenchError(f"{option}: give at least one name")
    return names
