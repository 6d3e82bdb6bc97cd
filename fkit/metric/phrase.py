"""What words refer to in a picture: boxes and masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.metric.detection import boxes_of, detections, overlaps
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.ground import Ground, ground_file
from fkit.metric.sample import Sample, column, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Flickr30kMetric", "GRefCOCOMetric", "RefExpMetric", "RefSegMetric", "VisualGroundingMetric"]

_SETS = ("refcoco", "refcoco+", "refcocog")


@dataclass(frozen=True)
class _Referred(Gathered):
    """Boxes that an expression refers to, by an annotation file whose every image has one expression."""

    ann_file: str = ""
    metric: str = "bbox"
    iou_thrs: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        expect(self.ann_file, str, f"{who}: ann_file is text")
        if not self.ann_file:
            raise FkitValueError(f"{who} counts by an annotation file.", repair="Set ann_file.")
        expect_choice(self.metric, ("bbox",), f"{who}: metric")
        expect_number(self.iou_thrs, f"{who}: iou_thrs")

    def record(self, sample: Sample) -> Any:
        said, number = detections(sample, type(self).__name__), field(sample, "img_id", type(self).__name__)
        plain = number.item() if isinstance(number, (np.generic, np.ndarray)) else number
        return {"img_id": plain, "boxes": said.boxes, "scores": said.scores}

    def truth(self, ground: Ground, number: Any) -> tuple[Mapping[str, Any], NDArray[Any]]:
        """An image's first annotation, and its box (1, 4)."""
        if number not in ground.annotations:
            raise FkitValueError(f"{type(self).__name__}: the image {number!r} is not in {ground.name}.")
        several = ground.annotations[number]
        if not several:
            raise FkitValueError(f"{type(self).__name__}: {ground.name} refers to nothing in the image {number!r}.")
        x, y, width, height = several[0]["bbox"]
        return several[0], np.array([[x, y, x + width, y + height]])


@dataclass(frozen=True)
class RefExpMetric(_Referred):
    """How often one of the first k boxes is the one that an expression refers to; mmdet's RefExpMetric.

    A sample has ``pred_instances`` ``{"bboxes", "scores"}``, the best first, and ``img_id``.

    Args:
        ann_file: COCO's annotation file of one object an image, whose images say their ``dataset_name``: "refcoco", "refcoco+" or
            "refcocog".
        metric: "bbox".
        topk: the k's.
        iou_thrs: the least overlap.

    Numbers: ``refexp/refcoco_precision@1``, ... and ``refexp/mean_precision``, over the three data sets and all k; a data set
    of which there is no image counts as 0, as in mmdet.
    """

    default_prefix: ClassVar[str | None] = "refexp"

    topk: Sequence[int] = (1, 5, 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "topk", _counts(self.topk, "RefExpMetric: topk"))

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        ground = ground_file(self.ann_file, who="RefExpMetric")
        hits: dict[str, list[list[bool]]] = {name: [] for name in _SETS}
        for row in rows:
            _, box = self.truth(ground, row["img_id"])
            name = ground.rows[row["img_id"]].get("dataset_name")
            if name not in hits:
                raise FkitKeyError(
                    f"RefExpMetric: {ground.name}: dataset_name = {name!r}.", value=str(name), choices=_SETS
                )
            near = overlaps(row["boxes"], box)[:, 0] >= self.iou_thrs
            hits[name].append([bool(near[:k].any()) for k in self.topk])
        means = {
            name: np.mean(several, axis=0) if several else np.zeros(len(self.topk)) for name, several in hits.items()
        }
        each = {
            f"{name}_precision@{k}": float(one) for name in _SETS for k, one in zip(self.topk, means[name], strict=True)
        }
        return {"mean_precision": float(np.mean(list(each.values()))), **each}


@dataclass(frozen=True)
class GRefCOCOMetric(_Referred):
    """How often what an expression refers to, be it nothing, is found; mmdet's gRefCOCOMetric.

    A sample has ``pred_instances`` ``{"bboxes", "scores"}`` and ``img_id``. As in mmdet the first annotation of an image is the
    one that is referred to; of the category -1 it says that nothing is.

    Args:
        ann_file: COCO's annotation file.
        metric: "bbox".
        iou_thrs: the least overlap.
        thresh_score: boxes of at least this score count.
        thresh_f1: an image whose F1 is at least this is right.

    Numbers: ``grefcoco/F1_score``, the part of the images that is right; ``grefcoco/T_acc`` and ``grefcoco/N_acc``, of images
    that show something and nothing the part in which something, and nothing, is found; nan where there is no such image.
    """

    default_prefix: ClassVar[str | None] = "grefcoco"

    thresh_score: float = 0.7
    thresh_f1: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("thresh_score", "thresh_f1"):
            expect_number(getattr(self, name), f"gRefCOCOMetric: {name}")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        ground = ground_file(self.ann_file, who="gRefCOCOMetric")
        right: list[bool] = []
        there: dict[bool, list[bool]] = {False: [], True: []}  # whether there is something -> whether that is said
        for row in rows:
            truth, box = self.truth(ground, row["img_id"])
            boxes = row["boxes"][row["scores"] >= self.thresh_score]
            something = truth["category_id"] != -1
            there[something].append((len(boxes) > 0) == something)
            hit = bool((overlaps(boxes, box) >= self.iou_thrs).any())
            f1 = 2 * hit / (len(boxes) + 1) if something else float(not len(boxes))
            right.append(f1 >= self.thresh_f1)
        parts = {"F1_score": right, "T_acc": there[True], "N_acc": there[False]}
        return {name: float(np.mean(part)) if part else float("nan") for name, part in parts.items()}


@dataclass(frozen=True)
class Flickr30kMetric(Gathered):
    """How often one of the first k boxes of a phrase is one of those it stands for; mmdet's Flickr30kMetric.

    A sample has ``pred_instances`` ``{"bboxes", "labels"}``, the best first, whose labels are places in ``phrases``;
    ``gt_instances`` ``{"bboxes": (M, 4)}``, and ``phrase_ids`` (M,), which phrase each stands for.

    Args:
        topk: the k's; -1 is all.
        iou_thrs: the least overlap.
        merge_boxes: a phrase's boxes are one, around them all.

    Numbers: ``1/all``, ``5/all``, ``-1/all``: the parts of the phrases.
    """

    default_prefix: ClassVar[str | None] = ""

    topk: Sequence[int] = (1, 5, 10, -1)
    iou_thrs: float = 0.5
    merge_boxes: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "topk", _counts(self.topk, "Flickr30kMetric: topk", all_of_them=True))
        expect_number(self.iou_thrs, "Flickr30kMetric: iou_thrs")

    def record(self, sample: Sample) -> Any:
        who = "Flickr30kMetric"
        boxes, real = (
            boxes_of(field(sample, name, who, "bboxes"), f"{who}: {name}.bboxes")
            for name in ("pred_instances", "gt_instances")
        )
        labels = column(field(sample, "pred_instances", who, "labels"), f"{who}: pred_instances.labels", whole=True)
        places = column(field(sample, "phrase_ids", who), f"{who}: phrase_ids", whole=True)
        if len(boxes) != len(labels) or len(real) != len(places):
            raise FkitValueError(
                f"{who}: {len(boxes)} boxes have {len(labels)} labels, {len(real)} true boxes {len(places)} phrase_ids."
            )
        hits: list[list[bool]] = []
        for at in range(len(field(sample, "phrases", who))):
            mine = real[np.flatnonzero(places == at)]
            if not len(mine):
                raise FkitValueError(f"{who}: the phrase {at} of sample {sample['sample_idx']} stands for no box.")
            if self.merge_boxes:
                mine = np.concatenate((mine[:, :2].min(axis=0), mine[:, 2:].max(axis=0)))[None]
            table = overlaps(boxes[np.flatnonzero(labels == at)], mine)
            near = table.max(axis=1) >= self.iou_thrs
            hits.append([bool(near[: None if k == -1 else k].any()) for k in self.topk])
        return {"hits": np.array(hits, bool).reshape(-1, len(self.topk))}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        hits = np.concatenate([row["hits"] for row in rows])
        if not len(hits):
            raise FkitValueError("Flickr30kMetric: no sample has a phrase.")
        return {f"{k}/all": float(part) for k, part in zip(self.topk, hits.mean(axis=0), strict=True)}


@dataclass(frozen=True)
class VisualGroundingMetric(Gathered):
    """How much the box of an expression overlaps the true one; mmpretrain's VisualGroundingMetric.

    A sample has ``pred_bboxes`` and ``gt_bboxes``, a box (4,) or (1, 4) each.

    Numbers: ``visual-grounding/miou``, the mean; ``visual-grounding/acc``, the part that overlaps by half at least.

    Example:
        >>> metric = VisualGroundingMetric()
        >>> outputs, targets = {"pred_bboxes": np.array([[0, 0, 2, 2.0]])}, {"gt_bboxes": np.array([[0, 0, 2, 1.0]])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'visual-grounding/miou': 0.5, 'visual-grounding/acc': 1.0}
    """

    default_prefix: ClassVar[str | None] = "visual-grounding"

    def record(self, sample: Sample) -> Any:
        pair = [np.asarray(field(sample, name, "VisualGroundingMetric")) for name in ("pred_bboxes", "gt_bboxes")]
        if any(box.size != 4 or box.dtype.kind not in "iuf" for box in pair):
            raise FkitTypeError(
                f"VisualGroundingMetric: a sample has one box each, not {pair[0].shape} and {pair[1].shape}."
            )
        boxes = np.stack([box.reshape(4).astype(np.float64) for box in pair])
        if not np.isfinite(boxes).all():
            raise FkitValueError(f"VisualGroundingMetric: a box of sample {sample['sample_idx']} is not finite.")
        return {"boxes": boxes}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        said, real = np.stack([row["boxes"] for row in rows], axis=1)
        sides = np.maximum(np.minimum(said[:, 2:], real[:, 2:]) - np.maximum(said[:, :2], real[:, :2]), 0)
        shared, area = sides.prod(axis=1), [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (said, real)]
        whole = area[0] + area[1] - shared
        overlap = np.where(whole > 0, shared / np.where(whole > 0, whole, 1), 0)
        return {"miou": float(overlap.mean()), "acc": float((overlap >= 0.5).mean())}


@dataclass(frozen=True)
class RefSegMetric(Gathered):
    """How much the masks of expressions overlap the true ones; mmdet's RefSegMetric, whose per cent are fractions here.

    A sample has ``pred_instances`` ``{"masks": (K, H, W)}`` and ``gt_masks`` (K, H, W), or bitmaps.

    Args:
        metric: of "cIoU", the overlap over all pixels together, and "mIoU", the mean of the masks'; one that is empty, as the
            true one is, counts as 0.

    Example:
        >>> metric = RefSegMetric()
        >>> outputs, targets = {"pred_instances": {"masks": np.ones((1, 1, 2, 2))}}, {"gt_masks": np.eye(2)[None, None]}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'cIoU': 0.5, 'mIoU': 0.5}
    """

    default_prefix: ClassVar[str | None] = ""

    metric: Sequence[str] = ("cIoU", "mIoU")

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.metric, ("cIoU", "mIoU"), "RefSegMetric: metric")
        object.__setattr__(self, "metric", (self.metric,) if isinstance(self.metric, str) else tuple(self.metric))
        if not self.metric:
            raise FkitValueError("RefSegMetric: metric is empty.")

    def record(self, sample: Sample) -> Any:
        real: Any = field(sample, "gt_masks", "RefSegMetric")
        truth = np.asarray(real.to_ndarray() if hasattr(real, "to_ndarray") else real)
        said = np.asarray(field(sample, "pred_instances", "RefSegMetric", "masks"))
        if said.shape != truth.shape or said.ndim != 3 or said.dtype.kind not in "biuf":
            raise FkitTypeError(
                f"RefSegMetric: masks are (K, H, W): predicted are {said.shape}, of the truth {truth.shape}."
            )
        said, truth = said.astype(bool), truth.astype(bool)
        return {"shared": (said & truth).sum(axis=(1, 2)), "whole": (said | truth).sum(axis=(1, 2))}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        shared, whole = (np.concatenate([row[name] for row in rows]) for name in ("shared", "whole"))
        if not len(shared):
            raise FkitValueError("RefSegMetric: no sample has a mask.")
        numbers = {
            "cIoU": float(shared.sum() / max(whole.sum(), 1)),
            "mIoU": float((shared / np.maximum(whole, 1)).mean()),
        }
        return {name: numbers[name] for name in self.metric}


def _counts(value: Any, what: str, all_of_them: bool = False) -> tuple[int, ...]:
    expect(value, (list, tuple), f"{what} is a list of numbers")
    several: tuple[Any, ...] = tuple(value)
    for one in several:
        expect_number(one, what, whole=True)
        if one < 1 and not (all_of_them and one == -1):
            raise FkitValueError(f"{what} = {value!r}: numbers from 1 on" + (", or -1." if all_of_them else "."))
    if not several:
        raise FkitValueError(f"{what} is empty.")
    return several
