"""ConvNeXt (Liu et al. 2022; V2: Woo et al. 2023), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fkit.backbone.arch import CONVNEXT, arch_of, outputs_of
from fkit.backbone.swin import spread
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import DropPath
from fkit.backend.torch.layers import norm_layer

__all__ = ["GRN", "ConvNeXt", "ConvNeXtBlock"]

_NORM = frozendict(type="LN2d", eps=1e-6)
_GELU = frozendict(type="GELU")
_INIT = (
    frozendict(type="TruncNormal", layer=("Conv2d", "Linear"), std=0.02, bias=0.0),
    frozendict(type="Constant", layer=("LayerNorm",), val=1.0, bias=0.0),
)


class GRN(nn.Module):
    """Global response normalisation (Woo et al. 2023): each channel of a map by its norm over the mean norm, ``gamma`` and
    ``beta``; (N, ..., C), the same.

    Args:
        in_channels: C.
        eps: beside the mean norm.
    """

    def __init__(self, in_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(in_channels))
        self.beta = nn.Parameter(torch.zeros(in_channels))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        return self.gamma * (x * (size / (size.mean(-1, keepdim=True) + self.eps))) + self.beta + x


class ConvNeXtBlock(nn.Module):
    """A filter a channel (7x7), a norm, and two layers a pixel, wider inside; added to maps (N, C, H, W)."""

    gamma: Tensor | None

    def __init__(
        self,
        width: int,
        norm_cfg: Any,
        act_cfg: Any,
        linear: bool,
        rate: float,
        scale: float,
        grn: bool,
        with_cp: bool,
        side: int = 7,
    ) -> None:
        super().__init__()
        self.linear, self.with_cp = linear, with_cp
        self.depthwise_conv = nn.Conv2d(width, width, side, padding=side // 2, groups=width)
        self.norm = norm_layer(norm_cfg, width)[1]
        self.pointwise_conv1 = nn.Linear(width, 4 * width) if linear else nn.Conv2d(width, 4 * width, 1)
        self.act = act_layer(act_cfg)
        self.pointwise_conv2 = nn.Linear(4 * width, width) if linear else nn.Conv2d(4 * width, width, 1)
        self.grn = GRN(4 * width) if grn else None
        self.gamma = nn.Parameter(scale * torch.ones(width)) if scale > 0 else None
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            y: Tensor = checkpoint(self._branch, x, use_reentrant=False)  # type: ignore[assignment]
        else:
            y = self._branch(x)
        return x + self.drop_path(y)

    def _branch(self, x: Tensor) -> Tensor:
        x = self.norm(self.depthwise_conv(x))
        x = self.act(self.pointwise_conv1(x.permute(0, 2, 3, 1) if self.linear else x))
        if self.grn is not None:
            x = self.grn(x) if self.linear else self.grn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.pointwise_conv2(x)
        x = x.permute(0, 3, 1, 2) if self.linear else x
        return x if self.gamma is None else x * self.gamma.view(-1, 1, 1)


class ConvNeXt(nn.Module):
    """ConvNeXt, a backbone: images (N, C, H, W) to a tuple of maps, or of features.

    Args:
        arch: "atto" to "huge", or a mapping with ``depths`` and ``channels``.
        stem_patch_size: of the first convolution.
        linear_pw_conv: whether layers a pixel are linear layers; else they are 1x1 convolutions.
        use_grn: `GRN` between them.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        layer_scale_init_value: above 0, a branch has a learnt factor a channel, ``gamma``, that begins with it.
        out_indices: the stages whose outputs are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "tiny",
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _GELU,
        linear_pw_conv: bool = True,
        use_grn: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__()
        plan = arch_of("ConvNeXt", arch, CONVNEXT)
        depths, widths = plan["depths"], plan["channels"]
        self.init_cfg = init_cfg
        self.out_indices = outputs_of("ConvNeXt", out_indices, len(depths))
        self.frozen_stages, self.gap = frozen_stages, gap_before_final_norm
        rates = iter(spread(drop_path_rate, sum(depths)))
        self.downsample_layers, self.stages = nn.ModuleList(), nn.ModuleList()
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            if i == 0:
                conv = nn.Conv2d(in_channels, width, stem_patch_size, stem_patch_size)
                self.downsample_layers.append(nn.Sequential(conv, norm_layer(norm_cfg, width)[1]))
            else:
                inner = widths[i - 1]
                self.downsample_layers.append(
                    nn.Sequential(norm_layer(norm_cfg, inner)[1], nn.Conv2d(inner, width, 2, 2))
                )
            options = (width, norm_cfg, act_cfg, linear_pw_conv)
            blocks = [
                ConvNeXtBlock(*options, next(rates), layer_scale_init_value, use_grn, with_cp) for _ in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
            if i in self.out_indices:
                self.add_module(f"norm{i}", norm_layer(norm_cfg, width)[1])
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [*self.downsample_layers[: self.frozen_stages], *self.stages[: self.frozen_stages]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs: list[Tensor] = []
        for i, (down, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(down(x))
            if i in self.out_indices:
                norm = getattr(self, f"norm{i}")
                outs.append(norm(x.mean((2, 3), keepdim=True)).flatten(1) if self.gap else norm(x))
        return tuple(outs)

    def train(self, mode: bool = True) -> "ConvNeXt":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
