"""Heads that look at several scales: PSP, UPer and ASPP, with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backend.jax.resize import adaptive_avg_pool
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.segment.head import DecodeHead, Maps, joined, resized

__all__ = ["PPM", "ASPPHead", "DepthwiseSeparableASPPHead", "PSPHead", "UPerHead"]

Array = jax.Array


class PPM(nn.Module):
    """Means of a map over grids of several sizes, each by a 1x1 convolution and back at the map's size (Zhao et al. 2017).

    Attributes:
        pool_scales: the grids' sizes.
        channels: of the convolutions.
        align_corners: how maps are resized.
        cfgs: layers.
    """

    pool_scales: Sequence[int]
    channels: int
    align_corners: bool
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> list[Array]:
        outs: list[Array] = []
        for at, scale in enumerate(self.pool_scales):
            conv = ConvModule(x.shape[-1], self.channels, 1, name=f"{at}_1", **self.cfgs)
            outs.append(resized(conv(adaptive_avg_pool(x, (scale, scale)), train), x.shape[1:3], self.align_corners))
        return outs


class PSPHead(DecodeHead, kw_only=True):
    """A pyramid of pooled maps beside the map itself (Zhao et al. 2017).

    Attributes:
        pool_scales: the sizes of the grids that it is pooled to.
    """

    pool_scales: Sequence[int] = (1, 2, 3, 6)
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "psp_modules", "bottleneck")

    def features(self, maps: Maps, train: bool) -> Array:
        return _pooled(self, self.taken(maps), train)


def _pooled(head: Any, x: Array, train: bool) -> Array:
    """A map beside the pyramid of its means, by a head's convolution."""
    pyramid = PPM(tuple(head.pool_scales), head.channels, head.align_corners, head.cfgs, name="psp_modules")
    both = joined(x, *pyramid(x, train))
    return head.conv(both.shape[-1], head.channels, 3, "bottleneck", padding=1)(both, train)


class UPerHead(DecodeHead, kw_only=True):
    """A feature pyramid whose top has a pyramid of pooled maps (Xiao et al. 2018).

    Attributes:
        pool_scales: the sizes of the grids that the last map is pooled to.
    """

    pool_scales: Sequence[int] = (1, 2, 3, 6)
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg",
        "psp_modules",
        "bottleneck",
        "lateral_convs",
        "fpn_convs",
        "fpn_bottleneck",
    )

    @property
    def transform(self) -> str | None:
        """It takes several maps."""
        return "multiple_select"

    def features(self, maps: Maps, train: bool) -> Array:
        several, out = self.taken(maps), self.channels
        laterals = [
            self.conv(x.shape[-1], out, 1, f"lateral_convs_{at}")(x, train) for at, x in enumerate(several[:-1])
        ]
        laterals.append(_pooled(self, several[-1], train))
        for at in range(len(laterals) - 1, 0, -1):
            laterals[at - 1] = laterals[at - 1] + self.resized(laterals[at], laterals[at - 1].shape[1:3])
        outs = [self.conv(out, out, 3, f"fpn_convs_{at}", padding=1)(x, train) for at, x in enumerate(laterals[:-1])]
        outs.append(laterals[-1])
        both = joined(outs[0], *(self.resized(x, outs[0].shape[1:3]) for x in outs[1:]))
        return self.conv(both.shape[-1], out, 3, "fpn_bottleneck", padding=1)(both, train)


class ASPPHead(DecodeHead, kw_only=True):
    """Convolutions of several dilations, and the mean of the map (Chen et al. 2017, DeepLabV3).

    Attributes:
        dilations: of each.
    """

    dilations: Sequence[int] = (1, 6, 12, 18)
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg",
        "image_pool",
        "aspp_modules",
        "bottleneck",
        "c1_bottleneck",
        "sep_bottleneck",
    )

    def dilated(self, wide: int, out: int, dilation: int, name: str) -> Any:
        """One of the convolutions."""
        if dilation == 1:
            return self.conv(wide, out, 1, name)
        return self.conv(wide, out, 3, name, padding=dilation, dilation=dilation)

    def features(self, maps: Maps, train: bool) -> Array:
        x, out = self.taken(maps), self.channels
        wide = x.shape[-1]
        mean = self.conv(wide, out, 1, "image_pool_1")(x.mean((1, 2), keepdims=True), train)
        parts = [
            self.dilated(wide, out, dilation, f"aspp_modules_{at}")(x, train)
            for at, dilation in enumerate(self.dilations)
        ]
        both = joined(self.resized(mean, x.shape[1:3]), *parts)
        return self.conv(both.shape[-1], out, 3, "bottleneck", padding=1)(both, train)


class DepthwiseSeparableASPPHead(ASPPHead, kw_only=True):
    """`ASPPHead` of depthwise separable convolutions, and what it says beside the first map (Chen et al. 2018, DeepLabV3+).

    Attributes:
        c1_in_channels: of the first map; 0: it is not taken.
        c1_channels: to how many that is brought.
    """

    c1_in_channels: int
    c1_channels: int

    def __post_init__(self) -> None:
        if self.c1_in_channels < 0:
            raise FkitValueError(f"DepthwiseSeparableASPPHead: c1_in_channels={self.c1_in_channels}, but it is from 0.")
        super().__post_init__()

    def dilated(self, wide: int, out: int, dilation: int, name: str) -> Any:
        if dilation == 1:
            return self.conv(wide, out, 1, name)
        return self._separable(wide, name, padding=dilation, dilation=dilation)

    def _separable(self, wide: int, name: str, **more: Any) -> Any:
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        return DepthwiseSeparableConvModule(wide, self.channels, 3, name=name, **more, **cfgs)

    def features(self, maps: Maps, train: bool) -> Array:
        x = super().features(maps, train)
        if self.c1_in_channels:
            first = self.conv(self.c1_in_channels, self.c1_channels, 1, "c1_bottleneck")(maps[0], train)
            x = joined(self.resized(x, first.shape[1:3]), first)
        x = self._separable(x.shape[-1], "sep_bottleneck_0", padding=1)(x, train)
        return self._separable(self.channels, "sep_bottleneck_1", padding=1)(x, train)
