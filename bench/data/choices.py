"""What a data set may be asked for by a word; imports nothing, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

SeenItems = Literal["exclude", "keep"]
ColdTargets = Literal["raise", "warn", "ignore"]
