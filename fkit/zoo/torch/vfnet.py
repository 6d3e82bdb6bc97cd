"""VarifocalNet's head: a first guess of a box says where the convolutions behind it look."""

from typing import Any

import torch
from torch import Tensor, nn

from fkit.array.deform import deform_conv
from fkit.backend.torch.ops import Torch
from fkit.detection.headed import headed
from fkit.detection.vfnet import VFNetHead as VFNet
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.dense_head import DenseHead, Outputs, Scale, flat, layers

__all__ = ["Shifted", "VFNetHead"]


class Shifted(nn.Module):
    """A 3x3 convolution that looks where it is told; mmcv's DeformConv2d.

    Args:
        width: channels, of what it takes and gives.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        kernel = self.weight.permute(2, 3, 1, 0)
        y = deform_conv(Torch(x.device), x.permute(0, 2, 3, 1), offset, None, kernel, padding=(1, 1))
        return y.permute(0, 3, 1, 2)


class _VFNet(DenseHead):
    """See `fkit.detection.vfnet.VFNetHead`; outside of training there are scores and refined boxes alone."""

    def __init__(self, logic: VFNet) -> None:
        super().__init__(logic)
        width, levels = logic.feat_channels, len(logic.strides)
        more: dict[str, nn.Module] = {
            "vfnet_reg_conv": ConvModule(
                width, width, 3, padding=1, conv_cfg=logic.conv_cfg, norm_cfg=logic.norm_cfg, bias=logic.conv_bias
            ),
            "scales": nn.ModuleList(Scale() for _ in range(levels)),
            "vfnet_reg_refine_dconv": Shifted(width),
            "scales_refine": nn.ModuleList(Scale() for _ in range(levels)),
            "vfnet_cls_dconv": Shifted(width),
        }
        for name, module in more.items():
            self.add_module(name, module)
        self.arrange(logic.plan.order)

    def _level(self, level: int, x: Tensor) -> tuple[Tensor, ...]:
        logic: Any = self.logic
        mine: Any = self  # its layers by their names
        classes, sides = x, x
        for layer in layers(mine.cls_convs):
            classes = layer(classes)
        for layer in layers(mine.reg_convs):
            sides = layer(sides)
        first = mine.scales[level](mine.vfnet_reg(mine.vfnet_reg_conv(sides))).exp() * logic.unit(level)
        offset = logic.star(Torch(x.device), first.permute(0, 2, 3, 1), level)
        sides = torch.relu(mine.vfnet_reg_refine_dconv(sides, offset))
        refined = mine.scales_refine[level](mine.vfnet_reg_refine(sides)).exp() * first.detach()
        scores = mine.vfnet_cls(torch.relu(mine.vfnet_cls_dconv(classes, offset)))
        return (scores, first, refined) if self.training else (scores, refined)

    def _flat(self, outputs: Outputs) -> Outputs:
        widths = (self.logic.classes_out, 4, 4)
        return tuple(tuple(flat(x, width) for x in levels) for width, levels in zip(widths, outputs, strict=False))


VFNetHead = headed(_VFNet, VFNet)
