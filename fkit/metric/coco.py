"""COCO's evaluation of boxes, masks and proposals; pycocotools does the counting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.format.json import write_json
from fkit.metric.detection import detections, image_size, objects, recalls, run_lengths
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.ground import Ground, evaluated, ground_file, ground_of
from fkit.metric.sample import Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.write import atomic_write

__all__ = ["CocoMetric", "results", "summary"]

_KINDS = ("bbox", "segm", "proposal", "proposal_fast")
_AREAS = frozendict(s=1, m=2, l=3)


@dataclass(frozen=True)
class CocoMetric(Gathered):
    """Average precision and recall as COCO counts them; mmdet's CocoMetric, its numbers not rounded.

    A sample has ``pred_instances`` ``{"bboxes": (K, 4) x1 y1 x2 y2, "scores": (K,), "labels": (K,), "masks"?: (K, H, W) or run
    lengths, "mask_scores"?: (K,)}`` in the coordinates of the original image, and ``img_id`` (in the batch's meta; by default
    the sample's number). The truth is the annotation file's; without one it comes with the sample: ``instances`` of its
    meta, or ``gt_instances`` and ``ignored_instances`` in original coordinates, ignored objects counted as crowds.

    Args:
        ann_file: COCO's annotation file; read when numbers are computed.
        metric: of "bbox", "segm", "proposal", "proposal_fast" (recalls without classes), one or several.
        classwise: give each class's mean precision too: ``cat_precision``.
        proposal_nums: how many predictions of an image count, at most.
        iou_thrs: thresholds of the overlap; None: 0.5, 0.55 to 0.95.
        metric_items: names of the numbers that are given: "mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l", "AR@100",
            "AR_s@1000", ..., where the recalls' are those of ``proposal_nums``.
        format_only: write the results only, and give no number.
        outfile_prefix: where results are written as COCO's JSON: ``{outfile_prefix}.bbox.json``, ``.segm.json``.
        backend_args: the storage of ``ann_file``.
        sort_categories: take the file's categories in the order of their ids, where metainfo names no classes.
        use_mp_eval: mmdet's word; one process counts.

    Numbers: ``coco/bbox_mAP``, ...; -1 where there is nothing to be found.
    pycocotools takes a match with an annotation of the id 0 for none, and so do mmdet and this, to give equal numbers: number a
    file's annotations from 1 on.

    Example:
        >>> box = {"bboxes": np.array([[[0, 0, 9, 9.0]]]), "labels": np.array([[0]])}
        >>> metric = CocoMetric(metainfo={"classes": ("cat",)}, metric_items=["AR@100"])
        >>> outputs = {"pred_instances": {**box, "scores": np.array([[0.9]])}}
        >>> metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": box}, [7]))
        {'coco/bbox_AR@100': 1.0}
    """

    default_prefix: ClassVar[str | None] = "coco"

    ann_file: str | None = None
    metric: str | Sequence[str] = "bbox"
    classwise: bool = False
    proposal_nums: Sequence[int] = (100, 300, 1000)
    iou_thrs: float | Sequence[float] | None = None
    metric_items: Sequence[str] | None = None
    format_only: bool = False
    outfile_prefix: str | None = None
    backend_args: Mapping[str, Any] | None = None
    sort_categories: bool = False
    use_mp_eval: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        who, put = type(self).__name__, object.__setattr__
        expect_choice(self.metric, _KINDS, f"{who}: metric")
        put(self, "metric", (self.metric,) if isinstance(self.metric, str) else tuple(self.metric))
        put(self, "proposal_nums", _numbers(self.proposal_nums, f"{who}: proposal_nums", whole=True))
        if self.iou_thrs is None:
            put(self, "iou_thrs", tuple(np.linspace(0.5, 0.95, 10).tolist()))
        else:
            thresholds: Any = (
                np.asarray(self.iou_thrs).tolist() if isinstance(self.iou_thrs, np.ndarray) else self.iou_thrs
            )
            put(self, "iou_thrs", _numbers(thresholds, f"{who}: iou_thrs"))
        for name, kind in (("ann_file", str), ("outfile_prefix", str), ("backend_args", Mapping)):
            value = getattr(self, name)
            if value is not None:
                expect(value, kind, f"{who}: {name} is {'a mapping' if kind is Mapping else 'text'}")
        if self.metric_items is not None:
            expect(self.metric_items, (list, tuple), f"{who}: metric_items is a list of names")
            expect_choice(self.metric_items, self.items, f"{who}: metric_items")
        if self.format_only and self.outfile_prefix is None:
            raise FkitValueError(f"{who}: format_only writes results, and outfile_prefix is not set.")

    @property
    def items(self) -> tuple[str, ...]:
        """The names that ``metric_items`` may have."""
        counts = sorted(cast("tuple[int, ...]", self.proposal_nums))
        precisions = ("mAP", "mAP_50", "mAP_75", *(f"mAP_{size}" for size in _AREAS))
        return (*precisions, *(f"AR@{n}" for n in counts), *(f"AR_{size}@{counts[-1]}" for size in _AREAS))

    def record(self, sample: Sample) -> Any:
        who = type(self).__name__
        said, size = detections(sample, who), image_size(sample)
        group = cast("Mapping[str, Any]", sample["pred_instances"])
        row: dict[str, Any] = {"img_id": _plain(sample.get("img_id", sample["sample_idx"])), **said._asdict()}
        if "masks" in group and group["masks"] is not None:
            row["masks"] = run_lengths(group["masks"], size, who)
            if "mask_scores" in group:
                row["mask_scores"] = np.asarray(group["mask_scores"])
        elif "segm" in self.metric:
            raise FkitKeyError(f"{who}: metric 'segm' needs 'masks' of pred_instances.", value="masks", choices=group)
        if self.ann_file is None and not self.format_only:
            truth = objects(sample, who, "segm" in self.metric)
            masks = None if truth.masks is None else _segmentations(truth.masks, size, who)
            row["truth"] = {**truth._asdict(), "masks": masks, "size": size}
        return row

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        who = type(self).__name__
        if self.ann_file is not None:
            ground = ground_file(self.ann_file, self.backend_args, self.classes, self.sort_categories, who)
        else:
            ground = ground_of(tuple(rows), self.classes)
        found = {kind: self._lines(rows, ground, kind) for kind in ("bbox", "segm") if kind == "bbox" or _masked(rows)}
        if self.outfile_prefix is not None:
            for kind, lines in found.items():
                path = Path(f"{self.outfile_prefix}.{kind}.json")
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(path, write_json(lines).encode())
        numbers: dict[str, float] = {}
        for kind in () if self.format_only else self.metric:
            if kind == "proposal_fast":
                numbers |= self._fast(rows, ground)
            else:
                numbers |= self._counted(kind, found.get("segm" if kind == "segm" else "bbox", []), ground)
        return numbers

    def _lines(self, rows: NDArray[Any], ground: Ground, kind: str) -> list[dict[str, Any]]:
        return results(rows, ground, kind, type(self).__name__)

    def _counted(self, kind: str, lines: list[dict[str, Any]], ground: Ground) -> dict[str, float]:
        counts, thresholds = cast("tuple[int, ...]", self.proposal_nums), cast("tuple[float, ...]", self.iou_thrs)
        table = evaluated(ground, lines, kind, counts, thresholds)
        numbers = summary(table, thresholds, counts)
        if kind == "proposal":
            return {name: numbers[name] for name in self.metric_items or self.items[6:]}
        chosen = {f"{kind}_{name}": numbers[name] for name in self.metric_items or self.items[:6]}
        chosen |= self._more(kind, table, ground)
        if not self.classwise:
            return chosen
        places = {number: at for at, number in enumerate(np.unique(ground.used))}
        for number in ground.used:
            precision = table["precision"][:, :, places[number], 0, -1]
            there = precision[precision > -1]
            name = ground.names[number] + (f"_{kind}_precision" if self.twofold else "_precision")
            chosen[name] = float(there.mean()) if there.size else float("nan")
        return chosen

    def _more(self, kind: str, table: Mapping[str, Any], ground: Ground) -> dict[str, float]:
        """Numbers that are given besides COCO's."""
        return {}

    @property
    def twofold(self) -> bool:
        """Whether both boxes and masks are counted by class, so that names say which."""
        return "bbox" in self.metric and "segm" in self.metric

    def _fast(self, rows: NDArray[Any], ground: Ground) -> dict[str, float]:
        by_image = {row["img_id"]: row for row in rows}
        pairs: list[tuple[Any, Any]] = []
        for number in ground.images:
            boxes = [
                one["bbox"]
                for one in ground.annotations.get(number, ())
                if not one.get("ignore") and not one["iscrowd"]
            ]
            real = np.array(boxes, np.float32).reshape(-1, 4)
            real[:, 2:] += real[:, :2]
            row = by_image.get(number)
            pairs.append((real, np.zeros((0, 4), np.float32) if row is None else row["boxes"]))
        counts = cast("tuple[int, ...]", self.proposal_nums)
        mean = recalls(pairs, counts, cast("tuple[float, ...]", self.iou_thrs)).mean(axis=1)
        return {f"AR@{count}": float(value) for count, value in zip(counts, mean, strict=True)}


def results(rows: Sequence[Any] | NDArray[Any], ground: Ground, kind: str, who: str) -> list[dict[str, Any]]:
    """Predictions as COCO's result files have them: ``{"image_id", "bbox": [x, y, w, h], "score", "category_id"}``, of "segm"
    with "segmentation".

    Raises:
        FkitValueError: a label is no class, or an image is not in the annotation file.
    """
    expect(ground, Ground, "`ground` is the truth")
    known = frozenset(ground.images)
    lines: list[dict[str, Any]] = []
    for row in rows:
        number, labels = row["img_id"], row["labels"].tolist()
        if number not in known:
            raise FkitValueError(
                f"{who}: the image {number!r} is not in {ground.name}.",
                repair="Predict on the data set whose annotations these are; img_id is among the packed meta_keys.",
            )
        boxes = row["boxes"].astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        scores = (row.get("mask_scores", row["scores"]) if kind == "segm" else row["scores"]).tolist()
        for at, (label, box, score) in enumerate(zip(labels, boxes.tolist(), scores, strict=True)):
            if not 0 <= label < len(ground.categories):
                raise FkitValueError(
                    f"{who}: label {label} is none of the {len(ground.categories)} classes of {ground.name}."
                )
            if ground.categories[label] is None:
                continue
            line = {"image_id": number, "bbox": box, "score": float(score), "category_id": ground.categories[label]}
            if kind == "segm":
                line["segmentation"] = dict(row["masks"][at])
            lines.append(line)
    return lines


def summary(table: Mapping[str, Any], thresholds: Sequence[float], counts: Sequence[int]) -> dict[str, float]:
    """The numbers of COCO's summary by mmdet's names, of the precisions (T, R, K, A, M) and recalls (T, K, A, M).

    Example:
        >>> table = {"precision": np.ones((10, 101, 2, 4, 3)), "recall": np.ones((10, 2, 4, 3))}
        >>> sorted(summary(table, np.linspace(0.5, 0.95, 10).tolist(), [1, 10, 100]))[:3]
        ['AR@1', 'AR@10', 'AR@100']
    """
    expect(table, Mapping, "`table` is what COCO's evaluation gives")
    ordered = sorted(counts)
    precision, recall = table["precision"], table["recall"]
    hundred = ordered.index(100) if 100 in ordered else -1
    numbers = {"mAP": _mean(precision[:, :, :, 0, hundred])}
    for name, threshold in (("mAP_50", 0.5), ("mAP_75", 0.75)):
        numbers[name] = _mean(precision[[at for at, one in enumerate(thresholds) if one == threshold], :, :, 0, -1])
    numbers |= {f"mAP_{size}": _mean(precision[:, :, :, at, -1]) for size, at in _AREAS.items()}
    numbers |= {f"AR@{count}": _mean(recall[:, :, 0, at]) for at, count in enumerate(ordered)}
    return numbers | {f"AR_{size}@{ordered[-1]}": _mean(recall[:, :, at, -1]) for size, at in _AREAS.items()}


def _mean(values: NDArray[Any]) -> float:
    there = values[values > -1]
    return float(np.mean(there)) if there.size else -1.0


def _masked(rows: NDArray[Any]) -> bool:
    return all("masks" in row for row in rows)


def _numbers(value: Any, what: str, whole: bool = False) -> tuple[Any, ...]:
    several = cast("tuple[Any, ...]", tuple(value)) if isinstance(value, (list, tuple)) else (value,)
    for number in several:
        expect_number(number, what, whole=whole)
    if not several:
        raise FkitValueError(f"{what} is empty.")
    return several


def _plain(number: Any) -> Any:
    """An image's id as JSON has it."""
    return number.item() if isinstance(number, (np.generic, np.ndarray)) else number


def _segmentations(masks: Sequence[Any], size: tuple[int, int] | None, who: str) -> tuple[Any, ...]:
    """Each object's mask as COCO has it: parts x y x y ..., or run lengths."""
    return tuple(
        [list(part) for part in mask] if isinstance(mask, (list, tuple)) else run_lengths([mask], size, who)[0]
        for mask in masks
    )
