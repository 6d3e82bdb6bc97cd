"""Record calls of mmpretrain's transforms in the form of the book ``transforms``: tests/golden/books/pretrain.json and .npz.

    python experiments/record/pretrain.py            with mmpretrain 1.2.0, mmcv-lite 2.1.0, mmengine 0.10.7, torch, OpenCV 5
    python experiments/record/pretrain.py --opencv4  the same with OpenCV 4: adds what differs there

An environment of its own: fkit is not imported. torchvision may be an empty stand-in: nothing that is recorded uses it.
"""

import argparse
import copy
import json
import random
from pathlib import Path
from typing import Any

import cv2
import mmcv
import mmengine
import numpy as np
import PIL
from mmcv.transforms import TRANSFORMS as BASE
from mmcv.transforms.utils import cache_randomness
from mmengine.registry import DefaultScope
from mmpretrain.datasets.transforms import *  # noqa: F403  # fills the registry
from mmpretrain.registry import TRANSFORMS

BOOKS = Path(__file__).parents[2] / "tests" / "golden" / "books"
DRAWS = ("choice", "normal", "permutation", "rand", "randint", "uniform")
EIGEN = {"eigval": [55.4625, 4.794, 1.1475], "eigvec": [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.814], [-0.5836, -0.6948, 0.4203]]}  # fmt: skip
LEVEL = {"magnitude_level": 7, "magnitude_std": 0.5, "total_level": 10, "prob": 1.0}
CASES = (
    ("RandomCrop", {"crop_size": 24}), ("RandomCrop", {"crop_size": [20, 40], "padding": 4, "pad_val": (9, 8, 7)}),
    ("RandomCrop", {"crop_size": [44, 30], "pad_if_needed": True, "padding_mode": "reflect"}),
    ("RandomCrop", {"crop_size": 64, "padding": (1, 2, 3, 4), "pad_val": 5}),
    ("RandomResizedCrop", {"scale": 24}), ("RandomResizedCrop", {"scale": [20, 28], "backend": "pillow", "interpolation": "bicubic"}),
    ("RandomResizedCrop", {"scale": 24, "crop_ratio_range": [0.9, 1.0], "aspect_ratio_range": [0.1, 0.2], "max_attempts": 3}),
    ("RandomResizedCrop", {"scale": 24, "aspect_ratio_range": [3.0, 4.0], "crop_ratio_range": [0.9, 1.0]}),
    ("EfficientNetRandomCrop", {"scale": 24}), ("EfficientNetRandomCrop", {"scale": 24, "min_covered": 1.5, "crop_padding": 8}),
    ("EfficientNetRandomCrop", {"scale": 24, "crop_ratio_range": [0.6, 0.9], "aspect_ratio_range": [1.2, 2.0]}),
    ("EfficientNetCenterCrop", {"crop_size": 24}), ("EfficientNetCenterCrop", {"crop_size": 30, "crop_padding": 7, "interpolation": "bilinear"}),
    ("ResizeEdge", {"scale": 20}), ("ResizeEdge", {"scale": 30, "edge": "long"}), ("ResizeEdge", {"scale": 30, "edge": "width", "interpolation": "bicubic"}),
    ("ResizeEdge", {"scale": 25, "edge": "height", "backend": "pillow"}),
    ("RandomErasing", {"erase_prob": 1.0}), ("RandomErasing", {"erase_prob": 1.0, "mode": "rand", "max_area_ratio": 0.3}),
    ("RandomErasing", {"erase_prob": 1.0, "mode": "rand", "fill_color": [100, 110, 120], "fill_std": [50, 60, 70], "aspect_range": 0.5}),
    ("RandomErasing", {"erase_prob": 0.1}),
    ("ColorJitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}), ("ColorJitter", {"brightness": 0.4, "hue": (0.05, 0.2), "saturation": [0.5, 3.0]}),
    ("ColorJitter", {"brightness": 0.4, "contrast": 0.6, "backend": "cv2"}), ("Lighting", EIGEN), ("Lighting", {**EIGEN, "alphastd": 1.5, "to_rgb": True}),
    ("AutoContrast", {"prob": 1.0}), ("Equalize", {"prob": 1.0}), ("Invert", {"prob": 1.0}), ("Invert", {"prob": 0.1}),
    ("Solarize", {"thr": 100, "prob": 1.0}), ("Solarize", {"magnitude_range": [256, 0], **LEVEL}),
    ("SolarizeAdd", {"magnitude": 60, "thr": 110, "prob": 1.0}), ("SolarizeAdd", {"magnitude_range": [0, 110], **LEVEL}),
    ("Posterize", {"bits": 3, "prob": 1.0}), ("Posterize", {"magnitude_range": [4, 0], **LEVEL}),
    ("ColorTransform", {"magnitude": 0.6, "prob": 1.0}), ("ColorTransform", {"magnitude_range": [0, 0.9], **LEVEL}),
    ("Contrast", {"magnitude": 0.6, "prob": 1.0, "random_negative_prob": 0.0}), ("Contrast", {"magnitude_range": [0, 0.9], **LEVEL}),
    ("Brightness", {"magnitude_range": [0, 0.9], **LEVEL, "magnitude_std": "inf"}), ("Sharpness", {"magnitude_range": [0, 0.9], **LEVEL}),
    ("Shear", {"magnitude": 0.25, "prob": 1.0}), ("Shear", {"magnitude_range": [0, 0.3], **LEVEL, "direction": "vertical", "pad_val": [1, 2, 3]}),
    ("Translate", {"magnitude": 0.23, "prob": 1.0, "pad_val": [104, 116, 124]}), ("Translate", {"magnitude_range": [0, 0.45], **LEVEL, "direction": "vertical"}),
    ("Rotate", {"angle": 20.0, "prob": 1.0}), ("Rotate", {"magnitude_range": [0, 30], **LEVEL, "pad_val": [1, 2, 3], "interpolation": "bicubic"}),
    ("Cutout", {"shape": 12, "prob": 1.0}), ("Cutout", {"shape": (8, 20), "prob": 1.0, "pad_val": [1, 2, 3]}), ("Cutout", {"magnitude_range": [1, 21], "magnitude_level": 6, "prob": 1.0}),
    ("GaussianBlur", {"radius": 1.5, "prob": 1.0}), ("GaussianBlur", {"magnitude_range": [0.1, 2.0], "magnitude_std": "inf", "prob": 1.0}),
    ("AutoAugment", {"policies": "imagenet"}), ("AutoAugment", {"policies": "imagenet", "hparams": {"pad_val": [1, 2, 3]}}),
    ("AutoAugment", {"policies": [[{"type": "Rotate", "angle": 20.0, "prob": 1.0}, {"type": "Invert", "prob": 0.5}]], "hparams": {"pad_val": [1, 2, 3]}}),
    ("RandAugment", {"policies": "timm_increasing", "num_policies": 2, "magnitude_level": 9, "magnitude_std": 0.5, "hparams": {"pad_val": [104, 116, 124], "interpolation": "bicubic"}}),
    ("RandAugment", {"policies": "timm_increasing", "num_policies": 4, "magnitude_level": 7, "magnitude_std": "inf", "total_level": 12}),
    ("RandAugment", {"policies": "simple_increasing", "num_policies": 3, "magnitude_level": 6}),
    ("RandAugment", {"policies": [{"type": "Rotate", "magnitude_range": [0, 30], "prob": 1.0}, {"type": "Shear", "magnitude_range": [0, 0.3], "pad_val": 3}], "num_policies": 3, "magnitude_level": 6, "hparams": {"pad_val": 77, "prob": 0.9}}),
    ("SimMIMMaskGenerator", {"input_size": 96, "mask_patch_size": 16, "model_patch_size": 4, "mask_ratio": 0.55}),
    ("BEiTMaskGenerator", {"input_size": 14, "num_masking_patches": 75, "min_num_patches": 16}), ("BEiTMaskGenerator", {"input_size": (10, 12), "num_masking_patches": 40, "max_num_patches": 20}),
    ("RandomResizedCropAndInterpolationWithTwoPic", {"size": 24, "second_size": 12, "interpolation": "bicubic", "second_interpolation": "lanczos"}),
    ("RandomResizedCropAndInterpolationWithTwoPic", {"size": (28, 20), "interpolation": "random"}),
    ("MultiView", {"transforms": [[{"type": "RandomResizedCrop", "scale": 16}, {"type": "RandomFlip", "prob": 0.5}], [{"type": "ResizeEdge", "scale": 12}]], "num_views": [2, 1]}),
    ("ApplyToList", {"transforms": [{"type": "RandomResizedCrop", "scale": 16}], "scatter_key": "img", "collate_keys": ["img_shape"]}),
    ("RandomTranslatePad", {"size": 64}), ("RandomTranslatePad", {"size": 64, "aug_translate": True}), ("CleanCaption", {}), ("CleanCaption", {"keys": ["gt_caption", "words"], "lowercase": False, "remove_chars": "a"}),
)  # fmt: skip


class Writer:
    """Values as the book writes them; equal arrays are stored once."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[tuple[Any, ...], str] = {}

    def __call__(self, value: Any, name: str) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, np.generic):
            return {"$scalar": value.item(), "dtype": str(value.dtype)}
        if isinstance(value, tuple):
            return {"$tuple": [self(one, f"{name}/{at}") for at, one in enumerate(value)]}
        if isinstance(value, list):
            return [self(one, f"{name}/{at}") for at, one in enumerate(value)]
        if isinstance(value, dict):
            return {key: self(one, f"{name}/{key}") for key, one in value.items()}
        return value

    def _array(self, value: np.ndarray, name: str) -> Any:
        if 0 < value.size <= 12:
            return {"$a": value.tolist(), "dtype": str(value.dtype)}
        same = (value.shape, str(value.dtype), value.tobytes())
        key = self.names.setdefault(same, name)
        self.arrays[key] = value
        return {"$array": key, "shape": list(value.shape), "dtype": str(value.dtype)}


class Listener:
    """What numpy draws, and what methods that the package marks as random answer."""

    def __init__(self) -> None:
        self.draws: list[dict[str, Any]] = []
        self.params: list[dict[str, Any]] = []
        for name in DRAWS:
            setattr(np.random, name, self._drawing(name, getattr(np.random, name)))
        makers = (*TRANSFORMS.module_dict.values(), *BASE.module_dict.values())
        for kind in {one for maker in makers for one in getattr(maker, "__mro__", ())}:
            for name, value in list(vars(kind).items()):
                if isinstance(value, cache_randomness):
                    setattr(kind, name, self._answering(name, value.func))

    def _drawing(self, name: str, function: Any) -> Any:
        def draw(*args: Any, **kwargs: Any) -> Any:
            value = function(*args, **kwargs)
            self.draws.append(
                {"fn": f"np.random.{name}", "args": list(args), "kwargs": kwargs, "value": copy.deepcopy(value)}
            )
            return value

        return draw

    def _answering(self, name: str, method: Any) -> Any:
        def answer(this: Any, *args: Any, **kwargs: Any) -> Any:
            value = method(this, *args, **kwargs)
            self.params.append({"cls": type(this).__name__, "method": name, "value": copy.deepcopy(value)})
            return value

        return answer


def sample_of(name: str) -> dict[str, Any]:
    with np.load(BOOKS / "transforms.npz") as stored:
        img = stored["in/mmcv.Normalize/02/img"][20:46, 20:60]
    if name == "CleanCaption":
        return {"gt_caption": " A dog,  asleep; on a sofa. ", "words": ["A", "b!  c"]}
    if name == "ApplyToList":
        return {"img": [img, img[::-1].copy()], "gt_label": 3}
    if name == "RandomTranslatePad":
        return {"img": img, "img_shape": (26, 40), "gt_bboxes": np.float32([[1, 2, 30, 20]])}
    return {"img": img, "img_shape": (26, 40), "ori_shape": (26, 40), "gt_label": 3}


def record() -> dict[str, Any]:
    listener, counts = Listener(), {}
    recorded: dict[str, Any] = {}
    for name, arguments in CASES:
        counts[name] = counts.get(name, 0) + 1
        given = sample_of(name)
        seed = counts[name]
        cfg = {"type": name, **copy.deepcopy(arguments)}
        transform = TRANSFORMS.build(copy.deepcopy(cfg))
        listener.draws.clear()
        listener.params.clear()
        np.random.seed(seed)
        random.seed(seed)
        out = transform(copy.deepcopy(given))
        recorded[f"mmpretrain.{name}/{counts[name]:02}"] = {
            "package": "mmpretrain", "cfg": [cfg], "input": given, "seed": seed, "draws": list(listener.draws),
            "params": list(listener.params), "out": out,
        }  # fmt: skip
    return recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opencv4", action="store_true")
    DefaultScope.get_instance("record", scope_name="mmpretrain")
    recorded, write = record(), Writer()
    path = BOOKS / "pretrain.json"
    if parser.parse_args().opencv4:
        book = json.loads(path.read_text())
        with np.load(BOOKS / "pretrain.npz") as stored:
            for key in stored.files:
                array = stored[key]
                write.arrays[key] = array
                write.names[(array.shape, str(array.dtype), array.tobytes())] = key
        for case in book["cases"]:
            out = write(recorded[case["id"]]["out"], f"out4/{case['id']}")
            if out != case["out"]:
                case["opencv4"] = {"out": out}
        book["meta"]["opencv4"] = cv2.__version__
    else:
        cases = [
            {"id": name, **{key: write(value, f"{key}/{name}") for key, value in case.items()}}
            for name, case in recorded.items()
        ]
        versions = {"mmpretrain": "1.2.0", "mmcv": mmcv.__version__, "mmengine": mmengine.__version__, "numpy": np.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__}  # fmt: skip
        book = {
            "meta": {"what": "mmpretrain's transforms, in the form of the book transforms", **versions},
            "cases": cases,
        }
    np.savez_compressed(BOOKS / "pretrain.npz", **write.arrays)
    lines = ",\n".join(json.dumps(case) for case in book["cases"])
    path.write_text(f'{{"meta": {json.dumps(book["meta"])},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
