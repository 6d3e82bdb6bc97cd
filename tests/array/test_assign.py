"""Many overlaps at once."""

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.array.overlap import overlaps


@pytest.mark.parametrize("turned", [False, True])
def test_many_pairs_are_computed_by_blocks_and_the_same(turned):
    rng = np.random.default_rng(0)
    few, many = (np.sort(rng.random((count, 2, 2)) * 50, 1).reshape(-1, 4) for count in (7, 60_000))
    a, b = (many, few) if turned else (few, many)
    whole, part = overlaps(Numpy(), a, b, "giou"), overlaps(Numpy(), a[:3], b[:3], "giou")
    assert whole.shape == (len(a), len(b)) and np.array_equal(whole[:3, :3], part)
    assert np.array_equal(whole[-3:, -3:], overlaps(Numpy(), a[-3:], b[-3:], "giou"))
