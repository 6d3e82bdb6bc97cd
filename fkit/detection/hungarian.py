"""One prediction an object, at the least total cost: the assigner of query-based detectors, under MMDetection's name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fkit.array.ops import Ops
from fkit.catalog.entry import Built
from fkit.detection.assigner import Assigned, Truth, all_negative, check_assign
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["HungarianAssigner"]


@dataclass(frozen=True)
class HungarianAssigner:
    """One prediction an object, at the least total cost; mmdet's HungarianAssigner.

    Args:
        match_costs: what the cost is the sum of: one, or a list.

    Raises:
        FkitValueError: the list is empty.
        FkitTypeError: one is no cost.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> from fkit.detection.cost import IoUCost
        >>> truth = Truth(np.array([[0.0, 0, 5, 10]]), np.array([7]), np.array([True]))
        >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 5, 9]])
        >>> HungarianAssigner([IoUCost()]).assign(Numpy(), boxes, truth, pred={"bboxes": boxes}).gt.tolist()
        [0, 1]
    """

    match_costs: Annotated[Any, Built("task_utils")]

    def __post_init__(self) -> None:
        costs: Any = self.match_costs
        costs = tuple(costs) if isinstance(costs, (list, tuple)) else (costs,)
        if not costs:
            raise FkitValueError("HungarianAssigner: match_costs is an empty list.")
        for cost in costs:
            if not callable(cost):
                raise FkitTypeError(f"HungarianAssigner: match_costs are costs, not {quoted(cost, 60)}.")
        object.__setattr__(self, "match_costs", costs)

    def cost(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G): the sum of the costs; arguments as those of `fkit.detection.cost`."""
        first, *others = (cost(xp, pred, truth, image) for cost in self.match_costs)
        return sum(others, first)

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
        """See `fkit.detection.assigner.Assigner.assign`; a prediction of no object is negative.

        Args:
            boxes: (P, n), of which only the count says something.
            pred: as the costs ask for it, P rows each.
            image: (height, width), where a cost asks for it.
        """
        check_assign(self, xp, boxes, truth)
        if not truth.bboxes.shape[0] or not len(boxes):
            return all_negative(xp, boxes, None)
        cost = xp.detached(self.cost(xp, pred, truth, image))
        row = xp.partners(cost.T, truth.valid)
        label = xp.take(truth.labels, xp.lib.clip(row, 0, None))
        overlap = xp.full((len(boxes),), 0, boxes)
        return Assigned(row + 1, overlap, xp.lib.where(row < 0, -1, label))
