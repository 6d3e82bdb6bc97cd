"""Drawings as modules: errors in the user's words, copies, blocks that are computed again, what is frozen."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.tree.error import FkitError

_CGNET: dict[str, Any] = {"type": "CGNet", "num_channels": (4, 8, 8), "num_blocks": (2, 2), "reductions": (2, 2)}
_RESNET = {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4}
_STDC: dict[str, Any] = {
    "type": "STDCNet", "stdc_type": "STDCNet1", "in_channels": 3, "channels": (4, 4, 8, 8, 8), "bottleneck_type": "add",
    "norm_cfg": {"type": "BN"}, "act_cfg": {"type": "ReLU"},
}  # fmt: skip


def _built(cfg: dict[str, Any], backend: str = "torch") -> Any:
    return fkit.build(cfg, fkit.registry(), "models", backend=backend)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ({"type": "CGNet", "num_chanels": (4, 8, 8)}, "Did you mean 'num_channels'"),
        ({"type": "CGNet", "num_channels": (4, 8)}, "three num_channels"),
        ({**_STDC, "stdc_type": "STDCNet3"}, "STDCNet: stdc_type='STDCNet3'"),
        ({**_STDC, "channels": (4, 4)}, "five channels"),
        ({"type": "ERFNet", "enc_stage_non_bottlenecks": (5,)}, "ERFNet: 2 stages after the first"),
        ({"type": "FastSCNN", "global_in_channels": 32}, "FastSCNN: higher_in_channels"),
        ({"type": "MSCAN", "depths": (1, 1)}, "MSCAN: 4 stages"),
        ({"type": "ICNeck", "in_channels": (4, 8)}, "ICNeck: in_channels"),
        ({"type": "mmseg.PCPVT", "depths": (1, 2)}, "PCPVT: embed_dims"),
        ({"type": "mmpretrain.SVT", "arch": "huge"}, "SVT: arch='huge'"),
        ({"type": "mmpretrain.PCPVT", "arch": {"depths": [1]}}, "PCPVT: arch="),
    ],
)
def test_errors(backend: str, cfg: dict[str, Any], text: str) -> None:
    with pytest.raises(FkitError, match=text):
        _built(cfg, backend)


def test_maps_that_are_not_there() -> None:
    with pytest.raises(FkitError, match="BiSeNetV1: out_indices"):
        _built({"type": "BiSeNetV1", "backbone_cfg": _RESNET, "context_channels": (4, 16, 32), "out_indices": (3,)})


def test_a_copy_has_layers_of_its_own_and_the_same_drawing() -> None:
    one = _built({"type": "BiSeNetV1", "backbone_cfg": _RESNET, "context_channels": (4, 16, 32)})
    two = copy.deepcopy(one)
    assert two.drawing is one.drawing
    assert not {p.data_ptr() for p in one.parameters()} & {p.data_ptr() for p in two.parameters()}


def test_blocks_computed_again_have_the_same_gradients() -> None:
    torch.manual_seed(0)
    one = _built(_CGNET).double()
    two = _built({**_CGNET, "with_cp": True}).double()
    two.load_state_dict(one.state_dict())
    picture = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, 16, 16)))
    for net in (one, two):
        sum(x.square().sum() for x in net(picture)).backward()
    for (name, p), q in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-12, atol=1e-12, msg=name)
    for (name, p), q in zip(one.named_buffers(), two.buffers(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12, msg=name)


def test_modules_that_add(built_twins: Any) -> None:
    built_twins(_STDC, np.random.default_rng(0).normal(size=(2, 3, 32, 32)), True, 1e-9)


def test_norms_that_rest(built_twins: Any) -> None:
    built_twins({**_CGNET, "norm_eval": True}, np.random.default_rng(0).normal(size=(2, 3, 16, 16)), True, 1e-9)
