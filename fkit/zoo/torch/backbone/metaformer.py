"""PoolFormer (Yu et al. 2022) and RIFormer (Wang et al. 2023), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.metaformer import Meta, meta_former
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer

__all__ = ["PoolFormer", "RIFormer"]

_NORM = frozendict(type="GN", num_groups=1)
_GELU = frozendict(type="GELU")


class _Embed(nn.Module):
    """A convolution to smaller maps."""

    def __init__(self, inner: int, width: int, size: int, stride: int, pad: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inner, width, size, stride, pad)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class _Pooling(nn.Module):
    """The mean around each pixel, less the pixel."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.size, 1, self.size // 2, count_include_pad=False) - x


class _Affine(nn.Module):
    """A factor and a bias a channel, less the pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affine = nn.Conv2d(width, width, 1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return self.affine(x) - x


class _Mlp(nn.Module):
    """Two layers a pixel."""

    def __init__(self, width: int, hidden: int, act_cfg: Any, rate: float) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.act = act_layer(act_cfg)
        self.drop1 = Dropout(rate)
        self.fc2 = nn.Conv2d(hidden, width, 1)
        self.drop2 = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop2(self.fc2(self.drop1(self.act(self.fc1(x)))))


class _Block(nn.Module):
    """A mixer of pixels and two layers a pixel, each with its norm first, added to maps (N, C, H, W)."""

    def __init__(
        self, mixer: nn.Module | None, plan: Meta, rate: float, norm_cfg: Any, act_cfg: Any, drop: float, scale: float
    ) -> None:
        super().__init__()
        width = plan.width
        if mixer is None:
            self.norm_reparam = norm_layer(norm_cfg, width)[1]
        else:
            self.norm1 = norm_layer(norm_cfg, width)[1]
            self.token_mixer = mixer
        self.mixes = mixer is not None
        self.norm2 = norm_layer(norm_cfg, width)[1]
        self.mlp = _Mlp(width, plan.hidden, act_cfg, drop)
        self.drop_path1, self.drop_path2 = DropPath(rate), DropPath(rate)
        self.layer_scale_1 = nn.Parameter(scale * torch.ones(width))
        self.layer_scale_2 = nn.Parameter(scale * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.token_mixer(self.norm1(x)) if self.mixes else self.norm_reparam(x)
        x = x + self.drop_path1(self.layer_scale_1[:, None, None] * y)
        return x + self.drop_path2(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


class _MetaFormer(nn.Module):
    """What both networks share: images (N, C, H, W) to a tuple of maps."""

    def __init__(
        self,
        plans: tuple[tuple[Meta, ...], tuple[int, ...], float],
        mixer: Any,
        channels: int,
        convs: tuple[tuple[int, int, int], tuple[int, int, int]],
        layers: tuple[Any, Any, float],
        frozen: int,
        init_cfg: Any,
    ) -> None:
        super().__init__()
        parts, self.out_indices, scale = plans
        self.init_cfg, self.frozen = init_cfg, frozen
        norm_cfg, act_cfg, drop = layers
        self.patch_embed = _Embed(channels, parts[0].width, *convs[0])
        self.network = nn.ModuleList()
        for plan in parts:
            if not plan.rates:
                self.network.append(_Embed(plan.inner, plan.width, *convs[1]))
                continue
            blocks = (_Block(mixer(plan.width), plan, rate, norm_cfg, act_cfg, drop, scale) for rate in plan.rates)
            self.network.append(nn.Sequential(*blocks))
        for i in self.out_indices:
            self.add_module(f"norm{i}", norm_layer(norm_cfg, parts[i].width)[1])
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen < 0:
            return []
        norms = [getattr(self, f"norm{i}") for i in self.out_indices if i < self.frozen]
        return [self.patch_embed, *self.network[: self.frozen], *norms]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x)
        maps: list[Tensor] = []
        for i, part in enumerate(self.network):
            x = part(x)
            if i in self.out_indices:
                maps.append(getattr(self, f"norm{i}")(x))
        return tuple(maps)

    def train(self, mode: bool = True) -> "_MetaFormer":
        """Training mode, but for frozen parts."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self


class PoolFormer(_MetaFormer):
    """PoolFormer, a backbone: images (N, 3, H, W) to a tuple of maps.

    Args:
        arch: "s12" to "m48", or a mapping with ``layers``, ``embed_dims``, and perhaps ``mlp_ratios`` and
            ``layer_scale_init_value``.
        pool_size: side of the mean that mixes pixels.
        in_patch_size, in_stride, in_pad: of the first convolution.
        down_patch_size, down_stride, down_pad: of those between stages.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the parts (stages, and convolutions between them) whose maps are given.
        frozen_stages: no gradient for the first convolution (0 and more), and for this many parts.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "s12",
        pool_size: int = 3,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _GELU,
        in_patch_size: int = 7,
        in_stride: int = 4,
        in_pad: int = 2,
        down_patch_size: int = 3,
        down_stride: int = 2,
        down_pad: int = 1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        init_cfg: Any = None,
    ) -> None:
        plans = meta_former("PoolFormer", arch, drop_path_rate, out_indices, frozen_stages)
        convs = ((in_patch_size, in_stride, in_pad), (down_patch_size, down_stride, down_pad))
        layers = (norm_cfg, act_cfg, drop_rate)
        super().__init__(plans, lambda width: _Pooling(pool_size), 3, convs, layers, frozen_stages, init_cfg)


class RIFormer(_MetaFormer):
    """RIFormer, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
        arch: "s12" to "m48", or a mapping with ``layers``, ``embed_dims``, and perhaps ``mlp_ratios`` and
            ``layer_scale_init_value``.
        in_patch_size, in_stride, in_pad: of the first convolution.
        down_patch_size, down_stride, down_pad: of those between stages.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the parts (stages, and convolutions between them) whose maps are given.
        frozen_stages: no gradient for the first convolution and the parts up to this one; -1 is none.
        deploy: one norm in place of each block's first norm and mixer.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "s12",
        in_channels: int = 3,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _GELU,
        in_patch_size: int = 7,
        in_stride: int = 4,
        in_pad: int = 2,
        down_patch_size: int = 3,
        down_stride: int = 2,
        down_pad: int = 1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        out_indices: Any = -1,
        frozen_stages: int = -1,
        init_cfg: Any = None,
        deploy: bool = False,
    ) -> None:
        plans = meta_former("RIFormer", arch, drop_path_rate, out_indices, frozen_stages + 1)
        convs = ((in_patch_size, in_stride, in_pad), (down_patch_size, down_stride, down_pad))
        mixer: Any = (lambda width: None) if deploy else _Affine
        frozen = frozen_stages + 1 if frozen_stages >= 0 else -1
        super().__init__(plans, mixer, in_channels, convs, (norm_cfg, act_cfg, drop_rate), frozen, init_cfg)
