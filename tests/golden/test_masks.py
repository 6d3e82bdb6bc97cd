"""The masks of the book ``boxes``: the methods of mmdet's BitmapMasks and PolygonMasks, by fkit's of those names."""

from typing import Any

import numpy as np
import pytest

from fkit.structures.mask import BitmapMasks, PolygonMasks, bitmap_to_polygon, boxes_of, polygon_to_bitmap
from fkit.tree.error import FkitError
from tests.golden.decoding import corners

BOOK = "boxes"


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [case for case in book["cases"] if case["fn"] == "masks"]


def decode(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [decode(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if "$a" in node:
        array = np.array(node["$a"], node["dtype"])
        return array.reshape(node["shape"]) if "shape" in node else array
    if "$array" in node:
        return arrays[node["$array"]].copy()
    if "$tuple" in node:
        return tuple(decode(item, arrays) for item in node["$tuple"])
    if "$boxes" in node:
        return decode(node["$boxes"], arrays)
    if "$bitmaps" in node:
        return BitmapMasks(decode(node["$bitmaps"], arrays), node["height"], node["width"])
    if "$polygons" in node:
        return PolygonMasks(decode(node["$polygons"], arrays), node["height"], node["width"])
    return {key: decode(item, arrays) for key, item in node.items()}


def assert_same(actual: Any, expected: Any) -> None:
    if isinstance(expected, BitmapMasks):
        assert (actual.height, actual.width) == (expected.height, expected.width)
        assert_same(actual.masks, expected.masks)
    elif isinstance(expected, PolygonMasks):
        assert (actual.height, actual.width) == (expected.height, expected.width)
        assert [len(parts) for parts in actual] == [len(parts) for parts in expected]
        for mine, theirs in zip(actual, expected, strict=True):
            for part, reference in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(corners(part), corners(reference), rtol=0, atol=1e-9)
    elif isinstance(expected, dict):
        assert actual["with_hole"] is expected["with_hole"]
        for mine, theirs in zip(actual["polygons"], expected["polygons"], strict=True):
            assert_same(mine, theirs)
    else:
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(actual, expected)


def test_case(case: dict[str, Any], book_arrays: dict[str, np.ndarray]) -> None:
    given = decode(case["args"], book_arrays)
    method, masks = given.pop("method"), given.pop("masks")

    def call() -> Any:
        if method == "mask2bbox":
            return boxes_of(masks)
        if method == "polygon_to_bitmap":
            return polygon_to_bitmap(masks, **given)
        if method == "bitmap_to_polygon":
            return dict(zip(("polygons", "with_hole"), bitmap_to_polygon(masks), strict=True))
        member = getattr(masks, method)
        return member(**given) if callable(member) else member

    if "raises" in case:
        with pytest.raises(FkitError):
            call()
        return
    before = pixels(masks).copy()
    assert_same(call(), decode(case["out"], book_arrays))
    np.testing.assert_array_equal(before, pixels(masks))


def pixels(masks: Any) -> np.ndarray:
    if isinstance(masks, list):
        return np.concatenate(masks)
    return masks.to_ndarray() if isinstance(masks, BitmapMasks | PolygonMasks) else masks
