"""Necks beside feature pyramids, with mmdet's arguments and parameter names; channels last."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backend.jax.layers import BatchNorm, Conv2d
from fkit.backend.jax.resize import adaptive_max_pool, interpolate
from fkit.detection.neck import check_ssd, dilated_start, ssd_rules
from fkit.detection.pyramid import channels_of, check_maps
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.plugin import NonLocal2d

__all__ = ["BFP", "HRFPN", "ChannelMapper", "DilatedEncoder", "L2Norm", "SSDNeck", "YOLOV3Neck"]

Array = jax.Array
Maps = tuple[Array, ...]

_XAVIER = frozendict(type="Xavier", layer="Conv2d", distribution="uniform")
_BN = frozendict(type="BN", requires_grad=True)
_LEAKY = frozendict(type="LeakyReLU", negative_slope=0.1)


class ChannelMapper(nn.Module):
    """A convolution a map, to ``out_channels``; levels beyond the maps' by convolutions of stride 2.

    Attributes:
        in_channels: of each map.
        out_channels: of every map that is given.
        kernel_size: of the convolutions of maps.
        conv_cfg, norm_cfg, act_cfg, bias: layers, see `ConvModule`.
        num_outs: levels; None is as many as maps.
        init_cfg: rules for initial weights.
    """

    in_channels: tuple[int, ...]
    out_channels: int
    kernel_size: int = 3
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = RELU
    bias: bool | str = "auto"
    num_outs: int | None = None
    init_cfg: Any = _XAVIER

    def __post_init__(self) -> None:
        channels_of("ChannelMapper", self.in_channels)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        widths, out = channels_of("ChannelMapper", self.in_channels), self.out_channels
        check_maps("ChannelMapper", inputs, widths, -1)
        conv = partial(ConvModule, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg, bias=self.bias)
        size = self.kernel_size
        outs = [
            conv(width, out, size, padding=(size - 1) // 2, name=f"convs_{i}")(x, train)
            for i, (width, x) in enumerate(zip(widths, inputs, strict=True))
        ]
        x = inputs[-1]
        for i in range((self.num_outs or len(widths)) - len(widths)):
            x = conv(out if i else widths[-1], out, 3, stride=2, padding=1, name=f"extra_convs_{i}")(x, train)
            outs.append(x)
        return tuple(outs)


class HRFPN(nn.Module):
    """A pyramid of HRNet's branches (Sun et al. 2019): all at the first one's size, reduced, then pooled to levels.

    Attributes:
        in_channels: of each branch.
        out_channels: of every map that is given.
        num_outs: levels.
        pooling_type: "MAX" or "AVG".
        conv_cfg: convolutions.
        norm_cfg: changes nothing, as in mmdet.
        with_cp: recompute convolutions in the backward pass to save memory.
        stride: of the convolutions of levels.
        init_cfg: rules for initial weights.
    """

    in_channels: tuple[int, ...]
    out_channels: int
    num_outs: int = 5
    pooling_type: str = "AVG"
    conv_cfg: Any = None
    norm_cfg: Any = None
    with_cp: bool = False
    stride: int = 1
    init_cfg: Any = frozendict(type="Caffe2Xavier", layer="Conv2d")

    def __post_init__(self) -> None:
        channels_of("HRFPN", self.in_channels)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        widths, out = channels_of("HRFPN", self.in_channels), self.out_channels
        check_maps("HRFPN", inputs, widths)
        block: Any = nn.remat(ConvModule) if self.with_cp else ConvModule
        conv: Any = partial(block, conv_cfg=self.conv_cfg, act_cfg=None)
        rest = [interpolate(x, scale_factor=2**i, mode="bilinear") for i, x in enumerate(inputs[1:], 1)]
        x = conv(sum(widths), out, 1, name="reduction_conv")(jnp.concatenate([inputs[0], *rest], -1))
        pool: Any = nn.max_pool if self.pooling_type == "MAX" else nn.avg_pool
        pooled = [x, *(pool(x, (2**i, 2**i), (2**i, 2**i)) for i in range(1, self.num_outs))]
        return tuple(
            conv(out, out, 3, padding=1, stride=self.stride, name=f"fpn_convs_{i}")(x) for i, x in enumerate(pooled)
        )


class BFP(nn.Module):
    """A balanced pyramid (Pang et al. 2019): all levels at one size, their mean refined, and added to each.

    Attributes:
        in_channels: of all levels.
        num_levels: how many.
        refine_level: whose size the mean has.
        refine_type: None, "conv" or "non_local".
        conv_cfg, norm_cfg: layers of ``refine``.
        init_cfg: rules for initial weights.
    """

    in_channels: int
    num_levels: int
    refine_level: int = 2
    refine_type: str | None = None
    conv_cfg: Any = None
    norm_cfg: Any = None
    init_cfg: Any = _XAVIER

    def __post_init__(self) -> None:
        if self.refine_type not in (None, "conv", "non_local"):
            raise FkitValueError(
                f"BFP: refine_type={self.refine_type!r}.",
                value=self.refine_type,
                choices=("None", "conv", "non_local"),
            )
        if not 0 <= self.refine_level < self.num_levels:
            raise FkitValueError(f"BFP: refine_level={self.refine_level}, but there are {self.num_levels} levels.")
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        check_maps("BFP", inputs, (0,) * self.num_levels)
        level = self.refine_level
        size = inputs[level].shape[1:3]
        parts = [adaptive_max_pool(x, size) if i < level else interpolate(x, size) for i, x in enumerate(inputs)]
        mean = sum(parts[1:], parts[0]) / len(parts)
        width = self.in_channels
        if self.refine_type == "conv":
            conv = ConvModule(width, width, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, name="refine")
            mean = conv(mean, train)
        elif self.refine_type == "non_local":
            block = NonLocal2d(
                width, conv_cfg=self.conv_cfg, reduction=1, use_scale=False, norm_cfg=self.norm_cfg, name="refine"
            )
            mean = block(mean, train)
        return tuple(
            x + (interpolate(mean, x.shape[1:3]) if i < level else adaptive_max_pool(mean, x.shape[1:3]))
            for i, x in enumerate(inputs)
        )


class L2Norm(nn.Module):
    """Each position's channels by their length, times ``weight`` (Liu et al. 2016)."""

    n_dims: int
    scale: float = 20.0
    eps: float = 1e-10

    @nn.compact
    def __call__(self, x: Array) -> Array:
        weight = self.param("weight", nn.initializers.constant(self.scale), (self.n_dims,))
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        length = jnp.sqrt(jnp.square(wide).sum(-1, keepdims=True)) + self.eps
        return (weight.astype(wide.dtype) * wide / length).astype(x.dtype)


class SSDNeck(nn.Module):
    """SSD's extra levels (Liu et al. 2016), each of a 1x1 convolution and one that strides; the first map by `L2Norm`.

    Attributes:
        in_channels: of the maps.
        out_channels: of all levels; the maps' first.
        level_strides, level_paddings: of the second convolution of each extra level.
        l2_norm_scale: what `L2Norm` begins with; None is none.
        last_kernel_size: of the last level's second convolution.
        use_depthwise: second convolutions are depthwise separable.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    in_channels: tuple[int, ...]
    out_channels: tuple[int, ...]
    level_strides: tuple[int, ...]
    level_paddings: tuple[int, ...]
    l2_norm_scale: float | None = 20.0
    last_kernel_size: int = 3
    use_depthwise: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = RELU
    init_cfg: Any = None

    def __post_init__(self) -> None:
        check_ssd(self.in_channels, self.out_channels, self.level_strides, self.level_paddings)
        super().__post_init__()

    @property
    def init_rules(self) -> Any:
        """``init_cfg`` or its default, and that of the first norm."""
        return ssd_rules(self.init_cfg, self.l2_norm_scale)

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        check_maps("SSDNeck", inputs, tuple(self.in_channels))
        widths = check_ssd(self.in_channels, self.out_channels, self.level_strides, self.level_paddings)
        outs = list(inputs)
        if self.l2_norm_scale:
            outs[0] = L2Norm(self.in_channels[0], self.l2_norm_scale, name="l2_norm")(outs[0])
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        second: Any = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        for i, (stride, padding) in enumerate(zip(self.level_strides, self.level_paddings, strict=True)):
            width = widths[i + 1]
            size = self.last_kernel_size if i == len(self.level_strides) - 1 else 3
            x = ConvModule(widths[i], width // 2, 1, name=f"extra_layers_{i}_0", **cfgs)(outs[-1], train)
            conv = second(width // 2, width, size, stride=stride, padding=padding, name=f"extra_layers_{i}_1", **cfgs)
            outs.append(conv(x, train))
        return tuple(outs)


class _DetectionBlock(nn.Module):
    """Five convolutions, of 1x1 and 3x3 in turn (Redmon and Farhadi 2018)."""

    out_channels: int
    cfgs: Any
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        out = self.out_channels
        for i, (width, size) in enumerate(((out, 1), (2 * out, 3), (out, 1), (2 * out, 3), (out, 1)), 1):
            conv = ConvModule(x.shape[-1], width, size, padding=size // 2, name=f"conv{i}", **dict(self.cfgs))
            x = conv(x, train)
        return x


class YOLOV3Neck(nn.Module):
    """YOLOv3's path from the last map down: ``detect1``, ``conv1``, ``detect2``, ...; maps in that order.

    Attributes:
        num_scales: how many maps.
        in_channels, out_channels: of each, the last map first.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    num_scales: int
    in_channels: tuple[int, ...]
    out_channels: tuple[int, ...]
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _LEAKY
    init_cfg: Any = None

    def __post_init__(self) -> None:
        channels_of("YOLOV3Neck", self.in_channels)
        if not self.num_scales == len(self.in_channels) == len(self.out_channels):
            raise FkitValueError(
                f"YOLOV3Neck: {len(self.in_channels)} in_channels and {len(self.out_channels)} out_channels for "
                f"{self.num_scales} scales."
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        check_maps("YOLOV3Neck", inputs, tuple(self.in_channels))
        cfgs = frozendict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        outs = [_DetectionBlock(self.out_channels[0], cfgs, name="detect1")(inputs[-1], train)]
        for i, x in enumerate(reversed(inputs[:-1]), 1):
            out = self.out_channels[i]
            above = ConvModule(self.out_channels[i - 1], out, 1, name=f"conv{i}", **cfgs)(outs[-1], train)
            both = jnp.concatenate((interpolate(above, scale_factor=2), x), -1)
            outs.append(_DetectionBlock(out, cfgs, name=f"detect{i + 1}")(both, train))
        return tuple(outs)


class _DilatedBlock(nn.Module):
    """A residual branch of 1x1, dilated 3x3 and 1x1 convolutions."""

    planes: int
    dilation: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, planes, dilation = x.shape[-1], self.planes, self.dilation
        y = ConvModule(width, planes, 1, norm_cfg=_BN, name="conv1")(x, train)
        y = ConvModule(
            planes, planes, 3, padding=dilation, dilation=dilation, norm_cfg=_BN, name="conv2"
        )(y, train)  # fmt: skip
        return ConvModule(planes, width, 1, norm_cfg=_BN, name="conv3")(y, train) + x


class DilatedEncoder(nn.Module):
    """YOLOF's neck (Chen et al. 2021): the last map by two convolutions and dilated residual blocks.

    Attributes:
        in_channels, out_channels: of the map, before and after.
        block_mid_channels: inside of blocks.
        num_residual_blocks, block_dilations: how many, and the dilation of each.
    """

    in_channels: int
    out_channels: int
    block_mid_channels: int
    num_residual_blocks: int
    block_dilations: tuple[int, ...]

    @property
    def init_cfg(self) -> Any:
        """How it starts."""
        return dilated_start(self.num_residual_blocks, self.block_dilations)

    def __post_init__(self) -> None:
        dilated_start(self.num_residual_blocks, self.block_dilations)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> Maps:
        out = self.out_channels
        x = BatchNorm(name="lateral_norm")(Conv2d(out, (1, 1), name="lateral_conv")(inputs[-1]), train)
        x = BatchNorm(name="fpn_norm")(Conv2d(out, (3, 3), padding=1, name="fpn_conv")(x), train)
        for i in range(self.num_residual_blocks):
            name = f"dilated_encoder_blocks_{i}"
            x = _DilatedBlock(self.block_mid_channels, self.block_dilations[i], name=name)(x, train)
        return (x,)
