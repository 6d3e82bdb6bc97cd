"""Visualizers of tasks, with OpenMMLab's names: what is known and what is predicted of an image, drawn on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host, is_array
from fkit.structures.pasted import THRESHOLD, bitmaps
from fkit.tree.error import FkitValueError
from fkit.visualize.canvas import Visualizer
from fkit.visualize.label import Tag, legend, readable, tagged
from fkit.visualize.sample import beside, classes_of, field_of
from fkit.visualize.shape import Colour, Picture, colour_of, palette, stroke, tinted

__all__ = ["DetLocalVisualizer", "Instances", "SegLocalVisualizer", "TrackLocalVisualizer"]

_TRACKS = 60  # colours of what is followed; then they come again
_HALO = 0.6  # how strong the seam is that parts a box from what is as dark or as bright as it
_NEAR = 45.0  # of 255: a line that is no farther from what is below it is lost there
_BRIGHT = (0.299, 0.587, 0.114)


class Instances(NamedTuple):
    """Objects of one image, as they are drawn.

    Attributes:
        bboxes: (N, 4) xyxy, pixels of the picture.
        labels: (N,) int.
        scores: (N,) from 0 to 1, or None.
        masks: (N, H, W) bool, or None.
        ids: (N,) int, of what is followed through a video, or None.
    """

    bboxes: NDArray[Any]
    labels: NDArray[Any]
    scores: NDArray[Any] | None = None
    masks: NDArray[np.bool_] | None = None
    ids: NDArray[Any] | None = None

    @classmethod
    def of(cls, fields: Any, size: tuple[int, int], threshold: float = 0.0) -> "Instances":
        """Of an InstanceData, or a mapping of its fields; ``mask_scores`` (N, h, w) inside of boxes are pasted.

        Args:
            size: (height, width) of the picture.
            threshold: the least score.
        """
        boxes: NDArray[Any] = np.asarray(host(field_of(fields, "bboxes", np.zeros((0, 4)))), np.float64).reshape(-1, 4)
        labels = np.asarray(host(field_of(fields, "labels", np.zeros(len(boxes), np.int64)))).astype(np.int64)
        scores, masks = field_of(fields, "scores", None), field_of(fields, "masks", None)
        scores = None if scores is None else np.asarray(host(scores), np.float64)
        if masks is not None:
            several = masks.to_ndarray() if hasattr(masks, "to_ndarray") else host(masks)
            masks = np.asarray(several).astype(bool).reshape(-1, *np.shape(several)[-2:])
            if masks.shape[1:] != size:
                raise FkitValueError(
                    f"masks of {masks.shape[1:]} on a picture of {size}: (height, width) are the same."
                )
        ids: Any = field_of(fields, "instances_id", field_of(fields, "instances_ids"))
        ids = None if ids is None else np.asarray(host(ids)).astype(np.int64)
        whole = cls(boxes, labels, scores, masks, ids)
        kept = slice(None) if scores is None or threshold <= 0 else scores >= threshold
        whole, inside = whole.kept(kept), field_of(fields, "mask_scores", None)
        if masks is not None or inside is None:
            return whole
        least = float(np.asarray(host(field_of(fields, THRESHOLD, 0.5))))
        return whole._replace(masks=bitmaps(np.asarray(host(inside))[kept], whole.bboxes, size, least))

    def kept(self, which: NDArray[Any] | slice) -> "Instances":
        """Those of a mask, (N,) bool, or of places, in their order."""
        more = (None if part is None else part[which] for part in self[2:])
        return Instances(self.bboxes[which], self.labels[which], *more)

    @property
    def by_size(self) -> list[int]:
        """Their places, the largest box first."""
        sides = self.bboxes[:, 2:] - self.bboxes[:, :2]
        return np.argsort(-np.nan_to_num(sides.prod(axis=1)), kind="stable").tolist()


@dataclass(frozen=True)
class DetLocalVisualizer(Visualizer):
    """Draws boxes and masks; mmdet's.

    Args:
        bbox_color, text_color, mask_color: None takes a class's own colour, of ``dataset_meta["palette"]`` where there is one.
        line_width: pixels; None grows with the picture.
        alpha: of masks.
        font_size: of tags, pixels; None grows with the picture.
        with_labels: whether objects have tags. One that would lie on another tag or hide another object is left out.

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
    font_size: float | None = None
    with_labels: bool = True

    fields: ClassVar[tuple[str, str]] = ("gt_instances", "pred_instances")

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
        return self.set_image(beside(self, image, data_sample, (draw_gt, draw_pred), self.fields, pred_score_thr))

    def draw_instances(self, instances: Instances) -> Self:
        """With these objects: masks first, then boxes, then a tag each; the largest object first, so that none is hidden."""
        image, scale = self._picture(), self.scale
        looks = self.looks(instances)
        masks, boxes = instances.masks, instances.bboxes
        order = instances.by_size
        if masks is not None:
            for place in order:
                colour = self._colour(self.mask_color, looks[place][1])
                image = _masked(image, masks[place], colour, self.alpha, max(1.0, scale))
        width = self.line_width or 2 * scale
        edges = [self._colour(self.bbox_color, colour) for _, colour in looks]
        lost = _lost(self._picture(), boxes, edges)
        for place in order:
            x1, y1, x2, y2 = boxes[place].tolist()
            corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            if edges[place] in lost:
                image = stroke(image, corners, readable(edges[place]), width + 2, alpha=_HALO, closed=True)
            image = stroke(image, corners, edges[place], width, closed=True)
        if not self.with_labels:
            return self._with(image)
        said = order if instances.scores is None else np.argsort(-instances.scores, kind="stable").tolist()
        tags = [Tag(looks[place][0], boxes[place], edges[place]) for place in said]
        return self._with(tagged(image, tags, self.font_size or self._letters(boxes), self.text_color))

    def looks(self, instances: Instances) -> list[tuple[str, Colour]]:
        """What is said of each object, and its colour."""
        names, colours = classes_of(self.dataset_meta, instances.labels)
        if instances.scores is not None:
            names = [f"{name} {100 * float(score):.0f}" for name, score in zip(names, instances.scores, strict=True)]
        return list(zip(names, colours, strict=True))

    def _letters(self, boxes: NDArray[Any]) -> float:
        """How large tags are: as the picture, and smaller where most objects are small."""
        sides = np.nan_to_num(np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 0)))
        return max(min(12 * self.scale, float(np.median(sides)) / 4 if len(sides) else np.inf), 9.0)

    def drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        """An image with the objects of a field of a sample."""
        board = self.set_image(image)
        return board.draw_instances(Instances.of(fields, image.shape[:2], threshold)).get_image()

    @staticmethod
    def _colour(chosen: Any, own: Colour) -> Colour:
        return own if chosen is None else colour_of(chosen)


@dataclass(frozen=True)
class TrackLocalVisualizer(DetLocalVisualizer):
    """Draws what is followed through a video, each object in a colour that it keeps; mmdet's.

    A sample's ``gt_instances`` and ``pred_track_instances`` have ``instances_id`` (N,) beside what `DetLocalVisualizer` draws.

    Example:
        >>> board = TrackLocalVisualizer(dataset_meta={"classes": ("cell",)})
        >>> known = {"bboxes": np.array([[4, 4, 60, 50]]), "labels": np.array([0]), "instances_id": np.array([7])}
        >>> board.looks(Instances.of(known, (64, 64)))[0][0]
        'cell #7'
    """

    fields: ClassVar[tuple[str, str]] = ("gt_instances", "pred_track_instances")

    def looks(self, instances: Instances) -> list[tuple[str, Colour]]:
        if instances.ids is None:
            return super().looks(instances)
        names, _ = classes_of(self.dataset_meta, instances.labels)
        colours, said = palette(_TRACKS), list[tuple[str, Colour]]()
        for place, (name, number) in enumerate(zip(names, instances.ids.tolist(), strict=True)):
            score = "" if instances.scores is None else f" {100 * float(instances.scores[place]):.0f}"
            said.append((f"{name} #{number}{score}", colours[number % _TRACKS]))
        return said


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
        out = beside(self, image, data_sample, (draw_gt, draw_pred), ("gt_sem_seg", "pred_sem_seg"), 0.0)
        if with_labels if with_labels is not None else self.with_labels:
            there = [self._map(field_of(data_sample, word, None)) for word in ("gt_sem_seg", "pred_sem_seg")]
            seen = sorted({int(label) for one in there if one is not None for label in np.unique(one)})
            names, colours = classes_of(
                self.dataset_meta, np.array([label for label in seen if label != 255], np.int64)
            )
            out = legend(out, list(zip(names, colours, strict=True)))
        return self.set_image(out)

    def drawn(self, image: Picture, fields: Any, threshold: float) -> Picture:
        """An image with the map of a field of a sample."""
        labels = self._map(fields)
        if labels is None or labels.shape != image.shape[:2]:
            raise FkitValueError(
                f"a map of {None if labels is None else labels.shape} on a picture of {image.shape[:2]}."
            )
        present = np.unique(labels)
        present = present[present != 255]
        _, colours = classes_of(self.dataset_meta, present)
        for label, colour in zip(present.tolist(), colours, strict=True):
            image = tinted(image, labels == label, colour, self.alpha)
        return image

    @staticmethod
    def _map(fields: Any) -> NDArray[np.int64] | None:
        if fields is None:
            return None
        if not is_array(fields):  # mmdet's name of it, or mmseg's
            held = field_of(fields, "sem_seg")
            fields = field_of(fields, "data", fields) if held is None else held
        labels: NDArray[Any] = np.asarray(host(fields))
        return labels.reshape(labels.shape[-2:]).astype(np.int64)


def _lost(image: Picture, boxes: NDArray[np.float64], colours: Sequence[Colour]) -> frozenset[Colour]:
    """The colours that are about as bright as most of what the boxes of that colour run over."""
    x1, y1, x2, y2 = np.nan_to_num(boxes).T
    x = np.stack((x1, (x1 + x2) / 2, x2, (x1 + x2) / 2)).clip(0, image.shape[1] - 1).astype(int)
    y = np.stack(((y1 + y2) / 2, y1, (y1 + y2) / 2, y2)).clip(0, image.shape[0] - 1).astype(int)
    bright = image[y, x] @ _BRIGHT
    lost: set[Colour] = set()
    for colour in set(colours):
        below = float(np.median(bright[:, [one == colour for one in colours]]))
        lost |= {colour} if abs(below - float(np.array(colour) @ _BRIGHT)) < _NEAR else set()
    return frozenset(lost)


def _masked(image: Picture, mask: NDArray[np.bool_], colour: Colour, alpha: float, width: float) -> Picture:
    image = tinted(image, mask, colour, alpha)
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for edge in edges:
        image = stroke(image, edge[:, 0].astype(np.float64), colour, width, closed=True)
    return image
