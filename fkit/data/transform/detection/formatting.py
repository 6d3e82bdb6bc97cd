"""The last step of MMDetection's pipelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.formatting import channels_first, meta_of, names_of
from fkit.data.transform.transform import Sample, Transform
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["PackDetInputs", "PackReIDInputs", "detection_targets"]

_FIELDS = (("gt_bboxes", "bboxes"), ("gt_bboxes_labels", "labels"), ("gt_masks", "masks"))


@dataclass(frozen=True)
class PackDetInputs(Transform):
    """Pack a sample of detection or segmentation of instances for `fkit.data.collate`; mmdet's PackDetInputs.

    Args:
        meta_keys: kept in ``meta`` where the sample has them, and ``sample_idx``.

    Returns ``{"inputs": (C, H, W), "targets": {...}, "meta": {...}}``; targets are those of `detection_targets`.

    Example:
        >>> sample = {"img": np.zeros((8, 6, 3), np.uint8), "gt_bboxes": np.zeros((2, 4), np.float32)}
        >>> packed = PackDetInputs()({**sample, "gt_ignore_flags": np.array([False, True]), "img_id": 7})
        >>> packed["inputs"].shape, packed["targets"]["gt_instances"]["bboxes"].shape, dict(packed["meta"])
        ((3, 8, 6), (1, 4), {'img_id': 7})
    """

    meta_keys: Sequence[str] = (
        "img_id",
        "img_path",
        "ori_shape",
        "img_shape",
        "scale_factor",
        "flip",
        "flip_direction",
    )

    def __post_init__(self) -> None:
        names = ("sample_idx", *names_of(self.meta_keys, "PackDetInputs: meta_keys"))
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(names)))

    def apply(self, sample: Sample, params: Any) -> Sample:
        packed: dict[str, Any] = {}
        if "img" in sample:
            packed["inputs"] = channels_first(sample["img"])
        packed["targets"] = detection_targets(sample)
        packed["meta"] = meta_of(sample, self.meta_keys)
        return frozen(packed)


@dataclass(frozen=True)
class PackReIDInputs(Transform):
    """Pack the pictures of one identity for `fkit.data.collate`; mmdet's PackReIDInputs.

    Args:
        meta_keys: kept in ``meta`` beside img_path, ori_shape, img_shape, scale and scale_factor.

    ``img`` is one image (H, W, C) or a list of N, ``gt_label`` a number or a list of them. Returns ``inputs`` (N, C, H, W),
    ``targets`` ``{"gt_label": (N,) int64}``, ``meta``.

    Example:
        >>> PackReIDInputs()({"img": np.zeros((8, 6, 3)), "gt_label": 4})["inputs"].shape
        (1, 3, 8, 6)
    """

    meta_keys: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        more = (self.meta_keys,) if isinstance(self.meta_keys, str) else self.meta_keys
        names = names_of(more, "PackReIDInputs: meta_keys")
        known = ("sample_idx", "img_path", "ori_shape", "img_shape", "scale", "scale_factor")
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys((*known, *names))))

    def apply(self, sample: Sample, params: Any) -> Sample:
        images: Any = sample["img"]
        several = cast("Sequence[NDArray[Any]]", images if isinstance(images, (list, tuple)) else (images,))
        inputs = np.stack([channels_first(img) for img in several])
        label = np.atleast_1d(np.asarray(sample["gt_label"], np.int64))
        meta = meta_of(sample, cast("tuple[str, ...]", self.meta_keys))
        return frozen({"inputs": inputs, "targets": frozen({"gt_label": label}), "meta": meta})


def detection_targets(
    sample: Sample, fields: Sequence[tuple[str, str]] = _FIELDS, maps: bool = True
) -> Mapping[str, Any]:
    """What a detector is held against, as arrays nested as in mmdet's DetDataSample.

    Args:
        sample: with ``gt_bboxes`` (N, 4), ``gt_bboxes_labels`` (N,), ``gt_masks``, ``gt_ignore_flags`` (N,),
            ``gt_seg_map`` (H, W), ``proposals`` (P, 4) as far as they are there.
        fields: (key of the sample, name among the instances).
        maps: whether ``gt_seg_map`` is packed.

    Returns:
        ``gt_instances`` and ``ignored_instances`` ``{"bboxes", "labels", "masks": (N, H, W) uint8}``, ``proposals``
        ``{"bboxes", "scores"}``, ``gt_sem_seg`` (H, W), each where the sample has it; ``img_shape`` and ``ori_shape``
        (2,) int64 (height, width), ``scale_factor`` (2,) float32 (width, height).

    Raises:
        FkitValueError: the sample's objects differ in number.

    Example:
        >>> targets = detection_targets({"gt_bboxes_labels": np.array([3, 1]), "img_shape": (8, 6)})
        >>> targets["gt_instances"]["labels"].tolist(), targets["ori_shape"].tolist()
        ([3, 1], [8, 6])
    """
    expect(sample, Mapping, "`sample` is a mapping")
    expect(fields, (list, tuple), "`fields` is a list of pairs of names")
    targets: dict[str, Any] = {}
    there = {name: sample[key] for key, name in fields if key in sample}
    if there:
        count = {name: len(value) for name, value in there.items()}
        if "gt_ignore_flags" in sample:
            count["ignore_flags"] = len(sample["gt_ignore_flags"])
        if len(set(count.values())) > 1:
            raise FkitValueError(f"the sample's objects differ in number: {count}.")
        flags = sample.get("gt_ignore_flags", np.zeros(next(iter(count.values())), bool)).astype(bool)
        targets["gt_instances"] = frozen({name: _rows(value, ~flags) for name, value in there.items()})
        targets["ignored_instances"] = frozen({name: _rows(value, flags) for name, value in there.items()})
    if "proposals" in sample:
        boxes = sample["proposals"]
        scores = sample.get("proposals_scores", np.zeros(len(boxes), np.float32))
        targets["proposals"] = frozen({"bboxes": boxes, "scores": scores})
    if maps and "gt_seg_map" in sample:
        targets["gt_sem_seg"] = sample["gt_seg_map"]
    return frozen({**targets, **_sizes(sample)})


def _rows(value: Any, kept: NDArray[np.bool_]) -> NDArray[Any]:
    """Some of the objects of an array or of masks, as an array."""
    if isinstance(value, np.ndarray):
        return value[kept]
    if not hasattr(value, "to_ndarray"):
        raise FkitTypeError(f"the objects of a sample are arrays or masks, not a {type(value).__name__}.")
    return np.asarray(value[kept].to_ndarray()).astype(np.uint8, copy=False)


def _sizes(sample: Sample) -> dict[str, NDArray[Any]]:
    img: Any = sample.get("img")
    shape: Any = sample.get("img_shape", None if img is None else np.shape(img)[:2])
    if shape is None:
        raise FkitKeyError("the sample has neither 'img' nor 'img_shape'.", choices=sample, label="It has")
    factor: Any = sample.get("scale_factor", 1.0)
    return {
        "img_shape": np.array(shape[:2], np.int64),
        "ori_shape": np.array(sample.get("ori_shape", shape)[:2], np.int64),
        "scale_factor": np.broadcast_to(np.asarray(factor, np.float32).ravel()[:2], (2,)).copy(),
    }
