"""RepVGG (Ding et al. 2021) and MobileOne (Vasu et al. 2023), whose branches become one convolution; with mmpretrain's arguments
and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.reparam import INIT_ONE, Branched, mobile_one, rep_vgg
from fkit.backbone.resnet import INIT
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.layers import conv_layer, norm_layer
from fkit.zoo.flax.backbone.mobile import Excitation
from fkit.zoo.flax.small import check_channels

__all__ = ["BranchedBlock", "MobileOne", "RepVGG"]

Array = jax.Array

_NORM = frozendict(type="BN")
_RELU = frozendict(type="ReLU")
_GATES = (frozendict(type="ReLU"), frozendict(type="Sigmoid"))


class _Branch(nn.Module):
    """A convolution and its norm."""

    plan: Branched
    size: int
    conv_cfg: Any
    norm_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = _conv(self.plan, self.size, self.conv_cfg, self.frozen, False, "conv")(x)
        norm: Any = norm_layer(self.norm_cfg)[1]("norm", self.frozen)
        return norm(x, train)


def _conv(plan: Branched, size: int, conv_cfg: Any, frozen: bool, bias: bool, name: str) -> Any:
    gap = plan.dilation if size > 1 else 1
    return conv_layer(conv_cfg)(
        plan.width, (size, size), strides=plan.stride, padding=size // 2 * gap, kernel_dilation=gap,
        feature_group_count=plan.groups, use_bias=bias, trainable=not frozen, name=name,
    )  # fmt: skip


class BranchedBlock(nn.Module):
    """The sum of a norm (where the shape stays), 1x1 convolutions and larger ones, then an excitation and an activation; or one
    convolution in their place."""

    plan: Branched
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any
    frozen: bool = False
    torch_order: ClassVar[tuple[str, ...]] = (
        "se", "branch_reparam", "branch_norm", "branch_scale", "branch_conv_list", "branch_3x3", "branch_1x1", "se_layer",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, act = self.plan, act_layer(self.act_cfg)("act")
        if plan.deploy:
            y = _conv(plan, plan.size, self.conv_cfg, self.frozen, True, "branch_reparam")(x)
        else:
            y = self._sum(x, train)
        if plan.squeeze:
            name = "se" if plan.one else "se_layer"
            gated = Excitation(plan.width, plan.squeeze, _GATES, self.frozen, name=name)(y, train)
            # RepVGG's one convolution has none after it, as mmpretrain has it
            y = y if plan.deploy and not plan.one else gated
        return act(y)

    def _sum(self, x: Array, train: bool) -> Array:
        plan, options = self.plan, (self.conv_cfg, self.norm_cfg, self.frozen)
        names = ["branch_3x3", "branch_1x1"]
        if plan.one:
            names = [f"branch_conv_list_{i}" for i in range(plan.convs)]
            names = ["branch_scale", *names] if plan.size > 1 else names
        parts: list[Array] = []
        if plan.keeps:
            norm: Any = norm_layer(self.norm_cfg)[1]("branch_norm", self.frozen)
            parts.append(norm(x, train))
        for name in names:
            size = 1 if name in ("branch_1x1", "branch_scale") else plan.size
            parts.append(_Branch(plan, size, *options, name=name)(x, train))
        return sum(parts[1:], parts[0])


class _Branched(nn.Module):
    """What both networks share: a stem and stages, images (N, H, W, C) to a tuple of maps."""

    def maps(
        self, x: Array, train: bool, plans: tuple[tuple[Branched, ...], ...], outputs: tuple[int, ...], name: str
    ) -> tuple[Array, ...]:
        """The maps that are asked for; ``name``: of stages, before their number."""
        me: Any = self
        check_channels(type(self).__name__, x, me.in_channels)
        again = getattr(me, "with_cp", False)
        block: Any = nn.remat(BranchedBlock, static_argnums=(2,)) if again else BranchedBlock
        found: list[Array] = []
        for i, stage in enumerate(plans):
            still = i <= me.frozen_stages
            moving = train and not me.norm_eval and not still
            for j, plan in enumerate(stage):
                word = f"{name}{i}_{j}" if i else ("stem" if name == "stage-" else "stage0")
                x = block(plan, me.conv_cfg, me.norm_cfg, me.act_cfg, still, name=word)(x, moving)
            if i - 1 in outputs:
                found.append(x)
        return tuple(found)


class RepVGG(_Branched):
    """RepVGG, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "A0" to "D2se", or a mapping with ``num_blocks``, ``width_factor``, ``group_layer_map`` and ``se_cfg``.
        base_channels: of the first stage, before its factor.
        out_indices: the stages whose maps are given.
        strides, dilations: of the stages.
        frozen_stages: no gradient for the stem (0) and the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        deploy: one convolution in place of each block's branches.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any
    in_channels: int = 3
    base_channels: int = 64
    out_indices: Any = (3,)
    strides: Sequence[int] = (2, 2, 2, 2)
    dilations: Sequence[int] = (1, 1, 1, 1)
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = _RELU
    with_cp: bool = False
    deploy: bool = False
    norm_eval: bool = False
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def plans(self) -> tuple[tuple[tuple[Branched, ...], ...], tuple[int, ...]]:
        """The stem and stages, and the stages whose maps are given."""
        return rep_vgg(
            self.arch, self.in_channels, self.base_channels, self.strides, self.dilations, self.out_indices, self.deploy
        )

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train, *self.plans, "stage-")


class MobileOne(_Branched):
    """MobileOne, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "s0" to "s4", or a mapping with ``num_blocks``, ``width_factor``, ``num_conv_branches`` and ``num_se_blocks``.
        out_indices: the stages whose maps are given.
        frozen_stages: no gradient for the stem (0) and the stages up to this one.
        se_cfg: ``ratio`` (and ``divisor``) of the excitations.
        deploy: one convolution in place of each block's branches.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any
    in_channels: int = 3
    out_indices: Any = (3,)
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    act_cfg: Any = _RELU
    se_cfg: Any = frozendict(ratio=16)
    deploy: bool = False
    norm_eval: bool = False
    init_cfg: Any = INIT_ONE

    def __post_init__(self) -> None:
        _ = self.plans
        super().__post_init__()

    @property
    def plans(self) -> tuple[tuple[tuple[Branched, ...], ...], tuple[int, ...]]:
        """The stem and stages, and the stages whose maps are given."""
        return mobile_one(self.arch, self.in_channels, self.se_cfg, self.out_indices, self.deploy)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train, *self.plans, "stage")
