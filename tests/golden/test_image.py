"""The book ``image``: every recorded call of mmcv's image functions, by fkit's function of that name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit.image
from fkit.tree.error import FkitError
from tests.golden.decoding import CV2_MAJOR, Decoder, compare

BOOK = "image"


def test_case(
    case: dict[str, Any], book_arrays: dict[str, np.ndarray], data_folders: tuple[Path, ...], tmp_path: Path
) -> None:
    decode = Decoder(book_arrays, data_folders, absent=case.get("raises") == "FileNotFoundError")
    recorded = {**case, **case.get("opencv4", {})} if CV2_MAJOR == 4 else case
    if "raises" in case and "out" in case.get("opencv4", {}) and CV2_MAJOR == 4:
        recorded.pop("raises")
    call = caller(case, tmp_path)
    arguments = decode(case["args"])
    if "raises" in recorded:
        with pytest.raises(FkitError):
            call(**arguments)
        return
    before = [value.copy() for value in arguments.values() if isinstance(value, np.ndarray)]
    compare(call(**arguments), decode(recorded["out"]), tolerance(case))
    if not case["fn"].endswith("_"):
        after = [value for value in arguments.values() if isinstance(value, np.ndarray)]
        assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(before, after, strict=True))


def test_what_numpy_1_meant(
    book: dict[str, Any], book_arrays: dict[str, np.ndarray], data_folders: tuple[Path, ...]
) -> None:
    meant = [case for case in book["cases"] if case["fn"] == "adjust_hue" and "numpy1_out" in case]
    decode = Decoder(book_arrays, data_folders, absent=False)
    for case in meant:
        actual = getattr(fkit.image, case["fn"])(**decode(case["args"]))
        np.testing.assert_array_equal(actual, decode(case["numpy1_out"]), err_msg=case["id"])


def tolerance(case: dict[str, Any]) -> int:
    """Grey levels that a uint8 output may be off by."""
    if case["fn"] in ("adjust_brightness", "adjust_contrast", "adjust_sharpness", "adjust_color"):
        return 1  # the reference truncates: the last bit of a float decides
    if case["fn"] in ("imread", "imread_pathlib", "imfrombytes", "imwrite", "flowwrite", "VideoReader"):
        return 0 if CV2_MAJOR == 5 else 4  # as the decoder: recorded with OpenCV 5
    return 0


def caller(case: dict[str, Any], folder: Path) -> Callable[..., Any]:
    """The call that the case's ``fn`` stands for."""
    name = case["fn"]
    special = {
        "adjust_lighting": lambda **given: lit(case, **given),
        "cutout": lambda **given: cut(case, **given),
        "flowwrite": lambda **given: flow_written(folder, **given),
        "imflip_": lambda **given: in_place(fkit.image.imflip_, **given),
        "imnormalize_": lambda **given: in_place(fkit.image.imnormalize_, **given),
        "imread_pathlib": lambda img_or_path, **given: fkit.image.imread(Path(img_or_path), **given),
        "imwrite": lambda **given: written(folder, **given),
        "use_backend_then_imresize": lambda use, **given: fkit.image.imresize(**given),  # the switch was not seen
        "VideoReader": video,
    }
    return special.get(name) or getattr(fkit.image, name)


def lit(case: dict[str, Any], **given: Any) -> np.ndarray:
    if "draws" not in case:
        return fkit.image.adjust_lighting(**given, rng=np.random.default_rng(0))
    alpha = case["draws"][0]["value"]["$a"]
    given.pop("alphastd", None)
    return fkit.image.light(alpha=alpha, **given)


def cut(case: dict[str, Any], **given: Any) -> np.ndarray:
    if "draws" not in case:
        return fkit.image.cutout(**given, rng=np.random.default_rng(0))
    y, x = (draw["value"] for draw in case["draws"])
    return fkit.image.cutout_at(center=(y, x), **given)


def in_place(function: Callable[..., np.ndarray], img: np.ndarray, **given: Any) -> dict[str, Any]:
    result = function(img, **given)
    return {"ret": result, "same_buffer": np.shares_memory(result, img), "img_after": img}


def written(folder: Path, suffix: str, **given: Any) -> dict[str, Any]:
    path = folder / f"a{suffix}"
    done = fkit.image.imwrite(file_path=path, **given)
    return {"ret": done, "first_bytes": list(path.read_bytes()[:4]), "reread": fkit.image.imread(path, "unchanged")}


def flow_written(folder: Path, flow: np.ndarray, suffix: str, **given: Any) -> dict[str, Any]:
    path = folder / f"a{suffix}"
    fkit.image.flowwrite(flow, path, **given)
    out: dict[str, Any] = {"reread": fkit.image.flowread(path, **given)}
    return out if given.get("quantize") else {**out, "bytes": path.read_bytes()}


def video(filename: str, frames: list[int]) -> dict[str, Any]:
    with fkit.image.VideoReader(filename) as reader:
        names = ("frame_cnt", "fps", "width", "height", "resolution")
        out = {"len": len(reader), **{name: getattr(reader, name) for name in names}}
        out["frames"] = {str(i): reader[i] for i in frames}
        out["last"] = reader[-1]
        reader[2:5]
        return {**out, "after_slice_position": reader.position}
