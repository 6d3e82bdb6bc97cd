"""What dense heads share: predictions at every place of feature maps, level by level, to losses and to boxes.

A head's outputs reach its logic flat: of each output one array a level, (N, P, K) for P = height * width * priors at a
place. Each function runs on any library of arrays; what it does of one image is mapped over the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple, cast

from fkit.array.ops import Ops
from fkit.array.suppress import batched
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.default import FOCAL, IOU
from fkit.detection.image import Shapes
from fkit.detection.part import part
from fkit.detection.plan import Plan
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Candidates", "DenseHead", "Detections", "Given", "best", "predicted", "settle", "suppressed"]

Outputs = Sequence[Sequence[Any]]
Sizes = Sequence[tuple[int, int]]

_TOUCHING = -1e30  # below every score


class Detections(NamedTuple):
    """Boxes of N images, K rows each; a row that is not valid holds zeros.

    Attributes:
        bboxes: (N, K, 4).
        scores: (N, K), descending.
        labels: (N, K) whole numbers.
        valid: (N, K) bool.
    """

    bboxes: Any
    scores: Any
    labels: Any
    valid: Any


class Candidates(NamedTuple):
    """What of one image may become a detection: M rows.

    Attributes:
        bboxes: (M, 4).
        scores: (M,).
        groups: (M,) whole numbers: boxes of one suppress each other.
        valid: (M,) bool.
    """

    bboxes: Any
    scores: Any
    groups: Any
    valid: Any


class Given(NamedTuple):
    """What a training step knows beside predictions.

    Attributes:
        truth: the objects of each image, (N, ...).
        ignored: regions of each image in which nothing is learnt, or None.
        shapes: sizes.
        key: what draws are made by.
        places: (N,) words, the place of each image in the whole batch.
        epoch: (N,) the number of the epoch, from 0, or None where the batch does not say it.
    """

    truth: Truth
    ignored: Truth | None
    shapes: Shapes
    key: Any = (0, 0)
    places: Any = None
    epoch: Any = None


def settle(value: Any, **fields: Any) -> None:
    """Set fields of a frozen dataclass while it is made."""
    for name, one in fields.items():
        object.__setattr__(value, name, one)


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseHead:
    """A head's arguments, its parts, and what it makes of predictions. Layers are made of its `plan`.

    Args:
        num_classes: without the background.
        in_channels: of the maps.
        feat_channels: of what is inside.
        loss_cls, loss_bbox, bbox_coder: configs, which become the parts.
        train_cfg: ``assigner``, ``sampler``, ``allowed_border``, ``pos_weight``.
        test_cfg: ``nms_pre``, ``score_thr``, ``min_bbox_size``, ``nms``, ``max_per_img``.
        init_cfg: rules for initial weights.
    """

    num_classes: int
    in_channels: int
    feat_channels: int = 256
    loss_cls: Any = FOCAL
    loss_bbox: Any = IOU
    bbox_coder: Any = None
    train_cfg: Any = None
    test_cfg: Any = None
    init_cfg: Any = None
    use_sigmoid: bool = field(init=False, default=False)
    build: InitVar[Builder]

    # how losses are named, of which a subclass may prefix them
    names: ClassVar[tuple[str, ...]] = ("loss_cls", "loss_bbox")

    def __post_init__(self, build: Builder) -> None:
        name = type(self).__name__
        if self.num_classes < 1:
            raise FkitValueError(f"{name}: num_classes={self.num_classes}, but it counts classes, from 1.")
        cfg = self.loss_cls
        sigmoid = bool(
            cfg.get("use_sigmoid", False) if isinstance(cfg, Mapping) else getattr(cfg, "use_sigmoid", False)
        )
        settle(
            self,
            use_sigmoid=sigmoid,
            loss_cls=part(build, "models", cfg),
            loss_bbox=part(build, "models", self.loss_bbox),
            bbox_coder=part(build, "task_utils", self.bbox_coder),
        )

    @property
    def classes_out(self) -> int:
        """The numbers of classification at a prior."""
        return self.num_classes + (not self.use_sigmoid)

    @property
    def plan(self) -> Plan:
        """The layers."""
        raise NotImplementedError

    @property
    def draws(self) -> bool:
        """Whether training draws at random."""
        return False

    @property
    def wants_epoch(self) -> bool:
        """Whether training asks which epoch a batch is of."""
        return False

    def width(self, output: str) -> int:
        """The numbers of an output at a prior.

        Args:
            output: its name in the plan; the first is of classes, the second of boxes, others are single numbers.
        """
        place = next(at for at, one in enumerate(self.plan.outputs) if one.name == output)
        return (self.classes_out, 4)[place] if place < 2 else 1

    def shaped(self, xp: Ops, level: int, outputs: tuple[Any, ...], train: bool) -> tuple[Any, ...]:
        """One level's outputs as the head gives them, of those of its layers."""
        return outputs

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        """Losses by name; a tuple where there is one a level.

        Args:
            outputs: of each output, of each level, (N, P, K).
            sizes: (height, width) of each level's map.
            given: the truth.
        """
        raise NotImplementedError

    def priors(self, xp: Ops, sizes: Sizes, kind: Any) -> list[Any]:
        """Of each level (P, 4), or points (P, 2)."""
        raise NotImplementedError

    def predict(
        self, xp: Ops, outputs: Outputs, sizes: Sizes, shapes: Shapes, cfg: Any = None, rescale: bool = True
    ) -> Detections:
        """The boxes of each image.

        Args:
            cfg: in the place of ``test_cfg``.
            rescale: in the coordinates of the original images.
        """
        options = self.options(cfg)
        outputs = tuple(tuple(xp.detached(level) for level in levels) for levels in outputs)
        priors = self.priors(xp, sizes, outputs[0][0])

        def one(mine: Any, img: Any, scale: Any) -> Detections:
            candidates = self.candidates(xp, mine, priors, img, options)
            if rescale:
                factors = xp.cast(xp.lib.concat([scale, scale], axis=0), candidates.bboxes)
                candidates = candidates._replace(bboxes=candidates.bboxes / factors)
            return suppressed(xp, candidates, options)

        return xp.each(one, outputs, shapes.img, shapes.scale)

    def options(self, cfg: Any) -> Mapping[str, Any]:
        """How predictions are made: ``cfg``, else ``test_cfg``.

        Raises:
            FkitTypeError: there is neither.
        """
        chosen = self.test_cfg if cfg is None else cfg
        if chosen is None:
            raise FkitTypeError(
                f"{type(self).__name__}: predictions need test_cfg.", repair="test_cfg=dict(nms_pre=1000, nms=..., ...)"
            )
        return cast("Mapping[str, Any]", chosen)

    def candidates(
        self, xp: Ops, outputs: Outputs, priors: Sequence[Any], img: Any, options: Mapping[str, Any]
    ) -> Candidates:
        """The best scores of each level of one image, and their boxes."""
        scores, labels, deltas, boxes, valid = [], [], [], [], []
        for level, prior in enumerate(priors):
            score = self.scores(xp, outputs[0][level])
            top, index, label, fit = best(xp, score, options.get("score_thr", 0), options.get("nms_pre", -1))
            factor = self.factor(xp, outputs, level)
            scores.append(top if factor is None else top * xp.take(factor, index))
            labels.append(label)
            deltas.append(self.deltas(xp, level, xp.take(outputs[1][level], index)))
            boxes.append(xp.take(prior, index))
            valid.append(fit)
        join = xp.lib.concat
        bboxes = self.decoded(xp, join(boxes), join(deltas), img)
        return Candidates(bboxes, join(scores), join(labels), join(valid))

    def scores(self, xp: Ops, logits: Any) -> Any:
        """(P, num_classes) of (P, K) numbers."""
        return xp.sigmoid(logits) if self.use_sigmoid else xp.softmax(logits, -1)[:, :-1]

    def factor(self, xp: Ops, outputs: Outputs, level: int) -> Any:
        """(P,) what scores are multiplied with, or None: here a third output's sigmoid."""
        return xp.sigmoid(outputs[2][level])[:, 0] if len(outputs) > 2 else None

    def deltas(self, xp: Ops, level: int, deltas: Any) -> Any:
        """What the coder takes of one level's numbers (M, K)."""
        return deltas

    def decoded(self, xp: Ops, priors: Any, deltas: Any, img: Any) -> Any:
        """(M, 4) boxes inside of the image."""
        return self.bbox_coder.decode(xp, priors, deltas, max_shape=img)


def predicted(boxes: Detections) -> Mapping[str, Any]:
    """Detections as a model in mode="predict" gives them.

    Example:
        >>> predicted(Detections(1, 2, 3, 4))["valid"]["pred_instances"]
        4
    """
    instances = {"bboxes": boxes.bboxes, "scores": boxes.scores, "labels": boxes.labels}
    return {"pred_instances": instances, "valid": {"pred_instances": boxes.valid}}


def best(xp: Ops, scores: Any, threshold: float, most: int) -> tuple[Any, Any, Any, Any]:
    """The greatest of scores (P, K) that are above a threshold: themselves, their rows, their columns, which are some.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> [part.tolist() for part in best(Numpy(), np.array([[0.1, 0.9], [0.8, 0.2]]), 0.5, 3)]
        [[0.9, 0.8, 0.0], [0, 1, 0], [1, 0, 0], [True, True, False]]
    """
    width, flat = scores.shape[1], scores.reshape(-1)
    count = min(most, flat.shape[0]) if most > 0 else flat.shape[0]
    top, index = xp.topk(xp.lib.where(flat > threshold, flat, _TOUCHING), count)
    valid = top > _TOUCHING
    index = xp.lib.where(valid, index, 0)
    return xp.lib.where(valid, top, 0), index // width, index % width, valid


def suppressed(xp: Ops, candidates: Candidates, options: Mapping[str, Any]) -> Detections:
    """What of one image's candidates is left: those of some size, after non-maximum suppression."""
    boxes, scores, groups, valid = candidates
    least = options.get("min_bbox_size", -1)
    if least >= 0:
        valid = valid & (boxes[:, 2] - boxes[:, 0] > least) & (boxes[:, 3] - boxes[:, 1] > least)
    most = options.get("max_per_img", -1)
    count = min(most, scores.shape[0]) if most > 0 else None
    kept = batched(xp, boxes, scores, groups, options.get("nms"), valid=valid, count=count)
    here = kept.valid
    return Detections(
        xp.lib.where(here[:, None], xp.take(boxes, kept.index), 0),
        xp.lib.where(here, kept.scores, 0),
        xp.lib.where(here, xp.take(groups, kept.index), 0),
        here,
    )
