"""TOOD's head (Feng et al. 2021): classes and boxes share features, and what both say well of an object is positive."""

from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.array.deform import deform_conv
from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.atss import ATSSHead, middle_sides
from fkit.detection.default import NORMAL
from fkit.detection.dense import Given, Outputs, Sizes, settle
from fkit.detection.fcos import centerness
from fkit.detection.gfl import middles
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.detection.plan import Output, Plan, Tower
from fkit.detection.rows import by_level, rows_of, spans_of, together
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["TOODHead"]

_FIRST = frozendict(type="FocalLoss", use_sigmoid=True, activated=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
_DEFORMED = frozendict(type="DCNv2", deform_groups=4)
_TYPES = ("anchor_free", "anchor_based")
_LEAST = 1e-7  # of the best alignment of an object
_ASKED = ("initial_epoch", "initial_assigner", "assigner", "alpha", "beta")


class Aligned(NamedTuple):
    """What is positive.

    Attributes:
        gt, positive, negative: (N, P) each, see `fkit.detection.anchor_head.AnchorHead.chosen`.
        metric: (N, P) how much a positive counts, 0 elsewhere.
    """

    gt: Any
    positive: Any
    negative: Any
    metric: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class TOODHead(ATSSHead):
    """mmdet's TOODHead; see `fkit.detection.atss.ATSSHead`. Its scores are chances, its boxes are in strides.

    Args:
        num_dcn: how many of the shared convolutions, from the first, are deformable.
        anchor_type: "anchor_free", boxes are distances from the middle of an anchor, or "anchor_based", changes of it.
        initial_loss_cls: the loss of classes in the first epochs.
        train_cfg: ``initial_epoch``, up to which epoch ``initial_assigner`` chooses, and ``assigner`` from then on, by scores
            to the power of ``alpha`` and overlaps to that of ``beta``; the others as of `AnchorHead`.

    The number of the epoch is the batch's ``targets["epoch"]`` (N,), which a run puts there; without it it is 0.
    """

    num_dcn: int = 0
    anchor_type: str = "anchor_free"
    initial_loss_cls: Any = _FIRST
    init_cfg: Any = None
    initial_assigner: Any = field(init=False, default=None)
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        if self.anchor_type not in _TYPES:
            raise FkitValueError(
                f"TOODHead: anchor_type={self.anchor_type!r}.", value=self.anchor_type, choices=_TYPES, label="Types"
            )
        if self.stacked_convs < 1:
            raise FkitValueError(f"TOODHead: stacked_convs={self.stacked_convs}: at least 1.")
        super().__post_init__(build)
        if self.anchors != 1:
            raise FkitValueError(f"TOODHead: {self.anchors} anchors a place, but it takes one.")
        settle(
            self,
            initial_loss_cls=part(build, "models", self.initial_loss_cls),
            init_cfg=_rules(self.num_dcn) if self.init_cfg is None else self.init_cfg,
        )
        if self.train_cfg:
            missing = [name for name in _ASKED if name not in self.train_cfg]
            if missing:
                raise FkitKeyError(f"TOODHead: train_cfg has no {missing[0]!r}.", choices=_ASKED, label="It needs")
            settle(self, initial_assigner=part(build, "task_utils", self.train_cfg["initial_assigner"]))

    @property
    def plan(self) -> Plan:
        tower = Tower(
            "inter_convs", self.stacked_convs, self.conv_cfg, self.norm_cfg, first=self.num_dcn, first_cfg=_DEFORMED
        )
        outputs = (Output("tood_cls", "inter_convs", self.classes_out), Output("tood_reg", "inter_convs", 4))
        order = (
            *("inter_convs", "cls_decomp", "reg_decomp", "tood_cls", "tood_reg"),
            *("cls_prob_module", "reg_offset_module", "scales"),
        )
        levels = self.anchor_generator.num_levels
        return Plan(self.in_channels, self.feat_channels, (tower,), outputs, scales=levels, order=order)

    @property
    def wants_epoch(self) -> bool:
        return True

    def stride(self, level: int) -> float:
        """Pixels between the places of a level."""
        return self.anchor_generator.strides[level][0]

    def met(self, xp: Ops, level: int, logits: Any, chance: Any, sides: Any, offset: Any) -> tuple[Any, Any]:
        """Scores (N, H, W, K) and boxes (N, H, W, 4) of one level, in strides.

        Args:
            logits: (N, H, W, K).
            chance: (N, H, W, 1) a logit of there being anything.
            sides: (N, H, W, 4) distances, or deltas of anchors.
            offset: (N, H, W, 8) from where each side of a box is taken, y before x, in places.
        """
        lib = xp.lib
        scores = lib.exp(-(xp.softplus(-logits) + xp.softplus(-chance)) / 2)
        count, height, width, _ = sides.shape
        sides = sides if sides.dtype.itemsize >= 4 else xp.cast(sides, "float32")
        sizes = [(height, width) if at == level else (1, 1) for at in range(self.anchor_generator.num_levels)]
        prior, stride = self.priors(xp, sizes, sides)[level], self.stride(level)
        if self.anchor_type == "anchor_free":
            middle = (middles(xp, prior) / stride).reshape((1, height, width, 2))
            boxes = lib.concat([middle - sides[..., :2], middle + sides[..., 2:]], axis=-1)
        else:
            every = lib.broadcast_to(prior[None], (count, *prior.shape)).reshape((-1, 4))
            boxes = self.bbox_coder.decode(xp, every, sides.reshape((-1, 4))).reshape(sides.shape) / stride
        taken = deform_conv(xp, boxes, offset, None, xp.full((1, 1, 1, 4), 1, boxes), groups=4, deform_groups=4)
        bad = (taken[..., 0] > taken[..., 2]) | (taken[..., 1] > taken[..., 3])
        return scores, lib.where(bad[..., None], boxes, taken)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        lib, spans = xp.lib, spans_of(outputs[0])
        scores, sides = together(xp, outputs[0]), together(xp, outputs[1])
        boxes = xp.cast(lib.concat(self.priors(xp, sizes, "float32"), axis=0), sides)
        early = _epoch(xp, given, sides) < self.train_cfg["initial_epoch"]
        known = xp.known(early)
        first = None if known is False else self.near(xp, boxes, sizes, given)
        then = None if known is True else self.aligned(xp, scores, sides, boxes, sizes, given, spans)
        chosen = _either(xp, early, first, then)
        rows = rows_of(xp, chosen.positive, spans)
        prior = rows.prior_of(xp, boxes)
        box = xp.cast(object_of(xp, given.truth.bboxes, rows, chosen.gt), prior)
        box = lib.where(rows.real[:, None], box, prior)
        middle = centerness(xp, middle_sides(xp, prior, box)) * xp.cast(rows.real, prior)
        weight = _either(
            xp, early, None if known is False else middle, None if known is True else rows.of(xp, chosen.metric)
        )
        strides = xp.take(xp.asarray([self.stride(level) for level in range(len(spans))], sides), rows.level)[:, None]
        one = xp.full((), 1, sides)
        mass = lib.maximum(xp.shared(weight.sum()), one)
        regions = by_level(xp, self.loss_bbox, rows, rows.of(xp, sides), box / strides, weight, 1.0)
        total = lib.maximum(xp.shared(chosen.metric.sum()), one)
        classes = self.level_losses(xp, outputs[0], spans, given, chosen, early, known)
        return {
            "loss_cls": tuple(loss / total for loss in classes),
            "loss_bbox": tuple(loss / mass for loss in regions),
        }

    def near(self, xp: Ops, boxes: Any, sizes: Sizes, given: Given) -> Aligned:
        """What is positive in the first epochs."""
        gt, positive, negative = self.chosen(xp, boxes, sizes, given, assigner=self.initial_assigner)
        return Aligned(gt, positive, negative, xp.cast(positive, boxes))

    def aligned(self, xp: Ops, scores: Any, sides: Any, boxes: Any, sizes: Sizes, given: Given, spans: Any) -> Aligned:
        """What is positive afterwards; of an object's positives the best counts as much as the greatest overlap."""
        pixels = [self.stride(level) for level, (start, stop) in enumerate(spans) for _ in range(stop - start)]
        pred = {"bboxes": xp.detached(sides) * xp.asarray(pixels, sides)[:, None], "scores": xp.detached(scores)}
        options = {"alpha": self.train_cfg["alpha"], "beta": self.train_cfg["beta"]}
        gt, positive, negative, metric, overlap = self.chosen(
            xp, boxes, sizes, given, pred, more=("metric", "overlap"), **options
        )
        images, objects = given.truth.labels.shape
        owner = (gt + xp.arange(images)[:, None] * objects).reshape(-1)

        def most(values: Any) -> Any:
            flat = xp.lib.where(positive, values, 0).reshape(-1)
            return xp.take(xp.segment_max(flat, owner, images * objects, 0.0), owner).reshape(tuple(gt.shape))

        share = metric / (most(metric) + _LEAST) * most(overlap)
        return Aligned(gt, positive, negative, xp.lib.where(positive, share, 0))

    def level_losses(
        self, xp: Ops, levels: Any, spans: Any, given: Given, chosen: Aligned, early: Any, known: bool | None
    ) -> tuple[Any, ...]:
        """Of all scores, level by level."""
        taking, mine = chosen.positive | chosen.negative, xp.take_along(given.truth.labels, chosen.gt, 1)
        label, weight = self.labels(xp, chosen.positive, taking, mine, chosen.metric)
        parts: list[Any] = []
        for level, (start, stop) in zip(levels, spans, strict=True):
            flat = level.reshape((-1, level.shape[2]))
            goal, heavy, metric = (one[:, start:stop].reshape(-1) for one in (label, weight, chosen.metric))
            first = None if known is False else called(self.initial_loss_cls, xp, flat, goal, heavy, avg_factor=1.0)
            then = None if known is True else called(self.loss_cls, xp, flat, (goal, metric), heavy, avg_factor=1.0)
            parts.append(_either(xp, early, first, then))
        return tuple(parts)

    def scores(self, xp: Ops, logits: Any) -> Any:
        return logits

    def deltas(self, xp: Ops, level: int, deltas: Any) -> Any:
        return deltas * self.stride(level)

    def decoded(self, xp: Ops, priors: Any, deltas: Any, img: Any) -> Any:
        return deltas


def _epoch(xp: Ops, given: Given, kind: Any) -> Any:
    """0-d: the number of the epoch, from 0."""
    return xp.full((), 0, "int64") if given.epoch is None else given.epoch[0]


def _either(xp: Ops, early: Any, first: Any, then: Any) -> Any:
    """The first or the second of two arrays, or tuples of arrays; where one is None it is not asked for."""
    if first is None or then is None:
        return then if first is None else first
    if isinstance(first, Aligned):
        return Aligned(*(xp.lib.where(early, a, b) for a, b in zip(first, then, strict=True)))
    return xp.lib.where(early, first, then)


def _rules(deformed: int) -> Any:
    """Initial weights: all convolutions begin small, those of scores at a chance of 0.01, what moves boxes smaller still."""
    scores = tuple(
        frozendict(type="Normal", name=name, std=0.01, bias_prob=0.01) for name in ("tood_cls", "cls_prob_module.2")
    )
    small = tuple(
        frozendict(type="Normal", name=name, std=0.001)
        for name in ("cls_decomp.layer_attention", "reg_decomp.layer_attention", "reg_offset_module")
    )
    still = tuple(
        rule
        for at in range(deformed)
        for rule in (
            frozendict(type="Normal", name=f"inter_convs.{at}.conv", std=0.01),
            frozendict(type="Constant", name=f"inter_convs.{at}.conv.conv_offset", val=0),
        )
    )
    return frozendict({**NORMAL, "override": (*scores, *small, *still)})
