"""DenseNet (Huang et al. 2017), with mmpretrain's arguments and parameter names."""

from collections import OrderedDict
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fkit.backbone.van import Dense, dense_stages
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.layers import norm_layer

__all__ = ["DenseNet"]

_BN = frozendict(type="BN")
_RELU = frozendict(type="ReLU")


class _Layer(nn.Module):
    """Maps (N, C, H, W) to ``growth`` channels: norm, activation and 1x1, then norm, activation and 3x3."""

    def __init__(self, inner: int, hidden: int, growth: int, options: tuple[Any, Any, float, bool]) -> None:
        super().__init__()
        norm_cfg, act_cfg, rate, self.with_cp = options
        self.norm1 = norm_layer(norm_cfg, inner)[1]
        self.conv1 = nn.Conv2d(inner, hidden, 1, bias=False)
        self.act = act_layer(act_cfg)
        self.norm2 = norm_layer(norm_cfg, hidden)[1]
        self.conv2 = nn.Conv2d(hidden, growth, 3, padding=1, bias=False)
        self.drop = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            y: Tensor = checkpoint(self._narrow, x, use_reentrant=False)  # type: ignore[assignment]
        else:
            y = self._narrow(x)
        return self.drop(self.conv2(self.act(self.norm2(y))))

    def _narrow(self, x: Tensor) -> Tensor:
        return self.conv1(self.act(self.norm1(x)))


class _Stage(nn.Module):
    """Layers that each see all that the ones before gave."""

    def __init__(self, stage: Dense, bn_size: int, options: tuple[Any, Any, float, bool]) -> None:
        super().__init__()
        inner, growth = stage.inner, stage.growth
        self.block = nn.ModuleList(
            _Layer(inner + i * growth, bn_size * growth, growth, options) for i in range(stage.depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.block:
            x = torch.cat((x, layer(x)), 1)
        return x


class DenseNet(nn.Module):
    """DenseNet, a backbone: images (N, C, H, W) to a tuple of maps, each after the transition that follows its stage.

    Args:
        arch: "121", "161", "169" or "201", or a mapping with ``growth_rate``, ``depths`` and ``init_channels``.
        bn_size: channels inside of a layer over those that it adds.
        drop_rate: of what a layer adds.
        compression_factor: of the channels that a transition keeps.
        memory_efficient: recompute layers in the backward pass to save memory.
        out_indices: the stages whose maps are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "121",
        in_channels: int = 3,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        compression_factor: float = 0.5,
        memory_efficient: bool = False,
        norm_cfg: Any = _BN,
        act_cfg: Any = _RELU,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        stages, self.out_indices = dense_stages(arch, compression_factor, out_indices)
        self.init_cfg, self.frozen_stages = init_cfg, frozen_stages
        width = stages[0].inner
        conv = nn.Conv2d(in_channels, width, 7, 2, 3, bias=False)
        self.stem = nn.Sequential(conv, norm_layer(norm_cfg, width)[1], act_layer(act_cfg), nn.MaxPool2d(3, 2, 1))
        options = (norm_cfg, act_cfg, float(drop_rate), memory_efficient)
        self.stages = nn.ModuleList(_Stage(stage, bn_size, options) for stage in stages)
        self.transitions = nn.ModuleList()
        for stage in stages:
            wide = stage.inner + stage.depth * stage.growth
            norm, act = norm_layer(norm_cfg, wide)[1], act_layer(act_cfg)
            if stage.width:
                conv = nn.Conv2d(wide, stage.width, 1, bias=False)
                parts: dict[str, nn.Module] = {"norm": norm, "act": act, "conv": conv, "pool": nn.AvgPool2d(2)}
                self.transitions.append(nn.Sequential(OrderedDict(parts)))
            else:
                self.transitions.append(nn.Sequential(norm, act))
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [*self.stages[: self.frozen_stages], *self.transitions[: self.frozen_stages]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        maps: list[Tensor] = []
        for i, (stage, after) in enumerate(zip(self.stages, self.transitions, strict=True)):
            x = after(stage(x))
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "DenseNet":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
