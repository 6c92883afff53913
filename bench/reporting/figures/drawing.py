"""A figure drawn once for two files: its artists are asked for their marks once, and these go to pixels and outlines.

Most of what a drawing costs is matplotlib's own work in Python, which places ticks, measures texts and composes
transforms for each format again. Here the layout, the pixels and the outlines are made at one resolution, so that texts
are measured once, too.
"""

from __future__ import annotations

import re
from copy import copy
from functools import cache
from io import StringIO
from typing import Any

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Bbox
from PIL import Image

DPI = 144
"""Pixels an inch."""
_PIXELS_PER_POINT = DPI / 72


def prepare(figure: Figure) -> None:
    """Has a figure laid out, from here on, at the resolution that it is drawn at, with what its texts measure there."""
    _Canvas(figure)
    figure.set_dpi(DPI)


def drawn(figure: Figure, around: Bbox) -> tuple[Image.Image, str]:
    """Draws a figure for which `prepare` was called.

    Args:
        figure: Laid out; it is not laid out again.
        around: The rectangle that is drawn, in inches.

    Returns:
        RGBA pixels, and the drawing in SVG: as large on paper, its coordinates in pixels.
    """
    text = StringIO()
    figure.savefig(text, format="svg", dpi=DPI, bbox_inches=around)
    canvas = figure.canvas
    assert isinstance(canvas, _Canvas)
    assert canvas.image is not None
    return canvas.image, _in_points(text.getvalue(), around)


class _Canvas(FigureCanvasAgg):
    """Draws pixels and outlines together; texts are measured as the pixels have them."""

    image: Image.Image | None = None
    """As last drawn."""

    def get_renderer(self) -> _Both:
        return _measuring()

    def print_svg(self, filename: StringIO, **_: Any) -> None:
        """Writes the outlines, and keeps the pixels."""
        width, height = self.figure.bbox.size
        pixels = RendererAgg(width, height, DPI)
        outlines = RendererSVG(width, height, filename, image_dpi=72, metadata={"Date": None})
        both = _measuring()
        both.draw_with(pixels, outlines)
        try:
            self.figure.draw(both)
            outlines.finalize()
        finally:
            both.draw_with(None, None)
        self.image = Image.fromarray(np.asarray(pixels.buffer_rgba()))


class _Both(RendererBase):
    """Passes all marks on to a renderer of pixels, as they are, and to one of outlines, which counts in pixels, too.

    The latter takes widths of lines and sizes of letters for lengths in its own unit, and so gets them in pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self._measure = RendererAgg(1, 1, DPI)
        self.draw_with(None, None)

    def draw_with(self, pixels: RendererAgg | None, outlines: RendererSVG | None) -> None:
        """Sets what draws from here on; None: nothing does, and texts can be measured."""
        self._pixels: Any = pixels or self._measure
        self._outlines: Any = outlines or RendererBase()
        self.width, self.height = self._pixels.width, self._pixels.height

    def open_group(self, s: str, gid: str | None = None) -> None:
        self._outlines.open_group(s, gid)

    def close_group(self, s: str) -> None:
        self._outlines.close_group(s)

    def points_to_pixels(self, points: Any) -> Any:
        return points * _PIXELS_PER_POINT

    def get_text_width_height_descent(self, *text: Any, **more: Any) -> tuple[float, float, float]:
        return self._measure.get_text_width_height_descent(*text, **more)

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def option_image_nocomposite(self) -> bool:
        return True

    def draw_path(self, gc: GraphicsContextBase, *path: Any) -> None:
        self._pixels.draw_path(gc, *path)
        self._outlines.draw_path(_in_pixels(gc), *path)

    def draw_markers(self, gc: GraphicsContextBase, *markers: Any) -> None:
        self._pixels.draw_markers(gc, *markers)
        self._outlines.draw_markers(_in_pixels(gc), *markers)

    def draw_path_collection(self, gc: GraphicsContextBase, *collection: Any, **more: Any) -> None:
        self._pixels.draw_path_collection(gc, *collection, **more)
        before, (widths, lines), after = collection[:7], collection[7:9], collection[9:]
        widths, lines = [_PIXELS_PER_POINT * width for width in widths], [_dashes(*line) for line in lines]
        self._outlines.draw_path_collection(_in_pixels(gc), *before, widths, lines, *after, **more)

    def draw_quad_mesh(self, gc: GraphicsContextBase, *mesh: Any) -> None:
        self._pixels.draw_quad_mesh(gc, *mesh)
        *cells, faces, antialiased, edges = mesh
        outlined = _in_pixels(gc)
        if not len(edges):  # a colour bar: what is seen between its cells would be stripes
            outlined.set_linewidth(2.0)
            edges = faces
        self._outlines.draw_quad_mesh(outlined, *cells, faces, antialiased, edges)

    def draw_gouraud_triangles(self, gc: GraphicsContextBase, *triangles: Any) -> None:
        self._pixels.draw_gouraud_triangles(gc, *triangles)
        self._outlines.draw_gouraud_triangles(_in_pixels(gc), *triangles)

    def draw_image(self, gc: GraphicsContextBase, *image: Any) -> None:
        self._pixels.draw_image(gc, *image)
        self._outlines.draw_image(_in_pixels(gc), *image)

    def draw_text(
        self, gc: GraphicsContextBase, x: float, y: float, s: str, prop: FontProperties, *more: Any, **named: Any
    ) -> None:
        self._pixels.draw_text(gc, x, y, s, prop, *more, **named)
        large = prop.copy()
        large.set_size(_PIXELS_PER_POINT * prop.get_size_in_points())
        self._outlines.draw_text(_in_pixels(gc), x, y, s, large, *more, **named)


@cache
def _measuring() -> _Both:
    """One for all figures of the process: names of models and numbers of axes are in most, and are measured once."""
    return _Both()


def _in_pixels(gc: GraphicsContextBase) -> GraphicsContextBase:
    scaled = copy(gc)
    scaled.set_linewidth(_PIXELS_PER_POINT * gc.get_linewidth())
    scaled.set_dashes(*_dashes(*gc.get_dashes()))
    return scaled


def _dashes(offset: float, lengths: Any) -> tuple[float, list[float] | None]:
    scaled = None if lengths is None else [_PIXELS_PER_POINT * length for length in lengths]
    return _PIXELS_PER_POINT * offset, scaled


def _in_points(svg: str, around: Bbox) -> str:
    """The drawing with its size on paper; patterns are the one thing in it that comes in points."""
    size = f'width="{72 * around.width:g}pt" height="{72 * around.height:g}pt"'
    svg = re.sub(r'width="[^"]*pt" height="[^"]*pt"', size, svg, count=1)
    return svg.replace("<pattern ", f'<pattern patternTransform="scale({_PIXELS_PER_POINT:g})" ')
