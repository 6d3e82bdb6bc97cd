"""The last step of MMPose's pipelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fkit.data.codec.codec import Floats
from fkit.data.transform.formatting import channels_first, meta_of, names_of
from fkit.data.transform.transform import Sample, Transform
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["PackPoseInputs"]

_INSTANCES = frozen(
    {
        "bbox": "bboxes",
        "bbox_score": "bbox_scores",
        "keypoints": "keypoints",
        "keypoints_cam": "keypoints_cam",
        "keypoints_visible": "keypoints_visible",
        "bbox_scale": "bbox_scales",
        "head_size": "head_size",
    }
)
_LABELS = frozen({name: name for name in ("keypoint_labels", "keypoint_weights", "keypoints_visible_weights")})
_FIELDS = frozen(
    {
        name: name
        for name in (
            "heatmaps",
            "instance_heatmaps",
            "heatmap_mask",
            "heatmap_weights",
            "displacements",
            "displacement_weights",
        )
    }
)
_META = (
    "id", "img_id", "img_path", "category_id", "crowd_index", "ori_shape", "img_shape", "input_size", "input_center",
    "input_scale", "flip", "flip_direction", "flip_indices", "raw_ann_info", "dataset_name",
)  # fmt: skip


# what a model computes with: which part of the picture its input is, and each keypoint's partner
_NUMBERS = (("input_center", np.float32), ("input_scale", np.float32), ("flip_indices", np.int64))


@dataclass(frozen=True)
class PackPoseInputs(Transform):
    """Pack a sample of pose estimation for `fkit.data.collate`; mmpose's PackPoseInputs.

    Args:
        meta_keys: kept in ``meta`` where the sample has them, and ``sample_idx``.
        pack_transformed: pack ``transformed_keypoints`` among the instances too.

    Returns ``{"inputs", "targets", "meta"}``: inputs (C, H, W), of a clip (T, C, H, W), of a lifter what it is given of
    keypoints; targets ``gt_instances`` (what is known of each person), ``gt_instance_labels`` and ``gt_fields`` (what the
    codec gave; levels of the same shape are stacked), each where there is any; and ``input_center``, ``input_scale`` (2,) and
    ``flip_indices`` (K,), which predictions are made by. Which keys go where a codec says (see
    `GenerateTarget`).

    Example:
        >>> packed = PackPoseInputs()({"img": np.zeros((8, 6, 3), np.uint8), "heatmaps": np.zeros((1, 2, 2)), "id": 7})
        >>> packed["inputs"].shape, packed["targets"]["gt_fields"]["heatmaps"].shape, dict(packed["meta"])
        ((3, 8, 6), (1, 2, 2), {'id': 7})
    """

    meta_keys: Sequence[str] = _META
    pack_transformed: bool = False

    def __post_init__(self) -> None:
        names = ("sample_idx", *names_of(self.meta_keys, "PackPoseInputs: meta_keys"))
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(names)))
        expect(self.pack_transformed, bool, "PackPoseInputs: pack_transformed is True or False")

    def apply(self, sample: Sample, params: Any) -> Sample:
        instances = _named(sample, sample.get("instance_mapping_table", _INSTANCES))
        if self.pack_transformed and "transformed_keypoints" in sample:
            instances["transformed_keypoints"] = sample["transformed_keypoints"]
        targets: dict[str, Any] = {"gt_instances": frozen(instances)} if instances else {}
        for word, key, default in (
            ("gt_instance_labels", "label_mapping_table", _LABELS),
            ("gt_fields", "field_mapping_table", _FIELDS),
        ):
            values = {name: _stacked(value) for name, value in _named(sample, sample.get(key, default)).items()}
            if values:
                targets[word] = frozen(values)
        for name, kind in _NUMBERS:
            if sample.get(name) is not None:
                targets[name] = np.array(sample[name], kind)
        return frozen({"inputs": _inputs(sample), "targets": frozen(targets), "meta": meta_of(sample, self.meta_keys)})


def _named(sample: Sample, table: Mapping[str, str]) -> dict[str, Any]:
    return {name: sample[key] for key, name in table.items() if sample.get(key) is not None}


def _stacked(value: Any) -> Any:
    """Levels of one shape in one array."""
    if not isinstance(value, (list, tuple)):
        return value
    levels = cast("Sequence[Floats]", value)
    return np.stack(levels) if len({np.shape(one) for one in levels}) == 1 else tuple(levels)


def _inputs(sample: Sample) -> Floats:
    if "img" in sample:
        img: Any = sample["img"]
        if not isinstance(img, (list, tuple)):
            return channels_first(img)
        several = [channels_first(one) for one in cast("Sequence[Any]", img)]
        if len({one.shape for one in several}) > 1:
            sizes = ", ".join(f"{one.shape[1]} x {one.shape[2]}" for one in several)
            raise FkitValueError(
                f"the images of a sample differ in size ({sizes}), and are packed as one array.",
                repair="BottomupResize(aug_scales=...) is for models that take a list; leave it out, or pack without it.",
            )
        return np.stack(several)
    for key in ("keypoint_labels", "keypoints"):
        if "lifting_target" in sample and key in sample:
            return np.ascontiguousarray(sample[key])
    raise FkitKeyError(
        "the sample has neither 'img' nor keypoints with a 'lifting_target'.", choices=sample, label="It has"
    )
