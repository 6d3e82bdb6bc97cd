"""Maps of classes, on the host: logits of what a network was given become labels of the original image's pixels."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.ops import Numpy
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["RULE", "stretched", "with_maps"]

RULE = "seg_rule"
"""Under what a segmentor says how its logits are resized, beside ``seg_logits``: whether corners are aligned, and from which
probability on a pixel is of the one class."""

_AXES: Mapping[str, tuple[int, ...]] = frozendict(horizontal=(2,), vertical=(1,), diagonal=(1, 2))


def stretched(maps: NDArray[Any], size: tuple[int, int], align_corners: bool = False) -> NDArray[Any]:
    """Maps (K, H, W) in another (height, width), bilinear, as torch's ``interpolate``.

    Example:
        >>> stretched(np.array([[[0.0, 3.0]]]), (1, 4), True).tolist()
        [[[0.0, 1.0, 2.0, 3.0]]]
    """
    if maps.shape[1:] == size:
        return maps
    if not align_corners:
        return Numpy().resized(maps[None], size)[0]
    for axis in (1, 2):
        length, out = maps.shape[axis], size[axis - 1]
        place = np.arange(out) * ((length - 1) / (out - 1) if out > 1 else 0.0)
        low = np.minimum(np.floor(place).astype(np.int64), length - 1)
        share = (place - low).astype(maps.dtype).reshape(-1, *(1,) * (2 - axis))
        after = np.minimum(low + 1, length - 1)
        maps = np.take(maps, low, axis) * (1 - share) + np.take(maps, after, axis) * share
    return maps


def with_maps(said: Mapping[str, Any], size: tuple[int, int] | None = None) -> Mapping[str, Any]:
    """What is predicted of one image, with ``seg_logits`` and ``pred_sem_seg`` of the original image: without what pads it,
    flipped back, resized, and labels by the greatest. ``gt_sem_seg`` that is padded with the image is cut likewise.

    Args:
        said: without an axis of images; where there are no logits with a rule beside them, it comes back as it is.
        size: (height, width) of the original image; None: as ``said["ori_shape"]`` says, else that of the logits.

    Example:
        >>> logits = np.array([[[0.0, 0.0]], [[-1.0, 1.0]]])
        >>> with_maps({"seg_logits": logits, "seg_rule": [0.0, 0.3]}, (1, 4))["pred_sem_seg"].tolist()
        [[0, 0, 1, 1]]
    """
    expect(said, Mapping, "`said` is a mapping: what is predicted of an image")
    logits: Any = said.get("seg_logits")
    rule: Any = said.get(RULE)
    if logits is None or rule is None:
        return said
    maps: NDArray[Any] = np.asarray(logits)
    numbers: NDArray[Any] = np.asarray(rule)
    if maps.ndim != 3 or numbers.shape != (2,):
        raise FkitTypeError(f"seg_logits are (K, H, W) and seg_rule two numbers, not {maps.shape} and {numbers.shape}.")
    height, width = _size(said.get("img_shape")) or maps.shape[1:]
    plain = not said.get("flip") and (height, width) == maps.shape[1:]
    target = _size(said.get("ori_shape")) if size is None else size
    others = {name: value for name, value in said.items() if name != RULE}
    if plain and target in (None, maps.shape[1:]) and np.ndim(cast("Any", said.get("pred_sem_seg"))) == 2:
        return others
    truth: Any = said.get("gt_sem_seg")
    if np.shape(truth)[-2:] == maps.shape[1:]:  # padded as the image is
        others["gt_sem_seg"] = np.asarray(truth)[..., :height, :width]
    maps = maps[:, :height, :width]
    if said.get("flip"):
        maps = np.flip(maps, _axes(said.get("flip_direction")))
    maps = stretched(maps, maps.shape[1:] if target is None else target, bool(numbers[0]))
    if maps.shape[0] > 1:
        labels = maps.argmax(0)
    else:
        labels = (Numpy().sigmoid(maps[0]) > numbers[1]).astype(np.int64)
    return {**others, "seg_logits": maps, "pred_sem_seg": labels}


def _size(shape: Any) -> tuple[int, int] | None:
    if shape is None or len(cast("Sequence[Any]", shape)) < 2:
        return None
    return int(shape[0]), int(shape[1])


def _axes(direction: Any) -> tuple[int, ...]:
    if direction not in _AXES:
        raise FkitTypeError(f"flip_direction={quoted(direction)}, but it is one of {', '.join(_AXES)}.")
    return _AXES[direction]
