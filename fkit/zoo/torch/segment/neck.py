"""Necks of segmentors, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, cat, nn
from torch.nn import functional as F

from fkit.backbone.brick import RELU
from fkit.backend.torch.layers import norm_layer
from fkit.detection.pyramid import check_maps
from fkit.segmentation.neck import XAVIER, expect_channels, expect_rescales
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.segment.head import resized

__all__ = ["JPU", "Feature2Pyramid", "MLANeck", "MultiLevelNeck"]

Maps = Sequence[Tensor]

_BN = frozendict(type="BN")
_SYNC = frozendict(type="SyncBN", requires_grad=True)
_LN = frozendict(type="LN", eps=1e-6, requires_grad=True)


class JPU(nn.Module):
    """The last maps put together at the first one's size, and looked at with several dilations (Wu et al. 2019).

    Args:
        in_channels: of the maps.
        mid_channels: of each part of what takes the last map's place.
        start_level, end_level: the first map that is used, and the first that is not; -1: all.
        dilations: of each part.
        align_corners: how maps are resized.
        conv_cfg, norm_cfg, act_cfg: layers.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 2048),
        mid_channels: int = 512,
        start_level: int = 0,
        end_level: int = -1,
        dilations: Sequence[int] = (1, 2, 4, 8),
        align_corners: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = RELU,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        widths = expect_channels("JPU", in_channels)
        self.levels = range(start_level, len(widths) if end_level == -1 else end_level)
        self.in_channels, self.align_corners = widths, align_corners
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv_layers = nn.ModuleList(
            nn.Sequential(ConvModule(widths[at], mid_channels, 3, padding=1, **cfgs)) for at in self.levels
        )
        wide = len(self.levels) * mid_channels
        self.dilation_layers = nn.ModuleList(
            nn.Sequential(
                DepthwiseSeparableConvModule(
                    wide, mid_channels, 3, padding=step, dilation=step, dw_norm_cfg=norm_cfg, dw_act_cfg=None,
                    pw_norm_cfg=norm_cfg, pw_act_cfg=act_cfg,
                )
            )
            for step in dilations
        )  # fmt: skip

    def forward(self, inputs: Maps) -> tuple[Tensor, ...]:
        check_maps("JPU", tuple(inputs), self.in_channels)
        maps = [conv(inputs[at]) for conv, at in zip(self.conv_layers, self.levels, strict=True)]
        size = maps[0].shape[2:]
        joint = cat([maps[0], *(resized(x, size, self.align_corners) for x in maps[1:])], 1)
        whole = cat([layer(joint) for layer in self.dilation_layers], 1)
        return (*(inputs[at] for at in self.levels[:-1]), whole)


class MultiLevelNeck(nn.Module):
    """A pyramid of a plain transformer's maps: a 1x1 convolution each, another size, a 3x3 convolution.

    Args:
        in_channels: of each map; of one alone all levels are made.
        out_channels: of all levels.
        scales: of each level.
        norm_cfg, act_cfg: layers.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        scales: Sequence[float] = (0.5, 1, 2, 4),
        norm_cfg: Any = None,
        act_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = XAVIER
        self.scales = tuple(scales)
        self.in_channels = expect_channels("MultiLevelNeck", in_channels)
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.lateral_convs = nn.ModuleList(ConvModule(width, out_channels, 1, **cfgs) for width in self.in_channels)
        self.convs = nn.ModuleList(ConvModule(out_channels, out_channels, 3, padding=1, **cfgs) for _ in scales)

    def forward(self, inputs: Maps) -> tuple[Tensor, ...]:
        check_maps("MultiLevelNeck", tuple(inputs), self.in_channels)
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)]
        maps = maps * len(self.scales) if len(maps) == 1 else maps
        return tuple(
            conv(F.interpolate(x, scale_factor=scale, mode="bilinear"))
            for conv, x, scale in zip(self.convs, maps, self.scales, strict=False)
        )


class _Aggregation(nn.Module):
    """Maps from the last to the first, each added to those before it."""

    def __init__(self, widths: Sequence[int], out: int, cfgs: dict[str, Any]) -> None:
        super().__init__()
        self.channel_proj = nn.ModuleList(ConvModule(width, out, 1, **cfgs) for width in widths)
        self.feat_extract = nn.ModuleList(ConvModule(out, out, 3, padding=1, **cfgs) for _ in widths)

    def forward(self, inputs: Maps) -> tuple[Tensor, ...]:
        maps = [conv(x) for conv, x in zip(self.channel_proj, inputs, strict=True)][::-1]
        for at in range(1, len(maps)):
            maps[at] = maps[at - 1] + maps[at]
        return tuple(conv(x) for conv, x in zip(self.feat_extract, maps, strict=True))


class MLANeck(nn.Module):
    """SETR's multi-level aggregation (Zheng et al. 2021): maps are normed, and added from the last to the first.

    Args:
        in_channels: of each map.
        out_channels: of every map that is given.
        norm_layer: of the maps.
        norm_cfg, act_cfg: of convolutions.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        norm_layer: Any = _LN,
        norm_cfg: Any = None,
        act_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = expect_channels("MLANeck", in_channels)
        self.norm = nn.ModuleList(_normed(norm_layer, width) for width in self.in_channels)
        self.mla = _Aggregation(self.in_channels, out_channels, {"norm_cfg": norm_cfg, "act_cfg": act_cfg})

    def forward(self, inputs: Maps) -> tuple[Tensor, ...]:
        check_maps("MLANeck", tuple(inputs), self.in_channels)
        return self.mla([norm(x.movedim(1, -1)).movedim(-1, 1) for norm, x in zip(self.norm, inputs, strict=True)])


def _normed(cfg: Any, width: int) -> nn.Module:
    return norm_layer(cfg, width)[1]


class Feature2Pyramid(nn.Module):
    """A pyramid of a plain transformer's four maps, enlarged by deconvolutions or reduced by pooling.

    Args:
        embed_dim: of the maps.
        rescales: (4, 2, 1, 0.5) or (2, 1, 0.5, 0.25).
        norm_cfg: between two deconvolutions.
    """

    def __init__(self, embed_dim: int, rescales: Sequence[float] = (4, 2, 1, 0.5), norm_cfg: Any = _SYNC) -> None:
        super().__init__()
        self.rescales = expect_rescales(rescales)

        def deconv() -> nn.Module:
            return nn.ConvTranspose2d(embed_dim, embed_dim, 2, 2)

        if 4 in self.rescales:
            self.upsample_4x = nn.Sequential(deconv(), norm_layer(norm_cfg, embed_dim)[1], nn.GELU(), deconv())
        self.upsample_2x = nn.Sequential(deconv())

    def forward(self, inputs: Maps) -> tuple[Tensor, ...]:
        return tuple(self._one(x, scale) for x, scale in zip(inputs, self.rescales, strict=False))

    def _one(self, x: Tensor, scale: float) -> Tensor:
        if scale > 1:
            return self.upsample_4x(x) if scale == 4 else self.upsample_2x(x)
        side = int(1 / scale)
        return x if side == 1 else F.max_pool2d(x, side, side)
