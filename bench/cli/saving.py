"""What `bench run --save-models` says and decides, before the runs and after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.cli.run_options import RunOptions
from bench.console import Console, say
from bench.errors import SkippedRun
from bench.execution.saved_models import NOT_SAVED, is_saved, model_folder
from bench.execution.store import ResultStore
from bench.plain_text import one_line
from bench.plan import Plan
from bench.registry import class_of
from bench.spec import RunResult, RunSpec


def made_again(options: RunOptions) -> Callable[[RunSpec], bool]:
    """Which runs are made although they are complete: all, or those whose models can be saved and are not."""

    def again(spec: RunSpec) -> bool:
        unsaved = options.save_models and not is_saved(model_folder(options.results, spec))
        return options.force or (unsaved and not _unsavable(spec))

    return again


def not_saved_before(plan: Plan, options: RunOptions) -> list[str]:
    """Says, before anything is trained, which models can't be saved, and which runs are made again to save theirs."""
    if not options.save_models:
        return []
    reasons = {model: _unsavable(run) for model, run in {run.model: run for run in plan.runs}.items()}
    lines = [f"--save-models: {model} can't be saved: {reason}" for model, reason in reasons.items() if reason]
    store, again = ResultStore(options.results), made_again(options)
    repeated = len({run.key for run in plan.runs if again(run) and store.folder(run).is_dir()})
    if repeated and not options.force:
        lines.append(f"--save-models: runs that are made again, since their models were not saved: {repeated}")
    return lines


def _unsavable(run: RunSpec) -> str:
    try:
        return class_of(run).unsavable
    except SkippedRun:  # the run becomes a row with that reason
        return ""


def tell_of_models(results: Sequence[RunResult], options: RunOptions, console: Console) -> None:
    """Says where the saved models are, and why others are not."""
    if not options.save_models:
        return
    folder = options.results
    for result in results:
        if reason := result.environment.get(NOT_SAVED):
            say(console, f"  not saved: {result.spec.label} on {result.spec.dataset.label}: {one_line(reason)}")
    saved = {result.spec.key for result in results if is_saved(model_folder(folder, result.spec))}
    say(console, f"{len(saved)} models saved: {folder / 'models'}; `bench recommend` asks them")
