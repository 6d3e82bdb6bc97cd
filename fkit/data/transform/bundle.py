"""The last steps of the pipelines of mmcv 1.x's time: mmdet 2.x, mmseg 0.x, mmcls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fkit.data.transform.detection.formatting import detection_targets
from fkit.data.transform.formatting import as_array, channels_first, names_of
from fkit.data.transform.pad import Pad
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError
from fkit.tree.frozen import frozen

__all__ = ["Collect", "DefaultFormatBundle", "OuterPad", "ToDataContainer", "ToHalf"]

# old names of what a sample holds
_OBJECTS = (("gt_bboxes", "bboxes"), ("gt_labels", "labels"), ("gt_masks", "masks"))
_HERE: Mapping[str, str] = frozen(
    {
        "gt_labels": "gt_bboxes_labels",
        "gt_semantic_seg": "gt_seg_map",
        "filename": "img_path",
        "image_file": "img_path",
        "flip_pairs": "flip_indices",
    }
)
_MAPS = ("gt_semantic_seg", "gt_seg_map")
_KEPT = ("sample_idx", "img_id", "img_path")


@dataclass(frozen=True)
class OuterPad(Pad):
    """Pad of mmdet 2.x and mmseg 0.x: ``img_shape`` stays that of the picture inside, to which boxes are clipped.

    Arguments as those of `fkit.data.transform.pad.Pad`, which says how it was padded in ``pad_shape`` too.

    Example:
        >>> padded = OuterPad(size_divisor=4)({"img": np.zeros((5, 6, 3), np.uint8), "img_shape": (5, 6)})
        >>> padded["img_shape"], padded["pad_shape"]
        ((5, 6), (8, 8, 3))
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        return replaced(super().apply(sample, params), img_shape=sample.get("img_shape", sample["img"].shape[:2]))


@dataclass(frozen=True)
class DefaultFormatBundle(Transform):
    """The image as (C, H, W), float32 unless told otherwise, maps as int64; DefaultFormatBundle of mmdet 2.x and mmseg 0.x.

    Args:
        img_to_float: whether an image of whole numbers becomes float32.
        pad_val: what images, masks and maps of one batch are filled up with: kept for the collate function.

    Sets ``pad_shape``, ``scale_factor`` and ``img_norm_cfg`` where the pipeline has not.

    Example:
        >>> DefaultFormatBundle()({"img": np.zeros((8, 6, 3), np.uint8)})["img"].shape
        (3, 8, 6)
    """

    img_to_float: bool = True
    pad_val: Mapping[str, float] = frozen({"img": 0, "masks": 0, "seg": 255})

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.pad_val, Mapping, "DefaultFormatBundle: pad_val is a mapping with img, masks and seg")
        object.__setattr__(self, "pad_val", frozen(self.pad_val))

    def apply(self, sample: Sample, params: Any) -> Sample:
        done: dict[str, Any] = {**sample}
        if "img" in sample:
            img = sample["img"]
            channels = img.shape[2] if img.ndim == 3 else 1
            done.setdefault("pad_shape", img.shape)
            done.setdefault("scale_factor", (1.0, 1.0))
            plain = {"mean": (0.0,) * channels, "std": (1.0,) * channels, "to_rgb": False}
            done.setdefault("img_norm_cfg", frozen(plain))
            if self.img_to_float and img.dtype.kind != "f":
                img = img.astype(np.float32)
            done["img"] = channels_first(img)
        for key in _MAPS:
            if key in sample:
                done[key] = np.asarray(sample[key]).astype(np.int64)
        return frozen(done)


@dataclass(frozen=True)
class Collect(Transform):
    """Pack what is named, for `fkit.data.collate`; Collect of mmdet 2.x, mmseg 0.x and mmcls.

    Args:
        keys: ``img`` is what the model gets, (C, H, W) as the steps before left it; the others are what it is held against,
            under the names of that time or of today: gt_bboxes, gt_labels, gt_masks, gt_bboxes_ignore, gt_semantic_seg,
            proposals, gt_label, ...
        meta_keys: kept in ``meta`` where the sample has them, with the sample's number, ``img_id`` and ``img_path``.
        optional_keys: packed like ``keys`` where the sample has them: what test images are measured against.

    Returns ``{"inputs", "targets", "meta"}`` with targets as PackDetInputs, PackSegInputs and PackInputs nest them; those of an
    image alone are its sizes, by which a detector brings boxes back to the original image.

    Raises:
        FkitKeyError: the sample has no such key.

    Example:
        >>> sample = {"img": np.zeros((3, 8, 6)), "gt_bboxes": np.zeros((2, 4)), "gt_bboxes_labels": np.array([1, 0])}
        >>> packed = Collect(["img", "gt_bboxes", "gt_labels"])(sample)
        >>> packed["inputs"].shape, packed["targets"]["gt_instances"]["labels"].tolist()
        ((3, 8, 6), [1, 0])
    """

    keys: Sequence[str]
    meta_keys: Sequence[str] = (
        "filename",
        "ori_filename",
        "ori_shape",
        "img_shape",
        "pad_shape",
        "scale_factor",
        "flip",
        "flip_direction",
        "img_norm_cfg",
    )
    optional_keys: Sequence[str] = ()

    def __post_init__(self) -> None:
        for word in ("keys", "meta_keys", "optional_keys"):
            object.__setattr__(self, word, names_of(getattr(self, word), f"Collect: {word}"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        keys = (*self.keys, *(key for key in self.optional_keys if _HERE.get(key, key) in sample))
        packed: dict[str, Any] = {}
        if "img" in keys:
            packed["inputs"] = _there(sample, "img")
        targets: dict[str, Any] = {}
        objects = tuple((_HERE.get(key, key), name) for key, name in _OBJECTS if {key, _HERE.get(key, key)} & {*keys})
        if objects or ("img" in keys and not {*keys} - {"img", "proposals"}):  # an image alone may be a detector's
            for key, _ in objects:
                _there(sample, key)
            sized = {"img_shape": np.shape(_there(sample, "img"))[-2:], **sample}
            sized.pop("proposals", None)  # named among the keys, or not packed
            targets |= detection_targets(sized, objects, maps=False)
        for key in dict.fromkeys(keys):
            name = _HERE.get(key, key)
            if key == "proposals":
                targets[key] = frozen({"bboxes": _there(sample, key), "scores": _scores(sample)})
            elif key in _MAPS:
                targets["gt_sem_seg"] = np.asarray(_there(sample, name)).astype(np.int64)
            elif key == "gt_label":
                targets[key] = _number(_there(sample, key))
            elif key not in ("img", "gt_bboxes_ignore") and all(name != known for known, _ in objects):
                targets[key] = as_array(_there(sample, name), key)
        packed["targets"] = frozen(targets)
        packed["meta"] = self._meta(sample)
        return frozen(packed)

    def _meta(self, sample: Sample) -> Mapping[str, Any]:
        meta = {name: sample[name] for name in _KEPT if name in sample}
        for name in self.meta_keys:
            here = name if name in sample else _HERE.get(name, name)
            if here in sample:
                meta[name] = sample[here]
        return frozen(meta)


@dataclass(frozen=True)
class ToHalf(Transform):
    """Arrays as float16; ToHalf of mmcls.

    Args:
        keys: of the sample.

    Example:
        >>> ToHalf(["img"])({"img": np.zeros((8, 6, 3))})["img"].dtype
        dtype('float16')
    """

    keys: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", names_of(self.keys, "ToHalf: keys"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        return replaced(sample, **{key: as_array(_there(sample, key), key).astype(np.float16) for key in self.keys})


@dataclass(frozen=True)
class ToDataContainer(Transform):
    """The sample as it is: what mmcv 1.x wraps for its collate function is a plain array here; mmdet 2.x's ToDataContainer.

    Args:
        fields: a mapping for each, with ``key`` and what that time's containers take (stack, cpu_only, ...).

    Raises:
        FkitKeyError: the sample has no such key.

    Example:
        >>> ToDataContainer([{"key": "img", "stack": True}])({"img": 1})["img"]
        1
    """

    fields: Sequence[Mapping[str, Any]] = (
        frozen({"key": "img", "stack": True}),
        frozen({"key": "gt_bboxes"}),
        frozen({"key": "gt_labels"}),
    )

    def __post_init__(self) -> None:
        what = "ToDataContainer: fields is a list of mappings with 'key'"
        expect(self.fields, (list, tuple), what)
        for one in self.fields:
            expect(one, Mapping, what)
            if "key" not in one:
                raise FkitKeyError(f"{what}.", value="key", choices=one, label="One has")
        object.__setattr__(self, "fields", tuple(frozen(one) for one in self.fields))

    def apply(self, sample: Sample, params: Any) -> Sample:
        for one in self.fields:
            _there(sample, _HERE.get(one["key"], one["key"]))
        return sample


def _there(sample: Sample, key: str) -> Any:
    if key not in sample:
        raise FkitKeyError(f"the sample has no {key!r}.", value=key, choices=sample, label="It has")
    return sample[key]


def _scores(sample: Sample) -> Any:
    return sample.get("proposals_scores", np.zeros(len(sample["proposals"]), np.float32))


def _number(label: Any) -> Any:
    """A class as a number: ToTensor made an array of one of it."""
    return label.item() if isinstance(label, np.ndarray) and cast(Any, label).size == 1 else label
