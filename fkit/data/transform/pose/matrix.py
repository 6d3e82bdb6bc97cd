"""Matrices that lay a part of an image on the input of a model, and points under them."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.codec.codec import Floats
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["moved", "perspective_matrix", "truncated_normal", "udp_matrix", "warp_matrix"]

_NORMAL = NormalDist()


def warp_matrix(
    centre: Sequence[float] | Floats, scale: Sequence[float] | Floats, degrees: float, size: Sequence[float]
) -> NDArray[np.float64]:
    """The (2, 3) matrix from an image to an input: the box at ``centre``, ``scale[0]`` pixels wide, fills its width.

    Args:
        centre: (x, y) of the box.
        scale: (width, height) of the box.
        degrees: that the box is turned by.
        size: (width, height) of the input.

    Example:
        >>> warp_matrix((4, 4), (8, 8), 0, (4, 4)).round(6).tolist()
        [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    """
    _pairs(centre=centre, scale=scale, size=size)
    expect_number(degrees, "`degrees`")
    angle = np.deg2rad(degrees)
    middle = np.asarray(centre, np.float64)
    way = np.array((np.cos(angle), np.sin(angle)), np.float64) * (float(scale[0]) * -0.5)
    source, target = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    source[0], source[1] = middle, middle + way
    target[0], target[1] = (size[0] * 0.5, size[1] * 0.5), (0, size[1] * 0.5)
    for corners in (source, target):  # the third corner stands at a right angle: so the ratio of the sides is kept
        side = corners[0] - corners[1]
        corners[2] = corners[1] + np.array((-side[1], side[0]))
    return np.asarray(cv2.getAffineTransform(source, target), np.float64)


def udp_matrix(
    centre: Sequence[float] | Floats, scale: Sequence[float] | Floats, degrees: float, size: Sequence[float]
) -> NDArray[np.float32]:
    """`warp_matrix` where pixels are points: the box's last column falls on the input's last (UDP).

    Example:
        >>> udp_matrix((4, 4), (8, 8), 0, (5, 5))[0].tolist()
        [0.5, -0.0, 0.0]
    """
    _pairs(centre=centre, scale=scale, size=size)
    expect_number(degrees, "`degrees`")
    kind = np.result_type(np.asarray(centre), np.asarray(scale), np.float32).type  # float32 stays, as in the reference
    angle = float(np.deg2rad(degrees))
    cos, sin = kind(math.cos(angle)), kind(math.sin(angle))
    (x, y), (wide, high) = np.asarray(centre, kind), np.asarray(scale, kind)
    across, down = kind(size[0] - 1) / wide, kind(size[1] - 1) / high
    half = kind(0.5)
    rows = (
        (cos * across, -sin * across, across * (-x * cos + y * sin + half * wide)),
        (sin * down, cos * down, down * (-x * sin - y * cos + half * high)),
    )
    return np.array(rows, np.float32)


def perspective_matrix(
    centre: Sequence[float] | Floats,
    shift: Sequence[float] | Floats,
    factor: float,
    degrees: float,
    shear: Sequence[float] | Floats,
) -> NDArray[np.float32]:
    """The (3, 3) matrix that scales and turns about ``centre``, then shears, then shifts.

    Args:
        shear: degrees across and down.

    Example:
        >>> perspective_matrix((0, 0), (1, 2), 3.0, 0.0, (0, 0)).tolist()
        [[3.0, 0.0, 1.0], [0.0, 3.0, 2.0], [0.0, 0.0, 1.0]]
    """
    _pairs(centre=centre, shift=shift, shear=shear)
    expect_number(factor, "`factor`")
    expect_number(degrees, "`degrees`")
    x, y = float(centre[0]), float(centre[1])
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = (math.tan(math.radians(float(one))) for one in shear)
    steps = (
        ((1, 0, x + float(shift[0])), (0, 1, y + float(shift[1])), (0, 0, 1)),
        ((1, across, 0), (down, 1, 0), (0, 0, 1)),
        ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1)),
        ((factor, 0, 0), (0, factor, 0), (0, 0, 1)),
        ((1, 0, -x), (0, 1, -y), (0, 0, 1)),
    )
    whole = np.eye(3, dtype=np.float32)
    for step in steps:
        whole = whole @ np.array(step, np.float32)
    return whole


def moved(points: Floats, matrix: Floats) -> Floats:
    """Points (..., 2) under a matrix (2, 3) or (3, 3).

    Example:
        >>> moved(np.array([[1.0, 2.0]]), np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0]])).tolist()
        [[3.0, 4.0]]
    """
    for value, name in ((points, "points"), (matrix, "matrix")):
        expect(value, np.ndarray, f"`{name}` is an array")
    if points.shape[-1] != 2 or matrix.shape not in ((2, 3), (3, 3)):
        raise FkitValueError(f"`points` are (..., 2), not {points.shape}; `matrix` (2, 3) or (3, 3).")
    done = points @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
    if len(matrix) == 3:
        done = done[..., :2] / done[..., 2:]
    return done.astype(points.dtype if points.dtype.kind == "f" else np.float64)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Numbers of the normal distribution, between -1 and 1.

    Example:
        >>> bool((abs(truncated_normal(np.random.default_rng(0), (100,))) <= 1).all())
        True
    """
    expect(rng, np.random.Generator, "`rng` is a numpy Generator")
    expect(shape, tuple, "`shape` is a tuple of whole numbers")
    low = _NORMAL.cdf(-1)
    parts = low + (1 - 2 * low) * rng.random(int(np.prod(shape)))
    return np.array([_NORMAL.inv_cdf(part) for part in parts.tolist()], np.float32).reshape(shape)


def _pairs(**values: Sequence[float] | Floats) -> None:
    for name, value in values.items():
        expect(value, (list, tuple, np.ndarray), f"`{name}` is two numbers")
        if len(value) != 2:
            raise FkitValueError(f"`{name}` is two numbers, not {len(value)}.")
