"""Captions and contact sheets: an image in, an image out."""

from typing import Any

import numpy as np
import pytest

from fkit.data.dataset import Digits
from fkit.tree.error import FkitError
from fkit.visualize.visualizer import draw_label, picture, sheet

DIGIT = Digits("test")[0]


def part(image: Any, colour: tuple[int, int, int]) -> int:
    """How many pixels have about this colour."""
    return int((np.abs(image.astype(int) - colour).max(axis=2) < 12).sum())


BLUE, GREEN, RED, SOFT = (37, 99, 235), (5, 150, 105), (220, 38, 38), (123, 135, 148)


def test_small_images_are_enlarged_pixel_by_pixel():
    shown = draw_label(picture(DIGIT["img"], 16), "two", 0.5, side_px=64)
    assert shown.shape[1] == 160 and shown.dtype == np.uint8
    left = (160 - 64) // 2
    blocks = shown[:64, left : left + 64].reshape(8, 8, 8, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert (blocks[:, 0, :, 0] == picture(DIGIT["img"], 16)).all()


def test_large_images_stay_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    before = image.copy()
    shown = draw_label(image, "noise", 0.5)
    assert (shown[:300] == image).all() and (image == before).all() and shown.shape[1] == 400


def test_the_bar_is_as_long_as_the_score():
    half, whole = (part(draw_label(np.zeros((8, 8)), "a", score), BLUE) for score in (0.5, 1.0))
    assert abs(half / whole - 0.5) < 0.05
    assert part(draw_label(np.zeros((8, 8)), "a", 0.0), BLUE) == 0
    assert part(draw_label(np.zeros((8, 8)), "a", float("nan")), BLUE) == 0


def test_colours_say_whether_it_is_true():
    image = np.zeros((8, 8))
    right, wrong = draw_label(image, "a", 0.9, truth="a"), draw_label(image, "a", 0.9, truth="b")
    assert part(right, GREEN) > 500 and part(right, RED) == 0
    assert part(wrong, RED) > 500 and part(wrong, GREEN) == 0
    assert wrong.shape[0] > right.shape[0]  # it names the true class


def test_every_bar_has_the_same_scale():
    shown = draw_label(np.zeros((8, 8)), "", 0.4, others=[("", 0.2), ("", 0.1)])
    below = shown[257:, :120].astype(int)  # no number stands in this half, and no bar ends in the other
    filled = sum((np.abs(below - colour).max(axis=2) < 12).sum(axis=1) for colour in (BLUE, SOFT))
    groups = np.split(filled, np.flatnonzero(np.diff(filled > 0)) + 1)
    first, second, third = (int(group.max()) for group in groups if group.any())
    assert abs(second / first - 0.5) < 0.02 and abs(third / first - 0.25) < 0.02


def test_other_classes_get_a_row_each():
    image = np.zeros((8, 8))
    heights = [draw_label(image, "a", 0.5, others=[("b", 0.3), ("c", 0.2)][:n]).shape[0] for n in range(3)]
    assert heights[2] - heights[1] == 34 and heights[1] > heights[0]


@pytest.mark.parametrize("name", ["two\nlines", "\t", "", "a\udcffb", "x" * 20000])
def test_names_of_any_kind_are_drawn_on_one_line(name):
    shown = draw_label(np.zeros((8, 8)), name, 0.5, truth="b", others=[(name, 0.1)])
    assert shown.shape[1] == 256


def test_long_names_stay_inside():
    shown = draw_label(np.zeros((8, 8)), "a name that is far too long for the width" * 3, 0.5)
    assert shown.shape == (324, 256, 3) and (shown[257:, -10:] == 255).all()
    assert (shown != draw_label(np.zeros((8, 8)), "a", 0.5)).any()


def test_a_sheet_is_a_grid():
    images = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    found = sheet(images, columns=2, gap_px=1)
    assert found.shape == (11, 15, 3)
    assert (found[1:5, 1:7] == 10).all() and (found[1:5, 8:14] == 20).all() and (found[6:10, 1:7] == 30).all()
    assert (found[6:10, 8:14] == 255).all()
    with pytest.raises(FkitError, match="a sheet of no images"):
        sheet([])


def test_pictures_go_by_the_value_of_white():
    assert picture(np.array([[0.0, 1.0, 2.0, np.nan]]))[0, :, 0].tolist() == [0, 255, 255, 0]
    assert picture(np.array([[0, 65535]], np.uint16))[0, :, 0].tolist() == [0, 255]
    with pytest.raises(FkitError, match=r"got \(3, 8, 8\)"):
        picture(np.zeros((3, 8, 8)))
