"""Layers: dropout of the run's own bits, norms and convolutions by config."""

import numpy as np
import pytest
import torch
from torch import nn

from fkit.array.ops import Numpy
from fkit.array.random import key, uniform
from fkit.backend.torch.layers import Dropout, conv_layer, norm_layer
from fkit.tree.error import FkitTypeError, FkitValueError


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_a_mask_is_numpy_s(rate: float) -> None:
    layer = Dropout(rate)
    words = key(3, "x")
    layer.key = torch.from_numpy(np.array(words, np.uint32).view(np.int32))
    x = torch.rand(3, 4, 5, dtype=torch.float64) + 1
    kept = uniform(Numpy(), words, 0, (3, 4, 5)) >= np.float32(rate)
    np.testing.assert_allclose(layer(x).numpy(), np.where(kept, x.numpy() / (1 - rate), 0), rtol=1e-14)


def test_a_mask_made_in_blocks_is_numpy_s_too() -> None:
    layer = Dropout(0.25)
    shape = (3, 40, 30, 20)
    kept = layer(torch.ones(shape)) != 0
    assert (kept.numpy() == (uniform(Numpy(), (0, 0), 0, shape) >= 0.25)).all()


def test_dropout_rests_in_evaluation_and_at_rate_zero() -> None:
    x = torch.rand(7)
    assert Dropout(0.5).eval()(x) is x and Dropout(0.0)(x) is x
    assert not Dropout(0.5).state_dict()
    with pytest.raises(FkitValueError, match=r"lies in \[0, 1\), found 1"):
        Dropout(1)


def test_norms_are_mmcv_s() -> None:
    name, layer = norm_layer({"type": "BN", "requires_grad": False, "eps": 1e-3, "momentum": 0.01}, 8)
    assert name == "bn" and isinstance(layer, nn.BatchNorm2d) and (layer.eps, layer.momentum) == (1e-3, 0.01)
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    name, layer = norm_layer({"type": "SyncBN"}, 8)
    assert name == "bn" and type(layer).__name__ == "SyncBatchNorm"
    x = torch.randn(4, 8, 3, 3)
    assert torch.equal(layer(x), norm_layer(None, 8)[1](x))
    with pytest.raises(FkitTypeError, match="needs 'num_groups'"):
        norm_layer({"type": "GN"}, 8)
    with pytest.raises(FkitValueError, match="Did you mean 'SyncBN'"):
        norm_layer({"type": "SyncBNN"}, 8)
    with pytest.raises(FkitTypeError, match="epsilon"):
        norm_layer({"type": "BN", "epsilon": 1}, 8)


def test_convolutions() -> None:
    assert isinstance(conv_layer(None, 1, 2, 3), nn.Conv2d)
    with pytest.raises(FkitValueError, match="'DCNv2' is not supported"):
        conv_layer({"type": "DCNv2"}, 1, 2, 3)
