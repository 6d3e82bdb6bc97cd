"""VarifocalNet's head (Zhang et al. 2021): boxes are refined where a first guess says, and scored by their overlap."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.default import DISTANCE, WIDE_NORM, rare
from fkit.detection.dense import Given, Outputs, Sizes, settle
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.detection.plan import Output, Plan, Tower
from fkit.detection.prior import MlvlPointGenerator
from fkit.detection.retina import RetinaHead
from fkit.detection.rows import Rows, rows_of, spans_of, spread, together
from fkit.tree.error import FkitValueError

__all__ = ["VFNetHead"]

_VARIFOCAL = frozendict(
    type="VarifocalLoss", use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0
)
_FIRST = frozendict(type="GIoULoss", loss_weight=1.5)
_REFINED = frozendict(type="GIoULoss", loss_weight=2.0)
_ANCHORS = frozendict(
    type="AnchorGenerator",
    ratios=(1.0,),
    octave_base_scale=8,
    scales_per_octave=1,
    center_offset=0.0,
    strides=(8, 16, 32, 64, 128),
)
_RANGES = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))
_RARE = rare("vfnet_cls")
_LEAST = 1e-6  # of an overlap


@dataclass(frozen=True, eq=False, kw_only=True)
class VFNetHead(RetinaHead):
    """mmdet's VFNetHead; see `fkit.detection.retina.RetinaHead`.

    Args:
        strides: of the levels, pixels.
        dcn_on_last_conv: the last convolution of each tower is deformable.
        conv_bias: of the towers; "auto" has one where there is no norm.
        regress_ranges: of each level, to what distances it is for, pixels.
        center_sampling, center_sample_radius: of the assignment without ``use_atss``.
        sync_num_pos: accepted.
        gradient_mul: the share of the gradient that reaches the first guess through the offsets.
        bbox_norm_type: "reg_denom" or "stride", in what distances are told.
        loss_cls_fl: the loss of classes without ``use_vfl``.
        use_vfl: a class's score is held against the overlap of its box.
        loss_bbox_refine: of the refined boxes.
        use_atss: True.
    """

    strides: Sequence[Any] = (4, 8, 16, 32, 64)
    dcn_on_last_conv: bool = False
    conv_bias: bool | str = "auto"
    regress_ranges: Sequence[Any] = _RANGES
    center_sampling: bool = False
    center_sample_radius: float = 1.5
    sync_num_pos: bool = True
    gradient_mul: float = 0.1
    bbox_norm_type: str = "reg_denom"
    loss_cls_fl: Any = None
    use_vfl: bool = True
    loss_cls: Any = _VARIFOCAL
    loss_bbox: Any = _FIRST
    loss_bbox_refine: Any = _REFINED
    norm_cfg: Any = WIDE_NORM
    use_atss: bool = True
    reg_decoded_bbox: bool = True
    bbox_coder: Any = DISTANCE
    anchor_generator: Any = _ANCHORS
    init_cfg: Any = _RARE
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        for name in ("use_atss", "use_vfl"):
            if not getattr(self, name):
                raise FkitValueError(f"VFNetHead: {name}=False is not supported yet.", repair="Leave it out.")
        if self.bbox_norm_type not in ("reg_denom", "stride"):
            raise FkitValueError(
                f"VFNetHead: bbox_norm_type={self.bbox_norm_type!r}.", choices=("reg_denom", "stride"), label="Types"
            )
        super().__post_init__(build)
        settle(self, loss_bbox_refine=part(build, "models", self.loss_bbox_refine))

    @property
    def plan(self) -> Plan:
        last = frozendict(type="DCNv2") if self.dcn_on_last_conv else None
        towers = tuple(
            Tower(name, self.stacked_convs, self.conv_cfg, self.norm_cfg, self.conv_bias, last)
            for name in ("cls_convs", "reg_convs")
        )
        outputs = (
            Output("vfnet_cls", "cls_convs", self.classes_out),
            Output("vfnet_reg", "reg_convs", 4),
            Output("vfnet_reg_refine", "reg_convs", 4),
        )
        order = (
            *("cls_convs", "reg_convs", "vfnet_reg_conv", "vfnet_reg", "scales"),
            *("vfnet_reg_refine_dconv", "vfnet_reg_refine", "scales_refine", "vfnet_cls_dconv", "vfnet_cls"),
        )
        return Plan(self.in_channels, self.feat_channels, towers, outputs, order=order)

    def width(self, output: str) -> int:
        return self.classes_out if output == "vfnet_cls" else 4

    def unit(self, level: int) -> float:
        """In what a level tells distances, pixels."""
        if self.bbox_norm_type == "stride":
            return _one(self.strides[level])
        ranges = self.regress_ranges
        return ranges[level][1] if level + 1 < len(ranges) else ranges[level - 1][1] * 2

    def star(self, xp: Ops, box: Any, level: int) -> Any:
        """(N, H, W, 18) where the nine places of a kernel look, y before x: at the corners, sides and the middle of a first
        guess (N, H, W, 4) of distances."""
        share = self.gradient_mul
        box = ((1 - share) * xp.detached(box) + share * box) / _one(self.strides[level])
        left, top, right, bottom = (box[..., at] for at in range(4))
        none = left * 0
        rows = [(y, x) for y in (-top, none, bottom) for x in (-left, none, right)]
        offset = xp.lib.stack([side for pair in rows for side in pair], -1)
        base = [side for y in (-1, 0, 1) for x in (-1, 0, 1) for side in (y, x)]
        return offset - xp.asarray(np.array(base, np.float64), offset)

    def priors(self, xp: Ops, sizes: Sizes, kind: Any) -> list[Any]:
        offset = getattr(self.anchor_generator, "center_offset", 0.0)
        return MlvlPointGenerator(self.anchor_generator.strides, offset).priors(xp, sizes, kind)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, first, refined = (together(xp, output) for output in outputs)
        spans = spans_of(outputs[0])
        boxes = xp.cast(xp.lib.concat(self.anchor_generator.priors(xp, sizes, "float32")), first)
        gt, positive, _ = self.chosen(xp, boxes, sizes, given)
        rows = rows_of(xp, positive, spans)
        place = rows.prior_of(xp, xp.lib.concat(self.priors(xp, sizes, first)))
        box = xp.cast(object_of(xp, given.truth.bboxes, rows, gt), place)
        goal = xp.lib.where(rows.real[:, None], box, xp.lib.concat([place, place + 1], axis=1))
        loss_box, _ = self.sides_loss(xp, self.loss_bbox, rows, place, first, goal)
        loss_refined, quality = self.sides_loss(xp, self.loss_bbox_refine, rows, place, refined, goal)
        label = xp.take_along(given.truth.labels, gt, 1)[..., None] == xp.arange(self.classes_out)
        score = xp.cast(label, first) * spread(xp, rows, quality, positive.shape)[..., None]
        total = xp.lib.maximum(xp.shared(xp.cast(positive, first).sum()), xp.full((), 1, first))
        width = self.classes_out
        classes = called(self.loss_cls, xp, logits.reshape((-1, width)), score.reshape((-1, width)), avg_factor=total)
        return {"loss_cls": classes, "loss_bbox": loss_box, "loss_bbox_rf": loss_refined}

    def sides_loss(self, xp: Ops, loss: Any, rows: Rows, place: Any, sides: Any, goal: Any) -> tuple[Any, Any]:
        """The loss of the positive rows' boxes, weighted by their overlaps, and these."""
        pred = self.bbox_coder.decode(xp, place, rows.of(xp, sides))
        shared = xp.lib.clip(overlaps(xp, xp.detached(pred), goal, aligned=True), _LEAST, None)
        weight = shared * xp.cast(rows.real, shared)
        mass = xp.lib.maximum(xp.shared(weight.sum()), xp.full((), 1, weight))
        return called(loss, xp, pred, goal, weight, avg_factor=mass), weight


def _one(stride: Any) -> float:
    return stride[0] if isinstance(stride, (tuple, list)) else stride
