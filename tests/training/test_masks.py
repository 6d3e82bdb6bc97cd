"""Targets of masks at a picture's edge, padded or not, against the reference's numbers."""

from typing import Any

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.array.paste import mask_targets
from fkit.training.preprocess import DetDataPreprocessor

# what mmdet 3.3's BitmapMasks.crop_and_resize(binarize=False) gives of these masks at the lower right edge of a picture
# of 7 x 10, as they are (pad_mask=False) and after pad((8, 16)) (pad_mask=True): rows 1 and 4 of 4 of each box
BOXES = np.array([[4.0, 2.5, 10.0, 7.0], [6.5, 4.25, 10, 7], [8.6, 5.7, 10, 7], [7.0, 5.9, 9.4, 7.0]], np.float32)
EDGES = {
    False: [
        [[0.1758, 0.5625, 0.5625, 0.5625], [0.3125, 1, 1, 1]],
        [[1, 1, 1, 1], [1, 1, 1, 1]],
        [[1, 1, 1, 1], [1, 1, 1, 1]],
        [[0, 0.2150, 0.5375, 0.2150], [0, 0.4, 1, 0.4]],
    ],
    True: [
        [[0.1758, 0.5625, 0.5625, 0.5273], [0.2783, 0.8906, 0.8906, 0.8350]],
        [[1, 1, 1, 0.9375], [0.8438, 0.8438, 0.8438, 0.7910]],
        [[1, 1, 1, 0.6750], [0.6625, 0.6625, 0.6625, 0.4472]],
        [[0, 0.2150, 0.5375, 0.2150], [0, 0.2550, 0.6375, 0.2550]],
    ],
}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("augments", [None, [dict(type="BatchFixedSizePad", size=(32, 64))]])
def test_masks_at_an_edge_are_cut_out_as_pad_mask_says(padded: bool, augments: Any):
    masks = np.zeros((2, 7, 10), np.uint8)
    masks[0, 3:, 5:] = masks[1, :5, :4] = masks[1, 6, 8] = 1
    sample = {"inputs": np.zeros((3, 7, 10), np.uint8), "targets": {"gt_instances": {"masks": masks}}}
    pre = DetDataPreprocessor(pad_size_divisor=8, pad_mask=padded, batch_augments=augments)
    whole = pre.collate(True)([sample]).targets["gt_instances"]["masks"][0]
    assert whole.shape[1:] == ((8, 16) if augments is None else (32, 64))
    assert whole.sum() - masks.sum() == (0 if padded else 11)  # a row and a column that repeat the last ones
    found = mask_targets(Numpy(), whole, BOXES, np.array([0, 0, 0, 1]), (4, 4), soft=True)
    assert np.abs(found[:, [0, 3]] - np.array(EDGES[padded])).max() < 1e-4
    assert pre.collate(False)([sample]).targets["gt_instances"]["masks"].sum() == masks.sum()


def test_masks_that_a_fixed_size_pads_are_padded_with_zeros():
    pads = [dict(type="BatchFixedSizePad", size=(32, 64), pad_mask=True)]
    join = DetDataPreprocessor(batch_augments=pads).collate(True)
    for count in (2, 0):
        masks = np.ones((count, 7, 10), np.uint8)
        batch = join([{"inputs": np.zeros((3, 7, 10), np.uint8), "targets": {"gt_instances": {"masks": masks}}}])
        assert batch.targets["gt_instances"]["masks"].sum() == masks.sum()
