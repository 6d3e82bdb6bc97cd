"""How the kit's pictures of curves look."""

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

__all__ = [
    "DPI", "INK", "PAPER", "SOFT", "Axes", "colours", "drawn", "headline", "legend", "panel", "plain", "style", "whole",
]  # fmt: skip

Axes: TypeAlias = Any  # matplotlib's; its methods take keywords without types, which strict pyright refuses

INK, SOFT, GRID, PAPER = "#1f2933", "#7b8794", "#e4e7eb", "#ffffff"
DPI = 110
_COLOURS = ("#2563eb", "#d97706", "#059669", "#c026d3", "#dc2626", "#0891b2")


def style(axes: Axes) -> None:
    """Paper, grid and ticks of a panel."""
    axes.set_facecolor(PAPER)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#cbd2d9")
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, labelcolor="#52606d", labelsize=8.5, length=0)
    axes.tick_params(which="minor", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=(1, 2, 5, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(whole))
    axes.margins(x=0.015)


def panel(axes: Axes, text: str, note: str = "") -> None:
    """A panel's title, and a note at its right."""
    axes.set_title(text, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=8)
    if note:
        axes.set_title(note, loc="right", fontsize=8.5, color=SOFT, pad=8)


def legend(axes: Axes, loc: str) -> None:
    """What the lines are, without a frame."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc=loc, handlelength=1.4, borderaxespad=0.3)


def headline(figure: Any, title: str, parts: Sequence[str]) -> None:
    """The title of a picture, and facts below it."""
    height = figure.get_figheight()
    figure.text(0.03, 1 - 0.31 / height, title, fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(0.03, 1 - 0.57 / height, "   ·   ".join(parts), fontsize=9.5, color=SOFT, va="center")


def drawn(figure: Any) -> NDArray[np.uint8]:
    """A figure as a picture: (H, W, 3) uint8, RGB."""
    canvas = FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a folder's name may hold dollars, which are no formula
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a letter that the font lacks is drawn as a box
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def colours(count: int) -> list[str]:
    """Colours for so many lines."""
    return [_COLOURS[place % len(_COLOURS)] for place in range(count)]


def whole(value: float, _: int) -> str:
    """A tick as a whole number: 12,000."""
    return f"{value:,.0f}"


def plain(value: float, _: int) -> str:
    """A tick as people write numbers: 0.02, 1e-05."""
    return f"{value:.4g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2g}"
