"""Flow as colours: the wheel of the Middlebury benchmark (Baker et al. 2011)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.image.refuse import form
from fkit.tree.error import FkitValueError

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
    steps = _BINS if bins is None else tuple(bins)
    if len(steps) != len(_CORNERS):
        raise FkitValueError(f"make_color_wheel takes six numbers of steps; got {len(steps)}.")
    corners = np.array(_CORNERS, np.float32)
    arcs = [
        start + (end - start) * (np.arange(count, dtype=np.float32) / max(count, 1))[:, None]
        for start, end, count in zip(corners, np.roll(corners, -1, axis=0), steps, strict=True)
    ]
    return np.concatenate(arcs).astype(np.float32)


def flow2rgb(
    flow: NDArray[Any], color_wheel: NDArray[Any] | None = None, unknown_thr: float = 1e6
) -> NDArray[np.float32]:
    """Directions as hues and lengths as saturation; the longest known vector is fully saturated.

    Args:
        flow: (H, W, 2), pixels.
        color_wheel: (K, 3) RGB in 0..1; that of ``make_color_wheel`` when None.
        unknown_thr: a vector with a longer component, or with a NaN, is unknown and painted black.

    Returns:
        (H, W, 3) float32, RGB in 0..1.

    Raises:
        FkitValueError: no (H, W, 2), or a wheel that is no (K, 3).

    Example:
        >>> flow2rgb(np.zeros((1, 1, 2))).tolist()
        [[[1.0, 1.0, 1.0]]]
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise FkitValueError(f"flow2rgb takes a flow (H, W, 2); got {form(flow)}.")
    wheel = make_color_wheel() if color_wheel is None else color_wheel
    if wheel.ndim != 2 or wheel.shape[1] != 3:
        raise FkitValueError(f"flow2rgb takes a wheel (K, 3); got {form(wheel)}.")
    unknown = np.asarray((np.isnan(flow) | (np.abs(flow) > unknown_thr)).any(axis=-1))
    known = np.where(unknown[..., None], 0, flow)
    length = np.hypot(known[..., 0], known[..., 1])
    longest = float(length.max()) if length.size else 0.0
    if longest > np.finfo(np.float32).eps:
        known, length = known / longest, length / longest
    place = (np.arctan2(-known[..., 1], -known[..., 0]) / np.pi + 1) / 2 * (len(wheel) - 1)
    left = np.floor(place).astype(np.intp)
    part = (place - left)[..., None]
    hue = (1 - part) * wheel[left] + part * wheel[(left + 1) % len(wheel)]
    colours = np.where((length <= 1)[..., None], 1 - length[..., None] * (1 - hue), hue * 0.75)
    colours[unknown] = 0
    return colours.astype(np.float32)
