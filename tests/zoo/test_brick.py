"""ConvModule and DepthwiseSeparableConvModule: mmcv's names, numbers equal on torch and JAX."""

from typing import Any

import pytest

import fkit
from fkit.tree.error import FkitError

_CASES = {
    "bias": {},
    "no activation": {"act_cfg": None, "bias": False},
    "bn": {"norm_cfg": {"type": "BN", "eps": 1e-3, "momentum": 0.03}, "act_cfg": {"type": "SiLU"}},
    "bn frozen": {"norm_cfg": {"type": "BN", "requires_grad": False}},
    "gn": {"norm_cfg": {"type": "GN", "num_groups": 2}, "stride": 2, "dilation": (2, 1), "padding": (2, 1)},
    "in": {"norm_cfg": {"type": "IN", "affine": True}},
    "ln": {"norm_cfg": {"type": "LN2d"}, "act_cfg": {"type": "GELU"}},
    "pre": {"order": ("act", "conv", "norm"), "norm_cfg": {"type": "BN"}, "inplace": False},
    "norm first": {"order": ("norm", "act", "conv"), "norm_cfg": {"type": "BN"}},
    "reflect": {"padding_mode": "reflect", "padding": 2, "act_cfg": {"type": "LeakyReLU", "negative_slope": 0.1}},
    "replicate": {"padding_mode": "replicate", "padding": (1, 2), "act_cfg": {"type": "PReLU"}},
    "circular": {"padding_mode": "circular", "padding": (0, 2), "act_cfg": {"type": "PReLU", "num_parameters": 6}},
    "groups": {"groups": 2, "act_cfg": {"type": "HSwish"}},
    "ws": {"conv_cfg": {"type": "ConvWS"}, "norm_cfg": {"type": "GN", "num_groups": 3}, "act_cfg": {"type": "ELU"}},
    "aws": {"conv_cfg": {"type": "ConvAWS"}, "act_cfg": {"type": "HSigmoid"}},
    "adaptive": {"conv_cfg": {"type": "Conv2dAdaptivePadding"}, "stride": 2, "act_cfg": {"type": "Tanh"}},
    "deconv": {"conv_cfg": {"type": "deconv", "output_padding": 1}, "stride": 2, "padding": 1, "act_cfg": {"type": "Clip"}},
}  # fmt: skip


@pytest.mark.parametrize(("name", "train"), [*((name, False) for name in _CASES), ("bn", True), ("norm first", True)])
def test_conv_module(name: str, train: bool, built_twins: Any, maps: Any) -> None:
    cfg = {"type": "ConvModule", "in_channels": 4, "out_channels": 6, "kernel_size": 3, **_CASES[name]}
    inventory = built_twins(cfg, maps((4,), (9, 8))[0], train)
    assert inventory.entries[0].name == "part.conv.weight"


@pytest.mark.parametrize("kind", ["Sigmoid", "ReLU6", "Mish", "Swish", "Clamp", "HSigmoid", "GELU", "LeakyReLU"])
def test_activations(kind: str, built_twins: Any, maps: Any) -> None:
    cfg = {"type": "ConvModule", "in_channels": 4, "out_channels": 4, "kernel_size": 1, "act_cfg": {"type": kind}}
    built_twins(cfg, maps((4,), (6, 5))[0] * 3)


def test_depthwise_separable(built_twins: Any, maps: Any) -> None:
    cfg = {
        "type": "DepthwiseSeparableConvModule", "in_channels": 4, "out_channels": 6, "kernel_size": 3, "padding": 1,
        "norm_cfg": {"type": "BN"}, "dw_act_cfg": None, "pw_norm_cfg": {"type": "GN", "num_groups": 2},
    }  # fmt: skip
    names = [entry.name for entry in built_twins(cfg, maps((4,))[0], True).entries if not entry.buffer]
    assert names == [
        "part.depthwise_conv.conv.weight", "part.depthwise_conv.bn.weight", "part.depthwise_conv.bn.bias",
        "part.pointwise_conv.conv.weight", "part.pointwise_conv.gn.weight", "part.pointwise_conv.gn.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"order": ("conv", "norm")}, "order="),
        ({"act_cfg": {"type": "Relu"}}, "Did you mean 'ReLU'"),
        ({"norm_cfg": {"type": "BatchNorm"}}, "norm_cfg.type='BatchNorm' is unknown"),
        ({"conv_cfg": {"type": "Conv2D"}}, "Did you mean 'Conv2d'"),
        ({"padding_mode": "mirror"}, "padding_mode='mirror'"),
    ],
)
def test_errors(backend: str, arguments: dict[str, Any], text: str) -> None:
    cfg = {"type": "ConvModule", "in_channels": 4, "out_channels": 4, "kernel_size": 1, **arguments}
    with pytest.raises(FkitError, match=text):
        fkit.build(cfg, fkit.registry(), "models", backend=backend)
