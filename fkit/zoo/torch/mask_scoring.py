"""Mask Scoring R-CNN's heads, with MMDetection's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.catalog.build import Builder
from fkit.detection.box_head import pair_of_size
from fkit.detection.part import part
from fkit.detection.roi import Rows
from fkit.detection.scoring import IOU_INIT, IOU_LOSS, iou_loss, scored
from fkit.zoo.torch.roi_head import StandardRoIHead

__all__ = ["MaskIoUHead", "MaskScoringRoIHead"]


class MaskIoUHead(nn.Module):
    """How well a mask overlaps its object, of a region's features (R, C, h, w) and that mask (R, 2 h, 2 w): (R, K).

    Args:
        num_convs, num_fcs: how many layers; the last convolution is of stride 2.
        roi_feat_size: h and w.
        in_channels: C.
        conv_out_channels, fc_out_channels: their widths.
        num_classes: K.
        loss_iou: config of the loss.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        num_convs: int = 4,
        num_fcs: int = 2,
        roi_feat_size: Any = 14,
        in_channels: int = 256,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        num_classes: int = 80,
        loss_iou: Any = IOU_LOSS,
        init_cfg: Any = IOU_INIT,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        self.loss_iou = iou_loss(build, loss_iou, num_convs, num_fcs)
        high, wide = pair_of_size(roi_feat_size)
        widths = [in_channels + 1] + [conv_out_channels] * (num_convs - 1)
        strides = [1] * (num_convs - 1) + [2]
        self.convs = nn.ModuleList(
            nn.Conv2d(width, conv_out_channels, 3, stride, 1) for width, stride in zip(widths, strides, strict=True)
        )
        widths = [conv_out_channels * (high // 2) * (wide // 2)] + [fc_out_channels] * (num_fcs - 1)
        self.fcs = nn.ModuleList(nn.Linear(width, fc_out_channels) for width in widths)
        self.fc_mask_iou = nn.Linear(fc_out_channels, num_classes)
        self.init_cfg = init_cfg

    def forward(self, x: Tensor, masks: Tensor) -> Tensor:
        x = torch.cat([x, F.max_pool2d(masks.sigmoid()[:, None], 2, 2)], 1)
        for conv in self.convs:
            x = F.relu(conv(x))
        x = x.flatten(1)
        for layer in self.fcs:
            x = F.relu(layer(x))
        return self.fc_mask_iou(x)


class MaskScoringRoIHead(StandardRoIHead):
    """`StandardRoIHead` whose scores are multiplied with what is said of the masks (Huang et al. 2019).

    Args:
        mask_iou_head: config of what says how good a mask is.
        more: see `StandardRoIHead`; ``train_cfg`` has ``mask_thr_binary`` too.
    """

    def __init__(self, mask_iou_head: Any, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        self.mask_iou_head = part(build, "models", mask_iou_head)
        self.logic = scored(self.logic, self.mask_iou_head)

    def scored(self, maps: Sequence[Tensor], rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `fkit.detection.scoring.ScoringLayers`."""
        x = self.pooled(self.mask_extractors[0], maps, rows)
        masks = self.mask_heads[0](x)
        return masks, self.mask_iou_head(x, self.mask_heads[0].logic.chosen(self.ops(maps), masks, labels))
