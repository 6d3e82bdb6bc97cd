"""Pasting against torch's own grid_sample."""

import numpy as np
import pytest
import torch

from fkit.array.paste import mask_targets, paste
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("start", [(0, 0), (3, 5)])
def test_a_paste_is_grid_sample(library, start):
    rng = np.random.default_rng(0)
    masks = rng.random((5, 7, 6))
    corner = rng.uniform(-8, 20, (5, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.2, 30, (5, 2))], 1)
    boxes[4] = (4, 4, 4, 4)
    y, x = (torch.arange(20)[None] + begin + 0.5 for begin in start)
    grid = [(line - torch.tensor(boxes[:, a, None])) / torch.tensor(boxes[:, a + 2, None] - boxes[:, a, None]) * 2 - 1 for a, line in ((0, x), (1, y))]  # fmt: skip
    gx, gy = (torch.where(torch.isinf(one), 0.0, one) for one in grid)
    both = torch.stack([gx[:, None, :].expand(5, 20, 20), gy[:, :, None].expand(5, 20, 20)], 3)
    want = torch.nn.functional.grid_sample(torch.tensor(masks)[:, None], both, align_corners=False)[:, 0]
    xp = opened(library)
    with xp.width([masks]):
        found = paste(xp, xp.asarray(masks, "float64"), xp.asarray(boxes, "float64"), (20, 20), start)
    np.testing.assert_allclose(plain(found), want.numpy(), atol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_many_boxes_are_cut_as_each_alone(library):
    xp, rng = opened(library), np.random.default_rng(3)
    masks = (rng.random((3, 40, 50)) < 0.5).astype(np.float64)
    corner = rng.uniform(-5, 30, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 30, (40, 2))], 1)
    objects = rng.integers(0, 3, 40)
    with xp.width([masks]):
        maps = xp.asarray(masks, "float64")

        def cut(rows):
            of = xp.asarray(boxes[rows], "float64"), xp.asarray(objects[rows], "int64")
            return plain(mask_targets(xp, maps, *of, (7, 6), soft=True))

        whole, several = cut(slice(40)), [cut(slice(start, start + 10)) for start in range(0, 40, 10)]
    assert whole.shape == (40, 7, 6)
    assert 0 < whole.mean() < 1
    np.testing.assert_allclose(whole, np.concatenate(several), atol=1e-12)
