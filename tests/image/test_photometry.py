"""Levels, tones and colours: laws of the arithmetic, the fused chain, and the words of the errors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fkit.image import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_hue,
    adjust_lighting,
    adjust_sharpness,
    auto_contrast,
    bgr2gray,
    bgr2hsv,
    bgr2rgb,
    bgr2ycbcr,
    clahe,
    dequantize,
    draw_lighting,
    gray2bgr,
    imconvert,
    imdenormalize,
    imequalize,
    imflip,
    iminvert,
    imnormalize,
    imnormalize_,
    impad,
    impad_to_multiple,
    imrescale,
    imresize,
    light,
    lut_transform,
    posterize,
    preprocess,
    quantize,
    rgb2ycbcr,
    solarize,
    tensor2imgs,
    ycbcr2bgr,
)
from fkit.tree.error import FkitError

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def noise(seed: int, shape: tuple[int, ...] = (9, 13, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(st.integers(0, 99), st.booleans())
def test_the_table_of_normalising_has_the_bits_of_the_arithmetic(seed: int, to_rgb: bool) -> None:
    img = noise(seed)
    table = imnormalize(img, MEAN, STD, to_rgb)
    np.testing.assert_array_equal(table, imnormalize_(img.astype(np.float32), MEAN, STD, to_rgb))
    np.testing.assert_allclose(imdenormalize(table, MEAN, STD, to_rgb), img, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    size=st.sampled_from([None, (20, 11), (7, 30), (33, 5)]),
    scale=st.sampled_from([None, 0.7, 2, (40, 25)]),
    flip=st.sampled_from([None, "horizontal", "vertical", "diagonal"]),
    to_rgb=st.booleans(),
    divisor=st.sampled_from([None, 1, 8, 32]),
    shape=st.sampled_from([None, (40, 50), (3, 3)]),
    pad_val=st.sampled_from([0, -1.5]),
    kind=st.sampled_from(["uint8", "float32", "grey"]),
)
def test_the_fused_chain_has_the_bits_of_its_parts(
    seed: int, size: Any, scale: Any, flip: Any, to_rgb: bool, divisor: Any, shape: Any, pad_val: float, kind: str
) -> None:
    img = noise(seed, (17, 23) if kind == "grey" else (17, 23, 3))
    img = img.astype(np.float32) if kind == "float32" else img
    size, shape = None if scale else size, None if divisor else shape
    mean, std, to_rgb = (MEAN[:1], STD[:1], False) if kind == "grey" else (MEAN, STD, to_rgb)
    step = imrescale(img, scale) if scale else imresize(img, size) if size else img
    step = imflip(step, flip) if flip else step
    step = imnormalize(np.ascontiguousarray(step), mean, std, to_rgb)
    if divisor:
        step = impad_to_multiple(step, divisor, pad_val)
    elif shape:
        step = impad(step, shape=shape, pad_val=pad_val)
    fused = preprocess(
        img, mean=mean, std=std, size=size, scale=scale, flip=flip, to_rgb=to_rgb, size_divisor=divisor,
        pad_shape=shape, pad_val=pad_val,
    )  # fmt: skip
    assert fused.dtype == np.float32 and fused.flags.c_contiguous
    np.testing.assert_array_equal(fused, step)


def test_the_fused_chain_refuses_what_contradicts(photo: np.ndarray) -> None:
    with pytest.raises(FkitError, match="at most one of size and scale"):
        preprocess(photo, mean=MEAN, std=STD, size=(3, 3), scale=2)
    with pytest.raises(FkitError, match="at most one of size_divisor and pad_shape"):
        preprocess(photo, mean=MEAN, std=STD, size_divisor=4, pad_shape=(99, 99))
    with pytest.raises(FkitError, match="flip = 'left' is unknown"):
        preprocess(photo, mean=MEAN, std=STD, flip="left")


@given(st.integers(0, 99))
def test_inverting_and_solarising_twice_give_the_picture_back(seed: int) -> None:
    img = noise(seed)
    np.testing.assert_array_equal(iminvert(iminvert(img)), img)
    np.testing.assert_array_equal(solarize(img, 256), img)
    np.testing.assert_array_equal(solarize(img, 0), iminvert(img))


@given(st.integers(0, 99), st.integers(0, 8))
def test_posterising_is_idempotent_and_keeps_the_top_bits(seed: int, bits: int) -> None:
    img = noise(seed)
    kept = posterize(img, bits)
    np.testing.assert_array_equal(posterize(kept, bits), kept)
    np.testing.assert_array_equal(kept, img.astype(int) // 2 ** (8 - bits) * 2 ** (8 - bits))


@given(st.integers(0, 99), st.sampled_from([0, 1, 10, (5, 20), (60, 30)]))
def test_the_histogram_methods_are_pillows(seed: int, cutoff: Any) -> None:
    img = (noise(seed, (20, 30, 3)) // 3 + 40).astype(np.uint8)
    np.testing.assert_array_equal(imequalize(img), np.array(ImageOps.equalize(Image.fromarray(img))))
    np.testing.assert_array_equal(
        auto_contrast(img, cutoff), np.array(ImageOps.autocontrast(Image.fromarray(img), cutoff))
    )


@pytest.mark.parametrize("adjust", [adjust_brightness, adjust_contrast, adjust_sharpness, adjust_color])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_factor_of_one_changes_nothing(adjust: Any, dtype: Any, photo: np.ndarray) -> None:
    img = photo.astype(dtype)
    np.testing.assert_array_equal(adjust(img, 1), img)


def test_a_factor_of_zero_gives_the_other_end(photo: np.ndarray) -> None:
    assert adjust_brightness(photo, 0).max() == 0
    assert np.unique(adjust_contrast(photo, 0)).tolist() == [round(float(bgr2gray(photo).mean()))]
    np.testing.assert_array_equal(adjust_color(photo, 0), gray2bgr(bgr2gray(photo)))


@given(st.integers(0, 99), st.sampled_from([-0.5, -0.25, 0.0, 0.1, 0.5]))
def test_turning_the_hue_keeps_value_and_greys(seed: int, factor: float) -> None:
    img = noise(seed)
    turned = adjust_hue(img, factor)
    np.testing.assert_allclose(turned.max(axis=-1).astype(int), img.max(axis=-1).astype(int), atol=1)
    grey = np.repeat(img[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(adjust_hue(grey, factor), grey)


def test_lighting_is_its_draw_and_a_shift(photo: np.ndarray) -> None:
    eigval, eigvec = np.array([55.46, 4.794]), np.array([[0.5, 0.7], [0.5, 0.1], [0.6, -0.7]])
    lit = adjust_lighting(photo, eigval, eigvec, 0.5, rng=np.random.default_rng(3))
    alpha = draw_lighting(np.random.default_rng(3), 2, 0.5)
    np.testing.assert_array_equal(lit, light(photo, eigval, eigvec, alpha))
    np.testing.assert_allclose(lit - bgr2rgb(photo), np.broadcast_to(eigvec @ (alpha * eigval), photo.shape))


@given(st.integers(0, 99))
def test_colour_spaces_go_there_and_back(seed: int) -> None:
    img = noise(seed)
    np.testing.assert_array_equal(bgr2rgb(bgr2rgb(img)), img)
    assert np.abs(ycbcr2bgr(bgr2ycbcr(img)[1:-1]).astype(int) - img[1:-1]).max() <= 255
    unit = (img / 255).astype(np.float32)
    np.testing.assert_allclose(ycbcr2bgr(bgr2ycbcr(unit)), unit, atol=2e-3)
    np.testing.assert_array_equal(rgb2ycbcr(bgr2rgb(img)), bgr2ycbcr(img))
    np.testing.assert_array_equal(rgb2ycbcr(img, y_only=True), rgb2ycbcr(img)[..., 0])
    np.testing.assert_array_equal(imconvert(img, "BGR", "hsv"), bgr2hsv(img))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(-3, 0), st.floats(0.5, 3), st.integers(2, 300))
def test_dequantising_lands_within_half_a_bin(values: list[float], low: float, high: float, levels: int) -> None:
    arr = np.array(values)
    numbers = quantize(arr, low, high, levels)
    assert numbers.min() >= 0 and numbers.max() < levels
    back = dequantize(numbers, low, high, levels)
    assert np.abs(back - np.clip(arr, low, high)).max() <= (high - low) / levels * 0.5000001 + 1e-12
    np.testing.assert_array_equal(quantize(back, low, high, levels), numbers)


def test_a_batch_comes_back_as_pictures(photo: np.ndarray) -> None:
    batch = np.stack([imnormalize(photo, MEAN, STD), imnormalize(imflip(photo).copy(), MEAN, STD)]).transpose(
        0, 3, 1, 2
    )
    first, second = tensor2imgs(batch, MEAN, STD)
    for picture, source in ((first, photo), (second, imflip(photo))):
        assert picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - source).max() <= 1  # the last bit before truncation


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda img: imnormalize_(img, MEAN, STD), "writes floats into its argument.*\n.*use imnormalize"),
        (lambda img: imdenormalize(img, MEAN, STD), "takes normalised floats; got .* uint8"),
        (
            lambda img: imnormalize(img[..., :2].copy(), MEAN[:2], STD[:2]),
            r"imnormalize swaps the channels of three; got \(48, 64, 2\) uint8",
        ),
        (lambda img: posterize(img, 9), r"bits must be in 0\.\.8; got 9"),
        (lambda img: posterize(img / 2, 3), "takes integers; got .* float64"),
        (lambda img: posterize(img, 2.5), "bits must be an integer; got 2.5"),
        (lambda img: iminvert(img > 9), r"numbers that reach 255; got \(48, 64, 3\) bool"),
        (lambda img: solarize(img.astype(np.int8)), r"numbers that reach 255; got \(48, 64, 3\) int8"),
        (lambda img: imnormalize(img[:0], MEAN, STD, False), r"the image is empty, \(0, 64, 3\) uint8"),
        (lambda img: adjust_brightness(img[:0]), r"the image is empty, \(0, 64, 3\) uint8"),
        (lambda img: adjust_contrast(img[..., :2]), r"takes three channels; got \(48, 64, 2\)"),
        (lambda img: adjust_hue(img / 2, 0.1, "pillow"), r"backend='pillow' takes \(H, W, 3\) uint8; got .* float64"),
        (lambda img: lut_transform(img, np.zeros(255)), r"256 entries; got \(255,\)"),
        (lambda img: lut_transform(img.astype(int) * 2, np.zeros(256)), "values must lie in 0"),
        (lambda img: imequalize(img[..., 0]), r"takes \(H, W, 3\) uint8; got \(48, 64\)"),
        (lambda img: auto_contrast(img, 50), "leaves no grey level"),
        (lambda img: auto_contrast(img, [1, 2]), "a number or a pair; got list"),
        (clahe, r"a grey image \(H, W\); got \(48, 64, 3\)"),
        (lambda img: clahe(img[..., 0], tile_grid_size=(2.0, 2)), "a tuple of two integers"),
        (lambda img: adjust_hue(img, 0.6), r"-0\.5\.\.0\.5; got 0\.6"),
        (lambda img: adjust_color(img, backend="tifffile"), "(?s)backend = 'tifffile'.*Allowed: cv2, pillow"),
        (lambda img: adjust_color(img, 0.5, 0.2, backend="pillow"), "takes alpha alone"),
        (lambda img: adjust_contrast(img.astype(np.float32) + 300), r"no grey level of this image .* lies in 0\.\.255"),
        (lambda img: adjust_sharpness(img, 2, [[1.0]]), r"an array \(h, w\); got list"),
        (
            lambda img: adjust_lighting(img, np.ones(3), np.eye(3), 1, rng=np.random.default_rng(0)),
            "alphastd must be a float",
        ),
        (lambda img: light(img, np.ones(2), np.eye(3), [1, 2]), "do not fit"),
        (lambda img: rgb2ycbcr(img / 2), "takes uint8 in 0..255 or float32 in 0..1; got .* float64"),
        (lambda img: bgr2gray(img[..., 0]), r"bgr2gray takes three or four channels; got \(48, 64\) uint8"),
        (lambda img: bgr2hsv(img.astype(np.uint16)), r"bgr2hsv: OpenCV refuses an image of \(48, 64, 3\) uint16"),
        (lambda img: imconvert(img, "bgr", "hsw"), "(?s)no BGR2HSW.*Did you mean 'BGR2HSV'"),
        (lambda img: quantize(img, 1, 0, 4), "min_val must be below max_val; got 1 and 0"),
        (lambda img: quantize(img, 0, 1, 1), "levels must be 2 or more; got 1"),
        (lambda img: quantize(img, 0, 1, 4.0), r"levels must be a whole number; got float 4\.0"),
        (tensor2imgs, r"takes \(N, 1, H, W\) or \(N, 3, H, W\); got \(48, 64, 3\)"),
        (lambda img: tensor2imgs(np.zeros((1, 1, 2, 2))), "to_rgb=True needs 3 channels"),
    ],
)
def test_errors_say_what_was_wrong(call: Any, words: str, photo: np.ndarray) -> None:
    with pytest.raises(FkitError, match=words):
        call(photo)


def test_grey_and_four_channels_are_taken_as_mmcv_takes_them() -> None:
    grey, alpha = noise(0, (9, 13)), noise(1, (9, 13, 4))
    for img in (grey, grey[..., None]):
        np.testing.assert_array_equal(bgr2rgb(img), np.repeat(grey[..., None], 3, axis=2))
        for dtype in (np.uint8, np.float32):
            normal = imnormalize(img.astype(dtype), [2], [4])  # nothing to swap
            assert normal.shape == img.shape
            np.testing.assert_array_equal(normal.reshape(grey.shape), (grey.astype(np.float32) - 2) / 4)
            np.testing.assert_array_equal(imdenormalize(normal, [2], [4]), grey)  # a channel axis of one is dropped
    np.testing.assert_array_equal(bgr2rgb(alpha), alpha[..., 2::-1])
    normal = imnormalize(alpha, (1, 2, 3, 4), (2, 2, 2, 2))  # neither does mmcv swap four
    np.testing.assert_array_equal(normal, (alpha.astype(np.float32) - (1, 2, 3, 4)) / 2)
    np.testing.assert_array_equal(imdenormalize(normal, (1, 2, 3, 4), (2, 2, 2, 2)), alpha)
    np.testing.assert_array_equal(imnormalize_(alpha.astype(np.float32), (1, 2, 3, 4), (2, 2, 2, 2)), normal)
    for function in (imequalize, auto_contrast):
        np.testing.assert_array_equal(function(alpha), function(alpha[..., :3].copy()))
    assert adjust_brightness(grey[..., None].astype(np.float32), 0.5).shape == grey.shape


def test_as_many_means_as_channels() -> None:
    for mean, std in (([1, 2], [1, 1, 1]), ([1, 2, 3], [1, 2]), ([1] * 4, [1] * 4)):
        for function, img in ((imnormalize, noise(0)), (imdenormalize, noise(0).astype(np.float32))):
            with pytest.raises(FkitError, match=r"has \d numbers for 3 channels"):
                function(img, mean, std, False)
