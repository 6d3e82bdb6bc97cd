"""FreeAnchor's head (Zhang et al. 2019): which anchors are an object's is learnt, bag by bag."""

from dataclasses import InitVar, dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.dense import Given, Outputs, Sizes
from fkit.detection.loss.base import called
from fkit.detection.retina import RetinaHead
from fkit.detection.rows import together

__all__ = ["FreeAnchorRetinaHead"]

_LEAST = 1e-12
_DEEPEST = -100.0  # of a logarithm, as torch's binary cross entropy has it


@dataclass(frozen=True, eq=False, kw_only=True)
class FreeAnchorRetinaHead(RetinaHead):
    """mmdet's FreeAnchorRetinaHead; see `fkit.detection.retina.RetinaHead`.

    Args:
        pre_anchor_topk: anchors in an object's bag.
        bbox_thr: overlap from which a predicted box may be an object's.
        gamma, alpha: of the focal loss.
    """

    pre_anchor_topk: int = 50
    bbox_thr: float = 0.6
    gamma: float = 2.0
    alpha: float = 0.5
    build: InitVar[Builder]

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        lib, scores, deltas = xp.lib, xp.sigmoid(together(xp, outputs[0])), together(xp, outputs[1])
        boxes = xp.cast(lib.concat(self.priors(xp, sizes, "float32")), deltas)

        def one(score: Any, delta: Any, truth: Truth) -> tuple[Any, Any]:
            return self.object_scores(xp, boxes, xp.detached(delta), truth), self.bags(xp, boxes, score, delta, truth)

        truth = given.truth._replace(masks=None)
        covered, bags = xp.each(one, scores, deltas, truth)
        count = xp.cast(truth.valid, deltas).sum()
        least = xp.full((), 1, deltas)
        free = lib.clip(scores * (1 - covered), _LEAST, 1 - _LEAST)
        negative = (1 - self.alpha) * free**self.gamma * -_log(xp, 1 - free)
        return {
            "positive_bag_loss": bags.sum() / lib.maximum(count, least),
            "negative_bag_loss": negative.sum() / lib.maximum(count * self.pre_anchor_topk, least),
        }

    def object_scores(self, xp: Ops, boxes: Any, deltas: Any, truth: Truth) -> Any:
        """(P, num_classes): how likely the predicted box of a prior is that of an object of a class."""
        pred = self.bbox_coder.decode(xp, boxes, deltas)
        shared = overlaps(xp, xp.cast(truth.bboxes, pred), pred)
        top = xp.lib.clip(xp.lib.amax(shared, 1), self.bbox_thr + _LEAST, None)[:, None]
        likely = xp.lib.clip((shared - self.bbox_thr) / (top - self.bbox_thr), 0, 1)
        likely = xp.lib.where(truth.valid[:, None], likely, 0)
        return xp.segment_max(likely, truth.labels, self.num_classes, 0.0).T

    def bags(self, xp: Ops, boxes: Any, scores: Any, deltas: Any, truth: Truth) -> Any:
        """(G,) the loss of each object: that its bag holds no anchor that is right in class and box."""
        objects = xp.cast(truth.bboxes, boxes)
        size = min(self.pre_anchor_topk, boxes.shape[0])
        index = xp.topmost(overlaps(xp, objects, boxes), size)  # (G, size)
        flat = index.reshape(-1)
        rows = objects.shape[0]
        label = xp.lib.broadcast_to(truth.labels[:, None], (rows, size)).reshape((-1, 1))
        right = xp.take_along(xp.take(scores, flat), label, 1).reshape((rows, size))
        prior = xp.take(boxes, flat)
        whole = xp.lib.broadcast_to(objects[:, None], (rows, size, 4)).reshape((-1, 4))
        there = xp.lib.broadcast_to(truth.valid[:, None], (rows, size)).reshape((-1, 1))
        target = self.bbox_coder.encode(xp, prior, xp.lib.where(there, whole, prior))
        distance = called(self.loss_bbox, xp, xp.take(deltas, flat), target, reduction_override="none").sum(-1)
        prob = right * xp.lib.exp(-distance).reshape((rows, size))
        weight = 1 / xp.lib.clip(1 - prob, _LEAST, None)
        bag = (weight / weight.sum(1)[:, None] * prob).sum(1)
        return xp.lib.where(truth.valid, self.alpha * -_log(xp, bag), 0)


def _log(xp: Ops, a: Any) -> Any:
    return xp.lib.clip(xp.lib.log(a), _DEEPEST, None)
