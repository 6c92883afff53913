"""The options of `bench recommend`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import FOLDER_OF_RESULTS, ResultsOption
from bench.cli.run_options import Device


@dataclass(frozen=True)
class RecommendOptions:
    """Which model is asked, for whom, and where the answers go. The help of each option says what it is for."""

    model: Annotated[
        str, typer.Option(help="Folder of a saved model, folder of a run, or a row of the suite (with --suite).")
    ]
    users: Annotated[str | None, typer.Option(help="Original ids, comma-separated. Default: all users.")] = None
    users_file: Annotated[Path | None, typer.Option(help="Text file with one user a line.")] = None
    history: Annotated[
        str | None, typer.Option(metavar="PATH", help="Events in place of the known ones, also of other users.")
    ] = None
    as_tested: Annotated[
        bool, typer.Option("--as-tested", help="Histories end where those of the test did. Default: all that is known.")
    ] = False
    k: Annotated[int, typer.Option("--k", min=1, help="Items for each user.")] = 10
    output: Annotated[
        Path | None, typer.Option(help="A .csv, .parquet or .jsonl file. Default: a table on the screen.")
    ] = None
    why: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE", help="An .html page that says why, for one user, of models that search histories."
        ),
    ] = None
    suite: Annotated[str, typer.Option(help="Of the row that --model names.")] = "full"
    dataset: Annotated[str | None, typer.Option(help="Likewise, where it ran on several.")] = None
    seed: Annotated[int | None, typer.Option(help="Likewise. Default: the first.")] = None
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto
    results: ResultsOption = FOLDER_OF_RESULTS
