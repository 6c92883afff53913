"""What all figures have in common: type, axes, headlines, and the files that they are written to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox
from PIL import Image

from bench.files import replaced
from bench.reporting.figures import drawing
from bench.reporting.figures.looks import Styles

# Okabe and Ito's colour-blind safe palette without its yellow, which is too pale for lines on white, then three of
# Paul Tol's "muted".
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#882255", "#999933", "#777777"),
)
GREY = "#8a8a8a"
_TITLE_PER_INCH, _TEXT_PER_INCH = 9.5, 12.5
"""Letters that fit in an inch of a headline's first and other lines."""
_LINE = 0.2
"""Inches of a line of text."""
_MARGIN = 0.1
"""Inches of white around what is drawn."""
_COLORS_IN_FILE = 256
"""Of a PNG file, at a quarter of the size."""


def use_style() -> None:
    """Sets matplotlib up for files without a display. Call once before drawing."""
    matplotlib.use("Agg")
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        font_scale=0.85,
        rc={
            "axes.edgecolor": "#444444",
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "axes.titley": 1.0,  # no ticks above panels, for which a title would make room: looking for them takes time
            "figure.dpi": 100,
            "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same everywhere, and found at once
            "grid.color": "#e4e4e4",
            "lines.markersize": 7,
            "savefig.bbox": "tight",
            "savefig.dpi": drawing.DPI,
            "svg.hashsalt": "bench",  # equal figures are equal files
        },
    )


def headline(figure: Figure, title: str, subtitle: str) -> None:
    """A title in plain words, and below it what the figure is measured on; both in lines as wide as the figure."""
    width, height = figure.get_size_inches()
    upper, lower = (
        [line for part in text.splitlines() for line in wrap(part, max(20, round(width * per_inch)))]
        for text, per_inch in ((title, _TITLE_PER_INCH), (subtitle, _TEXT_PER_INCH))
    )
    above = 0.12 + _LINE * len(lower)
    # A backslash before each, else two dollars enclose mathematics.
    texts = ["\n".join(lines).replace("$", r"\$") for lines in (upper, lower)]
    figure.suptitle(
        texts[0], x=0.01, y=1 + (above + 0.1) / height, ha="left", va="bottom", fontsize="large", fontweight="bold"
    )
    figure.text(0.01, 1 + 0.12 / height, texts[1], ha="left", va="bottom", color="#444444")


def model_axis(axes: Axes, models: Sequence[str], styles: Styles | None = None) -> None:
    """Models down the y axis, the first at the top; with their looks, those of the strong family in their colour.

    A panel that shares the axis of the one to its left has none of its own: nothing of it would be seen.
    """
    place = axes.get_subplotspec()
    if place is not None and not place.is_first_col() and len(axes.get_shared_y_axes().get_siblings(axes)) > 1:
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.yaxis.set_visible(False)
        return
    axes.set_yticks(range(len(models)), models)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for label, model in zip(axes.get_yticklabels(), models, strict=False):
        if styles and model in styles and styles[model].strong:
            label.set(color=styles[model].color, fontweight="bold")


def log_axis(axes: Axes) -> None:
    """A logarithmic x axis with plain numbers on it, on which labels never run into each other."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def count_axis(axes: Axes, smallest: int = 10_000) -> None:
    """A logarithmic x axis that also has a place for 0; counts below `smallest` lie close to it."""
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.5)
    # The margin is a share of the linear range, which is next to nothing where all counts are alike.
    axes.set_xlim(-0.3 * smallest, max(1.5 * axes.get_xlim()[1], 10 * smallest))
    axes.xaxis.set_major_locator(FixedLocator([0, *(10.0**power for power in range(4, 13))]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def save(figure: Figure, stem: Path) -> None:
    """Writes `stem.png` and `stem.svg`, each atomically and small, since reports and pages keep many of them.

    The layout is worked out once for both files, which takes longer than drawing either. From then on it is fixed.
    """
    drawing.prepare(figure)
    image, svg = drawing.drawn(figure, _laid_out(figure).padded(_MARGIN))
    with replaced(stem.with_name(f"{stem.name}.png")) as path:
        # An octree keeps the models' colours; the default, median cut, merges what covers few pixels with others.
        few = image.convert("RGB").quantize(_COLORS_IN_FILE, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(path, compress_level=7)  # half the time of 8, for a twentieth more
    with replaced(stem.with_name(f"{stem.name}.svg")) as path:
        path.write_text(compact_svg(svg), encoding="utf-8")


def _laid_out(figure: Figure) -> Bbox:
    """Carries out the layout for good. Returns the rectangle, in inches, in which all of the figure lies."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0.5)  # or matplotlib would ask all tick labels for its place
    engine = figure.get_layout_engine()
    if engine is None:
        return figure.get_tightbbox()
    engine.execute(figure)
    figure.set_layout_engine(None)
    # All but the headline lies within the figure now; asking every artist would take as long as the layout.
    headline = [text.get_window_extent() for text in figure.texts if text.get_text()]
    return Bbox.union([figure.bbox, *headline]).transformed(figure.dpi_scale_trans.inverted())


def compact_svg(svg: str) -> str:
    """A drawing of matplotlib's without comments and line breaks, and with its coordinates in hundredths of a point.

    Words are drawn as outlines, so that no white space in it is seen.
    """
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s+", " ", svg).replace("> <", "><")
    return re.sub(r"(?:scale|rotate|matrix)\([^)]*\)|-?\d+\.\d{3,}", _in_hundredths, svg)


def _in_hundredths(match: re.Match[str]) -> str:
    """A coordinate, rounded; a factor or an angle, which multiplies what it stands before, as it is."""
    if match[0].endswith(")"):
        return match[0]
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
