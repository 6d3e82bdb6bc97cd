"""Overlaps: what the book does not have (distance, aspect), and gradients alike on torch and JAX."""

import numpy as np
import pytest

from fkit.array.overlap import MODES, overlaps
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain, with_gradient

A = np.array([[0, 0, 10, 10], [2, 3, 9, 8], [0, 0, 4, 4], [5, 5, 5, 9]], np.float32)
B = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [4, 0, 8, 2], [5, 5, 9, 9]], np.float32)


@pytest.mark.parametrize("library", LIBRARIES)
def test_distance_and_aspect(library):
    xp = opened(library)
    a, b = (xp.asarray(one, "float32") for one in (A, B))
    ratio, distance, shape = (plain(overlaps(xp, a, b, mode, aligned=True)) for mode in ("iou", "diou", "ciou"))
    centres, corner = (A[:, :2] + A[:, 2:] - B[:, :2] - B[:, 2:]) / 2, np.minimum(A, B)[:, :2]
    hull = ((np.maximum(A, B)[:, 2:] - corner) ** 2).sum(1)
    assert distance == pytest.approx(ratio - (centres**2).sum(1) / hull, abs=1e-5)
    assert shape[0] == pytest.approx(1, abs=1e-6)  # the reference says nan of a perfect box
    assert shape[2] == pytest.approx(distance[2]) and shape[3] == pytest.approx(distance[3])


@pytest.mark.parametrize("mode", MODES)
def test_gradients_agree_where_boxes_touch(mode):
    found = []
    for library in ("torch", "jax"):
        xp = opened(library)
        b = xp.asarray(B, "float32")
        found.append(
            plain(with_gradient(xp, lambda a, xp=xp, b=b: overlaps(xp, a, b, mode, True), xp.asarray(A, "float32"))[1])
        )
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
