"""The command line: `python -m bench run | tune | report | confirm | compare | export | test | leaderboard |
archive | recommend | speed | list | data | doctor | cache`.

What a command takes is declared in modules that import little, so that `--help` is quick; what it does lies in modules
that are imported when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import data, recommend, results, run, speed, upkeep
from bench.cli.verbosity import with_suggestion
from bench.errors import BenchError
from bench.own_packages import check_own_packages
from bench.plain_text import one_line

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Benchmark of recommender systems: train, judge, report.",
)
app.add_typer(data.app, name="data")
results.register(app)
run.register(app)
recommend.register(app)
speed.register(app)
upkeep.register(app)

_INTERRUPTED = 130


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"glass-bench {version('glass-bench')}")
        raise typer.Exit


@app.callback()
def _of_all_commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """What goes before any command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 when every run is complete or skipped, 1 when one has failed, 2 after bad input, 130 after Ctrl-C.
    """
    try:
        check_own_packages()
        code = typer.main.get_command(app)(args=arguments, prog_name=_program(), standalone_mode=False) or 0
    except BenchError as error:
        return _complain(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error, of click's class or of typer's own, depending on version
            return _complain(with_suggestion(error.format_message()) or "no command: try --help", 2)
        raise
    if code == _INTERRUPTED:  # some versions of typer turn KeyboardInterrupt into this code
        return _complain("interrupted; complete results are kept, and the same command goes on from there", code)
    return code


@app.command("list")
def list_(
    what: Annotated[
        list[str] | None, typer.Argument(help="models, datasets or suites. Default: all, briefly.", show_default=False)
    ] = None,
    fidelity: Annotated[bool, typer.Option("--fidelity", help="With models: print their fidelity cards.")] = False,
) -> None:
    """List what can be run."""
    from bench.cli.listing import show  # brings in what reads data sets

    show(None if what is None else " ".join(what), fidelity)


def _program() -> str:
    """The name under which it was called, for which completion is installed."""
    name = Path(sys.argv[0]).stem
    return name if name in ("bench", "glass-bench") else "bench"


def _complain(message: str, code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code
