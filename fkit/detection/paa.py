"""PAA's head (Kim and Lee 2020): which of an object's anchors are positive, a mixture of two Gaussians of their losses says."""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any

from fkit.array.assign import marked
from fkit.array.mixture import mixture
from fkit.array.ops import Ops
from fkit.array.overlap import overlaps
from fkit.array.suppress import multiclass
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.atss import ATSSHead
from fkit.detection.dense import Detections, Given, Outputs, Sizes
from fkit.detection.image import Shapes
from fkit.detection.loss.base import called
from fkit.detection.rows import Rows, rows_of, spans_of, spread, together
from fkit.tree.error import FkitValueError

__all__ = ["PAAHead", "voted"]

_COVARIANCES = ("full", "tied", "diag", "spherical")
_FAR = float("inf")
_LEAST = 1e-12  # of an overlap that weighs
_NEAR, _SPREAD = 0.01, 0.025  # from what overlap on a candidate votes, and how fast its vote grows


@dataclass(frozen=True, eq=False, kw_only=True)
class PAAHead(ATSSHead):
    """mmdet's PAAHead; see `fkit.detection.atss.ATSSHead`. Its third output is the overlap.

    Args:
        topk: anchors of each level that an object has at most.
        score_voting: a detection's box is a mean of those that overlap it.
        covariance_type: "tied": both Gaussians have one variance; "full", "diag", "spherical": each has its own.
    """

    topk: int = 9
    score_voting: bool = True
    covariance_type: str = "diag"
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        if self.topk < 1:
            raise FkitValueError(f"PAAHead: topk={self.topk}: at least 1.")
        if self.covariance_type not in _COVARIANCES:
            raise FkitValueError(
                f"PAAHead: covariance_type={self.covariance_type!r}.",
                value=self.covariance_type,
                choices=_COVARIANCES,
                label="Types",
            )
        super().__post_init__(build)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        lib, spans = xp.lib, spans_of(outputs[0])
        logits, deltas, beside = (together(xp, output) for output in outputs)
        boxes = xp.cast(lib.concat(self.priors(xp, sizes, "float32"), axis=0), deltas)
        gt, positive, negative = self.chosen(xp, boxes, sizes, given)
        labels = xp.take_along(given.truth.labels, gt, 1)
        costs = self.costs(xp, rows_of(xp, positive, spans), logits, deltas, boxes, given, gt, labels)
        likely = self.likely(xp, costs, gt, positive, given.truth.labels.shape[1], spans)
        count = xp.shared(xp.cast(likely, deltas).sum())
        one, images = xp.full((), 1, deltas), xp.full((), logits.shape[0], deltas)
        _, weight = self.labels(xp, positive, positive | negative, labels, deltas)
        label = lib.where(likely, labels, self.num_classes).reshape(-1)
        flat = logits.reshape((-1, logits.shape[2]))
        total = lib.maximum(count, images)
        rows = rows_of(xp, likely, spans)
        prior, box = self.goals(xp, rows, boxes, given, gt)
        pred = self.bbox_coder.decode(xp, prior, rows.of(xp, deltas))
        real = xp.cast(rows.real, pred)
        shared = overlaps(xp, xp.detached(pred), box, aligned=True)
        heavy = lib.clip(shared, _LEAST, None) * real
        shared = shared * real
        return {
            "loss_cls": called(self.loss_cls, xp, flat, label, weight.reshape(-1), avg_factor=total),
            "loss_bbox": called(self.loss_bbox, xp, pred, box, heavy, avg_factor=xp.shared(shared.sum())),
            "loss_iou": called(
                self.loss_centerness,
                xp,
                rows.of(xp, beside),
                shared[:, None],
                real[:, None],
                avg_factor=lib.maximum(count, one),
            ),
        }

    def goals(self, xp: Ops, rows: Rows, boxes: Any, given: Given, gt: Any) -> tuple[Any, Any]:
        """The priors of rows and their objects' boxes, (R, 4) both; a row that pads has its prior for its object."""
        prior = rows.prior_of(xp, boxes)
        mine = xp.cast(object_of(xp, given.truth.bboxes, rows, gt), prior)
        return prior, xp.lib.where(rows.real[:, None], mine, prior)

    def costs(
        self, xp: Ops, rows: Rows, logits: Any, deltas: Any, boxes: Any, given: Given, gt: Any, labels: Any
    ) -> Any:
        """(N, P) what each prior that may be positive costs, in class and box together, and 0 elsewhere."""
        real = rows.real
        label, weight = self.labels(xp, real, real, rows.of(xp, labels), deltas)
        classes = called(
            self.loss_cls, xp, rows.of(xp, xp.detached(logits)), label, weight, reduction_override="none"
        ).sum(-1)
        prior, box = self.goals(xp, rows, boxes, given, gt)
        pred = self.bbox_coder.decode(xp, prior, rows.of(xp, xp.detached(deltas)))
        regions = called(self.loss_bbox, xp, pred, box, xp.cast(real, pred), reduction_override="none")
        return spread(xp, rows, classes + regions, gt.shape)

    def likely(self, xp: Ops, costs: Any, gt: Any, positive: Any, objects: int, spans: Any) -> Any:
        """(N, P) bool: the priors that stay positive.

        Args:
            costs, gt, positive: (N, P) each.
            objects: how many an image may have.
        """

        def one(cost: Any, mine: Any, may: Any) -> Any:
            own = may & (mine == xp.arange(objects)[:, None])
            every = xp.lib.where(own, cost, _FAR)
            tops = [xp.topk(-every[:, start:stop], min(self.topk, stop - start)) for start, stop in spans]
            index = xp.lib.concat([top[1] + start for top, (start, _) in zip(tops, spans, strict=True)], axis=1)
            length = -xp.lib.concat([top[0] for top in tops], axis=1)
            order = xp.order(length)
            index, length = xp.take_along(index, order, 1), xp.take_along(length, order, 1)
            return marked(xp, index, self.separated(xp, length), cost.shape[0]).any(0)

        return xp.each(one, costs, gt, positive)

    def separated(self, xp: Ops, costs: Any) -> Any:
        """(G, K) bool: of costs (G, K), ascending and infinite where there is none, those up to the likeliest of the lesser
        Gaussian; none where fewer than two are."""
        lib = xp.lib
        there = (costs < _FAR) & ((costs < _FAR).sum(1) > 1)[:, None]
        fit = mixture(xp, lib.where(there, costs, 0), there, tied=self.covariance_type == "tied")
        lesser = there & (fit.part == 0)
        peak = xp.argmax(lib.where(lesser, fit.likelihood, -_FAR), 1)
        return lesser & (xp.arange(costs.shape[1]) <= peak[:, None])

    def predict(
        self, xp: Ops, outputs: Outputs, sizes: Sizes, shapes: Shapes, cfg: Any = None, rescale: bool = True
    ) -> Detections:
        """The boxes of each image; with ``score_voting`` by class, and the highest score of a class first."""
        options = self.options(cfg)
        outputs = tuple(tuple(xp.detached(level) for level in levels) for levels in outputs)
        priors = self.priors(xp, sizes, outputs[0][0])

        def one(mine: Any, img: Any, scale: Any) -> Detections:
            boxes, scores = self.rated(xp, mine, priors, img, options)
            if rescale:
                boxes = boxes / xp.cast(xp.lib.concat([scale, scale], axis=0), boxes)
            least = options.get("score_thr", 0)
            padded = xp.lib.concat([scores, 0 * scores[:, :1]], axis=1)
            kept = multiclass(xp, boxes, padded, least, options.get("nms"), options.get("max_per_img", -1))
            result = Detections(kept.bboxes, kept.scores, kept.labels, kept.valid)
            return voted(xp, result, boxes, scores, least) if self.score_voting else result

        return xp.each(one, outputs, shapes.img, shapes.scale)

    def rated(
        self, xp: Ops, outputs: Outputs, priors: Sequence[Any], img: Any, options: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Of one image the best boxes of each level (M, 4), and their scores (M, num_classes)."""
        most, boxes, scores = options.get("nms_pre", -1), list[Any](), list[Any]()
        for level, prior in enumerate(priors):
            score = xp.lib.sqrt(self.scores(xp, outputs[0][level]) * xp.sigmoid(outputs[2][level]))
            delta = outputs[1][level]
            if 0 < most < score.shape[0]:
                _, index = xp.topk(xp.lib.amax(score, 1), most)
                score, delta, prior = (xp.take(a, index) for a in (score, delta, prior))
            boxes.append(self.decoded(xp, prior, delta, img))
            scores.append(score)
        return xp.lib.concat(boxes, axis=0), xp.lib.concat(scores, axis=0)


def voted(xp: Ops, detections: Detections, boxes: Any, scores: Any, least: float) -> Detections:
    """Detections of one image whose boxes are means of what overlaps them, in the order of their classes.

    Args:
        detections: (K, ...) each.
        boxes: (M, 4) before suppression.
        scores: (M, C) of these.
        least: a box votes in the classes in which its score is above.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10]])
        >>> one = Detections(boxes[:1], np.array([0.9]), np.array([0]), np.array([True]))
        >>> voted(Numpy(), one, boxes + np.array([[0], [1], [0]]), np.array([[0.5], [0.5], [0.9]]), 0.05).bboxes.shape
        (1, 4)
    """
    mine = xp.take(scores.T, detections.labels)  # (K, M)
    shared = overlaps(xp, detections.bboxes, boxes)
    votes = xp.lib.exp(-((1 - shared) ** 2) / _SPREAD) * mine
    votes = xp.lib.where((mine > least) & (shared > _NEAR), votes, 0)
    mass = votes.sum(1)[:, None]
    mean = xp.lib.matmul(votes, boxes) / xp.lib.where(mass > 0, mass, 1)
    mean = xp.lib.where(detections.valid[:, None], mean, 0)
    order = xp.order(xp.lib.where(detections.valid, detections.labels, scores.shape[1]))
    result = (mean, detections.scores, detections.labels, detections.valid)
    return Detections(*(xp.take(one, order) for one in result))
