"""Layers: norms and convolutions by config."""

import pytest
import torch
from torch import nn

from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.tree.error import FkitTypeError, FkitValueError


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
    with pytest.raises(FkitValueError, match="'DCNv9' is not supported"):
        conv_layer({"type": "DCNv9"}, 1, 2, 3)
