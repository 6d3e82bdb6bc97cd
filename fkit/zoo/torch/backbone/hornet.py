"""HorNet (Rao et al. 2022), with mmpretrain's arguments and parameter names."""

from typing import Any, cast

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fkit.backbone.hornet import HorStage, hor_stages
from fkit.backend.torch.drop import DropPath
from fkit.backend.torch.layers import LayerNorm2d
from fkit.zoo.torch.plugin import LayerScale

__all__ = ["HorNet"]

_WAVES = frozendict(type="Normal", std=0.02, override=frozendict(name="complex_weight"))


class _Frequencies(nn.Module):
    """Half of the channels through a 3x3 filter, half through one of all frequencies, which has a weight for each."""

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        half = width // 2
        self.init_cfg = _WAVES
        self.dw = nn.Conv2d(half, half, 3, padding=1, bias=False, groups=half)
        self.complex_weight = nn.Parameter(torch.zeros(half, *grid, 2))
        self.pre_norm = LayerNorm2d(width, eps=1e-6)
        self.post_norm = LayerNorm2d(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.pre_norm(x).chunk(2, 1)
        size = (two.shape[2], two.shape[3])
        waves = torch.fft.rfft2(two.to(self.complex_weight.dtype), norm="ortho")
        weight, grid = self.complex_weight, (waves.shape[2], waves.shape[3])
        if tuple(weight.shape[1:3]) != grid:
            maps = weight.permute(3, 0, 1, 2)
            weight = F.interpolate(maps, grid, mode="bilinear", align_corners=True).permute(1, 2, 3, 0)
        two = torch.fft.irfft2(waves * torch.view_as_complex(weight.contiguous()), s=size, norm="ortho")
        mixed = torch.stack((self.dw(one), two.to(x.dtype)), 2).flatten(1, 2)
        return self.post_norm(mixed)


class _Gated(nn.Module):
    """Convolutions of ever more channels, each times what the ones before made."""

    def __init__(self, stage: HorStage, scale: float) -> None:
        super().__init__()
        width, self.parts, self.scale = stage.width, stage.parts, scale
        whole = sum(self.parts)
        self.proj_in = nn.Conv2d(width, 2 * width, 1)
        if stage.side:
            self.dwconv = nn.Conv2d(whole, whole, stage.side, padding=(stage.side - 1) // 2, groups=whole)
        else:
            self.dwconv = _Frequencies(whole, stage.grid)
        self.proj_out = nn.Conv2d(width, width, 1)
        self.projs = nn.ModuleList(
            nn.Conv2d(width // 2**i, width // 2 ** (i - 1), 1) for i in range(len(self.parts) - 1, 0, -1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y, x = self.proj_in(x).split((self.parts[0], sum(self.parts)), 1)
        first, *others = (self.dwconv(x) * self.scale).split(self.parts, 1)
        y = y * first
        for proj, other in zip(self.projs, others, strict=True):
            y = proj(y) * other
        return self.proj_out(y)


class _Block(nn.Module):
    """Gated convolutions, and two layers a pixel, each with its norm first, added to maps (N, C, H, W)."""

    def __init__(self, stage: HorStage, scale: float, rate: float, scaled: bool) -> None:
        super().__init__()
        width = stage.width
        self.norm1 = LayerNorm2d(width, eps=1e-6)
        self.gnconv = _Gated(stage, scale)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma1 = LayerScale(width, data_format="channels_first") if scaled else nn.Identity()
        self.gamma2 = LayerScale(width) if scaled else nn.Identity()
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.gamma1(self.gnconv(self.norm1(x))))
        y = self.norm2(x.permute(0, 2, 3, 1))
        y = self.gamma2(self.pwconv2(self.act(self.pwconv1(y))))
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class HorNet(nn.Module):
    """HorNet, a backbone: images (N, C, H, W) to a tuple of maps, or of features.

    Args:
        arch: "tiny", "small", "base" or "large", with "-gf" (or "-gf384") for filters of all frequencies, or a mapping with
            ``base_dim``, ``depths``, ``orders`` and ``dw_cfg``.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        scale: of the filters' outputs.
        use_layer_scale: whether branches have factors a channel.
        out_indices: the stages whose outputs are given.
        frozen_stages: no gradient for the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed.
    """

    def __init__(
        self,
        arch: Any = "tiny",
        in_channels: int = 3,
        drop_path_rate: float = 0.0,
        scale: float = 1 / 3,
        use_layer_scale: bool = True,
        out_indices: Any = (3,),
        frozen_stages: int = -1,
        with_cp: bool = False,
        gap_before_final_norm: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        plan, self.out_indices = hor_stages(arch, drop_path_rate, out_indices)
        self.init_cfg, self.frozen_stages = init_cfg, frozen_stages
        self.with_cp, self.gap = with_cp, gap_before_final_norm
        self.downsample_layers, inner = nn.ModuleList(), in_channels
        for i, stage in enumerate(plan):
            side = 2 if i else 4
            conv, norm = nn.Conv2d(inner, stage.width, side, side), LayerNorm2d(inner if i else stage.width, eps=1e-6)
            self.downsample_layers.append(nn.Sequential(norm, conv) if i else nn.Sequential(conv, norm))
            inner = stage.width
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(stage, scale, rate, use_layer_scale) for rate in stage.rates)) for stage in plan
        )
        for i in self.out_indices:
            self.add_module(f"norm{i}", LayerNorm2d(plan[i].width, eps=1e-6))
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        count = self.frozen_stages + 1
        return [*self.downsample_layers[:count], *self.stages[:count]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs: list[Tensor] = []
        for i, (down, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = down(x)
            for block in cast(nn.Sequential, stage):
                x = checkpoint(block, x, use_reentrant=False) if self.with_cp else block(x)  # type: ignore[assignment]
            if i in self.out_indices:
                norm = getattr(self, f"norm{i}")
                outs.append(norm(x.mean((2, 3), keepdim=True)).flatten(1) if self.gap else norm(x))
        return tuple(outs)

    def train(self, mode: bool = True) -> "HorNet":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
