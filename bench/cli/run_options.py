"""Options that the commands which train models have in common."""

from __future__ import annotations

import unicodedata
from enum import Enum

from bench.errors import BenchError


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
