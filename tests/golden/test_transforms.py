"""The book ``transforms``: recorded calls of mmcv's, mmdet's, mmpose's and mmsegmentation's transforms, by fkit's of that name.

What was drawn at random is handed to `apply`: the functions in ``replay/`` turn a case's ``draws`` and ``params`` into what
the transform's own ``draw`` would have given.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.structures.mask import BitmapMasks, PolygonMasks
from fkit.tree.error import FkitError
from fkit.tree.frozen import frozen
from tests.golden.decoding import CV2_MAJOR, Decoder, Digest, compare, corners
from tests.golden.replay.codec import codec_case
from tests.golden.replay.recorded import Recorded

BOOK = "transforms"
# keys that fkit's samples have beside the reference's
EXTRA = frozenset({"homography_matrix", "img_max", "sample_idx", "swap_seg_labels"})
BLENDS = frozenset(
    {"Brightness", "Color", "Contrast", "Sharpness", "AutoAugment", "RandAugment", "PhotoMetricDistortion"}
)


def test_case(
    case: dict[str, Any], book_arrays: dict[str, np.ndarray], data_folders: tuple[Path, ...], tmp_path: Path
) -> None:
    decode = Values(book_arrays, data_folders, absent="/absent." in str(case["input"]))
    outcome = {key: value for key, value in case.items() if key in ("out", "raises")}
    if CV2_MAJOR == 4 and "opencv4" in case:
        outcome = {key: value for key, value in case["opencv4"].items() if key in ("out", "raises")}
    recorded = Recorded(case["package"], decode(case["draws"]), decode(case["params"]))
    if "raises" in outcome:
        with pytest.raises(FkitError):
            run(case, decode, recorded, tmp_path)
        return
    held(run(case, decode, recorded, tmp_path), decode(outcome["out"]), levels(case))


def run(case: dict[str, Any], decode: "Values", recorded: Recorded, folder: Path) -> Any:
    """What fkit makes of a case's input: a sample, None, or a list of them."""
    cfg, given = decode(case["cfg"]), decode(case["input"])
    if isinstance(cfg, dict):
        return codec_case(cfg, given)
    parts = [fkit.registry().build("transforms", part, scope=case["package"]) for part in cfg]
    if isinstance(given, list):
        return [through(parts, one, recorded, folder) for one in given]
    return through(parts, given, recorded, folder)


def through(parts: list[Any], given: dict[str, Any], recorded: Recorded, folder: Path) -> Any:
    others = given.pop("mix_results", None)
    if others is not None:
        recorded.others = [frozen(one) for one in others]
    if "seg_map_png" in given:
        path = folder / "seg_map.png"
        path.write_bytes(given.pop("seg_map_png"))
        given["seg_map_path"] = str(path)
    before = {key: value.copy() for key, value in given.items() if isinstance(value, np.ndarray)}
    sample: Any = frozen(given)
    recorded.seen.append(sample)
    for part in parts:
        if sample is not None:
            sample = part.apply(sample, recorded.params_of(part, sample))
    for key, value in before.items():
        np.testing.assert_array_equal(given[key], value, err_msg=f"the input's {key} was written to")
    if isinstance(sample, Mapping) and "seg_map_path" in given:
        return {key: value for key, value in sample.items() if key != "seg_map_path"}
    return sample


def levels(case: dict[str, Any]) -> int:
    """Grey levels that a uint8 output may be off by: the reference truncates a blend, so the last bit of a float decides."""
    return int(isinstance(case["cfg"], list) and any(name in str(case["cfg"]) for name in BLENDS))


def held(actual: Any, expected: Any, grey: int) -> None:
    """Hold a sample, or a list of them, against the recorded one."""
    if isinstance(expected, dict) and "views" in actual:  # the reference has lists of the views' values
        actual = {key: [view[key] for view in actual["views"]] for key in expected}
    if isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            held(one, other, grey)
    elif not isinstance(expected, dict):
        same(actual, expected, grey, "sample")
    elif "data_samples" in expected and isinstance(expected["data_samples"], Packed):
        packed(actual, expected, grey)
    else:
        names = set(actual) - EXTRA
        assert names == set(expected) - EXTRA, f"keys: {sorted(names ^ set(expected))}"
        for key, value in expected.items():
            same(actual[key], value, grey, key)


def packed(actual: Any, expected: dict[str, Any], grey: int) -> None:
    """A packed sample: the reference's data sample is fkit's ``targets`` and ``meta``."""
    same(actual["inputs"], expected["inputs"], grey, "inputs")
    sample = expected["data_samples"]
    for name, value in sample.metainfo.items():
        same(actual["meta"][name], value, grey, f"meta.{name}")
    for name, value in sample.data.items():
        fields = value.data if isinstance(value, Packed) else {"": value}
        for field, content in fields.items():
            target = actual["targets"][name]
            if isinstance(target, Mapping):
                target = target[field]
            elif isinstance(content, np.ndarray) and content.ndim == 3 and len(content) == 1:
                content = content[0]  # a map is packed with no axis of channels
            same(target, content, grey, f"{name}.{field}")


def same(actual: Any, expected: Any, grey: int, where: str) -> None:
    """Equal in kind and value; the width of a float is not compared (mmcv's Resize makes float64 of float32 boxes)."""
    __tracebackhide__ = True
    if where == "img" and getattr(expected, "dtype", None) == np.int64:
        actual = np.asarray(actual).astype(np.int64)  # mmdet's CopyPaste multiplies the pixels by an int64 mask
    try:
        if isinstance(expected, (BitmapMasks, PolygonMasks)) and isinstance(actual, np.ndarray):
            np.testing.assert_array_equal(actual, expected.to_ndarray())  # masks are packed as arrays
        elif isinstance(expected, (BitmapMasks, PolygonMasks)):
            assert type(actual) is type(expected), f"{type(actual)} for {type(expected)}"
            assert (actual.height, actual.width, len(actual)) == (expected.height, expected.width, len(expected))
            for one, other in zip(actual.masks, expected.masks, strict=True):
                if isinstance(expected, BitmapMasks):
                    compare(np.asarray(one), other.astype(one.dtype), grey)
                    continue
                for part, recorded in zip(one, other, strict=True):
                    compare(corners(part), corners(recorded), grey)
        elif isinstance(expected, np.ndarray):
            array = np.asarray(actual)
            if array.dtype.kind == expected.dtype.kind == "f":
                expected = expected.astype(np.result_type(array.dtype, expected.dtype))
                narrow = np.float32 if np.float32 in (array.dtype, expected.dtype) else array.dtype
                array, expected = array.astype(narrow), expected.astype(narrow)
            compare(array, expected, grey)
        elif isinstance(expected, (list, tuple)):
            actual = list(actual) if isinstance(actual, np.ndarray) else actual  # levels of one shape are stacked
            assert isinstance(actual, (list, tuple)) and len(actual) == len(expected), f"{actual!r} for {expected!r}"
            for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
                same(one, other, grey, f"{where}[{place}]")
        elif isinstance(expected, dict):
            assert set(actual) == set(expected), f"keys {set(actual) ^ set(expected)}"
            for key, value in expected.items():
                same(actual[key], value, grey, f"{where}.{key}")
        elif isinstance(expected, (float, np.floating)):
            assert float(actual) == pytest.approx(float(expected), rel=1e-6)
        elif isinstance(expected, Digest):
            compare(actual, expected, grey)
        else:
            assert actual == expected
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from None


class Packed:
    """A recorded data element: its fields, and what is known of it."""

    def __init__(self, kind: str, metainfo: dict[str, Any], data: dict[str, Any]) -> None:
        self.kind = kind
        self.metainfo = metainfo
        self.data = data


class Values(Decoder):
    """The tags of this book: boxes are plain arrays here, masks fkit's own values."""

    def _tags(self) -> Any:
        return (
            ("$boxes", lambda node: self(node["$boxes"])),
            ("$bitmaps", lambda node: BitmapMasks(self(node["$bitmaps"]), node["height"], node["width"])),
            ("$polygons", lambda node: PolygonMasks(self(node["$polygons"]), node["height"], node["width"])),
            (
                "$InstanceData",
                lambda node: Packed("InstanceData", self(node.get("metainfo", {})), self(node["$InstanceData"])),
            ),
            ("$PixelData", lambda node: Packed("PixelData", self(node.get("metainfo", {})), self(node["$PixelData"]))),
            ("$sample", lambda node: Packed(node["$sample"], self(node["metainfo"]), self(node["data"]))),
            *super()._tags(),
        )
