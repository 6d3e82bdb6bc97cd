"""SCNet (Liu et al. 2020): a ResNet whose bottlenecks calibrate one half of their channels, with mmpose's parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fkit.backbone.resnet import NORM, BlockPlan, Convolution
from fkit.backend.torch.layers import norm_layer
from fkit.pose.plan import expect_bottlenecks
from fkit.zoo.torch.block import Block, convolution
from fkit.zoo.torch.resnet import ResNet

__all__ = ["SCBlock", "SCConv", "SCNet"]


def _layer(width: int, stride: int, conv_cfg: Any, norm_cfg: Any) -> list[nn.Module]:
    return [convolution(Convolution(width, width, 3, stride), conv_cfg), norm_layer(norm_cfg, width)[1]]


class SCConv(nn.Module):
    """A 3x3 convolution times what a coarser view of the map says, and another."""

    def __init__(self, width: int, stride: int, conv_cfg: Any, norm_cfg: Any) -> None:
        super().__init__()
        self.k2 = nn.Sequential(nn.AvgPool2d(4, 4), *_layer(width, 1, conv_cfg, norm_cfg))
        self.k3 = nn.Sequential(*_layer(width, 1, conv_cfg, norm_cfg))
        self.k4 = nn.Sequential(*_layer(width, stride, conv_cfg, norm_cfg), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(x + F.interpolate(self.k2(x), x.shape[2:]))
        return self.k4(self.k3(x) * weight)


class SCBlock(nn.Module):
    """A bottleneck of two halves, one by a 3x3 convolution, ``k1``, one by `SCConv`; see `Block`."""

    def __init__(
        self,
        plan: BlockPlan,
        avg_down: bool = False,
        with_cp: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = NORM,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        half, stride = plan.width // 8, plan.convs[0].stride * plan.convs[1].stride
        rows = ((plan.inner, half), (plan.inner, half), (2 * half, plan.width))
        names: list[str] = []
        for i, (inner, width) in enumerate(rows, 1):
            short, norm = norm_layer(norm_cfg, width)
            self.add_module(f"conv{i}", convolution(Convolution(inner, width, 1), conv_cfg))
            self.add_module(f"{short}{i}", norm)
            names.append(f"{short}{i}")
        self.norms = tuple(names)
        self.downsample = Block(plan, avg_down, False, conv_cfg, norm_cfg).downsample
        self.k1 = nn.Sequential(*_layer(half, stride, conv_cfg, norm_cfg), nn.ReLU())
        self.scconv = SCConv(half, stride, conv_cfg, norm_cfg)
        self.init_cfg = frozendict(type="Constant", val=0, override=frozendict(name=names[-1])) if zero_init else None

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return F.relu(checkpoint(self._branch, x, use_reentrant=False))  # type: ignore[arg-type]
        return F.relu(self._branch(x))

    def _branch(self, x: Tensor) -> Tensor:
        conv1, conv2, conv3 = (getattr(self, f"conv{i}") for i in (1, 2, 3))
        norm1, norm2, norm3 = (getattr(self, name) for name in self.norms)
        one = self.k1(F.relu(norm1(conv1(x))))
        two = self.scconv(F.relu(norm2(conv2(x))))
        y = norm3(conv3(torch.cat([one, two], 1)))
        return y + (x if self.downsample is None else self.downsample(x))


class SCNet(ResNet):
    """SCNet, a backbone: images (N, C, H, W) to the last stage's map, at stride 32.

    Args:
        depth: 50 or 101.
        options: of `ResNet`.
    """

    def __init__(self, depth: int, **options: Any) -> None:
        expect_bottlenecks("SCNet", depth, (50, 101))
        whole: dict[str, Any] = {"stem_channels": 64, "out_indices": (3,), "named_stem": True, **options}
        super().__init__(depth, **whole)

    def _block(self, plan: BlockPlan, first: bool, options: tuple[bool, bool, Any, Any], zero_init: bool) -> Any:
        avg_down, with_cp, conv_cfg, norm_cfg = options
        return SCBlock(plan, avg_down and plan.shortcut > 1, with_cp, conv_cfg, norm_cfg, zero_init)
