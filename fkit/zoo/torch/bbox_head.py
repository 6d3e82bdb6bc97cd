"""Box heads: what a region's features say of its class and its box, with MMDetection's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.catalog.build import Builder
from fkit.detection.box_head import (
    BOX_CODER,
    BOX_LOSS,
    CLASS_LOSS,
    DOUBLE_INIT,
    LINEAR,
    bottleneck,
    box_init,
    check_box_type,
    check_counts,
    pair_of_size,
    predictor,
)
from fkit.detection.roi import box_logic
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.block import Block
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.memory import remembering

__all__ = [
    "BBoxHead",
    "ConvFCBBoxHead",
    "DoubleConvFCBBoxHead",
    "NormedLinear",
    "Shared2FCBBoxHead",
    "Shared4Conv1FCBBoxHead",
]

_BN = frozendict(type="BN")


class NormedLinear(nn.Linear):
    """A linear layer of the cosine: weights and features divided by their norms.

    Args:
        tempearture: what the cosines are multiplied with; spelt as in MMDetection.
        power: of the norms.
        eps: added to them.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        tempearture: float = 20.0,
        power: float = 1.0,
        eps: float = 1e-6,
    ) -> None:
        self.tempearture, self.power, self.eps = tempearture, power, eps
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        """Weights of N(0, 0.01), biases of 0."""
        nn.init.normal_(self.weight, 0.0, 0.01)
        if self.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight / (self.weight.norm(dim=1, keepdim=True).pow(self.power) + self.eps)
        x = input / (input.norm(dim=1, keepdim=True).pow(self.power) + self.eps) * self.tempearture
        return F.linear(x, weight, self.bias)


def _linear(cfg: Any, width: int, count: int) -> nn.Module:
    kind, options = predictor(cfg)
    return (NormedLinear if kind == "NormedLinear" else nn.Linear)(width, count, **options)


class BBoxHead(nn.Module):
    """One linear layer for classes and one for boxes, on a region's features (R, C, h, w).

    Args:
        with_avg_pool: on the mean over the region's cells, not on all of them.
        with_cls, with_reg: which of the two there are.
        roi_feat_size: h and w.
        in_channels: C.
        num_classes: K, without the background.
        bbox_coder: config of how boxes are coded.
        predict_box_type: "hbox".
        reg_class_agnostic: one box for all classes, not one for each.
        reg_decoded_bbox: ``loss_bbox`` is of boxes, not of what they are coded as.
        reg_predictor_cfg, cls_predictor_cfg: the linear layers: ``Linear`` or ``NormedLinear``.
        loss_cls, loss_bbox: configs of the losses.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        with_avg_pool: bool = False,
        with_cls: bool = True,
        with_reg: bool = True,
        roi_feat_size: Any = 7,
        in_channels: int = 256,
        num_classes: int = 80,
        bbox_coder: Any = BOX_CODER,
        predict_box_type: str = "hbox",
        reg_class_agnostic: bool = False,
        reg_decoded_bbox: bool = False,
        reg_predictor_cfg: Any = LINEAR,
        cls_predictor_cfg: Any = LINEAR,
        loss_cls: Any = CLASS_LOSS,
        loss_bbox: Any = BOX_LOSS,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        check_box_type(predict_box_type)
        self.with_avg_pool = with_avg_pool
        self.roi_feat_size = pair_of_size(roi_feat_size)
        self.in_channels = in_channels
        self.cls_predictor_cfg, self.reg_predictor_cfg = cls_predictor_cfg, reg_predictor_cfg
        logic = box_logic(
            build,
            num_classes,
            bbox_coder,
            reg_class_agnostic,
            reg_decoded_bbox,
            loss_cls,
            loss_bbox,
            with_cls,
            with_reg,
        )
        self.logic = remembering(self, logic)
        self.loss_cls, self.loss_bbox = self.logic.loss_cls, self.logic.loss_bbox
        width = in_channels if with_avg_pool else in_channels * self.area
        self._predictors(width, width)
        self.init_cfg = box_init(with_cls, with_reg) if init_cfg is None else init_cfg

    @property
    def area(self) -> int:
        """How many cells a region has."""
        return self.roi_feat_size[0] * self.roi_feat_size[1]

    def _predictors(self, width_cls: int, width_reg: int) -> None:
        if self.logic.with_cls:
            self.fc_cls = _linear(self.cls_predictor_cfg, width_cls, self.logic.class_channels)
        if self.logic.with_reg:
            self.fc_reg = _linear(self.reg_predictor_cfg, width_reg, self.logic.box_channels)

    def _said(self, x_cls: Tensor, x_reg: Tensor) -> tuple[Tensor | None, Tensor | None]:
        cls = self.fc_cls(x_cls) if self.logic.with_cls else None
        return cls, self.fc_reg(x_reg) if self.logic.with_reg else None

    def _flat(self, x: Tensor) -> Tensor:
        """(R, width): the mean over all cells where it is asked for, and all in a row."""
        if x.dim() > 2 and self.with_avg_pool:
            x = x.mean((2, 3))
        return x.flatten(1)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x = self._flat(x)
        return self._said(x, x)


class ConvFCBBoxHead(BBoxHead):
    """Convolutions and linear layers, some for both, then some for classes and some for boxes alone.

    Args:
        num_shared_convs, num_shared_fcs, num_cls_convs, num_cls_fcs, num_reg_convs, num_reg_fcs: how many.
        conv_out_channels, fc_out_channels: their widths.
        conv_cfg, norm_cfg: of the convolutions.
        init_cfg, more: see `BBoxHead`.
    """

    def __init__(
        self,
        num_shared_convs: int = 0,
        num_shared_fcs: int = 0,
        num_cls_convs: int = 0,
        num_cls_fcs: int = 0,
        num_reg_convs: int = 0,
        num_reg_fcs: int = 0,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg, build=build, **more)
        self.widths = (conv_out_channels, fc_out_channels)
        counts = (num_shared_convs, num_shared_fcs, num_cls_convs, num_cls_fcs, num_reg_convs, num_reg_fcs)
        check_counts(counts, self.logic.with_cls, self.logic.with_reg)
        branch = (conv_cfg, norm_cfg)
        self.shared_convs, self.shared_fcs, shared = self._branch(*counts[:2], self.in_channels, True, *branch)
        flat = num_shared_fcs > 0
        self.cls_convs, self.cls_fcs, width_cls = self._branch(*counts[2:4], shared, not flat, *branch)
        self.reg_convs, self.reg_fcs, width_reg = self._branch(*counts[4:], shared, not flat, *branch)
        if not flat and not self.with_avg_pool:
            width_cls *= 1 if num_cls_fcs else self.area
            width_reg *= 1 if num_reg_fcs else self.area
        self._predictors(width_cls, width_reg)
        if init_cfg is None:
            names = ("shared_fcs", "cls_fcs", "reg_fcs")
            there = tuple(name for name, count in zip(names, counts[1::2], strict=True) if count)
            self.init_cfg = box_init(self.logic.with_cls, self.logic.with_reg, there)

    def _branch(
        self, convs: int, fcs: int, width: int, spatial: bool, conv_cfg: Any, norm_cfg: Any
    ) -> tuple[nn.ModuleList, nn.ModuleList, int]:
        """Layers and the width of what they give; ``spatial``: the linear layers, if any, take all cells."""
        wide_conv, wide_fc = self.widths
        first = nn.ModuleList()
        for _ in range(convs):
            first.append(ConvModule(width, wide_conv, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg))
            width = wide_conv
        second = nn.ModuleList()
        if fcs and spatial and not self.with_avg_pool:
            width *= self.area
        for _ in range(fcs):
            second.append(nn.Linear(width, wide_fc))
            width = wide_fc
        return first, second, width

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        for conv in self.shared_convs:
            x = conv(x)
        if len(self.shared_fcs):
            x = self._through(x, self.shared_fcs)
        x_cls, x_reg = x, x
        for conv in self.cls_convs:
            x_cls = conv(x_cls)
        for conv in self.reg_convs:
            x_reg = conv(x_reg)
        return self._said(self._through(x_cls, self.cls_fcs), self._through(x_reg, self.reg_fcs))

    def _through(self, x: Tensor, layers: nn.ModuleList) -> Tensor:
        x = self._flat(x)
        for layer in layers:
            x = F.relu(layer(x))
        return x


class Shared2FCBBoxHead(ConvFCBBoxHead):
    """`ConvFCBBoxHead` of two linear layers for both."""

    def __init__(self, fc_out_channels: int = 1024, *, build: Builder, **more: Any) -> None:
        super().__init__(num_shared_fcs=2, fc_out_channels=fc_out_channels, build=build, **more)


class Shared4Conv1FCBBoxHead(ConvFCBBoxHead):
    """`ConvFCBBoxHead` of four convolutions and a linear layer for both."""

    def __init__(self, fc_out_channels: int = 1024, *, build: Builder, **more: Any) -> None:
        super().__init__(num_shared_convs=4, num_shared_fcs=1, fc_out_channels=fc_out_channels, build=build, **more)


class _ResBlock(nn.Module):
    """A residual branch of 3x3 and 1x1, and a 1x1 beside it, to more channels."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        norm: Any = {"conv_cfg": None, "norm_cfg": _BN}
        self.conv1 = ConvModule(width, width, 3, padding=1, bias=False, **norm)
        self.conv2 = ConvModule(width, wide, 1, bias=False, act_cfg=None, **norm)
        self.conv_identity = ConvModule(width, wide, 1, act_cfg=None, **norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + self.conv_identity(x))


class DoubleConvFCBBoxHead(BBoxHead):
    """Linear layers for classes and convolutions for boxes (Double-Head R-CNN, Wu et al. 2020).

    Args:
        num_convs, num_fcs: how many, from 1.
        conv_out_channels, fc_out_channels: their widths.
        conv_cfg, norm_cfg: of the convolutions.
        init_cfg, more: see `BBoxHead`.
    """

    def __init__(
        self,
        num_convs: int = 0,
        num_fcs: int = 0,
        conv_out_channels: int = 1024,
        fc_out_channels: int = 1024,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        init_cfg: Any = DOUBLE_INIT,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        more.setdefault("with_avg_pool", True)
        super().__init__(init_cfg=init_cfg, build=build, **more)
        if num_convs < 1 or num_fcs < 1 or not self.with_avg_pool:
            raise FkitValueError("DoubleConvFCBBoxHead: num_convs and num_fcs are 1 or more, with_avg_pool is True.")
        self.res_block = _ResBlock(self.in_channels, conv_out_channels)
        self.conv_branch = nn.ModuleList(
            Block(bottleneck(conv_out_channels), conv_cfg=conv_cfg, norm_cfg=norm_cfg) for _ in range(num_convs)
        )
        widths = [self.in_channels * self.area] + [fc_out_channels] * (num_fcs - 1)
        self.fc_branch = nn.ModuleList(nn.Linear(width, fc_out_channels) for width in widths)
        self.fc_reg = nn.Linear(conv_out_channels, self.logic.box_channels)
        self.fc_cls = nn.Linear(fc_out_channels, self.logic.num_classes + 1)

    def forward(self, x: Tensor, x_reg: Tensor | None = None) -> tuple[Tensor | None, Tensor | None]:
        y = self.res_block(x if x_reg is None else x_reg)
        for block in self.conv_branch:
            y = block(y)
        x = x.flatten(1)
        for layer in self.fc_branch:
            x = torch.relu(layer(x))
        return self.fc_cls(x), self.fc_reg(y.mean((2, 3)))
