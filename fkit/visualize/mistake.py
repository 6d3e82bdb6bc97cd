"""Which class is taken for which, as a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.visualize.style import DPI, INK, PAPER, SOFT, Axes, drawn, headline

__all__ = ["confusion"]

_RIGHT, _WRONG, _NONE = (0.11, 0.31, 0.72), (0.80, 0.22, 0.12), (0.96, 0.97, 0.98)
_LONGEST = 22  # letters of a class's name
_BOTH, _ONE = 12, 32  # classes, up to which a cell says share and count, and up to which it says the count
_NAMED = 100  # classes, up to which each name is written; of more every second, third, ...
_SIDE = 11.5  # inches of the matrix, at most


def confusion(matrix: Any, classes: Sequence[str] | None = None, title: str = "") -> NDArray[np.uint8]:
    """Draw a confusion matrix: a row a true class, a column a predicted one. What is right is blue, what is wrong red, the deeper
    the larger its share of the row.

    Args:
        matrix: (K, K) whole numbers: samples of true class (row) by predicted class (column).
        classes: the names of the classes; by default their numbers.
        title: above the picture.

    Returns:
        (H, W, 3) uint8, RGB; as large as its classes need.

    Raises:
        FkitTypeError: the matrix is not square, or not of numbers.
        FkitValueError: another number of names, or a number below 0.

    Example:
        >>> confusion([[8, 2], [0, 5]], ("cat", "dog"), "a test").shape[2]
        3
    """
    expect(title, str, "confusion: title is text")
    counts: NDArray[Any] = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size or counts.dtype.kind not in "iuf":
        raise FkitTypeError(f"a confusion matrix is (K, K) numbers, not {counts.dtype}{counts.shape}.")
    if not np.isfinite(counts).all() or counts.min() < 0:
        raise FkitValueError("a confusion matrix counts samples: its numbers are 0 or more.")
    if isinstance(classes, str) or (classes is not None and len(classes) != len(counts)):
        raise FkitValueError(
            f"a confusion matrix of {len(counts)} classes, and {1 if isinstance(classes, str) else len(classes)} names."
        )
    names = [_cut(str(name)) for name in (classes if classes is not None else range(len(counts)))]
    rows = counts.sum(axis=1)
    shares = counts / np.maximum(rows, 1)[:, None]
    axes = _axes(figure := _figure(names), names)
    axes.imshow(_paint(shares, rows), interpolation="nearest", aspect="equal")
    if len(counts) <= _ONE:
        _write(axes, counts, shares, rows)
    total = counts.sum()
    facts = [f"{total:,.0f} samples", f"accuracy {100 * np.trace(counts) / total:.2f}%" if total else "no accuracy"]
    seen = rows > 0
    if seen.any():
        facts.append(f"mean recall {100 * np.diag(shares)[seen].mean():.2f}%")
    headline(figure, title or "Confusion matrix", facts)
    return drawn(figure)


def _cell(count: int) -> float:
    """Inches of a cell."""
    return 0.62 if count <= _BOTH else 0.36 if count <= _ONE else _SIDE / count


def _margin(names: Sequence[str]) -> float:
    return 0.55 + 0.078 * max(len(name) for name in names)


def _figure(names: Sequence[str]) -> Any:
    side, margin = _cell(len(names)) * len(names), _margin(names)
    return Figure(figsize=(max(side + margin + 0.4, 5.6), side + margin + 1.0), dpi=DPI, facecolor=PAPER)


def _axes(figure: Any, names: Sequence[str]) -> Axes:
    """Where the matrix stands, with the names of rows and columns."""
    count, margin = len(names), _margin(names)
    width, height = figure.get_size_inches()
    side = _cell(count) * count
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    step = -(-count // _NAMED)
    places = list(range(0, count, step))
    shown = [names[place] for place in places]
    size = 9.5 if count <= _BOTH else 8 if count <= _ONE else 6
    axes.set_xticks(places, shown, fontsize=size, rotation=0 if max(map(len, names)) <= 3 else 90)
    axes.set_yticks(places, shown, fontsize=size)
    axes.tick_params(length=0, labelcolor=INK, pad=4)
    if count <= _NAMED:
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=PAPER, linewidth=1.5 if count <= _ONE else 0.5)
        axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted", fontsize=9.5, color=SOFT, labelpad=8)
    axes.set_ylabel("true", fontsize=9.5, color=SOFT, labelpad=8)
    return axes


def _paint(shares: NDArray[np.float64], rows: NDArray[Any]) -> NDArray[np.float64]:
    """(K, K, 3) from 0 to 1: a small share of what is wrong is seen too."""
    right = np.eye(len(shares), dtype=bool)
    depth = np.where(right, 0.12 + 0.88 * shares, np.where(shares > 0, 0.10 + 0.90 * np.sqrt(shares), 0.0))
    colours = np.where(right[..., None], np.array(_RIGHT), np.array(_WRONG))
    depth = np.where((rows > 0)[:, None], depth, 0.0)
    return np.array(_NONE) + (colours - np.array(_NONE)) * depth[..., None]


def _write(axes: Axes, counts: NDArray[Any], shares: NDArray[np.float64], rows: NDArray[Any]) -> None:
    """The numbers of cells: the share of the row above the count, or the count alone."""
    both, paint = len(counts) <= _BOTH, _paint(shares, rows)
    for true, said in zip(*np.nonzero(counts), strict=True):
        dark = float(paint[true, said] @ (0.299, 0.587, 0.114)) < 0.6
        number, letters = _short(float(counts[true, said])), PAPER if dark else INK
        share = 100 * shares[true, said]
        if both:
            text = "100%" if share == 100 else f"{share:.1f}%"
            axes.text(said, true - 0.12, text, ha="center", va="center", fontsize=9.5, color=letters)
            axes.text(said, true + 0.22, number, ha="center", va="center", fontsize=7.5, color=letters, alpha=0.85)
        else:
            axes.text(said, true, number, ha="center", va="center", fontsize=7, color=letters)


def _short(number: float) -> str:
    """A count in few letters: 950, 12k."""
    if number != round(number):
        return f"{number:.3g}"
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k" if number < 1e6 else f"{number / 1e6:.3g}M"


def _cut(name: str) -> str:
    text = " ".join(name.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
