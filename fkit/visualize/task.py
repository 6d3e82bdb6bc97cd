"""Visualizers of tasks, with OpenMMLab's names: what is known and what is predicted of an image, drawn on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.visualize.canvas import Visualizer
from fkit.visualize.shape import Colour, Picture, area, colour_of, font, palette, stroke, tinted, words, words_size
from fkit.visualize.visualizer import picture, sheet

__all__ = ["DetLocalVisualizer", "Instances", "PoseLocalVisualizer", "SegLocalVisualizer", "legend"]

_WHITE, _INK = (255, 255, 255), (31, 41, 51)


class Instances(NamedTuple):
    """Objects of one image, as they are drawn.

    Attributes:
        bboxes: (N, 4) xyxy, pixels of the picture.
        labels: (N,) int.
        scores: (N,) from 0 to 1, or None.
        masks: (N, H, W) bool, or None.
    """

    bboxes: NDArray[Any]
    labels: NDArray[Any]
    scores: NDArray[Any] | None = None
    masks: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, fields: Any, size: tuple[int, int], threshold: float = 0.0) -> "Instances":
        """Of an InstanceData, or a mapping of its fields.

        Args:
            size: (height, width) of the picture.
            threshold: the least score.
        """
        boxes: NDArray[Any] = np.asarray(host(_field(fields, "bboxes", np.zeros((0, 4)))), np.float64).reshape(-1, 4)
        labels = np.asarray(host(_field(fields, "labels", np.zeros(len(boxes), np.int64)))).astype(np.int64)
        scores, masks = _field(fields, "scores", None), _field(fields, "masks", None)
        scores = None if scores is None else np.asarray(host(scores), np.float64)
        if masks is not None:
            bitmaps = masks.to_ndarray() if hasattr(masks, "to_ndarray") else host(masks)
            masks = np.asarray(bitmaps).astype(bool).reshape(-1, *np.shape(bitmaps)[-2:])
            if masks.shape[1:] != size:
                raise FkitValueError(
                    f"masks of {masks.shape[1:]} on a picture of {size}: (height, width) are the same."
                )
        if scores is None or threshold <= 0:
            return cls(boxes, labels, scores, masks)
        kept = scores >= threshold
        return cls(boxes[kept], labels[kept], scores[kept], None if masks is None else masks[kept])


@dataclass(frozen=True)
class DetLocalVisualizer(Visualizer):
    """Draws boxes and masks; mmdet's.

    Args:
        bbox_color, text_color, mask_color: None takes a class's own colour, of ``dataset_meta["palette"]`` where there is one.
        line_width: pixels; None grows with the picture.
        alpha: of masks.

    Example:
        >>> board = DetLocalVisualizer(dataset_meta={"classes": ("cell",)})
        >>> found = {"pred_instances": {"bboxes": np.array([[4, 4, 60, 50]]), "labels": np.array([0]), "scores": np.array([0.9])}}
        >>> board.add_datasample("a", np.zeros((64, 64, 3), np.uint8), found).get_image().shape
        (64, 64, 3)
    """

    bbox_color: Any = None
    text_color: Any = None
    mask_color: Any = None
    line_width: float | None = None
    alpha: float = 0.45

    def add_datasample(
        self, name: str, image: Any, data_sample: Any = None, draw_gt: bool = True, draw_pred: bool = True, pred_score_thr: float = 0.3,
    ) -> Self:  # fmt: skip
        """With the picture of a sample: the truth at the left, the predictions at the right, where both are there.

        Args:
            name: of the picture, a title.
            image: (H, W, 3) RGB.
            data_sample: a DetDataSample, or a mapping, with ``gt_instances`` and ``pred_instances``.
            pred_score_thr: the least score that is drawn.
        """
        return self.set_image(
            _beside(self, image, data_sample, (draw_gt, draw_pred), ("gt_instances", "pred_instances"), pred_score_thr)
        )

    def draw_instances(self, instances: Instances) -> Self:
        """With these objects: masks first, then boxes, then a tag each; the largest object first, so that none is hidden."""
        names, colours = _classes(self.dataset_meta, instances.labels)
        image, scale = self._picture(), self.scale
        boxes = instances.bboxes
        order = np.argsort(-((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])), kind="stable").tolist()
        if instances.masks is not None:
            for place in order:
                image = _masked(
                    image, instances.masks[place], self._colour(self.mask_color, colours[place]), self.alpha, scale
                )
        width = self.line_width or 2 * scale
        for place in order:
            x1, y1, x2, y2 = boxes[place].tolist()
            corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            image = stroke(image, corners, self._colour(self.bbox_color, colours[place]), width, closed=True)
        letters = font(max(11 * scale, 8))
        for place in order:
            text = (
                names[place]
                if instances.scores is None
                else f"{names[place]} {100 * float(instances.scores[place]):.0f}"
            )
            image = _tag(
                image, text, boxes[place], letters, self._colour(self.bbox_color, colours[place]), self.text_color
            )
        return self._with(image)

    def _drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        board = self.set_image(image)
        return board.draw_instances(Instances.of(fields, image.shape[:2], threshold)).get_image()

    @staticmethod
    def _colour(chosen: Any, own: Colour) -> Colour:
        return own if chosen is None else colour_of(chosen)


@dataclass(frozen=True)
class SegLocalVisualizer(Visualizer):
    """Draws maps of classes; mmseg's.

    Args:
        alpha: of the classes' colours over the picture.
        with_labels: name the classes in a legend.

    Example:
        >>> board = SegLocalVisualizer(dataset_meta={"classes": ("paper", "ink")})
        >>> sample = {"pred_sem_seg": np.eye(64, dtype=np.int64)}
        >>> board.add_datasample("a", np.zeros((64, 64, 3), np.uint8), sample).get_image().shape[1]
        64
    """

    alpha: float = 0.6
    with_labels: bool = True

    def add_datasample(
        self, name: str, image: Any, data_sample: Any = None, draw_gt: bool = True, draw_pred: bool = True, with_labels: bool | None = None,
    ) -> Self:  # fmt: skip
        """With the picture of a sample: the truth at the left, the prediction at the right, where both are there.

        Args:
            data_sample: a SegDataSample, or a mapping, with ``gt_sem_seg`` and ``pred_sem_seg``: PixelData or (H, W).
        """
        out = _beside(self, image, data_sample, (draw_gt, draw_pred), ("gt_sem_seg", "pred_sem_seg"), 0.0)
        if with_labels if with_labels is not None else self.with_labels:
            there = [self._map(_field(data_sample, word, None)) for word in ("gt_sem_seg", "pred_sem_seg")]
            seen = sorted({int(label) for one in there if one is not None for label in np.unique(one)})
            names, colours = _classes(self.dataset_meta, np.array([label for label in seen if label != 255], np.int64))
            out = legend(out, list(zip(names, colours, strict=True)))
        return self.set_image(out)

    def _drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        labels = self._map(fields)
        if labels is None or labels.shape != image.shape[:2]:
            raise FkitValueError(
                f"a map of {None if labels is None else labels.shape} on a picture of {image.shape[:2]}."
            )
        present = np.unique(labels)
        present = present[present != 255]
        _, colours = _classes(self.dataset_meta, present)
        for label, colour in zip(present.tolist(), colours, strict=True):
            image = tinted(image, labels == label, colour, self.alpha)
        return image

    @staticmethod
    def _map(fields: Any) -> NDArray[np.int64] | None:
        if fields is None:
            return None
        labels: NDArray[Any] = np.asarray(
            host(
                _field(fields, "sem_seg", fields)
                if not hasattr(fields, "shape") or hasattr(fields, "sem_seg")
                else fields
            )
        )
        return labels.reshape(labels.shape[-2:]).astype(np.int64)


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

    bbox_color: Any = "green"
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
            _beside(self, image, data_sample, (draw_gt, draw_pred), ("gt_instances", "pred_instances"), kpt_thr)
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

    def _drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        board = self.set_image(image)
        boxes = _field(fields, "bboxes", None)
        if boxes is not None and len(host(boxes)):
            board = board.draw_bboxes(boxes, self.bbox_color)
        scores = _field(fields, "keypoint_scores", _field(fields, "keypoints_visible", None))
        return board.draw_poses(
            _field(fields, "keypoints", np.zeros((0, 0, 2))), scores, max(threshold, 1e-6)
        ).get_image()  # a point that was not labelled has visibility 0

    def _colours(self, chosen: Any, word: str, count: int) -> tuple[Colour, ...]:
        if chosen is not None:
            return (colour_of(chosen),) * count
        known = self.dataset_meta.get(word)
        if known is not None and len(known) == count:
            return tuple(colour_of([int(part) for part in one]) for one in cast("Sequence[Any]", known))
        return palette(count)


def legend(image: Picture, entries: Sequence[tuple[str, Colour]]) -> Picture:
    """The picture with a strip below it that names colours; the picture alone where there are none.

    Example:
        >>> legend(np.zeros((40, 100, 3), np.uint8), [("ink", (0, 0, 255))]).shape[0] > 40
        True
    """
    if not entries:
        return image
    letters = font(max(11.0, 12 * (image.shape[1] / 640) ** 0.5))
    high = round(words_size("A", letters)[1])
    gap, x, rows = high // 2, 0.0, list[list[tuple[str, Colour, float]]]([[]])
    for name, colour in entries:
        wide = high + gap + words_size(name, letters)[0] + 2 * gap
        if x + wide > image.shape[1] and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append((name, colour, x))
        x += wide
    out = np.full((image.shape[0] + gap + len(rows) * (high + gap), image.shape[1], 3), 255, np.uint8)
    out[: image.shape[0]] = image
    for number, row in enumerate(rows):
        top = image.shape[0] + gap + number * (high + gap)
        for name, colour, left in row:
            block = np.array(
                [
                    [left + gap, top + 2],
                    [left + gap + high - 4, top + 2],
                    [left + gap + high - 4, top + high - 3],
                    [left + gap, top + high - 3],
                ]
            )
            out = area(out, [block], colour)
            out = words(out, name, (left + high + gap, top), letters, _INK)
    return out


def _beside(
    board: Any, image: Any, sample: Any, which: tuple[bool, bool], fields: tuple[str, str], threshold: float
) -> Picture:
    """The pictures that are asked for, side by side; without any the image alone."""
    under = picture(np.asarray(host(image)))
    drawn: list[Picture] = []
    for wanted, word, least in zip(which, fields, (0.0, threshold), strict=True):
        content = _field(sample, word, None)
        if wanted and content is not None:
            drawn.append(board._drawn(under, content, least))
    if len(drawn) == 2:
        return sheet(drawn, columns=2, gap_px=6)[6:-6, 6:-6]
    return drawn[0] if drawn else under


def _field(holder: Any, name: str, default: Any) -> Any:
    """A field of a structure or a mapping."""
    if holder is None:
        return default
    if isinstance(holder, Mapping):
        return cast("Mapping[str, Any]", holder).get(name, default)
    return getattr(holder, name, default)


def _classes(meta: Mapping[str, Any], labels: NDArray[Any]) -> tuple[list[str], list[Colour]]:
    """The name and the colour of each label."""
    expect(labels, np.ndarray, "labels are an array")
    known = cast("Sequence[Any]", meta.get("classes") or ())
    given = meta.get("palette")
    most = max([int(labels.max()) if labels.size else 0, len(known) - 1], default=0) + 1
    colours = palette(most)
    if given is not None and not isinstance(given, str):
        colours = (
            *(colour_of([int(part) for part in one]) for one in cast("Sequence[Any]", given)),
            *colours[len(given) :],
        )
    names = [str(known[label]) if 0 <= label < len(known) else str(label) for label in labels.tolist()]
    return names, [colours[label % len(colours)] for label in labels.tolist()]


def _masked(image: Picture, mask: NDArray[np.bool_], colour: Colour, alpha: float, scale: float) -> Picture:
    image = tinted(image, mask, colour, alpha)
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for edge in edges:
        image = stroke(image, edge[:, 0].astype(np.float64), colour, max(1.0, scale), closed=True)
    return image


def _tag(image: Picture, text: str, box: NDArray[Any], letters: Any, colour: Colour, ink: Any) -> Picture:
    """A filled tag on the upper edge of a box, inside the picture."""
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    shade = colour_of(ink) if ink is not None else _INK if bright > 150 else _WHITE
    high = words_size(text, letters)[1]
    x, y = float(box[0]) + 2, float(box[1]) - 2
    align = ("left", "bottom") if y - high - 2 >= 0 else ("left", "top")
    return words(
        image,
        text,
        (x, y if align[1] == "bottom" else float(box[1]) + 3),
        letters,
        shade,
        align,
        (colour, 0.85, 2),
        inside=True,
    )
