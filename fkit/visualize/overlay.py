"""The curves of two runs in one picture, and where they part."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from fkit.training.best import rule_of
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.visualize.curve import Series, series_of
from fkit.visualize.style import DPI, INK, PAPER, SOFT, Axes, colours, drawn, headline, legend, panel, plain, style

__all__ = ["agreement", "overlay"]

Row = Mapping[str, Any]
Pair = tuple[Series | None, Series | None]

_PANELS = 6
_NARROW = 60  # a range of less than two decades has too few labelled ticks


def overlay(first: Iterable[Row], second: Iterable[Row], names: Sequence[str]) -> NDArray[np.uint8]:
    """Draw the metrics of two runs over each other: a panel for each, with the step from which they are not equal.

    Args:
        first, second: rows of the two, as in metrics.jsonl. Numbers that are not finite leave gaps.
        names: of the two, for the legend.

    Returns:
        (H, W, 3) uint8, RGB: six panels at most, losses first, then held-out scores, then the learning rate.

    Raises:
        FkitTypeError: the rows are no mappings.
        FkitValueError: no row holds a number to draw, or the names are not two.

    Example:
        >>> a, b = ([{"step": s, "mode": "train", "loss": x / s} for s in range(1, 9)] for x in (1, 2))
        >>> overlay(a, b, ("one", "two")).shape[2]
        3
    """
    expect(names, (list, tuple), "`names` are those of the two runs")
    if len(names) != 2:
        raise FkitValueError(f"`names` are those of the two runs, and there are {len(names)}.")
    pairs = _chosen(series_of(first), series_of(second))
    if not pairs:
        raise FkitValueError("there is nothing to draw: no row of either run holds a number.")
    columns = min(len(pairs), 2)
    lines = -(-len(pairs) // columns)
    height = 1.35 + 2.75 * lines
    figure: Any = Figure(figsize=(11, height), dpi=DPI, facecolor=PAPER)
    grid = GridSpec(
        lines, columns, figure, left=0.065, right=0.975, top=1 - 1.2 / height, bottom=0.55 / height, wspace=0.17,
        hspace=0.42,
    )  # fmt: skip
    for place, pair in enumerate(pairs):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        style(axes)
        _draw(axes, pair, names)
        if place == 0:
            legend(axes, "best")
        if place + columns >= len(pairs):
            axes.set_xlabel("step", fontsize=9, color=SOFT)
    steps = [step for pair in pairs if (step := _apart(pair)) is not None]
    facts = [f"apart from step {min(steps):,} on" if steps else "equal wherever both have values"]
    headline(figure, f"{names[0]}  and  {names[1]}", facts)
    return drawn(figure)


def _chosen(first: Sequence[Series], second: Sequence[Series]) -> list[Pair]:
    """The metrics that are drawn, in the order of their panels."""
    one, other = ({(series.mode, series.name): series for series in many} for many in (first, second))
    keys = sorted(dict.fromkeys((*one, *other)), key=_rank)  # sorted keeps the order of equals
    return [(one.get(key), other.get(key)) for key in keys[:_PANELS]]


def _rank(key: tuple[str, str]) -> int:
    mode, name = key
    if name == "loss":
        return 0 if mode == "train" else 1
    if mode != "train":
        return 2 if rule_of(name) is not None else 5
    if name == "lr" or name.endswith((".lr", "/lr")):
        return 3
    return 4 if "loss" in name else 6


def _draw(axes: Axes, pair: Pair, names: Sequence[str]) -> None:
    """One metric of both runs: the second is drawn thin over the first, so that both are seen where they are equal."""
    values: list[NDArray[np.float64]] = []
    for series, colour, width, alpha, name in zip(pair, colours(2), (4.0, 1.4), (0.45, 1.0), names, strict=True):
        if series is None:
            continue
        values.append(series.values)
        marker = "o" if len(series.values) < 40 else ""
        axes.plot(
            series.steps, series.values, color=colour, alpha=alpha, linewidth=width, marker=marker,
            markersize=width + 2, label=name, solid_capstyle="round",
        )  # fmt: skip
    shown = next(series for series in pair if series is not None)
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    if "loss" in shown.name and len(every) and float(every.min()) > 0 and float(every.max()) > 8 * float(every.min()):
        axes.set_yscale("log")
        if float(every.max()) >= _NARROW * float(every.min()):
            axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    step = _apart(pair)
    if step is not None:
        axes.axvline(step, color=INK, linewidth=0.9, linestyle=(0, (2, 3)), zorder=0)
    title = shown.name if shown.mode == "train" else f"{shown.mode} {shown.name}"
    axes.set_xlim(left=0)
    panel(axes, title, agreement(*pair, names))


def agreement(first: Series | None, second: Series | None, names: Sequence[str]) -> str:
    """In words, how far two curves agree: at the steps that both have.

    Example:
        >>> one, two = (Series("loss", "train", np.array(steps), np.ones(2)) for steps in ([1, 2], [3, 4]))
        >>> agreement(one, one, "ab"), agreement(one, two, "ab"), agreement(None, two, "ab")
        ('equal', 'no step in common', 'only in b')
    """
    for one in (first, second):
        expect(one, (Series, type(None)), "a curve is a Series, or None")
    expect(names, (str, list, tuple), "`names` are two names")
    if first is None or second is None:
        return f"only in {names[0 if first is not None else 1]}"
    step = _apart((first, second))
    if step is not None:
        return f"apart from step {step:,}"
    return "equal" if len(np.intersect1d(first.steps, second.steps)) else "no step in common"


def _apart(pair: Pair) -> int | None:
    """The first of the steps that both have at which they differ; not finite equals not finite."""
    first, second = pair
    if first is None or second is None:
        return None
    steps, one, other = np.intersect1d(first.steps, second.steps, return_indices=True)
    a, b = first.values[one], second.values[other]
    places = np.flatnonzero((a != b) & ~(np.isnan(a) & np.isnan(b)))
    return int(steps[places[0]]) if len(places) else None
