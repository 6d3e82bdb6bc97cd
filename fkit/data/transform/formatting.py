"""The last steps of a pipeline: what the model gets, what it is held against, and what only the host keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["ImageToTensor", "PackInputs", "ToTensor", "Transpose", "as_array", "channels_first", "meta_of", "names_of"]

_SPLIT = ("uint8", "uint16", "int16", "int32", "float32", "float64")  # what OpenCV splits into channels
_TARGETS = ("gt_label", "gt_score", "mask")


@dataclass(frozen=True)
class PackInputs(Transform):
    """Pack a sample for `fkit.data.collate`; mmpretrain's PackInputs.

    Args:
        input_key: what the model gets: an image (H, W, C) or (H, W), packed as (C, H, W); or several, packed as a tuple.
        algorithm_keys: packed into ``targets`` beside ``gt_label``, ``gt_score`` and ``mask``, as arrays.
        meta_keys: kept in ``meta`` where the sample has them.

    Returns ``{"inputs": (C, H, W), "targets": {"gt_label": int, ...}, "meta": {...}}``; targets hold those three where the
    sample does.

    Example:
        >>> packed = PackInputs()({"img": np.zeros((8, 6, 3), np.float32), "gt_label": 4, "sample_idx": 0})
        >>> packed["inputs"].shape, dict(packed["targets"])
        ((3, 8, 6), {'gt_label': 4})
    """

    input_key: str = "img"
    algorithm_keys: Sequence[str] = ()
    meta_keys: Sequence[str] = (
        "sample_idx",
        "img_path",
        "ori_shape",
        "img_shape",
        "scale_factor",
        "flip",
        "flip_direction",
    )

    def __post_init__(self) -> None:
        expect(self.input_key, str, "PackInputs: input_key is a name")
        object.__setattr__(self, "algorithm_keys", names_of(self.algorithm_keys, "PackInputs: algorithm_keys"))
        # the sample's number is what metrics tell samples apart by: it is kept whatever else is
        names = ("sample_idx", *names_of(self.meta_keys, "PackInputs: meta_keys"))
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(names)))

    def apply(self, sample: Sample, params: Any) -> Sample:
        if self.input_key not in sample:
            raise FkitKeyError(
                f"the sample has no {self.input_key!r}.", value=self.input_key, choices=sample, label="It has"
            )
        targets = {name: sample[name] for name in _TARGETS if name in sample}
        for name in self.algorithm_keys:
            targets[name] = sample[name]
        img: Any = sample[self.input_key]
        several = isinstance(img, (list, tuple))  # of MultiView, of BEiT's two pictures
        inputs = tuple(channels_first(one) for one in cast("Sequence[Any]", img)) if several else channels_first(img)
        meta = _chosen(sample, self.meta_keys)
        return frozen({"inputs": inputs, "targets": frozen(targets), "meta": meta})


@dataclass(frozen=True)
class ToTensor(Transform):
    """Numbers and lists as arrays; ToTensor of mmcv, mmdet and mmpretrain. A batch's arrays become the backend's later.

    Args:
        keys: of the sample; "a.b" is the key b of the mapping a.

    An array stays; an int becomes (1,) int64, a float (1,) float32, a list an array.

    Raises:
        FkitKeyError: the sample has no such key.
        FkitTypeError: what it holds is no number and no list of numbers.

    Example:
        >>> ToTensor(["gt_label"])({"gt_label": 3})["gt_label"]
        array([3])
    """

    keys: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", names_of(self.keys, "ToTensor: keys"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        for key in self.keys:
            sample = _changed(sample, key.split("."), key)
        return sample


@dataclass(frozen=True)
class ImageToTensor(Transform):
    """Images (H, W, C) or (H, W) as (C, H, W); ImageToTensor of mmcv, mmdet and mmpretrain.

    Args:
        keys: of the sample.

    Example:
        >>> ImageToTensor(["img"])({"img": np.zeros((8, 6, 3))})["img"].shape
        (3, 8, 6)
    """

    keys: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", names_of(self.keys, "ImageToTensor: keys"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        return replaced(sample, **{key: channels_first(sample[key]) for key in self.keys})


@dataclass(frozen=True)
class Transpose(Transform):
    """Arrays with their axes in another order; Transpose of mmdet and mmpretrain.

    Args:
        keys: of the sample.
        order: the axes, each once.

    Example:
        >>> Transpose(["img"], [2, 0, 1])({"img": np.zeros((8, 6, 3))})["img"].shape
        (3, 8, 6)
    """

    keys: Sequence[str]
    order: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", names_of(self.keys, "Transpose: keys"))
        expect(self.order, (list, tuple), "Transpose: order is a list of axes")
        for axis in self.order:
            expect_number(axis, "Transpose: order", whole=True)
        if sorted(self.order) != list(range(len(self.order))):
            raise FkitValueError(f"Transpose: order = {list(self.order)} does not name each axis once, from 0.")
        object.__setattr__(self, "order", tuple(self.order))

    def apply(self, sample: Sample, params: Any) -> Sample:
        turned: dict[str, Any] = {}
        for key in self.keys:
            array: NDArray[Any] = sample[key]
            if np.ndim(array) != len(self.order):
                raise FkitValueError(f"{key} has the shape {np.shape(array)}, and order names {len(self.order)} axes.")
            turned[key] = np.transpose(array, self.order)
        return replaced(sample, **turned)


def names_of(value: Any, what: str) -> tuple[str, ...]:
    """A list of names, checked.

    Raises:
        FkitTypeError: it is none.

    Example:
        >>> names_of(["img"], "Collect: keys")
        ('img',)
    """
    expect(value, (list, tuple), f"{what} is a list of names")
    for name in cast("Sequence[Any]", value):
        expect(name, str, f"{what} are names")
    return tuple(value)


def meta_of(sample: Sample, names: Sequence[str]) -> Mapping[str, Any]:
    """What of a sample stays on the host, of these names, where it has them.

    Example:
        >>> dict(meta_of({"img_id": 7, "img": None}, ("img_id", "flip")))
        {'img_id': 7}
    """
    expect(sample, Mapping, "`sample` is a mapping")
    return _chosen(sample, names_of(names, "`names`"))


def _chosen(sample: Sample, names: Sequence[str]) -> Mapping[str, Any]:
    return frozen({name: sample[name] for name in names if name in sample})


def as_array(value: Any, name: str = "the value") -> NDArray[Any]:
    """A number or a list of numbers as an array; an int as (1,) int64, a float as (1,) float32.

    Raises:
        FkitTypeError: it is neither.

    Example:
        >>> as_array(0.5)
        array([0.5], dtype=float32)
    """
    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value)
    if isinstance(value, int) and not isinstance(value, bool):
        return np.array([value], np.int64)
    if isinstance(value, float):
        return np.array([value], np.float32)
    array: NDArray[Any] = np.asarray(value if isinstance(value, (list, tuple, np.generic)) else None)
    if array.dtype.kind not in "biuf":
        raise FkitTypeError(f"{name} = {quoted(value, 60)} is no number and no list of numbers.")
    return array.astype(np.float32) if array.dtype == np.float64 and isinstance(value, (list, tuple)) else array


def _changed(sample: Mapping[str, Any], path: Sequence[str], whole: str) -> Sample:
    head, *more = path
    if not isinstance(cast(Any, sample), Mapping) or head not in sample:
        raise FkitKeyError(f"the sample has no {whole!r}.", value=whole, choices=sample, label="It has")
    value = _changed(sample[head], more, whole) if more else as_array(sample[head], whole)
    return replaced(sample, **{head: value})


def channels_first(img: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) or (H, W) to (C, H, W), contiguous; any other array as it is.

    Example:
        >>> channels_first(np.zeros((8, 6))).shape
        (1, 8, 6)
    """
    expect(img, np.ndarray, "`img` is an array")
    if img.ndim == 2:
        return img[None]
    if img.ndim != 3:
        return img
    if img.shape[2] not in (3, 4) or not img.size or img.dtype.name not in _SPLIT or not img.flags.c_contiguous:
        return np.ascontiguousarray(img.transpose(2, 0, 1))
    planes = np.empty((img.shape[2], *img.shape[:2]), img.dtype)
    for plane, done in zip(planes, cv2.split(img, list(planes)), strict=True):  # 5 to 25 times as fast as numpy
        if done.ctypes.data != plane.ctypes.data:  # not written where it was told to
            plane[...] = done
    return planes
