"""YouTube-VIS's evaluation: average precision of objects that are followed through videos, by their masks."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.format.json import write_json
from fkit.metric.coco import summary
from fkit.metric.detection import detections, image_size, objects, run_lengths
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.ground import Ground, coco_of, coco_tools
from fkit.metric.sample import Sample, column, field
from fkit.structures.coco import coco_mask
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from fkit.tree.write import atomic_write

__all__ = ["YouTubeVISMetric"]

_COUNTS = (1, 10, 100)
_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
_AREAS = ((0, 1e10), (0, 128**2), (128**2, 256**2), (256**2, 1e10))  # all, small, medium, large
_ITEMS = (
    "mAP",
    "mAP_50",
    "mAP_75",
    "mAP_s",
    "mAP_m",
    "mAP_l",
    "AR@1",
    "AR@10",
    "AR@100",
    "AR_s@100",
    "AR_m@100",
    "AR_l@100",
)


@dataclass(frozen=True)
class YouTubeVISMetric(Gathered):
    """Average precision of objects in videos, by the overlap of their masks over all frames; mmdet's YouTubeVISMetric, not rounded.

    A sample is a frame: ``pred_track_instances`` ``{"bboxes", "scores", "labels", "instances_id", "masks"}``, and in its meta
    ``video_id``, ``frame_id`` (from 0 on), ``ori_shape`` and ``instances`` with ``bbox``, ``bbox_label``, ``instance_id``,
    ``mask`` and ``ignore_flag``. An object's score is the mean of its frames', its class the most frequent. pycocotools counts.
    An object may have the id 0, which mmdet takes for no match.

    Args:
        metric: "youtube_vis_ap".
        metric_items: of "mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l", "AR@1", "AR@10", "AR@100", "AR_s@100", ...
        outfile_prefix: where results are written as the challenge's JSON: ``{outfile_prefix}.json``.
        format_only: write only, and give no number.

    Numbers: ``youtube_vis/segm_mAP``, ...; -1 where there is nothing to be found.
    """

    default_prefix: ClassVar[str | None] = "youtube_vis"

    metric: str | Sequence[str] = "youtube_vis_ap"
    metric_items: Sequence[str] | None = None
    outfile_prefix: str | None = None
    format_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.metric, ("youtube_vis_ap",), "YouTubeVISMetric: metric")
        if self.metric_items is not None:
            expect(self.metric_items, (list, tuple), "YouTubeVISMetric: metric_items is a list of names")
            expect_choice(self.metric_items, _ITEMS, "YouTubeVISMetric: metric_items")
        if self.format_only and self.outfile_prefix is None:
            raise FkitValueError("YouTubeVISMetric: format_only writes results, and outfile_prefix is not set.")

    def record(self, sample: Sample) -> Any:
        who, part = "YouTubeVISMetric", "pred_track_instances"
        said, size = detections(sample, who, part), image_size(sample)
        names = column(field(sample, part, who, "instances_id"), f"{who}: {part}.instances_id", whole=True)
        masks = run_lengths(field(sample, part, who, "masks"), size, who)
        if size is None:
            raise FkitKeyError(f"{who} needs 'ori_shape' of each sample.", choices=sample, label="The sample has")
        if not len(names) == len(masks) == len(said.boxes):
            raise FkitValueError(
                f"{who}: {len(said.boxes)} objects of a frame have {len(names)} names and {len(masks)} masks."
            )
        frame = int(field(sample, "frame_id", who))
        if frame < 0:
            raise FkitValueError(f"{who}: frame_id = {frame}: from 0 on.")
        row = {"video": field(sample, "video_id", who), "frame": frame, "size": size, "names": names, "masks": masks}
        return {
            **row,
            "scores": said.scores,
            "labels": said.labels,
            "truth": () if self.format_only else _truth(sample, size),
        }

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        videos: dict[Any, list[Any]] = {}
        for row in sorted(rows, key=lambda row: cast(int, row["frame"])):
            videos.setdefault(row["video"], []).append(row)
        lengths = {number: frames[-1]["frame"] + 1 for number, frames in videos.items()}
        lines = [line for number, frames in videos.items() for line in _tracks(number, frames, lengths[number])]
        if self.outfile_prefix is not None:
            path = Path(f"{self.outfile_prefix}.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, write_json([_written(line) for line in lines]).encode())
        if self.format_only:
            return {}
        truth = [line for number, frames in videos.items() for line in _objects(number, frames, lengths[number])]
        most = max([line["category_id"] for line in (*lines, *truth)], default=0)
        names = dict(enumerate(self.classes or map(str, range(most)), 1))
        if most > len(names):
            raise FkitValueError(f"YouTubeVISMetric: label {most - 1} is none of {len(names)} classes.")
        numbers = summary(_counted(_ground(videos, truth, names), _ground(videos, lines, names)), _THRESHOLDS, _COUNTS)
        return {f"segm_{name}": numbers[name] for name in self.metric_items or _ITEMS[:6]}


def _truth(sample: Sample, size: tuple[int, int]) -> tuple[Mapping[str, Any], ...]:
    """The objects of a frame: name, class, area of the box, mask."""
    who = "YouTubeVISMetric"
    real, listed = objects(sample, who), cast("Sequence[Mapping[str, Any]]", field(sample, "instances", who))
    several: list[Mapping[str, Any]] = []
    for (x1, y1, x2, y2), label, crowd, one in zip(
        real.boxes.tolist(), real.labels.tolist(), real.ignored, listed, strict=True
    ):
        if "instance_id" not in one or one.get("mask") is None:
            raise FkitTypeError(f"{who}: an instance has an instance_id and a mask; one has {', '.join(one)}.")
        mask = one["mask"]
        if isinstance(mask, (list, tuple)):
            parts = [list(part) for part in cast("Sequence[Any]", mask)]
            mask = coco_mask().merge(coco_mask().frPyObjects(parts, *size))
        name, area = int(one["instance_id"]), (x2 - x1) * (y2 - y1)
        several.append(
            {
                "name": name,
                "label": label,
                "crowd": bool(crowd),
                "area": area,
                "mask": run_lengths([mask], size, who)[0],
            }
        )
    return tuple(several)


def _tracks(video: Any, frames: Sequence[Any], length: int) -> list[dict[str, Any]]:
    """What is predicted of a video: an object's masks by frame, its mean score and most frequent class."""
    found: dict[int, list[tuple[int, Any, float, int]]] = {}
    for row in frames:
        for name, mask, score, label in zip(
            row["names"].tolist(), row["masks"], row["scores"].tolist(), row["labels"].tolist(), strict=True
        ):
            found.setdefault(name, []).append((row["frame"], mask, score, label))
    lines: list[dict[str, Any]] = []
    for several in found.values():
        masks = {frame: dict(mask) for frame, mask, _, _ in several}
        areas = [float(coco_mask().area(mask)) for mask in masks.values()]
        labels = np.array([label for *_, label in several])
        if labels.min() < 0:
            raise FkitValueError(f"YouTubeVISMetric: label {labels.min()} is no class.")
        lines.append(
            {
                "image_id": video, "score": float(np.mean([score for _, _, score, _ in several])), "iscrowd": 0,
                "category_id": int(np.bincount(labels).argmax()) + 1, "area": _mean([area for area in areas if area]),
                "masks": [masks.get(frame) for frame in range(length)],
            }
        )  # fmt: skip
    return lines


def _objects(video: Any, frames: Sequence[Any], length: int) -> list[dict[str, Any]]:
    """What a video shows."""
    known: dict[int, list[tuple[int, Any]]] = {}
    for row in frames:
        for one in row["truth"]:
            known.setdefault(one["name"], []).append((row["frame"], one))
    lines: list[dict[str, Any]] = []
    for several in known.values():
        masks, first = {frame: dict(one["mask"]) for frame, one in several}, several[0][1]
        lines.append(
            {
                "image_id": video, "iscrowd": int(first["crowd"]), "category_id": first["label"] + 1,
                "area": _mean([one["area"] for _, one in several if one["area"]]),
                "masks": [masks.get(frame) for frame in range(length)],
            }
        )  # fmt: skip
    return lines


def _ground(videos: Mapping[Any, Any], lines: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> Ground:
    """Objects as COCO's annotations, whose images are the videos."""
    by_video: dict[Any, list[Mapping[str, Any]]] = {number: [] for number in videos}
    for number, line in enumerate(lines, 1):
        by_video[line["image_id"]].append({**line, "id": number})
    rows = {number: {"id": number} for number in videos}
    annotations = {number: tuple(several) for number, several in by_video.items()}
    return Ground("the samples", tuple(videos), rows, annotations, tuple(names), names)


def _counted(truth: Ground, said: Ground) -> Mapping[str, Any]:
    """What COCO's evaluation accumulates where the overlap is that of masks over all frames."""
    _, COCOeval = coco_tools()
    evaluation: Any = COCOeval(coco_of(truth), coco_of(said), "bbox")
    evaluation.params.imgIds, evaluation.params.catIds = list(truth.images), list(truth.names)
    evaluation.params.maxDets, evaluation.params.areaRng = list(_COUNTS), [list(pair) for pair in _AREAS]

    def overlap(video: Any, category: Any) -> Any:
        real = [row["masks"] for row in truth.annotations[video] if row["category_id"] == category]
        mine = [row for row in said.annotations[video] if row["category_id"] == category]
        if not real and not mine:
            return []
        order = np.argsort([-row["score"] for row in mine], kind="stable")[: _COUNTS[-1]]
        return np.array([[_alike(mine[at]["masks"], other) for other in real] for at in order]).reshape(
            len(order), len(real)
        )

    evaluation.computeIoU = overlap
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    return cast("Mapping[str, Any]", evaluation.eval)


def _alike(some: Sequence[Any], others: Sequence[Any]) -> float:
    """Pixels of both over pixels of either, of all frames."""
    both = either = 0.0
    for one, other in zip(some, others, strict=True):
        there = [mask for mask in (one, other) if mask is not None]
        if len(there) == 2:
            both += float(coco_mask().area(coco_mask().merge(there, True)))
        if there:
            either += float(coco_mask().area(coco_mask().merge(there, False)))
    return both / either if either else 0.0


def _mean(areas: Sequence[float]) -> float:
    return float(np.mean(areas)) if areas else 0.0


def _written(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "video_id": line["image_id"],
        "score": line["score"],
        "category_id": line["category_id"],
        "segmentations": line["masks"],
    }
