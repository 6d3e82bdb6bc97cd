"""Masks of predicted objects, on the host: probabilities inside of boxes become pictures as large as the original image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Numpy
from fkit.array.paste import paste
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["THRESHOLD", "bitmaps", "with_masks"]

THRESHOLD = "mask_threshold"
"""Under what a model says from which probability on a pixel is inside, beside ``pred_instances``."""


def bitmaps(scores: Any, boxes: Any, size: tuple[int, int], threshold: float = 0.5) -> NDArray[np.bool_]:
    """Which pixels of an image objects cover.

    Args:
        scores: (K, h, w) probabilities inside of each box.
        boxes: (K, 4) in pixels of the image.
        size: (height, width) of the image.
        threshold: the least probability.

    Returns:
        (K, height, width) bool.

    Raises:
        FkitTypeError: the shapes do not fit.

    Example:
        >>> bitmaps(np.ones((1, 2, 2)), np.array([[1.0, 0, 3, 2]]), (3, 4))[0].astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    maps, places = (np.asarray(one, np.float32) for one in (scores, boxes))
    if maps.ndim != 3 or places.shape != (len(maps), 4):
        raise FkitTypeError(f"masks are (K, h, w) inside of boxes (K, 4), not {maps.shape} and {places.shape}.")
    whole = np.zeros((len(maps), *size), np.bool_)
    for at, (one, box) in enumerate(zip(maps, places, strict=True)):
        if not np.isfinite(box).all():
            continue
        # outside of the box and a pixel about it nothing is covered
        left, top = (max(int(np.floor(edge)) - 1, 0) for edge in box[:2])
        right, bottom = (min(int(np.ceil(edge)) + 1, side) for edge, side in zip(box[2:], size[::-1], strict=True))
        if right <= left or bottom <= top:
            continue
        part = paste(Numpy(), one[None], box[None], (bottom - top, right - left), (top, left))[0]
        whole[at, top:bottom, left:right] = part >= threshold
    return whole


def with_masks(
    said: Mapping[str, Any], size: tuple[int, int] | None = None, code: Callable[[NDArray[np.bool_]], Any] | None = None
) -> Mapping[str, Any]:
    """What is predicted of one image, with ``masks`` in the place of ``mask_scores`` inside of boxes.

    Args:
        said: without an axis of images; where no masks are to be made, it comes back as it is.
        size: (height, width) of the original image; None: as ``said["ori_shape"]`` says.
        code: what is made of each bitmap (H, W); None: they are stacked, (K, H, W).

    Example:
        >>> objects = {"bboxes": np.array([[0, 0, 2, 2.0]]), "mask_scores": np.ones((1, 2, 2))}
        >>> with_masks({"pred_instances": objects}, (2, 3))["pred_instances"]["masks"].shape
        (1, 2, 3)
    """
    expect(said, Mapping, "`said` is a mapping: what is predicted of an image")
    group: Any = said.get("pred_instances")
    scores: Any = group.get("mask_scores") if isinstance(group, Mapping) else None
    if scores is None or np.ndim(scores) != 3:
        return said
    size = _size(said) if size is None else size
    threshold = float(np.asarray(said.get(THRESHOLD, 0.5)))
    fields = {name: value for name, value in cast("Mapping[str, Any]", group).items() if name != "mask_scores"}
    masks: Any
    if code is not None:
        pairs = zip(np.asarray(scores), np.asarray(fields["bboxes"]), strict=True)
        masks = [code(bitmaps(one[None], box[None], size, threshold)[0]) for one, box in pairs]
    else:
        masks = bitmaps(scores, fields["bboxes"], size, threshold)
    others = {name: value for name, value in said.items() if name != THRESHOLD}
    return {**others, "pred_instances": {**fields, "masks": masks}}


def _size(said: Mapping[str, Any]) -> tuple[int, int]:
    shape: Any = said.get("ori_shape")
    if shape is None or len(cast("Sequence[Any]", shape)) < 2:
        raise FkitTypeError(
            f"masks are of the original image's size, and ori_shape is {quoted(shape)}.",
            repair="Let the pipeline pack it: PackDetInputs(meta_keys=('ori_shape', ...)).",
        )
    return int(shape[0]), int(shape[1])
