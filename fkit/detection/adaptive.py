"""Assigners whose threshold, or number of positives, follows from the image: ATSS, task-aligned, SimOTA, dynamic soft label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fkit.array.assign import Best, dynamic, inner, marked, nearest, spread, strongest
from fkit.array.ops import Ops
from fkit.catalog.entry import Built
from fkit.detection.assigner import OVERLAP, Assigned, Truth, all_negative, check_assign, ignored_by, present, settled
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["ATSSAssigner", "DynamicSoftLabelAssigner", "SimOTAAssigner", "TaskAlignedAssigner", "predicted"]

_FAR = 1e8  # what stands where a prior is nobody's
_LEAST = 1e-7


@dataclass(frozen=True)
class ATSSAssigner:
    """By a threshold of each object: the mean overlap of its nearest priors and their standard deviation; mmdet's ATSSAssigner.

    Args:
        topk: nearest priors of each level.
        alpha: None: overlaps are of priors; else they are of the predicted boxes, to this power, times the scores to
            1 - alpha.
        iou_calculator: how overlaps are computed.
        ignore_iof_thr: a prior that lies in an ignored region by more than this share is ignored; not above 0: none.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> priors = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]])
        >>> truth = Truth(np.array([[1.0, 0, 10, 10]]), np.array([3]), np.array([True]))
        >>> ATSSAssigner(3).assign(Numpy(), priors, truth, counts=[3]).gt.tolist()
        [1, 0, 0]
    """

    topk: int
    alpha: float | None = None
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP
    ignore_iof_thr: float = -1

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
            counts: priors of each level; None: all are of one.
            pred: where ``alpha`` is given, "bboxes" (P, 4) and "scores" (P, K), logits.
        """
        check_assign(self, xp, boxes, truth)
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        lib, boxes = xp.lib, boxes[:, :4]
        overlaps = self._overlaps(xp, boxes, there, pred)
        center, other = ((one[:, :2] + one[:, 2:]) / 2 for one in (boxes, there.bboxes))
        distances = lib.sqrt(lib.sum((other[:, None, :] - center[None, :, :]) ** 2, -1))
        outside = ignored_by(xp, self.iou_calculator, boxes, ignored, self.ignore_iof_thr)
        if outside is not None:
            distances = lib.where(outside, _FAR, distances)
        if valid is not None:
            distances = lib.where(valid, distances, float("inf"))
        index, length = nearest(xp, distances, tuple(counts or (len(boxes),)), self.topk, valid)
        near = length < float("inf")
        chosen = xp.take_along(overlaps, index, 1)
        inside = xp.take_along(inner(xp, center, there.bboxes), index, 1) > 0.01
        positive = near & inside & (chosen >= spread(xp, chosen, near)[:, None]) & there.valid[:, None]
        best = strongest(xp, overlaps, marked(xp, index, positive, len(boxes)), -_FAR)
        return _by_best(xp, best, number, truth, valid, 0 if outside is None else lib.where(outside, -1, 0))

    def _overlaps(self, xp: Ops, boxes: Any, there: Truth, pred: Any) -> Any:
        """(G, P)."""
        if self.alpha is None:
            return self.iou_calculator(xp, there.bboxes, boxes)
        decoded, scores = predicted(self, pred)
        overlaps = xp.detached(self.iou_calculator(xp, there.bboxes, decoded))
        scores = xp.detached(xp.sigmoid(xp.take(scores.T, there.labels)))
        return scores ** (1 - self.alpha) * overlaps**self.alpha


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """By scores and overlaps of what is predicted, multiplied; mmdet's TaskAlignedAssigner.

    Args:
        topk: positives of each object, at most.
        iou_calculator: how overlaps are computed.

    Raises:
        FkitValueError: ``topk`` is below 1.
    """

    topk: int
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP

    def __post_init__(self) -> None:
        check_fields(self)
        if self.topk < 1:
            raise FkitValueError(f"TaskAlignedAssigner: topk = {self.topk} is below 1.")

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
        alpha: float = 1,
        beta: float = 6,
    ) -> Assigned:
        """See `fkit.detection.assigner.Assigner.assign`; ``metric`` of the answer is the alignment of the positives.

        Args:
            pred: "bboxes" (P, 4) and "scores" (P, K), probabilities.
            alpha: the power of the scores.
            beta: the power of the overlaps.
        """
        check_assign(self, xp, boxes, truth)
        decoded, scores = predicted(self, pred)
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)._replace(metric=xp.full((len(boxes),), 0, boxes))
        lib = xp.lib
        overlaps = xp.detached(self.iou_calculator(xp, there.bboxes, decoded))
        metric = xp.detached(xp.take(scores.T, there.labels)) ** alpha * overlaps**beta
        able = there.valid[:, None] if valid is None else there.valid[:, None] & valid
        value, index = xp.topk(lib.where(able, metric, -1), min(self.topk, len(boxes)))
        inside = inner(xp, (boxes[:, :2] + boxes[:, 2:4]) / 2, there.bboxes)
        positive = (value > 0) & (xp.take_along(inside, index, 1) > 0.01)
        best = strongest(xp, overlaps, marked(xp, index, positive, len(boxes)), -_FAR)
        result = _by_best(xp, best, number, truth, valid, 0)
        return result._replace(metric=lib.where(result.gt > 0, xp.take_along(metric, best.row[None, :], 0)[0], 0))


@dataclass(frozen=True)
class SimOTAAssigner:
    """By what it would cost to be the object's, as many as fit; mmdet's SimOTAAssigner.

    Args:
        center_radius: of the middle of an object, in strides of the prior.
        candidate_topk: overlaps that are added up to how many priors an object takes.
        iou_weight: of the overlap in the cost.
        cls_weight: of the scores in the cost.
        iou_calculator: how overlaps are computed.
    """

    center_radius: float = 2.5
    candidate_topk: int = 10
    iou_weight: float = 3.0
    cls_weight: float = 1.0
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
        """See `fkit.detection.assigner.Assigner.assign`.

        Args:
            boxes: (P, 4), points and their strides.
            pred: "bboxes" (P, 4) and "scores" (P, K), probabilities.
        """
        check_assign(self, xp, boxes, truth)
        decoded, scores = predicted(self, pred)
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        lib = xp.lib
        counted = there.valid[:, None] if valid is None else there.valid[:, None] & valid
        middle = (there.bboxes[:, :2] + there.bboxes[:, 2:]) / 2
        reach = self.center_radius * boxes[None, :, 2:4] - lib.abs(boxes[None, :, :2] - middle[:, None, :])
        in_box, in_middle = inner(xp, boxes[:, :2], there.bboxes) > 0, lib.amin(reach, -1) > 0
        able = ((in_box | in_middle) & counted).any(0)
        overlaps = self.iou_calculator(xp, there.bboxes, decoded)
        cost = self._score_cost(xp, scores, there.labels) * self.cls_weight
        cost = cost - lib.log(overlaps + _LEAST) * self.iou_weight + xp.cast(~(in_box & in_middle), cost) * 1e5
        return _by_dynamic(xp, cost, overlaps, able & counted, self.candidate_topk, -1e5, number, truth, valid)

    def _score_cost(self, xp: Ops, scores: Any, labels: Any) -> Any:
        """(G, P): the binary cross entropy of all classes."""
        lib = xp.lib
        scores = xp.cast(scores, "float32")
        yes, no = (-lib.clip(lib.log(one), -100, None) for one in (scores, 1 - scores))
        mine = (xp.arange(scores.shape[1]) == labels[:, None])[:, None, :]
        return lib.sum(lib.where(mine, yes, no), -1)


@dataclass(frozen=True)
class DynamicSoftLabelAssigner:
    """As SimOTA, by labels as soft as the overlap and a middle as soft as the distance; mmdet's DynamicSoftLabelAssigner.

    Args:
        soft_center_radius: of the middle of an object, in strides of the prior.
        topk: overlaps that are added up to how many priors an object takes.
        iou_weight: of the overlap in the cost.
        iou_calculator: how overlaps are computed.
    """

    soft_center_radius: float = 3.0
    topk: int = 13
    iou_weight: float = 3.0
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
        """See `fkit.detection.assigner.Assigner.assign`; where ``truth`` has masks, an object's middle is their centre of mass.

        Args:
            boxes: (P, 4), points and their strides.
            pred: "bboxes" (P, 4) and "scores" (P, K), logits.
        """
        check_assign(self, xp, boxes, truth)
        decoded, scores = predicted(self, pred)
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        lib = xp.lib
        able = there.valid[:, None] if valid is None else there.valid[:, None] & valid
        able = able & ((inner(xp, boxes[:, :2], there.bboxes) > 0) & there.valid[:, None]).any(0)
        middle = (there.bboxes[:, :2] + there.bboxes[:, 2:]) / 2
        if truth.masks is not None:
            middle = mass(xp, xp.take(truth.masks, number - 1), middle)
        away = lib.sqrt(lib.sum((boxes[None, :, :2] - middle[:, None, :]) ** 2, -1)) / boxes[None, :, 2]
        overlaps = self.iou_calculator(xp, there.bboxes, decoded)
        soft = lib.where(xp.arange(scores.shape[1]) == there.labels[:, None, None], overlaps[..., None], 0)
        entropy = xp.softplus(scores) - scores * soft
        score_cost = lib.sum(entropy * lib.abs(soft - xp.sigmoid(scores)) ** 2, -1)
        iou_cost = -lib.log(overlaps + _LEAST) * self.iou_weight
        cost = score_cost + iou_cost + 10.0 ** (away - self.soft_center_radius)
        return _by_dynamic(xp, cost, overlaps, able, self.topk, -_FAR, number, truth, valid)


def predicted(assigner: Any, pred: Any) -> tuple[Any, Any]:
    """The boxes and scores that a model predicts at priors.

    Raises:
        FkitValueError: they are not given.
    """
    if not isinstance(pred, Mapping) or not {"bboxes", "scores"} <= set(pred):  # pyright: ignore[reportUnknownArgumentType]
        raise FkitValueError(
            f"{type(assigner).__name__}.assign asks for what the model predicts: pred = {{'bboxes': ..., 'scores': ...}}."
        )
    return pred["bboxes"], pred["scores"]  # pyright: ignore[reportUnknownVariableType]


def mass(xp: Ops, masks: Any, like: Any) -> Any:
    """(G, 2): the centres of mass (x, y) of masks (G, H, W)."""
    lib = xp.lib
    masks = xp.cast(masks, like)
    _, height, width = masks.shape
    total = lib.clip(lib.sum(masks, (1, 2)), _LEAST, None)
    x = lib.sum(masks * xp.arange(width, like), (1, 2)) / total
    y = lib.sum(masks * xp.arange(height, like)[:, None], (1, 2)) / total
    return lib.stack([x, y], -1)


def _by_best(xp: Ops, best: Best, number: Any, truth: Truth, valid: Any, nothing: Any) -> Assigned:
    """Priors are the object's that overlaps them most, ``nothing`` where there is none."""
    gt = xp.lib.where(best.overlap != -_FAR, xp.take(number, best.row), nothing)
    return settled(xp, gt, best.overlap, truth, valid)


def _by_dynamic(
    xp: Ops, cost: Any, overlaps: Any, able: Any, most: int, nothing: float, number: Any, truth: Truth, valid: Any
) -> Assigned:
    cost, overlaps = xp.detached(cost), xp.detached(overlaps)
    taken = dynamic(xp, cost, overlaps, able, most)
    best = strongest(xp, overlaps, taken, nothing)
    gt = xp.lib.where(best.overlap != nothing, xp.take(number, best.row), 0)
    overlap = xp.lib.where(able.any(), best.overlap, 0)
    return settled(xp, gt, overlap, truth, valid)
