"""MobileNetV2 (Sandler et al. 2018), with OpenMMLab's arguments and parameter names; channels last."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.mobile import Inverted, mobile_v2
from fkit.backbone.resnet import INIT
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["DetMobileNetV2", "InvertedBlock", "MobileNetV2", "SegMobileNetV2"]

Array = jax.Array


class InvertedBlock(nn.Module):
    """Wider by a 1x1, a filter a channel, narrower by a 1x1: ``conv.0``, ``conv.1``, ``conv.2``; added to its input where
    that has the same shape."""

    plan: Inverted
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, y, at = self.plan, x, 0
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "frozen": self.frozen}
        if plan.hidden != plan.inner:
            y, at = ConvModule(plan.inner, plan.hidden, 1, act_cfg=self.act_cfg, name="conv_0", **shared)(y, train), 1
        y = ConvModule(
            plan.hidden, plan.hidden, 3, plan.stride, plan.dilation, plan.dilation, groups=plan.hidden,
            act_cfg=self.act_cfg, name=f"conv_{at}", **shared,
        )(y, train)  # fmt: skip
        y = ConvModule(plan.hidden, plan.width, 1, act_cfg=None, name=f"conv_{at + 1}", **shared)(y, train)
        return x + y if plan.stride == 1 and plan.inner == plan.width else y


class MobileNetV2(nn.Module):
    """MobileNetV2, a backbone: images (N, H, W, 3) to a tuple of maps.

    Attributes:
        widen_factor: of all channels.
        out_indices: the stages whose maps are given, from 0 to 6; 7 is the last layer, ``conv2``.
        strides, dilations: of the first blocks of the seven stages.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.
        last: whether there is a ``conv2``.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    widen_factor: float = 1.0
    out_indices: Sequence[int] = (7,)
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = frozendict(type="BN")
    act_cfg: Any = frozendict(type="ReLU6")
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = None
    pretrained: Any = None
    strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1)
    dilations: Sequence[int] = (1, 1, 1, 1, 1, 1, 1)
    last: bool = True

    def __post_init__(self) -> None:
        _ = self.plans, self.init_rules
        super().__post_init__()

    @property
    def plans(self) -> tuple[int, tuple[tuple[Inverted, ...], ...], int]:
        """The stem's channels, the blocks of each stage, and the channels of the last layer."""
        return mobile_v2(
            self.widen_factor, self.strides, self.dilations, self.out_indices, self.frozen_stages, self.last
        )

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "MobileNetV2")
        return INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("MobileNetV2", x, 3)
        stem, stages, width = self.plans
        moving = train and not self.norm_eval
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        frozen = self.frozen_stages >= 0
        x = ConvModule(3, stem, 3, 2, 1, frozen=frozen, name="conv1", **shared)(x, moving and not frozen)
        block: Any = nn.remat(InvertedBlock, static_argnums=(2,)) if self.with_cp else InvertedBlock
        maps: list[Array] = []
        for i, plans in enumerate(stages, 1):
            frozen = i <= self.frozen_stages
            for j, plan in enumerate(plans):
                x = block(plan, frozen=frozen, name=f"layer{i}_{j}", **shared)(x, moving and not frozen)
            maps.append(x)
        if self.last:
            maps.append(ConvModule(stages[-1][-1].width, width, 1, name="conv2", **shared)(x, moving))
        return tuple(y for i, y in enumerate(maps) if i in self.out_indices)


# mmdet's gives four maps; mmseg's too, and has no last layer
DetMobileNetV2 = partial(MobileNetV2, out_indices=(1, 2, 4, 7))
SegMobileNetV2 = partial(MobileNetV2, out_indices=(1, 2, 4, 6), last=False)
