"""The curves of many runs as one picture: the mean of each group, and how far its runs lie apart."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.visualize.curve import Row, Series, series_of, smooth
from fkit.visualize.style import DPI, PAPER, SOFT, Axes, colours, drawn, headline, legend, panel, plain, style

__all__ = ["Band", "band_of", "spreads"]

_GROUPS = 12  # that are drawn
_WINDOW = 9  # values of a training curve that are averaged, where there are many
Band = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Steps, mean, least, greatest; (N,) each."""


def band_of(lines: Sequence[Series]) -> Band:
    """Of several curves: at the steps that all of them have, the mean, the least and the greatest.

    Example:
        >>> lines = [Series("acc", "val", np.array([1, 2]), np.array([0.5, 0.7])),
        ...          Series("acc", "val", np.array([1, 2]), np.array([0.7, 0.9]))]
        >>> [part.tolist() for part in band_of(lines)]
        [[1, 2], [0.6, 0.8], [0.5, 0.7], [0.7, 0.9]]
    """
    expect(lines, Sequence, "`lines` are curves, in a list")
    if not lines:
        raise FkitValueError("band_of: no curve.")
    steps = lines[0].steps
    for one in lines[1:]:
        steps = np.intersect1d(steps, one.steps)
    values = np.stack([one.values[np.searchsorted(one.steps, steps)] for one in lines])
    return steps, values.mean(0), values.min(0), values.max(0)


def spreads(groups: Mapping[str, Iterable[Iterable[Row]]], title: str = "") -> NDArray[np.uint8]:
    """Draw groups of runs: the first held-out score beside the training loss, a line for each group's mean, a band from its
    least run to its greatest.

    Args:
        groups: {label: the rows of metrics of each of its runs}.
        title: above the picture.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        FkitValueError: no run holds a number to draw.

    Example:
        >>> rows = [[{"step": s, "mode": "train", "loss": seed + 1 / s} for s in range(1, 9)] for seed in (1, 2)]
        >>> spreads({"all": rows}, "a sweep").shape[2]
        3
    """
    expect(groups, Mapping, "`groups` is a mapping of labels to runs' rows")
    held = {label: [series_of(rows) for rows in runs] for label, runs in list(groups.items())[:_GROUPS]}
    chosen = [name for name in (_name(held, "val"), _name(held, "train")) if name is not None]
    if not chosen:
        raise FkitValueError("there is nothing to draw: no run holds a number.", repair="Let the runs log a step.")
    figure: Any = Figure(figsize=(11, 5.2), dpi=DPI, facecolor=PAPER)
    grid = GridSpec(1, len(chosen), figure, left=0.065, right=0.975, top=0.79, bottom=0.12, wspace=0.2)
    for place, (mode, name) in enumerate(chosen):
        axes = figure.add_subplot(grid[0, place])
        style(axes)
        _draw(axes, held, mode, name)
        axes.set_xlabel("step", fontsize=9, color=SOFT)
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        panel(axes, name if mode == "val" else f"training {name}", "mean, least to greatest")
        if len(held) > 1:
            legend(axes, "best")
    count = sum(len(runs) for runs in held.values())
    parts = [f"{count} runs", *([f"{len(held)} groups"] if len(held) > 1 else [])]
    if len(groups) > len(held):
        parts.append(f"the first {len(held)} of {len(groups)} groups are drawn")
    headline(figure, title or "A sweep", parts)
    return drawn(figure)


def _name(held: Mapping[str, Sequence[Sequence[Series]]], mode: str) -> tuple[str, str] | None:
    """The curve of a mode that is drawn: the first held-out score that is no loss, or the training loss."""
    names = [
        one.name for runs in held.values() for run in runs for one in run if (one.mode == "train") == (mode == "train")
    ]
    if mode == "train":
        return (mode, "loss") if "loss" in names else None
    scores = [name for name in names if "loss" not in name] or names
    return (mode, scores[0]) if scores else None


def _draw(axes: Axes, held: Mapping[str, Sequence[Sequence[Series]]], mode: str, name: str) -> None:
    for (label, runs), colour in zip(held.items(), colours(len(held)), strict=True):
        lines = [one for run in runs for one in run if one.name == name and (one.mode == "train") == (mode == "train")]
        if not lines:
            continue
        steps, mean, low, high = band_of(lines)
        if mode == "train" and len(steps) > 4 * _WINDOW:
            mean, low, high = (smooth(values, _WINDOW) for values in (mean, low, high))
        text = f"{label} ({len(lines)})"
        marker = "o" if len(steps) < 40 and mode == "val" else ""
        axes.plot(steps, mean, color=colour, linewidth=1.9, marker=marker, markersize=3.5, label=text)
        if len(lines) > 1:
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    values = [value for line in axes.get_lines() for value in line.get_ydata() if math.isfinite(value)]
    if mode == "train" and values and min(values) > 0 and max(values) > 8 * min(values):
        axes.set_yscale("log")
