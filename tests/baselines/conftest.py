"""Lets the tests of generative baselines use the naive networks of `tests/models`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "models"))
