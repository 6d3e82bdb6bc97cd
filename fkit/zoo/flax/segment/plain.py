"""Heads of pyramids, of plain transformers and of mobile networks: FPN, SegFormer, SETR and LR-ASPP, with mmseg's arguments
and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.layers import norm_layer as norm_of
from fkit.backend.jax.resize import interpolate
from fkit.segmentation.neck import SETR_INIT, WINDOW, enough, steps_of, window_of
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.segment.head import DecodeHead, Maps, joined, resized

__all__ = ["FPNHead", "LRASPPHead", "SETRMLAHead", "SETRUPHead", "SegformerHead"]

Array = jax.Array


class _Several(DecodeHead, kw_only=True):
    """A head that takes several maps."""

    @property
    def transform(self) -> str | None:
        """It takes several maps."""
        return "multiple_select"

    def larger(self, x: Array, factor: int) -> Array:
        """Maps enlarged by a factor, bilinear."""
        return self.resized(x, (x.shape[1] * factor, x.shape[2] * factor))


class FPNHead(_Several, kw_only=True):
    """Maps of a pyramid, enlarged step by step and added (Kirillov et al. 2019).

    Attributes:
        feature_strides: of each map.
    """

    feature_strides: Sequence[int]
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "scale_heads")

    def features(self, maps: Maps, train: bool) -> Array:
        total: Any = None
        for place, (x, (count, larger)) in enumerate(
            zip(self.taken(maps), steps_of(self.feature_strides), strict=True)
        ):
            for at in range(count):
                name = f"scale_heads_{place}_{2 * at if larger else at}"
                x = self.conv(x.shape[-1], self.channels, 3, name, padding=1)(x, train)
                x = self.larger(x, 2) if larger else x
            total = x if total is None else total + self.resized(x, total.shape[1:3])
        return total


class SegformerHead(_Several, kw_only=True):
    """A 1x1 convolution a map, all at the first one's size, and one of all (Xie et al. 2021).

    Attributes:
        interpolate_mode: how maps are resized: "bilinear" or "nearest".
    """

    interpolate_mode: str = "bilinear"
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "convs", "fusion_conv")

    def features(self, maps: Maps, train: bool) -> Array:
        several, out = self.taken(maps), self.channels
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        parts: list[Array] = []
        for at, x in enumerate(several):
            y = ConvModule(x.shape[-1], out, 1, name=f"convs_{at}", **cfgs)(x, train)
            parts.append(interpolate(y, several[0].shape[1:3], None, self.interpolate_mode, self.align_corners))
        both = joined(*parts)
        return ConvModule(both.shape[-1], out, 1, norm_cfg=self.norm_cfg, name="fusion_conv")(both, train)


class SETRUPHead(DecodeHead, kw_only=True):
    """Convolutions and enlargements, in turn (Zheng et al. 2021).

    Attributes:
        norm_layer: of what it takes.
        num_convs, up_scale, kernel_size: how many, by what factor, and of which size.
    """

    norm_layer: Any = frozendict(type="LN", eps=1e-6, requires_grad=True)
    num_convs: int = 1
    up_scale: int = 4
    kernel_size: int = 3
    init_cfg: Any = SETR_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "norm", "up_convs")

    def features(self, maps: Maps, train: bool) -> Array:
        norm: Any = norm_of(self.norm_layer)[1]("norm")
        x = norm(self.taken(maps), train)
        size, factor = self.kernel_size, self.up_scale
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        for at in range(self.num_convs):
            pad, name = (size - 1) // 2, f"up_convs_{at}_0"
            x = ConvModule(x.shape[-1], self.channels, size, padding=pad, name=name, **cfgs)(x, train)
            x = self.resized(x, (x.shape[1] * factor, x.shape[2] * factor))
        return x


class SETRMLAHead(_Several, kw_only=True):
    """Two convolutions and an enlargement of each map, and all of them together (Zheng et al. 2021).

    Attributes:
        mla_channels: of each map's convolutions.
        up_scale: the factor.
    """

    mla_channels: int = 128
    up_scale: int = 4
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "up_convs")

    def features(self, maps: Maps, train: bool) -> Array:
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        parts: list[Array] = []
        for at, x in enumerate(self.taken(maps)):
            for step in range(2):
                name = f"up_convs_{at}_{step}"
                x = ConvModule(x.shape[-1], self.mla_channels, 3, padding=1, name=name, **cfgs)(x, train)
            parts.append(self.larger(x, self.up_scale))
        return joined(*parts)


class _Branches(nn.Module):
    """A 1x1 convolution of each map: ``conv0``, ``conv1``, ..."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, maps: Sequence[Array]) -> list[Array]:
        return [
            Conv2d(width, (1, 1), use_bias=False, name=f"conv{at}")(x)
            for at, (width, x) in enumerate(zip(self.widths, maps, strict=True))
        ]


class _Ups(nn.Module):
    """A map enlarged beside others, the last one of these first, and a convolution of both: ``conv_up0``, ..."""

    width: int
    align_corners: bool
    cfgs: Any
    count: int

    @property
    def torch_order(self) -> tuple[str, ...]:
        """Those of the first map first."""
        return tuple(f"conv_up{at}" for at in range(self.count))

    @nn.compact
    def __call__(self, x: Array, maps: Sequence[Array], train: bool = False) -> Array:
        for at, one in reversed(list(enumerate(maps))):
            x = joined(resized(x, one.shape[1:3], self.align_corners), one)
            x = ConvModule(x.shape[-1], self.width, 1, name=f"conv_up{at}", **self.cfgs)(x, train)
        return x


class LRASPPHead(DecodeHead, kw_only=True):
    """The last map weighed by means over great windows, enlarged beside finer ones in turn (Howard et al. 2019).

    Attributes:
        branch_channels: of the finer maps' branches.
    """

    branch_channels: Sequence[int] = (32, 64)
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg", "convs", "conv_ups", "conv_up_input", "aspp_conv", "image_pool",
    )  # fmt: skip

    def __post_init__(self) -> None:
        window_of(self.input_transform, self.widths, self.branch_channels)
        super().__post_init__()

    def features(self, maps: Maps, train: bool) -> Array:
        *finer, last = self.taken(maps)
        enough(last.shape[1:3])
        wide, out = last.shape[-1], self.channels
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg, "bias": False}
        size, stride = WINDOW
        pooled = nn.avg_pool(last, (size, size), stride)
        gate = ConvModule(
            wide, out, 1, act_cfg=frozendict(type="Sigmoid"), bias=False, name="image_pool_1"
        )(pooled, train)  # fmt: skip
        x = ConvModule(wide, out, 1, name="aspp_conv", **cfgs)(last, train) * self.resized(gate, last.shape[1:3])
        x = Conv2d(out, (1, 1), name="conv_up_input")(x)
        beside = _Branches(self.branch_channels, name="convs")(finer)
        return _Ups(out, self.align_corners, frozendict(cfgs), len(finer), name="conv_ups")(x, beside, train)
