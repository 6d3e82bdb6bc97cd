"""Record the book ``loading``: what mmdet 3.3.0 and mmsegmentation 1.2.2 make of samples, where the book ``transforms`` has no case.

    python experiments/record/loading.py tests/golden/books/loading.json

in an environment with mmengine, mmcv-lite 2.1.0 and the two packages. They import compiled operators, panopticapi and more,
which nothing recorded here calls: those are replaced by empty stand-ins (panopticapi's only function that is called, the number
of a colour, by its definition: red + 256 green + 256^2 blue). Pictures are written to files as the case has them.
"""

import copy
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import sys
import tempfile
import types
from typing import Any

import cv2
import numpy as np

STANDINS = ("torchvision", "terminaltables", "shapely", "panopticapi", "tqdm", "scipy", "ftfy", "regex", "osgeo")


class Empty(types.ModuleType):
    """A module that has every name, each an empty class."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *args, **more: None})


class Standins(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] in STANDINS or name.startswith("mmcv.ops"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        return Empty(spec.name)

    def exec_module(self, module: Any) -> None:
        pass


class Words:
    def tokenize(self, text: str) -> list[str]:
        return text.split()


def boxes(*rows: Any) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def frame(number: int) -> dict[str, Any]:
    return {"frame_id": number, "img_id": 100 + number, "instances": []}


IMG = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
SEGMENTS = np.array([[0, 0, 1, 0, 0, 1], [7, 0, 0, 7, 0, 0], [9, 2, 0, 0, 0, 0]], np.uint8).reshape(3, 2, 3)  # BGR
NAMES = {"0": "cat", "1": "sea_lion (animal)", "2": "dog", "3": "Car", "4": "traffic light", "5": "tree"}
OBJECT = {"bbox": [1, 2, 30.5, 40], "bbox_label": 3, "ignore_flag": 0}

# id, config, sample, {key of the sample: picture} that is written to a file
CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, np.ndarray]]] = [
    ("proposals/1", {"type": "LoadProposals", "num_max_proposals": 2}, {"proposals": {"bboxes": boxes([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]), "scores": np.array([0.9, 0.5, 0.1])}}, {}),
    ("proposals/2", {"type": "LoadProposals"}, {"proposals": {"bboxes": np.zeros((0, 4))}}, {}),
    ("panoptic/1", {"type": "LoadPanopticAnnotations"}, {"instances": [OBJECT], "ori_shape": (3, 2), "segments_info": [{"id": 65536, "category": 4, "is_thing": 1}, {"id": 7, "category": 60, "is_thing": 0}, {"id": 521, "category": 1, "is_thing": 1}]}, {"seg_map_path": SEGMENTS}),
    ("panoptic/2", {"type": "LoadPanopticAnnotations", "with_mask": False, "with_bbox": False}, {"instances": [OBJECT], "ori_shape": (3, 2), "segments_info": [{"id": 7, "category": 60, "is_thing": 0}]}, {"seg_map_path": SEGMENTS}),
    ("channels/1", {"type": "LoadMultiChannelImageFromFiles"}, {}, {"img_path.0": IMG[..., 0], "img_path.1": IMG[..., 1]}),
    ("channels/2", {"type": "LoadMultiChannelImageFromFiles", "to_float32": True, "color_type": "grayscale"}, {}, {"img_path.0": IMG, "img_path.1": IMG[::-1]}),
    ("array/1", {"type": "LoadImageFromNDArray", "to_float32": True}, {"img": IMG}, {}),
    ("track/1", {"type": "LoadTrackAnnotations"}, {"instances": [{**OBJECT, "instance_id": 7}, {**OBJECT, "instance_id": 2}]}, {}),
    ("reid/1", {"type": "PackReIDInputs"}, {"img": IMG, "gt_label": 4, "img_path": "a", "ori_shape": (4, 6), "img_shape": (4, 6), "scale": (6, 4), "scale_factor": (1.0, 1.0)}, {}),
    ("frames/1", {"type": "UniformRefFrameSample", "num_ref_imgs": 2, "frame_range": 3}, {"video_id": 5, "video_length": 9, "key_frame_id": 4, "images": [frame(at) for at in range(9)]}, {}),
    ("frames/2", {"type": "UniformRefFrameSample", "num_ref_imgs": 3, "frame_range": [-1, 0]}, {"video_id": 5, "video_length": 4, "key_frame_id": 3, "images": [frame(at) for at in range(4)]}, {}),
    ("frames/3", {"type": "UniformRefFrameSample"}, {"video_id": 5, "video_length": 1, "key_frame_id": 0, "images": [frame(0)]}, {}),
    ("glip/1", {"type": "GTBoxSubOne_GLIP"}, {"gt_bboxes": boxes([0, 1, 4, 6])}, {}),
    ("text/1", {"type": "LoadTextAnnotations"}, {"text": NAMES}, {}),
    ("text/2", {"type": "LoadTextAnnotations"}, {"text": "a cat", "phrases": {"0": {"tokens_positive": [[2, 5]]}}}, {}),
    ("caption/1", {"type": "RandomSamplingNegPos", "tokenizer_name": "words", "num_sample_negative": 4}, {"gt_bboxes": boxes([0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]), "gt_bboxes_labels": np.array([1, 3, 1]), "text": NAMES}, {}),
    ("caption/2", {"type": "RandomSamplingNegPos", "tokenizer_name": "words", "num_sample_negative": 6, "max_tokens": 5}, {"gt_bboxes": boxes([0, 0, 1, 1]), "gt_bboxes_labels": np.array([4]), "text": NAMES}, {}),
    ("caption/3", {"type": "RandomSamplingNegPos", "tokenizer_name": "words"}, {"gt_bboxes": boxes([0, 0, 1, 1]), "gt_bboxes_labels": np.array([0]), "text": " A Cat", "phrases": {0: {"tokens_positive": [[2, 5]]}}}, {}),
    ("mmseg.depth/1", {"type": "LoadDepthAnnotation", "depth_rescale_factor": 1e-3}, {"seg_fields": []}, {"depth_map_path": np.array([[0, 1500], [65535, 3]], np.uint16)}),
]  # fmt: skip


def encoded(value: Any) -> Any:
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy() if callable(value.numpy) and type(value).__module__ == "torch" else value.tensor.numpy()
    if hasattr(value, "masks"):
        value = np.asarray(value.masks)
    if isinstance(value, np.ndarray):
        return {"$a": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {"$tuple": [encoded(one) for one in value]}
    if isinstance(value, list):
        return [encoded(one) for one in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: encoded(one) for key, one in value.items()}
        return {"$dict": [[encoded(key), encoded(one)] for key, one in value.items()]}
    return value


def watched(draws: list[Any]) -> None:
    """Note what is drawn: of a shuffle, the list afterwards."""
    sample, shuffle = random.sample, random.shuffle

    def noted_sample(*args: Any, **more: Any) -> Any:
        value = sample(*args, **more)
        draws.append({"fn": "random.sample", "value": encoded(value)})
        return value

    def noted_shuffle(row: list[Any]) -> None:
        shuffle(row)
        draws.append({"fn": "random.shuffle", "value": [int(one) for one in row]})

    random.sample, random.shuffle = noted_sample, noted_shuffle


def record(
    case: tuple[str, dict[str, Any], dict[str, Any], dict[str, np.ndarray]], folder: str, draws: list[Any]
) -> Any:
    import mmdet.datasets.transforms.loading as loading
    import mmdet.datasets.transforms.text_transformers as text
    import mmseg.datasets.transforms.loading as seg_loading
    from mmdet.datasets import transforms as mmdet

    name, cfg, sample, files = case
    results: dict[str, Any] = copy.deepcopy(sample)
    for key, picture in files.items():
        path = os.path.join(folder, f"{name.replace('/', '_')}_{key}.png")
        cv2.imwrite(path, picture)
        head, _, place = key.partition(".")
        results[head] = [*results.get(head, []), path] if place else path
    args = {key: value for key, value in cfg.items() if key != "type"}
    maker = (
        getattr(mmdet, cfg["type"], None) or getattr(text, cfg["type"], None) or getattr(seg_loading, cfg["type"], None)
    )
    maker = maker or getattr(loading, cfg["type"])
    importlib.import_module("panopticapi").utils = types.SimpleNamespace(  # type: ignore[attr-defined]
        rgb2id=lambda color: color.astype(np.int32) @ np.array((1, 256, 256**2), np.int32)
    )
    text.AutoTokenizer = types.SimpleNamespace(from_pretrained=lambda name: Words())
    draws.clear()
    random.seed(3)
    np.random.seed(3)
    out = maker(**args).transform(results)
    if "data_samples" in out:
        out = {"inputs": out["inputs"], "gt_label": out["data_samples"].gt_label.label}
    kept = {key: encoded(value) for key, value in out.items() if not key.endswith("_path") and key != "instances"}
    pictures = {key: encoded(value) for key, value in files.items()}
    return {"id": name, "cfg": cfg, "input": encoded(sample), "files": pictures, "draws": list(draws), "out": kept}


def main() -> None:
    sys.meta_path.insert(0, Standins())
    draws: list[Any] = []
    watched(draws)
    with tempfile.TemporaryDirectory() as folder:
        cases = [record(case, folder, draws) for case in CASES]
    meta = {"packages": "mmdet 3.3.0, mmsegmentation 1.2.2, mmcv 2.1.0", "how": "experiments/record/loading.py"}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        rows = ",\n".join(json.dumps(case) for case in cases)
        file.write(f'{{"meta": {json.dumps(meta)}, "cases": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
