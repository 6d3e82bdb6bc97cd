"""ResNet: OpenMMLab's names, arguments, freezing and initial weights."""

from typing import Any

import pytest
import torch
from torch import nn

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.tree.error import FkitError


def made(**arguments: Any) -> Any:
    cfg = {"type": "ResNet", "base_channels": 4, **arguments}
    return fkit.build(cfg, fkit.registry(), "models", backend="torch")


@pytest.mark.parametrize(
    ("depth", "blocks", "wide"), [(18, 8, 1), (34, 16, 1), (50, 16, 4), (101, 33, 4), (152, 50, 4)]
)
def test_depths(depth: int, blocks: int, wide: int) -> None:
    model = made(depth=depth).eval()
    names = {name.rsplit(".", 2)[0] for name in model.state_dict() if name.startswith("layer") and ".conv1." in name}
    assert len(names) == blocks
    maps = model(torch.zeros(1, 3, 64, 64))
    assert [tuple(x.shape[1:]) for x in maps] == [(4 * wide * 2**i, 16 // 2**i, 16 // 2**i) for i in range(4)]


def test_names_and_order_are_openmmlab_s() -> None:
    names = list(made(depth=50, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)).state_dict())
    weights = [name for name in names if name.endswith("weight")]
    assert weights[:10] == [
        "conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.conv2.weight",
        "layer1.0.bn2.weight", "layer1.0.conv3.weight", "layer1.0.bn3.weight", "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.weight",
    ]  # fmt: skip
    deep = made(depth=18, deep_stem=True, avg_down=True, norm_cfg={"type": "GN", "num_groups": 2}).state_dict()
    assert {
        "stem.0.weight",
        "stem.1.weight",
        "stem.7.bias",
        "layer2.0.downsample.1.weight",
        "layer1.0.gn2.weight",
    } <= set(deep)


def test_style_says_where_a_bottleneck_strides() -> None:
    for style, strides in (("pytorch", ((1, 1), (2, 2))), ("caffe", ((2, 2), (1, 1)))):
        block = made(depth=50, style=style).layer2[0]
        assert (block.conv1.stride, block.conv2.stride) == strides


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        ({}, ["layer2.0"]),
        ({"stage_with_dcn": (True, True, False, False)}, ["layer1.0"]),
        ({"type": "ResNeXt", "groups": 2, "base_width": 32}, []),
        ({"type": "mmdet.Res2Net", "base_channels": 16}, []),
    ],
)
def test_of_blocks_that_may_fall_back_the_first_does_as_mmdet_s(arguments: dict[str, Any], plain: list[str]) -> None:
    which = (False, True, True, True)
    dcn = {"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": True}
    model = made(**{"depth": 50, "dcn": dcn, "stage_with_dcn": which, **arguments})
    names = list(model.state_dict())
    stages = [f"layer{at}" for at, there in enumerate(arguments.get("stage_with_dcn", which), 1) if there]
    blocks = {name[:8].rstrip(".") for name in names if name.startswith(tuple(stages))}
    deformed = {name[:8].rstrip(".") for name in names if "conv_offset" in name}
    assert sorted(blocks - deformed) == plain and deformed <= blocks


def test_mmdet_s_resnext_starts_with_norms_of_1() -> None:
    for kind, start in (("ResNeXt", 0.0), ("mmdet.ResNeXt", 1.0), ("mmseg.ResNeXt", 1.0), ("mmdet.ResNet", 0.0)):
        model = made(type=kind, depth=50, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
        weights = initial(inventory_of(model, "float32"), lambda seed: {}, 0)
        assert weights["params/layer1.0.bn3.weight"].tolist() == [start] * 16, kind


def test_dilation_keeps_the_size() -> None:
    model = made(depth=50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)).eval()
    assert [x.shape[-1] for x in model(torch.zeros(1, 3, 64, 64))] == [16, 8, 8, 8]
    assert model.layer4[1].conv2.dilation == (4, 4)


def test_frozen_stages_and_norm_eval() -> None:
    model = made(depth=18, frozen_stages=2).train()
    frozen = {name.split(".")[0] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1", "layer2"}
    assert not model.layer2[0].bn1.training and model.layer3[0].bn1.training and not model.bn1.training
    assert not any(
        part.training for part in made(depth=18, norm_eval=True).train().modules() if isinstance(part, nn.BatchNorm2d)
    )
    still = made(depth=18, norm_cfg={"type": "BN", "requires_grad": False})
    assert all(
        parameter.requires_grad is ("bn" not in name and "downsample.1" not in name)
        for name, parameter in still.named_parameters()
    )


def test_mmdet_s_resnet_keeps_its_norms() -> None:
    registry = fkit.registry()
    found = fkit.build({"type": "mmdet.ResNet", "depth": 18}, registry, "models", backend="torch")
    assert found.norm_eval
    assert not fkit.build({"type": "ResNet", "depth": 18}, registry, "models", backend="torch").norm_eval
    assert not fkit.build(
        {"type": "mmdet.ResNet", "depth": 18, "norm_eval": False}, registry, "models", backend="torch"
    ).norm_eval


def test_initial_weights() -> None:
    def start(**arguments: Any) -> Any:
        return initial(inventory_of(made(depth=50, **arguments), "float32"), lambda seed: {}, 0)

    weights = start()
    assert weights["params/layer3.0.conv2.weight"].std() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.1)
    assert not weights["params/layer3.0.bn3.weight"].any() and (weights["params/layer3.0.bn2.weight"] == 1).all()
    assert (start(zero_init_residual=False)["params/layer3.0.bn3.weight"] == 1).all()
    assert (
        start(init_cfg={"type": "Constant", "val": 3, "layer": "BatchNorm2d"})["params/layer3.0.bn3.weight"] == 3
    ).all()


def test_recomputing_blocks_changes_nothing() -> None:
    torch.manual_seed(0)
    model = made(depth=18).eval()
    again = made(depth=18, with_cp=True).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for net in (model, again):
        net(x)[-1].sum().backward()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_small_images() -> None:
    cfg = {"type": "ResNet_CIFAR", "depth": 18, "base_channels": 4, "out_indices": (0, 3)}
    model = fkit.build(cfg, fkit.registry(), "models", backend="torch")
    assert model.conv1.weight.shape == (4, 3, 3, 3)
    assert [x.shape[-1] for x in model(torch.zeros(1, 3, 32, 32))] == [32, 4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"depth": 19}, "Depths: 18, 34, 50, 101, 152"),
        ({"depth": 18, "num_stages": 3}, "4 strides and 4 dilations for 3 stages"),
        ({"depth": 18, "num_stages": 5}, "num_stages=5"),
        ({"depth": 18, "out_indices": (4,)}, "there are 4 stages"),
        ({"depth": 18, "style": "Pytorch"}, "Did you mean 'pytorch'"),
        ({"depth": 18, "dcn": {"type": "DCN"}}, "dcn stands in bottlenecks"),
        ({"type": "ResNet_CIFAR", "depth": 18, "deep_stem": True}, "its stem is one 3x3 convolution"),
    ],
)
def test_errors(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(FkitError, match=text):
        made(**arguments)


def test_recomputing_blocks_changes_neither_gradients_nor_statistics():
    plain, saving = made(depth=18, base_channels=8), made(depth=18, base_channels=8, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for net in (plain, saving):
        net.train()
        sum(y.square().mean() for y in net(x)).backward()
    for (name, a), b in zip(plain.state_dict().items(), saving.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


def test_dilations_of_segmentation() -> None:
    options = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}
    model = made(depth=50, contract_dilation=True, **options)
    assert [part.conv2.dilation[0] for part in model.layer3] == [1, *(2,) * 5]
    assert [part.conv2.dilation[0] for part in made(depth=50, multi_grid=(1, 2, 4), **options).layer4] == [1, 2, 4]
    with pytest.raises(FkitError, match="a last stage of 3 blocks"):
        made(depth=50, multi_grid=(1, 2), **options)


def test_resnext_s_widths() -> None:
    model = fkit.build(
        {"type": "ResNeXt", "depth": 50, "groups": 32, "base_width": 4}, fkit.registry(), "models", backend="torch"
    )
    assert [tuple(model.layer1[0].conv2.weight.shape), model.layer4[0].conv2.groups] == [(128, 4, 3, 3), 32]
    other = fkit.build({"type": "mmpose.ResNeXt", "depth": 50}, fkit.registry(), "models", backend="torch")
    assert {n: p.shape for n, p in other.state_dict().items()} == {n: p.shape for n, p in model.state_dict().items()}
    assert len(other.eval()(torch.zeros(1, 3, 32, 32))) == 1


@pytest.mark.parametrize(
    ("scope", "name"), [("mmdet", "stem.3.weight"), ("mmseg", "stem.3.weight"), ("mmpretrain", "stem.1.conv.weight")]
)
def test_deep_stems_by_package(scope: str, name: str) -> None:
    model = fkit.build({"type": f"{scope}.ResNetV1d", "depth": 18}, fkit.registry(), "models", backend="torch")
    assert name in model.state_dict() and model.norm_eval is (scope == "mmdet")
