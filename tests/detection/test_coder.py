"""Coders: there and back, gradients, and what they refuse."""

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.detection import coder as coders
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import opened, plain, with_gradient

CODERS = (
    coders.DeltaXYWHBBoxCoder(target_means=(0.1, 0.0, 0.2, 0.0), target_stds=(0.1, 0.1, 0.2, 0.2)),
    coders.LegacyDeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)),
    coders.TBLRBBoxCoder(normalizer=(4.0, 2.0, 1.0, 3.0)),
    coders.DistancePointBBoxCoder(),
    coders.PseudoBBoxCoder(),
)


def pairs(coder, count=6):
    rng = np.random.default_rng(0)
    low = rng.random((2, count, 2)) * 40
    boxes, gts = np.concatenate([low, low + 5 + rng.random((2, count, 2)) * 30], -1).astype(np.float32)
    return (boxes[:, :2] if isinstance(coder, coders.DistancePointBBoxCoder) else boxes), gts


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("coder", CODERS, ids=lambda coder: type(coder).__name__)
def test_what_is_encoded_is_decoded(coder, library):
    xp = opened(library)
    boxes, gts = (xp.asarray(one, "float32") for one in pairs(coder))
    found = coder.decode(xp, boxes, coder.encode(xp, boxes, gts))
    # a legacy box ends a pixel before the coordinate at which it was decoded to end
    least = 0.51 if isinstance(coder, coders.LegacyDeltaXYWHBBoxCoder) else 1e-3
    np.testing.assert_allclose(plain(found), plain(gts), atol=least)


@pytest.mark.parametrize("coder", CODERS[:4], ids=lambda coder: type(coder).__name__)
def test_gradients_are_equal(coder):
    boxes, gts = pairs(coder)
    pred = plain(coder.encode(Numpy(), boxes, gts)).astype(np.float32)
    grads = []
    for library in ("torch", "jax"):
        xp = opened(library)
        here = xp.asarray(boxes, "float32")
        run = lambda one, xp=xp, here=here: coder.decode(xp, here, one, max_shape=(50, 40)) ** 2  # noqa: E731
        grads.append(plain(with_gradient(xp, run, xp.asarray(pred, "float32"))[1]))
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-4, atol=1e-2)
    assert np.abs(grads[0]).max() > 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: coders.DeltaXYWHBBoxCoder(target_stds=(1.0, 1.0)),
        lambda: coders.DeltaXYWHBBoxCoder(target_stds="1111"),
        lambda: coders.TBLRBBoxCoder(normalizer=(1.0, 2.0)),
        lambda: coders.DeltaXYWHBBoxCoder().encode(Numpy(), np.zeros((2, 4)), np.zeros((3, 4))),
        lambda: coders.DistancePointBBoxCoder().decode(Numpy(), np.zeros((2, 4)), np.zeros((2, 4))),
    ],
)
def test_what_says_nothing_is_refused(call):
    with pytest.raises(FkitError):
        call()
