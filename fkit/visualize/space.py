"""Poses in space: a skeleton seen from the side, with the floor below it, beside its image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host
from fkit.tree.check import expect_number
from fkit.tree.error import FkitTypeError
from fkit.visualize.pose import PoseLocalVisualizer
from fkit.visualize.sample import field_of
from fkit.visualize.shape import Picture, area, disc, font, stroke, words
from fkit.visualize.visualizer import picture

__all__ = ["Pose3dLocalVisualizer", "View"]

_PAPER, _FLOOR, _LINE, _SOFT, _INK = 255, (244, 246, 248), (214, 219, 226), (123, 135, 148), (31, 41, 51)
_AXES = (("x", (220, 38, 38)), ("y", (5, 150, 105)), ("z", (37, 99, 235)))
_LEAST = 240  # px, the side of a panel
_TILES = 6  # of the floor, along a side
_FILLED = 0.62  # of a panel, by the side of the space


class View(NamedTuple):
    """From where a space is seen; without perspective, so that what is parallel stays so.

    Attributes:
        azimuth: round the upright axis, degrees; 0 looks from where x is large.
        elevation: above the floor, degrees.
    """

    azimuth: float = 70.0
    elevation: float = 15.0

    def project(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Points (..., 3), z upright, as right, up and near, (..., 3).

        Example:
            >>> View(0, 0).project(np.array([[1.0, 2.0, 3.0]])).round(6).tolist()
            [[2.0, 3.0, 1.0]]
        """
        values: NDArray[Any] = np.asarray(points, np.float64)
        if values.ndim < 1 or values.shape[-1] != 3:
            raise FkitTypeError(f"points in space are (..., 3), found {values.shape}.")
        turn, lift = math.radians(self.azimuth), math.radians(self.elevation)
        right = (-math.sin(turn), math.cos(turn), 0.0)
        up = (-math.sin(lift) * math.cos(turn), -math.sin(lift) * math.sin(turn), math.cos(lift))
        near = (math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift))
        return values @ np.array([right, up, near]).T


@dataclass(frozen=True)
class Pose3dLocalVisualizer(PoseLocalVisualizer):
    """Draws poses in space beside their image; mmpose's. Arguments as of `PoseLocalVisualizer`.

    Example:
        >>> board = Pose3dLocalVisualizer(dataset_meta={"skeleton_links": [(0, 1)]})
        >>> sample = {"pred_instances": {"keypoints": np.array([[[0.0, 0, 0], [0, 0, 1.5]]])}}
        >>> board.add_datasample("a", np.zeros((240, 320, 3), np.uint8), sample).get_image().shape
        (240, 566, 3)
    """

    def add_datasample(
        self, name: str, image: Any, data_sample: Any = None, draw_gt: bool = True, draw_pred: bool = True, kpt_thr: float = 0.3,
        num_instances: int = -1, axis_azimuth: float = 70.0, axis_elev: float = 15.0, axis_limit: float = 1.7,
    ) -> Self:  # fmt: skip
        """With the picture of a sample: the image at the left, then each pose that is predicted, then those that are known.

        Args:
            image: (H, W, 3) RGB.
            data_sample: a PoseDataSample, or a mapping: ``pred_instances`` with ``keypoints`` (N, K, 3), z upright, and
                ``keypoint_scores`` (N, K); ``gt_instances`` with ``lifting_target`` or ``keypoints_gt`` (N, K, 3). Points in the
                image, ``keypoints`` (N, K, 2) of ``gt_instances``, are drawn on it.
            kpt_thr: the least score of a point that is drawn.
            num_instances: how many poses are drawn; below 0: all.
            axis_azimuth, axis_elev: from where they are seen, degrees.
            axis_limit: the side of the space that is shown, in units of the points; it grows where they reach out.
        """
        for word, value in (("axis_azimuth", axis_azimuth), ("axis_elev", axis_elev), ("axis_limit", axis_limit)):
            expect_number(value, f"Pose3dLocalVisualizer: {word}")
        under = picture(np.asarray(host(image)))
        said, known = field_of(data_sample, "pred_instances"), field_of(data_sample, "gt_instances")
        flat = field_of(known, "keypoints")
        if flat is not None and np.ndim(host(flat)) == 3 and np.shape(host(flat))[-1] == 2 and draw_gt:
            under = self.drawn(under, known, kpt_thr)
        side, view = max(under.shape[0], _LEAST), View(axis_azimuth, axis_elev)
        panels: list[Picture] = []
        truth = field_of(known, "lifting_target", field_of(known, "keypoints_gt"))
        rows = (
            ("prediction", draw_pred, field_of(said, "keypoints"), field_of(said, "keypoint_scores")),
            ("truth", draw_gt, truth, field_of(known, "lifting_target_visible")),
        )
        for title, wanted, points, scores in rows:
            if not wanted or points is None:
                continue
            poses, sure = _poses(points, scores)
            count = len(poses) if num_instances < 0 else min(num_instances, len(poses))
            for number in range(count):
                label = title if count == 1 else f"{title} {number + 1}"
                panels.append(self._panel(poses[number], sure[number] >= kpt_thr, side, view, axis_limit, label))
        return self.set_image(_row([under, *panels], side) if panels else under)

    def _panel(
        self, points: NDArray[np.float64], seen: NDArray[np.bool_], side: int, view: View, limit: float, label: str
    ) -> Picture:
        """One pose above its floor."""
        seen = np.logical_and(seen, np.isfinite(points).all(axis=1))
        there = points[seen] if seen.any() else np.zeros((1, 3))
        low, high = there.min(axis=0), there.max(axis=0)
        limit = max(limit, 1.1 * float((high - low).max()))
        middle = (low + high) / 2
        ground = float(low[2])
        corner = np.array([middle[0] - limit / 2, middle[1] - limit / 2, ground])
        centre = view.project(np.array([middle[0], middle[1], ground + limit / 2]))
        unit = side * _FILLED / limit

        def place(spots: NDArray[Any]) -> NDArray[np.float64]:
            seen_at = (view.project(spots) - centre) * unit
            return np.stack((side / 2 + seen_at[..., 0], side * 0.54 - seen_at[..., 1]), axis=-1)

        image = _floor(np.full((side, side, 3), _PAPER, np.uint8), corner, limit, place, side / 480)
        return words(
            self._pose(image, points, seen, place, view), label, (10, 8), font(14 * side / 480 + 3, bold=True), _INK
        )

    def _pose(
        self, image: Picture, points: NDArray[np.float64], seen: NDArray[np.bool_], place: Any, view: View
    ) -> Picture:
        """The links, those that are far first, and the points."""
        scale = image.shape[0] / 480
        links = [(int(a), int(b)) for a, b in cast("Sequence[Any]", self.dataset_meta.get("skeleton_links", ()))]
        of_points = self._colours(self.kpt_color, self.words[0], len(points))
        of_links = self._colours(self.link_color, self.words[1], len(links))
        safe = np.where(seen[:, None], points, 0.0)
        at, near = place(safe), view.project(safe)[:, 2]
        radius, width = self.radius or 4.5 * scale, self.line_width or 4 * scale
        for number in sorted(range(len(links)), key=lambda number: float(near[list(links[number])].mean())):
            a, b = links[number]
            if seen[a] and seen[b]:
                image = stroke(image, at[[a, b]], of_links[number], width)
        for number in sorted(np.flatnonzero(seen).tolist(), key=lambda number: float(near[number])):
            image = disc(image, at[number], radius + max(1.0, scale), (255, 255, 255))
            image = disc(image, at[number], radius, of_points[number])
        return image


def _poses(points: Any, scores: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    poses: NDArray[Any] = np.asarray(host(points), np.float64)
    if poses.ndim < 2 or poses.shape[-1] != 3:
        raise FkitTypeError(f"poses in space are (N, K, 3), found {poses.shape}.")
    poses = poses.reshape(-1, *poses.shape[-2:])
    sure = np.ones(poses.shape[:2]) if scores is None else np.asarray(host(scores), np.float64).reshape(poses.shape[:2])
    return poses, sure


def _floor(image: Picture, corner: NDArray[np.float64], limit: float, place: Any, scale: float) -> Picture:
    """The floor in tiles, and the three axes at its corner."""
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    image = area(image, [place(corner + limit * square)], _FLOOR)
    for part in np.linspace(0, 1, _TILES + 1):
        for ends in ([[part, 0, 0], [part, 1, 0]], [[0, part, 0], [1, part, 0]]):
            image = stroke(image, place(corner + limit * np.array(ends)), _LINE, max(1.0, scale))
    letters = font(11 * scale + 3)
    for axis, (word, colour) in enumerate(_AXES):
        ends = np.array([corner, corner + np.eye(3)[axis] * limit / 5])
        image = stroke(image, place(ends), colour, max(1.5, 2 * scale))
        tip = place(corner + np.eye(3)[axis] * limit / 4)
        image = words(image, word, (float(tip[0]), float(tip[1])), letters, colour, ("center", "center"))
    return image


def _row(pictures: Sequence[Picture], side: int, gap: int = 6) -> Picture:
    """Pictures of up to a height, side by side."""
    parts: list[Picture] = []
    for number, one in enumerate(pictures):
        high = np.pad(one, ((0, side - one.shape[0]), (gap * (number > 0), 0), (0, 0)), constant_values=_PAPER)
        parts.append(np.asarray(high, np.uint8))
    return np.concatenate(parts, axis=1)
