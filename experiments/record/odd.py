"""Record the book ``odd``: calls of five packages' transforms that fkit once answered otherwise, or that the other books do not try.

    python experiments/record/odd.py tests/golden/books/odd.json

in an environment with mmengine, mmcv-lite 2.1.0, mmdet 3.3.0, mmsegmentation 1.2.2, mmpose 1.3.2, mmpretrain 1.2.0, scipy, shapely
and pycocotools, with OpenCV 5. What they import beside that, nothing here calls: empty stand-ins take its place.
"""

import copy
import hashlib
import importlib
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from loading import Standins


class Others(Standins):
    """Stand-ins for what is not called; scipy and shapely are."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return None if name.split(".")[0] in ("scipy", "shapely") else super().find_spec(name, path, target)


sys.meta_path.insert(0, Others())
PACKAGES = ("mmcv", "mmdet", "mmseg", "mmpose", "mmpretrain")
RNG = np.random.default_rng(12)
DRAWS = ("choice", "normal", "permutation", "rand", "randint", "random", "uniform")
CENTRE, INPUT = {"type": "GetBBoxCenterScale"}, (12, 16)
HEATMAP = {"type": "MSRAHeatmap", "input_size": INPUT, "heatmap_size": (3, 4)}
SIZES = {"img_shape": (18, 14), "ori_shape": (18, 14), "height": 18, "width": 14, "img_path": "a.png", "img_id": 4}
IMG = np.kron(RNG.integers(0, 250, (9, 7, 3)), np.ones((2, 2, 1), int)).astype(np.uint8)
SEG = np.kron(RNG.integers(0, 3, (6, 7)), np.ones((3, 2), int)).astype(np.uint8)
BOXES = np.float32([[2, 3, 9, 12], [6, 2, 6, 15], [1, 1, 13, 17]])
LINE = np.array([6, 2.003, 6, 8.273, 6, 9.904, 6, 6.418, 6, 12.452, 6, 5.147, 6, 3.209])
PARTS = [
    [np.array([2, 3, 9, 4, 8.5, 12, 3, 11.25])],
    [LINE],
    [np.array([1, 1, 13, 1, 13, 17.0]), np.array([1, 9, 5, 17, 1, 17.0])],
]
PERSON = {
    "img": IMG, **SIZES, "bbox": BOXES[:1] + np.float32(0.37), "bbox_score": np.ones(1, np.float32), "id": 3,
    "keypoints": RNG.uniform(-1, 18, (1, 5, 2)).astype(np.float32), "keypoints_visible": np.float32([[1, 0, 1, 1, 1]]),
    "flip_indices": [0, 2, 1, 4, 3], "dataset_keypoint_weights": np.float32([0.5, 1, 1.5, 2, 1]),
}  # fmt: skip
LIFTED = {
    "keypoints": RNG.uniform(-1, 1, (1, 5, 2)).astype(np.float32), "keypoints_visible": np.float32([[1, 0, 1, 1, 1]]),
    "lifting_target": RNG.normal(size=(1, 5, 3)).astype(np.float32), "lifting_target_visible": np.float32([[1, 1, 0, 1, 1]]),
    "flip_indices": [0, 2, 1, 4, 3], "camera_param": {},
}  # fmt: skip
TWO = {
    "img": IMG, **SIZES, "bbox": BOXES[[0, 2]], "category_id": [1, 2],
    "keypoints": RNG.uniform(0, 18, (2, 5, 2)).astype(np.float32), "keypoints_visible": np.ones((2, 5), np.float32),
}  # fmt: skip
OBJECTS = {"img": IMG, **SIZES, "gt_bboxes": {"$boxes": BOXES}, "gt_bboxes_labels": np.array([1, 0, 2]), "gt_ignore_flags": np.zeros(3, bool)}  # fmt: skip
SHAPES = {**OBJECTS, "gt_masks": {"$polygons": PARTS, "height": 18, "width": 14}, "gt_seg_map": SEG}
NONE = {"img": IMG, **SIZES, "gt_bboxes": {"$boxes": BOXES[:0]}, "gt_bboxes_labels": np.zeros(0, int), "gt_ignore_flags": np.zeros(0, bool)}  # fmt: skip
STREET = {"img": IMG, **SIZES, "gt_seg_map": SEG, "seg_fields": ["gt_seg_map"], "reduce_zero_label": False}
DEPTH = {
    "img": IMG,
    **SIZES,
    "gt_depth_map": RNG.uniform(0, 99, (18, 14)).astype(np.float32),
    "seg_fields": ["gt_depth_map"],
}
AFFINE = {"type": "TopdownAffine", "input_size": (24, 32)}
SEGMENTOR = [
    {"type": "RandomResize", "scale": (40, 20), "ratio_range": (0.5, 1.5), "keep_ratio": True}, {"type": "RandomCrop", "crop_size": (9, 11), "cat_max_ratio": 0.75},
    {"type": "RandomFlip", "prob": 0.5}, {"type": "PhotoMetricDistortion"}, {"type": "PackSegInputs"},
]  # fmt: skip
CASES: tuple[tuple[str, list[dict[str, Any]], dict[str, Any]], ...] = (
    ("mmpose.TopdownAffine", [{**AFFINE, "use_udp": True}], {**PERSON, "bbox_center": np.float32([[8.97, 11.52]]), "bbox_scale": np.float32([[1, 10.16]]), "bbox_rotation": np.float32([8.04])}),
    *(("mmpose.RandomFlip", [{"type": "RandomFlip", "prob": 1.0, "direction": way}, AFFINE], {**PERSON, "bbox_center": np.float32([[5.69, 8.34]]), "bbox_scale": np.float32([[1, 14.14]]), "bbox_rotation": np.float32([50.7])}) for way in ("horizontal", "diagonal")),
    ("mmpose.GenerateTarget", [CENTRE, {"type": "TopdownAffine", "input_size": INPUT}, {"type": "GenerateTarget", "multilevel": True, "encoder": [{**HEATMAP, "sigma": 1}, {**HEATMAP, "sigma": 2}]}, {"type": "PackPoseInputs"}], PERSON),
    ("mmpose.GenerateTarget", [{"type": "GenerateTarget", "multilevel": True, "use_dataset_keypoint_weights": True, "encoder": [{**HEATMAP, "sigma": 1}, {**HEATMAP, "sigma": 2}]}], PERSON),
    ("mmpose.BottomupRandomCrop", [{"type": "BottomupRandomCrop", "crop_size": (9, 9), "allow_negative_crop": True}], TWO),
    ("mmpose.BottomupRandomCrop", [{"type": "BottomupRandomCrop", "crop_size": (0.4, 0.7), "crop_type": "relative_range"}], TWO),
    ("mmpose.HandRandomFlip", [{"type": "HandRandomFlip", "prob": 0.9}], {**PERSON, "hand_type": np.float32([[1, 0]]), "rel_root_depth": np.float32(4)}),
    ("mmpose.RandomFlipAroundRoot", [{"type": "RandomFlipAroundRoot", "keypoints_flip_cfg": {"center_x": 0.0}, "target_flip_cfg": {"center_mode": "root", "center_index": 1}}], LIFTED),
    *(("mmdet.RandomCrop", [{"type": "RandomCrop", "crop_size": size, "recompute_bbox": again}], SHAPES) for size, again in (((8, 10), False), ((8, 10), True), ((14, 18), False))),
    ("mmdet.MinIoURandomCrop", [{"type": "MinIoURandomCrop", "min_ious": (0.01,), "min_crop_size": 0.5}], SHAPES),
    *(("mmdet.Rotate", [{"type": "Rotate", "interpolation": way, "img_border_value": (1, 2, 3)}], SHAPES) for way in ("nearest", "bicubic")),
    ("mmdet.Resize", [{"type": "Resize", "scale": (20, 31), "keep_ratio": True, "interpolation": "area"}], SHAPES),
    *((f"mmdet.{cfg['type']}", [cfg], NONE) for cfg in ({"type": "RandomCrop", "crop_size": (5, 5)}, {"type": "RandomCrop", "crop_size": (5, 5), "allow_negative_crop": True}, {"type": "FilterAnnotations"}, {"type": "RandomFlip", "prob": 1.0}, {"type": "PackDetInputs"})),
    ("mmdet.ColorTransform", [{"type": "ColorTransform"}], OBJECTS),
    ("mmdet.FilterAnnotations", [{"type": "FilterAnnotations", "min_gt_bbox_wh": (4, 4)}], {**OBJECTS, "gt_instances_ids": np.array([4, 5, 6])}),
    ("mmdet.FilterAnnotations", [{"type": "FilterAnnotations"}], STREET),
    ("mmdet.Pad", [{"type": "Pad", "size_divisor": 10, "pad_val": {"img": 114.0}}], OBJECTS),
    *(("mmseg.segmentor", SEGMENTOR, STREET),) * 3,
    ("mmseg.RandomDepthMix", [{"type": "RandomDepthMix", "prob": 0.9}], DEPTH),
    ("mmpretrain.Cutout", [{"type": "Cutout", "magnitude_range": (1, 9), "magnitude_std": "inf", "prob": 1.0}], {"img": IMG}),
    ("mmpretrain.GaussianBlur", [{"type": "GaussianBlur", "radius": 1.0, "prob": 1.0}], {"img": IMG.astype(np.float32)}),
)  # fmt: skip


class Watch:
    """What numpy draws, and what methods that a package marks as random answer."""

    def __init__(self, kinds: set[type], mark: type) -> None:
        self.draws: list[dict[str, Any]] = []
        self.params: list[dict[str, Any]] = []
        for name in DRAWS:
            setattr(np.random, name, self.drawing(f"np.random.{name}", getattr(np.random, name)))
        random.random = self.drawing("random.random", random.random)
        marked = {value for kind in kinds for value in vars(kind).values() if isinstance(value, mark)}
        for value in marked:
            value.func = self.answering(value.__name__, value.func)

    def drawing(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def draw(*args: Any, **kwargs: Any) -> Any:
            value = function(*args, **kwargs)
            plain = [one for one in args if isinstance(one, int)]
            self.draws.append({"fn": name, "args": plain, "value": copy.deepcopy(value)})
            return value

        return draw

    def answering(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def answer(this: Any, *args: Any, **kwargs: Any) -> Any:
            value = method(this, *args, **kwargs)
            self.params.append({"cls": type(this).__name__, "method": name, "value": copy.deepcopy(value)})
            return value

        return answer


def given(value: Any) -> Any:
    """The reference's own values of a sample that is written with tags."""
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import PolygonMasks

    if isinstance(value, dict) and "$boxes" in value:
        return HorizontalBoxes(value["$boxes"].copy())
    if isinstance(value, dict) and "$polygons" in value:
        return PolygonMasks(copy.deepcopy(value["$polygons"]), value["height"], value["width"])
    return copy.deepcopy(value)


def written(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value in the form of the book ``transforms``; of more than 12 numbers go to ``arrays``, equal ones once."""
    name = type(value).__name__
    if name == "HorizontalBoxes":
        return {"$boxes": written(value.tensor.numpy(), arrays)}
    if name == "PolygonMasks":
        return {"$polygons": written(value.masks, arrays), "height": int(value.height), "width": int(value.width)}
    if hasattr(value, "metainfo_items"):
        meta, data = (written(dict(rows), arrays) for rows in (value.metainfo_items(), value.items()))
        if name.endswith("DataSample"):
            return {"$sample": name, "metainfo": meta, "data": data}
        return {"$PixelData" if "Pixel" in name else "$InstanceData": data, "metainfo": meta}
    value = value.numpy() if name == "Tensor" else value
    if isinstance(value, np.ndarray):
        shape = {"shape": list(value.shape), "dtype": str(value.dtype)}
        if value.size <= 12:
            return {"$a": value.tolist(), **shape}
        key = hashlib.sha256(value.tobytes() + str(shape).encode()).hexdigest()[:8]
        arrays[key] = value
        return {"$array": key, **shape}
    if isinstance(value, np.generic):
        return {"$scalar": value.item(), "dtype": str(value.dtype)}
    if isinstance(value, (tuple, list)):
        several = [written(one, arrays) for one in value]
        return {"$tuple": several} if isinstance(value, tuple) else several
    return {key: written(one, arrays) for key, one in value.items()} if isinstance(value, dict) else value


def main() -> None:
    from mmcv.transforms.utils import cache_randomness
    from mmengine.registry import DefaultScope

    for package in PACKAGES:
        importlib.import_module("mmcv.transforms" if package == "mmcv" else f"{package}.datasets.transforms")
    names = ("mmcv.transforms", "mmdet.registry", "mmseg.registry", "mmpose.registry", "mmpretrain.registry")
    registries = {
        package: importlib.import_module(name).TRANSFORMS for package, name in zip(PACKAGES, names, strict=True)
    }
    makers = [maker for registry in registries.values() for maker in registry.module_dict.values()]
    watch = Watch({kind for maker in makers for kind in getattr(maker, "__mro__", ())}, cache_randomness)
    lines: list[str] = []
    arrays: dict[str, np.ndarray] = {}
    for seed, (name, cfg, sample) in enumerate(CASES):
        package = name.partition(".")[0]
        DefaultScope.get_instance(f"{seed}", scope_name=package)
        parts = [registries[package].build(copy.deepcopy(part)) for part in cfg]
        watch.draws.clear()
        watch.params.clear()
        np.random.seed(seed)
        random.seed(seed)
        outcome: dict[str, Any] = {}
        try:
            done: Any = {key: given(value) for key, value in sample.items()}
            for part in parts:
                done = done if done is None else part(done)
            outcome["out"] = written(done, arrays)
        except Exception as error:
            outcome |= {"raises": type(error).__name__, "message": str(error)[:80]}
        case = {"id": f"{name}/{seed:02}", "package": package, "cfg": cfg, "input": sample, "draws": watch.draws, "params": watch.params}  # fmt: skip
        lines.append(json.dumps({**written(case, arrays), **outcome}))
    path = Path(sys.argv[1])
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    path.write_text('{"cases": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
