"""Assigners by where a prior's centre is: nearest points, regions around the middle of an object, cells that are responsible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fkit.array.assign import best_of, forced, inner, marked
from fkit.array.ops import Ops
from fkit.catalog.entry import Built
from fkit.detection.assigner import (
    OVERLAP,
    Assigned,
    MaxIoUAssigner,
    Truth,
    all_negative,
    check_assign,
    present,
    settled,
)
from fkit.tree.check import check_fields, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["ApproxMaxIoUAssigner", "CenterRegionAssigner", "GridAssigner", "PointAssigner", "asked"]


@dataclass(frozen=True)
class PointAssigner:
    """The nearest points of the level that fits an object's size; mmdet's PointAssigner.

    Args:
        scale: an object of this side is of the level of stride 1.
        pos_num: points of each object.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> points = np.array([[4.0, 4, 8], [12, 4, 8], [8, 8, 16]])
        >>> truth = Truth(np.array([[0.0, 0, 32, 32]]), np.array([3]), np.array([True]))
        >>> PointAssigner(pos_num=1).assign(Numpy(), points, truth).gt.tolist()
        [0, 1, 0]
    """

    scale: float = 4
    pos_num: int = 3

    def __post_init__(self) -> None:
        check_fields(self)

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
            boxes: (P, 3), points and their stride.
        """
        check_assign(self, xp, boxes, truth)
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        lib, far = xp.lib, float("inf")
        level = xp.cast(lib.log2(boxes[:, 2]), "int64")
        side = lib.clip(there.bboxes[:, 2:] - there.bboxes[:, :2], 1e-6, None)
        middle = (there.bboxes[:, :2] + there.bboxes[:, 2:]) / 2
        scales = lib.log2(side / self.scale)
        mine = xp.cast((scales[:, 0] + scales[:, 1]) / 2, "int64")
        mine = lib.minimum(lib.maximum(mine, lib.amin(level, 0)), lib.amax(level, 0))
        away = (boxes[None, :, :2] - middle[:, None, :]) / side[:, None, :]
        able = (level == mine[:, None]) & there.valid[:, None]
        able = able if valid is None else able & valid
        distance = lib.where(able, lib.sqrt(lib.sum(away**2, -1)), far)
        negative, index = xp.topk(-distance, min(self.pos_num, len(boxes)))
        taken = marked(xp, index, negative > -far, len(boxes))
        best = best_of(xp, -lib.where(taken, distance, far))
        gt = lib.where(best.overlap > -far, xp.take(number, best.row), 0)
        return settled(xp, gt, xp.full((len(boxes),), 0, boxes), truth, valid)


@dataclass(frozen=True)
class CenterRegionAssigner:
    """The priors that lie in the middle of an object; of several objects the smallest's; mmdet's CenterRegionAssigner.

    Args:
        pos_scale: the middle, in shares of the object.
        neg_scale: outside of this share a prior is negative; between the two it is so for other classes alone.
        min_pos_iof: a prior is in a region by more than this share of its area.
        ignore_gt_scale: the middle of regions to be ignored.
        foreground_dominate: a prior that is positive of one object, and in the shadow of another of its class, stays positive.
        iou_calculator: how overlaps are computed.
    """

    pos_scale: float
    neg_scale: float
    min_pos_iof: float = 1e-2
    ignore_gt_scale: float = 0.5
    foreground_dominate: bool = False
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP

    def __post_init__(self) -> None:
        check_fields(self)

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
        """See `fkit.detection.assigner.Assigner.assign`; ``shadow`` of the answer says at which priors an object's class
        has no loss."""
        check_assign(self, xp, boxes, truth)
        lib, there = xp.lib, truth.bboxes
        if not there.shape[0] or not len(boxes):
            return all_negative(xp, boxes, valid)._replace(shadow=xp.full((len(boxes), there.shape[0]), False, "bool"))
        counted = truth.valid if valid is None else truth.valid & valid[:, None]
        center = (boxes[:, :2] + boxes[:, 2:4]) / 2
        core, shadow = (
            (self.iou_calculator(xp, boxes, _scaled(xp, there, scale), mode="iof") > self.min_pos_iof) & counted
            for scale in (self.pos_scale, self.neg_scale)
        )
        core = core & (inner(xp, center, there) > 0).T
        area = (there[:, 2] - there[:, 0]) * (there[:, 3] - there[:, 1])
        order = xp.order(area, descending=True)
        priority = xp.put(xp.arange(len(area)), order, xp.arange(len(area)))
        row = xp.argmax(lib.where(core, priority, -1), 1)
        gt = lib.where(core.any(1), row + 1, 0)
        shadow = (shadow & ~core) | (core & (xp.arange(len(area)) != row[:, None]))
        if ignored is not None and ignored.bboxes.shape[0]:
            inside = inner(xp, center, _scaled(xp, ignored.bboxes, self.ignore_gt_scale)) > 0
            gt = lib.where((inside & ignored.valid[:, None]).any(0), -1, gt)
        same = shadow & (gt > 0)[:, None] & (truth.labels == xp.take(truth.labels, lib.clip(gt - 1, 0, None))[:, None])
        if self.foreground_dominate:
            shadow = shadow & ~same
        else:
            gt = lib.where(same.any(1), 0, gt)
        return settled(xp, gt, xp.full((len(boxes),), 0, boxes), truth, valid)._replace(shadow=shadow)


@dataclass(frozen=True)
class GridAssigner:
    """By thresholds of the overlap, positive in the cells alone that are responsible; mmdet's GridAssigner.

    Args:
        pos_iou_thr: above this overlap a prior is the object's.
        neg_iou_thr: up to this overlap a prior is negative; a pair: in (low, high].
        min_pos_iou: an object whose best prior overlaps no more takes none by force.
        gt_max_assign_all: of priors that an object overlaps equally it takes all, else the first.
        iou_calculator: how overlaps are computed.
    """

    pos_iou_thr: float
    neg_iou_thr: Any
    min_pos_iou: float = 0.0
    gt_max_assign_all: bool = True
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP

    def __post_init__(self) -> None:
        check_fields(self)
        self._negative()

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
            pred: "responsible_flags" (P,) bool.
        """
        check_assign(self, xp, boxes, truth)
        responsible = asked(self, pred, "responsible_flags")
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        lib = xp.lib
        overlaps = self.iou_calculator(xp, there.bboxes, boxes)
        overlaps = lib.where(there.valid[:, None] if valid is None else there.valid[:, None] & valid, overlaps, -1)
        most = lib.amax(overlaps, 0)
        low, high = self._negative()
        above = most >= 0 if low is None else most > low
        gt = xp.cast(lib.where(above & (most <= high), 0, -1), number)
        overlaps = lib.where(responsible, overlaps, -1)
        best = best_of(xp, overlaps)
        gt = lib.where((best.overlap > self.pos_iou_thr) & responsible, xp.take(number, best.row), gt)
        eligible = there.valid & (lib.amax(overlaps, 1) > self.min_pos_iou)
        taken = forced(xp, overlaps, number, eligible, -float("inf"), self.gt_max_assign_all)
        gt = lib.where((taken > 0) & responsible, taken, gt)
        return settled(xp, gt, best.overlap, truth, valid)

    def _negative(self) -> tuple[float | None, float]:
        bound: Any = self.neg_iou_thr
        pair: Any = bound if isinstance(bound, (list, tuple)) else (None, bound)
        if len(pair) != 2:
            raise FkitValueError(f"GridAssigner: neg_iou_thr = {quoted(bound)} is neither a number nor a pair.")
        for number in pair[0 if pair[0] is not None else 1 :]:
            expect_number(number, "GridAssigner: neg_iou_thr, a number or a pair,")
        return pair[0], pair[1]


@dataclass(frozen=True)
class ApproxMaxIoUAssigner(MaxIoUAssigner):
    """As `MaxIoUAssigner`, by the best of several anchors that a prior stands for; arguments as there.

    ``assign`` asks for ``pred = {"approxs": (P, A, 4)}``, the anchors of each prior.
    """

    def overlaps(self, xp: Ops, boxes: Any, there: Truth, pred: Any) -> Any:
        """(G, P)."""
        anchors = asked(self, pred, "approxs")
        every = self.iou_calculator(xp, there.bboxes, anchors.reshape(-1, 4))
        return xp.lib.amax(every.reshape(-1, *anchors.shape[:2]), -1)


def asked(assigner: Any, pred: Any, word: str) -> Any:
    """What an assigner asks for by name.

    Raises:
        FkitTypeError: it is not there.
    """
    if not isinstance(pred, Mapping) or word not in pred:
        raise FkitTypeError(
            f"{type(assigner).__name__}.assign asks for pred = {{{word!r}: ...}}, not {quoted(pred, 60)}."
        )
    return pred[word]  # pyright: ignore[reportUnknownVariableType]


def _scaled(xp: Ops, boxes: Any, scale: float) -> Any:
    """Boxes scaled about their middle."""
    middle = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    return xp.lib.concat([middle - half, middle + half], axis=-1)
