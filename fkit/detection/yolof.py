"""YOLOF's head (Chen et al. 2021): one level, on which each object has as many anchors as any other."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Annotated, Any

from frozendict import frozendict

from fkit.array.box import to_centres
from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.catalog.entry import Built
from fkit.detection.anchor_head import AnchorHead
from fkit.detection.assigner import OVERLAP, Assigned, Truth, check_assign, settled
from fkit.detection.default import rare
from fkit.detection.dense import Given, Outputs, Sizes
from fkit.detection.loss.base import called
from fkit.detection.plan import Output, Plan, Tower
from fkit.detection.prior import inside
from fkit.detection.region import asked
from fkit.detection.rows import together
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["UniformAssigner", "YOLOFHead"]

_NORM = frozendict(type="BN", requires_grad=True)
_RARE = rare("cls_score")
_MOST = 1e8  # of an exponential


@dataclass(frozen=True)
class UniformAssigner:
    """The same number of priors for each object: the nearest ones, and those whose predictions are; mmdet's UniformAssigner.

    Args:
        pos_ignore_thr: a prior that overlaps its object less is ignored.
        neg_ignore_thr: a prior whose prediction overlaps an object more, and that is nobody's, is ignored.
        match_times: priors of each object, of either kind.
        iou_calculator: how overlaps are computed.

    Raises:
        FkitValueError: ``match_times`` is below 1.
    """

    pos_ignore_thr: float
    neg_ignore_thr: float
    match_times: int = 4
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP

    def __post_init__(self) -> None:
        check_fields(self)
        if self.match_times < 1:
            raise FkitValueError(f"UniformAssigner: match_times = {self.match_times} is below 1.")

    def pairs(self, xp: Ops, boxes: Any, decoded: Any, truth: Truth, valid: Any = None) -> tuple[Any, Any, Any]:
        """Priors and objects that are brought together, K pairs: a prior may be in several.

        Args:
            boxes, decoded: (P, 4) the priors, and what is predicted there.
            valid: (P,) the priors that count; None: all.

        Returns:
            (K,) the priors, (K,) the objects, (K,) bool which of the pairs overlap enough.
        """
        most = min(self.match_times, boxes.shape[0])
        objects = xp.cast(truth.bboxes, boxes)
        chosen: list[Any] = []
        for one in (xp.detached(decoded), boxes):
            away = xp.lib.abs(to_centres(xp, one)[:, None] - to_centres(xp, objects)[None]).sum(-1)
            away = away.T if valid is None else xp.lib.where(valid, away.T, float("inf"))
            index = xp.topmost(-away, most, valid)
            order = xp.order(xp.take_along(away, index, 1))
            chosen.append(xp.take_along(index, order, 1).T)  # (most, G)
        prior = xp.lib.concat(chosen, axis=1).reshape(-1)
        number = objects.shape[0]
        gt = xp.arange(2 * most * number) % number
        shared = self.iou_calculator(xp, xp.take(boxes, prior), xp.take(objects, gt), aligned=True)
        near = (shared >= self.pos_ignore_thr) & xp.take(truth.valid, gt)
        return prior, gt, near if valid is None else near & xp.take(valid, prior)

    def assign(
        self,
        xp: Ops,
        boxes: Any,
        truth: Truth,
        *,
        ignored: Truth | None = None,
        valid: Any = None,
        counts: Sequence[int] | None = None,
        pred: Any = None,
        image: Any = None,
    ) -> Assigned:
        """See `fkit.detection.assigner.Assigner.assign`.

        Args:
            pred: "decoder_priors" (P, 4), the predicted boxes.
        """
        check_assign(self, xp, boxes, truth)
        decoded = xp.detached(asked(self, pred, "decoder_priors"))
        lib, count = xp.lib, boxes.shape[0]
        shared = lib.where(truth.valid, self.iou_calculator(xp, decoded, xp.cast(truth.bboxes, boxes)), -1)
        gt = lib.where(lib.amax(shared, 1) > self.neg_ignore_thr, -1, 0)
        prior, mine, near = self.pairs(xp, boxes, decoded, truth, valid)
        place = lib.where(xp.take(truth.valid, mine), xp.arange(prior.shape[0]) + 1, 0)
        last = xp.segment_max(place, prior, count, 0)  # of several objects that take a prior, the last
        at = lib.clip(last - 1, 0, None)
        gt = lib.where(last > 0, lib.where(xp.take(near, at), xp.take(mine, at) + 1, -1), xp.cast(gt, mine))
        return settled(xp, gt, xp.full((count,), 0, boxes), truth, valid)


@dataclass(frozen=True, eq=False, kw_only=True)
class YOLOFHead(AnchorHead):
    """mmdet's YOLOFHead; see `fkit.detection.anchor_head.AnchorHead`.

    Args:
        num_cls_convs, num_reg_convs: convolutions before each prediction.
        norm_cfg: of these.
    """

    num_cls_convs: int = 2
    num_reg_convs: int = 4
    norm_cfg: Any = _NORM
    init_cfg: Any = _RARE
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        super().__post_init__(build)
        if self.anchor_generator.num_levels != 1 or not self.use_sigmoid:
            raise FkitValueError("YOLOFHead: it is of one level, whose scores are sigmoids.")

    @property
    def plan(self) -> Plan:
        towers = (
            Tower("cls_subnet", self.num_cls_convs, None, self.norm_cfg),
            Tower("bbox_subnet", self.num_reg_convs, None, self.norm_cfg),
        )
        outputs = (
            Output("cls_score", "cls_subnet", self.anchors * self.num_classes),
            Output("bbox_pred", "bbox_subnet", self.anchors * 4),
            Output("object_pred", "bbox_subnet", self.anchors),
        )
        return Plan(self.in_channels, self.in_channels, towers, outputs)

    def shaped(self, xp: Ops, level: int, outputs: tuple[Any, ...], train: bool) -> tuple[Any, ...]:
        """Scores are of a class and of there being an object together; torch has channels on the second axis."""
        lib, (scores, deltas, objects) = xp.lib, outputs
        axis = 3 if xp.name == "jax" else 1
        apart = (*scores.shape[:axis], self.anchors, self.num_classes, *scores.shape[axis + 1 :])
        some = objects.reshape((*objects.shape[:axis], self.anchors, 1, *objects.shape[axis + 1 :]))
        mine = scores.reshape(apart)
        norm = lib.log(1 + lib.clip(lib.exp(mine), None, _MOST) + lib.clip(lib.exp(some), None, _MOST))
        return (mine + some - norm).reshape(scores.shape), deltas

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, deltas, truth = outputs[0][0], together(xp, outputs[1]), given.truth._replace(masks=None)
        boxes = xp.cast(self.priors(xp, sizes, "float32")[0], deltas)
        every = xp.lib.broadcast_to(boxes[None], deltas.shape).reshape((-1, 4))
        decoded = self.bbox_coder.decode(xp, every, deltas.reshape((-1, 4))).reshape(deltas.shape)
        gt, positive, negative = self.chosen(xp, boxes, sizes, given, {"decoder_priors": xp.detached(decoded)})
        total = self.total(xp, positive, negative, deltas)
        labels = xp.take_along(truth.labels, gt, 1)
        label, weight = self.labels(xp, positive, positive | negative, labels, deltas)
        flat = logits.reshape((-1, logits.shape[2]))

        border = self.train_cfg.get("allowed_border", 0)

        def one(mine: Any, objects: Truth, pad: Any, img: Any) -> tuple[Any, Any, Any]:
            valid = inside(xp, boxes, self.anchor_generator.valid(xp, sizes, pad)[0], img, border)
            prior, which, near = self.assigner.pairs(xp, boxes, mine, objects, valid)
            box = xp.lib.where(near[:, None], xp.take(xp.cast(objects.bboxes, mine), which), xp.take(boxes, prior))
            return xp.take(mine, prior), box, xp.cast(near, mine)

        parts = xp.each(one, decoded, truth, given.shapes.pad, given.shapes.img)
        pred, box, heavy = (values.reshape((-1, *values.shape[2:])) for values in parts)
        return {
            "loss_cls": called(self.loss_cls, xp, flat, label.reshape(-1), weight.reshape(-1), avg_factor=total),
            "loss_bbox": called(self.loss_bbox, xp, pred, box, heavy, avg_factor=total),
        }
