"""CrowdHuman's evaluation of persons: average precision, miss rate, Jaccard index."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.fileio.operation import get_text
from fkit.format.json import write_json
from fkit.metric.detection import detections, image_size, overlaps
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.write import atomic_write

__all__ = ["CrowdHumanMetric"]

_METRICS = ("AP", "MR", "JI")
_RATES = {
    "CALTECH_-2": (0.0100, 0.0178, 0.03160, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.000),
    "CALTECH_-4": (0.0001, 0.0003, 0.00100, 0.0032, 0.0100, 0.0316, 0.1000, 0.3162, 1.000),
}.items()  # misses an image that the miss rate is read at
_PERSON, _BACKGROUND, _IGNORED = 1, 0, -1
_SMALL = 1e-6


class _Image(NamedTuple):
    """Of one image: results (K, 4) and scores, the best first; true boxes (M, 4) and what they are, persons first."""

    boxes: NDArray[Any]
    scores: NDArray[Any]
    truth: NDArray[Any]
    tags: NDArray[np.int64]


@dataclass(frozen=True)
class CrowdHumanMetric(Gathered):
    """Average precision, Caltech's log-average miss rate, and the Jaccard index of persons; mmdet's CrowdHumanMetric, not rounded.

    A sample has ``pred_instances`` ``{"bboxes", "scores"}`` in the coordinates of the original image, ``img_id`` and
    ``ori_shape``.

    Args:
        ann_file: CrowdHuman's .odgt: a line of JSON an image, with ``ID`` and ``gtboxes``; read when numbers are computed.
        metric: of "AP", "MR", "JI".
        format_only: write the results only, and give no number.
        outfile_prefix: where results are written: ``{outfile_prefix}.json``.
        backend_args: the storage of ``ann_file``.
        eval_mode: 0: bodies' boxes, the only ones that models predict here.
        iou_thres: the least overlap.
        compare_matching_method: None: Caltech's.
        mr_ref: "CALTECH_-2" or "CALTECH_-4": where the miss rate is read, from 10^-2 or 10^-4 false results an image on.
        num_ji_process: mmdet's word; one process counts.

    Numbers: ``crowd_human/mAP``, ``mMR``, ``JI``. Where results and persons can be paired in several greatest ways JI may be
    another than mmdet's in which are left over.
    """

    default_prefix: ClassVar[str | None] = "crowd_human"

    ann_file: str = ""
    metric: str | Sequence[str] = _METRICS
    format_only: bool = False
    outfile_prefix: str | None = None
    backend_args: Mapping[str, Any] | None = None
    eval_mode: int = 0
    iou_thres: float = 0.5
    compare_matching_method: str | None = None
    mr_ref: str = "CALTECH_-2"
    num_ji_process: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        who = "CrowdHumanMetric"
        expect_choice(self.metric, _METRICS, f"{who}: metric")
        object.__setattr__(self, "metric", (self.metric,) if isinstance(self.metric, str) else tuple(self.metric))
        expect_choice(self.eval_mode, (0,), f"{who}: eval_mode")
        expect_choice(self.compare_matching_method, (None,), f"{who}: compare_matching_method")
        expect_choice(self.mr_ref, tuple(dict(_RATES)), f"{who}: mr_ref")
        expect_number(self.iou_thres, f"{who}: iou_thres")
        expect(self.ann_file, str, f"{who}: ann_file is text")
        if not self.ann_file and not self.format_only:
            raise FkitValueError(f"{who} counts by CrowdHuman's annotation file.", repair="Set ann_file.")
        if self.format_only and self.outfile_prefix is None:
            raise FkitValueError(f"{who}: format_only writes results, and outfile_prefix is not set.")

    def record(self, sample: Sample) -> Any:
        said, size = detections(sample, "CrowdHumanMetric"), image_size(sample)
        if size is None:
            raise FkitTypeError("CrowdHumanMetric needs 'ori_shape' of each sample.")
        number = field(sample, "img_id", "CrowdHumanMetric")
        plain = number.item() if isinstance(number, (np.generic, np.ndarray)) else number
        return {"img_id": plain, "boxes": said.boxes, "scores": said.scores, "size": size}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if self.outfile_prefix is not None:
            path = Path(f"{self.outfile_prefix}.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, write_json([_written(row) for row in rows]).encode())
        if self.format_only:
            return {}
        images = self._images({row["img_id"]: row for row in rows})
        count = sum(int((image.tags != _IGNORED).sum()) for image in images)
        if not count:
            raise FkitValueError(f"CrowdHumanMetric: {self.ann_file} has no person in these images.")
        hits = self._hits(images)
        numbers: dict[str, float] = {}
        for name in self.metric:
            if name == "AP":
                numbers["mAP"] = _precision(hits, count)
            elif name == "MR":
                numbers["mMR"] = self._missed(hits, count, len(images))
            else:
                numbers["JI"] = max(self._jaccard(images, step / 10) for step in range(10))
        return numbers

    def _images(self, rows: Mapping[Any, Any]) -> list[_Image]:
        """What results and the file say of each image that was seen, in the order of the file."""
        text = get_text(self.ann_file, backend_args=self.backend_args)
        known: dict[Any, Any] = {}
        for number, line in enumerate(text.strip().splitlines(), 1):
            try:
                row: Any = json.loads(line)
                known[row["ID"]] = [(one["fbox"], _tag(one)) for one in row["gtboxes"]]
            except (ValueError, TypeError, KeyError) as cause:
                raise FkitTypeError(
                    f"CrowdHumanMetric: {self.ann_file}:{number} is no line of CrowdHuman's."
                ) from cause
        lacking = [number for number in rows if number not in known]
        if lacking:
            raise FkitValueError(f"CrowdHumanMetric: the image {lacking[0]!r} is not in {self.ann_file}.")
        return [_image(rows[number], people) for number, people in known.items() if number in rows]

    def _hits(self, images: Sequence[_Image]) -> NDArray[np.bool_]:
        """Of the results that count, the best first, whether each meets a person."""
        scores: list[float] = []
        hits: list[bool] = []
        for image in images:
            for score, hit in zip(image.scores.tolist(), self._matched(image), strict=True):
                if hit is not None:
                    scores.append(score)
                    hits.append(hit)
        return np.array(hits, bool)[np.argsort(-np.array(scores), kind="stable")]

    def _matched(self, image: _Image) -> list[bool | None]:
        """Whether each result meets a person that no better one met; None where it meets only what does not count."""
        alike, within = overlaps(image.boxes, image.truth), overlaps(image.boxes, image.truth, "iof")
        free, person = np.ones(len(image.truth), bool), image.tags == _PERSON
        said: list[bool | None] = []
        for at in range(len(image.boxes)):
            near = np.where(free & person, alike[at], 0) if len(free) else np.zeros(0)
            best = int(near.argmax()) if len(near) else -1
            if best >= 0 and near[best] > self.iou_thres:
                free[best] = False
                said.append(True)
            else:
                said.append(None if bool((within[at][~person] > self.iou_thres).any()) else False)
        return said

    def _missed(self, hits: NDArray[np.bool_], count: int, images: int) -> float:
        """The miss rate, the geometric mean of where there are so many false results an image."""
        if not len(hits):
            return 1.0
        false, missed = np.cumsum(~hits) / images, 1 - np.cumsum(hits) / count
        places = [
            int(np.argmax(false >= rate)) if (false >= rate).any() else len(false) - 1
            for rate in dict(_RATES)[self.mr_ref]
        ]
        read = missed[places]
        return float(np.exp(np.log(read).mean())) if (read > 0).all() else 0.0

    def _jaccard(self, images: Sequence[_Image], least: float) -> float:
        """The mean over the images of pairs over results and persons, of results that score above ``least``."""
        parts: list[float] = []
        for image in images:
            boxes, counts = image.boxes[image.scores > least], image.tags != _IGNORED
            real, rest = image.truth[counts], image.truth[~counts]
            pairs = _paired(overlaps(boxes, real) >= self.iou_thres)
            results = len(boxes) - self._within(np.delete(boxes, [one for one, _ in pairs], axis=0), rest)
            persons = len(real) - self._within(np.delete(real, [one for _, one in pairs], axis=0), rest)
            if results or persons:
                parts.append(len(pairs) / (persons + results - len(pairs) + _SMALL))
        return float(np.sum(parts) / len(parts)) if parts else 0.0

    def _within(self, boxes: NDArray[Any], others: NDArray[Any]) -> int:
        if not len(boxes) or not len(others):
            return 0
        return int((overlaps(boxes, others, "iof").max(axis=1) > self.iou_thres).sum())


def _image(row: Mapping[str, Any], people: Sequence[tuple[Any, int]]) -> _Image:
    height, width = row["size"]
    truth = np.array([box for box, _ in people], np.float64).reshape(-1, 4)
    truth[:, 2:] += truth[:, :2]
    tags = np.array([tag for _, tag in people], np.int64)
    best, first = np.argsort(-row["scores"], kind="stable"), np.argsort(-tags, kind="stable")
    boxes = row["boxes"].astype(np.float64)
    return _Image(_cut(boxes, height, width)[best], row["scores"][best], _cut(truth, height, width)[first], tags[first])


def _cut(boxes: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Boxes within the image."""
    low = np.clip(boxes[:, :2], 0, (width - 1, height - 1))
    return np.concatenate((low, np.clip(boxes[:, 2:], 0, (width, height))), axis=1)


def _tag(person: Mapping[str, Any]) -> int:
    if person.get("extra", {}).get("ignore", 0) or person["tag"] not in ("person", "background"):
        return _IGNORED
    return _PERSON if person["tag"] == "person" else _BACKGROUND


def _precision(hits: NDArray[np.bool_], count: int) -> float:
    """The area below precision over recall, between the points by lines."""
    recall = np.cumsum(hits) / count
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((np.diff(recall) * (precision[1:] + precision[:-1]) / 2).sum())


def _paired(table: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """As many pairs (row, column) as can be, each row and each column in one at most; of a table that says who may be paired."""
    owner: dict[int, int] = {}
    for start in range(len(table)):
        before: dict[int, int | None] = {}  # column -> that it was come to from
        waiting: list[tuple[int, int | None]] = [(start, None)]
        while waiting:
            row, came = waiting.pop()
            free = None
            for column in np.flatnonzero(table[row]).tolist():
                if column in before:
                    continue
                before[column] = came
                if column not in owner:
                    free = column
                    break
                waiting.append((owner[column], column))
            if free is not None:
                _turned(owner, before, free, start)
                break
    return sorted((row, column) for column, row in owner.items())


def _turned(owner: dict[int, int], before: Mapping[int, int | None], free: int, start: int) -> None:
    """Give each column on the way to a free one the row that came to it."""
    column: int | None = free
    while column is not None:
        came = before[column]
        owner[column] = start if came is None else owner[came]
        column = came


def _written(row: Mapping[str, Any]) -> dict[str, Any]:
    height, width = row["size"]
    lines = [
        {"box": [x1, y1, x2 - x1, y2 - y1], "score": score, "tag": 1}
        for (x1, y1, x2, y2), score in zip(row["boxes"].tolist(), row["scores"].tolist(), strict=True)
    ]
    return {"ID": row["img_id"], "width": width, "height": height, "dtboxes": lines}
