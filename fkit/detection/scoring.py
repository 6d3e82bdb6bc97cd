"""Mask Scoring R-CNN: how good a mask is, told beside it, and the score of its object by that (Huang et al. 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.suppress import Detections
from fkit.catalog.build import Builder
from fkit.detection.cascade import Layers, Scene, Stages, spread
from fkit.detection.loss.base import called
from fkit.detection.mask import MaskLogic
from fkit.detection.part import part
from fkit.detection.roi import Regions, Rows, rows_of
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["IOU_INIT", "IOU_LOSS", "ScoredStages", "ScoringLayers", "iou_loss", "scored", "shares_inside"]

IOU_LOSS = frozendict(type="MSELoss", loss_weight=0.5)
IOU_INIT = (
    frozendict(type="Kaiming", override=frozendict(name="convs")),
    frozendict(type="Caffe2Xavier", override=frozendict(name="fcs")),
    frozendict(type="Normal", std=0.01, override=frozendict(name="fc_mask_iou")),
)
_EPS = 1e-7


class ScoringLayers(Layers, Protocol):
    """`Layers` with a head that scores masks."""

    def scored(self, maps: Sequence[Any], rows: Rows, labels: Any) -> tuple[Any, Any]:
        """Masks (R, C, h, w) of the rows before the sigmoid, and (R, K) how well those of the labels (R,) overlap."""
        ...


@dataclass(frozen=True)
class ScoredStages(Stages):
    """`Stages` of a head that scores its masks.

    Attributes:
        loss_iou: of what is said of overlaps, built.
    """

    loss_iou: Any = None

    @property
    def _mask(self) -> MaskLogic:
        return cast("MaskLogic", self.stages[-1].mask)

    def mask_losses(
        self, xp: Ops, layers: ScoringLayers, maps: Sequence[Any], scene: Scene, at: int, picks: Regions
    ) -> dict[str, Any]:
        """``loss_mask`` and ``loss_mask_iou``."""
        logic = self._mask
        picks, rows = self.positives(xp, at, picks)
        targets = self.mask_targets(xp, at, picks, rows, scene)
        labels = xp.take(picks.labels.reshape(-1), rows.index)
        masks, overlaps = layers.scored(maps, rows, labels)
        said = logic.losses(xp, masks, picks, rows, targets)
        if not masks.shape[0]:
            xp.shared(overlaps.sum())  # all processes take part, as in `_loss`
            return {**said, "loss_mask_iou": overlaps.sum() * 0}
        count = scene.truth.masks.shape[1]
        objects = xp.take(picks.objects.reshape(-1), rows.index) + rows.image * count
        inside = shares_inside(xp, scene.truth.masks.reshape(-1, *scene.truth.masks.shape[2:]), rows.boxes, objects)
        drawn = xp.cast(logic.chosen(xp, masks, labels) > self.setting(at, "mask_thr_binary"), targets)
        wanted = _overlaps(xp, drawn, targets, inside)
        index = xp.real(xp.lib.logical_and(rows.valid, wanted > 0))
        mine = xp.take_along(overlaps, labels[:, None], 1)[:, 0]
        return {**said, "loss_mask_iou": self._loss(xp, mine, wanted, rows.valid, index)}

    def _loss(self, xp: Ops, mine: Any, wanted: Any, valid: Any, index: Any) -> Any:
        """The mean over those rows whose overlap is not 0."""
        every = xp.shared(xp.cast(xp.lib.logical_and(valid, wanted > 0), mine).sum())
        if not index.shape[0]:
            return mine.sum() * 0
        mine, wanted, valid = (xp.take(value, index) for value in (mine, wanted, valid))
        counts = xp.cast(xp.lib.logical_and(valid, wanted > 0), mine)
        losses = called(self.loss_iou, xp, mine, wanted, reduction_override="none")
        total = (losses * counts).sum()
        if getattr(self.loss_iou, "reduction", "mean") == "sum":
            return total
        return total / xp.lib.clip(every, 1, None)

    def masked(self, xp: Ops, layers: ScoringLayers, maps: Sequence[Any], seen: Detections) -> dict[str, Any]:
        """``mask_scores``, and ``scores`` multiplied with what is said of the masks' overlaps."""
        rows = rows_of(xp, seen.bboxes, seen.valid)
        labels = xp.take(seen.labels.reshape(-1), rows.index)
        masks, overlaps = layers.scored(maps, rows, labels)
        chosen = xp.sigmoid(self._mask.chosen(xp, masks, labels))
        mine = spread(xp, xp.take_along(overlaps, labels[:, None], 1)[:, 0], rows, seen.valid)
        return {"mask_scores": spread(xp, chosen, rows, seen.valid), "scores": seen.scores * mine}

    def raw(self, xp: Ops, layers: Any, maps: Sequence[Any], scene: Scene) -> dict[str, Any]:
        """As of `Stages`, and ``roi.mask_iou`` (100, K) of the likeliest classes' masks."""
        said = super().raw(xp, layers, maps, scene)
        rows = self.first(xp, scene.boxes, scene.valid)
        labels = xp.argmax(xp.take(said["roi.cls_score"], rows.index)[:, : self.num_classes], -1)
        said["roi.mask_iou"] = layers.scored(maps, rows, labels)[1]
        return said


def _overlaps(xp: Ops, drawn: Any, targets: Any, inside: Any) -> Any:
    """(R,) how drawn masks (R, h, w) overlap their objects, which are inside of their boxes to some share only."""
    common, all_drawn, there = ((one).sum((1, 2)) for one in (drawn * targets, drawn, targets))
    whole = all_drawn + there / (inside + _EPS) - common
    some = whole > 0
    return xp.lib.where(some, common / xp.lib.where(some, whole, xp.lib.ones_like(whole)), xp.lib.zeros_like(whole))


def shares_inside(xp: Ops, masks: Any, boxes: Any, objects: Any) -> Any:
    """What share of their object's pixels is inside of boxes, whose corners are rounded towards 0.

    Args:
        masks: (G, H, W) bitmaps.
        boxes: (R, 4); of at least a pixel.
        objects: (R,) which of the masks.

    Returns:
        (R,), of the boxes' kind.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> shares_inside(Numpy(), np.ones((1, 4, 4)), np.array([[0.0, 0.0, 2.9, 4.0]]), np.array([0])).round(4).tolist()
        [0.5]
    """
    lib, (count, high, wide) = xp.lib, masks.shape
    sums = lib.cumsum(lib.cumsum(xp.cast(masks, boxes), axis=1), axis=2)
    sums = lib.concat([xp.full((count, high, 1), 0.0, sums), sums], axis=2)
    sums = lib.concat([xp.full((count, 1, wide + 1), 0.0, sums), sums], axis=1).reshape(-1)
    whole = xp.cast(boxes, "int64")
    left, right = (lib.clip(whole[:, at], 0, wide) for at in (0, 2))
    top, bottom = (lib.clip(whole[:, at], 0, high) for at in (1, 3))
    right = lib.clip(lib.where(right > left, right, left + 1), 0, wide)
    bottom = lib.clip(lib.where(bottom > top, bottom, top + 1), 0, high)

    def upto(row: Any, column: Any) -> Any:
        return xp.take(sums, (objects * (high + 1) + row) * (wide + 1) + column)

    area = upto(bottom, right) - upto(top, right) - upto(bottom, left) + upto(top, left)
    far = xp.cast(objects * 0, "int64")
    return area / (upto(far + high, far + wide) + _EPS)


def iou_loss(build: Builder, loss_iou: Any, num_convs: int, num_fcs: int) -> Any:
    """The loss of a head that scores masks, built.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if num_convs < 1 or num_fcs < 1:
        raise FkitValueError(f"MaskIoUHead: num_convs={num_convs}, num_fcs={num_fcs}, but each is 1 or more.")
    return part(build, "models", loss_iou)


def scored(stages: Stages, head: Any) -> ScoredStages:
    """Stages whose masks a head scores.

    Raises:
        FkitTypeError: there is no such head, or there are no masks.
    """
    for some, name in ((head, "mask_iou_head"), (stages.stages[-1].mask, "mask_head")):
        if some is None:
            raise FkitTypeError(f"MaskScoringRoIHead needs a {name}.", repair=f"roi_head.{name} = dict(type=...)")
    return ScoredStages(stages.stages, stages.test_cfg, stages.named, loss_iou=head.loss_iou)
