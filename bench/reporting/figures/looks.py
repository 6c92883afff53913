"""How a row looks in figures: always the same, whatever else is in the suite, for colour-blind readers and in print.

A look follows from the family of the row's model (its `group` in the model index) and the row's label alone. The family
gives the hue: the models that the suite is about in one strong hue, models from outside this project in black, all
others muted. Within a family the shade and the marker tell members apart, and the line where there are lines; built-in
models are numbered by year, so that no two of a family share shade and marker and a new one changes no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bench.model_index import indexed
from bench.seeds import seed_for

Line = Literal["-", "--", "-.", ":"]
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "d", "h")
"""Their number shares no divisor with the number of shades of any family."""

STRONG = ("#d7301f", "#7a0019", "#f26a3d", "#a8152a")
"""Of the family that the suite is about: reds, apart in lightness, and nothing else in a figure of rows is one."""
OUTSIDE = ("#000000", "#2f2f2f", "#4a4a4a")
"""Of models from outside this project."""
MUTED: Mapping[str, tuple[str, ...]] = {
    "semantic ID": ("#3f6fa5", "#24466e", "#7299c6"),
    "sequence": ("#3f8a77", "#215747", "#63a894"),
    "long sequence": ("#7a69b0", "#4a3d7c", "#9c8fcb"),
    "counting": ("#757575", "#4f4f4f", "#949494"),
    "basket": ("#3f8ea3", "#1f5a6b", "#54a0b4"),
}
"""Of the other families, by their name in the model index."""
OTHER = ("#5f7d8c", "#3e5661", "#84a0ad")
"""Of families without a colour of their own."""


@dataclass(frozen=True)
class ModelStyle:
    """Colour, marker and line of one row; `strong` where its family is the one that the suite is about."""

    color: str
    marker: str
    line: Line
    strong: bool = False


_LATEST = 9999
"""Stands for the year of what has no paper."""
_SALT = "look 402"
"""Chosen once, so that no two rows of a suite that came along then looked alike; never again, since looks are fixed."""

Styles = Mapping[str, ModelStyle]
"""Label of a row -> its look."""


@cache
def row_style(row: str, model: str = "") -> ModelStyle:
    """The look of a row.

    Args:
        row: Its label.
        model: The registered model behind it; "": named as the row.
    """
    model = model or row
    family, members, strong = _family(model)
    shades = STRONG if strong else MUTED.get(family, OTHER) if family else OUTSIDE
    number = members.index(row) if row == model and row in members else seed_for(_SALT, model, row)
    line = LINES[number % len(LINES)]
    return ModelStyle(shades[number % len(shades)], MARKERS[number % len(MARKERS)], line, strong)


def row_styles(models: Mapping[str, str]) -> dict[str, ModelStyle]:
    """The looks of many rows.

    Args:
        models: Label of a row -> the registered model behind it.
    """
    return {row: row_style(row, model) for row, model in models.items()}


@cache
def _family(model: str) -> tuple[str, tuple[str, ...], bool]:
    """The name of a model's family, its built-in members, the oldest first, and whether it is the strong
    one; ("", (), False) of a model that is not built in.
    """
    known = indexed()
    if model not in known:
        return "", (), False
    family = known[model].group
    of_family = [name for name, entry in known.items() if entry.group == family]
    members = tuple(sorted(of_family, key=lambda name: known[name].year or _LATEST))  # a new one comes last
    return family, members, any(known[name].role == "contestant" for name in members)
