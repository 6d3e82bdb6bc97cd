"""TOOD's head: shared convolutions, of which classes and boxes each take what they need."""

from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.detection.headed import headed
from fkit.detection.tood import TOODHead as TOOD
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.dense_head import DenseHead, layers

__all__ = ["TOODHead", "TaskDecomposition"]


class TaskDecomposition(nn.Module):
    """Of the outputs of several convolutions, each weighted by a number that they say themselves, one map.

    Args:
        width: channels of each.
        depth: how many.
        conv_cfg, norm_cfg: of the layer that brings them together.
    """

    def __init__(self, width: int, depth: int, conv_cfg: Any, norm_cfg: Any) -> None:
        super().__init__()
        self.layer_attention = nn.Sequential(
            nn.Conv2d(width * depth, width // 8, 1), nn.ReLU(), nn.Conv2d(width // 8, depth, 1), nn.Sigmoid()
        )
        self.reduction_conv = ConvModule(width * depth, width, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)

    def forward(self, x: Tensor, mean: Tensor) -> Tensor:
        share = self.layer_attention(mean)
        x = x * share.repeat_interleave(x.shape[1] // share.shape[1], 1)
        if self.reduction_conv.norm is not None:
            return self.reduction_conv(x)
        plain = self.reduction_conv(x, activate=False)
        return torch.relu(plain - self.reduction_conv(0 * mean, activate=False))  # its bias takes no part


class _TOOD(DenseHead):
    """See `fkit.detection.tood.TOODHead`."""

    def __init__(self, logic: TOOD) -> None:
        super().__init__(logic)
        width, depth = logic.feat_channels, logic.stacked_convs
        for name in ("cls_decomp", "reg_decomp"):
            self.add_module(name, TaskDecomposition(width, depth, logic.conv_cfg, logic.norm_cfg))
        for name, outer in (("cls_prob_module", 1), ("reg_offset_module", 8)):
            inner = nn.Conv2d(width * depth, width // 4, 1)
            self.add_module(name, nn.Sequential(inner, nn.ReLU(), nn.Conv2d(width // 4, outer, 3, padding=1)))
        self.arrange(logic.plan.order)

    def _level(self, level: int, x: Tensor) -> tuple[Tensor, ...]:
        logic: Any = self.logic
        mine: Any = self  # its layers by their names
        steps: list[Tensor] = []
        for layer in layers(mine.inter_convs):
            x = layer(x)
            steps.append(x)
        feature = torch.cat(steps, 1)
        mean = feature.mean((2, 3), keepdim=True)
        sides = mine.tood_reg(mine.reg_decomp(feature, mean))
        sides = mine.scales[level](sides.exp() if logic.anchor_type == "anchor_free" else sides)
        outputs = (mine.tood_cls(mine.cls_decomp(feature, mean)), mine.cls_prob_module(feature), sides)
        last = [one.permute(0, 2, 3, 1) for one in (*outputs, mine.reg_offset_module(feature))]
        return tuple(one.permute(0, 3, 1, 2) for one in logic.met(Torch(x.device), level, *last))


TOODHead = headed(_TOOD, TOOD)
