"""ResNet (He et al. 2016), with OpenMMLab's arguments and parameter names; channels last."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backbone.resnet import INIT, NORM, BlockPlan, stages
from fkit.backend.jax.layers import conv_layer, max_pool, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.block import Block
from fkit.zoo.flax.small import check_channels

__all__ = [
    "DetResNeXt",
    "DetResNet",
    "DetResNetV1d",
    "LastResNet",
    "LastResNetV1c",
    "LastResNetV1d",
    "ResNeXt",
    "ResNet",
    "ResNetCifar",
    "ResNetV1c",
    "ResNetV1d",
    "SegResNeXt",
    "SegResNet",
    "SegResNetV1c",
    "SegResNetV1d",
    "last_resnext",
]

Array = jax.Array


class _Stem(nn.Module):
    """A layer of a deep stem that has a name of its own."""

    width: int
    stride: int
    conv: Any
    norm: Any
    short: str
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = self.conv(self.width, (3, 3), strides=self.stride, padding=1, name="conv")(x)
        return nn.relu(self.norm(self.short, self.frozen)(x, train))


class ResNet(nn.Module):
    """ResNet, a backbone: images (N, H, W, C) to a tuple of feature maps at strides 4, 8, 16, 32.

    Attributes:
        depth: 18, 34, 50, 101 or 152.
        stem_channels: of the stem; None is ``base_channels``.
        out_indices: the stages whose maps are given.
        style: "pytorch" or "caffe", where a bottleneck strides.
        deep_stem: three 3x3 convolutions in place of the 7x7 (``stem.0``, ``stem.1``, ...).
        avg_down: average pooling before the 1x1 of a downsampling shortcut.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        conv_cfg, norm_cfg: layers; ``requires_grad`` of the norm decides on its gradients.
        norm_eval: batch norms stay in evaluation mode. False here, as mmpretrain has it (training from scratch);
            mmdet's ResNet (`DetResNet`) has True.
        with_cp: recompute blocks in the backward pass to save memory.
        zero_init_residual: the last norm of each block starts at 0, unless ``init_cfg`` is given.
        dcn, stage_with_dcn: a deformable layer in place of the 3x3 of bottlenecks, and in which stages.
        plugins: layers after convolutions: ``dict(cfg=..., position="after_conv3", stages=(False, True, True, True))``.
        multi_grid: dilations of the blocks of the last stage.
        contract_dilation: the first block of a dilated stage has half of its dilation.
        groups, base_width: of the 3x3 of bottlenecks, as ResNeXt has them.
        named_stem: as mmpose and mmpretrain have it: the layers of a deep stem are called ``stem.0.conv``, ``stem.0.bn``, ...,
            and a shortcut without a stride pools nothing.
        expansion: outer channels of a block over its inner ones; None is 4 of bottlenecks.
        drop_path_rate: stochastic depth of the last block; the others' rates rise linearly from 0.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    depth: int
    in_channels: int = 3
    stem_channels: int | None = None
    base_channels: int = 64
    num_stages: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    dilations: tuple[int, ...] = (1, 1, 1, 1)
    out_indices: tuple[int, ...] = (0, 1, 2, 3)
    style: str = "pytorch"
    deep_stem: bool = False
    avg_down: bool = False
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = NORM
    norm_eval: bool = False
    with_cp: bool = False
    zero_init_residual: bool = True
    dcn: Any = None
    stage_with_dcn: tuple[bool, ...] = (False, False, False, False)
    plugins: Any = None
    multi_grid: tuple[int, ...] | None = None
    contract_dilation: bool = False
    init_cfg: Any = None
    pretrained: Any = None
    groups: int = 1
    base_width: int = 4
    named_stem: bool = False
    expansion: int | None = None
    drop_path_rate: float = 0.0
    # whether dcn's fallback_on_stride leaves the first block as it is, as mmdet has it
    falls_back: ClassVar[bool] = True
    # the stem of a class: (kernel size, stride, whether pooling follows)
    stem_form: ClassVar[tuple[int, int, bool]] = (7, 2, True)
    # the blocks of a class, and whether they are told that they are their stage's first (such pool in every shortcut)
    block: ClassVar[Any] = Block
    tells_first: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def stem_width(self) -> int:
        """Channels of the stem."""
        return self.base_channels if self.stem_channels is None else self.stem_channels

    @property
    def plans(self) -> tuple[tuple[BlockPlan, ...], ...]:
        """The blocks of each stage."""
        return stages(
            type(self).__name__, depth=self.depth, stem=self.stem_width, base=self.base_channels, count=self.num_stages,
            strides=self.strides, dilations=self.dilations, outputs=self.out_indices, style=self.style,
            conv_cfg=self.conv_cfg, dcn=self.dcn, stage_with_dcn=self.stage_with_dcn, plugins=self.plugins,
            multi_grid=self.multi_grid, contract_dilation=self.contract_dilation, groups=self.groups,
            base_width=self.base_width, expansion=self.expansion, drop_path_rate=self.drop_path_rate,
            falls_back=self.falls_back,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "ResNet")
        return INIT if rules is None else rules

    @nn.compact
    def __call__(
        self, x: Array, train: bool = False, tap: Callable[[int, Array], Array] | None = None
    ) -> tuple[Array, ...]:
        """``tap(i, x)`` gives what the next stage takes in place of what stage ``i`` gave; of the stem, 0, in place of pooling."""
        check_channels(type(self).__name__, x, self.in_channels)
        moving = train and not self.norm_eval
        x = self._stem(x, self.stem_width, moving and self.frozen_stages < 0)
        if self.stem_form[-1]:
            x = max_pool(x, 3, 2, 1) if tap is None else tap(0, x)
        block: Any = nn.remat(self.block, static_argnums=(2,)) if self.with_cp else self.block
        zero = self.zero_init_residual and self.init_rules is INIT
        maps: list[Array] = []
        for i, plans in enumerate(self.plans):
            frozen = i + 1 <= self.frozen_stages
            for j, plan in enumerate(plans):
                pooled = self.avg_down and (plan.shortcut > 1 or not self.named_stem or self.tells_first)
                options = (
                    pooled,
                    self.conv_cfg,
                    self.norm_cfg,
                    frozen,
                    zero,
                    *((j == 0, self.named_stem) if self.tells_first else ()),
                )
                x = block(plan, *options, name=f"layer{i + 1}_{j}")(x, moving and not frozen)
            if i in self.out_indices:
                maps.append(x)
            x = x if tap is None else tap(i + 1, x)
        return tuple(maps)

    def _stem(self, x: Array, width: int, train: bool) -> Array:
        frozen = self.frozen_stages >= 0
        conv = partial(conv_layer(self.conv_cfg), use_bias=False, trainable=not frozen)
        short, norm = norm_layer(self.norm_cfg)
        size, stride, _ = self.stem_form
        if self.deep_stem:
            for i, (out, step) in enumerate(((width // 2, 2), (width // 2, 1), (width, 1))):
                if self.named_stem:
                    x = _Stem(out, step, conv, norm, short, frozen, name=f"stem_{i}")(x, train)
                else:
                    x = conv(out, (3, 3), strides=step, padding=1, name=f"stem_{3 * i}")(x)
                    x = nn.relu(norm(f"stem_{3 * i + 1}", frozen)(x, train))
        else:
            x = conv(width, (size, size), strides=stride, padding=size // 2, name="conv1")(x)
            x = nn.relu(norm(f"{short}1", frozen)(x, train))
        return x


class ResNeXt(ResNet):
    """ResNeXt (Xie et al. 2017): a ResNet whose 3x3 convolutions have ``groups`` of ``base_width`` channels a 64 of width."""

    falls_back: ClassVar[bool] = False


# the 7x7 of the stem as three 3x3 convolutions; d: average pooling in shortcuts too (He et al. 2019)
ResNetV1c = partial(ResNet, deep_stem=True, avg_down=False)
ResNetV1d = partial(ResNet, deep_stem=True, avg_down=True)
# mmdet's keep batch norms in evaluation mode where their config does not say; its ResNeXt's last norms of blocks start at 1
DetResNet = partial(ResNet, norm_eval=True)
DetResNetV1d = partial(ResNetV1d, norm_eval=True)
DetResNeXt = partial(ResNeXt, norm_eval=True, zero_init_residual=False)
# mmseg's have a stem of 64 channels where it does not say, whatever the base; its ResNeXt's norms start as mmdet's
SegResNet = partial(ResNet, stem_channels=64)
SegResNeXt = partial(ResNeXt, stem_channels=64, zero_init_residual=False)
SegResNetV1c = partial(ResNetV1c, stem_channels=64)
SegResNetV1d = partial(ResNetV1d, stem_channels=64)
# mmpose's and mmpretrain's give the last stage's map alone
LastResNet = partial(SegResNet, out_indices=(3,), named_stem=True)
LastResNetV1c = partial(LastResNet, deep_stem=True, avg_down=False)
LastResNetV1d = partial(LastResNet, deep_stem=True, avg_down=True)


def last_resnext(depth: int, groups: int = 32, width_per_group: int = 4, **options: Any) -> ResNeXt:
    """mmpose's and mmpretrain's ResNeXt: its last stage's map, unless ``out_indices`` says more."""
    whole: dict[str, Any] = {"stem_channels": 64, "out_indices": (3,), "named_stem": True, **options}
    return ResNeXt(depth, groups=groups, base_width=width_per_group, **whole)


class ResNetCifar(ResNet):
    """ResNet for small images (mmpretrain's ``ResNet_CIFAR``): a 3x3 stem without stride, and no pooling after it."""

    stem_form: ClassVar[tuple[int, int, bool]] = (3, 1, False)

    def __post_init__(self) -> None:
        if self.deep_stem:
            raise FkitValueError("ResNet_CIFAR: deep_stem=True, but its stem is one 3x3 convolution.")
        super().__post_init__()
