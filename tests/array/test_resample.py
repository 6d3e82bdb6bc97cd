"""Resampling by a matrix, against torch's own."""

import numpy as np
import pytest
import torch

from fkit.array.resample import cubic


@pytest.mark.parametrize(("count", "places"), [(14, 7), (14, 27), (13, 7), (3, 10), (1, 4)])
def test_cubic(count: int, places: int) -> None:
    values = np.random.default_rng(0).normal(size=count)
    image = torch.from_numpy(values)[None, None, None].expand(1, 1, 4, count)
    want = torch.nn.functional.interpolate(image, (4, places), mode="bicubic", align_corners=False)[0, 0, 0]
    np.testing.assert_allclose(cubic(count, places) @ values, want.numpy(), rtol=1e-12, atol=1e-12)
