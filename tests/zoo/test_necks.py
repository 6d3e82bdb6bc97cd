"""Necks: mmdet's names and numbers, equal on torch and JAX."""

from typing import Any

import pytest

import fkit
from fkit.tree.error import FkitError

_CHANNELS = (4, 6, 8, 10)
_FPN = {"type": "FPN", "in_channels": list(_CHANNELS), "out_channels": 5, "num_outs": 5}
_BN = {"type": "BN", "requires_grad": True}
_CASES = {
    "fpn": _FPN,
    "fpn on_input": {**_FPN, "start_level": 1, "add_extra_convs": True},
    "fpn on_lateral": {**_FPN, "add_extra_convs": "on_lateral", "num_outs": 6, "relu_before_extra_convs": True},
    "fpn on_output": {**_FPN, "start_level": 1, "add_extra_convs": "on_output", "relu_before_extra_convs": True},
    "fpn norms": {
        **_FPN, "norm_cfg": _BN, "act_cfg": {"type": "ReLU"}, "no_norm_on_lateral": True,
        "conv_cfg": {"type": "ConvWS"},
    },
    "fpn to a level": {**_FPN, "start_level": 1, "end_level": 2, "num_outs": 2},
    "fpn bilinear": {**_FPN, "upsample_cfg": {"mode": "bilinear", "align_corners": True}},
    "fpn bilinear edges": {**_FPN, "upsample_cfg": {"mode": "bilinear"}},
    "pafpn": {**_FPN, "type": "PAFPN"},
    "pafpn on_output": {**_FPN, "type": "PAFPN", "add_extra_convs": "on_output", "norm_cfg": _BN},
    "pafpn on_lateral": {**_FPN, "type": "PAFPN", "add_extra_convs": "on_lateral", "start_level": 1},
    "mapper": {"type": "ChannelMapper", "in_channels": list(_CHANNELS), "out_channels": 6, "num_outs": 6,
               "kernel_size": 1, "norm_cfg": {"type": "GN", "num_groups": 3}, "act_cfg": None},
    "hrfpn": {"type": "HRFPN", "in_channels": list(_CHANNELS), "out_channels": 6, "num_outs": 4},
    "hrfpn max": {"type": "HRFPN", "in_channels": list(_CHANNELS), "out_channels": 6, "num_outs": 3,
                  "pooling_type": "MAX", "with_cp": True, "stride": 2},
    "dilated": {"type": "DilatedEncoder", "in_channels": 10, "out_channels": 8, "block_mid_channels": 4,
                "num_residual_blocks": 2, "block_dilations": [1, 2], "norm_cfg": None},
    "yolov3": {"type": "YOLOV3Neck", "num_scales": 3, "in_channels": [8, 6, 4], "out_channels": [6, 4, 3],
               "norm_cfg": _BN},
    "yolox": {"type": "YOLOXPAFPN", "in_channels": [4, 6, 8], "out_channels": 5, "num_csp_blocks": 1, "norm_cfg": _BN},
    "cspnext": {"type": "CSPNeXtPAFPN", "in_channels": [4, 6], "out_channels": 4, "num_csp_blocks": 1,
                "expand_ratio": 1.0, "use_depthwise": True},
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_twins(name: str, built_twins: Any, maps: Any) -> None:
    cfg = dict(_CASES[name])
    widths = cfg.get("in_channels", _CHANNELS)
    if name == "dilated":
        widths = (10,)
        cfg.pop("norm_cfg")
    elif name == "yolov3":
        widths = widths[::-1]
    built_twins(cfg, maps(tuple(widths), (24, 16)), "norm_cfg" in _CASES[name])


@pytest.mark.parametrize("refine", [None, "conv", "non_local"])
def test_balanced_pyramid(refine: str | None, built_twins: Any, maps: Any) -> None:
    cfg = {"type": "BFP", "in_channels": 4, "num_levels": 4, "refine_level": 2, "refine_type": refine}
    built_twins(cfg, maps((4, 4, 4, 4), (19, 14)))


@pytest.mark.parametrize("depthwise", [False, True])
def test_ssd(depthwise: bool, built_twins: Any, maps: Any) -> None:
    cfg = {
        "type": "SSDNeck", "in_channels": (4, 6), "out_channels": (4, 6, 8, 4, 4), "level_strides": (2, 1, 1),
        "level_paddings": (1, 0, 0), "l2_norm_scale": None if depthwise else 20, "use_depthwise": depthwise,
        "norm_cfg": _BN if depthwise else None,
    }  # fmt: skip
    built_twins(cfg, maps((4, 6), (24, 22)), depthwise)


def test_a_pyramid_s_first_names_are_mmdet_s() -> None:
    cfg = {**_FPN, "add_extra_convs": True, "norm_cfg": {"type": "GN", "num_groups": 5}}
    names = list(fkit.build(cfg, fkit.registry(), "models", backend="torch").state_dict())
    assert names[:3] == ["lateral_convs.0.conv.weight", "lateral_convs.0.gn.weight", "lateral_convs.0.gn.bias"]
    assert names[-3:] == ["fpn_convs.4.conv.weight", "fpn_convs.4.gn.weight", "fpn_convs.4.gn.bias"]


def test_a_factor_in_place_of_a_size(built_twins: Any, maps: Any) -> None:
    cfg = {**_FPN, "upsample_cfg": {"mode": "nearest", "scale_factor": 2}}
    built_twins(cfg, maps(_CHANNELS, (32, 16)))


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_outs": 3}, "num_outs=3, but levels 0 to 3 give 4 or more"),
        ({"end_level": 2}, "num_outs=5, but levels 0 to 2 give 3"),
        ({"start_level": 4}, "there are 4 maps"),
        ({"add_extra_convs": "on_inputs"}, "Did you mean 'on_input'"),
        ({"in_channels": 4}, "the channels of each map"),
    ],
)
def test_errors(backend: str, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build({**_FPN, **arguments}, fkit.registry(), "models", backend=backend)
