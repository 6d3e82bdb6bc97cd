"""Visualizers of poses, with OpenMMLab's names: keypoints and skeletons, in the image and in space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host
from fkit.tree.error import FkitTypeError
from fkit.visualize.canvas import Visualizer
from fkit.visualize.sample import beside, field_of
from fkit.visualize.shape import Colour, Picture, colour_of, palette, stroke

__all__ = ["PoseLocalVisualizer"]

_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class PoseLocalVisualizer(Visualizer):
    """Draws keypoints and skeletons; mmpose's.

    Args:
        radius: of keypoints, pixels; None grows with the picture.
        line_width: of links; None likewise.
        kpt_color, link_color: None takes ``dataset_meta``'s ``keypoint_colors`` and ``skeleton_link_colors``.
        bbox_color: of boxes.
        show_keypoint_weight: paler points for smaller scores.

    Example:
        >>> board = PoseLocalVisualizer(dataset_meta={"skeleton_links": [(0, 1)]})
        >>> sample = {"pred_instances": {"keypoints": np.array([[[8, 8], [40, 50]]]), "keypoint_scores": np.ones((1, 2))}}
        >>> board.add_datasample("a", np.zeros((64, 64, 3), np.uint8), sample).get_image().shape
        (64, 64, 3)
    """

    bbox_color: Any = "limegreen"
    kpt_color: Any = None
    link_color: Any = None
    radius: float | None = None
    line_width: float | None = None
    show_keypoint_weight: bool = False

    words: ClassVar[tuple[str, str]] = ("keypoint_colors", "skeleton_link_colors")

    def add_datasample(
        self, name: str, image: Any, data_sample: Any = None, draw_gt: bool = True, draw_pred: bool = True, kpt_thr: float = 0.3,
    ) -> Self:  # fmt: skip
        """With the picture of a sample: the truth at the left, the predictions at the right, where both are there.

        Args:
            data_sample: a PoseDataSample, or a mapping, with ``gt_instances`` and ``pred_instances``: ``keypoints`` (N, K, 2),
                ``keypoint_scores`` or ``keypoints_visible`` (N, K), ``bboxes``.
            kpt_thr: the least score of a point that is drawn.
        """
        return self.set_image(
            beside(self, image, data_sample, (draw_gt, draw_pred), ("gt_instances", "pred_instances"), kpt_thr)
        )

    def draw_poses(self, keypoints: NDArray[Any], scores: NDArray[Any] | None = None, threshold: float = 0.3) -> Self:
        """With these people: (N, K, 2), and (N, K) of which those below ``threshold`` are left out."""
        points: NDArray[Any] = np.asarray(host(keypoints), np.float64)
        if points.ndim != 3 or points.shape[2] < 2:
            raise FkitTypeError(f"keypoints are (N, K, 2), found {points.shape}.")
        count, scale, image = points.shape[1], self.scale, self._picture()
        sure = (
            np.ones(points.shape[:2])
            if scores is None
            else np.asarray(host(scores), np.float64).reshape(points.shape[:2])
        )
        links = [(int(a), int(b)) for a, b in cast("Sequence[Any]", self.dataset_meta.get("skeleton_links", ()))]
        of_points = self._colours(self.kpt_color, self.words[0], count)
        of_links = self._colours(self.link_color, self.words[1], len(links))
        radius, width = self.radius or 3.5 * scale, self.line_width or 2.5 * scale
        for person, sures in zip(points[..., :2], sure, strict=True):
            for (a, b), colour in zip(links, of_links, strict=True):
                if min(sures[a], sures[b]) >= threshold:
                    image = stroke(image, person[[a, b]], colour, width)
            board = self._with(image)
            for place in np.flatnonzero(sures >= threshold).tolist():
                board = board.draw_points(person[place], _WHITE, sizes=radius + max(1.0, 0.8 * scale))
                board = board.draw_points(person[place], of_points[place], sizes=radius)
            image = board._picture()
        return self._with(image)

    def drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        """An image with the poses of a field of a sample."""
        board = self.set_image(image)
        boxes = field_of(fields, "bboxes", None)
        if boxes is not None and len(host(boxes)):
            board = board.draw_bboxes(boxes, self.bbox_color)
        points, scores = field_of(fields, "keypoints", np.zeros((0, 0, 2))), field_of(fields, "keypoint_scores", None)
        if scores is None:  # a point that was not labelled has visibility 0
            scores, threshold = field_of(fields, "keypoints_visible", None), max(threshold, 1e-6)
        return board.draw_poses(points, scores, threshold).get_image()

    def _colours(self, chosen: Any, word: str, count: int) -> tuple[Colour, ...]:
        if chosen is not None:
            return (colour_of(chosen),) * count
        known = self.dataset_meta.get(word)
        if known is not None and len(known) == count:
            return tuple(colour_of([int(part) for part in one]) for one in cast("Sequence[Any]", known))
        return palette(count)
