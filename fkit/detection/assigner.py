"""Which ground truth each prior is for: assigners under MMDetection's names and arguments.

Every assigner has ``assign(xp, boxes, truth, ...)`` of one image; shapes are fixed and masks say what counts. Ground
truths that are no longer valid, being padding, are nobody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, Protocol, cast

from fkit.array.assign import best_of, forced, thresholded
from fkit.array.ops import Ops
from fkit.catalog.entry import Built
from fkit.detection.overlap import BboxOverlaps2D
from fkit.tree.check import check_fields, expect_number
from fkit.tree.error import FkitNotImplementedError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "OVERLAP",
    "Assigned",
    "Assigner",
    "MaxIoUAssigner",
    "Truth",
    "all_negative",
    "check_assign",
    "masked",
    "present",
    "settled",
]

OVERLAP: Final = BboxOverlaps2D()


class Truth(NamedTuple):
    """The objects of an image.

    Attributes:
        bboxes: (G, 4).
        labels: (G,) whole numbers.
        valid: (G,) bool; the others pad.
        masks: (G, H, W), or None.
    """

    bboxes: Any
    labels: Any
    valid: Any
    masks: Any = None


class Assigned(NamedTuple):
    """What an assigner says of priors.

    Attributes:
        gt: (P,) -1 to be ignored, 0 negative, i + 1 for the i-th object.
        overlap: (P,) with the object that overlaps most.
        labels: (P,) the object's, -1 where there is none.
        metric: (P,) how well a positive is aligned, of assigners that say so.
        shadow: (P, G) bool, at which priors an object's class has no loss, of assigners that say so.
    """

    gt: Any
    overlap: Any
    labels: Any
    metric: Any = None
    shadow: Any = None


class Assigner(Protocol):
    """What heads ask of an assigner."""

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
        """Assign priors.

        Args:
            boxes: (P, 4) priors, or (P, 2) points.
            truth: the objects.
            ignored: regions in which priors are neither positive nor negative.
            valid: (P,) bool, the priors that count: others come back as -1. None: all.
            counts: priors of each level.
            pred: what the model says at the priors, by name, where the assigner asks for it.
            image: (height, width) of the image, where the assigner asks for it.
        """
        ...


@dataclass(frozen=True)
class MaxIoUAssigner:
    """By thresholds of the overlap; mmdet's MaxIoUAssigner.

    Args:
        pos_iou_thr: from this overlap on a prior is the object's.
        neg_iou_thr: below this overlap a prior is negative; a pair: in [low, high).
        min_pos_iou: an object whose best prior overlaps less takes none by force.
        gt_max_assign_all: of priors that an object overlaps equally it takes all, else the first.
        ignore_iof_thr: a prior that lies in an ignored region by more than this share is ignored; not above 0: none.
        ignore_wrt_candidates: the share is of the prior's area, else of the region's.
        match_low_quality: each object takes the priors that it overlaps most, whatever the thresholds say.
        gpu_assign_thr: accepted; memory is no reason to leave the device here.
        iou_calculator: how overlaps are computed.
        perm_repeat_gt_cfg: None; shaking equal ground truths apart is not offered.

    Raises:
        FkitValueError: ``neg_iou_thr`` is neither a number nor a pair.
        FkitNotImplementedError: ``perm_repeat_gt_cfg`` is given.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> priors = np.array([[0.0, 0, 10, 10], [10, 10, 20, 20]])
        >>> truth = Truth(np.array([[0.0, 0, 10, 9]]), np.array([3]), np.array([True]))
        >>> MaxIoUAssigner(0.5, 0.5).assign(Numpy(), priors, truth).gt.tolist()
        [1, 0]
    """

    pos_iou_thr: float
    neg_iou_thr: Any
    min_pos_iou: float = 0.0
    gt_max_assign_all: bool = True
    ignore_iof_thr: float = -1
    ignore_wrt_candidates: bool = True
    match_low_quality: bool = True
    gpu_assign_thr: float = -1
    iou_calculator: Annotated[Any, Built("task_utils")] = OVERLAP
    perm_repeat_gt_cfg: Any = None

    def __post_init__(self) -> None:
        check_fields(self)
        self._negative()
        if self.perm_repeat_gt_cfg is not None:
            raise FkitNotImplementedError(
                "MaxIoUAssigner: perm_repeat_gt_cfg is not offered.", repair="Leave it out, or None."
            )

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
        """See `Assigner.assign`; ``counts`` and ``image`` say nothing here."""
        check_assign(self, xp, boxes, truth)
        if valid is not None and not xp.fixed:
            rows = xp.real(valid)
            pred = {word: xp.take(one, rows) for word, one in (pred or {}).items()}
            part = self.assign(xp, xp.take(boxes, rows), truth, ignored=ignored, pred=pred)
            return scattered(xp, part, rows, len(boxes))
        there, number = present(xp, truth)
        if not len(number) or not len(boxes):
            return all_negative(xp, boxes, valid)
        overlaps = self.overlaps(xp, boxes, there, pred)
        outside = ignored_by(xp, self.iou_calculator, boxes, ignored, self.ignore_iof_thr, self.ignore_wrt_candidates)
        if outside is not None:
            overlaps = xp.lib.where(outside, -1, overlaps)
        overlaps = masked(xp, overlaps, there.valid, valid)
        best = best_of(xp, overlaps)
        gt = thresholded(xp, best, number, self.pos_iou_thr, self._negative())
        if self.match_low_quality:
            taken = forced(xp, overlaps, number, there.valid, self.min_pos_iou, self.gt_max_assign_all)
            gt = xp.lib.where(taken > 0, taken, gt)
        return settled(xp, gt, best.overlap, truth, valid)

    def overlaps(self, xp: Ops, boxes: Any, there: Truth, pred: Any) -> Any:
        """(G, P): the overlaps that the thresholds are of."""
        return self.iou_calculator(xp, there.bboxes, boxes)

    def _negative(self) -> tuple[float, float]:
        bound: Any = self.neg_iou_thr
        ends: Any = bound if isinstance(bound, (list, tuple)) and len(cast(Any, bound)) == 2 else (0.0, bound)
        low, high = ends
        for number in (low, high):
            expect_number(number, "MaxIoUAssigner: neg_iou_thr, a number or a pair,")
        if low > high:
            raise FkitValueError(f"MaxIoUAssigner: neg_iou_thr = {quoted(bound)}, its first number above its second.")
        return low, high


def present(xp: Ops, truth: Truth) -> tuple[Truth, Any]:
    """The objects that are worth computing with, and each one's place among all, plus 1: (K,)."""
    rows = xp.real(truth.valid)
    kept = Truth(*(xp.take(one, rows) for one in truth[:3]))
    return kept, rows + 1


def ignored_by(
    xp: Ops, calculator: Any, boxes: Any, ignored: Truth | None, threshold: float, by_prior: bool = True
) -> Any:
    """(P,) bool: which priors lie in regions to be ignored by more than a share of their area; None where none can.

    Args:
        threshold: the share; not above 0: none is ignored.
        by_prior: it is a share of the prior's area, else of the region's.
    """
    if ignored is None or threshold <= 0 or not ignored.bboxes.shape[0]:
        return None
    if by_prior:
        shares = calculator(xp, boxes, ignored.bboxes, mode="iof")
    else:
        shares = xp.lib.swapaxes(calculator(xp, ignored.bboxes, boxes, mode="iof"), 0, 1)
    return ((shares > threshold) & ignored.valid).any(-1)


def masked(xp: Ops, overlaps: Any, there: Any, valid: Any) -> Any:
    """Overlaps (G, P), minus infinity where the object is padding or the prior does not count: where `present` may leave
    such."""
    if not xp.fixed:
        return overlaps
    mask = there[:, None] if valid is None else there[:, None] & valid
    return xp.lib.where(mask, overlaps, -float("inf"))


def scattered(xp: Ops, part: Assigned, rows: Any, count: int) -> Assigned:
    """What is said of the priors ``rows`` (K,), as what is said of all ``count``; the others are ignored."""
    gt, labels = (xp.put(xp.full((count,), -1, one), rows, one) for one in (part.gt, part.labels))
    return Assigned(gt, xp.put(xp.full((count,), 0, part.overlap), rows, part.overlap), labels)


def settled(xp: Ops, gt: Any, overlap: Any, truth: Truth, valid: Any) -> Assigned:
    """An assignment with its labels; without any object each prior is negative, one that does not count is ignored."""
    lib = xp.lib
    some = truth.valid.any()
    gt = lib.where(some, gt, 0)
    overlap = lib.where(some & (overlap != -float("inf")), overlap, 0)
    if valid is not None:
        gt, overlap = lib.where(valid, gt, -1), lib.where(valid, overlap, 0)
    label = xp.take(truth.labels, lib.clip(gt - 1, 0, None))
    return Assigned(gt, overlap, lib.where(gt > 0, label, -1))


def all_negative(xp: Ops, boxes: Any, valid: Any) -> Assigned:
    """What is said of priors where there is no object."""
    count = boxes.shape[0]
    gt = xp.full((count,), 0, "int64")
    return Assigned(
        gt if valid is None else xp.lib.where(valid, gt, -1),
        xp.full((count,), 0, boxes),
        xp.full((count,), -1, "int64"),
    )


def check_assign(assigner: Any, xp: Any, boxes: Any, truth: Any) -> None:
    """Refuse what an assigner cannot take.

    Raises:
        FkitTypeError: ``boxes`` are no array (P, n), ``truth`` is no `Truth`, ``xp`` no library's operations.
    """
    name, shape = type(assigner).__name__, tuple(getattr(boxes, "shape", ()))
    if len(shape) != 2 or not hasattr(xp, "lib"):
        raise FkitTypeError(f"{name}.assign: priors are an array (P, 4) of the library `xp`, not {quoted(boxes, 60)}.")
    if not isinstance(truth, Truth):
        raise FkitTypeError(f"{name}.assign: truth is a fkit.detection.assigner.Truth, not {quoted(truth, 60)}.")
