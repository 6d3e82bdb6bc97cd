"""VAN (Guo et al. 2022), with mmpretrain's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.van import VanStage, van_stages
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer

__all__ = ["VAN"]

_BN = frozendict(type="BN", eps=1e-5)
_LN = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()


class _Mlp(nn.Module):
    """Two layers a pixel, and a filter a channel between."""

    def __init__(self, width: int, hidden: int, act_cfg: Any, rate: float) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.act = act_layer(act_cfg)
        self.fc2 = nn.Conv2d(hidden, width, 1)
        self.drop = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.dwconv(self.fc1(x))))))


class _LargeKernel(nn.Module):
    """Maps times what a large filter makes of them: 5x5, then 7x7 of every third pixel, a channel each, and 1x1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.DW_conv = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.DW_D_conv = nn.Conv2d(width, width, 7, padding=9, groups=width, dilation=3)
        self.conv1 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv1(self.DW_D_conv(self.DW_conv(x)))


class _Attention(nn.Module):
    """A large kernel between two layers a pixel, added to what came in."""

    def __init__(self, width: int, act_cfg: Any) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(width, width, 1)
        self.activation = act_layer(act_cfg)
        self.spatial_gating_unit = _LargeKernel(width)
        self.proj_2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x)))) + x


class _Block(nn.Module):
    """Attention and two layers a pixel, each with its norm first and a factor a channel, added to maps (N, C, H, W)."""

    layer_scale_1: Tensor | None
    layer_scale_2: Tensor | None

    def __init__(
        self,
        width: int,
        hidden: int,
        drop: float,
        rate: float,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _BN,
        layer_scale_init_value: float = 0.01,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(norm_cfg, width)[1]
        self.attn = _Attention(width, act_cfg)
        self.drop_path = DropPath(rate)
        self.norm2 = norm_layer(norm_cfg, width)[1]
        self.mlp = _Mlp(width, hidden, act_cfg, drop)
        for name in ("layer_scale_1", "layer_scale_2"):
            scale = torch.full((width,), float(layer_scale_init_value))
            self.register_parameter(name, nn.Parameter(scale) if layer_scale_init_value > 0 else None)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attn(self.norm1(x))
        x = x + self.drop_path(y if self.layer_scale_1 is None else self.layer_scale_1[:, None, None] * y)
        y = self.mlp(self.norm2(x))
        return x + self.drop_path(y if self.layer_scale_2 is None else self.layer_scale_2[:, None, None] * y)


class _Embed(nn.Module):
    """A convolution to smaller maps, and a batch norm."""

    def __init__(self, stage: VanStage) -> None:
        super().__init__()
        self.projection = nn.Conv2d(stage.inner, stage.width, stage.side, stage.stride, stage.side // 2)
        self.norm = nn.BatchNorm2d(stage.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.projection(x))


class VAN(nn.Module):
    """VAN, a backbone: images (N, C, H, W) to a tuple of maps at strides 4, 8, 16, 32.

    Args:
        arch: "tiny", "small", "base" or "large", or a mapping with ``embed_dims``, ``depths`` and ``ffn_ratios``.
        patch_sizes: sides of the convolutions that the stages begin with.
        drop_rate: of the layers a pixel.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the stages whose maps are given.
        frozen_stages: no gradient, and norms in evaluation mode, for the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        norm_cfg: of the norm after each stage.
        block_cfgs: ``act_cfg``, ``norm_cfg`` and ``layer_scale_init_value`` of all blocks.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "tiny",
        patch_sizes: Sequence[int] = (7, 3, 3, 3),
        in_channels: int = 3,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        out_indices: Any = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: Any = _LN,
        block_cfgs: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        stages, self.out_indices = van_stages(arch, patch_sizes, in_channels, drop_path_rate, out_indices, block_cfgs)
        self.init_cfg, self.frozen_stages, self.norm_eval = init_cfg, frozen_stages, norm_eval
        self.count = len(stages)
        for i, stage in enumerate(stages, 1):
            blocks = (_Block(stage.width, stage.hidden, drop_rate, rate, **block_cfgs) for rate in stage.rates)
            self.add_module(f"patch_embed{i}", _Embed(stage))
            self.add_module(f"blocks{i}", nn.ModuleList(blocks))
            self.add_module(f"norm{i}", norm_layer(norm_cfg, stage.width)[1])
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        numbers = range(1, self.frozen_stages + 2)
        return [getattr(self, f"{name}{i}") for i in numbers for name in ("patch_embed", "blocks", "norm")]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i in range(1, self.count + 1):
            x = getattr(self, f"patch_embed{i}")(x)
            for block in getattr(self, f"blocks{i}"):
                x = block(x)
            x = getattr(self, f"norm{i}")(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            if i - 1 in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "VAN":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
