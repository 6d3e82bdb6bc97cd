"""A config's schedules, as one picture: each hyperparameter over the whole run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.visualize.style import DPI, PAPER, SOFT, Axes, colours, drawn, headline, legend, panel, plain, style, whole

__all__ = ["timetable"]

_POINTS = 4000  # of a line: more are not seen
_SHOWN = 6  # lines that have a name each; of more, the first and the last
_TITLES = (
    ("lr", "Learning rate"), ("momentum", "Momentum"), ("beta1", "Momentum (beta1)"), ("weight_decay", "Weight decay"),
)  # fmt: skip


def timetable(
    values: Mapping[str, NDArray[np.float64]], title: str = "", epoch_length: int = 0, facts: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Draw hyperparameters over a run, a panel each, iterations below and epochs above.

    Args:
        values: {name: (iterations, groups) float64}; groups that are the same are one line.
        title: above the picture.
        epoch_length: iterations of an epoch; 0 draws no epochs.
        facts: said below the title.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        FkitError: there is nothing to draw, or an array of another shape.

    Example:
        >>> timetable({"lr": np.linspace(0.1, 0, 100)[:, None]}, "a run", 10).shape[2]
        3
    """
    expect(values, Mapping, "`values` are {name: (iterations, groups)}")
    expect(title, str, "`title` is text")
    expect_number(epoch_length, "epoch_length", whole=True)
    for name, column in values.items():
        if not isinstance(column, np.ndarray) or column.ndim != 2 or not column.size:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"values[{name!r}] is an array (iterations, groups).")
    if not values:
        raise FkitValueError("there is nothing to draw: no hyperparameter is there.")
    words = tuple(dict.fromkeys(name.rpartition(".")[2] for name in values))
    height = 2.0 + 2.35 * len(words) + 0.9 * (len(words) == 1)
    figure: Any = Figure(figsize=(11, height), dpi=DPI, facecolor=PAPER)
    top = 1 - (1.55 if epoch_length else 1.2) / height
    grid = GridSpec(len(words), 1, figure, left=0.075, right=0.975, top=top, bottom=0.6 / height, hspace=0.42)
    total = max(len(column) for column in values.values())
    for place, word in enumerate(words):
        axes = figure.add_subplot(grid[place, 0])
        _panel(axes, word, {name: value for name, value in values.items() if name.rpartition(".")[2] == word})
        axes.set_xlim(0, total)
        if place == len(words) - 1:
            axes.set_xlabel("iteration", fontsize=9, color=SOFT)
        if place == 0 and epoch_length:
            _epochs(axes, epoch_length)
    lead = [f"{total:,} iterations"]
    if epoch_length:
        lead.append(f"{total / epoch_length:,.4g} epochs of {epoch_length:,}")
    headline(figure, title or "Schedules", [*lead, *facts])
    return drawn(figure)


def _panel(axes: Axes, word: str, values: Mapping[str, NDArray[np.float64]]) -> None:
    """One hyperparameter, of all groups and all optimizers."""
    style(axes)
    lines = [(name.rpartition(".")[0], column) for name, value in values.items() for column in _different(value)]
    many = len(lines) > _SHOWN
    shades = (
        [colormaps["viridis"](0.9 * i / (len(lines) - 1)) for i in range(len(lines))] if many else colours(len(lines))
    )
    for place, ((prefix, column), colour) in enumerate(zip(lines, shades, strict=True)):
        steps = _steps(column)
        named = len(lines) > 1 and (not many or place in (0, len(lines) - 1))
        label = f"{prefix + ' ' if prefix else ''}{_range(column)}" if named else None
        axes.plot(
            steps,
            column[steps],
            drawstyle=_drawn_as(column),
            color=colour,
            linewidth=1.2 if many else 1.9,
            label=label,
            solid_capstyle="round",
        )
    every = np.concatenate([column for _, column in lines])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    if low >= 0 and low < 0.6 * high:
        axes.set_ylim(-0.03 * high, 1.06 * high)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    several = any(prefix for prefix, _ in lines)
    note = _range(lines[0][1]) if len(lines) == 1 else f"{len(lines)} {'optimizers' if several else 'groups'}"
    panel(axes, dict(_TITLES).get(word, word), note)
    if len(lines) > 1:
        legend(axes, "best")


def _different(value: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The columns that are not the same as one before, the highest first."""
    kept: list[NDArray[np.float64]] = []
    for column in value.T:
        if not any(np.array_equal(column, other) for other in kept):
            kept.append(column)
    return sorted(kept, key=lambda column: -float(np.max(column)))


def _steps(column: NDArray[np.float64]) -> NDArray[np.int64]:
    """The iterations that are drawn: of a long line, those at which it changes, or some of them, and its ends."""
    if len(column) <= _POINTS:
        return np.arange(len(column))
    jumps = np.flatnonzero(np.diff(column))
    if 2 * len(jumps) <= _POINTS:
        return np.unique(np.concatenate(([0], jumps, jumps + 1, [len(column) - 1])))
    return np.unique(np.linspace(0, len(column) - 1, _POINTS).astype(np.int64))


def _drawn_as(column: NDArray[np.float64]) -> str:
    """As steps, where the value mostly stays as it was."""
    return "steps-post" if 2 * int(np.count_nonzero(np.diff(column))) < len(column) else "default"


def _range(column: NDArray[np.float64]) -> str:
    """Where a line begins, its top or bottom if that is elsewhere, and where it ends."""
    first, last = float(column[0]), float(column[-1])
    ends = (first, last)
    middle = [bound for bound in (float(np.max(column)), float(np.min(column))) if not min(ends) <= bound <= max(ends)]
    marks = [first] if not middle and first == last else [first, *middle, last]
    return " → ".join(f"{mark:.4g}" for mark in marks)


def _epochs(axes: Axes, length: int) -> None:
    """Epochs along the top."""
    above = axes.secondary_xaxis("top", functions=(lambda i: i / length, lambda e: e * length))
    above.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=(1, 2, 3, 4, 5, 6, 10)))
    above.xaxis.set_major_formatter(FuncFormatter(whole))
    above.tick_params(colors=SOFT, labelcolor="#52606d", labelsize=8.5, length=0)
    above.spines["top"].set_visible(False)
    above.set_xlabel("epoch", fontsize=9, color=SOFT)
