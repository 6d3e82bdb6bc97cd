"""Boxes (x1, y1, x2, y2): moved, mirrored, cut, in other words; on numpy, torch and jax.numpy arrays alike."""

from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "DIRECTIONS",
    "area",
    "corners",
    "flipped",
    "from_centres",
    "holds",
    "hull",
    "inside",
    "projected",
    "rescale",
    "resized",
    "scaled",
    "to_centres",
]

DIRECTIONS = ("horizontal", "vertical", "diagonal")


def rescale(boxes: Any, scale_factor: Any) -> Any:
    """Boxes of resized images in the coordinates of the original ones.

    Args:
        boxes: (..., 4) of one image; or (N, ..., 4) of N, a row each.
        scale_factor: (2,) by how much width and height were multiplied, as ``targets["scale_factor"]`` of a sample has it;
            or (N, 2) of N images.

    Returns:
        boxes of the same shape.

    Raises:
        FkitTypeError: these are no arrays of such shapes.

    Example:
        >>> import numpy as np
        >>> rescale(np.array([[10.0, 20.0, 30.0, 40.0]]), np.array([2.0, 4.0])).tolist()
        [[5.0, 5.0, 15.0, 10.0]]
    """
    shape, factors = _shape(boxes), _shape(scale_factor)
    if not shape or shape[-1] != 4 or len(factors) not in (1, 2) or factors[-1] != 2:
        raise FkitTypeError(
            f"rescale: boxes are an array (..., 4) and scale_factor one (2,) or (N, 2), not {quoted(boxes, 60)} and"
            f" {quoted(scale_factor, 60)}."
        )
    if len(factors) == 2 and (len(shape) < 2 or factors[0] != shape[0]):
        raise FkitTypeError(f"rescale: scale_factor of {factors[0]} images for boxes of shape {tuple(shape)}.")
    corners = boxes.reshape((*shape[:-1], 2, 2))
    if len(factors) == 2:
        scale_factor = scale_factor.reshape((factors[0], *(1 for _ in shape[1:]), 2))
    return (corners / scale_factor).reshape(tuple(shape))


def area(boxes: Any) -> Any:
    """(...,) of boxes (..., 4): width times height.

    Example:
        >>> import numpy as np
        >>> area(np.array([[0, 0, 3, 2]])).tolist()
        [6]
    """
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def flipped(xp: Ops, boxes: Any, shape: Any, direction: str = "horizontal") -> Any:
    """Boxes in the mirrored image.

    Args:
        boxes: (..., 4), or (..., K * 4) of K each.
        shape: (height, width) of the image, numbers.
        direction: "horizontal", "vertical" or "diagonal", which is both.

    Raises:
        FkitValueError: there is no such direction.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> flipped(Numpy(), np.array([[1.0, 2, 3, 5]]), (10, 20)).tolist()
        [[17.0, 2.0, 19.0, 5.0]]
    """
    if direction not in DIRECTIONS:
        what = f"boxes are flipped in the direction {quoted(direction)}, which is none."
        raise FkitValueError(what, value=str(direction), choices=DIRECTIONS, label="Directions")
    each = boxes.reshape((*boxes.shape[:-1], boxes.shape[-1] // 4, 4))
    left, top, right, bottom = (each[..., side] for side in range(4))
    if direction != "vertical":
        left, right = shape[1] - right, shape[1] - left
    if direction != "horizontal":
        top, bottom = shape[0] - bottom, shape[0] - top
    return xp.lib.stack([left, top, right, bottom], -1).reshape(tuple(boxes.shape))


def to_centres(xp: Ops, boxes: Any) -> Any:
    """(..., 4) corners as (centre x, centre y, width, height)."""
    return xp.lib.concat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


def from_centres(xp: Ops, boxes: Any) -> Any:
    """(..., 4) of (centre x, centre y, width, height) as corners: the inverse of `to_centres`."""
    centre, half = boxes[..., :2], 0.5 * boxes[..., 2:]
    return xp.lib.concat([centre - half, centre + half], axis=-1)


def scaled(xp: Ops, boxes: Any, factor: Any) -> Any:
    """Boxes (..., 4) of an image whose width and height are multiplied by ``factor``, two numbers."""
    return boxes * xp.asarray((factor[0], factor[1]) * 2, boxes)


def resized(xp: Ops, boxes: Any, factor: Any) -> Any:
    """Boxes (..., 4) whose own width and height are multiplied by ``factor``, two numbers, about their centres."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = 0.5 * ((boxes[..., 2:] - boxes[..., :2]) * xp.asarray((factor[0], factor[1]), boxes))
    return xp.lib.concat([centre - half, centre + half], axis=-1)


def corners(xp: Ops, boxes: Any) -> Any:
    """(..., 4, 2) points of boxes (..., 4): upper left, upper right, lower left, lower right."""
    left, top, right, bottom = (boxes[..., side] for side in range(4))
    both = xp.lib.stack([left, top, right, top, left, bottom, right, bottom], -1)
    return both.reshape((*boxes.shape[:-1], 4, 2))


def hull(xp: Ops, points: Any) -> Any:
    """(..., 4): the smallest box around points (..., K, 2)."""
    return xp.lib.concat([xp.lib.amin(points, -2), xp.lib.amax(points, -2)], axis=-1)


def projected(xp: Ops, boxes: Any, matrix: Any) -> Any:
    """Boxes (..., 4) around what a projective map makes of their corners; ``matrix`` (3, 3), or (2, 3) if affine."""
    points = corners(xp, boxes)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return hull(xp, moved[..., :2] / moved[..., 2:] if len(matrix) == 3 else moved)


def inside(boxes: Any, shape: Any, border: float = 0, whole: bool = False) -> Any:
    """(...,) bool: which boxes (..., 4) lie in an image, with some part of theirs or as a whole.

    Args:
        shape: (height, width), numbers.
        border: by how much the image counts as greater on each side.
        whole: no part may be outside.

    Example:
        >>> import numpy as np
        >>> inside(np.array([[-5.0, 0, 5, 5], [-5, 0, -1, 5]]), (10, 10)).tolist()
        [True, False]
    """
    left, top, right, bottom = (boxes[..., side] for side in range(4))
    height, width = shape[0] + border, shape[1] + border
    if whole:
        return (left >= -border) & (top >= -border) & (right < width) & (bottom < height)
    return (left < width) & (top < height) & (right > -border) & (bottom > -border)


def holds(boxes: Any, points: Any, aligned: bool = False) -> Any:
    """(M, N) bool: whether each point (M, 2) lies in each box (N, 4), its border included; (N,) where aligned."""
    if not aligned:
        boxes, points = boxes[None], points[:, None]
    x, y = points[..., 0], points[..., 1]
    return (x >= boxes[..., 0]) & (x <= boxes[..., 2]) & (y >= boxes[..., 1]) & (y <= boxes[..., 3])


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(getattr(array, "shape", ()))
