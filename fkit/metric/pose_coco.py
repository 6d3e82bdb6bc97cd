"""COCO's evaluation of keypoints: average precision by the similarity of keypoints; pycocotools does the counting."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.format.json import write_json
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.ground import Ground, coco_of, coco_tools, ground_file
from fkit.metric.oks import MOST, oks_nms, soft_oks_nms
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen
from fkit.tree.write import atomic_write

__all__ = ["CocoWholeBodyMetric", "PoseCocoMetric"]

_SCORES = ("bbox", "bbox_keypoint", "bbox_rle", "keypoint")
_NMS = ("oks_nms", "soft_oks_nms", "none")
_NAMES = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
_CROWD = ("AP", "AP .5", "AP .75", "AR", "AR .5", "AR .75", "AP(E)", "AP(M)", "AP(H)")
_CROWDED = (0.2, 0.8)  # from which crowd index on an image is of medium difficulty, and hard
_PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PoseCocoMetric(Gathered):
    """Average precision and recall of keypoints as COCO counts them; mmpose's CocoMetric.

    A sample has ``pred_instances`` ``{"keypoints": (I, K, 2), "keypoint_scores": (I, K), "bboxes"?, "bbox_scores"?: (I,)}`` in the
    coordinates of the original image, ``gt_instances`` ``{"bbox_scores"?, "bbox_scales"?}`` of a top-down model, ``id``,
    ``img_id`` and ``category_id`` (1). Without an annotation file the truth comes with it: ``raw_ann_info``, COCO's annotations.

    Args:
        ann_file: COCO's annotation file; read when numbers are computed.
        use_area: persons' sizes are the ``area`` of their annotations; False: 0.53 times their box's.
        iou_type: "keypoints", or "keypoints_crowd": CrowdPose's, by how crowded an image is.
        score_mode: a person's score: "bbox", its box's; "keypoint", the mean of its keypoints'; "bbox_keypoint", their product,
            of keypoints above ``keypoint_score_thr``; "bbox_rle", the box's and the mean and the greatest of the keypoints'.
        keypoint_score_thr: see ``score_mode``.
        nms_mode: which of two persons that are alike is left out: "oks_nms": the one with the lower score; "soft_oks_nms": lower
            scores sink, and 20 are kept; "none".
        nms_thr: how alike.
        format_only: write the results only, and give no number.
        pred_converter, gt_converter: ``num_keypoints`` and ``mapping``, as KeypointConverter has them, of predictions and truth.
        outfile_prefix: where results are written as COCO's JSON: ``{outfile_prefix}.keypoints.json``.

    ``metainfo`` has ``sigmas``, how far annotators differ, a number a keypoint; by default the evaluator gives it. Numbers:
    ``coco/AP``, ``coco/AP .5``, ...; -1 where there is nothing to be found.

    Example:
        >>> metric = PoseCocoMetric(metainfo={"sigmas": (0.05, 0.05)}, score_mode="bbox")
        >>> person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0, "keypoints": [1, 1, 2, 9, 9, 2]}
        >>> outputs = {"pred_instances": {"keypoints": np.array([[[[1.0, 1], [9, 9]]]]), "keypoint_scores": np.ones((1, 1, 2))}}
        >>> targets = {"meta": [{"id": 1, "img_id": 1, "raw_ann_info": person}]}
        >>> round(metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))["coco/AP"], 6)
        1.0
    """

    default_prefix: ClassVar[str | None] = "coco"

    ann_file: str | None = None
    use_area: bool = True
    iou_type: str = "keypoints"
    score_mode: str = "bbox_keypoint"
    keypoint_score_thr: float = 0.2
    nms_mode: str = "oks_nms"
    nms_thr: float = 0.9
    format_only: bool = False
    pred_converter: Mapping[str, Any] | None = None
    gt_converter: Mapping[str, Any] | None = None
    outfile_prefix: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.iou_type, ("keypoints", "keypoints_crowd"), "CocoMetric: iou_type")
        expect_choice(self.score_mode, _SCORES, "CocoMetric: score_mode")
        expect_choice(self.nms_mode, _NMS, "CocoMetric: nms_mode")
        for name, kind in (
            ("ann_file", str),
            ("outfile_prefix", str),
            ("pred_converter", Mapping),
            ("gt_converter", Mapping),
        ):
            value = getattr(self, name)
            if value is not None:
                expect(value, kind, f"CocoMetric: {name} is {'a mapping' if kind is Mapping else 'text'}")
                object.__setattr__(self, name, frozen(value) if kind is Mapping else value)
        if self.format_only and self.outfile_prefix is None:
            raise FkitValueError("CocoMetric: format_only writes results, and outfile_prefix is not set.")

    def informed(self, metainfo: Mapping[str, Any]) -> Self:
        expect(metainfo, Mapping, "`metainfo` is a mapping")
        return (
            self if "sigmas" in self.metainfo or not metainfo else replace(self, metainfo={**metainfo, **self.metainfo})
        )

    def record(self, sample: Sample) -> Any:
        who = type(self).__name__
        group = cast("Mapping[str, Any]", field(sample, "pred_instances", who))
        points = np.asarray(field(sample, "pred_instances", who, "keypoints"))
        scores = np.asarray(field(sample, "pred_instances", who, "keypoint_scores"))
        if points.ndim != 3 or scores.shape != points.shape[:2]:
            raise FkitValueError(
                f"{who}: keypoints are (I, K, 2), not {points.shape}, their scores (I, K), not {scores.shape}."
            )
        known = cast("Mapping[str, Any]", sample.get("gt_instances", frozen({})))
        boxes: Any = group.get("bbox_scores", known.get("bbox_scores", ()))
        row: dict[str, Any] = {
            "id": _plain(sample.get("id", sample["sample_idx"])),
            "img_id": _plain(sample.get("img_id", sample["sample_idx"])),
            "category_id": _plain(sample.get("category_id", 1)),
            "points": points[..., :2],
            "scores": scores,
            "box_scores": np.asarray(boxes) if len(boxes) == len(points) else np.ones(len(points)),
        }
        if "bboxes" in group:
            row["boxes"] = np.asarray(group["bboxes"])
        if "bbox_scales" in known:
            row["areas"] = np.prod(np.asarray(known["bbox_scales"]), axis=1)
        if self.ann_file is None and not self.format_only:
            given: Any = field(sample, "raw_ann_info", who)
            several = cast("Sequence[Any]", given if isinstance(given, (list, tuple)) else (given,))
            row["truth"] = [dict(one) for one in several if one is not None]
            row["crowd_index"] = float(sample.get("crowd_index", 0))
        return row

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        lines = [line for persons in self._by_image(rows).values() for line in self._kept(persons)]
        if self.outfile_prefix is not None:
            path = Path(f"{self.outfile_prefix}.keypoints.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, write_json([self._written(line) for line in lines]).encode())
        if self.format_only:
            return {}
        ground = self._truth(rows)
        return self._counted(ground, [self._line(line) for line in lines if (line["points"][:, 2] > 0).any()])

    @property
    def sigmas(self) -> NDArray[np.float64]:
        """How far annotators differ, a number a keypoint."""
        if "sigmas" not in self.metainfo:
            raise FkitKeyError(
                f"{type(self).__name__} needs the data set's 'sigmas'.",
                choices=self.metainfo,
                label="metainfo has",
                repair="metainfo=dict(sigmas=[...]), one number a keypoint.",
            )
        sigmas = np.asarray(self.metainfo["sigmas"], np.float64)
        return sigmas if self.gt_converter is None else _converted(sigmas, self.gt_converter)

    def _by_image(self, rows: NDArray[Any]) -> dict[Any, list[dict[str, Any]]]:
        """Persons by image, in the order of their ids; of one id the first."""
        images: dict[Any, list[dict[str, Any]]] = {}
        for row in rows:
            for at, (points, scores) in enumerate(zip(row["points"], row["scores"], strict=True)):
                whole = np.concatenate((points, scores[:, None]), axis=1).astype(np.float64)
                if self.pred_converter is not None:
                    whole = _converted(whole, self.pred_converter)
                sides = whole[:, :2].max(axis=0) - whole[:, :2].min(axis=0)
                person = {
                    "id": row["id"],
                    "img_id": row["img_id"],
                    "category_id": row["category_id"],
                    "points": whole,
                    "area": float(row["areas"][at])
                    if "areas" in row and at < len(row["areas"])
                    else float(sides.prod()),
                    "score": self._score(whole[:, 2], float(row["box_scores"][at])),
                }
                if "boxes" in row:
                    x1, y1, x2, y2 = row["boxes"][at].tolist()
                    person["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                images.setdefault(row["img_id"], []).append(person)
        for number, persons in images.items():
            if all(isinstance(one["id"], int) for one in persons) and len(rows[0]["points"]) == 1:
                first: dict[int, dict[str, Any]] = {}
                for one in sorted(persons, key=lambda one: cast(int, one["id"])):
                    first.setdefault(one["id"], one)
                images[number] = list(first.values())
        return images

    def _score(self, keypoints: NDArray[Any], box: float) -> float:
        if self.score_mode == "bbox":
            return box
        if self.score_mode == "keypoint":
            return float(keypoints.mean())
        if self.score_mode == "bbox_rle":
            return box + float(keypoints.mean()) + float(keypoints.max())
        sure = keypoints[keypoints > self.keypoint_score_thr]
        return box * (float(sure.mean()) if sure.size else 0.0)

    def _kept(self, persons: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.nms_mode == "none":
            return persons
        points = np.stack([one["points"][:, :2] for one in persons])
        _expect_as_many(points.shape[1], self.sigmas)
        areas, scores = (np.array([one[name] for one in persons]) for name in ("area", "score"))
        suppress = oks_nms if self.nms_mode == "oks_nms" else soft_oks_nms
        return [persons[at] for at in suppress(points, areas, scores, self.sigmas, self.nms_thr)]

    def _written(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """A person as COCO's result files have it."""
        row = {"image_id": line["img_id"], "category_id": _alone(line["category_id"]), "score": line["score"]}
        return {
            **row,
            "keypoints": line["points"].ravel().tolist(),
            **({"bbox": line["bbox"]} if "bbox" in line else {}),
        }

    def _line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """A person with the box that its size is of."""
        whole = self._written(line)
        return {**whole, "bbox": line.get("bbox", _extent(line["points"]))}

    def _truth(self, rows: NDArray[Any]) -> Ground:
        if self.ann_file is not None:
            ground = ground_file(self.ann_file, who=type(self).__name__)
        else:
            ground = _given(rows)
        number = count(1)  # pycocotools takes a match with an annotation of the id 0 for none
        annotations = {
            key: tuple({**self._person(one), "id": next(number)} for one in several)
            for key, several in ground.annotations.items()
        }
        return ground._replace(annotations=annotations)

    def _person(self, annotation: Row) -> Row:
        """An annotation with the size and the number of keypoints that count."""
        points = self._points(annotation)
        if self.gt_converter is not None:
            points = _converted(points.reshape(-1, 3), self.gt_converter).ravel()
        box = annotation["bbox"]
        area = annotation["area"] if self.use_area and "area" in annotation else box[2] * box[3] * 0.53
        seen = annotation["num_keypoints"] if self.iou_type == "keypoints_crowd" else int((points[2::3] > 0).sum())
        return {**annotation, "keypoints": points.tolist(), "num_keypoints": seen, "area": area}

    def _points(self, annotation: Row) -> NDArray[Any]:
        return np.asarray(annotation["keypoints"], np.float64)

    def _counted(self, ground: Ground, lines: list[dict[str, Any]]) -> dict[str, float]:
        precision, recall = _evaluated(ground, lines, self.sigmas, ground.images)
        if self.iou_type == "keypoints":
            parts = [
                precision[:, :, :, 0],
                precision[0, :, :, 0],
                precision[5, :, :, 0],
                precision[:, :, :, 1],
                precision[:, :, :, 2],
            ]
            parts += [recall[:, :, 0], recall[0, :, 0], recall[5, :, 0], recall[:, :, 1], recall[:, :, 2]]
            return {name: _mean(part) for name, part in zip(_NAMES, parts, strict=True)}
        parts = [table[at] for table in (precision[:, :, :, 0], recall[:, :, 0]) for at in (slice(None), 0, 5)]
        easy, hard = _CROWDED
        index = {key: float(row.get("crowdIndex", 0)) for key, row in ground.rows.items()}
        groups = (
            [key for key in ground.images if index[key] < easy],
            [key for key in ground.images if easy <= index[key] < hard],
            [key for key in ground.images if index[key] >= hard],
        )
        means = [
            round(float(_evaluated(ground, lines, self.sigmas, group)[0][:, :, :, 0].mean()), 4) if group else -1.0
            for group in groups
        ]
        return dict(zip(_CROWD, (*(_mean(part) for part in parts), *means), strict=True))


@dataclass(frozen=True)
class CocoWholeBodyMetric(PoseCocoMetric):
    """`PoseCocoMetric` of COCO-WholeBody's 133 keypoints: body, feet, face and hands together; mmpose's CocoWholeBodyMetric.

    Args:
        ann_file, use_area, iou_type, score_mode, keypoint_score_thr, nms_mode, nms_thr, format_only, pred_converter, gt_converter,
            outfile_prefix: as of `PoseCocoMetric`.

    An annotation has ``keypoints``, ``foot_kpts``, ``face_kpts``, ``lefthand_kpts``, ``righthand_kpts``. Numbers:
    ``coco-wholebody/AP``, ...
    """

    default_prefix: ClassVar[str | None] = "coco-wholebody"

    def _points(self, annotation: Row) -> NDArray[Any]:
        missing = [part for part in _PARTS if part not in annotation]
        if missing:
            raise FkitKeyError(
                f"CocoWholeBodyMetric: an annotation has no {missing[0]!r}.", choices=annotation, label="It has"
            )
        return np.concatenate([np.asarray(annotation[part], np.float64) for part in _PARTS])

    def _written(self, line: Mapping[str, Any]) -> dict[str, Any]:
        ends = np.cumsum((17, 6, 68, 21, 21)) * 3
        pieces = np.split(line["points"].ravel(), ends[:-1])
        row = {"image_id": line["img_id"], "category_id": 1, "score": line["score"]}
        return {**row, **{part: piece.tolist() for part, piece in zip(_PARTS, pieces, strict=True)}}

    def _line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        whole = {"image_id": line["img_id"], "category_id": 1, "score": line["score"]}
        return {**whole, "keypoints": line["points"].ravel().tolist(), "bbox": _extent(line["points"][:17])}


def _expect_as_many(count: int, sigmas: NDArray[Any]) -> None:
    if count != len(sigmas):
        raise FkitValueError(
            f"CocoMetric: {count} keypoints are predicted, and metainfo has {len(sigmas)} sigmas.",
            repair="Give one a keypoint.",
        )


def _evaluated(
    ground: Ground, lines: Sequence[Row], sigmas: NDArray[Any], images: Sequence[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Precisions (T, R, K, A) and recalls (T, K, A) of sizes all, medium, large."""
    known = frozenset(ground.images)
    for line in lines:
        if line["image_id"] not in known:
            raise FkitValueError(f"CocoMetric: the image {line['image_id']!r} is not in {ground.name}.")
        _expect_as_many(len(line["keypoints"]) // 3, sigmas)
    _, COCOeval = coco_tools()
    evaluation: Any = COCOeval(coco_of(ground), coco_of(ground, lines), "keypoints")
    evaluation.params.imgIds = list(images)
    evaluation.params.catIds = list(ground.names)
    evaluation.params.maxDets = [MOST]
    evaluation.params.kpt_oks_sigmas = sigmas
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0], evaluation.eval["recall"][..., 0]


def _given(rows: NDArray[Any]) -> Ground:
    """The truth that came with the samples."""
    images: dict[Any, Row] = {}
    annotations: dict[Any, dict[Any, Row]] = {}
    names: dict[Any, str] = {}
    for row in rows:
        images.setdefault(row["img_id"], {"id": row["img_id"], "crowdIndex": row["crowd_index"]})
        several = annotations.setdefault(row["img_id"], {})
        for one in row["truth"]:
            plain = {"iscrowd": 0, **one}
            several[plain["id"]] = plain
            names[plain["category_id"]] = str(plain["category_id"])
    whole = {key: tuple(several.values()) for key, several in annotations.items()}
    return Ground("the samples", tuple(images), images, whole, tuple(names), names)


def _converted(values: NDArray[Any], converter: Mapping[str, Any]) -> NDArray[Any]:
    """Numbers a keypoint (K, ...) in the order of another data set; of a pair of keypoints the mean."""
    done = np.zeros((converter["num_keypoints"], *values.shape[1:]), values.dtype)
    for here, there in converter["mapping"]:
        done[there] = values[list(here)].mean(axis=0) if isinstance(here, (list, tuple)) else values[here]
    return done


def _extent(points: NDArray[Any]) -> list[float]:
    x1, y1 = points[:, :2].min(axis=0).tolist()
    x2, y2 = points[:, :2].max(axis=0).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _alone(number: Any) -> Any:
    return number[0] if isinstance(number, list) else number


def _plain(number: Any) -> Any:
    """An id as JSON has it."""
    if isinstance(number, (np.generic, np.ndarray)):
        return number.tolist()
    return list(cast("Sequence[Any]", number)) if isinstance(number, (list, tuple)) else number


def _mean(values: NDArray[Any]) -> float:
    there = values[values > -1]
    return float(there.mean()) if there.size else -1.0
