"""Four samples in one: the mosaic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import OBJECTS, clip_boxes, image_of, inside, kept, move_boxes, scale_boxes
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import another, between, needed
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import imresize
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = [
    "CachedMosaic",
    "Mosaic",
    "Tiles",
    "boxes_in",
    "canvas_of",
    "fitted",
    "joined",
    "lay",
    "no_maps",
    "place_of",
    "size_of",
]


class Tiles(NamedTuple):
    """What `Mosaic` decided.

    Attributes:
        others: the three other samples: top right, bottom left, bottom right.
        centre: (x, y) in pixels of the mosaic, where the four meet.
    """

    others: tuple[Sample, ...]
    centre: tuple[int, int]


@dataclass(frozen=True)
class Mosaic(Transform):
    """Four samples about a point: this one and three others; mmdet's Mosaic, of YOLOv4 and YOLOX.

    Args:
        img_scale: (width, height) that each is fitted into, its ratio kept; the mosaic is twice as wide and as high.
        center_ratio_range: where the four meet, in parts of ``img_scale``: from and to.
        bbox_clip_border: clip boxes to the mosaic.
        pad_val: what fills the rest.
        prob: of doing anything.

    Params: a `Tiles`, or None. Sets ``img``, ``img_shape``; ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` and
    ``gt_masks`` are those of the four, without objects whose box is outside. Other keys are this sample's.

    The others are drawn from the whole dataset, each as the steps before this one give it: in mmdet's MultiImageMixDataset
    as the inner dataset gives it.

    Example:
        >>> tile = {"img": np.full((2, 2, 3), 7, np.uint8), "gt_bboxes": np.array([[0.0, 0, 2, 2]])}
        >>> done = Mosaic(img_scale=(2, 2)).apply(tile, Tiles((tile,) * 3, (2, 2)))
        >>> done["img"].shape, done["gt_bboxes"].tolist()[1]
        ((4, 4, 3), [2.0, 0.0, 4.0, 2.0])
    """

    img_scale: Sequence[int] = (640, 640)
    center_ratio_range: Sequence[float] = (0.5, 1.5)
    bbox_clip_border: bool = True
    pad_val: float = 114.0
    prob: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "img_scale", size_of(name, self.img_scale))
        object.__setattr__(self, "center_ratio_range", limits(name, "center_ratio_range", self.center_ratio_range))
        expect(self.bbox_clip_border, bool, f"{name}: bbox_clip_border is True or False")
        for word in ("pad_val", "prob"):
            expect_number(getattr(self, word), f"{name}: {word}")
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"{name}: prob = {self.prob!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Tiles | None:
        source = needed(rng, self)
        if source.random() > self.prob:
            return None
        others = tuple(another(source, fetch, self) for _ in range(3))
        x, y = (int(between(source, self.center_ratio_range) * side) for side in self.img_scale)
        return Tiles(others, (x, y))

    def apply(self, sample: Sample, params: Tiles | None) -> Sample:
        if params is None:
            return sample
        no_maps(self, sample)
        width, height = self.img_scale
        canvas = canvas_of(image_of(sample), (2 * height, 2 * width), self.pad_val)
        parts: list[Sample] = []
        for place, part in enumerate((sample, *params.others)):
            picture, factor = fitted(image_of(part), (width, height))
            right, down = place_of(picture, canvas, params.centre, place)
            lay(picture, canvas, right, down, place, params.centre)
            parts.append(_moved(part, factor, right, down, canvas.shape[:2]))
        whole = joined(sample, parts)
        if "gt_bboxes" in whole:
            boxes: NDArray[Any] = whole["gt_bboxes"]
            if self.bbox_clip_border:
                boxes = clip_boxes(boxes, canvas.shape[:2])
            whole = replaced(whole, gt_bboxes=boxes)
            whole = replaced(whole, **kept(whole, inside(boxes, canvas.shape[:2])))
        return replaced(whole, img=canvas, img_shape=canvas.shape[:2])


@dataclass(frozen=True)
class CachedMosaic(Mosaic):
    """mmdet's CachedMosaic, of RTMDet: the other samples come from the whole dataset, in place of a cache of the last ones.

    A batch is then a function of its key alone, for any number of workers and after any resume; it costs the reading of
    three more samples, which the reference takes from memory.

    Args:
        img_scale, center_ratio_range, bbox_clip_border, pad_val, prob: as of `Mosaic`.
        max_cached_images: the reference's cache; of no effect here.
        random_pop: how the reference's cache forgets; of no effect here.

    Params: a `Tiles`, or None.
    """

    max_cached_images: int = 40
    random_pop: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cache(self, least=4)


def check_cache(of: Any, least: int) -> None:
    """Refuse a cache that the reference would refuse."""
    name = type(of).__name__
    expect_number(of.max_cached_images, f"{name}: max_cached_images", whole=True)
    expect(of.random_pop, bool, f"{name}: random_pop is True or False")
    if of.max_cached_images < least:
        raise FkitValueError(f"{name}: max_cached_images = {of.max_cached_images!r}: at least {least}.")


def no_maps(of: Any, sample: Sample) -> None:
    """Refuse a sample with a map of labels over its picture, which a mixture of objects would leave as it is."""
    if sample.get("gt_seg_map") is not None:
        raise FkitValueError(
            f"{type(of).__name__} mixes objects, and no gt_seg_map.",
            repair="Load the annotations with with_seg=False.",
        )


def size_of(name: str, size: Any) -> tuple[int, int]:
    """(width, height) of the argument ``img_scale``.

    Example:
        >>> size_of("Mosaic", [640, 480])
        (640, 480)
    """
    expect(size, (list, tuple), f"{name}: img_scale is (width, height)")
    for one in size:
        expect_number(one, f"{name}: img_scale", whole=True)
    if len(size) != 2 or min(size) < 1:
        raise FkitValueError(f"{name}: img_scale = {size!r} is no (width, height) in pixels.")
    return int(size[0]), int(size[1])


def canvas_of(img: NDArray[Any], shape: tuple[int, int], fill: float) -> NDArray[Any]:
    """A picture of ``shape`` (height, width), of the channels and the dtype of ``img``, filled.

    Example:
        >>> canvas_of(np.zeros((2, 2, 3), np.uint8), (1, 1), 114.0).tolist()
        [[[114, 114, 114]]]
    """
    expect(img, np.ndarray, "`img` is an array")
    return np.full((*shape, *img.shape[2:]), fill, img.dtype)


def fitted(img: NDArray[Any], size: tuple[int, int]) -> tuple[NDArray[Any], float]:
    """The picture fitted into ``size`` (width, height), its ratio kept; and the factor.

    Example:
        >>> picture, factor = fitted(np.zeros((4, 8, 3), np.uint8), (4, 4))
        >>> picture.shape, factor
        ((2, 4, 3), 0.5)
    """
    expect(img, np.ndarray, "`img` is an array")
    height, width = img.shape[:2]
    factor = min(size[1] / height, size[0] / width)
    new = (int(width * factor), int(height * factor))
    return imresize(img, new).reshape(new[1], new[0], *img.shape[2:]), factor


def place_of(picture: NDArray[Any], canvas: NDArray[Any], centre: tuple[int, int], place: int) -> tuple[int, int]:
    """(right, down) of the corner of a picture that meets others at ``centre``, in pixels of the canvas; may be outside.

    Args:
        place: 0 top left, 1 top right, 2 bottom left, 3 bottom right.

    Example:
        >>> place_of(np.zeros((2, 3)), np.zeros((8, 8)), (4, 4), 0)
        (1, 2)
    """
    expect(picture, np.ndarray, "`picture` is an array")
    height, width = picture.shape[:2]
    x, y = centre
    return (x if place % 2 else x - width), (y if place >= 2 else y - height)


def joined(sample: Sample, parts: Iterable[Sample]) -> Sample:
    """The sample with the objects of several, one after the other, for each key of objects that it has.

    Raises:
        FkitKeyError: one of the others lacks such a key.

    Example:
        >>> joined({"gt_bboxes_labels": np.array([1])}, [{"gt_bboxes_labels": np.array([1])}] * 2)["gt_bboxes_labels"]
        array([1, 1])
    """
    expect(parts, Iterable, "`parts` are samples")
    rows = tuple(parts)
    changes: dict[str, Any] = {}
    for key in OBJECTS:
        if sample.get(key) is None:
            continue
        values: list[Any] = [part.get(key) for part in rows]
        if any(value is None for value in values):
            raise FkitKeyError(f"samples that are mixed do not all have {key!r}.", value=key)
        changes[key] = np.concatenate(values) if isinstance(values[0], np.ndarray) else type(values[0]).cat(values)
    return replaced(sample, **changes)


def lay(
    picture: NDArray[Any], canvas: NDArray[Any], right: int, down: int, place: int, centre: tuple[int, int]
) -> None:
    """Put a picture on its quarter of the canvas, which is written to; what is outside is cut off.

    Example:
        >>> canvas = np.zeros((2, 2))
        >>> lay(np.ones((3, 3)), canvas, -2, -2, 0, (1, 1))
        >>> canvas.tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    expect(picture, np.ndarray, "`picture` is an array")
    expect(canvas, np.ndarray, "`canvas` is an array")
    height, width = canvas.shape[:2]
    x, y = (min(max(centre[0], 0), width), min(max(centre[1], 0), height))
    left, end = (x, width) if place % 2 else (0, x)
    top, bottom = (y, height) if place >= 2 else (0, y)
    x1, y1 = max(right, left), max(down, top)
    x2, y2 = min(right + picture.shape[1], end), min(down + picture.shape[0], bottom)
    if x1 < x2 and y1 < y2:
        canvas[y1:y2, x1:x2] = picture[y1 - down : y2 - down, x1 - right : x2 - right]


def _moved(part: Sample, factor: float, right: int, down: int, shape: tuple[int, ...]) -> Sample:
    """A sample's objects where the mosaic shows them."""
    changes: dict[str, Any] = {}
    if part.get("gt_bboxes") is not None:
        changes["gt_bboxes"] = boxes_in(part["gt_bboxes"], factor, right, down)
    if part.get("gt_masks") is not None:
        masks = part["gt_masks"].rescale(float(factor))
        masks = masks.translate(shape, right, "horizontal").translate(shape, down, "vertical")
        changes["gt_masks"] = masks
    if part.get("gt_keypoints") is not None:
        points: NDArray[Any] = part["gt_keypoints"].copy()
        points[..., :2] = points[..., :2] * factor + (right, down)
        changes["gt_keypoints"] = points
    return replaced(part, **changes)


def boxes_in(boxes: NDArray[Any], factor: float, right: int, down: int) -> NDArray[Any]:
    """Boxes (N, 4) scaled, then moved.

    Example:
        >>> boxes_in(np.array([[0.0, 0, 2, 2]]), 2, 1, 0).tolist()
        [[1.0, 0.0, 5.0, 4.0]]
    """
    expect(boxes, np.ndarray, "`boxes` is an array (N, 4)")
    return move_boxes(scale_boxes(boxes, (factor, factor)), right, down)
