"""Boxes (x1, y1, x2, y2), by operators alone: for numpy, torch and jax.numpy arrays alike."""

from typing import Any

from fkit.tree.error import FkitTypeError, quoted

__all__ = ["rescale"]


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


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(getattr(array, "shape", ()))
