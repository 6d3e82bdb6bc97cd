"""Masks of instances: what no book records."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.structures.clip import clip_polygon
from fkit.structures.mask import BitmapMasks, PolygonMasks, bitmap_to_rle, polygon_to_bitmap, rle_to_bitmap
from fkit.tree.error import FkitError, FkitIndexError, FkitTypeError, FkitValueError

TWO = np.zeros((2, 4, 6), np.uint8)
TWO[0, 1:3, 2:5] = 1
TWO[1, 0, 0] = 1
POLYGONS = PolygonMasks([[[0, 0, 3, 0, 3, 2]], [np.array([1.0, 1, 5, 1, 5, 3]), [0, 3, 1, 3, 1, 4]]], 4, 6)


@pytest.mark.parametrize("masks", [BitmapMasks(TWO, 4, 6), POLYGONS])
def test_it_is_a_value(masks):
    assert masks == pickle.loads(pickle.dumps(masks)) and masks != masks.flip() and masks == masks.flip().flip()
    with pytest.raises(AttributeError):
        masks.height = 3
    first = masks.masks[0] if isinstance(masks, BitmapMasks) else masks.masks[0][0]
    assert not first.flags.writeable
    assert repr(masks) == f"{type(masks).__name__}(num_masks=2, height=4, width=6)"


def test_what_it_was_made_of_stays_writable_and_is_not_copied():
    array = TWO.copy()
    masks = BitmapMasks(array, 4, 6)
    assert array.flags.writeable and np.shares_memory(masks.masks, array)
    assert np.shares_memory(masks.flip().masks, array)


@pytest.mark.parametrize("masks", [BitmapMasks(TWO, 4, 6), POLYGONS])
def test_picking_and_joining(masks):
    one = masks[1]
    assert len(one) == 1 and masks[[1, 0]][1] == masks[0] and masks[np.array([False, True])] == one == masks[1:]
    assert type(masks).cat([masks[0], one]) == masks and len(masks[[]]) == 0
    assert [len(masks[:0].resize((2, 3))), masks[:0].resize((2, 3)).height, masks[:0].to_ndarray().shape] == [
        0,
        2,
        (0, 4, 6),
    ]
    with pytest.raises(FkitIndexError, match="out of range"):
        masks[2]
    with pytest.raises(FkitValueError, match="several sizes"):
        type(masks).cat([masks, masks.resize((2, 2))])
    with pytest.raises(FkitValueError, match="empty"):
        type(masks).cat([])


def test_no_masks_keep_their_shape_through_every_method():
    for masks in (BitmapMasks([], 4, 6), PolygonMasks([], 4, 6)):
        boxes, inds = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        for other, shape in (
            (masks.flip("diagonal"), (4, 6)),
            (masks.pad((8, 9)), (8, 9)),
            (masks.crop(np.array([1, 1, 4, 3])), (2, 3)),
            (masks.rescale(0.5), (2, 3)),
            (masks.expand(8, 9, 1, 2), (8, 9)),
            (masks.translate((5, 6), 1), (5, 6)),
            (masks.shear((4, 6), 0.5), (4, 6)),
            (masks.rotate((4, 6), 30), (4, 6)),
            (masks.crop_and_resize(boxes, (3, 3), inds), (3, 3)),
        ):
            assert len(other) == 0 and (other.height, other.width) == shape == other.to_ndarray().shape[1:]
        assert masks.areas.shape == (0,) and masks.get_bboxes().shape == (0, 4)


def test_bools_and_many_are_warped_as_bytes_and_few_are():
    many = BitmapMasks(np.tile(TWO, (300, 1, 1)), 4, 6)
    turned = many.rotate((4, 6), 30)
    assert len(turned) == 600 and turned[:2] == turned[598:]
    bools = BitmapMasks(TWO.astype(bool), 4, 6)
    sheared = bools.shear((4, 6), 1)
    assert sheared.masks.dtype == bool and sheared == BitmapMasks(TWO, 4, 6).shear((4, 6), 1)
    assert bools.resize((8, 12)).masks.dtype == bool


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: BitmapMasks(TWO[0], 4, 6), FkitTypeError, r"masks\[None\]"),
        (lambda: BitmapMasks(TWO, 6, 4), FkitValueError, "4 x 6 are not of height 6 and width 4"),
        (lambda: BitmapMasks([TWO[0, :2]], 4, 6), FkitValueError, r"\(2, 6\)"),
        (lambda: BitmapMasks(TWO, 4, 6).shear((5, 6), 1), FkitValueError, "keep their size"),
        (lambda: BitmapMasks(TWO, 4, 6).pad((2, 9)), FkitValueError, "do not fit"),
        (lambda: BitmapMasks(TWO, 4, 6).crop([9, 0, 12, 3]), FkitValueError, "beside"),
        (lambda: BitmapMasks(TWO, 4, 6).flip("left"), FkitValueError, "horizontal"),
        (lambda: PolygonMasks([[[1, 2, 3]]], 4, 6), FkitValueError, "even length"),
        (lambda: PolygonMasks([[1, 2, 3, 4]], 4, 6), FkitTypeError, "a part is a flat array"),
        (lambda: POLYGONS.crop_and_resize(np.zeros((1, 4)), (2, 2), [0], binarize=False), FkitValueError, "grey"),
        (lambda: rle_to_bitmap({"size": [2, 3], "counts": [1, 2]}), FkitValueError, "3 pixels, not 2 x 3"),
        (lambda: polygon_to_bitmap([["a", "b"]], 4, 4), FkitValueError, "no parts"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_corners_in_whole_numbers_are_not_cut_to_whole_numbers():
    assert PolygonMasks([[[1, 1, 3, 1, 3, 3]]], 4, 6).resize((2, 3)).masks[0][0].tolist() == [
        0.5,
        0.5,
        1.5,
        0.5,
        1.5,
        1.5,
    ]


def halved(points, axis, bound, sign):
    """What is above a line, in one piece whose parts hang together along it: Sutherland and Hodgman's way."""
    done = []
    for before, here in zip([points[-1], *points[:-1]] if points else [], points, strict=True):
        a, b = sign * (before[axis] - bound), sign * (here[axis] - bound)
        if (a >= 0) != (b >= 0):
            done.append(tuple(p + a / (a - b) * (q - p) for p, q in zip(before, here, strict=True)))
        if b >= 0:
            done.append(here)
    return done


def area(points):
    x, y = np.array(points).reshape(-1, 2).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=9), st.data())
def test_the_pieces_inside_a_box_have_the_area_that_is_inside(corners, data):
    points = np.array(corners, np.float64)
    points = points[
        np.argsort(np.arctan2(*(points - points.mean(0)).T))
    ]  # seen from the middle: it does not cross itself
    x1, y1 = (data.draw(st.integers(0, 12)) for _ in "xy")
    x2, y2 = x1 + data.draw(st.integers(1, 12)), y1 + data.draw(st.integers(1, 12))
    inside = [tuple(point) for point in points.tolist()]
    for axis, bound, sign in ((0, x1, 1), (0, x2, -1), (1, y1, 1), (1, y2, -1)):
        inside = halved(inside, axis, bound, sign)
    pieces = clip_polygon(points, (x1, y1, x2, y2))
    assert all((piece >= (x1, y1)).all() and (piece <= (x2, y2)).all() for piece in pieces)
    assert sum(area(piece) for piece in pieces) == pytest.approx(area(inside), abs=1e-9)


def test_a_polygon_that_touches_the_line_from_within_is_cut_where_it_crosses_it():
    pieces = clip_polygon(np.array([[0.0, 0], [7, 5], [5, 2], [7, 0]]), (5, 0, 10, 5))
    assert sum(area(piece) for piece in pieces) == pytest.approx(0.5 * 2 * 2 + 0.5 * 2 * (25 / 7 - 2))


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_run_lengths_there_and_back(height, width, random):
    bitmap = np.array([[random.random() < 0.5 for _ in range(width)] for _ in range(height)])
    assert np.array_equal(rle_to_bitmap(bitmap_to_rle(bitmap)), bitmap)


def test_an_error_of_masks_is_one_of_the_kit():
    with pytest.raises(FkitError, match="no run-length"):
        rle_to_bitmap({"size": [2, 3], "counts": None})
