"""What detectors predict and are held against, of one sample; boxes' overlaps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.sample import Sample, column, field
from fkit.structures.coco import bitmap_to_rle
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "Detections",
    "Objects",
    "boxes_of",
    "detections",
    "image_size",
    "objects",
    "overlaps",
    "recalls",
    "run_lengths",
]

Boxes = NDArray[np.floating[Any]]


class Detections(NamedTuple):
    """Of one image: boxes (K, 4) x1 y1 x2 y2 in its original coordinates, scores (K,), labels (K,)."""

    boxes: Boxes
    scores: NDArray[Any]
    labels: NDArray[np.int64]


class Objects(NamedTuple):
    """The truth of one image: boxes (M, 4), labels (M,), which are ignored (M,), and masks where there are some."""

    boxes: Boxes
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    masks: Any = None


def detections(sample: Sample, who: str, name: str = "pred_instances") -> Detections:
    """What is predicted of a sample, checked.

    Raises:
        FkitError: it is not there, its parts differ in number, or a box is not four finite numbers.

    Example:
        >>> pred = {"bboxes": np.zeros((2, 4)), "scores": np.ones(2), "labels": np.array([3, 1])}
        >>> detections({"pred_instances": pred}, "CocoMetric").labels.tolist()
        [3, 1]
    """
    expect(sample, Mapping, "`sample` is a mapping")
    whose = f"of sample {sample.get('sample_idx')}" if "sample_idx" in sample else "of a sample"
    boxes = boxes_of(field(sample, name, who, "bboxes"), f"{who}: {name}.bboxes {whose}")
    scores = column(field(sample, name, who, "scores"), f"{who}: {name}.scores {whose}")
    group = cast("Mapping[str, Any]", sample[name])
    labels = column(group.get("labels", np.zeros(len(boxes), np.int64)), f"{who}: {name}.labels {whose}", whole=True)
    if not len(boxes) == len(scores) == len(labels):
        raise FkitTypeError(
            f"{who}: {name} has bboxes {boxes.shape}, scores {scores.shape} and labels {labels.shape}: (K, 4), (K,), (K,)."
        )
    return Detections(boxes, scores, labels)


def objects(sample: Sample, who: str, masks: bool = False) -> Objects:
    """The truth of a sample: ``instances`` of its meta, as OpenMMLab lists them; else ``gt_instances`` and
    ``ignored_instances``, in the coordinates of the original image (annotations that are loaded after the resizing are).

    Raises:
        FkitError: it is not there, or of another form.

    Example:
        >>> truth = {"bboxes": np.zeros((1, 4)), "labels": np.array([3])}
        >>> found = objects({"gt_instances": truth, "ignored_instances": truth}, "VOCMetric")
        >>> found.labels.tolist(), found.ignored.tolist()
        ([3, 3], [False, True])
    """
    expect(sample, Mapping, "`sample` is a mapping")
    if "instances" in sample:
        return _listed(sample["instances"], who)
    parts: list[Objects] = []
    for name, ignored in (("gt_instances", False), ("ignored_instances", True)):
        if ignored and name not in sample:
            continue
        boxes = boxes_of(field(sample, name, who, "bboxes"), f"{who}: {name}.bboxes")
        labels = column(field(sample, name, who, "labels"), f"{who}: {name}.labels", whole=True)
        if len(labels) != len(boxes):
            raise FkitValueError(f"{who}: {name} has {len(boxes)} bboxes and {len(labels)} labels: one each.")
        there = cast("Mapping[str, Any]", sample[name]).get("masks") if masks else None
        parts.append(Objects(boxes, labels, np.full(len(boxes), ignored), there))
    lines = [part.masks for part in parts]
    together = None if any(line is None for line in lines) else [mask for line in lines for mask in line]
    return Objects(
        np.concatenate([part.boxes for part in parts]), np.concatenate([part.labels for part in parts]),
        np.concatenate([part.ignored for part in parts]), together,
    )  # fmt: skip


def image_size(sample: Sample) -> tuple[int, int] | None:
    """(height, width) of the original image; None where the sample does not say.

    Example:
        >>> image_size({"ori_shape": np.array([4, 6])}), image_size({"height": 4, "width": 6}), image_size({})
        ((4, 6), (4, 6), None)
    """
    expect(sample, Mapping, "`sample` is a mapping")
    shape = sample.get("ori_shape")
    if shape is not None and len(shape) >= 2:
        return int(shape[0]), int(shape[1])
    if "height" in sample and "width" in sample:
        return int(sample["height"]), int(sample["width"])
    return None


def run_lengths(masks: Any, size: tuple[int, int] | None, who: str) -> tuple[Mapping[str, Any], ...]:
    """Masks as COCO's compressed run lengths: bitmaps (K, H, W), cut to the image's size, or run lengths already.

    Example:
        >>> len(run_lengths(np.ones((2, 4, 4), bool), (2, 3), "CocoMetric"))
        2
    """
    coded: list[Mapping[str, Any]] = []
    listed = masks.to_ndarray() if hasattr(masks, "to_ndarray") else masks
    for mask in cast("Sequence[Any]", listed):
        if isinstance(mask, Mapping):
            rle = cast("Mapping[str, Any]", mask)
            counts = rle.get("counts")
            coded.append(
                {"size": list(rle["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
            )
            continue
        pixels: NDArray[Any] = np.asarray(mask)
        if pixels.ndim != 2:
            raise FkitTypeError(f"{who}: a mask is (H, W) or run lengths, not {quoted(mask, 60)}.")
        coded.append(bitmap_to_rle(pixels if size is None else pixels[: size[0], : size[1]]))
    return tuple(coded)


def overlaps(a: Any, b: Any, mode: str = "iou", extra: float = 0) -> NDArray[np.float32]:
    """Intersections over unions of boxes (N, 4) and (M, 4): (N, M) float32, computed in float32 as mmdet does.

    Args:
        mode: "iou"; or "iof": over the area of ``a``'s.
        extra: 1 counts the last pixel too, as VOC's evaluation does: a box is x2 - x1 + 1 wide.

    Example:
        >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]])).tolist()
        [[0.3333333432674408]]
    """
    a, b = (boxes_of(boxes, "overlaps: boxes").astype(np.float32) for boxes in (a, b))
    left, right = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(right - left + np.float32(extra), 0), axis=-1, dtype=np.float32)
    area = [np.prod(boxes[:, 2:] - boxes[:, :2] + np.float32(extra), axis=-1, dtype=np.float32) for boxes in (a, b)]
    whole = area[0][:, None] + (area[1][None] - shared if mode == "iou" else np.zeros_like(shared))
    return shared / np.maximum(whole, np.float32(1e-6))


def recalls(
    pairs: Sequence[tuple[Boxes, Boxes]], counts: Sequence[int], thresholds: Sequence[float], extra: float = 0
) -> NDArray[np.float64]:
    """The part of the true boxes that proposals cover.

    Each proposal is given to one box: the pair of the greatest overlap first.

    Args:
        pairs: (true boxes (M, 4), proposals (K, 4), the best first) of each image.
        counts: how many proposals are taken.
        thresholds: of the overlap.
        extra: as of `overlaps`.

    Returns:
        (counts, thresholds).

    Example:
        >>> box = np.array([[0, 0, 2, 2]], np.float32)
        >>> recalls([(box, box)], [1], [0.5, 0.9]).tolist()
        [[1.0, 1.0]]
    """
    covered: list[list[float]] = [[] for _ in counts]
    for boxes, proposals in pairs:
        whole = overlaps(boxes, proposals, extra=extra)
        for row, count in zip(covered, counts, strict=True):
            table = whole[:, :count].copy()
            for _ in range(len(table)):
                if not table.size:
                    row.append(0.0)
                    continue
                place = np.unravel_index(int(table.argmax()), table.shape)
                row.append(float(table[place]))
                table[place[0], :] = -1
                table[:, place[1]] = -1
    each = np.array(covered, np.float32)
    if each.size == 0:
        return np.full((len(counts), len(thresholds)), np.nan)
    return np.stack([(each >= threshold).mean(axis=1) for threshold in thresholds], axis=1)


def boxes_of(value: Any, what: str) -> Boxes:
    """Boxes (K, 4), checked.

    Raises:
        FkitError: they are something else, or a number is not finite.

    Example:
        >>> boxes_of([], "VOCMetric: gt_instances.bboxes").shape
        (0, 4)
    """
    try:
        array: NDArray[Any] = np.asarray(value)
    except (TypeError, ValueError):
        raise FkitTypeError(f"{what} are (K, 4) numbers, not {quoted(value, 60)}.") from None
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        raise FkitTypeError(f"{what} are (K, 4) numbers, not {array.shape} {array.dtype}.")
    if not np.isfinite(array).all():
        raise FkitValueError(f"{what}: a box is not finite.")
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _listed(instances: Any, who: str) -> Objects:
    expect(instances, (list, tuple), f"{who}: `instances` of a sample is a list")
    rows = cast("Sequence[Mapping[str, Any]]", instances)
    for row in rows:
        if not isinstance(row, Mapping) or "bbox" not in row or "bbox_label" not in row:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"{who}: an instance has a bbox and a bbox_label, not {quoted(row, 80)}.")
    masks = [row.get("mask") for row in rows]
    return Objects(
        boxes_of([row["bbox"] for row in rows], f"{who}: the boxes of instances"),
        column([row["bbox_label"] for row in rows], f"{who}: the bbox_label of instances", whole=True),
        np.array([bool(row.get("ignore_flag", 0)) for row in rows], np.bool_),
        None if any(mask is None for mask in masks) else masks,
    )
