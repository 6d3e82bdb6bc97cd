"""FCOS's head (Tian et al. 2019): a box, classes and a centerness at every place."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.default import CENTERNESS, DISTANCE, WIDE_NORM, rare
from fkit.detection.dense import DenseHead, Given, Outputs, Sizes, settle
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.detection.plan import Output, Plan, Tower
from fkit.detection.prior import MlvlPointGenerator
from fkit.detection.rows import Rows, rows_of, spans_of, together
from fkit.tree.error import FkitValueError

__all__ = ["AnchorFreeHead", "FCOSHead", "centerness"]

_FAR = 1e8
_RARE = rare("conv_cls")
_RANGES = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, _FAR))


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchorFreeHead(DenseHead):
    """mmdet's AnchorFreeHead: a prior is a point; see `DenseHead`.

    Args:
        stacked_convs: convolutions before each prediction.
        strides: of the levels, pixels.
        dcn_on_last_conv: the last of them is deformable.
        conv_bias: of them; "auto" has one where there is no norm.
        conv_cfg, norm_cfg: of them.
    """

    stacked_convs: int = 4
    strides: Sequence[Any] = (4, 8, 16, 32, 64)
    dcn_on_last_conv: bool = False
    conv_bias: bool | str = "auto"
    bbox_coder: Any = DISTANCE
    conv_cfg: Any = None
    norm_cfg: Any = None
    init_cfg: Any = _RARE
    build: InitVar[Builder]

    @property
    def points(self) -> MlvlPointGenerator:
        """The generator of priors."""
        return MlvlPointGenerator(self.strides)

    @property
    def towers(self) -> tuple[Tower, ...]:
        """``cls_convs`` and ``reg_convs``."""
        last = frozendict(type="DCNv2") if self.dcn_on_last_conv else None
        return tuple(
            Tower(name, self.stacked_convs, self.conv_cfg, self.norm_cfg, self.conv_bias, last)
            for name in ("cls_convs", "reg_convs")
        )

    def priors(self, xp: Ops, sizes: Sizes, kind: Any) -> list[Any]:
        return self.points.priors(xp, sizes, kind)


@dataclass(frozen=True, eq=False, kw_only=True)
class FCOSHead(AnchorFreeHead):
    """mmdet's FCOSHead; see `AnchorFreeHead`.

    Args:
        regress_ranges: of each level, which distances to an object's farthest side it is for, pixels.
        center_sampling: only points near an object's centre are positive.
        center_sample_radius: how near, in strides.
        norm_on_bbox: distances are in strides.
        centerness_on_reg: the centerness follows the tower of boxes.
        loss_centerness: config.
        cls_predictor_cfg: None.
    """

    regress_ranges: Sequence[Any] = _RANGES
    center_sampling: bool = False
    center_sample_radius: float = 1.5
    norm_on_bbox: bool = False
    centerness_on_reg: bool = False
    loss_centerness: Any = CENTERNESS
    norm_cfg: Any = WIDE_NORM
    cls_predictor_cfg: Any = None
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        super().__post_init__(build)
        name = type(self).__name__
        if self.cls_predictor_cfg is not None:
            raise FkitValueError(f"{name}: cls_predictor_cfg is not supported.", repair="Leave it out.")
        if len(self.regress_ranges) != len(self.strides):
            raise FkitValueError(
                f"{name}: {len(self.regress_ranges)} regress_ranges for {len(self.strides)} strides: as many of each."
            )
        settle(self, loss_centerness=part(build, "models", self.loss_centerness))

    @property
    def plan(self) -> Plan:
        beside = "reg_convs" if self.centerness_on_reg else "cls_convs"
        outputs = (
            Output("conv_cls", "cls_convs", self.classes_out),
            Output("conv_reg", "reg_convs", 4, scaled=True),
            Output("conv_centerness", beside, 1),
        )
        return Plan(self.in_channels, self.feat_channels, self.towers, outputs, len(self.strides))

    def shaped(self, xp: Ops, level: int, outputs: tuple[Any, ...], train: bool) -> tuple[Any, ...]:
        classes, box, centre = outputs
        if not self.norm_on_bbox:
            return classes, xp.lib.exp(box), centre
        box = xp.lib.where(box < 0, 0, box)  # with the gradient of a clamp at 0
        return classes, box if train else box * _one(self.strides[level]), centre

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, kind = outputs[0], outputs[1][0]
        spans = spans_of(logits)
        points = xp.lib.concat(self.priors(xp, sizes, kind), axis=0)
        labels, targets = self.targets(xp, points, spans, given.truth)
        positive = labels < self.num_classes
        one = xp.full((), 1, kind)
        total = xp.lib.maximum(xp.shared(xp.cast(positive, kind).sum()), one)
        flat = together(xp, logits)
        classes = called(self.loss_cls, xp, flat.reshape((-1, flat.shape[2])), labels.reshape(-1), avg_factor=total)
        rows = rows_of(xp, positive, spans)
        box, centre = self.box_losses(xp, rows, outputs, points, targets, total)
        return {"loss_cls": classes, "loss_bbox": box, "loss_centerness": centre}

    def box_losses(
        self, xp: Ops, rows: Rows, outputs: Outputs, points: Any, targets: Any, total: Any
    ) -> tuple[Any, Any]:
        """Of the positive rows: that of boxes, weighted by the centerness, and that of the centerness."""
        real = xp.cast(rows.real, points)
        target = xp.lib.where(rows.real[:, None], rows.of(xp, targets), 1)
        weight = centerness(xp, target) * real
        place = rows.prior_of(xp, points)
        pred = self.bbox_coder.decode(xp, place, rows.of(xp, together(xp, outputs[1])))
        goal = self.bbox_coder.decode(xp, place, target)
        mass = xp.lib.maximum(xp.shared(weight.sum()), xp.full((), 1e-6, points))
        box = called(self.loss_bbox, xp, pred, goal, weight, avg_factor=mass)
        beside = rows.of(xp, together(xp, outputs[2]))[:, 0]
        return box, called(self.loss_centerness, xp, beside, weight, real, avg_factor=total)

    def targets(self, xp: Ops, points: Any, spans: tuple[tuple[int, int], ...], truth: Truth) -> tuple[Any, Any]:
        """The class of each point of each image (N, P), the background's where it has no object, and its distances to
        the sides of its object (N, P, 4), in strides with ``norm_on_bbox``."""
        counts = [stop - start for start, stop in spans]
        ranges = xp.asarray(np.repeat(np.array(self.regress_ranges, np.float64), counts, 0), points)
        stride = xp.asarray(np.repeat([_one(stride) for stride in self.strides], counts), points)

        def one(mine: Truth) -> tuple[Any, Any]:
            boxes = xp.cast(mine.bboxes, points)
            label, target = self.object_of(xp, points, ranges, stride, boxes, mine)
            return label, target / stride[:, None] if self.norm_on_bbox else target

        return xp.each(one, truth)

    def object_of(self, xp: Ops, points: Any, ranges: Any, stride: Any, boxes: Any, truth: Truth) -> tuple[Any, Any]:
        """Of one image: the least of the objects that a point lies in (or near whose centre) and whose sides are within
        the range of its level."""
        lib = xp.lib
        x, y = points[:, :1], points[:, 1:]
        sides = lib.stack([x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y], -1)  # (P, G, 4)
        if self.center_sampling:
            reach = (stride * self.center_sample_radius)[:, None]
            middle_x, middle_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
            inner = (
                x - lib.maximum(middle_x - reach, boxes[:, 0]),
                y - lib.maximum(middle_y - reach, boxes[:, 1]),
                lib.minimum(middle_x + reach, boxes[:, 2]) - x,
                lib.minimum(middle_y + reach, boxes[:, 3]) - y,
            )
            within = lib.amin(lib.stack(list(inner), -1), -1) > 0
        else:
            within = lib.amin(sides, -1) > 0
        far = lib.amax(sides, -1)
        fits = within & (far >= ranges[:, :1]) & (far <= ranges[:, 1:]) & truth.valid
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = lib.where(fits, area, _FAR)
        least = xp.argmax(-areas, 1)
        mine = lib.amin(areas, 1) < _FAR
        distances = xp.take_along(sides, lib.broadcast_to(least[:, None, None], (len(points), 1, 4)), 1)[:, 0]
        return lib.where(mine, xp.take(truth.labels, least), self.num_classes), distances


def centerness(xp: Ops, distances: Any) -> Any:
    """How central a point is to its object, 1 in its middle and 0 at its border, by its distances (R, 4) to the left,
    upper, right and lower side.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> centerness(Numpy(), np.array([[1.0, 2.0, 4.0, 2.0]])).tolist()
        [0.5]
    """
    lib = xp.lib
    left, top, right, bottom = (distances[:, at] for at in range(4))
    across = lib.minimum(left, right) / lib.maximum(left, right)
    return lib.sqrt(across * (lib.minimum(top, bottom) / lib.maximum(top, bottom)))


def _one(stride: Any) -> float:
    return stride[0] if isinstance(stride, (tuple, list)) else stride
