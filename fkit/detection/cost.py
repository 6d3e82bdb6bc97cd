"""What it costs to match a prediction with an object: match costs under MMDetection's names and arguments.

A cost is called with ``(xp, pred, truth, image)``: ``pred`` by name "bboxes" (P, 4), "scores" (P, K) logits, "masks"
(P, H, W) logits, as it asks for; ``truth`` a `fkit.detection.assigner.Truth` of G objects; ``image`` (height, width). It
gives (P, G).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fkit.array.ops import Ops
from fkit.array.overlap import MODES, overlaps
from fkit.detection.assigner import Truth
from fkit.tree.check import check_fields
from fkit.tree.error import FkitNotImplementedError, FkitTypeError, FkitValueError, quoted

__all__ = ["BBoxL1Cost", "ClassificationCost", "CrossEntropyLossCost", "DiceCost", "FocalLossCost", "IoUCost"]


@dataclass(frozen=True)
class BBoxL1Cost:
    """The distance of boxes in shares of the image; mmdet's BBoxL1Cost.

    Args:
        box_format: "xyxy": of corners; "xywh": of centres and sides.
        weight: of the cost.

    Raises:
        FkitValueError: another ``box_format``.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> truth = Truth(np.array([[0.0, 0, 5, 10]]), np.array([1]), np.array([True]))
        >>> BBoxL1Cost()(Numpy(), {"bboxes": np.array([[0.0, 0, 10, 10]])}, truth, (10, 10)).tolist()
        [[0.5]]
    """

    box_format: str = "xyxy"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        _check_word(self, "box_format", self.box_format, ("xyxy", "xywh"))

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        boxes, others = _asked(self, pred, "bboxes"), truth.bboxes
        if self.box_format == "xywh":
            boxes, others = (
                xp.lib.concat([(one[:, :2] + one[:, 2:]) / 2, one[:, 2:] - one[:, :2]], axis=-1)
                for one in (boxes, others)
            )
        if image is None:
            raise FkitValueError("BBoxL1Cost asks for the image's size: image = (height, width).")
        size = xp.cast(image, boxes) if hasattr(image, "dtype") else xp.asarray(np.array(image, np.float64), boxes)
        unit = xp.lib.stack([size[1], size[0]] * 2)
        return xp.lib.sum(xp.lib.abs((boxes / unit)[:, None, :] - (others / unit)[None, :, :]), -1) * self.weight


@dataclass(frozen=True)
class IoUCost:
    """The overlap, negative; mmdet's IoUCost.

    Args:
        iou_mode: a mode of `fkit.array.overlap.overlaps`.
        weight: of the cost.

    Raises:
        FkitValueError: another ``iou_mode``.
    """

    iou_mode: str = "giou"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        _check_word(self, "iou_mode", self.iou_mode, MODES)

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        return -overlaps(xp, _asked(self, pred, "bboxes"), truth.bboxes, self.iou_mode) * self.weight


@dataclass(frozen=True)
class ClassificationCost:
    """The probability of the object's class, negative; mmdet's ClassificationCost.

    Args:
        weight: of the cost.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        return -xp.take(xp.softmax(_asked(self, pred, "scores"), -1).T, truth.labels).T * self.weight


@dataclass(frozen=True)
class FocalLossCost:
    """The focal loss of the object's class less that of its absence; of masks pixel for pixel; mmdet's FocalLossCost.

    Args:
        alpha: weight of what is there.
        gamma: power of the error.
        eps: added to probabilities.
        binary_input: it is of "masks", not of "scores".
        weight: of the cost.
    """

    alpha: float = 0.25
    gamma: float = 2
    eps: float = 1e-12
    binary_input: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        if self.binary_input:
            scores, masks = _flat(xp, self, pred, truth)
            present, absent = self._losses(xp, scores)
            return (present @ masks.T + absent @ (1 - masks).T) / scores.shape[1] * self.weight
        present, absent = self._losses(xp, _asked(self, pred, "scores"))
        return xp.take((present - absent).T, truth.labels).T * self.weight

    def _losses(self, xp: Ops, scores: Any) -> tuple[Any, Any]:
        p, log = xp.sigmoid(scores), xp.lib.log
        present = -log(p + self.eps) * self.alpha * (1 - p) ** self.gamma
        return present, -log(1 - p + self.eps) * (1 - self.alpha) * p**self.gamma


@dataclass(frozen=True)
class DiceCost:
    """One less the Dice coefficient of masks; mmdet's DiceCost.

    Args:
        pred_act: masks are logits.
        eps: added above and below.
        naive_dice: below are sums, else sums of squares.
        weight: of the cost.
    """

    pred_act: bool = False
    eps: float = 1e-3
    naive_dice: bool = True
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        scores, masks = _flat(xp, self, pred, truth)
        scores = xp.sigmoid(scores) if self.pred_act else scores
        size, size2 = (xp.lib.sum(one if self.naive_dice else one**2, 1) for one in (scores, masks))
        common = 2 * (scores @ masks.T)
        return (1 - (common + self.eps) / (size[:, None] + size2[None, :] + self.eps)) * self.weight


@dataclass(frozen=True)
class CrossEntropyLossCost:
    """The binary cross entropy of masks, pixel for pixel; mmdet's CrossEntropyLossCost.

    Args:
        use_sigmoid: True; nothing else is defined.
        weight: of the cost.

    Raises:
        FkitNotImplementedError: ``use_sigmoid`` is False.
    """

    use_sigmoid: bool = True
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.use_sigmoid:
            raise FkitNotImplementedError("CrossEntropyLossCost: use_sigmoid = False is not defined.")

    def __call__(self, xp: Ops, pred: Any, truth: Truth, image: Any = None) -> Any:
        """(P, G)."""
        scores, masks = _flat(xp, self, pred, truth)
        present, absent = xp.softplus(-scores), xp.softplus(scores)
        return (present @ masks.T + absent @ (1 - masks).T) / scores.shape[1] * self.weight


def _asked(cost: Any, pred: Any, word: str) -> Any:
    if not isinstance(pred, Mapping) or word not in pred:
        raise FkitTypeError(
            f"{type(cost).__name__} asks for what is predicted, by name: {word}; not {quoted(pred, 60)}."
        )
    return cast("Mapping[str, Any]", pred)[word]


def _flat(xp: Ops, cost: Any, pred: Any, truth: Truth) -> tuple[Any, Any]:
    """(P, H * W) predicted masks, (G, H * W) those of the objects."""
    masks = _asked(cost, pred, "masks")
    if truth.masks is None:
        raise FkitValueError(f"{type(cost).__name__} asks for objects with masks.")
    size = masks.shape[1] * masks.shape[2]
    return masks.reshape(-1, size), xp.cast(truth.masks.reshape(-1, size), masks)


def _check_word(cost: Any, key: str, word: str, choices: tuple[str, ...]) -> None:
    if word not in choices:
        raise FkitValueError(
            f"{type(cost).__name__}: {key} = {quoted(word)} is unknown.", value=str(word), choices=choices
        )
