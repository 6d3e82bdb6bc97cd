"""HorizontalBoxes: a frozen value over an array of any library. What its numbers are is in the book ``boxes``."""

import numpy as np
import pytest

from fkit.structures.bitmap import BitmapMasks
from fkit.structures.box import HorizontalBoxes
from fkit.tree.error import FkitError, FkitTypeError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_method_gives_new_boxes_of_the_same_library(library):
    tensor = opened(library).asarray([[1, 2, 3, 5], [0, 0, 8, 4]], "float32")
    boxes = HorizontalBoxes(tensor)
    moved = boxes.translate((1, -1)).rescale((2, 2)).clip((8, 10))
    assert type(moved.tensor) is type(tensor)
    assert plain(moved.tensor).tolist() == [[4, 2, 8, 8], [2, 0, 10, 6]]
    assert plain(boxes.tensor).tolist() == [[1, 2, 3, 5], [0, 0, 8, 4]]
    assert HorizontalBoxes(boxes.cxcywh, in_mode="cxcywh") == boxes
    assert HorizontalBoxes.cat([boxes[:1], boxes[1:]]) == boxes
    assert [plain(one.tensor).shape for one in boxes] == [(4,), (4,)]
    assert plain(boxes.overlaps(boxes, is_aligned=True)) == pytest.approx([1, 1])


def test_boxes_of_masks_and_masks_of_boxes():
    boxes = HorizontalBoxes([[1, 0, 3, 2]])
    masks = boxes.create_masks((3, 4))
    assert masks == BitmapMasks(np.array([[[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]], np.uint8), 3, 4)
    assert HorizontalBoxes.from_instance_masks(masks) == boxes


@pytest.mark.parametrize("wrong", [None, "x", [[1, 2, 3]], [["a"] * 4], 3])
def test_what_are_no_boxes(wrong):
    with pytest.raises(FkitTypeError, match="HorizontalBoxes"):
        HorizontalBoxes(wrong)


def test_arguments_are_checked():
    boxes = HorizontalBoxes(np.zeros((2, 4)))
    for call in (
        lambda: boxes.flip((1, 2), "round"),
        lambda: boxes.flip(3),
        lambda: boxes.project(np.eye(2)),
        lambda: boxes.overlaps(np.zeros((2, 4))),
        lambda: boxes.find_inside_points(np.zeros((3, 2)), is_aligned=True),
        lambda: boxes.convert_to("rbox"),
        lambda: HorizontalBoxes(np.zeros((2, 4)), in_mode="xywh"),
        lambda: HorizontalBoxes.cat([]),
    ):
        with pytest.raises(FkitError):
            call()
