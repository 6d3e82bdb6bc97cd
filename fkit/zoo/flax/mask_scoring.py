"""Mask Scoring R-CNN's heads, with MMDetection's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.box_head import pair_of_size
from fkit.detection.part import part
from fkit.detection.roi import Rows
from fkit.detection.scoring import IOU_INIT, IOU_LOSS, iou_loss, scored
from fkit.zoo.flax.roi_head import Bound, RoIHead, head_of

__all__ = ["MaskIoUHead", "MaskScoringRoIHead", "mask_iou_head", "mask_scoring_roi_head"]

Array = jax.Array


class MaskIoUHead(nn.Module):
    """How well a mask overlaps its object, of a region's features (R, h, w, C) and that mask (R, 2 h, 2 w): (R, K).

    Attributes:
        loss_iou: built.
        num_convs, num_fcs: how many layers; the last convolution is of stride 2.
        conv_out_channels, fc_out_channels: their widths.
        num_classes: K.
        init_cfg: rules for initial weights.
    """

    loss_iou: Any
    num_convs: int = 4
    num_fcs: int = 2
    conv_out_channels: int = 256
    fc_out_channels: int = 1024
    num_classes: int = 80
    init_cfg: Any = IOU_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("convs", "fcs", "fc_mask_iou")

    @nn.compact
    def __call__(self, x: Array, masks: Array) -> Array:
        x = jnp.concatenate([x, nn.max_pool(nn.sigmoid(masks)[..., None], (2, 2), (2, 2))], -1)
        for at in range(self.num_convs):
            stride = 2 if at == self.num_convs - 1 else 1
            conv = Conv2d(
                self.conv_out_channels, (3, 3), (stride, stride), padding=((1, 1), (1, 1)), name=f"convs_{at}"
            )
            x = nn.relu(conv(x))
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        for at in range(self.num_fcs):
            x = nn.relu(Linear(self.fc_out_channels, name=f"fcs_{at}")(x))
        return Linear(self.num_classes, name="fc_mask_iou")(x)


class MaskScoringRoIHead(RoIHead):
    """`RoIHead` whose scores are multiplied with what is said of the masks (Huang et al. 2019).

    Attributes:
        mask_iou_head: what says how good a mask is.
    """

    mask_iou_head: Any = None
    torch_order: ClassVar[tuple[str, ...]] = (*RoIHead.torch_order, "mask_iou_head")

    def bound(self, train: bool) -> Any:
        """`fkit.detection.scoring.ScoringLayers` in training or not."""
        return _Bound(self, train)

    def scored(self, maps: Sequence[Array], rows: Rows, labels: Array, train: bool) -> tuple[Array, Array]:
        """See `fkit.detection.scoring.ScoringLayers`."""
        x = self.pooled(self.mask_roi_extractor, maps, rows, train)
        masks = self.mask_head(x, train).transpose(0, 3, 1, 2)
        return masks, self.mask_iou_head(x, self.mask_head.logic.chosen(JaxOps(), masks, labels))


class _Bound(Bound):
    def scored(self, maps: Sequence[Any], rows: Rows, labels: Any) -> tuple[Any, Any]:
        with self.counting(rows):
            return self.head.scored(maps, rows, labels, self.train)


def mask_iou_head(
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
) -> MaskIoUHead:
    """The maker of `MaskIoUHead` from a config, with the arguments that torch's twin has."""
    del in_channels
    pair_of_size(roi_feat_size)
    loss = iou_loss(build, loss_iou, num_convs, num_fcs)
    return MaskIoUHead(loss, num_convs, num_fcs, conv_out_channels, fc_out_channels, num_classes, init_cfg)


def mask_scoring_roi_head(
    mask_iou_head: Any,
    bbox_roi_extractor: Any = None,
    bbox_head: Any = None,
    mask_roi_extractor: Any = None,
    mask_head: Any = None,
    shared_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RoIHead:
    """The maker of `MaskScoringRoIHead` from a config, with the arguments that torch's twin has."""
    box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
    scoring = part(build, "models", mask_iou_head)
    settings = (train_cfg, test_cfg, init_cfg)
    head = head_of(build, MaskScoringRoIHead, box, mask, shared_head, settings, mask_iou_head=scoring)
    return head.clone(logic=scored(head.logic, scoring))
