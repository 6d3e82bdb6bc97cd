"""DETR's head (Carion et al. 2020): a set of predictions, each for one object or for none."""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, Final, NamedTuple, cast

from frozendict import frozendict

from fkit.array.box import from_centres, to_centres
from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.denoise import Noise
from fkit.detection.dense import Detections, settle
from fkit.detection.detr import Said
from fkit.detection.image import Shapes
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["ConditionalDETRHead", "DABDETRHead", "DETRHead", "DINOHead", "DeformableDETRHead", "Targets", "units"]

_CLASSES = frozendict(
    type="CrossEntropyLoss", bg_cls_weight=0.1, use_sigmoid=False, loss_weight=1.0, class_weight=1.0
)  # fmt: skip
_BOXES = frozendict(type="L1Loss", loss_weight=5.0)
_OVERLAPS = frozendict(type="GIoULoss", loss_weight=2.0)
_COSTS = (
    frozendict(type="ClassificationCost", weight=1.0),
    frozendict(type="BBoxL1Cost", weight=5.0, box_format="xywh"),
    frozendict(type="IoUCost", iou_mode="giou", weight=2.0),
)
_TRAIN = frozendict(assigner=frozendict(type="HungarianAssigner", match_costs=_COSTS))
_TEST = frozendict(max_per_img=100)
NAMES: Final[tuple[str, ...]] = ("loss_cls", "loss_bbox", "loss_iou")


class Targets(NamedTuple):
    """What predictions are to be: M sets of Q.

    Attributes:
        object: (M, Q) which object, from 1; 0 is none.
        label: (M, Q) the object's class, ``num_classes`` where there is none.
        box: (M, Q, 4) centres and sides in shares of the image.
    """

    object: Any
    label: Any
    box: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class DETRHead:
    """A head's arguments, its parts, and what it makes of predictions: mmdet's DETRHead.

    Args:
        num_classes: without the background.
        embed_dims: of queries.
        num_reg_fcs: linear layers before the last one of boxes.
        sync_cls_avg_factor: accepted: losses are divided by numbers of the whole batch in any case.
        loss_cls, loss_bbox, loss_iou: configs. A cross entropy's ``class_weight`` is one number, ``bg_cls_weight`` the
            background's.
        train_cfg: ``assigner``.
        test_cfg: ``max_per_img``; what it lacks is all.
        init_cfg: rules for initial weights.
    """

    num_classes: int
    embed_dims: int = 256
    num_reg_fcs: int = 2
    sync_cls_avg_factor: bool = False
    loss_cls: Any = _CLASSES
    loss_bbox: Any = _BOXES
    loss_iou: Any = _OVERLAPS
    train_cfg: Any = _TRAIN
    test_cfg: Any = _TEST
    init_cfg: Any = None
    use_sigmoid: bool = field(init=False, default=False)
    bg_cls_weight: float = field(init=False, default=0.0)
    assigner: Any = field(init=False, default=None)
    build: InitVar[Builder]

    weighs: ClassVar[bool] = True  # whether the background has a weight of its own

    def __post_init__(self, build: Builder) -> None:
        name = type(self).__name__
        for key in ("num_classes", "embed_dims", "num_reg_fcs"):
            if getattr(self, key) < 1:
                raise FkitValueError(f"{name}: {key}={getattr(self, key)}, but it is 1 or more.")
        train: Mapping[str, Any] = self.train_cfg or {}
        if train and "assigner" not in train:
            raise FkitTypeError(
                f"{name}: train_cfg has no assigner.", repair="assigner=dict(type='HungarianAssigner', ...)"
            )
        if train.get("sampler") is not None:
            raise FkitValueError(f"{name}: all predictions count: there is no sampler.", repair="Leave sampler out.")
        cfg, weight = self._weighed() if self.weighs else (self.loss_cls, 0.0)
        loss_cls = part(build, "models", cfg)
        settle(
            self,
            loss_cls=loss_cls,
            loss_bbox=part(build, "models", self.loss_bbox),
            loss_iou=part(build, "models", self.loss_iou),
            assigner=part(build, "task_utils", train.get("assigner")),
            use_sigmoid=bool(getattr(loss_cls, "use_sigmoid", False)),
            bg_cls_weight=weight,
        )

    def _weighed(self) -> tuple[Any, float]:
        """The config of ``loss_cls`` with a weight a class, and that of the background."""
        if not isinstance(self.loss_cls, Mapping):
            return self.loss_cls, 0.0
        cfg: dict[str, Any] = dict(cast("Mapping[str, Any]", self.loss_cls))
        every = cfg.get("class_weight")
        if every is None:
            return cfg, 0.0
        rare = cfg.pop("bg_cls_weight", every)
        for key, one in (("class_weight", every), ("bg_cls_weight", rare)):
            if isinstance(one, bool) or not isinstance(one, (int, float)):
                raise FkitTypeError(f"{type(self).__name__}: loss_cls.{key}={one!r:.60}, but it is one number.")
        return {**cfg, "class_weight": (every,) * self.num_classes + (rare,)}, rare

    @property
    def classes_out(self) -> int:
        """The numbers of classification of a query."""
        return self.num_classes + (not self.use_sigmoid)

    def targets(self, xp: Ops, scores: Any, boxes: Any, truth: Truth, unit: Any) -> Targets:
        """What each prediction is to be.

        Args:
            scores: (M, Q, K) logits.
            boxes: (M, Q, 4) centres and sides in shares of the image.
            truth: the objects of each of the M, in pixels.
            unit: (M, 4) width and height of each image, twice.

        Raises:
            FkitTypeError: ``train_cfg`` is None.
        """
        if self.assigner is None:
            raise FkitTypeError(
                f"{type(self).__name__}: a loss needs train_cfg.", repair="train_cfg=dict(assigner=...)"
            )

        def one(score: Any, box: Any, truth: Truth, unit: Any) -> Targets:
            truth = truth._replace(bboxes=xp.cast(truth.bboxes, box))
            places = from_centres(xp, box) * unit
            pred = {"scores": score, "bboxes": places}
            image = xp.lib.stack([unit[1], unit[0]])
            said = self.assigner.assign(xp, places, truth, pred=pred, image=image)
            hit = said.gt > 0
            wanted = to_centres(xp, truth.bboxes / unit)
            box = xp.lib.where(hit[:, None], xp.take(wanted, xp.lib.clip(said.gt - 1, 0, None)), 0)
            return Targets(said.gt, xp.lib.where(hit, said.labels, self.num_classes), box)

        return xp.each(one, xp.detached(scores), xp.detached(boxes), truth._replace(masks=None), unit)

    def loss(self, xp: Ops, scores: Any, boxes: Any, truth: Truth, shapes: Shapes, said: Said) -> dict[str, Any]:
        """Losses by name: of the last decoder layer, then of the others, ``d0.loss_cls``, ...

        Args:
            scores, boxes: (L, N, Q, ...) of each layer, as `targets` has them.
            truth: the objects of each of N images.
            shapes: sizes.
            said: what they were made of; what an encoder proposes adds ``enc_loss_cls``, ...
        """
        layers = scores.shape[0]
        unit = units(xp, shapes, boxes)
        flat = [one.reshape((-1, *one.shape[2:])) for one in (scores, boxes)]
        every = Truth(*(xp.lib.concat([one] * layers) for one in truth[:3]))
        targets = self.targets(xp, flat[0], flat[1], every, xp.lib.concat([unit] * layers))
        parts = [one.reshape((layers, -1, *one.shape[1:])) for one in targets]
        each = [Targets(*(one[at] for one in parts)) for at in range(layers)]
        named = _named([self.losses(xp, scores[at], boxes[at], each[at], unit) for at in range(layers)])
        if said.encoded is not None:
            logits, places = said.encoded
            targets = self.targets(xp, logits, places, self.proposed(truth), unit)
            named |= {
                f"enc_{name}": loss for name, loss in _named([self.losses(xp, logits, places, targets, unit)]).items()
            }
        return named

    def proposed(self, truth: Truth) -> Truth:
        """The objects as what an encoder proposes is to see them."""
        return truth

    def losses(
        self, xp: Ops, scores: Any, boxes: Any, targets: Targets, unit: Any, counts: Any = None
    ) -> tuple[Any, Any, Any]:
        """Of classes, boxes and overlaps: of one layer's predictions (N, Q, ...).

        Args:
            counts: (N, Q) bool, which predictions count at all; None: all.
        """
        hit = xp.cast(targets.object > 0, boxes).reshape(-1)
        positive = xp.shared(hit.sum())
        counted = positive + (hit.shape[0] - positive) * self.bg_cls_weight
        logits = scores.reshape((-1, scores.shape[-1]))
        weight = xp.full((logits.shape[0],), 1, logits) if counts is None else xp.cast(counts.reshape(-1), logits)
        factor = xp.lib.clip(counted, 1, None)
        loss_cls = called(self.loss_cls, xp, logits, targets.label.reshape(-1), weight, avg_factor=factor)
        positive = xp.lib.clip(positive, 1, None)
        rows, wanted = boxes.reshape((-1, 4)), targets.box.reshape((-1, 4))
        four = xp.lib.broadcast_to(hit[:, None], tuple(rows.shape))
        loss_bbox = called(self.loss_bbox, xp, rows, wanted, four, avg_factor=positive)
        size = xp.lib.broadcast_to(unit[:, None], tuple(boxes.shape)).reshape((-1, 4))
        pixels, there = (from_centres(xp, one) * size for one in (rows, wanted))
        return loss_cls, loss_bbox, called(self.loss_iou, xp, pixels, there, four, avg_factor=positive)

    def predict(self, xp: Ops, scores: Any, boxes: Any, shapes: Shapes, rescale: bool = True) -> Detections:
        """The boxes of each image, by falling scores.

        Args:
            scores, boxes: (N, Q, ...) of the last layer.
            rescale: in the coordinates of the original images.
        """
        options: Mapping[str, Any] = self.test_cfg or {}
        queries = scores.shape[1]
        width = self.num_classes if self.use_sigmoid else 1
        count = min(options.get("max_per_img", queries), queries * width)

        def one(score: Any, box: Any, img: Any, scale: Any) -> Detections:
            if self.use_sigmoid:
                top, place = xp.topk(xp.sigmoid(score).reshape(-1), count)
                row, label = place // width, place % width
            else:
                likely = xp.softmax(score, -1)[:, :-1]
                top, row = xp.topk(xp.lib.amax(likely, 1), count)
                label = xp.take(xp.argmax(likely, 1), row)
            most = xp.cast(xp.lib.stack([img[1], img[0]] * 2), box)
            box = from_centres(xp, xp.take(box, row)) * most
            box = xp.lib.minimum(xp.lib.clip(box, 0, None), most)
            if rescale:
                box = box / xp.cast(xp.lib.concat([scale, scale], axis=0), box)
            return Detections(box, top, label, xp.full((count,), 1, "bool"))

        return xp.each(one, xp.detached(scores), xp.detached(boxes), shapes.img, shapes.scale)


def _named(found: Sequence[tuple[Any, Any, Any]], word: str = "") -> dict[str, Any]:
    """The losses of layers by name: the last one's, then the others' with their number."""
    named: dict[str, Any] = {f"{word}{name}": loss for name, loss in zip(NAMES, found[-1], strict=True)}
    for at, losses in enumerate(found[:-1]):
        named |= {f"d{at}.{word}{name}": loss for name, loss in zip(NAMES, losses, strict=True)}
    return named


def units(xp: Ops, shapes: Shapes, boxes: Any) -> Any:
    """(N, 4) width and height of each image, twice, in the kind of its boxes."""
    high, wide = (xp.cast(shapes.img[:, at], boxes) for at in (0, 1))
    return xp.lib.stack([wide, high, wide, high], -1)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionalDETRHead(DETRHead):
    """mmdet's ConditionalDETRHead; see `DETRHead`. Boxes are told from references."""

    build: InitVar[Builder]

    weighs: ClassVar[bool] = False
    eps: ClassVar[float] = 1e-5  # of the inverse sigmoid of references


@dataclass(frozen=True, eq=False, kw_only=True)
class DABDETRHead(ConditionalDETRHead):
    """mmdet's DABDETRHead; see `ConditionalDETRHead`.

    Args:
        num_reg_fcs: accepted: there are three linear layers to boxes in any case, as in mmdet.
    """

    build: InitVar[Builder]

    eps: ClassVar[float] = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class DeformableDETRHead(DETRHead):
    """mmdet's DeformableDETRHead: each decoder layer has layers of its own, and boxes are told from references.

    Args:
        share_pred_layer: all decoder layers have the same.
        num_pred_layer: how many there are.
        as_two_stage: the last ones are the encoder's, whose proposals are of one class.
    """

    share_pred_layer: bool = False
    num_pred_layer: int = 6
    as_two_stage: bool = False
    build: InitVar[Builder]

    weighs: ClassVar[bool] = False

    def proposed(self, truth: Truth) -> Truth:
        return truth._replace(labels=truth.labels * 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class DINOHead(DeformableDETRHead):
    """mmdet's DINOHead; see `DeformableDETRHead`. Queries that began near objects add ``dn_loss_cls``, ..."""

    build: InitVar[Builder]

    def proposed(self, truth: Truth) -> Truth:
        return truth

    def loss(self, xp: Ops, scores: Any, boxes: Any, truth: Truth, shapes: Shapes, said: Said) -> dict[str, Any]:
        if said.noise is None:
            return super().loss(xp, scores, boxes, truth, shapes, said)
        noise: Noise = said.noise
        slots, unit = noise.group.shape[0], units(xp, shapes, boxes)
        named = super().loss(xp, scores[:, :, slots:], boxes[:, :, slots:], truth, shapes, said)
        targets = self.restored(xp, noise, truth, unit)
        used = xp.lib.broadcast_to((noise.group >= 0)[None], tuple(noise.object.shape))
        layers = range(scores.shape[0])
        found = [self.losses(xp, scores[at, :, :slots], boxes[at, :, :slots], targets, unit, used) for at in layers]
        return named | _named(found, "dn_")

    def restored(self, xp: Ops, noise: Noise, truth: Truth, unit: Any) -> Targets:
        """What slots are to be."""

        def one(number: Any, truth: Truth, unit: Any) -> Targets:
            row, hit = xp.lib.clip(number - 1, 0, None), number > 0
            box = xp.take(to_centres(xp, xp.cast(truth.bboxes, unit) / unit), row)
            label = xp.lib.where(hit, xp.take(truth.labels, row), self.num_classes)
            return Targets(number, label, xp.lib.where(hit[:, None], box, 0))

        return xp.each(one, noise.object, truth._replace(masks=None), unit)
