"""Boxes and labels on pictures, colours, and what is said where there is no screen."""

from pathlib import Path

import numpy as np
import pytest

from fkit.image import Color, color_val, imread, imshow_bboxes, imshow_det_bboxes
from fkit.image.show import window_trouble
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError

BOXES = np.array([[4, 6, 20, 30], [30, 8, 60, 40]], np.float32)
GREEN = (0, 255, 0)


def outline(box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x1, y1, x2, y2 = box[:4].astype(int)
    mask = np.zeros(shape[:2], bool)
    mask[y1 : y2 + 1, [x1, x2]] = True
    mask[[y1, y2], x1 : x2 + 1] = True
    return mask


def test_boxes_are_drawn_on_a_copy(photo: np.ndarray) -> None:
    before = photo.copy()
    drawn = imshow_bboxes(photo, BOXES, show=False)
    np.testing.assert_array_equal(photo, before)
    lines = outline(BOXES[0], photo.shape) | outline(BOXES[1], photo.shape)
    assert (drawn[lines] == GREEN).all()
    np.testing.assert_array_equal(drawn[~lines], photo[~lines])


def test_groups_have_their_colours_and_top_k_counts_in_each(photo: np.ndarray) -> None:
    drawn = imshow_bboxes(photo, [BOXES[:1], BOXES], ["red", 7], top_k=1, show=False)
    assert (drawn[outline(BOXES[0], photo.shape)] == 7).all()  # the second group is drawn over the first
    np.testing.assert_array_equal(drawn[8, 40:60], photo[8, 40:60])
    with pytest.raises(FkitValueError, match="1 colours for 2 groups"):
        imshow_bboxes(photo, [BOXES, BOXES], ["red"], show=False)


def test_detections_below_the_threshold_are_left_out_and_the_file_holds_the_rest(
    photo: np.ndarray, tmp_path: Path
) -> None:
    found = np.column_stack([BOXES, [0.9, 0.2]])
    path = tmp_path / "new" / "drawn.png"
    drawn = imshow_det_bboxes(photo, found, np.array([1, 0]), ["cat", "dog"], 0.5, show=False, out_file=path)
    assert (drawn[outline(BOXES[0], photo.shape)] == GREEN).all()
    np.testing.assert_array_equal(drawn[40, 30:61], photo[40, 30:61])
    np.testing.assert_array_equal(imread(path), drawn)


def test_a_picture_may_be_a_path(samples: Path) -> None:
    drawn = imshow_det_bboxes(samples / "image" / "coffee.jpg", np.zeros((0, 5)), np.zeros(0, int), show=False)
    np.testing.assert_array_equal(drawn, imread(samples / "image" / "coffee.jpg"))


def test_colours_in_all_their_forms() -> None:
    assert color_val(Color.cyan) == color_val("cyan") == color_val((255, 255, 0)) == color_val(np.array([255, 255, 0]))
    assert color_val(3) == (3, 3, 3)
    with pytest.raises(FkitKeyError, match=r"(?s)color = 'grean' is unknown.*Did you mean 'green'"):
        color_val("grean")
    for wrong in (300, (1, 2), (1, 2, 300), np.array([-1, 2, 3])):
        with pytest.raises(FkitValueError, match=r"three numbers in 0\.\.255"):
            color_val(wrong)
    for wrong in (1.5, [1, 2, 3]):
        with pytest.raises(FkitTypeError, match="A colour is a name"):
            color_val(wrong)


def test_what_does_not_fit_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(FkitError, match=r"takes \(N, 4\) or \(N, 5\) and \(N,\); got \(2, 4\) float32 and \(3,\)"):
        imshow_det_bboxes(photo, BOXES, np.zeros(3, int), show=False)
    with pytest.raises(FkitError, match="score_thr needs a score for each box"):
        imshow_det_bboxes(photo, BOXES, np.zeros(2, int), score_thr=0.5, show=False)
    with pytest.raises(FkitError, match="label 1 has no name among the 1 given"):
        imshow_det_bboxes(photo, BOXES, np.array([0, 1]), ["cat"], show=False)
    with pytest.raises(FkitError, match=r"takes boxes \(N, 4\); got \(4,\)"):
        imshow_bboxes(photo, BOXES[0], show=False)


@pytest.mark.parametrize(
    ("build", "environ", "platform", "said"),
    [
        ("GUI:                           NONE\n", {"DISPLAY": ":0"}, "linux", "opencv-python-headless"),
        ("  no such line", {"DISPLAY": ":0"}, "linux", "opencv-python-headless"),
        ("  GUI:   QT5\n", {}, "linux", "neither DISPLAY nor WAYLAND_DISPLAY"),
        ("  GUI:   QT5\n", {"DISPLAY": ":0"}, "linux", ""),
        ("  GUI:   GTK3\n", {"WAYLAND_DISPLAY": "wayland-0"}, "linux", ""),
        ("  GUI:   COCOA\n", {}, "darwin", ""),
        ("  GUI:   WIN32UI\n", {}, "win32", ""),
    ],
)
def test_why_no_window_opens(build: str, environ: dict[str, str], platform: str, said: str) -> None:
    trouble = window_trouble(build, environ, platform)
    assert said in trouble
    assert bool(said) == bool(trouble)
