"""Regions of interest: which proposals a head learns from, its targets, its losses, and detections of what it says.

Everything is of fixed shapes: an image has as many slots as its sampler takes, and ``valid`` says which of them are regions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.array.random import Key
from fkit.array.suppress import Detections, multiclass
from fkit.catalog.build import Builder
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.tree.error import FkitValueError

__all__ = ["BoxLogic", "Regions", "Rows", "box_logic", "regions", "rows_of", "slots_of"]


class Regions(NamedTuple):
    """What a head learns from: S slots an image, positives in ascending order, then negatives, then what only pads.

    Attributes:
        boxes: (N, S, 4).
        objects: (N, S) int, the object that a positive one is of; 0 for the others.
        labels: (N, S) int, its label; 0 for the others.
        targets: (N, S, 4), its box; zeros for the others.
        positive, valid: (N, S) bool.
        real: (N, S) bool, whether it is the box of an object itself.
    """

    boxes: Any
    objects: Any
    labels: Any
    targets: Any
    positive: Any
    valid: Any
    real: Any


class Rows(NamedTuple):
    """Regions of all images in one row: those worth computing.

    Attributes:
        index: (R,) int, their places among the N * S slots.
        boxes: (R, 4).
        image: (R,) int.
        valid: (R,) bool.
    """

    index: Any
    boxes: Any
    image: Any
    valid: Any


def rows_of(xp: Ops, boxes: Any, valid: Any) -> Rows:
    """The rows of (N, S, 4) boxes that are valid where shapes may depend on values, else all.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> rows_of(Numpy(), np.zeros((2, 2, 4)), np.array([[True, False], [True, True]])).image.tolist()
        [0, 1, 1]
    """
    slots = valid.shape[1]
    flat = valid.reshape(-1)
    index = xp.real(flat)
    return Rows(index, xp.take(boxes.reshape(-1, 4), index), index // slots, xp.take(flat, index))


def slots_of(sampler: Any, count: int, objects: int) -> int:
    """How many regions of an image a sampler may choose of ``count`` proposals beside ``objects`` objects."""
    whole = count + (objects if sampler.add_gt_as_proposals else 0)
    number = getattr(sampler, "num", None)
    return whole if number is None or number <= 0 else min(int(number), whole)


def regions(
    xp: Ops,
    key: Key,
    places: Any,
    boxes: Any,
    valid: Any,
    truth: Any,
    ignored: Any,
    assigner: Any,
    sampler: Any,
    losses: Callable[[Any, Any, Any], Any] | None = None,
) -> Regions:
    """Proposals are assigned to objects, and some of them chosen.

    Args:
        key: of the draws.
        places: (N,) each image's place in the whole batch.
        boxes, valid: (N, K, 4) and (N, K) proposals.
        truth, ignored: of the batch (`fkit.detection.truth`), (N, G, ...); ``ignored`` may be None.
        losses: for samplers that ask for them: of candidates (N, M, 4), which of them are real (N, M), and what they are
            assigned to (N, M), the loss (N, M) of each.
    """
    objects = _wide(xp, truth, boxes)

    def assigned(boxes: Any, valid: Any, truth: Any, ignored: Any) -> tuple[Any, Any, Any, Any]:
        found = assigner.assign(xp, boxes, truth, ignored=ignored, valid=valid)
        gt = xp.lib.where(valid, found.gt, -xp.lib.ones_like(found.gt))
        return _candidates(xp, (boxes, valid, gt, found.overlap), truth, sampler)

    def chosen(candidates: tuple[Any, Any, Any, Any], place: Any, truth: Any, losses: Any) -> Regions:
        return _chosen(xp, key, place, candidates, truth, sampler, losses)

    several = xp.each(assigned, boxes, valid, objects, _wide(xp, ignored, boxes))
    hard = None if losses is None else losses(*several[:3])
    return xp.each(chosen, several, places, objects, hard)


def _wide(xp: Ops, truth: Any, boxes: Any) -> Any:
    """The truth without its masks, its boxes in the proposals' type."""
    return None if truth is None else truth._replace(bboxes=xp.cast(truth.bboxes, boxes), masks=None)


def _candidates(xp: Ops, proposals: Any, truth: Any, sampler: Any) -> tuple[Any, Any, Any, Any]:
    """Boxes, which of them are real, what they are assigned to, their overlaps: those of objects first, where the sampler asks
    for these."""
    if not sampler.add_gt_as_proposals:
        return proposals
    lib, (boxes, valid, gt, overlap), count = xp.lib, proposals, truth.valid.shape[0]
    selves = lib.where(truth.valid, xp.arange(count, gt) + 1, -xp.full((count,), 1, gt))
    boxes, valid = lib.concat([truth.bboxes, boxes]), lib.concat([truth.valid, valid])
    return boxes, valid, lib.concat([selves, gt]), lib.concat([xp.full((count,), 1.0, overlap), overlap])


def _chosen(xp: Ops, key: Key, place: Any, candidates: Any, truth: Any, sampler: Any, losses: Any) -> Regions:
    lib = xp.lib
    boxes, valid, gt, overlap = candidates
    first = truth.valid.shape[0] if sampler.add_gt_as_proposals else 0
    positive, negative = sampler.choose(xp, key, gt, image=place, overlap=overlap, valid=valid, losses=losses)
    slots = slots_of(sampler, boxes.shape[0] - first, first)
    rank = 2 - 2 * xp.cast(positive, gt) - xp.cast(negative, gt)
    chosen = xp.order(rank)[:slots]
    positive, negative = xp.take(positive, chosen), xp.take(negative, chosen)
    objects = lib.where(positive, xp.take(gt, chosen) - 1, lib.zeros_like(xp.take(gt, chosen)))
    kept = lib.logical_or(positive, negative)
    return Regions(
        lib.where(kept[:, None], xp.take(boxes, chosen), xp.full((1, 1), 0.0, boxes)),
        objects,
        lib.where(positive, xp.take(truth.labels, objects), xp.full((1,), 0, truth.labels)),
        lib.where(positive[:, None], xp.take(truth.bboxes, objects), xp.full((1, 1), 0.0, boxes)),
        positive,
        kept,
        lib.logical_and(kept, chosen < first),
    )


@dataclass(frozen=True)
class BoxLogic:
    """What a box head makes of its layers' numbers; see mmdet's ``BBoxHead`` for the arguments.

    Attributes:
        num_classes: K; the class K is the background.
        reg_class_agnostic: one box for all classes.
        reg_decoded_bbox: the loss is of boxes, not of what they are coded as.
        bbox_coder, loss_cls, loss_bbox: parts, built.
        with_cls, with_reg: which branches there are.
    """

    num_classes: int
    reg_class_agnostic: bool
    reg_decoded_bbox: bool
    bbox_coder: Any
    loss_cls: Any
    loss_bbox: Any
    with_cls: bool = True
    with_reg: bool = True

    @property
    def class_channels(self) -> int:
        """How many numbers of a class there are: K and the background, or what the loss says."""
        if getattr(self.loss_cls, "custom_cls_channels", False):
            return self.loss_cls.get_cls_channels(self.num_classes)
        return self.num_classes + 1

    @property
    def box_channels(self) -> int:
        """How many numbers of a box there are."""
        size = getattr(self.bbox_coder, "encode_size", 4)
        return size if self.reg_class_agnostic else size * self.num_classes

    def scores(self, xp: Ops, cls: Any) -> Any:
        """Probabilities (..., K + 1)."""
        if getattr(self.loss_cls, "custom_cls_channels", False):
            return self.loss_cls.get_activation(xp, cls)
        return xp.softmax(cls, -1)

    def targets(self, xp: Ops, picks: Regions, rows: Rows, pos_weight: float) -> tuple[Any, Any, Any, Any]:
        """Of the rows: labels (R,), their weights (R,), what boxes should come to (R, 4), and their weights (R, 4)."""
        lib, kind = xp.lib, picks.boxes
        positive = _rows(xp, picks.positive, rows)
        labels = _rows(xp, picks.labels, rows)
        labels = lib.where(positive, labels, xp.full((1,), self.num_classes, labels))
        wanted = xp.full((1,), pos_weight if pos_weight > 0 else 1.0, kind)
        weights = lib.where(positive, wanted, xp.cast(rows.valid, kind))
        truths = xp.take(picks.targets.reshape(-1, 4), rows.index)
        if not self.reg_decoded_bbox:
            unit = xp.asarray([[0.0, 0.0, 1.0, 1.0]], kind)  # for those that are no object's: a box that can be coded
            sides = (lib.where(positive[:, None], one, unit) for one in (rows.boxes, truths))
            truths = self.bbox_coder.encode(xp, *sides)
        boxes = lib.where(positive[:, None], truths, lib.zeros_like(truths))
        return labels, weights, boxes, xp.cast(positive, kind)[:, None] * lib.ones_like(boxes)

    def hardness(self, xp: Ops, cls: Any, labels: Any) -> Any:
        """(R,) the loss of classes of each region alone, as samplers of the hardest ask for it; no gradient.

        Raises:
            FkitValueError: the loss has several parts.
        """
        ones = xp.full((cls.shape[0],), 1.0, cls)
        loss = called(self.loss_cls, xp, cls, labels, ones, reduction_override="none")
        if isinstance(loss, dict):
            raise FkitValueError(
                f"a sampler of the hardest needs one loss of classes, and {type(self.loss_cls).__name__} has {', '.join(loss)}.",
                repair="Take a RandomSampler, or CrossEntropyLoss.",
            )
        return xp.detached(loss)

    def losses(self, xp: Ops, cls: Any, reg: Any, rows: Rows, targets: tuple[Any, Any, Any, Any]) -> dict[str, Any]:
        """``loss_cls``, ``acc`` and ``loss_bbox``.

        Args:
            cls, reg: (R, K + 1) and (R, 4 or 4 * K) of the rows; None where there is no such branch.
            targets: as `targets` gives them.
        """
        labels, weights, boxes, box_weights = targets
        said: dict[str, Any] = {}
        if cls is not None:
            count = _at_least_one(xp, (weights > 0).sum(), cls)
            loss = called(self.loss_cls, xp, cls, labels, weights, avg_factor=count)
            said |= loss if isinstance(loss, dict) else {"loss_cls": loss}
            if getattr(self.loss_cls, "custom_activation", False):
                said |= self.loss_cls.get_accuracy(xp, cls, labels, rows.valid)
            else:
                right = xp.lib.logical_and(xp.argmax(cls, -1) == labels, rows.valid)
                said["acc"] = 100.0 * xp.cast(right.sum(), cls) / _at_least_one(xp, rows.valid.sum(), cls)
        if reg is not None:
            said["loss_bbox"] = self._box_loss(xp, reg, rows, labels, boxes, box_weights)
        return said

    def _box_loss(self, xp: Ops, reg: Any, rows: Rows, labels: Any, boxes: Any, weights: Any) -> Any:
        positive = labels < self.num_classes
        count = _at_least_one(xp, rows.valid.sum(), reg)
        index = xp.real(positive)
        if not index.shape[0]:
            return reg.sum() * 0
        taken, positive = xp.take(self.of_class(xp, reg, labels), index), xp.take(positive, index)
        if self.reg_decoded_bbox:
            taken = self.bbox_coder.decode(xp, xp.take(rows.boxes, index), taken)
        boxes, weights = xp.take(boxes, index), xp.take(weights, index)
        taken = xp.lib.where(positive[:, None], taken, boxes)  # what counts nowhere has no gradient, however it lies
        return called(self.loss_bbox, xp, taken, boxes, weights, avg_factor=count)

    def of_class(self, xp: Ops, reg: Any, labels: Any) -> Any:
        """(R, 4) of (R, K * 4): what is said of the class that each row has; of the background, of the last class."""
        if self.reg_class_agnostic:
            return reg
        apart = reg.reshape(reg.shape[0], self.num_classes, reg.shape[1] // self.num_classes)
        index = xp.lib.clip(labels, 0, self.num_classes - 1)[:, None, None]
        return xp.take_along(apart, index, 1)[:, 0]

    def refined(self, xp: Ops, boxes: Any, labels: Any, reg: Any, shape: Any) -> Any:
        """Boxes (R, 4) moved as is said of their labels (R,), inside of their images (R, 2)."""
        return self.bbox_coder.decode(xp, boxes, self.of_class(xp, reg, labels), max_shape=shape)

    def detections(
        self, xp: Ops, boxes: Any, valid: Any, scores: Any, reg: Any, shapes: Any, scale: Any, cfg: Any
    ) -> Detections:
        """Objects of each image.

        Args:
            boxes, valid: (N, S, 4) and (N, S) regions.
            scores: (N, S, K + 1) probabilities.
            reg: (N, S, 4 or 4 * K), or None: boxes stay as they are.
            shapes: (N, 2) height and width of the images.
            scale: (N, 2) by how much width and height were multiplied, where boxes of the original image are wanted; None.
            cfg: ``score_thr``, ``nms`` and ``max_per_img``.
        """

        def one(boxes: Any, valid: Any, scores: Any, reg: Any, shape: Any, scale: Any) -> Detections:
            if reg is not None:
                boxes = self.bbox_coder.decode(xp, boxes, reg, max_shape=shape)
            if scale is not None:
                boxes = scaled(xp, boxes, scale)
            nms: Any = cfg.get("nms")
            return multiclass(xp, boxes, scores, cfg["score_thr"], nms, cfg["max_per_img"], valid=valid)

        return xp.each(one, boxes, valid, scores, reg, shapes, scale)


def scaled(xp: Ops, boxes: Any, scale: Any) -> Any:
    """(..., 4 * K) boxes of a resized image in the coordinates of the original one, which was multiplied by ``scale`` (2,)."""
    factor = 1.0 / xp.cast(scale, boxes)
    return (boxes.reshape(*boxes.shape[:-1], boxes.shape[-1] // 2, 2) * factor).reshape(boxes.shape)


def _rows(xp: Ops, values: Any, rows: Rows) -> Any:
    return xp.take(values.reshape(-1), rows.index)


def _at_least_one(xp: Ops, count: Any, kind: Any) -> Any:
    number = xp.shared(xp.cast(count, kind))
    return xp.greatest(number, xp.lib.ones_like(number))


def box_logic(
    build: Builder,
    num_classes: int,
    bbox_coder: Any,
    reg_class_agnostic: bool,
    reg_decoded_bbox: bool,
    loss_cls: Any,
    loss_bbox: Any,
    with_cls: bool = True,
    with_reg: bool = True,
) -> BoxLogic:
    """The logic of a box head, its parts built.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if not with_cls and not with_reg:
        raise FkitValueError("a box head has with_cls=True or with_reg=True, or both.")
    if num_classes < 1:
        raise FkitValueError(f"num_classes={num_classes}, but it counts classes, from 1.")
    return BoxLogic(
        num_classes,
        reg_class_agnostic,
        reg_decoded_bbox,
        part(build, "task_utils", bbox_coder),
        part(build, "models", loss_cls),
        part(build, "models", loss_bbox),
        with_cls,
        with_reg,
    )
