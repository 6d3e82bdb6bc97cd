"""EfficientNet (Tan and Le 2019), EfficientNetV2 (2021) and MobileNetV3 (Howard et al. 2019), with mmpretrain's arguments and
parameter names; channels last."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.arch import outputs_of
from fkit.backbone.mobile import Mobile, efficient_net, efficient_net_v2, mobile_v3
from fkit.backbone.resnet import INIT
from fkit.backend.jax.drop import DropPath
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["EfficientNet", "EfficientNetV2", "Excitation", "MobileBlock", "MobileNetV3"]

Array = jax.Array

_ADAPTIVE = frozendict(type="Conv2dAdaptivePadding")
_SWISH = frozendict(type="Swish")
_SIGMOID = frozendict(type="Sigmoid")
_GATES = (frozendict(type="ReLU"), frozendict(type="HSigmoid", bias=3, divisor=6, min_value=0, max_value=1))
_HARD = frozendict(type="HSwish")
_INIT_V3 = (
    frozendict(type="Kaiming", layer=("Conv2d",), nonlinearity="leaky_relu"),
    frozendict(type="Normal", layer=("Linear",), std=0.01),
    frozendict(type="Constant", layer=("BatchNorm2d",), val=1),
)


class Excitation(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): maps by a factor a channel, of two 1x1 convolutions on their means.

    Attributes:
        channels, squeeze: of the maps, and inside.
        acts: the activations after both.
    """

    channels: int
    squeeze: int
    acts: Sequence[Any]
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        y = x.mean((1, 2), keepdims=True)
        one, two = self.acts
        y = ConvModule(self.channels, self.squeeze, 1, act_cfg=one, frozen=self.frozen, name="conv1")(y, train)
        y = ConvModule(self.squeeze, self.channels, 1, act_cfg=two, frozen=self.frozen, name="conv2")(y, train)
        return x * y


class MobileBlock(nn.Module):
    """Convolutions as a plan says, with an excitation; added to the input where that has the same shape.

    Attributes:
        acts: of the excitation.
    """

    plan: Mobile
    conv_cfg: Any
    norm_cfg: Any
    act_cfg: Any
    acts: Sequence[Any]
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, y = self.plan, x
        act = frozendict(type=plan.act) if plan.act else self.act_cfg
        shared: dict[str, Any] = {
            "conv_cfg": self.conv_cfg if plan.adaptive else None,
            "norm_cfg": self.norm_cfg,
            "frozen": self.frozen,
        }
        edge, filters = plan.kind == "edge", (plan.size, plan.stride, plan.size // 2)
        if not edge and plan.hidden != plan.inner:
            y = ConvModule(plan.inner, plan.hidden, 1, act_cfg=act, name="expand_conv", **shared)(y, train)
        if edge:
            y = ConvModule(plan.inner, plan.hidden, *filters, act_cfg=act, name="conv1", **shared)(y, train)
        else:
            y = ConvModule(
                plan.hidden, plan.hidden, *filters, groups=plan.hidden, act_cfg=act, name="depthwise_conv", **shared
            )(y, train)
        if plan.squeeze:
            y = Excitation(plan.hidden, plan.squeeze, self.acts, self.frozen, name="se")(y, train)
        shared = {**shared, "conv_cfg": None} if edge else shared
        last = ConvModule(
            plan.hidden, plan.width, 1, act_cfg=None, name="conv2" if edge else "linear_conv", **shared
        )  # fmt: skip
        y = last(y, train)
        return x + DropPath(plan.rate, name="drop_path")(y, train) if plan.adds else y


class _Plain(ConvModule):
    """One convolution, added to its input where that has the same shape."""

    rate: float = 0.0
    adds: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False, *, activate: bool = True, norm: bool = True) -> Array:
        y = super().__call__(x, train, activate=activate, norm=norm)
        return x + DropPath(self.rate, name="drop_path")(y, train) if self.adds else y


class _Efficient(nn.Module):
    """What EfficientNets share: a stem, stages and a last layer, ``layers.0``, ``layers.1``, ...; images (N, H, W, C) to a
    tuple of maps."""

    @property
    def plans(self) -> tuple[int, tuple[tuple[Mobile, ...], ...], int]:
        """The stem's channels, the blocks of each stage, the channels of the last layer."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse what does not fit together."""
        me: Any = self
        name, count = type(self).__name__, len(self.plans[1]) + 2
        outputs_of(name, me.out_indices, count)
        if not 0 <= me.frozen_stages <= count:
            raise FkitValueError(f"{name}: frozen_stages={me.frozen_stages}: from 0 to {count}.")

    def maps(self, x: Array, train: bool, channels: int, padding: int) -> tuple[Array, ...]:
        """The maps that are asked for.

        Args:
            channels: of the images.
            padding: of the stem.
        """
        me: Any = self
        name = type(self).__name__
        check_channels(name, x, channels)
        stem, stages, width = self.plans
        outputs, moving = outputs_of(name, me.out_indices, len(stages) + 2), train and not me.norm_eval
        shared: dict[str, Any] = {"conv_cfg": me.conv_cfg, "norm_cfg": me.norm_cfg, "act_cfg": me.act_cfg}
        block: Any = nn.remat(MobileBlock, static_argnums=(2,)) if me.with_cp else MobileBlock
        still = me.frozen_stages > 0
        x = ConvModule(channels, stem, 3, 2, padding, frozen=still, name="layers_0", **shared)(x, moving and not still)
        found = [x]
        for i, stage in enumerate(stages, 1):
            still = i < me.frozen_stages
            for j, plan in enumerate(stage):
                if plan.kind == "plain":
                    layer: Any = _Plain(
                        plan.inner, plan.width, plan.size, plan.stride, 1, norm_cfg=me.norm_cfg, act_cfg=me.act_cfg,
                        frozen=still, rate=plan.rate, adds=plan.adds, name=f"layers_{i}_{j}",
                    )  # fmt: skip
                else:
                    acts = (me.act_cfg, _SIGMOID)
                    layer = block(plan, acts=acts, frozen=still, name=f"layers_{i}_{j}", **shared)
                x = layer(x, moving and not still)
            found.append(x)
        still, inner = me.frozen_stages > len(stages) + 1, stages[-1][-1].width
        last = ConvModule(inner, width, 1, frozen=still, name=f"layers_{len(stages) + 1}", **shared)
        found.append(last(x, moving and not still))
        return tuple(y for i, y in enumerate(found) if i in outputs)


class EfficientNet(_Efficient):
    """EfficientNet, a backbone: images (N, H, W, 3) to a tuple of maps.

    Attributes:
        arch: "b0" to "b8", "l2", or "es", "em", "el" (EdgeTPU).
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the layers whose maps are given: 0 is the stem, 6 the last layer.
        frozen_stages: how many layers, from the stem, have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: str = "b0"
    drop_path_rate: float = 0.0
    out_indices: Any = (6,)
    frozen_stages: int = 0
    conv_cfg: Any = _ADAPTIVE
    norm_cfg: Any = frozendict(type="BN", eps=1e-3)
    act_cfg: Any = _SWISH
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        self.check()
        super().__post_init__()

    @property
    def plans(self) -> tuple[int, tuple[tuple[Mobile, ...], ...], int]:
        """The stem's channels, the blocks of each stage, the channels of the last layer."""
        return efficient_net(self.arch, self.drop_path_rate)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train, 3, 1)


class EfficientNetV2(_Efficient):
    """EfficientNetV2, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "s", "m", "l", "xl", or "b0" to "b3".
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the layers whose maps are given: 0 is the stem, -1 the last layer.
        frozen_stages: how many layers, from the stem, have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: str = "s"
    in_channels: int = 3
    drop_path_rate: float = 0.0
    out_indices: Any = (-1,)
    frozen_stages: int = 0
    conv_cfg: Any = _ADAPTIVE
    norm_cfg: Any = frozendict(type="BN", eps=1e-3, momentum=0.1)
    act_cfg: Any = _SWISH
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        self.check()
        super().__post_init__()

    @property
    def plans(self) -> tuple[int, tuple[tuple[Mobile, ...], ...], int]:
        """The stem's channels, the blocks of each stage, the channels of the last layer."""
        return efficient_net_v2(self.arch, self.drop_path_rate)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train, self.in_channels, 0)


class MobileNetV3(nn.Module):
    """MobileNetV3, a backbone: images (N, H, W, 3) to a tuple of maps.

    Attributes:
        arch: "small", "small_075", "small_050" or "large".
        out_indices: the layers whose maps are given, ``layer0`` being the stem; None is the last.
        frozen_stages: no gradient, and norms in evaluation mode, for the layers up to this one; -1 is none.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: str = "small"
    conv_cfg: Any = None
    norm_cfg: Any = frozendict(type="BN", eps=0.001, momentum=0.01)
    out_indices: Any = None
    frozen_stages: int = -1
    norm_eval: bool = False
    with_cp: bool = False
    init_cfg: Any = _INIT_V3

    def __post_init__(self) -> None:
        count = len(mobile_v3(self.arch)[1]) + 2
        outputs_of("MobileNetV3", -1 if self.out_indices is None else self.out_indices, count)
        if not -1 <= self.frozen_stages < count:
            raise FkitValueError(f"MobileNetV3: frozen_stages={self.frozen_stages}: from -1 to {count - 1}.")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("MobileNetV3", x, 3)
        stem, plans, width = mobile_v3(self.arch)
        outputs = outputs_of("MobileNetV3", -1 if self.out_indices is None else self.out_indices, len(plans) + 2)
        shared: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": _HARD}
        block: Any = nn.remat(MobileBlock, static_argnums=(2,)) if self.with_cp else MobileBlock
        moving, still = train and not self.norm_eval, self.frozen_stages >= 0
        x = ConvModule(3, stem, 3, 2, 1, frozen=still, name="layer0", **shared)(x, moving and not still)
        maps = [x]
        for i, plan in enumerate(plans, 1):
            still = i <= self.frozen_stages
            layer = block(plan, self.conv_cfg, self.norm_cfg, None, _GATES, still, name=f"layer{i}")
            x = layer(x, moving and not still)
            maps.append(x)
        still = self.frozen_stages > len(plans)
        last = ConvModule(plans[-1].width, width, 1, frozen=still, name=f"layer{len(plans) + 1}", **shared)
        maps.append(last(x, moving and not still))
        return tuple(y for i, y in enumerate(maps) if i in outputs)
