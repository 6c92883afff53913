"""Whether a file shows something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def is_drawn(path: Path) -> bool:
    """Whether a picture is of a figure's size, and neither next to blank nor next to black."""
    picture = np.asarray(Image.open(path).convert("L"))
    return min(picture.shape) > 200 and 0.01 < (picture < 250).mean() < 0.9
