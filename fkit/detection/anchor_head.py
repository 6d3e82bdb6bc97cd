"""Heads whose priors are anchors, each for one object or for none."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.default import CODER, CROSS_ENTROPY, NORMAL, SIZES, SMOOTH
from fkit.detection.dense import DenseHead, Given, Outputs, Sizes, settle
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.detection.prior import inside
from fkit.detection.rows import Rows, by_level, level_of, rows_of, spans_of, together
from fkit.detection.sampler import PseudoSampler
from fkit.tree.error import FkitKeyError, FkitTypeError

__all__ = ["AnchorHead", "object_of", "sampled"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AnchorHead(DenseHead):
    """mmdet's AnchorHead; see `DenseHead`.

    Args:
        anchor_generator: config of the priors.
        reg_decoded_bbox: the loss of boxes is of boxes in pixels, not of deltas.
    """

    anchor_generator: Any = SIZES
    bbox_coder: Any = CODER
    reg_decoded_bbox: bool = False
    loss_cls: Any = CROSS_ENTROPY
    loss_bbox: Any = SMOOTH
    init_cfg: Any = NORMAL
    assigner: Any = field(init=False, default=None)
    sampler: Any = field(init=False, default=None)
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        super().__post_init__(build)
        settle(self, anchor_generator=part(build, "task_utils", self.anchor_generator))
        if self.train_cfg:
            if "assigner" not in self.train_cfg:
                raise FkitKeyError(
                    f"{type(self).__name__}: train_cfg has no 'assigner'.", choices=self.train_cfg, label="It has"
                )
            sampler = self.train_cfg.get("sampler")
            settle(
                self,
                assigner=part(build, "task_utils", self.train_cfg["assigner"]),
                sampler=PseudoSampler() if sampler is None else part(build, "task_utils", sampler),
            )

    @property
    def anchors(self) -> int:
        """Anchors at a place."""
        return self.anchor_generator.counts[0]

    @property
    def draws(self) -> bool:
        return getattr(self.sampler, "num", None) is not None

    def priors(self, xp: Ops, sizes: Sizes, kind: Any) -> list[Any]:
        return self.anchor_generator.priors(xp, sizes, kind)

    def chosen(
        self,
        xp: Ops,
        boxes: Any,
        sizes: Sizes,
        given: Given,
        pred: Any = None,
        more: Sequence[str] = (),
        assigner: Any = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """For which object each anchor of each image is, from 0, and which take part.

        Args:
            boxes: (P, 4) all anchors.
            pred: {name: (N, P, ...)} what the assigner may ask for.
            more: fields of `fkit.detection.assigner.Assigned` that are wanted beside.
            assigner: in the place of the head's.
            options: what else the assigner is called with.

        Returns:
            gt, positive, negative, (N, P) each, and the further fields.
        """
        chooser = self.assigner if assigner is None else assigner
        if chooser is None:
            raise FkitTypeError(
                f"{type(self).__name__}: a loss needs train_cfg.", repair="train_cfg=dict(assigner=dict(type=...), ...)"
            )
        border = self.train_cfg.get("allowed_border", 0)

        def one(truth: Truth, ignored: Any, pad: Any, img: Any, place: Any, said: Any) -> tuple[Any, ...]:
            flags = self.anchor_generator.valid(xp, sizes, pad)
            counts = tuple(level.shape[0] for level in flags)
            valid = inside(xp, boxes, xp.lib.concat(flags, axis=0), img, border)
            assigned = chooser.assign(
                xp, boxes, truth, ignored=ignored, valid=valid, counts=counts, pred=said, image=img, **options
            )
            positive, negative = self.sampler.choose(
                xp, given.key, assigned.gt, image=place, overlap=assigned.overlap, valid=valid
            )
            fields = tuple(getattr(assigned, name) for name in more)
            return xp.lib.where(positive, assigned.gt - 1, 0), positive, negative, *fields

        shapes = given.shapes
        return xp.each(one, given.truth, given.ignored, shapes.pad, shapes.img, given.places, pred)

    def total(self, xp: Ops, positive: Any, negative: Any, kind: Any) -> Any:
        """What losses are divided by: the positives of each image, at least 1; and the negatives where they are sampled."""
        at_least = xp.full((), 1, kind)

        def count(mask: Any) -> Any:
            return xp.lib.maximum(xp.cast(mask.sum(1), kind), at_least).sum()

        pseudo = isinstance(self.sampler, PseudoSampler)
        return xp.shared(count(positive) if pseudo else count(positive) + count(negative))

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, deltas, truth = outputs[0], outputs[1], given.truth
        spans = spans_of(logits)
        boxes = xp.cast(xp.lib.concat(self.priors(xp, sizes, "float32"), axis=0), deltas[0])
        gt, positive, negative = self.chosen(xp, boxes, sizes, given)
        total = self.total(xp, positive, negative, deltas[0])
        if self.draws:
            rows = sampled(xp, positive | negative, self.sampler.num, spans)
            label, weight = self.labels(
                xp, rows.of(xp, positive), rows.real, object_of(xp, truth.labels, rows, gt), total
            )
            classes = by_level(xp, self.loss_cls, rows, rows.of(xp, together(xp, logits)), label, weight, total)
        else:
            rows = rows_of(xp, positive, spans)
            classes = self.class_losses(xp, logits, spans, truth, gt, positive, negative, total)
        boxes_of = self.box_losses(xp, rows, together(xp, deltas), boxes, truth, gt, positive, total)
        return dict(zip(self.names, (classes, boxes_of), strict=True))

    def labels(self, xp: Ops, positive: Any, real: Any, label: Any, kind: Any) -> tuple[Any, Any]:
        """The classes of priors, the background's number where they are not positive, and their weights.

        Args:
            positive, real: of any shape, which are positive, and which take part at all.
            label: their objects' classes.
            kind: the type of the weights.
        """
        heavy = self.train_cfg.get("pos_weight", -1)
        weight = xp.cast(real, kind)
        if heavy > 0:
            weight = xp.lib.where(positive, weight * heavy, weight)
        return xp.lib.where(positive, label, self.num_classes), weight

    def class_losses(
        self,
        xp: Ops,
        logits: Sequence[Any],
        spans: Any,
        truth: Truth,
        gt: Any,
        positive: Any,
        negative: Any,
        total: Any,
    ) -> tuple[Any, ...]:
        """Of all priors, level by level."""
        label, weight = self.labels(xp, positive, positive | negative, xp.take_along(truth.labels, gt, 1), total)
        parts: list[Any] = []
        for level, (start, stop) in zip(logits, spans, strict=True):
            flat = level.reshape((-1, level.shape[2]))
            mine, heavy = label[:, start:stop].reshape(-1), weight[:, start:stop].reshape(-1)
            parts.append(called(self.loss_cls, xp, flat, mine, heavy, avg_factor=total))
        return tuple(parts)

    def box_losses(
        self, xp: Ops, rows: Rows, deltas: Any, boxes: Any, truth: Truth, gt: Any, positive: Any, total: Any
    ) -> tuple[Any, ...]:
        """Of the rows that are positive, level by level."""
        mine = rows.of(xp, positive) & rows.real
        prior, pred = rows.prior_of(xp, boxes), rows.of(xp, deltas)
        # no object is so far from its prior that the numbers of rows without one are none
        box = xp.lib.where(mine[:, None], xp.cast(object_of(xp, truth.bboxes, rows, gt), prior), prior)
        if self.reg_decoded_bbox:
            pred, target = self.bbox_coder.decode(xp, prior, pred), box
        else:
            target = self.bbox_coder.encode(xp, prior, box)
        weight = xp.lib.broadcast_to(xp.cast(mine, pred)[:, None], pred.shape)
        return by_level(xp, self.loss_bbox, rows, pred, target, weight, total)


def object_of(xp: Ops, values: Any, rows: Rows, gt: Any) -> Any:
    """Of each row's object: of values (N, G, ...) those at the rows' gt (N, P): (R, ...)."""
    flat = values.reshape((-1, *values.shape[2:]))
    return xp.take(flat, rows.image * values.shape[1] + rows.of(xp, gt))


def sampled(xp: Ops, wanted: Any, most: int, spans: tuple[tuple[int, int], ...]) -> Rows:
    """At most so many priors of each image's (N, P), one image after the other; what is left pads."""
    images, width = wanted.shape
    most = min(most, width)
    prior, real = xp.each(lambda mask: xp.packed(mask, most), wanted)
    image = xp.lib.broadcast_to(xp.arange(images)[:, None], prior.shape).reshape(-1)
    flat = prior.reshape(-1)
    return Rows(image, flat, level_of(xp, flat, spans), real.reshape(-1), spans, 0)
