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
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_twins(name: str, built_twins: Any, maps: Any) -> None:
    built_twins(_CASES[name], maps(_CHANNELS), "norm_cfg" in _CASES[name])


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
