"""GFL's head (Li et al. 2020): each side of a box is a distribution, and a class's score is the overlap of its box."""

import copy
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any, Self

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.default import DISTANCE, WIDE_NORM, rare
from fkit.detection.dense import Given, Outputs, Sizes, settle
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.detection.plan import Output, Plan
from fkit.detection.retina import RetinaHead
from fkit.detection.rows import Rows, by_level, level_sums, rows_of, spans_of, spread, together
from fkit.tree.error import FkitValueError

__all__ = ["GFLHead", "middles"]

_DFL = frozendict(type="DistributionFocalLoss", loss_weight=0.25)
_RARE = rare("gfl_cls")
_FOUR = 4 + 2.0**-23  # sides; mmdet divides by no factor without a float32's rounding in it


@dataclass(frozen=True, eq=False, kw_only=True)
class GFLHead(RetinaHead):
    """mmdet's GFLHead; see `fkit.detection.retina.RetinaHead`.

    Args:
        reg_max: distances are from 0 to this many strides.
        loss_dfl: config of the loss of distributions.
    """

    norm_cfg: Any = WIDE_NORM
    bbox_coder: Any = DISTANCE
    reg_max: int = 16
    loss_dfl: Any = _DFL
    init_cfg: Any = _RARE
    project: Callable[[], Any] | None = field(init=False, default=None, repr=False)
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        super().__post_init__(build)
        name = type(self).__name__
        if self.reg_max < 1:
            raise FkitValueError(f"{name}: reg_max={self.reg_max}: at least 1.")
        if any(count != 1 for count in self.anchor_generator.counts):
            raise FkitValueError(f"{name}: {self.anchors} anchors a place, but it takes one.")
        settle(self, loss_dfl=part(build, "models", self.loss_dfl))

    @property
    def plan(self) -> Plan:
        outputs = (
            Output("gfl_cls", "cls_convs", self.classes_out),
            Output("gfl_reg", "reg_convs", 4 * (self.reg_max + 1), scaled=True),
        )
        levels = self.anchor_generator.num_levels
        return super().plan._replace(outputs=outputs, scales=levels, integral=self.reg_max + 1)

    def width(self, output: str) -> int:
        return 4 * (self.reg_max + 1) if output == "gfl_reg" else super().width(output)

    def measured(self, project: Callable[[], Any]) -> Self:
        """The head with the places of its distributions (reg_max + 1,), as the module holds them."""
        new = copy.copy(self)
        settle(new, project=project)
        return new

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, sides = outputs[0], together(xp, outputs[1])
        spans, truth = spans_of(logits), given.truth
        boxes = xp.cast(xp.lib.concat(self.priors(xp, sizes, "float32")), sides)
        gt, positive, negative = self.chosen(xp, boxes, sizes, given)
        total = self.total(xp, positive, negative, sides)
        rows = rows_of(xp, positive, spans)
        real, stride = xp.cast(rows.real, sides), self.stride_of(xp, rows.level, sides)[:, None]
        prior, mine = rows.prior_of(xp, boxes), rows.of(xp, sides)
        box = xp.lib.where(rows.real[:, None], xp.cast(object_of(xp, truth.bboxes, rows, gt), prior), prior) / stride
        middle = middles(xp, prior) / stride
        pred = self.bbox_coder.decode(xp, middle, self.distances(xp, mine))
        sure = xp.sigmoid(xp.lib.amax(xp.detached(rows.of(xp, together(xp, logits))), -1)) * real
        mass = xp.lib.maximum(xp.shared(sure.sum()), xp.full((), 1, sides))
        quality = overlaps(xp, xp.detached(pred), box, aligned=True) * real
        return {
            "loss_cls": self.quality_losses(xp, logits, rows, gt, positive, negative, quality, total, given),
            "loss_bbox": tuple(one / mass for one in by_level(xp, self.loss_bbox, rows, pred, box, sure, 1.0)),
            "loss_dfl": self.side_losses(
                xp, rows, mine, self.bbox_coder.encode(xp, middle, box, self.reg_max), sure, mass
            ),
        }

    def quality_losses(
        self,
        xp: Ops,
        logits: Any,
        rows: Rows,
        gt: Any,
        positive: Any,
        negative: Any,
        quality: Any,
        total: Any,
        given: Given,
    ) -> tuple[Any, ...]:
        """Of all priors, level by level: each class's score against the overlap of the box."""
        labels = xp.take_along(given.truth.labels, gt, 1)
        label, weight = self.labels(xp, positive, positive | negative, labels, total)
        scores = spread(xp, rows, quality, positive.shape)
        parts: list[Any] = []
        for level, (start, stop) in zip(logits, rows.spans, strict=True):
            goal = (label[:, start:stop].reshape(-1), scores[:, start:stop].reshape(-1))
            flat, heavy = level.reshape((-1, level.shape[2])), weight[:, start:stop].reshape(-1)
            parts.append(called(self.loss_cls, xp, flat, goal, heavy, avg_factor=total))
        return tuple(parts)

    def side_losses(self, xp: Ops, rows: Rows, sides: Any, goal: Any, sure: Any, mass: Any) -> tuple[Any, ...]:
        """Of the four distributions of each row, level by level."""
        weight = xp.lib.broadcast_to(sure[:, None], goal.shape).reshape(-1)
        flat = sides.reshape((-1, self.reg_max + 1))
        each = called(self.loss_dfl, xp, flat, goal.reshape(-1), weight, reduction_override="none")
        return tuple(one / _FOUR / mass for one in level_sums(xp, rows, each.reshape(goal.shape).sum(-1)))

    def stride_of(self, xp: Ops, level: Any, kind: Any) -> Any:
        """(R,) pixels between the places of each row's level."""
        return xp.take(xp.asarray([stride[0] for stride in self.anchor_generator.strides], kind), level)

    def distances(self, xp: Ops, sides: Any) -> Any:
        """(R, 4) in strides: the means of the distributions (R, 4 * (reg_max + 1)), over the places that the module holds."""
        shares = xp.softmax(sides.reshape((-1, self.reg_max + 1)), -1)
        places = xp.arange(self.reg_max + 1, shares) if self.project is None else xp.cast(self.project(), shares)
        return (shares * places).sum(-1).reshape((-1, 4))

    def deltas(self, xp: Ops, level: int, deltas: Any) -> Any:
        return self.distances(xp, deltas) * self.anchor_generator.strides[level][0]

    def decoded(self, xp: Ops, priors: Any, deltas: Any, img: Any) -> Any:
        return self.bbox_coder.decode(xp, middles(xp, priors), deltas, max_shape=img)


def middles(xp: Ops, boxes: Any) -> Any:
    """The middles (R, 2) of boxes.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> middles(Numpy(), np.array([[0.0, 0, 4, 8]])).tolist()
        [[2.0, 4.0]]
    """
    return xp.lib.stack([(boxes[:, 2] + boxes[:, 0]) / 2, (boxes[:, 3] + boxes[:, 1]) / 2], -1)
