"""Heads of fast networks: STDC, DDRNet and PIDNet, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import RELU
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.segmentation.boundary import FUSION, LAPLACE, boundaries, boundary_losses, expect_losses
from fkit.segmentation.decode import accuracy, labels_of
from fkit.segmentation.loss.base import called
from fkit.structures.batch import Samples
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.segment.head import DecodeHead, FCNHead, Maps

__all__ = ["DDRHead", "PIDHead", "STDCHead"]

_BN = frozendict(type="BN")
_FIRST = ("norm", "act", "conv")


class STDCHead(FCNHead):
    """An `FCNHead` that learns boundaries, which it makes of the labels (Fan et al. 2021).

    Args:
        boundary_threshold: above which a difference counts.
        more: see `FCNHead`.
    """

    laplacian_kernel: Tensor

    def __init__(self, boundary_threshold: float = 0.1, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        self.boundary_threshold = boundary_threshold
        self.register_buffer("laplacian_kernel", torch.tensor(LAPLACE).reshape(1, 1, 3, 3))
        self.fusion_kernel = nn.Parameter(torch.tensor(FUSION).reshape(1, 3, 1, 1), requires_grad=False)

    def losses_of(self, logits: Tensor, samples: Samples | None) -> dict[str, Tensor]:
        xp = Torch(logits.device)
        labels = labels_of(xp, samples)
        kernels = (self.laplacian_kernel.reshape(-1), self.fusion_kernel.reshape(-1))
        edges = boundaries(xp, labels, *kernels, self.boundary_threshold)
        return self.logic.losses_of(xp, self.resized(logits, labels.shape[1:]), edges)


class DDRHead(DecodeHead):
    """A head of the whole, and while training one of the details (Pan et al. 2022).

    Args:
        in_channels, channels, num_classes: see `DecodeHead`; the details' map has half of the channels.
        norm_cfg, act_cfg: layers.
        more: see `DecodeHead`; ``loss_decode`` is a list of two.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        norm_cfg: Any = _BN,
        act_cfg: Any = RELU,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(
            in_channels, channels, num_classes=num_classes, norm_cfg=norm_cfg, act_cfg=act_cfg, build=build, **more
        )
        expect_losses("DDRHead", self.logic, 2)
        self.head = self._made(in_channels)
        self.aux_head = self._made(in_channels // 2)
        self.aux_cls_seg = nn.Conv2d(channels, self.logic.out_channels, 1)

    def _made(self, wide: int) -> nn.Sequential:
        norm_cfg, act_cfg = self.cfgs["norm_cfg"], self.cfgs["act_cfg"]
        conv = ConvModule(wide, self.channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg, order=_FIRST)
        return nn.Sequential(conv, norm_layer(norm_cfg, self.channels)[1], act_layer(act_cfg))

    def forward(self, maps: Any) -> Any:
        if not self.training:
            return self.classified(self.head(maps))
        detail, whole = maps
        said = self.classified(self.head(whole))
        return said, self.aux_cls_seg(self.aux_head(detail))

    def loss(self, maps: Any, samples: Samples | None) -> dict[str, Tensor]:
        whole, detail = self(maps)
        xp = Torch(whole.device)
        labels = labels_of(xp, samples)
        whole, detail = (self.resized(one, labels.shape[1:]) for one in (whole, detail))
        return {
            "loss_context": called(self.logic.losses[0], xp, whole, labels),
            "loss_spatial": called(self.logic.losses[1], xp, detail, labels),
            "acc_seg": accuracy(xp, whole, labels, self.logic.ignore_index),
        }


class _Branch(nn.Module):
    """Norm, activation and convolution, then norm and activation: ``conv``, ``norm``."""

    def __init__(self, wide: int, out: int, norm_cfg: Any, act_cfg: Any) -> None:
        super().__init__()
        self.conv = ConvModule(wide, out, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg, order=_FIRST)
        self.norm = norm_layer(norm_cfg, out)[1]
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class PIDHead(DecodeHead):
    """A head of the whole, and while training one of the details and one of the boundaries (Xu et al. 2023).

    Args:
        in_channels, channels, num_classes: see `DecodeHead`; the maps of details and boundaries have half of the channels.
        norm_cfg, act_cfg: layers.
        more: see `DecodeHead`; ``loss_decode`` is a list of four. The batch has ``targets["gt_edge_map"]``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        norm_cfg: Any = _BN,
        act_cfg: Any = RELU,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(
            in_channels, channels, num_classes=num_classes, norm_cfg=norm_cfg, act_cfg=act_cfg, build=build, **more
        )
        expect_losses("PIDHead", self.logic, 4)
        self.i_head = _Branch(in_channels, channels, norm_cfg, act_cfg)
        self.p_head = _Branch(in_channels // 2, channels, norm_cfg, act_cfg)
        self.d_head = _Branch(in_channels // 2, in_channels // 4, norm_cfg, RELU)
        self.p_cls_seg = nn.Conv2d(channels, self.logic.out_channels, 1)
        self.d_cls_seg = nn.Conv2d(in_channels // 4, 1, 1)

    def forward(self, maps: Any) -> Any:
        if not self.training:
            return self.classified(self.i_head(maps))
        detail, whole, edge = maps
        first = self.p_cls_seg(self.p_head(detail))
        second = self.classified(self.i_head(whole))
        return first, second, self.d_cls_seg(self.d_head(edge))

    def loss(self, maps: Maps, samples: Samples | None) -> dict[str, Tensor]:
        said: Sequence[Tensor] = self(maps)
        xp = Torch(said[0].device)
        labels, edges = labels_of(xp, samples), labels_of(xp, samples, "gt_edge_map")
        logits = [self.resized(one, labels.shape[1:]) for one in said]
        return boundary_losses(xp, self.logic, logits, labels, edges)
