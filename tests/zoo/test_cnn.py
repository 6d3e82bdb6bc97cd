"""mmcv.cnn's names for models of one's own, on both backends."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch import nn

from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.tree.error import FkitError
from fkit.zoo.flax import cnn as flax_cnn
from fkit.zoo.torch import cnn, init


def test_norm_layers_bear_mmcv_s_names() -> None:
    for kind, short in (("BN", "bn"), ("SyncBN", "bn"), ("GN", "gn"), ("LN", "ln"), ("IN", "in"), ("IN3d", "in")):
        cfg = {"type": kind, **({"num_groups": 2} if kind == "GN" else {})}
        name, layer = cnn.build_norm_layer(cfg, 4, postfix="_a")
        assert (name, layer.eps) == (f"{short}_a", 1e-5) and cnn.is_norm(layer)  # type: ignore[union-attr]
        assert flax_cnn.build_norm_layer(cfg, postfix=2)[0] == f"{short}2"
    frozen = cnn.build_norm_layer({"type": "BN", "requires_grad": False}, 4)[1]
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not cnn.is_norm(nn.BatchNorm2d(2), exclude=(nn.BatchNorm2d,)) and not cnn.is_norm(nn.Conv2d(1, 1, 1))


def test_padding_and_upsampling_are_equal() -> None:
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 5))
    with jax.enable_x64(True):
        moved = jax.numpy.moveaxis(jax.numpy.asarray(x), 1, -1)
        for kind in ("zero", "reflect", "replicate", "circular"):
            one = cnn.build_padding_layer({"type": kind}, (1, 2))(torch.tensor(x)).numpy()
            two = flax_cnn.build_padding_layer({"type": kind}, (1, 2))(moved)
            np.testing.assert_array_equal(np.moveaxis(np.asarray(two), -1, 1), one)
        for cfg in (
            {"type": "nearest", "scale_factor": 2},
            {"type": "bilinear", "scale_factor": 3, "align_corners": True},
            {"type": "bilinear", "size": (7, 6)},
            {"type": "nearest", "size": (7, 3)},
        ):
            one = cnn.build_upsample_layer(cfg)(torch.tensor(x)).numpy()
            two = np.moveaxis(np.asarray(flax_cnn.build_upsample_layer(cfg)(moved)), -1, 1)
            np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)


def test_plugins_take_a_class_of_one_s_own() -> None:
    class FancyBlock(nn.Identity):
        pass

    assert cnn.build_plugin_layer({"type": FancyBlock}, postfix="_x")[0] == "fancy_block_x"
    name, block = cnn.build_plugin_layer({"type": "NonLocal2d", "mode": "gaussian"}, in_channels=4)
    assert name == "nonlocal_block" and block(torch.zeros(1, 4, 3, 3)).shape == (1, 4, 3, 3)


def test_a_norm_becomes_part_of_the_convolution_before_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(cnn.ConvModule(3, 4, 3, norm_cfg={"type": "BN"}), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    model = model.double().eval()
    fused = cnn.fuse_conv_bn(model)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(fused(x), model(x), rtol=1e-12, atol=1e-12)
    kinds = [type(part).__name__ for part in fused.modules()]
    assert kinds.count("Identity") == 1 and kinds.count("BatchNorm2d") == 1  # that which follows no convolution stays
    assert isinstance(model[0].bn, nn.BatchNorm2d) and model[0].conv.bias is None


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.init_cfg = {"type": "Constant", "val": 5, "layer": "Linear"}
        self.conv = nn.Conv2d(64, 64, 3)
        self.norm = nn.BatchNorm2d(64)
        self.fc = nn.Linear(4, 4)
        init.xavier_init(self.conv, distribution="uniform", bias=2)
        init.constant_init(self.norm, 0, bias=init.bias_init_with_prob(0.25))
        init.constant_init(self.fc, 1)


def test_initialisers_act_at_once_and_in_a_run() -> None:
    net = _Net()
    start = initial(inventory_of(net, "float32"), lambda seed: {}, 0)
    bound = (6 / (2 * 64 * 9)) ** 0.5
    for weight in (net.conv.weight.detach().numpy(), start["params/conv.weight"]):
        assert 0.9 * bound < abs(weight).max() <= bound
    assert (net.conv.bias == 2).all() and (start["params/conv.bias"] == 2).all()  # type: ignore[union-attr]
    assert not start["params/norm.weight"].any() and start["params/norm.bias"] == pytest.approx(-np.log(3))
    # what an outer module's init_cfg says goes over it
    assert (net.fc.weight == 1).all() and (start["params/fc.weight"] == 5).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: init.kaiming_init(nn.BatchNorm2d(2)), "two axes or more"),
        (lambda: init.kaiming_init(nn.Linear(2, 2), mode="fan"), "fan_in"),
        (lambda: init.bias_init_with_prob(2), "between 0 and 1"),
        (lambda: cnn.build_norm_layer({"eps": 1}, 3), "needs 'type'"),
        (lambda: cnn.build_conv_layer({"type": "Conv9d"}, 1, 1, 1), "Conv9d"),
        (lambda: cnn.build_dropout({"type": "DropPath", "rate": 1}), "takes 'drop_prob'"),
        (lambda: cnn.build_upsample_layer({"type": "cubic"}), "cubic"),
        (lambda: flax_cnn.build_upsample_layer({"type": "nearest", "factor": 2}), "takes no argument 'factor'"),
    ],
)
def test_errors(call: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        call()
