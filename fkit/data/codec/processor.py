"""Codecs that only arrange annotations: YOLOX-Pose's and ED-Pose's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fkit.data.codec.codec import Codec, Floats, pair_of, points_of, seen_of
from fkit.tree.check import check_fields, expect
from fkit.tree.frozen import frozen

__all__ = ["EDPoseLabel", "YOLOXPoseAnnotationProcessor"]


@dataclass(frozen=True)
class YOLOXPoseAnnotationProcessor(Codec):
    """Labels from 0 of category ids from 1, and boxes that hold all keypoints; mmpose's YOLOXPoseAnnotationProcessor.

    Args:
        expand_bbox: make each box hold the keypoints that are seen.
        input_size: for deployment; of no effect.

    Gives ``bbox_labels`` (N,) where there are ids, ``bbox`` (N, 4) where boxes are expanded.

    Example:
        >>> codec = YOLOXPoseAnnotationProcessor(expand_bbox=True)
        >>> codec.encode(np.array([[[9.0, 1.0]]]), None, bbox=np.array([[0.0, 0, 4, 4]]), category_id=[1])["bbox"].tolist()
        [[0.0, 0.0, 9.0, 4.0]]
    """

    expand_bbox: bool = False
    input_size: tuple[int, int] | None = None

    needs: ClassVar[tuple[str, ...]] = ("category_id", "bbox")
    labels: ClassVar[Mapping[str, str]] = frozen(
        {
            "bbox": "bboxes",
            "bbox_labels": "labels",
            "keypoints": "keypoints",
            "keypoints_visible": "keypoints_visible",
            "area": "areas",
        }
    )
    instances: ClassVar[Mapping[str, str]] = frozen(
        {
            "bbox": "bboxes",
            "bbox_score": "bbox_scores",
            "keypoints": "keypoints",
            "keypoints_visible": "keypoints_visible",
        }
    )

    def __post_init__(self) -> None:
        expect(self.expand_bbox, bool, "YOLOXPoseAnnotationProcessor: expand_bbox is True or False")
        if self.input_size is not None:
            size = pair_of(self.input_size, "YOLOXPoseAnnotationProcessor: input_size")
            object.__setattr__(self, "input_size", size)

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        bbox: Floats | None = None,
        category_id: Sequence[int] | Floats | None = None,
    ) -> Mapping[str, Any]:
        done: dict[str, Any] = {}
        points = points_of(keypoints, self)
        if self.expand_bbox and bbox is not None:
            seen = seen_of(points, keypoints_visible)
            seen = (seen[..., 0] if seen.ndim == 3 else seen) != 0
            low = np.where(seen[..., None], points, np.inf).min(axis=1)
            high = np.where(seen[..., None], points, -np.inf).max(axis=1)
            both = (np.minimum(bbox[..., :2], low), np.maximum(bbox[..., 2:], high))
            done["bbox"] = np.concatenate(both, axis=-1).astype(bbox.dtype)
        if category_id is not None:
            done["bbox_labels"] = np.atleast_1d(np.asarray(category_id, np.int64)) - 1
        return frozen(done)


@dataclass(frozen=True)
class EDPoseLabel(Codec):
    """Keypoints, boxes and areas in parts of the image; mmpose's EDPoseLabel.

    Args:
        num_select: how many instances are decoded.
        num_keypoints: K.

    Gives ``keypoints`` (N, K, 2), ``keypoints_visible``, ``bbox`` (N, 4) as (centre x, y, width, height), ``area`` (N,).
    Decodes ``(input_shapes (2,) height and width, pred_logits (Q, C), pred_boxes (Q, 4), pred_keypoints (Q, K * 3))`` to
    ``(boxes, keypoints, scores)``, the best first.

    Example:
        >>> EDPoseLabel().encode(np.array([[[2.0, 1.0]]]), img_shape=(4, 2))["keypoints"].tolist()
        [[[0.5, 0.5]]]
    """

    num_select: int = 100
    num_keypoints: int = 17

    needs: ClassVar[tuple[str, ...]] = ("area", "bboxes", "img_shape")
    instances: ClassVar[Mapping[str, str]] = frozen(
        {"bbox": "bboxes", "keypoints": "keypoints", "keypoints_visible": "keypoints_visible", "area": "areas"}
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        img_shape: Sequence[int] = (1, 1),
        area: Floats | None = None,
        bboxes: Floats | None = None,
    ) -> Mapping[str, Any]:
        size = np.array(img_shape[:2], np.float32)
        box = None
        if bboxes is not None:
            centre, sides = (bboxes[..., :2] + bboxes[..., 2:]) * 0.5, bboxes[..., 2:] - bboxes[..., :2]
            box = np.concatenate((centre, sides), axis=-1) / np.tile(size, 2)
        return frozen(
            {
                "keypoints": points_of(keypoints, self) / size,
                "keypoints_visible": seen_of(keypoints, keypoints_visible),
                "bbox": box,
                "area": None if area is None else area / float(size.prod()),
            }
        )

    def decode(
        self, input_shapes: Floats, pred_logits: Floats, pred_boxes: Floats, pred_keypoints: Floats
    ) -> tuple[Floats, Floats, Floats]:
        for value in (input_shapes, pred_logits, pred_boxes, pred_keypoints):
            expect(value, np.ndarray, "EDPoseLabel.decode takes arrays")
        best = np.argsort(-pred_logits.ravel())[: self.num_select]
        rows = best // pred_logits.shape[1]
        scores = np.repeat(pred_logits.ravel()[best][:, None], self.num_keypoints, axis=1)
        size = np.asarray(input_shapes).ravel()[::-1]
        centre, sides = pred_boxes[rows, :2], pred_boxes[rows, 2:]
        boxes = np.concatenate((centre - 0.5 * sides, centre + 0.5 * sides), axis=1) * np.tile(size, 2)
        points = pred_keypoints[rows, : self.num_keypoints * 2].reshape(len(rows), self.num_keypoints, 2) * size
        return boxes, points, scores
