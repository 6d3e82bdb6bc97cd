"""Sizes, flips, warps, crops and pads: laws, and the words of their errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.image import (
    bbox_clip,
    bbox_scaling,
    cutout,
    cutout_at,
    draw_cutout,
    imcrop,
    imflip,
    imflip_,
    impad,
    impad_to_multiple,
    imrescale,
    imresize,
    imresize_to_multiple,
    imrotate,
    imshear,
    imtranslate,
    rescale_size,
)
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

SIDES = st.integers(1, 400)


@given(SIDES, SIDES, st.tuples(st.integers(2, 2000), st.integers(2, 2000)))
def test_rescaling_fits_into_the_two_lengths_and_touches_one(width: int, height: int, scale: tuple[int, int]) -> None:
    (wide, high), factor = rescale_size((width, height), scale, return_scale=True)
    assert max(wide, high) <= max(scale)
    assert min(wide, high) <= min(scale)
    assert max(wide, high) == max(scale) or min(wide, high) == min(scale)
    assert abs(wide - width * factor) <= 0.5 + 1e-9 or wide == 1
    assert rescale_size((width, height), scale[::-1]) == (wide, high)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 17))
def test_padding_to_a_multiple_keeps_the_picture_and_adds_least(width: int, height: int, divisor: int) -> None:
    img = np.random.default_rng(width).integers(1, 256, (height, width, 3), dtype=np.uint8)
    out = impad_to_multiple(img, divisor)
    assert out.shape[0] % divisor == 0 == out.shape[1] % divisor
    assert 0 <= out.shape[0] - height < divisor and 0 <= out.shape[1] - width < divisor
    np.testing.assert_array_equal(out[:height, :width], img)
    assert out[height:].sum() == 0 == out[:, width:].sum()


@given(st.sampled_from(["horizontal", "vertical", "diagonal"]), st.booleans())
def test_flipping_twice_changes_nothing(direction: str, colour: bool) -> None:
    img = np.arange(60, dtype=np.uint8).reshape((4, 5, 3) if colour else (6, 10))
    np.testing.assert_array_equal(imflip(imflip(img, direction), direction), img)
    there = imflip_(img.copy(), direction)
    np.testing.assert_array_equal(there, imflip(img, direction))


@given(st.integers(-3, 3))
def test_a_quarter_turn_is_that_of_numpy(quarters: int) -> None:
    img = np.random.default_rng(0).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(imrotate(img, 90 * quarters), np.rot90(img, -quarters))


def test_auto_bound_keeps_the_whole_picture_in_view() -> None:
    img = np.full((20, 40), 255, np.uint8)
    turned = imrotate(img, 90, auto_bound=True)
    assert turned.shape == (40, 20)
    assert turned.min() == 255


@given(st.integers(-8, 8), st.sampled_from(["horizontal", "vertical"]))
def test_translating_by_whole_pixels_moves_them(offset: int, direction: str) -> None:
    img = np.random.default_rng(0).integers(0, 200, (9, 11), dtype=np.uint8)
    moved = imtranslate(img, offset, direction, border_value=255)
    axis = 1 if direction == "horizontal" else 0
    expected = np.roll(img, offset, axis=axis)
    lost = np.arange(img.shape[axis])
    lost = lost[:offset] if offset >= 0 else lost[offset:]
    np.put_along_axis(expected, np.expand_dims(lost, 1 - axis), 255, axis=axis)
    np.testing.assert_array_equal(moved, expected)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_cropping_out_what_was_padded_gives_the_picture(left: int, top: int, right: int, bottom: int) -> None:
    img = np.random.default_rng(0).integers(0, 256, (12, 15, 3), dtype=np.uint8)
    padded = impad(img, padding=(left, top, right, bottom), pad_val=(1, 2, 3))
    box = np.array([left, top, left + 14, top + 11])
    np.testing.assert_array_equal(imcrop(padded, box), img)
    outside = np.array([-left, -top, 14 + right, 11 + bottom])
    np.testing.assert_array_equal(imcrop(img, outside, pad_fill=[1, 2, 3]), padded)


@given(st.lists(st.floats(-50, 150, width=32), min_size=4, max_size=4), st.floats(0.1, 3))
def test_scaling_keeps_the_centre_and_clipping_is_idempotent(corners: list[float], scale: float) -> None:
    box = np.array([[min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])]])
    scaled = bbox_scaling(box, scale)
    np.testing.assert_allclose(scaled[:, :2] + scaled[:, 2:], box[:, :2] + box[:, 2:], atol=1e-9)
    np.testing.assert_allclose(
        scaled[:, 2:] - scaled[:, :2] + 1 - scale * (box[:, 2:] - box[:, :2] + 1), 1 - 1, atol=60
    )
    clipped = bbox_clip(scaled, (40, 60))
    np.testing.assert_array_equal(bbox_clip(clipped, (40, 60)), clipped)
    assert clipped.min() >= 0 and clipped[:, ::2].max() <= 59 and clipped[:, 1::2].max() <= 39


def test_cutout_is_its_draw_and_its_fill(photo: np.ndarray) -> None:
    drawn = cutout(photo, (10, 20), (7, 8, 9), rng=np.random.default_rng(5))
    center = draw_cutout(np.random.default_rng(5), photo.shape)
    np.testing.assert_array_equal(drawn, cutout_at(photo, (10, 20), center, (7, 8, 9)))
    changed = np.argwhere((drawn != photo).any(axis=-1))
    assert changed.size and (np.ptp(changed, axis=0) < (10, 20)).all()
    assert (drawn[tuple(changed.T)] == (7, 8, 9)).all()


def test_resizing_writes_into_a_buffer_that_fits(photo: np.ndarray) -> None:
    buffer = np.empty((24, 32, 3), np.uint8)
    assert imresize(photo, (32, 24), out=buffer) is buffer
    np.testing.assert_array_equal(buffer, imresize(photo, (32, 24)))
    resized, w_scale, h_scale = imresize_to_multiple(photo, 16, scale_factor=0.4, return_scale=True)
    assert (resized.shape, w_scale, h_scale) == ((32, 32, 3), 0.5, 32 / 48)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda img: imresize(img, (3, 3), interpolation="linear"),
            ValueError,
            r"(?s)interpolation = 'linear'.*'bilinear'",
        ),
        (lambda img: imresize(img > 9, (3, 3)), ValueError, r"OpenCV refuses an image of \(48, 64, 3\) bool"),
        (lambda img: imresize(img, (0, 3)), ValueError, "imresize: OpenCV refuses"),
        (lambda img: imresize(img, (3, 3), backend="pil"), ValueError, r"(?s)backend = 'pil'.*Allowed: cv2, pillow"),
        (lambda img: imresize(img / 2, (3, 3), backend="pillow"), TypeError, "takes uint8; got .* float64"),
        (lambda img: imrescale(img, -1), ValueError, "a factor must be above 0; got -1"),
        (lambda img: imrescale(img, [3, 3]), TypeError, r"scale must be a number or a tuple; got \[3, 3\]"),
        (lambda img: imrescale("a.png", 2), TypeError, "imrescale takes an image.*got str"),
        (lambda img: imresize_to_multiple(img, 4), ValueError, "exactly one of size and scale_factor"),
        (lambda img: imflip(img, "left"), ValueError, r"direction = 'left'"),
        (lambda img: imrotate(img, 5, center=(1, 1), auto_bound=True), ValueError, "conflicts with center"),
        (lambda img: imrotate(img, 5, border_mode="mirror"), ValueError, "border_mode = 'mirror'"),
        (lambda img: imshear(img, 1, "diagonal"), ValueError, "direction = 'diagonal'"),
        (lambda img: imshear(img, 1, border_value=(1, 2)), ValueError, "2 numbers for 3 channels"),
        (lambda img: imcrop(img, np.zeros((2, 5))), ValueError, r"\(4,\) or \(N, 4\); got \(2, 5\) float64"),
        (lambda img: imcrop(img, np.zeros(4), pad_fill=[1]), ValueError, "1 numbers for 3 channels"),
        (lambda img: imcrop(img[..., :1], np.zeros(4), pad_fill=1), ValueError, r"not \(H, W, 1\)"),
        (lambda img: imrescale(img[:0], (9, 9)), ValueError, "a size of 64 x 0 cannot be fitted"),
        (lambda img: bbox_clip(np.zeros((2, 3)), (4, 4)), ValueError, r"\(\.\.\., 4 K\); got \(2, 3\)"),
        (impad, ValueError, "exactly one of shape and padding"),
        (lambda img: impad(img, padding=(1, 2, 3)), ValueError, "integer or a tuple of 2 or 4"),
        (lambda img: impad(img, padding=1, pad_val=[1]), TypeError, "pad_val must be a number; got list"),
        (lambda img: impad(img, padding=1, padding_mode="wrap"), ValueError, "(?s)'wrap'.*Allowed: constant, edge"),
        (lambda img: cutout_at(img, [3, 3], (1, 1)), TypeError, "an integer or a tuple of two"),
        (lambda img: cutout_at(img, 3, (1, 1), (1, 2)), ValueError, "2 numbers for 3 channels"),
    ],
)
def test_errors_say_what_was_wrong(call, error: type[Exception], words: str, photo: np.ndarray) -> None:
    with pytest.raises(FkitError, match=words) as caught:
        call(photo)
    assert isinstance(caught.value, error)
    assert isinstance(caught.value, (FkitTypeError, FkitValueError))


@pytest.mark.parametrize("box", [[-9, 2, -4, 5], [70, 2, 75, 5], [2, -9, 5, -3], [2, 60, 5, 63], [-30, -30, -1, -1]])
def test_a_patch_beside_the_picture_is_all_fill(box: list[int], photo: np.ndarray) -> None:
    patch = imcrop(photo + 1, np.array(box), pad_fill=[7, 8, 9])
    assert patch.shape == (box[3] - box[1] + 1, box[2] - box[0] + 1, 3)
    assert (patch == [7, 8, 9]).all()


@given(st.tuples(st.integers(-20, 80), st.integers(-20, 80), st.integers(0, 40), st.integers(0, 40)))
def test_a_filled_patch_is_a_cut_from_a_filled_plain(box: tuple[int, int, int, int]) -> None:
    img = np.random.default_rng(0).integers(1, 256, (48, 64), dtype=np.uint8)
    plain = np.zeros((248, 264), np.uint8)
    plain[100:148, 100:164] = img
    x, y, wide, high = box
    patch = imcrop(img, np.array([x, y, x + wide, y + high]), pad_fill=0)
    np.testing.assert_array_equal(patch, plain[100 + y : 101 + y + high, 100 + x : 101 + x + wide])


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([4, 4, 1, 6], r"the box \[4, 4, 1, 6\] has its second corner before the first"),
        ([4, 4, 6, 1], "second corner before the first"),
        ([np.nan, 0, 3, 3], r"the box \[nan, 0.0, 3.0, 3.0\] is not finite"),
        ([0, 0, np.inf, 3], "is not finite"),
        ([0, 0, 1e12, 3], "too large for any picture"),
    ],
)
@pytest.mark.parametrize("pad_fill", [None, 7])
def test_boxes_that_are_none_are_refused(box: list[float], words: str, pad_fill: int | None, photo: np.ndarray) -> None:
    with pytest.raises(FkitValueError, match=words):
        imcrop(photo, np.array([[0, 0, 3, 3], box]), pad_fill=pad_fill)


def test_at_least_one_row_is_left() -> None:
    assert rescale_size((3, 1000), (100, 100)) == (1, 100)
    assert imrescale(np.zeros((1000, 3, 3), np.uint8), (100, 100)).shape == (100, 1, 3)
    assert imrescale(np.zeros((10, 20), np.uint8), 0.01).shape == (1, 1)
    assert imresize_to_multiple(np.zeros((10, 20), np.uint8), (8, 4), scale_factor=0.01).shape == (4, 8)


def test_keep_ratio_is_about_a_size_and_not_a_factor() -> None:
    img = np.zeros((70, 90, 3), np.uint8)
    assert imresize_to_multiple(img, 4, scale_factor=(1.5, 0.7), keep_ratio=True).shape == (52, 136, 3)
    assert imresize_to_multiple(img, 4, scale_factor=(1.5, 0.7)).shape == (52, 136, 3)
    assert imresize_to_multiple(img, 4, size=(180, 70), keep_ratio=True).shape == (72, 92, 3)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "float16", "uint32", "uint64", "int64", "float32"]
)
def test_boxes_of_any_width_are_clipped(dtype: str) -> None:
    boxes = np.array([[1, 2, 120, 110]], dtype)
    for shape, clipped in (
        ((0, 0), [0, 0, 0, 0]),
        ((1, 1, 3), [0, 0, 0, 0]),
        ((100, 200), [1, 2, 120, 99]),
        ([90000, 90000], [1, 2, 120, 110]),
    ):
        inside = bbox_clip(boxes, shape)
        assert (inside.tolist(), inside.dtype) == ([clipped], dtype)


def test_boxes_of_bytes_are_clipped_and_scaled() -> None:
    boxes = np.array([[1, 2, 250, 255]], np.uint8)
    assert bbox_clip(boxes, (200, 800)).tolist() == [[1, 2, 250, 199]]
    assert bbox_scaling(np.array([[10, 10, 19, 29]], np.uint8), 2).tolist() == [[5.0, 0.0, 24.0, 39.0]]
