"""Drawings as modules: errors in the user's words, copies, blocks that are computed again, what is frozen."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.backbone.drawing.net import Drawing, Net
from fkit.backbone.drawing.shuffle import GroupedUnit, ShuffleUnit
from fkit.tree.error import FkitError
from fkit.zoo.flax.backbone.drawn import Drawn as FlaxDrawn
from fkit.zoo.torch.backbone.drawn import Drawn

_NORM = {"type": "BN"}
_ACT = {"type": "ReLU"}
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
        ({"type": "mmseg.BEiT", "out_indices": 12}, "BEiT: out_indices"),
        ({"type": "mmseg.MAE", "embed_dims": 100}, "MAE: out_indices"),
        ({"type": "ViPNAS_ResNet", "depth": 50, "wid": (8, 8)}, "ViPNAS_ResNet: 4 stages"),
        ({"type": "ViPNAS_MobileNetV3", "ks": (3, 3)}, "ViPNAS_MobileNetV3: 7 of wid"),
        ({"type": "ShuffleNetV1", "groups": 5}, "ShuffleNetV1: groups=5"),
        ({"type": "ShuffleNetV1", "out_indices": (3,)}, "there are 3 stages"),
        ({"type": "ShuffleNetV2", "widen_factor": 0.7}, "ShuffleNetV2: widen_factor=0.7"),
        ({"type": "HRFormer", "extra": {"stage2": {"block": "BASIC"}}}, "HRFormer: extra.stage2"),
        ({"type": "TCN", "in_channels": 4, "kernel_sizes": (3, 3)}, "TCN: kernel_sizes"),
        ({"type": "TCN", "in_channels": 4, "max_norm": 1.0}, "TCN: max_norm"),
        ({"type": "DSTFormer", "in_channels": 3, "num_heads": 7}, "DSTFormer: qk_scale"),
        ({"type": "HourglassAENet", "stage_channels": (8, 8)}, "HourglassAENet: 4 times"),
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


def test_images_of_another_size_than_the_places() -> None:
    net = _built({"type": "mmseg.MAE", "img_size": 32, "embed_dims": 8, "num_heads": 2, "num_layers": 1})
    with pytest.raises(FkitError, match="img_size=\\(32, 32\\), but the images have \\(16, 32\\)"):
        net(torch.zeros(1, 3, 16, 32))


def test_more_frames_than_places() -> None:
    net = _built({"type": "DSTFormer", "in_channels": 3, "feat_size": 8, "num_heads": 2, "depth": 1, "seq_len": 2})
    with pytest.raises(FkitError, match="there are 3 frames"):
        net(torch.zeros(1, 3, 17, 3))


def test_what_is_frozen_stays_as_it_is() -> None:
    widths = {
        "wid": (8, 8, 8, 8, 8),
        "group": (None, 1, 1, 1, 1),
        "dep": (None, 1, 1, 1, 1),
        "att": (None,) + (False,) * 4,
    }
    cfg = {"type": "ViPNAS_ResNet", "depth": 50, "frozen_stages": 1, **widths}
    net = _built(cfg).train()
    frozen = {name.split(".")[0] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}
    before = {name: one.clone() for name, one in net.named_buffers() if name.endswith("running_mean")}
    net(torch.rand(2, 3, 128, 128))
    moved = {name.split(".")[0] for name, one in net.named_buffers() if name in before and not one.equal(before[name])}
    assert moved == {"layer2", "layer3", "layer4"}


@dataclass(frozen=True)
class _Alone(Drawing):
    """A part of a network by itself."""

    in_channels: int
    part: Drawing

    def __call__(self, net: Net, *xs: Any) -> Any:
        return net.part("part", self.part, xs[0])


@pytest.mark.parametrize(
    ("width", "part"),
    [
        (8, ShuffleUnit(8, 1, None, _NORM, _ACT)),
        (6, ShuffleUnit(8, 2, None, _NORM, _ACT)),
        (4, GroupedUnit(24, 2, True, True, None, _NORM, _ACT)),
        (24, GroupedUnit(24, 3, False, False, None, _NORM, _ACT)),
    ],
)
def test_units_that_shuffle(width: int, part: Drawing, twins: Any) -> None:
    alone, picture = _Alone(width, part), np.random.default_rng(0).normal(size=(2, width, 9, 8))
    twins(Drawn(alone).make(), FlaxDrawn(alone), picture, True, 1e-9)


def test_modules_that_add(built_twins: Any) -> None:
    built_twins(_STDC, np.random.default_rng(0).normal(size=(2, 3, 32, 32)), True, 1e-9)


def test_norms_that_rest(built_twins: Any) -> None:
    built_twins({**_CGNET, "norm_eval": True}, np.random.default_rng(0).normal(size=(2, 3, 16, 16)), True, 1e-9)
