"""Whatever is given in place of an argument: an error of fkit's family within two seconds, or a result."""

import contextlib
import inspect
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fkit.image
from fkit.tree.error import FkitError

WRONG = (
    *(None, 3, "x", []),
    *(-1, 0, 2.5, float("nan"), float("inf"), 10**30, object(), {}, (), (1, 2), ("a", "b"), (float("nan"),) * 4, b"x"),
    *(np.zeros(0), np.zeros((0, 5, 3), np.uint8), np.zeros((4, 4, 0), np.uint8), np.zeros((3, 4), object)),
    *(np.full((1, 4), np.nan), np.zeros((4, 4, 3), np.float16), np.zeros((4, 4, 5), np.uint8), np.array(["a"])),
)
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
NAMES = [name for name in fkit.image.__all__ if name not in ("Color", "supported_backends")]


def arguments(name: str, folder: Path, video: Path) -> dict[str, Any]:
    """What the function takes gladly."""
    grey, wide = PICTURE[..., 0].copy(), PICTURE.astype(np.float32)
    flow, boxes, rng = np.zeros((12, 16, 2), np.float32), np.array([[1.0, 2, 5, 6]]), np.random.default_rng(0)
    mean = {"mean": [1, 2, 3], "std": [1, 2, 3]}
    eigen = {"eigval": np.ones(3), "eigvec": np.eye(3)}
    out = {"out_file": folder / "out.avi", "vcodec": "MJPG"}
    special: dict[str, dict[str, Any]] = {
        "imfrombytes": {"content": (folder / "000000.png").read_bytes()},
        "imread": {"img_or_path": folder / "000000.png"},
        "imwrite": {"img": PICTURE, "file_path": folder / "b.png"},
        "imconvert": {"img": PICTURE, "src": "bgr", "dst": "hsv"},
        "gray2bgr": {"img": grey},
        "gray2rgb": {"img": grey},
        "imrescale": {"img": PICTURE, "scale": 2.0},
        "imresize": {"img": PICTURE, "size": (4, 5)},
        "imresize_like": {"img": PICTURE, "dst_img": grey},
        "imresize_to_multiple": {"img": PICTURE, "divisor": 4, "size": (9, 9)},
        "rescale_size": {"old_size": (4, 5), "scale": 2.0},
        "imrotate": {"img": PICTURE, "angle": 3},
        "imshear": {"img": PICTURE, "magnitude": 0.3},
        "imtranslate": {"img": PICTURE, "offset": 3},
        "bbox_clip": {"bboxes": boxes, "img_shape": (5, 5)},
        "bbox_scaling": {"bboxes": boxes, "scale": 2.0},
        "cutout": {"img": PICTURE, "shape": 3, "rng": rng},
        "cutout_at": {"img": PICTURE, "shape": 3, "center": (1.0, 2.0)},
        "draw_cutout": {"rng": rng, "img_shape": (5, 5)},
        "imcrop": {"img": PICTURE, "bboxes": boxes, "pad_fill": 3},
        "impad": {"img": PICTURE, "padding": 2},
        "impad_to_multiple": {"img": PICTURE, "divisor": 4},
        "imnormalize": {"img": PICTURE, **mean},
        "imnormalize_": {"img": wide, **mean},
        "imdenormalize": {"img": wide, **mean},
        "preprocess": {"img": PICTURE, **mean},
        "lut_transform": {"img": PICTURE, "lut_table": np.arange(256)},
        "posterize": {"img": PICTURE, "bits": 3},
        "adjust_hue": {"img": PICTURE, "hue_factor": 0.2},
        "adjust_lighting": {"img": PICTURE, **eigen, "rng": rng},
        "draw_lighting": {"rng": rng, "components": 3},
        "light": {"img": PICTURE, **eigen, "alpha": [1, 2, 3]},
        "clahe": {"img": grey},
        "quantize": {"arr": wide, "min_val": 0, "max_val": 1, "levels": 4},
        "dequantize": {"arr": grey, "min_val": 0, "max_val": 1, "levels": 256},
        "tensor2imgs": {"tensor": np.zeros((1, 3, 4, 5), np.float32)},
        "Cache": {"capacity": 3},
        "VideoReader": {"filename": video},
        "concat_video": {"video_list": [video], **out},
        "convert_video": {"in_file": video, **out},
        "cut_video": {"in_file": video, "start": 0, "end": 0.3, **out},
        "resize_video": {"in_file": video, "ratio": 0.5, **out},
        "frames2video": {"frame_dir": folder, "video_file": folder / "out.avi", "filename_tmpl": "{:06d}.png"},
        "opened_writer": {"path": folder / "out.avi", "fourcc": "MJPG", "fps": 3, "size": (32, 32)},
        "flowread": {"flow_or_path": folder / "a.flo"},
        "flowwrite": {"flow": flow, "filename": folder / "b.flo"},
        "flow_from_bytes": {"content": (folder / "a.flo").read_bytes()},
        "sparse_flow_from_bytes": {"content": cv2.imencode(".png", np.zeros((3, 4, 3), np.uint16))[1].tobytes()},
        "flow_warp": {"img": PICTURE, "flow": flow},
        "quantize_flow": {"flow": flow},
        "dequantize_flow": {"dx": grey, "dy": grey},
        "flow2rgb": {"flow": flow},
        "flowshow": {"flow": flow},
        "make_color_wheel": {},
        "color_val": {"color": "red"},
        "imshow_bboxes": {"img": PICTURE, "bboxes": boxes, "show": False},
        "imshow_det_bboxes": {"img": PICTURE, "bboxes": boxes, "labels": np.zeros(1, int), "show": False},
    }
    return special.get(name, {"img": PICTURE})


def tried(call: Callable[..., Any], values: dict[str, Any]) -> str:
    """What came out raw or late, or ""."""
    copies = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in values.items()}
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call(**copies)
            if isinstance(result, contextlib.AbstractContextManager):
                with result:
                    pass
    except FkitError:
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    late = time.perf_counter() - start
    return f"{late:.1f} s" if late > 2 else ""


@pytest.mark.parametrize("name", NAMES)
def test_wrong_types_in_each_position(name: str, samples: Path, tmp_path: Path) -> None:
    fkit.image.imwrite(PICTURE, tmp_path / "000000.png")
    fkit.image.flowwrite(np.zeros((12, 16, 2), np.float32), tmp_path / "a.flo")
    right, function = arguments(name, tmp_path, samples / "video" / "clip.avi"), getattr(fkit.image, name)
    if name not in ("imshow", "flowshow"):
        assert tried(function, right) == ""
    raw = {}
    with contextlib.chdir(tmp_path):  # "x" is a path too
        for parameter, spec in inspect.signature(function).parameters.items():
            switch = isinstance(spec.default, bool)  # anything may stand for true or false, but arrays
            for wrong in WRONG[: 4 if switch else None]:
                trouble = tried(function, {**right, parameter: wrong})
                if trouble:
                    raw[f"{name}({parameter}={wrong!r})"] = trouble
    assert raw == {}


def test_wrong_types_for_the_methods_of_a_reader_and_a_cache(samples: Path, tmp_path: Path) -> None:
    cache = fkit.image.Cache(2)
    with fkit.image.VideoReader(samples / "video" / "clip.avi") as reader:
        calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
            (reader.get_frame, {"frame_id": 1}),
            (reader.__getitem__, {"index": 1}),
            (lambda part: reader[part:], {"part": 28}),
            (reader.cvt2frames, {"frame_dir": tmp_path, "max_num": 2, "file_start": 0, "start": 0}),
            (reader.cvt2frames, {"frame_dir": tmp_path, "max_num": 2, "filename_tmpl": "{}.jpg"}),
            (cache.put, {"key": 1, "val": 2}),
            (cache.get, {"key": 1}),
        ]
        raw = {
            f"{call}({parameter}={wrong!r})": trouble
            for call, right in calls
            for parameter in right
            for wrong in WRONG
            if parameter != "frame_dir" or not isinstance(wrong, str)
            if (trouble := tried(call, {**right, parameter: wrong}))
        }
    assert raw == {}


EMPTY = """
import numpy as np, fkit.image
from fkit.tree.error import FkitError
for shape in ((0, 9), (9, 0), (0, 0), (0, 9, 3), (9, 0, 3), (9, 9, 0)):
    for dtype in ("uint8", "float32"):
        img = np.zeros(shape, dtype)
        calls = [lambda how=how: fkit.image.impad(img, padding=2, padding_mode=how) for how in ("edge", "reflect", "symmetric")]
        calls += [lambda name=name: getattr(fkit.image, name)(img) for name in fkit.image.__all__ if name[:2] not in ("Vi", "Ca", "Co", "su")]
        calls += [lambda: fkit.image.adjust_brightness(img, 2.0), lambda: fkit.image.imrotate(img, 3), lambda: fkit.image.imresize(img, (2, 3))]
        for call in calls:
            try:
                call()
            except (FkitError, TypeError) as error:  # TypeError: arguments that are missing
                assert isinstance(error, FkitError) or "missing" in str(error), error
print("done")
"""


def test_empty_pictures_come_to_an_end() -> None:
    # in a process of its own: OpenCV pads and divides nothing for ever, and no signal ends that
    done = subprocess.run([sys.executable, "-c", EMPTY], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "done", done.stderr
    with pytest.raises(FkitError, match=r"impad: padding_mode = 'reflect' continues a picture; this one is empty"):
        fkit.image.impad(np.zeros((0, 9, 3), np.uint8), padding=2, padding_mode="reflect")
    assert fkit.image.impad(np.zeros((0, 9, 3), np.uint8), padding=2, pad_val=(1, 2, 3)).shape == (4, 13, 3)
    for height, width in ((0, 9), (8, 0)):  # nothing is added to the side that is empty
        img = np.zeros((height, width, 3), np.uint8)
        assert fkit.image.impad_to_multiple(img, 4).shape == (height, -(-width // 4) * 4, 3)
    assert fkit.image.rgb2ycbcr(np.zeros((0, 9, 3), np.float32), y_only=True).shape == (0, 9)


@pytest.mark.parametrize("number", [0, -4, 2.5, None])
def test_a_divisor_is_a_whole_number_from_one(number: Any) -> None:
    calls = (
        lambda: fkit.image.impad_to_multiple(PICTURE, number),
        lambda: fkit.image.imresize_to_multiple(PICTURE, number, size=(9, 9)),
        lambda: fkit.image.imresize_to_multiple(PICTURE, (4, number), size=(9, 9)),
        lambda: fkit.image.preprocess(PICTURE, mean=[0] * 3, std=[1] * 3, size_divisor=number or 0),
    )
    for call in calls:
        with pytest.raises(FkitError, match=r"divisor must be (1 or more|a whole number|a number)"):
            call()
