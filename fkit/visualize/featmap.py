"""Feature maps as pictures: one map, or the strongest channels in a grid; alone, or over the image that they are of."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host
from fkit.tree.check import expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.visualize.shape import Picture

__all__ = ["REDUCTIONS", "draw_featmap", "heatmap"]

REDUCTIONS = ("squeeze_mean", "select_max")
_GAP = 4  # px between the maps of a grid


def draw_featmap(
    featmap: Any,
    overlaid_image: Any = None,
    channel_reduction: str | None = "squeeze_mean",
    topk: int = 20,
    arrangement: Sequence[int] = (4, 5),
    resize_shape: Sequence[int] | None = None,
    alpha: float = 0.5,
) -> Picture:
    """A feature map as a picture; mmengine's `Visualizer.draw_featmap`.

    Args:
        featmap: (C, H, W), of numpy, torch or JAX.
        overlaid_image: (H', W', 3) RGB uint8, which the map is enlarged to and laid over.
        channel_reduction: "squeeze_mean" takes the mean over channels, "select_max" the channel with the greatest sum; None shows
            the ``topk`` channels with the greatest sums.
        topk: without a reduction; 0 or less shows a map of 1 or 3 channels as it is.
        arrangement: (rows, columns) of the grid; at least ``topk`` places.
        resize_shape: (height, width) of the map before it is coloured.
        alpha: of the map over the image.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        FkitError: a shape that is none of these.

    Example:
        >>> draw_featmap(np.random.default_rng(0).random((8, 6, 10)), topk=4, channel_reduction=None, arrangement=(2, 2)).shape
        (16, 24, 3)
    """
    maps: NDArray[Any] = np.asarray(host(featmap), np.float64)
    if maps.ndim != 3 or not maps.size:
        raise FkitTypeError(
            f"a feature map is (C, H, W), found {maps.shape}.", repair="Of a batch take one: featmap[0]."
        )
    expect_number(alpha, "draw_featmap: alpha")
    under = None if overlaid_image is None else np.asarray(host(overlaid_image))
    if under is not None:
        if under.ndim != 3 or under.shape[2] != 3 or under.dtype != np.uint8:
            raise FkitTypeError(f"overlaid_image is (H, W, 3) uint8, RGB; found {under.shape} {under.dtype}.")
        resize_shape = under.shape[:2] if resize_shape is None else resize_shape
    if resize_shape is not None:
        height, width = (int(side) for side in resize_shape)
        maps = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps])
    if channel_reduction is not None:
        return heatmap(_reduced(maps, channel_reduction), under, alpha)
    if topk <= 0:
        if len(maps) not in (1, 3):
            raise FkitValueError(
                f"a map of {len(maps)} channels is no picture: topk <= 0 wants 1 or 3.", repair="Give topk=4, say."
            )
        return heatmap(maps[0] if len(maps) == 1 else maps.transpose(1, 2, 0), under, alpha)
    return _grid(maps, topk, tuple(int(number) for number in arrangement), under, alpha)


def heatmap(values: NDArray[Any], under: NDArray[np.uint8] | None = None, alpha: float = 0.5) -> Picture:
    """Numbers as colours from blue, the least, to red; three channels are taken as red, green and blue.

    Args:
        values: (H, W) or (H, W, 3).
        under: (H, W, 3), what it is laid over.
    """
    finite = np.nan_to_num(values)
    least, most = float(finite.min()), float(finite.max())
    scaled = ((finite - least) * (255 / (most - least) if most > least else 0.0)).astype(np.uint8)
    if scaled.ndim == 2:
        scaled = np.asarray(cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB), np.uint8)
    if under is None:
        return np.ascontiguousarray(scaled)
    return np.asarray(cv2.addWeighted(under, 1 - alpha, scaled, alpha, 0), np.uint8)


def _reduced(maps: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    if how not in REDUCTIONS:
        raise FkitValueError(f"channel_reduction = {how!r} is unknown.", value=how, choices=REDUCTIONS)
    if how == "squeeze_mean":
        return maps.mean(axis=0)
    return maps[int(np.argmax(maps.sum(axis=(1, 2))))]


def _grid(
    maps: NDArray[np.float64], topk: int, arrangement: tuple[int, ...], under: NDArray[np.uint8] | None, alpha: float
) -> Picture:
    if len(arrangement) != 2 or min(arrangement) < 1 or arrangement[0] * arrangement[1] < topk:
        raise FkitValueError(
            f"arrangement = {arrangement!r} has too few places for topk = {topk}.", repair="rows * columns >= topk"
        )
    rows, columns = arrangement
    best = np.argsort(-maps.sum(axis=(1, 2)), kind="stable")[:topk]
    height, width = maps.shape[1:]
    out = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for place, channel in enumerate(best):
        y, x = (place // columns) * (height + _GAP), (place % columns) * (width + _GAP)
        out[y : y + height, x : x + width] = heatmap(maps[channel], under, alpha)
    return out
