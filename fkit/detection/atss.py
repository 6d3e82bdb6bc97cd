"""ATSS's head (Zhang et al. 2020): an anchor a place, chosen by statistics of overlaps, and its centerness."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.default import CENTERNESS, SIZES, WIDE_NORM, rare
from fkit.detection.dense import Given, Outputs, Sizes, settle
from fkit.detection.fcos import centerness
from fkit.detection.part import part
from fkit.detection.plan import Output, Plan
from fkit.detection.retina import RetinaHead
from fkit.detection.rows import Rows, by_level, rows_of, spans_of, together

__all__ = ["ATSSHead", "middle_sides"]

_RARE = rare("atss_cls")


@dataclass(frozen=True, eq=False, kw_only=True)
class ATSSHead(RetinaHead):
    """mmdet's ATSSHead; see `fkit.detection.retina.RetinaHead`.

    Args:
        pred_kernel_size: of the predicting convolutions.
        loss_centerness: config.
    """

    pred_kernel_size: int = 3
    norm_cfg: Any = WIDE_NORM
    reg_decoded_bbox: bool = True
    anchor_generator: Any = SIZES
    loss_centerness: Any = CENTERNESS
    init_cfg: Any = _RARE
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        super().__post_init__(build)
        settle(self, loss_centerness=part(build, "models", self.loss_centerness))

    @property
    def plan(self) -> Plan:
        kernel = self.pred_kernel_size
        outputs = (
            Output("atss_cls", "cls_convs", self.anchors * self.classes_out, kernel),
            Output("atss_reg", "reg_convs", self.anchors * 4, kernel, scaled=True),
            Output("atss_centerness", "reg_convs", self.anchors, kernel),
        )
        return super().plan._replace(outputs=outputs, scales=self.anchor_generator.num_levels)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, deltas = outputs[0], outputs[1]
        spans = spans_of(logits)
        boxes = xp.cast(xp.lib.concat(self.priors(xp, sizes, "float32"), axis=0), deltas[0])
        gt, positive, negative = self.chosen(xp, boxes, sizes, given)
        total = self.total(xp, positive, negative, deltas[0])
        classes = self.class_losses(xp, logits, spans, given.truth, gt, positive, negative, total)
        rows = rows_of(xp, positive, spans)
        prior = rows.prior_of(xp, boxes)
        box = xp.lib.where(rows.real[:, None], xp.cast(object_of(xp, given.truth.bboxes, rows, gt), prior), prior)
        return {"loss_cls": classes, **self.sides_losses(xp, rows, outputs, prior, box, total)}

    def sides_losses(
        self, xp: Ops, rows: Rows, outputs: Outputs, prior: Any, box: Any, total: Any
    ) -> Mapping[str, Any]:
        """Of positive rows: that of boxes, weighted by the centerness, and that of the centerness; level by level."""
        real = xp.cast(rows.real, prior)
        weight = centerness(xp, middle_sides(xp, prior, box)) * real
        pred = self.bbox_coder.decode(xp, prior, rows.of(xp, together(xp, outputs[1])))
        mass = xp.lib.maximum(weight.sum(), xp.full((), 1, prior))
        boxes = by_level(xp, self.loss_bbox, rows, pred, box, weight, 1.0)
        beside = rows.of(xp, together(xp, outputs[2]))[:, 0]
        centres = by_level(xp, self.loss_centerness, rows, beside, weight, real, total)
        return {"loss_bbox": tuple(one / mass for one in boxes), "loss_centerness": centres}


def middle_sides(xp: Ops, prior: Any, box: Any) -> Any:
    """The distances (R, 4) from the middle of priors to the left, upper, right and lower side of boxes.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> middle_sides(Numpy(), np.array([[0.0, 0, 4, 4]]), np.array([[1.0, 0, 5, 8]])).tolist()
        [[1.0, 2.0, 3.0, 6.0]]
    """
    x, y = (prior[:, 2] + prior[:, 0]) / 2, (prior[:, 3] + prior[:, 1]) / 2
    return xp.lib.stack([x - box[:, 0], y - box[:, 1], box[:, 2] - x, box[:, 3] - y], 1)
