"""Maps of keypoints: Gaussians, discs with offsets, displacements from a root."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fkit.data.codec.codec import Floats
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["PLACES", "displacement_maps", "gaussian_maps", "offset_maps"]

PLACES = ("pixel", "near", "exact")
"""Where a Gaussian's centre is: on a whole pixel (MSRA), at the keypoint within a window of whole pixels (UDP), at the
keypoint with no window (DARK)."""


def gaussian_maps(
    size: tuple[int, int], keypoints: Floats, visible: Floats, sigma: float | Sequence[float] | Floats, place: str
) -> tuple[Floats, Floats]:
    """A Gaussian of height 1 at each keypoint that is seen; where persons meet, the higher.

    Args:
        size: (width, height) of the maps.
        keypoints: (N, K, 2) in pixels of the maps.
        visible: (N, K); at least 0.5 is seen.
        sigma: in pixels of the maps; or one a person.
        place: one of `PLACES`.

    Returns:
        (K, H, W) float32, and the weights (N, K): ``visible``, 0 where a Gaussian would be outside.

    Example:
        >>> maps, weights = gaussian_maps((3, 1), np.array([[[1.0, 0.0]]]), np.ones((1, 1)), 0.5, "exact")
        >>> (maps * 100).astype(int).tolist(), weights.tolist()
        ([[[13, 100, 13]]], [[1.0]])
    """
    for value, name in ((keypoints, "keypoints"), (visible, "visible")):
        expect(value, np.ndarray, f"`{name}` is an array")
    if place not in PLACES:
        raise FkitValueError(f"`place` = {place!r} is unknown.", value=place, choices=PLACES)
    width, height = size
    persons, count = keypoints.shape[:2]
    sigmas = np.broadcast_to(np.asarray(sigma, np.float64), (persons,))
    maps = np.zeros((count, height, width), np.float32)
    weights = visible.copy()
    for person in range(persons):
        spread = max(float(sigmas[person]), 1e-3)  # of a person of no size: one pixel
        centre, low, high = _window(keypoints[person], spread, place)
        seen = visible[person] >= 0.5
        outside = (low >= (width, height)).any(axis=1) | (high < 0).any(axis=1)
        weights[person, seen & outside] = 0
        seen &= ~outside
        across, down = (
            _profile(centre[:, axis], low[:, axis], high[:, axis], side, spread, place)
            for axis, side in enumerate((width, height))
        )
        shown = down[:, :, None] * across[:, None, :]
        shown[~seen] = 0
        np.maximum(maps, shown, out=maps)
    return maps, weights


def _window(points: Floats, sigma: float, place: str) -> tuple[Floats, Floats, Floats]:
    """The centres, and from where to where the Gaussians reach, (K, 2) each."""
    radius = sigma * 3
    if place == "exact":
        return points, points - radius, points + radius + 1
    pixel = (points + 0.5).astype(np.int64)
    low, high = (pixel - radius).astype(np.int64), (pixel + radius + 1).astype(np.int64)
    centre = low + (2 * radius + 1) // 2
    return centre + (points - pixel if place == "near" else 0), low, high


def _profile(centre: Floats, low: Floats, high: Floats, side: int, sigma: float, place: str) -> NDArray[np.float32]:
    """Gaussians along one axis, (K, side)."""
    pixels = np.arange(side)
    line = np.exp(-((pixels - centre[:, None]) ** 2) / (2 * sigma**2))
    if place != "exact":
        line[(pixels < low[:, None]) | (pixels >= high[:, None])] = 0
    return line.astype(np.float32)


def offset_maps(
    size: tuple[int, int], keypoints: Floats, visible: Floats, radius_factor: float
) -> tuple[Floats, Floats]:
    """Three maps a keypoint: a disc, and the way to the keypoint across and down in parts of the disc's radius.

    Args:
        size: (width, height) of the maps.
        keypoints: (N, K, 2) in pixels of the maps.
        visible: (N, K).
        radius_factor: the disc's radius in parts of the longer side.

    Returns:
        (K * 3, H, W) float32, and the weights (N, K).

    Example:
        >>> offset_maps((3, 1), np.array([[[1.0, 0.0]]]), np.ones((1, 1)), 1 / 3)[0].tolist()
        [[[1.0, 1.0, 1.0]], [[1.0, 0.0, -1.0]], [[0.0, 0.0, 0.0]]]
    """
    for value, name in ((keypoints, "keypoints"), (visible, "visible")):
        expect(value, np.ndarray, f"`{name}` is an array")
    width, height = size
    persons, count = keypoints.shape[:2]
    radius = radius_factor * max(size)
    maps = np.zeros((count, 3, height, width), np.float32)
    for person in range(persons):
        seen = visible[person] >= 0.5
        points = keypoints[person, seen]
        shape = (len(points), height, width)
        across = np.broadcast_to((points[:, 0, None, None] - np.arange(width)) / radius, shape)
        down = np.broadcast_to((points[:, 1, None, None] - np.arange(height)[:, None]) / radius, shape)
        maps[seen] = np.stack((across**2 + down**2 <= 1, across, down), axis=1)
    return maps.reshape(count * 3, height, width), visible.copy()


def displacement_maps(
    size: tuple[int, int],
    keypoints: Floats,
    visible: Floats,
    roots: Floats,
    roots_visible: Floats,
    lengths: Floats,
    radius: float,
) -> tuple[Floats, Floats]:
    """About each person's root, the ways from each pixel to the keypoints; where persons meet, the smaller's.

    Args:
        size: (width, height) of the maps.
        keypoints, visible: (N, K, 2) in pixels of the maps, (N, K).
        roots, roots_visible: (N, 2), (N,).
        lengths: (N,) diagonals of the persons, in pixels of the maps.
        radius: of the square about a root.

    Returns:
        The ways (K * 2, H, W) and their weights, 1 over the diagonal, 0 elsewhere.

    Example:
        >>> ways, weights = displacement_maps((2, 1), np.array([[[1.0, 0.0]]]), np.ones((1, 1)), np.zeros((1, 2)), np.ones(1), np.full(1, 2.0), 1)
        >>> ways.tolist(), weights.tolist()
        ([[[1.0, 0.0]], [[0.0, 0.0]]], [[[0.5, 0.0]], [[0.5, 0.0]]])
    """
    for value, name in ((keypoints, "keypoints"), (visible, "visible"), (roots, "roots"), (lengths, "lengths")):
        expect(value, np.ndarray, f"`{name}` is an array")
    width, height = size
    persons, count = keypoints.shape[:2]
    ways = np.zeros((count, 2, height, width), np.float32)
    weights = np.zeros_like(ways)
    sizes = np.zeros((height, width), np.float32)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    inside = np.logical_and((keypoints >= 0).all(axis=2), (keypoints < size).all(axis=2))
    for person in range(persons):
        root = roots[person]
        if roots_visible[person] < 1 or (root < 0).any() or (root >= size).any():
            continue
        left, top = (max(int(one - radius), 0) for one in root)
        right, bottom = (min(int(one + radius), side) for one, side in zip(root, size, strict=True))
        area = np.s_[top:bottom, left:right]
        for k in range(count):
            if visible[person, k] < 1 or not inside[person, k]:
                continue
            taken = (ways[k, :, top:bottom, left:right] != 0).any(axis=0) & (lengths[person] > sizes[area])
            way = (keypoints[person, k, 0] - columns[area], keypoints[person, k, 1] - rows[area])
            for axis in range(2):
                ways[k, axis][area] = np.where(taken, ways[k, axis][area], way[axis])
                weights[k, axis][area] = np.where(taken, weights[k, axis][area], 1 / lengths[person])
            sizes[area] = np.where(taken, sizes[area], lengths[person])
    return ways.reshape(count * 2, height, width), weights.reshape(count * 2, height, width)
