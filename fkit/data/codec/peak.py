"""Peaks of maps and of lines: where the highest value is, and where between the pixels."""

from typing import Any

import cv2
import numpy as np

from fkit.data.codec.codec import Floats
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = [
    "blurred",
    "heatmap_maximum",
    "refined",
    "refined_dark",
    "refined_dark_udp",
    "refined_line",
    "simcc_maximum",
]


def heatmap_maximum(maps: Floats) -> tuple[Floats, Floats]:
    """The place and the value of the highest pixel of each map.

    Args:
        maps: (..., H, W); or (..., D, H, W) with ``maps.ndim`` 4 read as (K, D, H, W) by the caller's reshaping.

    Returns:
        (..., 2) float32 (x, y), -1 where no value is above 0; and the values (...).

    Example:
        >>> place, value = heatmap_maximum(np.array([[[0.0, 2.0], [1.0, 0.0]]]))
        >>> place.tolist(), value.tolist()
        ([[1.0, 0.0]], [2.0])
    """
    _check(maps, "`maps` is an array (..., H, W)", 2)
    flat = maps.reshape(*maps.shape[:-2], maps.shape[-2] * maps.shape[-1])
    y, x = np.unravel_index(flat.argmax(axis=-1), maps.shape[-2:])
    values = flat.max(axis=-1)
    places = np.stack((x, y), axis=-1).astype(np.float32)
    places[values <= 0] = -1
    return places, values


def simcc_maximum(x: Floats, y: Floats, softmax: bool = False) -> tuple[Floats, Floats]:
    """The place of the highest value along each axis, and the lower of the two values.

    Args:
        x: (..., K, Wx).
        y: (..., K, Wy).
        softmax: of the lines first.

    Returns:
        (..., K, 2) float32, -1 where a value is not above 0; and the values (..., K).

    Example:
        >>> place, value = simcc_maximum(np.array([[0.0, 2.0]]), np.array([[1.0, 0.0]]))
        >>> place.tolist(), value.tolist()
        ([[1.0, 0.0]], [1.0])
    """
    for line, name in ((x, "x"), (y, "y")):
        _check(line, f"`{name}` is an array (K, W) or (N, K, W)", 2)
    if x.shape[:-1] != y.shape[:-1]:
        raise FkitValueError(f"The lines across have the shape {x.shape}, those down {y.shape}: as many each.")
    if softmax:
        x, y = (_softmax(line) for line in (x, y))
    values = np.minimum(x.max(axis=-1), y.max(axis=-1))
    places = np.stack((x.argmax(axis=-1), y.argmax(axis=-1)), axis=-1).astype(np.float32)
    places[values <= 0] = -1
    return places, values


def _softmax(line: Floats) -> Floats:
    powers = np.exp(line - line.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def blurred(maps: Floats, kernel: int) -> Floats:
    """Maps under a Gaussian of ``kernel`` pixels, 0 outside, each with its highest value kept; nan where a map is 0.

    Example:
        >>> blurred(np.array([[[0.0, 1.0, 0.0]]], np.float32), 3).round(2).tolist()
        [[[0.5, 1.0, 0.5]]]
    """
    _check(maps, "`maps` is an array (K, H, W)", 3)
    if kernel % 2 != 1 or kernel < 3:
        raise FkitValueError(f"a kernel of {kernel} pixels: it is odd, and 3 or more.")
    edge = (kernel - 1) // 2
    done = np.empty_like(maps)
    for place, one in enumerate(maps):
        wide = np.pad(np.asarray(one, np.float32), edge)
        done[place] = cv2.GaussianBlur(wide, (kernel, kernel), 0)[edge:-edge, edge:-edge]
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty map has no highest value to keep
        done *= (maps.max(axis=(1, 2)) / done.max(axis=(1, 2)))[:, None, None]
    return done


def _at(maps: Floats, x: Any, y: Any) -> Floats:
    """The value of each map at its (x, y), the border's outside; (N, K) for places (N, K)."""
    height, width = maps.shape[-2:]
    return maps[np.arange(len(maps)), y.clip(0, height - 1), x.clip(0, width - 1)]


def refined(places: Floats, maps: Floats) -> Floats:
    """Places (N, K, 2) moved by a quarter of a pixel towards the higher neighbour.

    Example:
        >>> refined(np.array([[[2.0, 1.0]]]), np.array([[[0, 0, 0, 0], [0, 1, 5, 3], [0, 0, 0, 0.0]]])).tolist()
        [[[2.25, 1.0]]]
    """
    expect(places, np.ndarray, "`places` is an array (N, K, 2)")
    _check(maps, "`maps` is an array (K, H, W)", 3)
    height, width = maps.shape[1:]
    x, y = (places[..., axis].astype(np.int64) for axis in range(2))
    across = np.sign(_at(maps, x + 1, y) - _at(maps, x - 1, y)) * ((x > 1) & (x < width - 1) & (y > 0) & (y < height))
    down = np.sign(_at(maps, x, y + 1) - _at(maps, x, y - 1)) * ((y > 1) & (y < height - 1) & (x > 0) & (x < width))
    return places + np.stack((across, down), axis=-1).astype(places.dtype) * places.dtype.type(0.25)


def refined_dark(places: Floats, maps: Floats, kernel: int) -> Floats:
    """Places (N, K, 2) moved to the top of the Gaussian that the blurred map's derivatives tell (DARK).

    Example:
        >>> line = np.exp(-((np.arange(9) - 4.3) ** 2) / 8)
        >>> refined_dark(np.array([[[4.0, 4.0]]]), np.outer(np.exp(-((np.arange(9) - 4.0) ** 2) / 8), line)[None], 3).round(1).tolist()
        [[[4.3, 4.0]]]
    """
    expect(places, np.ndarray, "`places` is an array (N, K, 2)")
    logs = np.log(np.maximum(blurred(maps, kernel), 1e-10))
    height, width = maps.shape[1:]
    x, y = (places[..., axis].astype(np.int64) for axis in range(2))
    dx = 0.5 * (_at(logs, x + 1, y) - _at(logs, x - 1, y))
    dy = 0.5 * (_at(logs, x, y + 1) - _at(logs, x, y - 1))
    dxx = 0.25 * (_at(logs, x + 2, y) - 2 * _at(logs, x, y) + _at(logs, x - 2, y))
    dyy = 0.25 * (_at(logs, x, y + 2) - 2 * _at(logs, x, y) + _at(logs, x, y - 2))
    dxy = 0.25 * (_at(logs, x + 1, y + 1) - _at(logs, x + 1, y - 1) - _at(logs, x - 1, y + 1) + _at(logs, x - 1, y - 1))
    determinant = dxx * dyy - dxy**2
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (determinant != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), axis=-1) / determinant[..., None]
    return places + np.where(inside[..., None], moved, 0).astype(places.dtype)


def refined_dark_udp(places: Floats, maps: Floats, kernel: int) -> Floats:
    """`refined_dark` with differences of one pixel, borders repeated; nan where a map is 0 (UDP).

    Example:
        >>> line = np.exp(-((np.arange(9) - 4.3) ** 2) / 8)
        >>> refined_dark_udp(np.array([[[4.0, 4.0]]]), np.outer(np.exp(-((np.arange(9) - 4.0) ** 2) / 8), line)[None], 3).round(1).tolist()
        [[[4.3, 4.0]]]
    """
    expect(places, np.ndarray, "`places` is an array (N, K, 2)")
    logs = np.log(np.clip(blurred(maps, kernel), 1e-3, 50.0))
    flat = np.pad(logs, ((0, 0), (1, 1), (1, 1)), mode="edge").ravel()
    count, row = len(maps), maps.shape[2] + 2
    at = places[..., 0] + 1 + (places[..., 1] + 1) * row + row * (maps.shape[1] + 2) * np.arange(count)
    at = at.astype(np.int64)
    here, right, below, left, above = (flat[at + step] for step in (0, 1, row, -1, -row))
    dx, dy = 0.5 * (right - left), 0.5 * (below - above)
    dxx, dyy = right - 2 * here + left, below - 2 * here + above
    dxy = 0.5 * (flat[at + row + 1] - right - below + 2 * here - left - above + flat[at - row - 1])
    hessian = np.stack((dxx, dxy, dxy, dyy), axis=-1).reshape(*places.shape[:2], 2, 2)
    hessian = hessian + np.finfo(np.float32).eps * np.eye(2)
    moved = np.einsum("nkij,nkj->nki", np.linalg.inv(hessian), np.stack((dx, dy), axis=-1))
    return (places - moved).astype(places.dtype)


def refined_line(places: Floats, lines: Floats, kernel: int) -> Floats:
    """Places (N, K) along lines (N, K, W) moved to the top of the Gaussian about them (DARK for SimCC).

    Example:
        >>> refined_line(np.array([[4.0]]), np.exp(-((np.arange(9) - 4.3) ** 2) / 8)[None, None], 3).round(1).tolist()
        [[4.3]]
    """
    expect(places, np.ndarray, "`places` is an array (N, K)")
    _check(lines, "`lines` is an array (N, K, W)", 3)
    edge = (kernel - 1) // 2
    done = np.empty_like(lines)
    for place in np.ndindex(lines.shape[:2]):
        wide = np.pad(np.asarray(lines[place], np.float32), edge)[None]
        done[place] = cv2.GaussianBlur(wide, (kernel, 1), 0)[0, edge:-edge]
    with np.errstate(divide="ignore", invalid="ignore"):
        done *= (lines.max(axis=-1) / done.max(axis=-1))[..., None]
    logs = np.pad(np.log(np.clip(done, 1e-3, 50.0)), ((0, 0), (0, 0), (2, 2)), mode="edge")
    at = (places + 2.5).astype(np.int64)[..., None]
    here, right, left, further, before = (
        np.take_along_axis(logs, at + step, axis=-1)[..., 0] for step in (0, 1, -1, 2, -2)
    )
    moved = 0.5 * (right - left) / (1e-9 + 0.25 * (further - 2 * here + before))
    return (places - moved).astype(places.dtype)


def _check(array: Any, what: str, least: int) -> None:
    expect(array, np.ndarray, what)
    if array.ndim < least:
        raise FkitValueError(f"{what}, and has the shape {array.shape}.")
