"""Heads with one block between or beside plain convolutions, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.segmentation.decode import labels_of
from fkit.segmentation.encode import SE_LOSS, code_norm, present
from fkit.segmentation.loss.base import called
from fkit.segmentation.part import part
from fkit.structures.batch import Samples
from fkit.zoo.torch.plugin import ContextBlock, NonLocal2d, Scale
from fkit.zoo.torch.segment.head import DecodeHead, FCNHead, Maps

__all__ = ["APCHead", "CCHead", "CrissCrossAttention", "DMHead", "DNLHead", "EncHead", "GCHead", "NLHead"]


class _Between(FCNHead):
    """An `FCNHead` of two convolutions with something between them."""

    def __init__(self, *, build: Builder, **more: Any) -> None:
        super().__init__(num_convs=2, build=build, **more)

    def between(self, x: Tensor) -> Tensor:
        """What is done between the convolutions."""
        raise NotImplementedError

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        first, second = self.convs  # pyright: ignore[reportGeneralTypeIssues]
        out = second(self.between(first(x)))
        return out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], 1))


class GCHead(_Between):
    """A context of all positions between two convolutions (Cao et al. 2019).

    Args:
        ratio, pooling_type, fusion_types: see `ContextBlock`.
        more: see `FCNHead`.
    """

    def __init__(
        self,
        ratio: float = 1 / 4,
        pooling_type: str = "att",
        fusion_types: tuple[str, ...] = ("channel_add",),
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        self.gc_block = ContextBlock(self.channels, ratio, pooling_type, tuple(fusion_types))

    def between(self, x: Tensor) -> Tensor:
        return self.gc_block(x)


class NLHead(_Between):
    """A non-local block between two convolutions (Wang et al. 2018).

    Args:
        reduction, use_scale, mode: see `NonLocal2d`.
        more: see `FCNHead`.
    """

    def __init__(
        self,
        reduction: int = 2,
        use_scale: bool = True,
        mode: str = "embedded_gaussian",
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        cfgs = {name: self.cfgs[name] for name in ("conv_cfg", "norm_cfg")}
        self.nl_block = NonLocal2d(self.channels, reduction=reduction, use_scale=use_scale, mode=mode, **cfgs)

    def between(self, x: Tensor) -> Tensor:
        return self.nl_block(x)


class _Disentangled(NonLocal2d):
    """A non-local block of differences from the mean, and a weight of each position alone, ``conv_mask`` (Yin et al. 2020)."""

    def __init__(self, in_channels: int, temperature: float, **more: Any) -> None:
        super().__init__(in_channels, **more)
        self.temperature = temperature
        self.conv_mask = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        g = self.g(x).flatten(2).transpose(1, 2)
        theta = (x if self.mode == "gaussian" else self.theta(x)).flatten(2)
        phi = self.phi(x).flatten(2)
        weights = self._weights(theta - theta.mean(2, keepdim=True), phi - phi.mean(2, keepdim=True))
        alone = self.conv_mask(x).flatten(2).softmax(-1) @ g
        seen = (weights @ g + alone).transpose(1, 2)
        return x + self.conv_out(seen.reshape(x.shape[0], self.inter_channels, *x.shape[2:]))

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        if self.mode != "embedded_gaussian":
            return super()._weights(theta, phi)
        scale = self.inter_channels**0.5 if self.use_scale else 1.0
        return (theta.transpose(1, 2) @ phi / scale / self.temperature).softmax(-1)


class DNLHead(_Between):
    """A disentangled non-local block between two convolutions (Yin et al. 2020).

    Args:
        reduction, use_scale, mode: see `NonLocal2d`.
        temperature: what scores are divided by.
        more: see `FCNHead`.
    """

    def __init__(
        self,
        reduction: int = 2,
        use_scale: bool = True,
        mode: str = "embedded_gaussian",
        temperature: float = 0.05,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        cfgs = {name: self.cfgs[name] for name in ("conv_cfg", "norm_cfg")}
        self.dnl_block = _Disentangled(
            self.channels, temperature, reduction=reduction, use_scale=use_scale, mode=mode, **cfgs
        )

    def between(self, x: Tensor) -> Tensor:
        return self.dnl_block(x)


class CrissCrossAttention(nn.Module):
    """Each position sees those of its row and its column (Huang et al. 2019); mmcv's CrissCrossAttention.

    Args:
        in_channels: C.

    Example:
        >>> CrissCrossAttention(8)(torch.ones(1, 8, 2, 3)).shape
        torch.Size([1, 8, 2, 3])
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.key_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        high = x.shape[2]
        itself = torch.eye(high, dtype=torch.bool, device=x.device)[None, :, None]
        column = torch.einsum("bchw,bciw->bhwi", query, key).masked_fill(itself, float("-inf"))
        row = torch.einsum("bchw,bchj->bhwj", query, key)
        chance = torch.cat([column, row], -1).softmax(-1)
        out = torch.einsum("bciw,bhwi->bchw", value, chance[..., :high])
        return self.gamma(out + torch.einsum("bchj,bhwj->bchw", value, chance[..., high:])) + x


class CCHead(_Between):
    """Criss-cross attention, several times, between two convolutions (Huang et al. 2019).

    Args:
        recurrence: how many times.
        more: see `FCNHead`.
    """

    def __init__(self, recurrence: int = 2, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        self.recurrence = recurrence
        self.cca = CrissCrossAttention(self.channels)

    def between(self, x: Tensor) -> Tensor:
        for _ in range(self.recurrence):
            x = self.cca(x)
        return x


class _Adaptive(nn.Module):
    """Positions take of the means over a grid what they ask for (He et al. 2019)."""

    def __init__(self, scale: int, fusion: bool, wide: int, head: DecodeHead) -> None:
        super().__init__()
        out = head.channels
        self.scale = scale
        self.pooled_redu_conv = head.conv(wide, out, 1)
        self.input_redu_conv = head.conv(wide, out, 1)
        self.global_info = head.conv(out, out, 1)
        self.gla = nn.Conv2d(out, scale**2, 1)
        self.residual_conv = head.conv(out, out, 1)
        self.fusion_conv = head.conv(out, out, 1) if fusion else None

    def forward(self, x: Tensor) -> Tensor:
        cells = self.pooled_redu_conv(F.adaptive_avg_pool2d(x, self.scale)).flatten(2)
        x = self.input_redu_conv(x)
        asked = self.gla(x + self.global_info(x.mean((2, 3), keepdim=True))).flatten(2).sigmoid()
        out = F.relu(self.residual_conv((cells @ asked).view_as(x)) + x)
        return out if self.fusion_conv is None else self.fusion_conv(out)


class APCHead(DecodeHead):
    """Adaptive pyramid context (He et al. 2019).

    Args:
        pool_scales: the sizes of the grids.
        fusion: whether a convolution follows each.
        more: see `DecodeHead`.
    """

    def __init__(
        self, pool_scales: Sequence[int] = (1, 2, 3, 6), fusion: bool = True, *, build: Builder, **more: Any
    ) -> None:
        super().__init__(build=build, **more)
        wide = self.in_channels
        self.acm_modules = nn.ModuleList(_Adaptive(scale, fusion, wide, self) for scale in pool_scales)
        self.bottleneck = self.conv(wide + len(pool_scales) * self.channels, self.channels, 3, padding=1)

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        return self.bottleneck(torch.cat([x, *(one(x) for one in self.acm_modules)], 1))


class _Dynamic(nn.Module):
    """A convolution of each channel by a filter that the map itself makes (He et al. 2019)."""

    def __init__(self, size: int, fusion: bool, wide: int, head: DecodeHead) -> None:
        super().__init__()
        out = head.channels
        self.size = size
        self.filter_gen_conv = nn.Conv2d(wide, out, 1)
        self.input_redu_conv = head.conv(wide, out, 1)
        norm_cfg = head.cfgs["norm_cfg"]
        self.norm = None if norm_cfg is None else norm_layer(norm_cfg, out)[1]
        self.activate = act_layer(head.cfgs["act_cfg"])
        self.fusion_conv = head.conv(out, out, 1) if fusion else None

    def forward(self, x: Tensor) -> Tensor:
        size = self.size
        filters = self.filter_gen_conv(F.adaptive_avg_pool2d(x, size))
        x = self.input_redu_conv(x)
        count, wide, height, width = x.shape
        after = (size - 1) // 2
        before = size - 1 - after
        flat = F.pad(x.reshape(1, count * wide, height, width), (before, after, before, after))
        out = F.conv2d(flat, filters.reshape(count * wide, 1, size, size), groups=count * wide).view_as(x)
        out = self.activate(out if self.norm is None else self.norm(out))
        return out if self.fusion_conv is None else self.fusion_conv(out)


class DMHead(DecodeHead):
    """Dynamic multi-scale filters (He et al. 2019).

    Args:
        filter_sizes: of each convolution whose filter the map makes.
        fusion: whether another follows each.
        more: see `DecodeHead`.
    """

    def __init__(
        self, filter_sizes: Sequence[int] = (1, 3, 5, 7), fusion: bool = False, *, build: Builder, **more: Any
    ) -> None:
        super().__init__(build=build, **more)
        wide = self.in_channels
        self.dcm_modules = nn.ModuleList(_Dynamic(size, fusion, wide, self) for size in filter_sizes)
        self.bottleneck = self.conv(wide + len(filter_sizes) * self.channels, self.channels, 3, padding=1)

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        return self.bottleneck(torch.cat([x, *(one(x) for one in self.dcm_modules)], 1))


class _Encoding(nn.Module):
    """Residuals of positions from learnt code words, weighed by how near they are (Zhang et al. 2018): (N, K, C)."""

    def __init__(self, channels: int, num_codes: int) -> None:
        super().__init__()
        std = (num_codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codes, channels).uniform_(-std, std))
        self.scale = nn.Parameter(torch.empty(num_codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        apart = x.flatten(2).transpose(1, 2)[:, :, None] - self.codewords
        weights = (self.scale * apart.square().sum(3)).softmax(2)
        return (weights[..., None] * apart).sum(1)


class _Encoded(nn.Module):
    """A map whose channels are weighed by its encoding, and the encoding."""

    def __init__(self, num_codes: int, head: DecodeHead) -> None:
        super().__init__()
        wide = head.channels
        self.encoding_project = head.conv(wide, wide, 1)
        norm = norm_layer(code_norm(head.cfgs["norm_cfg"]), num_codes)[1]
        self.encoding = nn.Sequential(_Encoding(wide, num_codes), norm, nn.ReLU(inplace=True))
        self.fc = nn.Sequential(nn.Linear(wide, wide), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoding(self.encoding_project(x)).mean(1)
        return code, F.relu(x + x * self.fc(code)[..., None, None])


class EncHead(DecodeHead):
    """Channels weighed by an encoding of the whole picture, which tells the classes that are there, too (Zhang et al. 2018).

    Args:
        num_codes: code words.
        use_se_loss: whether the classes that are there are learnt: ``loss_se``.
        add_lateral: whether the other maps are taken beside the last.
        loss_se_decode: config of that loss.
        more: see `DecodeHead`; it takes several maps.
    """

    def __init__(
        self,
        num_codes: int = 32,
        use_se_loss: bool = True,
        add_lateral: bool = False,
        loss_se_decode: Any = SE_LOSS,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, input_transform="multiple_select", **more)
        out, widths = self.channels, self.in_channels
        self.bottleneck = self.conv(widths[-1], out, 3, padding=1)
        self.add_lateral = add_lateral
        if add_lateral:
            self.lateral_convs = nn.ModuleList(self.conv(width, out, 1) for width in widths[:-1])
            self.fusion = self.conv(len(widths) * out, out, 3, padding=1)
        self.enc_module = _Encoded(num_codes, self)
        self.loss_se = part(build, "models", loss_se_decode) if use_se_loss else None
        self.se_layer = nn.Linear(out, self.logic.num_classes) if use_se_loss else None

    def forward(self, maps: Maps) -> Any:
        several = self.taken(maps)
        x = self.bottleneck(several[-1])
        if self.add_lateral:
            sides = [conv(one) for conv, one in zip(self.lateral_convs, several[:-1], strict=True)]
            x = self.fusion(torch.cat([x, *(self.resized(one, x.shape[2:]) for one in sides)], 1))
        code, x = self.enc_module(x)
        logits = self.classified(x)
        return logits if self.se_layer is None else (logits, self.se_layer(code))

    def loss(self, maps: Maps, samples: Samples | None) -> dict[str, Tensor]:
        said = self(maps)
        if self.loss_se is None:
            return self.losses_of(said, samples)
        xp = Torch(said[1].device)
        there = present(xp, labels_of(xp, samples), self.logic.num_classes)
        extra = called(self.loss_se, xp, said[1], there, ignore_index=-100)
        return {**self.losses_of(said[0], samples), "loss_se": extra}

    def logits(self, maps: Maps, size: Sequence[int]) -> Tensor:
        said = self(maps)
        return self.resized(said if self.se_layer is None else said[0], size)
