"""The last step of MMSegmentation's pipelines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.transform.formatting import channels_first, meta_of, names_of
from fkit.data.transform.transform import Sample, Transform
from fkit.tree.frozen import frozen

__all__ = ["PackSegInputs"]


@dataclass(frozen=True)
class PackSegInputs(Transform):
    """Pack a sample of semantic segmentation for `fkit.data.collate`; mmseg's PackSegInputs.

    Args:
        meta_keys: kept in ``meta`` where the sample has them, and ``sample_idx``.

    Returns ``{"inputs": (C, H, W), "targets": {...}, "meta": {...}}``; targets are ``gt_sem_seg`` (H, W) int64,
    ``gt_edge_map`` (H, W) int64 and ``gt_depth_map`` (H, W), each where the sample has it.

    Example:
        >>> packed = PackSegInputs()({"img": np.zeros((8, 6, 3), np.uint8), "gt_seg_map": np.zeros((8, 6), np.uint8)})
        >>> packed["inputs"].shape, packed["targets"]["gt_sem_seg"].dtype
        ((3, 8, 6), dtype('int64'))
    """

    meta_keys: Sequence[str] = (
        "img_path",
        "seg_map_path",
        "ori_shape",
        "img_shape",
        "pad_shape",
        "scale_factor",
        "flip",
        "flip_direction",
        "reduce_zero_label",
    )

    def __post_init__(self) -> None:
        names = ("sample_idx", *names_of(self.meta_keys, "PackSegInputs: meta_keys"))
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(names)))

    def apply(self, sample: Sample, params: Any) -> Sample:
        packed: dict[str, Any] = {}
        if "img" in sample:
            packed["inputs"] = channels_first(sample["img"])
        targets: dict[str, Any] = {}
        for key, name in (("gt_seg_map", "gt_sem_seg"), ("gt_edge_map", "gt_edge_map")):
            if key in sample:
                targets[name] = np.asarray(sample[key]).astype(np.int64)
        if "gt_depth_map" in sample:
            targets["gt_depth_map"] = np.asarray(sample["gt_depth_map"])
        return frozen({**packed, "targets": frozen(targets), "meta": meta_of(sample, self.meta_keys)})
