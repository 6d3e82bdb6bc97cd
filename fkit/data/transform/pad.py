"""Padding below and to the right: to a size, to multiples, to a square."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of, maps_of
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.pad import impad
from fkit.image.refuse import one_of
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Pad"]

_MODES = ("constant", "edge", "reflect", "symmetric")
_FIELDS = ("img", "seg", "masks")
_FILLS = frozen({"img": 0, "seg": 255})


@dataclass(frozen=True)
class Pad(Transform):
    """Pad the picture and what lies over it, below and to the right; mmcv 2.x's and mmdet's Pad.

    Args:
        size: (width, height) to reach; what is larger stays. Or
        size_divisor: both sides become multiples of it. Or
        pad_to_square: both sides become the longer one; then multiples of ``size_divisor``, where that is given too.
        pad_val: of the picture, a number or one a channel; or ``{"img": ..., "seg": ..., "masks": ...}``, where the
            maps' is 255 and the masks' 0 unless said.
        padding_mode: "constant", "edge", "reflect" or "symmetric": `fkit.image.impad`'s; masks are padded with a constant.

    Changes ``img``, ``gt_seg_map`` and the maps of ``seg_fields``, ``gt_masks``. Sets ``img_shape`` (height, width),
    ``pad_shape`` (the array's), ``pad_fixed_size``, ``pad_size_divisor``.

    Example:
        >>> Pad(size_divisor=4)({"img": np.zeros((5, 6, 3), np.uint8)})["img"].shape
        (8, 8, 3)
    """

    size: Sequence[int] | None = None
    size_divisor: int | None = None
    pad_to_square: bool = False
    pad_val: Any = _FILLS
    padding_mode: str = "constant"

    def __post_init__(self) -> None:
        expect(self.pad_to_square, bool, "Pad: pad_to_square is True or False")
        one_of("Pad", "padding_mode", self.padding_mode, _MODES)
        if self.pad_to_square and self.size is not None:
            raise FkitValueError(f"Pad: size = {self.size!r} excludes pad_to_square.")
        if not self.pad_to_square and (self.size is None) == (self.size_divisor is None):
            raise FkitValueError("Pad takes one of size and size_divisor, or pad_to_square.")
        if self.size is not None:
            expect(self.size, (list, tuple), "Pad: size is (width, height)")
            for side in self.size:
                expect_number(side, "Pad: size", whole=True)
            if len(self.size) != 2 or min(self.size) < 1:
                raise FkitValueError(f"Pad: size = {self.size!r} is no (width, height) in pixels.")
            object.__setattr__(self, "size", tuple(self.size))
        if self.size_divisor is not None:
            expect_number(self.size_divisor, "Pad: size_divisor", whole=True)
            if self.size_divisor < 1:
                raise FkitValueError(f"Pad: size_divisor = {self.size_divisor!r} is not 1 or more.")
        object.__setattr__(self, "pad_val", _fills(self.pad_val))

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the answer for an image of ``height`` x ``width``."""
        if self.size is not None:
            return max(self.size[1], height), max(self.size[0], width)
        if self.pad_to_square:
            height = width = max(height, width)
        by = self.size_divisor or 1
        return -(-height // by) * by, -(-width // by) * by

    def apply(self, sample: Sample, params: Any) -> Sample:
        img = image_of(sample)
        high, wide = self.shape(*img.shape[:2])
        done = _padded(img, (high, wide), self.pad_val.get("img", 0), self.padding_mode)
        changes: dict[str, Any] = {
            name: _padded(sample[name], (high, wide), self.pad_val.get("seg", 255), self.padding_mode)
            for name in maps_of(sample)
        }
        if sample.get("gt_masks") is not None:
            changes["gt_masks"] = sample["gt_masks"].pad((high, wide), pad_val=self.pad_val.get("masks", 0))
        return replaced(
            sample,
            img=done,
            img_shape=(high, wide),
            pad_shape=done.shape,
            pad_fixed_size=self.size,
            pad_size_divisor=self.size_divisor,
            **changes,
        )


def _padded(img: NDArray[Any], shape: tuple[int, int], fill: Any, mode: str) -> NDArray[Any]:
    """At least ``shape`` (height, width); the array itself where it has that size."""
    high, wide = max(shape[0], img.shape[0]), max(shape[1], img.shape[1])
    if (high, wide) == img.shape[:2]:
        return img
    if img.ndim == 3 and not isinstance(fill, tuple):
        fill = (fill,) * img.shape[2]
    kind = img.dtype if img.dtype.name not in ("int64", "uint64", "uint32", "bool") else np.dtype(np.int32)
    padded = impad(img.astype(kind, copy=False), shape=(high, wide), pad_val=fill, padding_mode=mode)
    return padded.reshape(high, wide, *img.shape[2:]).astype(img.dtype, copy=False)


def _fills(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        value = {"img": value, "seg": 255}
    fills: dict[str, Any] = {}
    for name, fill in cast("Mapping[Any, Any]", value).items():
        if name not in _FIELDS:
            raise FkitValueError(f"Pad: pad_val has the key {name!r}.", value=str(name), choices=_FIELDS)
        several = isinstance(fill, (list, tuple))
        for one in cast("Sequence[Any]", fill) if several else (fill,):
            expect_number(one, f"Pad: pad_val[{name!r}]")
        fills[name] = tuple(fill) if several else fill
    return frozen(fills)
