"""FSAF's head (Zhu et al. 2019): an object is learnt on the level on which it costs least."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any

from frozendict import frozendict

from fkit.array.loss.accuracy import accuracy
from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import object_of
from fkit.detection.default import NORMAL
from fkit.detection.dense import Given, Outputs, Sizes
from fkit.detection.loss.base import called
from fkit.detection.retina import RetinaHead
from fkit.detection.rows import Rows, level_sums, rows_of, spans_of, spread, together

__all__ = ["FSAFHead"]

_INIT = frozendict(
    {
        **NORMAL,
        "override": (
            frozendict(type="Normal", name="retina_cls", std=0.01, bias_prob=0.01),
            frozendict(type="Normal", name="retina_reg", std=0.01, bias=0.25),
        ),
    }
)
_LEAST = 1e-4  # of a distance, so that no box is without area
_FAR = 1e6  # what an object costs on a level on which no prior is its


@dataclass(frozen=True, eq=False, kw_only=True)
class FSAFHead(RetinaHead):
    """mmdet's FSAFHead; see `fkit.detection.retina.RetinaHead`.

    Args:
        score_threshold: below this score a prior is not counted as recalled.
    """

    score_threshold: float | None = None
    init_cfg: Any = _INIT
    build: InitVar[Builder]

    def shaped(self, xp: Ops, level: int, outputs: tuple[Any, ...], train: bool) -> tuple[Any, ...]:
        scores, sides = outputs
        return scores, xp.lib.where(sides > 0, sides, 0)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        lib, spans = xp.lib, spans_of(outputs[0])
        logits, sides = together(xp, outputs[0]), lib.clip(together(xp, outputs[1]), _LEAST, None)
        boxes = xp.cast(lib.concat(self.priors(xp, sizes, "float32"), axis=0), sides)
        gt, positive, negative, shadow = self.chosen(xp, boxes, sizes, given, more=("shadow",))
        mine = xp.take_along(given.truth.labels, gt, 1)
        classes = self.element_losses(xp, logits, given, positive, negative, mine, shadow)
        rows = rows_of(xp, positive, spans)
        real = xp.cast(rows.real, sides)
        regions = self.region_losses(xp, rows, boxes, sides, object_of(xp, given.truth.bboxes, rows, gt), real)
        whole = xp.detached(rows.of(xp, classes.sum(-1)) + regions)
        kept = self.cheapest(xp, rows, rows.of(xp, gt), whole, tuple(given.truth.labels.shape)) & rows.real
        taken = spread(xp, rows, xp.cast(kept, sides), positive.shape) > 0
        dropped = (positive & ~taken)[..., None] & (mine[..., None] == xp.arange(self.classes_out))
        classes = lib.where(dropped, 0, classes)
        regions = lib.where(kept, regions, 0)
        count = xp.cast(taken, sides).sum()
        total = lib.where(count > 0, count, xp.cast(negative, sides).sum())
        return {
            "loss_cls": tuple(classes[:, start:stop].sum() / total for start, stop in spans),
            "loss_bbox": tuple(one / total for one in level_sums(xp, rows, regions)),
            "num_pos": count / positive.shape[0],
            "pos_recall": self.recall(xp, logits, mine, taken),
        }

    def element_losses(
        self, xp: Ops, logits: Any, given: Given, positive: Any, negative: Any, mine: Any, shadow: Any
    ) -> Any:
        """(N, P, K) of each score; none where a prior lies in the shadow of an object of the class."""
        label, weight = self.labels(xp, positive, positive | negative, mine, logits)
        classes = xp.cast(given.truth.labels[..., None] == xp.arange(self.classes_out), logits)
        free = xp.lib.matmul(xp.cast(shadow, logits), classes) == 0
        heavy = (weight[..., None] * xp.cast(free, weight)).reshape((-1, self.classes_out))
        flat = logits.reshape((-1, self.classes_out))
        losses = called(self.loss_cls, xp, flat, label.reshape(-1), heavy, reduction_override="none")
        return losses.reshape(logits.shape)

    def region_losses(self, xp: Ops, rows: Rows, boxes: Any, sides: Any, objects: Any, real: Any) -> Any:
        """(R,) of each row's box."""
        prior, pred = rows.prior_of(xp, boxes), rows.of(xp, sides)
        box = xp.lib.where(rows.real[:, None], xp.cast(objects, prior), prior)
        if self.reg_decoded_bbox:
            pred, target = self.bbox_coder.decode(xp, prior, pred), box
        else:
            target = self.bbox_coder.encode(xp, prior, box)
        weight = xp.lib.broadcast_to(real[:, None], pred.shape)
        losses = called(self.loss_bbox, xp, pred, target, weight, reduction_override="none")
        return losses if losses.ndim == 1 else losses.sum(-1)

    def cheapest(self, xp: Ops, rows: Rows, gt: Any, losses: Any, shape: Sequence[int]) -> Any:
        """(R,) bool: whether a row is of the level on which its object costs least, on the mean of its rows there."""
        levels, count = len(rows.spans), shape[0] * shape[1]
        owner = rows.image * shape[1] + gt
        place, real = owner * levels + rows.level, xp.cast(rows.real, losses)
        number = xp.segment_sum(real, place, count * levels)
        cost = xp.segment_sum(losses * real, place, count * levels) / xp.lib.clip(number, 1, None)
        cost = xp.lib.where(number > 0, cost, _FAR).reshape((count, levels))
        return xp.take(xp.argmax(-cost, 1), owner) == rows.level

    def recall(self, xp: Ops, logits: Any, labels: Any, taken: Any) -> Any:
        """The share of positives, in percent, whose greatest score is their class's."""
        width = self.classes_out
        scores = xp.detached(logits).reshape((-1, width))
        scores = xp.sigmoid(scores) if self.use_sigmoid else xp.softmax(scores, -1)
        return accuracy(xp, scores, labels.reshape(-1), thresh=self.score_threshold, valid=taken.reshape(-1))
