"""What the tags of recorded books stand for, and how a result is held against a recorded one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fkit.image

CV2_MAJOR = int(cv2.__version__.split(".")[0])


class Decoder:
    """What the tags of the book stand for."""

    def __init__(self, arrays: dict[str, np.ndarray], folders: tuple[Path, ...], absent: bool) -> None:
        self.arrays = arrays
        self.folders = folders
        self.absent = absent  # the case is about a file that is not there

    def __call__(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self(item) for item in node]
        if not isinstance(node, dict):
            return node
        for tag, read in self._tags():
            if tag in node:
                return read(node)
        return {key: self(value) for key, value in node.items()}

    def _tags(self) -> tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...]:
        return (
            ("$a", self._written),
            ("$array", lambda node: self.arrays[node["$array"]].copy()),
            ("$bytes", lambda node: self.arrays[node["$bytes"]].tobytes()),
            ("$digest", lambda node: Digest(**{**node["$digest"], "sample": self.arrays[node["$digest"]["sample"]]})),
            ("$dict", lambda node: {self(key): self(value) for key, value in node["$dict"]}),
            ("$dtype", lambda node: np.dtype(node["$dtype"])),
            ("$enum", lambda node: fkit.image.Color[node["$enum"].removeprefix("Color.")]),
            ("$file", self._file),
            ("$float", lambda node: float(node["$float"])),
            ("$scalar", lambda node: np.dtype(node["dtype"]).type(self(node["$scalar"]))),
            ("$tuple", lambda node: tuple(self(value) for value in node["$tuple"])),
        )

    def _written(self, node: dict[str, Any]) -> np.ndarray:
        array = np.array(self(node["$a"]), node["dtype"])
        return array.reshape(node["shape"]) if "shape" in node else array

    def _file(self, node: dict[str, Any]) -> str:
        paths = [folder / node["$file"] for folder in self.folders]
        found = next((path for path in paths if path.exists()), None)
        if found is None and not self.absent:
            pytest.fail(f"the sample {node['$file']} is in none of {[str(folder) for folder in self.folders]}")
        return str(found or paths[-1])


class Digest:
    """An output too large to keep: its hash, and every ``step``-th row and column."""

    def __init__(self, shape: list[int], dtype: str, sha256: str, step: int, sample: np.ndarray) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.sha256 = sha256
        self.step = step
        self.sample = sample


def compare(actual: Any, expected: Any, levels: int) -> None:
    if isinstance(expected, Digest):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        step = expected.step
        compare(actual[::step, ::step] if actual.ndim > 1 else actual[::step], expected.sample, levels)
        if expected.dtype.kind in "iub" and not levels:
            assert hashlib.sha256(np.ascontiguousarray(actual).tobytes()).hexdigest() == expected.sha256
    elif isinstance(expected, np.ndarray):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        if expected.dtype.kind == "f":
            largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
            relative = 1e-5 if expected.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * largest)
        else:
            np.testing.assert_allclose(actual.astype(np.int64), expected.astype(np.int64), rtol=0, atol=levels)
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            compare(one, other, levels)
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            compare(actual[key], value, levels)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-12)
    else:
        assert actual == expected


def corners(part: np.ndarray) -> np.ndarray:
    """The corners (n, 2) of a polygon x y x y ..., from the first in order of x and y, towards the smaller neighbour: two
    polygons are the same wherever they begin and whichever way they go round."""
    points = part.reshape(-1, 2).astype(np.float64).round(9).tolist()
    start = points.index(min(points))
    points = points[start:] + points[:start]
    return np.array(points if points[1] <= points[-1] else [points[0], *points[:0:-1]])


def untagged(value: Any) -> Any:
    """The value that the tags of the kit's canonical JSON stand for."""
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__tuple__" in value:
        return tuple(untagged(item) for item in value["__tuple__"])
    if "__float__" in value:
        return float(value["__float__"])
    if "__dict__" in value:
        return {untagged(key): untagged(item) for key, item in value["__dict__"]}
    return {key: untagged(item) for key, item in value.items()}
