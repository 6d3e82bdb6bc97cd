"""A run's curves: what its metrics say, as one picture."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from fkit.training.best import rule_of
from fkit.training.row import Row, points_of
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.visualize.style import DPI, PAPER, SOFT, Axes, colours, drawn, headline, legend, panel, plain, style

__all__ = ["Series", "curves", "series_of", "smooth"]

_TOLD_APART = 8  # lines of a panel


class Series(NamedTuple):
    """One curve.

    Attributes:
        name: its key in the rows.
        mode: "train" or "val".
        steps: (N,) int64.
        values: (N,) float64; nan where the row's number was not finite.
    """

    name: str
    mode: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def curves(rows: Iterable[Row], title: str = "") -> NDArray[np.uint8]:
    """Draw metrics as panels: losses, the learning rate, and a panel for the held-out scores with the best marked.

    Args:
        rows: as in metrics.jsonl: ``{"step": 50, "epoch": 2, "mode": "train", "loss": 0.31, "lr": 0.01}``. Numbers
            that are not finite leave gaps.
        title: above the picture.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        FkitTypeError: the rows are no mappings.
        FkitValueError: no row holds a number to draw.

    Example:
        >>> curves([{"step": s, "mode": "train", "loss": 1 / s} for s in range(1, 9)], "a run").shape[2]
        3
    """
    series = series_of(rows)
    if not series:
        raise FkitValueError("there is nothing to draw: no row holds a number.", repair="Log at least one step.")
    losses = [one for one in series if "loss" in one.name]
    rates = [one for one in series if one.mode == "train" and (one.name == "lr" or one.name.endswith((".lr", "/lr")))]
    scores = _chief([one for one in series if one.mode != "train" and "loss" not in one.name])
    others = [one for one in series if one.mode == "train" and one not in losses and one not in rates]
    figure: Any = Figure(figsize=(11, 6.2), dpi=DPI, facecolor=PAPER)
    for axes, kind, lines in _panels(figure, losses, scores, rates, others):
        style(axes)
        if kind == "loss":
            _draw_losses(axes, lines)
        elif kind == "score":
            _draw_scores(axes, lines)
        else:
            _draw_plain(axes, lines, "Learning rate" if kind == "rate" else "", smoothed=kind != "rate")
        axes.set_xlim(left=0)
        if axes.get_subplotspec() is None or axes.get_subplotspec().is_last_row():
            axes.set_xlabel("step", fontsize=9, color=SOFT)
    _heading(figure, title, series, scores)
    return drawn(figure)


def series_of(rows: Iterable[Row]) -> list[Series]:
    """The curves that rows hold, by mode and name, in order of step; of rows of one step the last counts.

    Example:
        >>> [one.name for one in series_of([{"step": 1, "mode": "train", "loss": 2.0, "lr": 0.1, "time": 3.0}])]
        ['loss', 'lr']
    """
    series: list[Series] = []
    for (mode, name), by_step in points_of(rows).items():
        steps = sorted(by_step)
        values = np.array([by_step[step] for step in steps])
        series.append(Series(name, mode, np.array(steps, np.int64), np.where(np.isfinite(values), values, np.nan)))
    return series


def smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """A centred moving mean over ``window`` values, over fewer at the ends and where values are not finite; (N,).

    Example:
        >>> smooth(np.array([0.0, 3.0, 6.0]), 3).tolist()
        [1.5, 3.0, 4.5]
    """
    expect(values, np.ndarray, "`values` is an array, (N,) float64")
    expect_number(window, "smooth: window", whole=True)
    real = np.isfinite(values)
    sums = np.concatenate(([0.0], np.cumsum(np.where(real, values, 0.0))))
    counts = np.concatenate(([0], np.cumsum(real)))
    places = np.arange(len(values))
    low, high = np.maximum(places - window // 2, 0), np.minimum(places + window // 2 + 1, len(values))
    number = counts[high] - counts[low]
    return np.where(number > 0, (sums[high] - sums[low]) / np.maximum(number, 1), np.nan)


def _chief(scores: Sequence[Series]) -> list[Series]:
    """Of scores that are more than can be told apart: the first whose names say what is better, as those of single classes do
    not."""
    if len(scores) <= _TOLD_APART:
        return list(scores)
    return ([one for one in scores if rule_of(one.name) is not None] or list(scores))[:_TOLD_APART]


def _panels(
    figure: Any, losses: Sequence[Series], scores: Sequence[Series], rates: Sequence[Series], others: Sequence[Series]
) -> list[tuple[Axes, str, Sequence[Series]]]:
    """The panels that have something to show: the first large on the left, the others stacked on the right."""
    panels = [("loss", losses), ("score", scores), ("rate", rates), ("rest", others)]
    panels = [(kind, lines) for kind, lines in panels if lines]
    if len(panels) == 1:
        grid = GridSpec(1, 1, figure, left=0.065, right=0.975, top=0.82, bottom=0.105)
        return [(figure.add_subplot(grid[0, 0]), *panels[0])]
    small = panels[1:]
    heights = [2.0 if kind == "score" else 1.0 for kind, _ in small]
    grid = GridSpec(
        len(small), 2, figure, width_ratios=(1.35, 1), height_ratios=heights,
        left=0.065, right=0.975, top=0.82, bottom=0.105, wspace=0.17, hspace=0.42,
    )  # fmt: skip
    first = (figure.add_subplot(grid[:, 0]), *panels[0])
    return [first, *((figure.add_subplot(grid[place, 1]), *other) for place, other in enumerate(small))]


def _draw_losses(axes: Axes, lines: Sequence[Series]) -> None:
    values = np.concatenate([one.values for one in lines])
    positive = values[np.isfinite(values) & (values > 0)]
    finite = values[np.isfinite(values)]
    logarithmic = len(positive) == len(finite) > 0 and float(positive.max()) > 8 * float(positive.min())
    window, smoothed = 1, False
    for one, colour in zip(lines, colours(len(lines)), strict=True):
        label = one.name if one.mode == "train" else f"{one.mode} {one.name}"
        window = _window(one)
        if window > 2:
            smoothed = True
            axes.plot(one.steps, one.values, color=colour, alpha=0.22, linewidth=0.9)
            # on a log scale the mean of logarithms runs through the middle of what is seen
            drawn = np.exp(smooth(np.log(one.values), window)) if logarithmic else smooth(one.values, window)
            axes.plot(one.steps, drawn, color=colour, linewidth=2.0, label=label, solid_capstyle="round")
        else:
            marker = "o" if len(one.values) < 40 else ""
            axes.plot(one.steps, one.values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=label)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        # a range of less than two decades has too few labelled ticks, so label some in between
        narrow = float(positive.max()) < 60 * float(positive.min())
        axes.yaxis.set_minor_formatter(FuncFormatter(_some) if narrow else NullFormatter())
        axes.tick_params(which="minor", labelsize=8, labelcolor="#7b8794")
    notes = ("log scale" if logarithmic else "", "raw and smoothed" if smoothed else "")
    panel(axes, "Loss", ", ".join(note for note in notes if note))
    if len(lines) > 1:
        legend(axes, "upper right")


def _draw_scores(axes: Axes, lines: Sequence[Series]) -> None:
    fractions = all(_is_fraction(one) for one in lines)
    for one, colour in zip(lines, colours(len(lines)), strict=True):
        marker = "o" if len(one.values) < 60 else ""
        axes.plot(one.steps, one.values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=one.name)
        if (place := _best(one)) is not None:
            axes.plot(
                one.steps[place], one.values[place], "o", markersize=8, markerfacecolor="none",
                markeredgecolor=colour, markeredgewidth=1.6,
            )  # fmt: skip
    if fractions:
        least, high = (float(bound([bound(one.values) for one in lines])) for bound in (np.nanmin, np.nanmax))
        low = min(_floor(one.values) for one in lines)
        pad = max(high - low, 0.01) * 0.12
        if low > least:
            axes.set_ylim(max(0.0, low - pad), min(1.0, high) + pad)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    first = lines[0]
    note = ""
    if (place := _best(first)) is not None:
        name = f"{first.name} " if len(lines) > 1 else ""
        note = (
            f"best {name}{_score(float(first.values[place]), _is_fraction(first))} at step {int(first.steps[place]):,}"
        )
    panel(axes, first.name if len(lines) == 1 else "Held-out scores", note)
    if len(lines) > 1:
        legend(axes, "best")


def _draw_plain(axes: Axes, lines: Sequence[Series], title: str, smoothed: bool) -> None:
    for one, colour in zip(lines, colours(len(lines)), strict=True):
        window = _window(one) if smoothed else 1
        if window > 2:
            axes.plot(one.steps, one.values, color=colour, alpha=0.22, linewidth=0.9)
        axes.plot(one.steps, smooth(one.values, window), color=colour, linewidth=1.8, label=one.name)
    if not smoothed and all((one.values > 0).any() and not (one.values < 0).any() for one in lines):
        axes.set_ylim(bottom=-0.03 * max(float(np.nanmax(one.values)) for one in lines))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    panel(axes, title or (lines[0].name if len(lines) == 1 else "Other values"))
    if len(lines) > 1:
        legend(axes, "upper right")


def _heading(figure: Any, title: str, series: Sequence[Series], scores: Sequence[Series]) -> None:
    last = max(int(one.steps[-1]) for one in series)
    parts = [f"{last:,} steps"]
    for one in scores[:2]:
        if np.isfinite(one.values[-1]):
            parts.append(f"last {one.name} {_score(float(one.values[-1]), _is_fraction(one))}")
    headline(figure, title or "Training curves", parts)


def _best(one: Series) -> int | None:
    """The place of the best value; None where the metric's name does not say what is better, or no value is finite."""
    rule = rule_of(one.name)
    if rule is None or not np.isfinite(one.values).any():
        return None
    return int(np.nanargmax(one.values) if rule == "greater" else np.nanargmin(one.values))


def _is_fraction(one: Series) -> bool:
    """Whether a score is read in per cent: one of which more is better, and that lies between 0 and 1."""
    real = one.values[np.isfinite(one.values)]
    return rule_of(one.name) == "greater" and len(real) > 0 and bool(real.min() >= 0 and real.max() <= 1)


def _floor(values: NDArray[np.float64]) -> float:
    """The least score once the curve has come three quarters of its way up: the first, untrained ones would squeeze
    the rest against the top."""
    real = values[np.isfinite(values)]
    if not len(real):
        return math.inf
    start = int(np.argmax(real >= real.max() - 0.25 * (real.max() - real.min())))
    return float(real[start:].min())


def _window(one: Series) -> int:
    """How many values the drawn mean takes: a twelfth of the curve, and none of a short one's or of held-out data."""
    count = len(one.values)
    return min(51, max(5, count // 12)) if one.mode == "train" and count >= 30 else 1


def _score(value: float, fraction: bool) -> str:
    return f"{100 * value:.2f}%" if fraction else f"{value:.4g}"


def _percent(value: float, _: int) -> str:
    return f"{100 * value:.4g}%" if value <= 1 + 1e-9 else ""


def _some(value: float, _: int) -> str:
    """Minor ticks of a log axis: 2 and 5 of each decade."""
    if value <= 0:
        return ""
    digit = round(value / 10 ** math.floor(math.log10(value) + 1e-9))
    return f"{value:.2g}" if digit in (2, 5) else ""
