"""The region proposal network's head (Ren et al. 2015)."""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, NamedTuple

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.anchor_head import AnchorHead
from fkit.detection.dense import Candidates, Detections, Given, Outputs, Sizes
from fkit.detection.plan import Output, Plan, Tower
from fkit.tree.error import FkitValueError

__all__ = ["Proposals", "RPNHead"]


class Proposals(NamedTuple):
    """Boxes that may hold something, of N images, K rows each; a row that is not valid holds zeros.

    Attributes:
        bboxes: (N, K, 4) in the coordinates of the resized images.
        scores: (N, K), descending.
        valid: (N, K) bool.
    """

    bboxes: Any
    scores: Any
    valid: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class RPNHead(AnchorHead):
    """mmdet's RPNHead: whether an anchor holds something, and its box; see `AnchorHead`.

    Args:
        num_classes: 1.
        num_convs: convolutions before the predictions.
    """

    num_classes: int = 1
    num_convs: int = 1
    build: InitVar[Builder]

    names: ClassVar[tuple[str, ...]] = ("loss_rpn_cls", "loss_rpn_bbox")

    def __post_init__(self, build: Builder) -> None:
        if self.num_classes != 1:
            raise FkitValueError(f"RPNHead: num_classes={self.num_classes}, but it tells something from nothing: 1.")
        if self.num_convs < 1:
            raise FkitValueError(f"RPNHead: num_convs={self.num_convs}: at least 1.")
        super().__post_init__(build)

    @property
    def plan(self) -> Plan:
        return Plan(
            self.in_channels,
            self.feat_channels,
            (Tower("rpn_conv", self.num_convs, plain=self.num_convs == 1),),
            (
                Output("rpn_cls", "rpn_conv", self.anchors * self.classes_out, 1),
                Output("rpn_reg", "rpn_conv", self.anchors * 4, 1),
            ),
        )

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        truth = given.truth
        return super().loss(xp, outputs, sizes, given._replace(truth=truth._replace(labels=truth.labels * 0)))

    def options(self, cfg: Any) -> Mapping[str, Any]:
        """How proposals are made; mmdet 1.x's words too: ``nms_thr``, ``max_num``, ``nms_post``."""
        options = dict(super().options(cfg))
        if "nms" not in options and "nms_thr" in options:
            options["nms"] = frozendict(type="nms", iou_threshold=options["nms_thr"])
        if "max_per_img" not in options:
            options["max_per_img"] = options.get("max_num", options.get("nms_post", -1))
        return options

    def candidates(
        self, xp: Ops, outputs: Outputs, priors: Sequence[Any], img: Any, options: Mapping[str, Any]
    ) -> Candidates:
        """The best of each level of one image; levels do not suppress each other."""
        most = options.get("nms_pre", -1)
        scores, deltas, boxes, levels = [], [], [], []
        for level, prior in enumerate(priors):
            score, delta = self.scores(xp, outputs[0][level])[:, 0], outputs[1][level]
            if 0 < most < score.shape[0]:
                score, index = xp.topk(score, most)
                delta, prior = xp.take(delta, index), xp.take(prior, index)
            scores.append(score)
            deltas.append(delta)
            boxes.append(prior)
            levels.append(xp.full(score.shape, level, "int64"))
        join = xp.lib.concat
        score = join(scores)
        return Candidates(self.decoded(xp, join(boxes), join(deltas), img), score, join(levels), score == score)

    def predict(
        self, xp: Ops, outputs: Outputs, sizes: Sizes, shapes: Any, cfg: Any = None, rescale: bool = True
    ) -> Detections:
        """As `DenseHead.predict`: the groups in which boxes suppress each other are levels, and the one label is 0."""
        boxes = super().predict(xp, outputs, sizes, shapes, cfg, rescale)
        return boxes._replace(labels=boxes.labels * 0)

    def proposals(self, xp: Ops, outputs: Outputs, sizes: Sizes, shapes: Any, cfg: Any = None) -> Proposals:
        """Boxes in the coordinates of the resized images, without a gradient; see `DenseHead.predict`."""
        boxes, scores, _, valid = self.predict(xp, outputs, sizes, shapes, cfg, rescale=False)
        return Proposals(boxes, scores, valid)
