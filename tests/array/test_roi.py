"""Pooling regions: against sampling spelt out point by point, over every library, with gradients."""

import math

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.array.roi import levels, roi_align, roi_pool
from fkit.detection.extractor import GenericRoIExtractor, SingleRoIExtractor
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain, with_gradient

SHAPES = ((2, 23, 37, 3), (2, 12, 19, 3), (2, 5, 2, 3))
SCALES = (0.25, 0.125, 1 / 32)


def drawn(seed, count=24, kind=np.float64):
    """Maps of three levels and boxes of every proportion, some of them beyond the picture."""
    rng = np.random.default_rng(seed)
    maps = [rng.normal(size=shape).astype(kind) for shape in SHAPES]
    centre = rng.uniform(-10, [158, 102], (count, 2))
    half = np.exp(rng.uniform(-1, 5, (count, 2))) / 2
    boxes = np.concatenate([centre - half, centre + half], 1).astype(kind)
    boxes[0], boxes[1], boxes[2] = (8, 8, 8, 8), (-901.3, -897.1, 905.7, 899.9), (0, 0, 148, 92)
    return maps, boxes, rng.integers(0, 2, count), rng.integers(0, 3, count)


def at(one, y, x):
    """A map (H, W, C) between pixels."""
    height, width = one.shape[:2]
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(one.shape[2])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    above = one[top, left] * (1 - x + left) + one[top, right] * (x - left)
    below = one[bottom, left] * (1 - x + left) + one[bottom, right] * (x - left)
    return above * (1 - y + top) + below * (y - top)


def spelt_out(maps, boxes, image, level, size, ratio, aligned, mode):
    out = np.zeros((len(boxes), *size, 3))
    for r, box in enumerate(boxes):
        one, scale = maps[level[r]][image[r]], SCALES[level[r]]
        x1, y1, x2, y2 = box * scale - (0.5 if aligned else 0)
        tall, wide = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1), max(x2 - x1, 1))
        rows, columns = ratio or math.ceil(tall / size[0]), ratio or math.ceil(wide / size[1])
        for i in range(size[0]):
            for j in range(size[1]):
                values = [
                    at(
                        one,
                        y1 + (i + (s + 0.5) / rows) * tall / size[0],
                        x1 + (j + (t + 0.5) / columns) * wide / size[1],
                    )
                    for s in range(rows)
                    for t in range(columns)
                ]
                if mode == "avg":
                    out[r, i, j] = np.sum(values, 0) / max(len(values), 1)
                else:
                    out[r, i, j] = np.max(values, 0) if values else -1e4
    return out


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize(("ratio", "aligned"), [(0, True), (0, False), (2, True), (3, False)])
def test_regions_are_what_their_samples_are(library, mode, ratio, aligned):
    maps, boxes, image, level = drawn(ratio + aligned)
    want = spelt_out(maps, boxes, image, level, (3, 2), ratio, aligned, mode)
    xp = opened(library)
    with xp.width(maps):
        maps, boxes = [xp.asarray(one, "float64") for one in maps], xp.asarray(boxes, "float64")
        image, level = xp.asarray(image, "int64"), xp.asarray(level, "int64")
        found = roi_align(xp, maps, boxes, image, level, SCALES, (3, 2), ratio, aligned, mode)
    np.testing.assert_allclose(plain(found), want, rtol=1e-9, atol=1e-9)


def gradient(library, ratio):
    xp = opened(library)
    maps, boxes, image, level = drawn(5)
    with xp.width(maps):
        weight = xp.asarray(np.random.default_rng(1).normal(size=(24, 3, 2, 3)), "float64")
        kept = [xp.asarray(one, "float64") for one in maps]
        boxes, image, level = xp.asarray(boxes, "float64"), xp.asarray(image, "int64"), xp.asarray(level, "int64")

        def pooled(one):
            return roi_align(xp, [one, *kept[1:]], boxes, image, level, SCALES, (3, 2), ratio) * weight

        return plain(with_gradient(xp, pooled, kept[0])[1])


@pytest.mark.parametrize("ratio", [0, 2])
def test_gradients_are_the_same(ratio):
    gradients = [gradient(library, ratio) for library in ("torch", "jax")]
    assert np.abs(gradients[0]).max() > 0.1
    np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_half_precision_comes_back_as_it_went_in(library):
    maps, boxes, image, level = drawn(3, kind=np.float32)
    xp = opened(library)
    exact = roi_align(Numpy(), maps, boxes, image, level, SCALES, (4, 4))
    given = [xp.cast(xp.asarray(one, "float32"), "bfloat16") for one in maps]
    found = roi_align(xp, given, xp.asarray(boxes, "float32"), xp.asarray(image, "int64"), xp.asarray(level, "int64"), SCALES, (4, 4))  # fmt: skip
    assert found.dtype == given[0].dtype
    np.testing.assert_allclose(plain(xp.cast(found, "float32")), exact, atol=0.05)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_box_of_no_number_breaks_nothing(library):
    xp = opened(library)
    maps, boxes, image, level = drawn(3, kind=np.float32)
    boxes[4], boxes[5] = math.nan, math.inf
    maps = [xp.asarray(one, "float32") for one in maps]
    parts = xp.asarray(boxes, "float32"), xp.asarray(image, "int64"), xp.asarray(level, "int64")
    found = plain(roi_align(xp, maps, *parts, SCALES, (2, 2)))
    assert np.isfinite(np.delete(found, [4, 5], 0)).all()


@pytest.mark.parametrize("library", LIBRARIES)
def test_roi_pool_takes_the_greatest_pixel(library):
    maps, boxes, image, level = drawn(9)
    boxes[3] = (40, 40, 30, 30)
    size, want = (3, 2), np.zeros((len(boxes), 3, 2, 3))
    for r, box in enumerate(boxes):
        one, scale = maps[level[r]][image[r]], SCALES[level[r]]
        (x1, y1), (x2, y2) = box[:2] * scale, (box[2:] + 1) * scale
        for i in range(size[0]):
            for j in range(size[1]):
                rows = slice(
                    *(max(int(f(k * (y2 - y1) / 3 + y1)), 0) for f, k in ((math.floor, i), (math.ceil, i + 1)))
                )
                columns = slice(
                    *(max(int(f(k * (x2 - x1) / 2 + x1)), 0) for f, k in ((math.floor, j), (math.ceil, j + 1)))
                )
                part = one[rows, columns].reshape(-1, 3)
                want[r, i, j] = part.max(0) if len(part) and x2 > x1 and y2 > y1 else 0
    xp = opened(library)
    with xp.width(maps):
        maps, boxes = [xp.asarray(one, "float64") for one in maps], xp.asarray(boxes, "float64")
        found = roi_pool(xp, maps, boxes, xp.asarray(image, "int64"), xp.asarray(level, "int64"), SCALES, size)
    np.testing.assert_array_equal(plain(found), want)


@pytest.mark.parametrize("pool", ["avg", "max", "RoIPool"])
def test_no_regions(pool):
    for library in LIBRARIES:
        xp = opened(library)
        maps = [xp.full((1, 4, 4, 2), 1.0)]
        none = xp.full((0, 4), 0.0), xp.full((0,), 0, "int64"), None, [1.0], (3, 3)
        found = roi_pool(xp, maps, *none) if pool == "RoIPool" else roi_align(xp, maps, *none, mode=pool)
        assert tuple(found.shape) == (0, 3, 3, 2)


def test_one_compiled_function_serves_boxes_of_any_size():
    import jax

    xp = opened("jax")
    maps, *_ = drawn(0, kind=np.float32)
    pooled = jax.jit(lambda maps, boxes, image, level: roi_align(xp, maps, boxes, image, level, SCALES, (3, 3)))
    for seed in (1, 2):
        _, boxes, image, level = drawn(seed, kind=np.float32)
        found = pooled(maps, boxes, image, level)
        np.testing.assert_allclose(found, roi_align(Numpy(), maps, boxes, image, level, SCALES, (3, 3)), atol=2e-5)
    assert pooled._cache_size() == 1


def test_levels_of_boxes_whose_side_is_exactly_a_power():
    for library in LIBRARIES:
        xp = opened(library)
        boxes = xp.asarray(np.array([[0, 0, side, side] for side in (0, 56, 111, 112, 223, 224, 448, 5e4)]), "float32")
        assert plain(levels(xp, boxes, 4)).tolist() == [0, 0, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("aggregation", ["sum", "concat"])
def test_the_generic_extractor_takes_every_level(aggregation):
    maps, boxes, image, _ = drawn(4)
    layer = {"type": "RoIAlign", "output_size": 2}
    channels = 3 if aggregation == "sum" else 9
    extract = GenericRoIExtractor(roi_layer=layer, out_channels=channels, featmap_strides=[4, 8, 32], aggregation=aggregation)  # fmt: skip
    parts = [roi_align(Numpy(), maps, boxes, image, image * 0 + level, SCALES, (2, 2)) for level in range(3)]
    want = sum(parts) if aggregation == "sum" else np.concatenate(parts, -1)
    np.testing.assert_allclose(extract(Numpy(), maps, boxes, image), want)
    np.testing.assert_allclose(
        extract(Numpy(), maps, boxes, image, pre=lambda a: a * 2, post=lambda a: a + 1), want * 2 + 1
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"roi_layer": "RoIAlign"},
        {"roi_layer": {"type": "RoIAlignn", "output_size": 7}},
        {"roi_layer": {"type": "RoIAlign", "output_size": 7, "sample_ratio": 0}},
        {"roi_layer": {"type": "RoIPool"}},
    ],
)
def test_wrong_layers_are_refused(wrong):
    with pytest.raises(FkitError, match="roi_layer"):
        SingleRoIExtractor(**{"out_channels": 1, "featmap_strides": [4], **wrong})
