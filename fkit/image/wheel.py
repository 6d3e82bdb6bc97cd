"""Flow as colours: the wheel of the Middlebury benchmark (Baker et al. 2011)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, number, whole
from fkit.image.refuse import form, is_a
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["flow2rgb", "make_color_wheel"]

_BINS = (15, 6, 4, 11, 13, 6)
# the corners of the wheel as RGB, in order: red, yellow, green, cyan, blue, magenta
_CORNERS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1))


def make_color_wheel(bins: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Hues round the circle, red through yellow, green, cyan, blue and magenta.

    Args:
        bins: how many steps lead from each of the six corners to the next; (15, 6, 4, 11, 13, 6) when None.

    Returns:
        (sum of bins, 3) float32, RGB in 0..1.

    Raises:
        FkitValueError: not six numbers.

    Example:
        >>> make_color_wheel([1, 1, 1, 1, 1, 2])[-1].tolist()
        [1.0, 0.0, 0.5]
    """
    if bins is not None and (is_a(bins, str, bytes) or not is_a(bins, Sequence, np.ndarray)):
        raise FkitTypeError(f"make_color_wheel takes six numbers of steps; got {form(bins)}.")
    steps = _BINS if bins is None else tuple(whole("make_color_wheel", "bins", step, 0) for step in bins)
    if len(steps) != len(_CORNERS):
        raise FkitValueError(f"make_color_wheel takes six numbers of steps; got {len(steps)}.")
    counts, corners = np.array(steps), np.array(_CORNERS, np.float32)
    arc = np.arange(len(_CORNERS)).repeat(counts)
    part = (np.arange(len(arc)) - (counts.cumsum() - counts)[arc]) / counts[arc]
    start = corners[arc]
    return (start + (corners[(arc + 1) % len(_CORNERS)] - start) * part[:, None]).astype(np.float32)


def flow2rgb(
    flow: NDArray[Any], color_wheel: NDArray[Any] | None = None, unknown_thr: float = 1e6
) -> NDArray[np.floating[Any]]:
    """Directions as hues and lengths as saturation; the longest known vector is fully saturated.

    Args:
        flow: (H, W, 2), pixels.
        color_wheel: (K, 3) RGB in 0..1; that of ``make_color_wheel`` when None.
        unknown_thr: a vector with a longer component, or with a NaN, is unknown and painted black.

    Returns:
        (H, W, 3) RGB in 0..1: float64 for a flow of float64, else float32.

    Raises:
        FkitTypeError: no arrays.
        FkitValueError: no (H, W, 2), or a wheel that is no (K, 3).

    Example:
        >>> flow2rgb(np.zeros((1, 1, 2))).tolist()
        [[[1.0, 1.0, 1.0]]]
    """
    number("flow2rgb", "unknown_thr", unknown_thr)
    if array("flow2rgb", "flow", flow).ndim != 3 or flow.shape[2] != 2:
        raise FkitValueError(f"flow2rgb takes a flow (H, W, 2); got {form(flow)}.")
    wheel = make_color_wheel() if color_wheel is None else color_wheel
    if array("flow2rgb", "color_wheel", wheel).ndim != 2 or wheel.shape[1] != 3 or not len(wheel):
        raise FkitValueError(f"flow2rgb takes a wheel (K, 3); got {form(wheel)}.")
    kind = np.float64 if flow.dtype == np.float64 else np.float32
    dx, dy = flow[..., 0].astype(kind), flow[..., 1].astype(kind)
    known = (np.abs(dx) <= unknown_thr) & (np.abs(dy) <= unknown_thr)  # False for a NaN
    whole = bool(known.all())
    if not whole:
        dx, dy = np.where(known, dx, kind(0)), np.where(known, dy, kind(0))
    length = np.sqrt(dx * dx + dy * dy)
    longest = length.max(initial=0)
    if longest > np.finfo(np.float32).eps:
        dx, dy, length = dx / longest, dy / longest, length / longest
    colours = _coloured(dx, dy, length, wheel.astype(kind, copy=False))
    if not whole:
        colours[~known] = 0
    return colours


def _coloured(dx: NDArray[Any], dy: NDArray[Any], length: NDArray[Any], wheel: NDArray[Any]) -> NDArray[Any]:
    place = np.arctan2(-dy, -dx)
    place = (place / place.dtype.type(np.pi) + 1) / 2 * (len(wheel) - 1)
    left = place.astype(np.intp)  # place is never below 0
    part = (place - left).astype(place.dtype)[..., None]
    hue = wheel.take(left, axis=0)
    hue += part * (wheel.take((left + 1) % len(wheel), axis=0) - hue)
    colours = 1 - length[..., None] * (1 - hue)
    far = length > 1
    if far.any():
        colours[far] = hue[far] * hue.dtype.type(0.75)
    return colours
