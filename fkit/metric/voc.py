"""Pascal VOC's and Open Images' average precision of boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.detection import detections, objects, overlaps, recalls
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.sample import Sample, column, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["OpenImagesMetric", "VOCMetric", "area_below"]

_Areas = Sequence[tuple[float, float]]


class _Image(NamedTuple):
    """Of one image and class: results (K, 5) with their scores, true boxes (M, 4), which are ignored, which stand for groups."""

    results: NDArray[Any]
    boxes: NDArray[Any]
    ignored: NDArray[np.bool_]
    groups: NDArray[np.bool_]


@dataclass(frozen=True)
class _Mean(Gathered):
    """The mean over the classes of the average precision."""

    iou_thrs: float | Sequence[float] = 0.5
    scale_ranges: Sequence[tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        put, who = object.__setattr__, type(self).__name__
        put(self, "iou_thrs", _floats(self.iou_thrs, f"{who}: iou_thrs"))
        super().__post_init__()
        if self.scale_ranges is not None:
            expect(self.scale_ranges, (list, tuple), f"{who}: scale_ranges is a list of pairs")
            pairs = tuple(_floats(pair, f"{who}: scale_ranges") for pair in self.scale_ranges)
            if any(len(pair) != 2 for pair in pairs):
                raise FkitValueError(f"{who}: scale_ranges are pairs (least, most), not {self.scale_ranges!r}.")
            put(self, "scale_ranges", pairs)

    @property
    def areas(self) -> tuple[tuple[float, float], ...]:
        """The areas of boxes that count."""
        pairs = self.scale_ranges or ((0.0, float("inf")),)
        return tuple((low**2, high**2) for low, high in pairs)

    def count(self, rows: NDArray[Any]) -> int:
        """How many classes there are."""
        pairs = [(row["labels"], row["true_labels"]) for row in rows]
        most = max(int(part.max(initial=-1)) for pair in pairs for part in pair)
        least = min(int(part.min(initial=0)) for pair in pairs for part in pair)
        classes = most + 1 if self.classes is None else len(self.classes)
        if least < 0 or most >= classes:
            wrong = least if least < 0 else most
            raise FkitValueError(f"{type(self).__name__}: label {wrong} is none of {classes} classes.")
        return classes

    def images(self, rows: NDArray[Any], label: int) -> list[_Image]:
        """What the rows say of a class."""
        several: list[_Image] = []
        for row in rows:
            mine, real = row["labels"] == label, row["true_labels"] == label
            both = np.concatenate((row["boxes"][mine], row["scores"][mine][:, None]), axis=1)
            groups = row["groups"] if "groups" in row else np.zeros(len(real), bool)
            several.append(_Image(both, row["true_boxes"][real], row["ignored"][real], groups[real]))
        return several

    def mean(
        self, numbers: Sequence[tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]], mode: str
    ) -> float:
        """Of each class: scores (K,), hits and misses (S, K), true boxes (S,)."""
        each: list[list[float]] = [[] for _ in self.areas]
        for scores, hits, misses, counts in numbers:
            order = np.argsort(-scores, kind="stable")
            for at, one in enumerate(each):
                if counts[at] == 0:
                    continue
                right, wrong = np.cumsum(hits[at][order]), np.cumsum(misses[at][order])
                precision = right / np.maximum(right + wrong, np.finfo(np.float32).eps)
                one.append(area_below(right / counts[at], precision, mode))
        means = [float(np.mean(one)) if one else 0.0 for one in each]
        return means[0] if len(means) == 1 else float(np.mean(means))


@dataclass(frozen=True)
class VOCMetric(_Mean):
    """Average precision of boxes as Pascal VOC counts it, or recall; mmdet's VOCMetric, not rounded.

    A sample has ``pred_instances`` ``{"bboxes", "scores", "labels"}``, and the truth ``gt_instances`` and
    ``ignored_instances`` ``{"bboxes", "labels"}``, all in the coordinates of the original image. A box's last pixel is its
    own: it is x2 - x1 + 1 wide.

    Args:
        iou_thrs: thresholds of the overlap.
        scale_ranges: (least, most) sides: boxes of areas between their squares count; of several, the mean.
        metric: "mAP" or "recall".
        proposal_nums: how many results of an image count for the recall, at most.
        eval_mode: "11points": the mean of the best precisions at recalls 0, 0.1 to 1, as of VOC 2007; "area": the area
            below the curve.

    Numbers: ``pascal_voc/mAP``, ``pascal_voc/AP50``; ``pascal_voc/recall@100@0.5``, ``pascal_voc/AR@100``.

    Example:
        >>> box = {"bboxes": np.array([[[0, 0, 9, 9.0]]]), "labels": np.array([[0]])}
        >>> metric = VOCMetric(eval_mode="area")
        >>> outputs = {"pred_instances": {**box, "scores": np.array([[0.9]])}}
        >>> metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": box}, [0]))
        {'pascal_voc/mAP': 1.0, 'pascal_voc/AP50': 1.0}
    """

    default_prefix: ClassVar[str | None] = "pascal_voc"

    metric: str | Sequence[str] = "mAP"
    proposal_nums: Sequence[int] = (100, 300, 1000)
    eval_mode: str = "11points"

    def __post_init__(self) -> None:
        put = object.__setattr__
        if isinstance(self.metric, (list, tuple)) and len(self.metric) == 1:
            put(self, "metric", self.metric[0])
        expect_choice(self.metric, ("recall", "mAP"), "VOCMetric: metric")
        expect(self.metric, str, "VOCMetric: metric is one")
        expect_choice(self.eval_mode, ("area", "11points"), "VOCMetric: eval_mode")
        super().__post_init__()
        put(self, "proposal_nums", tuple(self.proposal_nums))

    def record(self, sample: Sample) -> Any:
        said, truth = detections(sample, "VOCMetric"), objects(sample, "VOCMetric")
        return {**said._asdict(), "true_boxes": truth.boxes, "true_labels": truth.labels, "ignored": truth.ignored}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        thresholds = cast("tuple[float, ...]", self.iou_thrs)
        if self.metric == "recall":
            return self._recall(rows, thresholds)
        classes, each = [self.images(rows, label) for label in range(self.count(rows))], dict[str, float]()
        for threshold in thresholds:
            numbers = [_counted(images, threshold, self.areas, self.scale_ranges is not None) for images in classes]
            each[f"AP{int(threshold * 100):02d}"] = self.mean(numbers, self.eval_mode)
        return {"mAP": float(np.mean(list(each.values()))), **each}

    def _recall(self, rows: NDArray[Any], thresholds: tuple[float, ...]) -> dict[str, float]:
        pairs: list[tuple[Any, Any]] = []
        for row in rows:
            order = np.argsort(-row["scores"], kind="stable")
            pairs.append((row["true_boxes"][~row["ignored"]], row["boxes"][order]))
        table = recalls(pairs, self.proposal_nums, thresholds, extra=1)
        numbers = {
            f"recall@{count}@{threshold}": float(table[i, j])
            for i, count in enumerate(self.proposal_nums)
            for j, threshold in enumerate(thresholds)
        }
        if len(thresholds) > 1:
            numbers |= {f"AR@{count}": float(table[i].mean()) for i, count in enumerate(self.proposal_nums)}
        return numbers


@dataclass(frozen=True)
class OpenImagesMetric(_Mean):
    """Average precision of boxes as Open Images counts it; mmdet's OpenImagesMetric, not rounded.

    A sample has ``pred_instances`` ``{"bboxes", "scores", "labels"}``, and of its meta ``instances`` with ``bbox``,
    ``bbox_label`` and ``is_group_of``, and ``image_level_labels``, the classes that were looked for.

    Args:
        iou_thrs: thresholds of the overlap.
        ioa_thrs: how much of a result has to be within a box that stands for a group, one a threshold of ``iou_thrs``.
        scale_ranges: as of `VOCMetric`.
        use_group_of: results within a box that stands for a group are one hit.
        get_supercategory: objects and results are of the classes above theirs too: metainfo's ``RELATION_MATRIX`` (K, K).
        filter_labels: results of classes that the image was not looked through for do not count.

    Numbers: ``openimages/AP50``, ``openimages/mAP``.
    """

    default_prefix: ClassVar[str | None] = "openimages"

    ioa_thrs: float | Sequence[float] | None = 0.5
    use_group_of: bool = True
    get_supercategory: bool = True
    filter_labels: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        thresholds = None if self.ioa_thrs is None else _floats(self.ioa_thrs, "OpenImagesMetric: ioa_thrs")
        object.__setattr__(self, "ioa_thrs", thresholds)
        if thresholds is not None and len(thresholds) != len(cast("tuple[float, ...]", self.iou_thrs)):
            raise FkitValueError("OpenImagesMetric: there is one of ioa_thrs for each of iou_thrs.")
        if thresholds is None and self.use_group_of:
            raise FkitValueError("OpenImagesMetric: use_group_of needs ioa_thrs.")

    def record(self, sample: Sample) -> Any:
        said, truth = detections(sample, "OpenImagesMetric"), objects(sample, "OpenImagesMetric")
        rows = cast("Sequence[Mapping[str, Any]]", field(sample, "instances", "OpenImagesMetric"))
        looked = sample.get("image_level_labels")
        return {
            **said._asdict(), "true_boxes": truth.boxes, "true_labels": truth.labels, "ignored": np.zeros(len(rows), bool),
            "groups": np.array([bool(row.get("is_group_of", 0)) for row in rows], bool),
            "looked": column(() if looked is None else looked, "OpenImagesMetric: image_level_labels", whole=True),
        }  # fmt: skip

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        relation = self.metainfo.get("RELATION_MATRIX", self.metainfo.get("relation_matrix"))
        matrix = np.eye(self.count(rows), dtype=bool) if relation is None else np.asarray(relation).astype(bool)
        whole = [self._related(row, matrix) for row in rows]
        classes = [self.images(np.array([*whole, None], object)[:-1], label) for label in range(len(matrix))]
        within = cast("tuple[float, ...] | None", self.ioa_thrs)
        each: dict[str, float] = {}
        for at, threshold in enumerate(cast("tuple[float, ...]", self.iou_thrs)):
            part = within[at] if within is not None and self.use_group_of else None
            numbers = [
                _counted(images, threshold, self.areas, self.scale_ranges is not None, 0, part) for images in classes
            ]
            each[f"AP{int(threshold * 100):02d}"] = self.mean(numbers, "area")
        return {**each, "mAP": float(np.mean(list(each.values())))}

    def _related(self, row: Mapping[str, Any], matrix: NDArray[np.bool_]) -> Mapping[str, Any]:
        """A row whose objects and results are of the classes above theirs too, those that the image was looked through for."""
        real = [(at, label) for at, own in enumerate(row["true_labels"]) for label in self._above(int(own), matrix)]
        places, labels = np.array(real, np.int64).reshape(-1, 2).T
        known = frozenset((*labels.tolist(), *row["looked"].tolist()))
        kept = [
            (at, label) for at, own in enumerate(row["labels"]) for label in self._above(int(own), matrix)
            if label in known or (not self.filter_labels and label == own)
        ]  # fmt: skip
        chosen, classes = np.array(kept, np.int64).reshape(-1, 2).T
        return {
            "boxes": row["boxes"][chosen], "scores": row["scores"][chosen], "labels": classes, "true_labels": labels,
            **{name: row[name][places] for name in ("true_boxes", "ignored", "groups")},
        }  # fmt: skip

    def _above(self, label: int, matrix: NDArray[np.bool_]) -> tuple[int, ...]:
        if not 0 <= label < len(matrix):
            raise FkitValueError(f"OpenImagesMetric: label {label} is none of {len(matrix)} classes.")
        higher = (
            [one for one in np.flatnonzero(matrix[label]).tolist() if one != label] if self.get_supercategory else ()
        )
        return (label, *higher)


def area_below(recall: NDArray[Any], precision: NDArray[Any], mode: str = "area") -> float:
    """The average precision of a curve, its points in the order of falling scores.

    Args:
        recall: (K,), never falling.
        precision: (K,).
        mode: "area": the area below the highest precision at each recall or beyond; "11points": its mean at 0, 0.1 to 1.

    Example:
        >>> area_below(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3]))
        0.8333333333333333
    """
    if mode == "11points":
        best = [precision[recall >= at] for at in np.arange(0, 1 + 1e-3, 0.1)]
        return float(sum(float(one.max(initial=0)) for one in best) / 11)
    highest = np.maximum.accumulate(np.append(precision, 0.0)[::-1])[::-1]
    steps = np.diff(np.concatenate(([0.0], recall, [1.0])))
    return float((steps * highest).sum())


def _counted(
    images: Sequence[_Image],
    threshold: float,
    areas: _Areas,
    ranged: bool,
    extra: float = 1,
    within: float | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of one class over images: scores (K,), hits and misses (S, K), true boxes that count (S,)."""
    scores, hits, misses = [np.zeros(0)], [np.zeros((len(areas), 0))], [np.zeros((len(areas), 0))]
    counts = np.zeros(len(areas), np.int64)
    for image in images:
        found = _matched(image, threshold, areas, ranged, extra, within is not None)
        more = (image.results[:, 4], *found) if within is None else _grouped(image, *found, within)
        for several, one in zip((scores, hits, misses), more, strict=True):
            several.append(one)
        size = _area(image.boxes, extra)
        for at, (low, high) in enumerate(areas):
            counts[at] += (
                int((~image.ignored & (size >= low) & (size < high)).sum()) if ranged else int((~image.ignored).sum())
            )
    return np.concatenate(scores), np.concatenate(hits, axis=1), np.concatenate(misses, axis=1), counts


def _matched(
    image: _Image, threshold: float, areas: _Areas, ranged: bool, extra: float, apart: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Hits and misses (S, K): a result is held against the box that it overlaps most; the best result first."""
    results, singles = image.results, ~image.groups if apart else np.ones(len(image.boxes), bool)
    boxes, ignored = image.boxes[singles], image.ignored[singles]
    hits, misses = (np.zeros((len(areas), len(results))) for _ in range(2))
    size, own = _area(boxes, extra), _area(results[:, :4], extra)
    table = overlaps(results[:, :4], boxes, extra=extra)
    for at, (low, high) in enumerate(areas):
        left_out = ignored | (ranged & ((size < low) | (size >= high)))
        covered = np.zeros(len(boxes), bool)
        for place in np.argsort(-results[:, 4], kind="stable"):
            best = int(table[place].argmax()) if len(boxes) else -1
            if best < 0 or table[place, best] < threshold:
                misses[at, place] = not ranged or low <= own[place] < high
            elif not left_out[best]:
                hits[at, place], misses[at, place] = not covered[best], covered[best]
                covered[best] = True
    return hits, misses


def _grouped(
    image: _Image, hits: NDArray[Any], misses: NDArray[Any], within: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The same with all results within a box that stands for a group as one, of the best score; a group that has none is a
    miss of score 0, as in mmdet."""
    results, groups = image.results, image.boxes[image.groups]
    if not len(groups):
        return results[:, 4], hits, misses
    table = overlaps(results[:, :4], groups, "iof")
    inside = (hits[0] == 0) & (table.max(axis=1) >= within)
    best = np.zeros(len(groups))
    met = np.zeros(len(groups))
    for place in np.flatnonzero(inside):
        group = int(table[place].argmax())
        met[group], best[group] = 1, max(best[group], results[place, 4])
    rows = len(hits)
    return (
        np.concatenate((results[~inside, 4], best)), np.concatenate((hits[:, ~inside], np.tile(met, (rows, 1))), axis=1),
        np.concatenate((misses[:, ~inside], np.tile(1 - met, (rows, 1))), axis=1),
    )  # fmt: skip


def _area(boxes: NDArray[Any], extra: float) -> NDArray[Any]:
    return (boxes[:, 2] - boxes[:, 0] + extra) * (boxes[:, 3] - boxes[:, 1] + extra)


def _floats(value: Any, what: str) -> tuple[float, ...]:
    several = cast("tuple[Any, ...]", tuple(value)) if isinstance(value, (list, tuple)) else (value,)
    for one in several:
        expect_number(one, what)
    if not several:
        raise FkitTypeError(f"{what} is empty.")
    return several
