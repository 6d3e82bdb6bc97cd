"""Blocks of mmcv inside of networks: names and numbers, equal on torch and JAX."""

from typing import Any

import pytest

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.tree.error import FkitError
from fkit.zoo.flax import csp as flax_csp
from fkit.zoo.flax import general_attention as flax_attention
from fkit.zoo.flax import plugin as flax_plugin
from fkit.zoo.torch import csp as torch_csp
from fkit.zoo.torch import general_attention as torch_attention
from fkit.zoo.torch import plugin as torch_plugin

_CASES = {
    "embedded": {"reduction": 1},
    "gaussian": {"mode": "gaussian", "reduction": 1, "sub_sample": True},
    "dot product": {"mode": "dot_product", "sub_sample": True, "norm_cfg": {"type": "BN"}},
    "concatenation": {"mode": "concatenation", "use_scale": False, "zeros_init": False},
}


@pytest.mark.parametrize("name", _CASES)
def test_non_local(name: str, twins: Any, maps: Any) -> None:
    one = torch_plugin.NonLocal2d(4, **_CASES[name])
    twins(one, flax_plugin.NonLocal2d(4, **_CASES[name]), maps((4,), (6, 5))[0], name == "dot product")


@pytest.mark.parametrize(
    ("pooling", "fusions"),
    [("att", ("channel_add",)), ("avg", ("channel_mul",)), ("att", ("channel_add", "channel_mul"))],
)
def test_context_block(pooling: str, fusions: Any, built_twins: Any, maps: Any) -> None:
    cfg = {
        "type": "ContextBlock", "in_channels": 8, "ratio": 0.5, "pooling_type": pooling, "fusion_types": list(fusions),
    }  # fmt: skip
    inventory = built_twins(cfg, maps((8,), (6, 5))[0])
    shapes = {entry.name: entry.shape for entry in inventory.entries}
    assert shapes[f"part.{fusions[0]}_conv.1.weight"] == (4, 1, 1)


@pytest.mark.parametrize(("bits", "stride"), [("1111", 2), ("0100", 1), ("0010", 1), ("1001", 1)])
def test_generalized_attention(bits: str, stride: int, twins: Any, maps: Any) -> None:
    options: Any = {"num_heads": 2, "attention_type": bits, "q_stride": stride}
    pair = torch_attention.GeneralizedAttention(8, **options), flax_attention.GeneralizedAttention(8, **options)
    twins(*pair, maps((8,), (6, 6))[0])


def test_scales(twins: Any, maps: Any) -> None:
    twins(torch_plugin.Scale(0.5), flax_plugin.Scale(0.5), maps((4,))[0])
    one = torch_plugin.LayerScale(4, data_format="channels_first")
    twins(one, flax_plugin.LayerScale(4), maps((4,))[0])


@pytest.mark.parametrize("attention", [False, True])
def test_csp_layer(attention: bool, twins: Any, maps: Any) -> None:
    options: Any = {"channel_attention": attention, "use_cspnext_block": attention, "num_blocks": 2}
    made = torch_csp.CSPLayer(4, 6, **options), flax_csp.CSPLayer(4, 6, **options)
    # torch's hardsigmoid has a sixth as float32 rounds it in its gradient, off by 5e-9
    twins(*made, maps((4,), (8, 8))[0], not attention, 1e-7 if attention else 1e-10)


def test_where_blocks_start() -> None:
    def start(**cfg: Any) -> Any:
        made = fkit.build(cfg, fkit.registry(), "models", backend="torch")
        return initial(inventory_of(made, "float32"), lambda seed: {}, 0)

    pyramid = start(type="BFP", in_channels=8, num_levels=3, refine_level=1, refine_type="non_local")
    assert not pyramid["params/refine.conv_out.conv.weight"].any()
    assert 0.005 < pyramid["params/refine.theta.conv.weight"].std() < 0.02
    context = start(type="ContextBlock", in_channels=64, ratio=0.25)
    assert not context["params/channel_add_conv.3.weight"].any() and context["params/channel_add_conv.0.weight"].any()
    neck = start(type="FPN", in_channels=[64], out_channels=64, num_outs=1, norm_cfg={"type": "BN"})
    bound = (6 / (2 * 64 * 9)) ** 0.5
    assert bound * 0.9 < abs(neck["params/fpn_convs.0.conv.weight"]).max() <= bound
    high = start(type="HRFPN", in_channels=[64], out_channels=64, num_outs=1)
    # a convolution that stands alone in its parent is started after it, as mmengine does
    assert high["params/reduction_conv.conv.weight"].std() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert abs(high["params/fpn_convs.0.conv.weight"]).max() <= (3 / (64 * 9)) ** 0.5


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ({"type": "NonLocal2d", "in_channels": 4, "mode": "gauss"}, "Did you mean 'gaussian'"),
        ({"type": "ContextBlock", "in_channels": 4, "ratio": 0.5, "pooling_type": "max"}, "pooling_type='max'"),
        ({"type": "ContextBlock", "in_channels": 4, "ratio": 0.5, "fusion_types": ()}, "Fusions: channel_add"),
        ({"type": "GeneralizedAttention", "in_channels": 8, "attention_type": "11"}, "like '0100' or '1111'"),
        ({"type": "GeneralizedAttention", "in_channels": 8, "spatial_range": 2}, "sees all others"),
        ({"type": "GeneralizedAttention", "in_channels": 6}, "a width of 4, 8"),
    ],
)
def test_errors(backend: str, cfg: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build(cfg, fkit.registry(), "models", backend=backend)
