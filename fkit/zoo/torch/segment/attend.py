"""Heads in which positions attend to positions, regions or channels, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.segmentation.attend import expect_plain, grid, psa_places, shrunk, zero_start
from fkit.segmentation.decode import prefixed
from fkit.structures.batch import Samples
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.plugin import Scale
from fkit.zoo.torch.segment.head import DecodeHead, Maps

__all__ = ["ANNHead", "DAHead", "ISAHead", "OCRHead", "PSAHead", "SelfAttentionBlock"]


class SelfAttentionBlock(nn.Module):
    """Positions of one map attend to those of another; mmseg's SelfAttentionBlock.

    Args:
        query_channels, key_channels: of the two maps.
        channels, out_channels: inside, and of what is given.
        share: one projection makes keys and queries.
        pool_scales: keys and values are means over grids of these sizes; None: all positions.
        key_convs: convolutions of a projection of keys or queries.
        key_norm, value_norm: whether projections are convolutions with norm and activation.
        scaled: by the root of the channels inside.
        with_out: whether a last projection follows.
        cfgs: layers.
    """

    def __init__(
        self,
        query_channels: int,
        key_channels: int,
        channels: int,
        out_channels: int,
        *,
        share: bool = False,
        pool_scales: Sequence[int] | None = None,
        key_convs: int = 1,
        key_norm: bool = True,
        value_norm: bool = False,
        scaled: bool = True,
        with_out: bool = True,
        cfgs: dict[str, Any],
    ) -> None:
        super().__init__()
        self.factor = channels**-0.5 if scaled else 1.0
        self.pool_scales = pool_scales
        self.key_project = _projection(key_channels, channels, key_convs, key_norm, cfgs)
        self.query_project = (
            self.key_project if share else _projection(query_channels, channels, key_convs, key_norm, cfgs)
        )
        self.value_project = _projection(key_channels, channels if with_out else out_channels, 1, value_norm, cfgs)
        self.out_project = _projection(channels, out_channels, 1, value_norm, cfgs) if with_out else None
        self.start_cfg = zero_start(with_out and not value_norm)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        queries = self.query_project(query).flatten(2).transpose(1, 2)
        keys, values = self._seen(self.key_project(key)), self._seen(self.value_project(key))
        chance = (self.factor * (queries @ keys)).softmax(-1)
        out = (chance @ values.transpose(1, 2)).transpose(1, 2)
        out = out.reshape(query.shape[0], -1, *query.shape[2:])
        return out if self.out_project is None else self.out_project(out)

    def _seen(self, x: Tensor) -> Tensor:
        if self.pool_scales is None:
            return x.flatten(2)
        return torch.cat([F.adaptive_avg_pool2d(x, scale).flatten(2) for scale in self.pool_scales], 2)


def _projection(wide: int, out: int, count: int, normed: bool, cfgs: dict[str, Any]) -> nn.Module:
    widths = [wide, *[out] * (count - 1)]
    convs = [ConvModule(width, out, 1, **cfgs) if normed else nn.Conv2d(width, out, 1) for width in widths]
    return convs[0] if count == 1 else nn.Sequential(*convs)


class _ObjectAttention(SelfAttentionBlock):
    """Positions attend to classes, and the outcome beside them."""

    def __init__(self, in_channels: int, channels: int, cfgs: dict[str, Any]) -> None:
        super().__init__(in_channels, in_channels, channels, in_channels, key_convs=2, value_norm=True, cfgs=cfgs)
        self.bottleneck = ConvModule(in_channels * 2, in_channels, 1, **cfgs)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return self.bottleneck(torch.cat([super().forward(query, key), query], 1))


class OCRHead(DecodeHead):
    """Positions attend to the classes that a head before it found (Yuan et al. 2020); a head of a cascade.

    Args:
        ocr_channels: inside of the attention.
        scale: 1.
        more: see `DecodeHead`.
    """

    def __init__(self, ocr_channels: int, scale: int = 1, *, build: Builder, **more: Any) -> None:
        expect_plain("OCRHead", "scale", (scale,))
        super().__init__(build=build, **more)
        self.object_context_block = _ObjectAttention(self.channels, ocr_channels, self.cfgs)
        self.bottleneck = self.conv(self.in_channels, self.channels, 3, padding=1)

    def forward(self, maps: Maps, before: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x = self.bottleneck(self.taken(maps))
        classes = before.flatten(2).softmax(2) @ x.flatten(2).transpose(1, 2)
        return self.classified(self.object_context_block(x, classes.transpose(1, 2)[..., None]))

    def loss(self, maps: Maps, before: Tensor, samples: Samples | None) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.losses_of(self(maps, before), samples)

    def logits(self, maps: Maps, before: Tensor, size: Sequence[int]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.resized(self(maps, before), size)


class _Fused(nn.Module):
    """Positions of one map attend to means of another (or of itself), and the outcome beside them."""

    def __init__(
        self,
        low: int,
        high: int,
        channels: int,
        out: int,
        count: int,
        scales: Sequence[int],
        cfgs: dict[str, Any],
        share: bool = False,
    ) -> None:
        super().__init__()
        wide = out if share else high
        self.stages = nn.ModuleList(
            SelfAttentionBlock(high, low, channels, wide, share=share, pool_scales=scales, cfgs=cfgs)
            for _ in range(count)
        )
        last: dict[str, Any] = cfgs if share else {**cfgs, "act_cfg": None}
        self.bottleneck = ConvModule(wide + high, out, 1, **last)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        seen: Any = 0.0
        for stage in self.stages:
            seen = seen + stage(high, low)
        return self.bottleneck(torch.cat([seen, high], 1))


class ANNHead(DecodeHead):
    """Positions attend to means over grids (Zhu et al. 2019, asymmetric non-local networks).

    Args:
        project_channels: inside of attentions.
        query_scales: 1 for each attention.
        key_pool_scales: the sizes of the grids.
        more: see `DecodeHead`; it takes two maps.
    """

    def __init__(
        self,
        project_channels: int,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        expect_plain("ANNHead", "query_scales", query_scales)
        super().__init__(build=build, input_transform="multiple_select", **more)
        if len(self.in_channels) != 2:
            raise FkitValueError(f"ANNHead takes two maps, and in_channels={self.in_channels}.")
        low, high = self.in_channels
        inner, count = project_channels, len(query_scales)
        self.fusion = _Fused(low, high, inner, high, count, key_pool_scales, self.cfgs)
        self.bottleneck = self.conv(high, self.channels, 3, padding=1)
        out = self.channels
        self.context = _Fused(out, out, inner, out, count, key_pool_scales, self.cfgs, share=True)

    def features(self, maps: Maps) -> Tensor:
        low, high = self.taken(maps)
        x = self.fusion(low, high)
        x = self.bottleneck(x if self.dropout is None else self.dropout(x))
        return self.context(x, x)


class _Positions(SelfAttentionBlock):
    """A map and what its positions see of each other."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            in_channels, in_channels, channels, in_channels, key_norm=False, scaled=False, with_out=False, cfgs={}
        )
        self.gamma = Scale(0)

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.gamma(super().forward(x, x)) + x


class _Channels(nn.Module):
    """A map and what its channels see of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = Scale(0)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        energy = flat @ flat.transpose(1, 2)
        chance = (energy.amax(-1, keepdim=True) - energy).softmax(-1)
        return self.gamma((chance @ flat).view_as(x)) + x


class DAHead(DecodeHead):
    """Attention of positions and of channels, each a head of its own, too (Fu et al. 2019).

    Args:
        pam_channels: inside of the attention of positions.
        more: see `DecodeHead`.
    """

    def __init__(self, pam_channels: int, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        wide, out, classes = self.in_channels, self.channels, self.logic.num_classes
        self.pam_in_conv = self.conv(wide, out, 3, padding=1)
        self.pam = _Positions(out, pam_channels)
        self.pam_out_conv = self.conv(out, out, 3, padding=1)
        self.pam_conv_seg = nn.Conv2d(out, classes, 1)
        self.cam_in_conv = self.conv(wide, out, 3, padding=1)
        self.cam = _Channels()
        self.cam_out_conv = self.conv(out, out, 3, padding=1)
        self.cam_conv_seg = nn.Conv2d(out, classes, 1)

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor, Tensor]:
        x = self.taken(maps)
        places = self.pam_out_conv(self.pam(self.pam_in_conv(x)))
        first = self.pam_conv_seg(places if self.dropout is None else self.dropout(places))
        channels = self.cam_out_conv(self.cam(self.cam_in_conv(x)))
        second = self.cam_conv_seg(channels if self.dropout is None else self.dropout(channels))
        return self.classified(places + channels), first, second

    def loss(self, maps: Maps, samples: Samples | None) -> dict[str, Tensor]:
        said: dict[str, Tensor] = {}
        for name, logits in zip(("pam_cam", "pam", "cam"), self(maps), strict=True):
            said |= prefixed(self.losses_of(logits, samples), name)
        return said

    def logits(self, maps: Maps, size: Sequence[int]) -> Tensor:
        return self.resized(self(maps)[0], size)


class _Relation(SelfAttentionBlock):
    """Positions attend to each other, and a last convolution."""

    def __init__(self, in_channels: int, channels: int, cfgs: dict[str, Any]) -> None:
        super().__init__(in_channels, in_channels, channels, in_channels, key_convs=2, with_out=False, cfgs=cfgs)
        self.output_project = ConvModule(in_channels, in_channels, 1, **cfgs)

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.output_project(super().forward(x, x))


class ISAHead(DecodeHead):
    """Attention between far positions of a lattice, then inside of its cells (Huang et al. 2019, interlaced).

    Args:
        isa_channels: inside of attentions.
        down_factor: (height, width) of cells.
        more: see `DecodeHead`.
    """

    def __init__(
        self, isa_channels: int, down_factor: tuple[int, int] = (8, 8), *, build: Builder, **more: Any
    ) -> None:
        super().__init__(build=build, **more)
        out = self.channels
        self.down_factor = down_factor
        self.in_conv = self.conv(self.in_channels, out, 3, padding=1)
        self.global_relation = _Relation(out, isa_channels, self.cfgs)
        self.local_relation = _Relation(out, isa_channels, self.cfgs)
        self.out_conv = self.conv(out * 2, out, 1)

    def features(self, maps: Maps) -> Tensor:
        residual = self.in_conv(self.taken(maps))
        count, wide, height, width = residual.shape
        (rows, cell_h), (columns, cell_w), (top, bottom, left, right) = grid((height, width), self.down_factor)
        x = F.pad(residual, (left, right, top, bottom))
        x = x.view(count, wide, rows, cell_h, columns, cell_w).permute(0, 3, 5, 1, 2, 4)
        x = self.global_relation(x.reshape(-1, wide, rows, columns))
        x = x.view(count, cell_h, cell_w, wide, rows, columns).permute(0, 4, 5, 3, 1, 2)
        x = self.local_relation(x.reshape(-1, wide, cell_h, cell_w))
        x = x.view(count, rows, columns, wide, cell_h, cell_w).permute(0, 3, 1, 4, 2, 5)
        x = x.reshape(count, wide, rows * cell_h, columns * cell_w)
        return self.out_conv(torch.cat([x[:, :, top : top + height, left : left + width], residual], 1))


class PSAHead(DecodeHead):
    """Each position's own weights for all others (Zhao et al. 2018, point-wise spatial attention).

    Args:
        mask_size: (height, width) of the neighbourhood that has weights.
        psa_type: "collect", "distribute" or "bi-direction".
        compact: weights are of all positions, in their order.
        shrink_factor: by how much the map is reduced for it.
        normalization_factor: what sums are divided by; None: the neighbourhood's size.
        psa_softmax: whether weights pass a softmax.
        more: see `DecodeHead`.
    """

    def __init__(
        self,
        mask_size: tuple[int, int],
        psa_type: str = "bi-direction",
        compact: bool = False,
        shrink_factor: int = 2,
        normalization_factor: float | None = 1.0,
        psa_softmax: bool = True,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        kinds = ("collect", "distribute", "bi-direction")
        if psa_type not in kinds:
            raise FkitValueError(f"PSAHead: psa_type={psa_type!r}.", value=psa_type, choices=kinds)
        self.mask_size, self.compact, self.shrink_factor = mask_size, compact, shrink_factor
        self.psa_softmax = psa_softmax
        self.both = psa_type == "bi-direction"
        self.kinds = ("collect", "distribute") if self.both else (psa_type,)
        count = mask_size[0] * mask_size[1]
        self.factor = 1.0 / (count if normalization_factor is None else normalization_factor)
        wide, out = self.in_channels, self.channels
        for end in ("", "_p")[: len(self.kinds)]:
            self.add_module(f"reduce{end}", self.conv(wide, out, 1))
            self.add_module(
                f"attention{end}", nn.Sequential(self.conv(out, out, 1), nn.Conv2d(out, count, 1, bias=False))
            )
        self.proj = self.conv(out * len(self.kinds), wide, 1, padding=1)
        self.bottleneck = self.conv(wide * 2, out, 3, padding=1)

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        size, aligned = shrunk((x.shape[2], x.shape[3]), self.shrink_factor, self.align_corners)
        parts = [self._branch(x, end, kind, size, aligned) for end, kind in zip(("", "_p"), self.kinds, strict=False)]
        out = self.proj(torch.cat(parts, 1))
        out = F.interpolate(out, x.shape[2:], mode="bilinear", align_corners=aligned)
        return self.bottleneck(torch.cat([x, out], 1))

    def _branch(self, x: Tensor, end: str, kind: str, size: tuple[int, int], aligned: bool) -> Tensor:
        x = getattr(self, f"reduce{end}")(x)
        if self.shrink_factor != 1:
            x = F.interpolate(x, size, mode="bilinear", align_corners=aligned)
        weights = getattr(self, f"attention{end}")(x).flatten(2)
        cells = size[0] * size[1]
        if self.compact:
            if weights.shape[1] != cells:
                raise FkitTypeError(
                    f"PSAHead: compact weights are of {weights.shape[1]} positions, the map has {cells}."
                )
            turned = self.both != (kind == "collect")
            weights = weights.transpose(1, 2) if turned else weights
        else:
            places, inside = psa_places(Torch(x.device), size, self.mask_size, weights)
            weights = weights.gather(1, places[None].expand(len(x), -1, -1)) * inside
            weights = weights if kind == "collect" else weights.transpose(1, 2)
        weights = weights.softmax(1) if self.psa_softmax else weights
        return (x.flatten(2) @ weights).view_as(x) * self.factor
