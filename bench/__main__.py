"""`python -m bench`, and the command `bench`."""

import sys

from bench.execution import interruption


def main() -> int:
    """Runs the command line, and ends it in order wherever an interrupt strikes."""
    interruption.listen()
    from bench.cli.main import main as command_line  # takes seconds

    interruption.begin()
    try:
        return command_line()
    finally:
        interruption.end()


if __name__ == "__main__":
    sys.exit(main())
