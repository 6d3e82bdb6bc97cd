"""The training pipelines of YOLOX, RTMDet, Mask R-CNN with copy-paste and semi-supervised detection, as their configs say them:
batches that are a function of the seed alone, whose boxes and masks are where the digits are.
"""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.loader import open_loader

LOAD = [{"type": "LoadAnnotations", "with_bbox": True, "with_mask": True, "poly2mask": True}]
BOXES = [{"type": "LoadAnnotations", "with_bbox": True}]
PACK = [{"type": "PackDetInputs"}]
GREY = {"img": (114, 114, 114)}
INNER = {"type": "DigitBoxes", "split": "test", "count": 12}
RTMDET = {
    **INNER,
    "pipeline": [
        *LOAD,
        {"type": "CachedMosaic", "img_scale": (96, 96), "pad_val": 114.0},
        {"type": "RandomResize", "scale": (192, 192), "ratio_range": (0.5, 2.0), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (96, 96), "recompute_bbox": True, "allow_negative_crop": True},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Pad", "size": (96, 96), "pad_val": GREY},
        {"type": "CachedMixUp", "img_scale": (96, 96), "ratio_range": (1.0, 1.0), "pad_val": (114, 114, 114)},
        *PACK,
    ],
}
YOLOX = {
    "type": "MultiImageMixDataset",
    "dataset": {**INNER, "pipeline": BOXES},
    "pipeline": [
        {"type": "Mosaic", "img_scale": (96, 96), "pad_val": 114.0},
        {"type": "RandomAffine", "scaling_ratio_range": (0.5, 1.5), "border": (-48, -48)},
        {"type": "MixUp", "img_scale": (96, 96), "ratio_range": (0.8, 1.6), "pad_val": 114.0},
        {"type": "YOLOXHSVRandomAug"},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Resize", "scale": (96, 96), "keep_ratio": True},
        {"type": "Pad", "pad_to_square": True, "pad_val": GREY},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False},
        *PACK,
    ],
}
PASTE = {
    "type": "MultiImageMixDataset",
    "dataset": {**INNER, "pipeline": [*LOAD, {"type": "RandomFlip", "prob": 0.5}]},
    "pipeline": [{"type": "CopyPaste", "max_num_pasted": 100, "mask_occluded_thr": 30}, *PACK],
}
TEACHER = {
    **INNER,
    "pipeline": [
        *BOXES,
        {
            "type": "MultiBranch",
            "branch_field": ["unsup_teacher", "unsup_student"],
            "unsup_teacher": [{"type": "RandomFlip", "prob": 0.5}, *PACK],
            "unsup_student": [
                {
                    "type": "RandomOrder",
                    "transforms": [
                        {"type": "RandAugment", "aug_space": [[{"type": "Color"}], [{"type": "Invert"}]], "aug_num": 1},
                        {
                            "type": "RandAugment",
                            "aug_space": [[{"type": "ShearX"}], [{"type": "Rotate"}]],
                            "aug_num": 1,
                        },
                    ],
                },
                *PACK,
            ],
        },
    ],
}
RECIPES = {"rtmdet": RTMDET, "yolox": YOLOX, "paste": PASTE, "teacher": TEACHER}


def opened(cfg: Any, workers: int = 0) -> Any:
    def build(kind: str, part: Any) -> Any:
        return fkit.build(part, fkit.registry(), kind, scope="mmdet")

    # a dictionary of branches has objects of several counts: one sample a batch
    size = 1 if cfg is TEACHER else 4
    table = {"dataset": cfg, "batch_size": size, "shuffle": True, "num_workers": workers}
    return open_loader(table, build, seed=11, spread=open_room("torch").workers)


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b))


def content(batches: Any) -> list[Any]:
    return [(batch.inputs, batch.targets, batch.valid) for batch in batches]


@pytest.mark.parametrize("name", RECIPES)
def test_batches_are_a_function_of_the_seed(name: str):
    want = content(opened(RECIPES[name]).batches(2))
    assert len(want) >= 3 and not same(want[0], want[1])
    assert same(content(opened(RECIPES[name]).batches(2, 1)), want[1:])  # after a resume
    for workers in (1, 4) if name == "rtmdet" else (2,):
        assert same(content(opened(RECIPES[name], workers).batches(2)), want)
    assert not same(content(opened(RECIPES[name]).batches(3)), want)


@pytest.mark.parametrize("name", ["rtmdet", "paste"])
def test_masks_and_boxes_are_those_of_what_is_seen(name: str):
    seen = 0
    for batch in opened(RECIPES[name]).batches(0):
        objects = batch.targets["gt_instances"]
        there = batch.valid["gt_instances"]
        for boxes, masks, real in zip(objects["bboxes"], objects["masks"], there, strict=True):
            for box, mask in zip(boxes[real], masks[real], strict=True):
                rows, columns = np.nonzero(mask)
                if len(rows) < 30:
                    continue
                seen += 1
                around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                assert np.abs(box - around).max() <= 4, (box, around)
    assert seen > 40
