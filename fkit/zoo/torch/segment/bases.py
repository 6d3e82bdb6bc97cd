"""A head that tells positions by a few bases, with mmseg's arguments and parameter names."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.ops import Torch
from fkit.backend.torch.sync import process_mean
from fkit.catalog.build import Builder
from fkit.segmentation.bases import expected, moved, unit
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.segment.head import DecodeHead, Maps

__all__ = ["EMAHead"]


class _Bases(nn.Module):
    """Maps told by ``bases`` (1, C, K), which training moves; no gradient passes."""

    bases: Tensor

    def __init__(self, channels: int, num_bases: int, num_stages: int, momentum: float) -> None:
        super().__init__()
        self.num_stages, self.momentum = num_stages, momentum
        drawn = torch.randn(1, channels, num_bases)
        self.register_buffer("bases", unit(Torch(drawn.device), drawn, 1))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        xp = Torch(x.device)
        shares, bases = expected(xp, x.flatten(2).transpose(1, 2), self.bases, self.num_stages)
        if self.training:
            self.bases.copy_(moved(xp, self.bases, process_mean(bases.mean(0, keepdim=True)), self.momentum))
        return (bases @ shares.transpose(1, 2)).view_as(x)


class EMAHead(DecodeHead):
    """Positions told by a few bases, which expectation maximisation finds (Li et al. 2019).

    Args:
        ema_channels: of the map that is told.
        num_bases: how many.
        num_stages: steps of expectation maximisation.
        concat_input: whether a last convolution takes the input, too.
        momentum: how far a batch moves the bases that it begins with.
        more: see `DecodeHead`.
    """

    def __init__(
        self,
        ema_channels: int,
        num_bases: int,
        num_stages: int,
        concat_input: bool = True,
        momentum: float = 0.1,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        if num_stages < 1:
            raise FkitValueError(f"EMAHead: num_stages={num_stages}, but it is from 1.")
        super().__init__(build=build, **more)
        wide, inner, out = self.in_channels, ema_channels, self.channels
        self.ema_module = _Bases(inner, num_bases, num_stages, momentum)
        self.ema_in_conv = self.conv(wide, inner, 3, padding=1)
        self.ema_mid_conv = self.conv(inner, inner, 1, norm_cfg=None, act_cfg=None).requires_grad_(False)
        self.ema_out_conv = self.conv(inner, inner, 1, act_cfg=None)
        self.bottleneck = self.conv(inner, out, 3, padding=1)
        self.conv_cat = self.conv(wide + out, out, 3, padding=1) if concat_input else None

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        before = self.ema_in_conv(x)
        told = self.ema_out_conv(F.relu(self.ema_module(self.ema_mid_conv(before))))
        out = self.bottleneck(F.relu(before + told))
        return out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], 1))
