"""The command `python -m bench recommend`: what it takes."""

from __future__ import annotations

import typer

from bench.cli.options import takes_options
from bench.cli.recommend_options import RecommendOptions


def register(app: typer.Typer) -> None:
    """Adds the command of this module to the command line."""
    app.command()(recommend)


@takes_options
def recommend(options: RecommendOptions) -> None:
    """Ask a model that `bench run --save-models` has kept what it recommends, and why."""
    from bench.cli.recommending import answer  # brings in what reads models

    answer(options)
