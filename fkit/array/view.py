"""What is predicted of views of an image, flipped or scaled, brought back to it and averaged: for arrays of any library."""

from collections.abc import Sequence
from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError, quoted

__all__ = ["map_labels", "map_scores", "mean"]

_TURNS = ((None, ()), ("horizontal", (3,)), ("vertical", (2,)), ("diagonal", (2, 3)))  # direction -> axes


def mean(arrays: Sequence[Any]) -> Any:
    """The mean of arrays of one shape, summed in their order.

    Example:
        >>> import numpy as np
        >>> mean([np.array([1.0, 2.0]), np.array([3.0, 2.0])]).tolist()
        [2.0, 2.0]
    """
    if not len(arrays):
        raise FkitValueError("the mean of no arrays.")
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total / len(arrays)


def map_scores(xp: Ops, logits: Any, size: Sequence[int], direction: str | None, shape: Sequence[int]) -> Any:
    """What a model says of the pixels of a view, as probabilities of the original image's: what pads the view is cut off, it
    is flipped back, and resized; mmseg's order of these.

    Args:
        xp: the operations of the arrays' library.
        logits: (N, K, H, W) of a padded view.
        size: (height, width) of the view without padding.
        direction: "horizontal", "vertical" or "diagonal" flip of the view; None: it is not flipped.
        shape: (height, width) of the original image.

    Returns:
        (N, K, *shape): a softmax over K, or of one class a sigmoid.

    Raises:
        FkitValueError: there is no such direction.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> logits = np.log([[[[0.2, 0.5, 9.0]], [[0.8, 0.5, 9.0]]]])  # a pixel of each row pads
        >>> map_scores(Numpy(), logits, (1, 2), "horizontal", (1, 2))[0, 0].round(9).tolist()
        [[0.5, 0.2]]
    """
    axes = next((axes for word, axes in _TURNS if word == direction), None)
    if axes is None:
        words = [word for word, _ in _TURNS if word is not None]
        raise FkitValueError(f"flip_direction = {quoted(direction)} of a view.", value=str(direction), choices=words)
    maps = logits[:, :, : size[0], : size[1]]
    if axes:
        maps = xp.flipped(maps, axes)
    if tuple(maps.shape[2:]) != tuple(shape):
        maps = xp.resized(maps, (int(shape[0]), int(shape[1])))
    return xp.softmax(maps, 1) if maps.shape[1] > 1 else xp.sigmoid(maps)


def map_labels(xp: Ops, scores: Any, threshold: float = 0.3) -> Any:
    """The class of each pixel.

    Args:
        xp: the operations of the arrays' library.
        scores: (N, K, H, W).
        threshold: where K is 1: above it a pixel is of class 1, else of 0.

    Returns:
        (N, H, W) whole numbers.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> map_labels(Numpy(), np.array([[[[0.2, 0.4]]]])).tolist()
        [[[0, 1]]]
    """
    if scores.shape[1] > 1:
        return xp.argmax(scores, 1)
    return (scores[:, 0] > threshold) * 1
