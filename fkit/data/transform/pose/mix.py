"""Several samples in one, of persons and keypoints: MMPose's Mosaic and YOLOXMixUp."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fkit.catalog.entry import Built
from fkit.data.codec.codec import Floats
from fkit.data.transform.compose import Compose, Earlier
from fkit.data.transform.distortion import limits
from fkit.data.transform.draw import another, between, needed
from fkit.data.transform.mixup import Mixture, MixUp, overlaid
from fkit.data.transform.mosaic import Tiles, canvas_of, fitted, lay, place_of, size_of
from fkit.data.transform.pose.bottomup import clip_box, unseen_outside
from fkit.data.transform.pose.box import chances_of
from fkit.data.transform.pose.flip import flip_box, flip_keypoints
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError

__all__ = ["PoseMix", "PoseMosaic", "YOLOXMixUp"]

_PEOPLE = ("bbox", "bbox_score", "category_id", "keypoints", "keypoints_visible", "area")

Steps = Annotated[Iterable[Any] | None, Built("transforms")]


@dataclass(frozen=True)
class PoseMix(Transform):
    """What MMPose's mixtures share: other samples are read from the dataset, and given to steps of their own.

    Args:
        img_scale: (width, height) that each image is fitted into, its ratio kept.
        pad_val: what fills the rest.
        pre_transform: steps that another sample is given to, such as LoadImage. None: the steps before this one.
        prob: of doing anything.
    """

    img_scale: Sequence[int] = (640, 640)
    pad_val: float = 114.0
    pre_transform: Steps = None
    prob: float = 1.0
    before: Compose | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = type(self).__name__.removeprefix("Pose")
        object.__setattr__(self, "img_scale", size_of(name, self.img_scale))
        expect_number(self.pad_val, f"{name}: pad_val")
        chances_of(self, "prob")
        steps = None if self.pre_transform is None else Compose(self.pre_transform)
        object.__setattr__(self, "pre_transform", None if steps is None else steps.steps)
        object.__setattr__(self, "before", steps)

    def another(self, rng: np.random.Generator, fetch: Fetch | None) -> Sample:
        """Another sample, drawn."""
        if self.before is None:
            return another(rng, fetch, self)
        base = fetch.base if isinstance(fetch, Earlier) else fetch
        while True:
            done = self.before(another(rng, base, self), rng, base)
            if done is not None:
                return done


@dataclass(frozen=True)
class PoseMosaic(PoseMix):
    """Four samples about a point: this one and three others; mmpose's Mosaic.

    Args:
        img_scale: (width, height) that each is fitted into; the mosaic is twice as wide and as high.
        center_range: where the four meet, in parts of ``img_scale``: from and to.
        pad_val, pre_transform, prob: as of `PoseMix`.

    Params: a `Tiles`, or None. Sets ``img``, ``img_shape``; ``bbox``, ``bbox_score``, ``category_id``, ``keypoints``,
    ``keypoints_visible`` and ``area`` are those of the four.

    Example:
        >>> tile = {"img": np.full((2, 2, 3), 7, np.uint8), "keypoints": np.ones((1, 1, 2)), "keypoints_visible": np.ones((1, 1))}
        >>> PoseMosaic(img_scale=(2, 2)).apply(tile, Tiles((tile,) * 3, (2, 2)))["keypoints"][:, 0].tolist()
        [[1.0, 1.0], [3.0, 1.0], [1.0, 3.0], [3.0, 3.0]]
    """

    center_range: Sequence[float] = (0.5, 1.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "center_range", limits("Mosaic", "center_range", self.center_range))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Tiles | None:
        source = needed(rng, self)
        if source.random() >= self.prob:
            return None
        others = tuple(self.another(source, fetch) for _ in range(3))
        x, y = (int(between(source, self.center_range) * side) for side in self.img_scale)
        return Tiles(others, (x, y))

    def apply(self, sample: Sample, params: Tiles | None) -> Sample:
        if params is None:
            return sample
        width, height = self.img_scale
        canvas = canvas_of(sample["img"], (2 * height, 2 * width), self.pad_val)
        parts: list[Sample] = []
        for place, part in enumerate((sample, *params.others)):
            picture, factor = fitted(part["img"], (width, height))
            right, down = place_of(picture, canvas, params.centre, place)
            lay(picture, canvas, right, down, place, params.centre)
            parts.append(_placed(part, factor, (right, down)))
        return replaced(sample, img=canvas, img_shape=canvas.shape[:2], **_together(parts, canvas.shape))


@dataclass(frozen=True)
class YOLOXMixUp(PoseMix):
    """The mean of two images, and the persons of both; mmpose's YOLOXMixUp.

    Args:
        img_scale: (width, height) that the other image is fitted into.
        ratio_range: (smallest, largest) factor of the other image.
        flip_ratio: the other image is mirrored with a probability of 1 less this: so it is in the reference.
        bbox_clip_border: of no effect: boxes are clipped.
        pad_val, pre_transform, prob: as of `PoseMix`.

    Params: a `Mixture`, or None. Sets ``img`` uint8, ``img_shape``; ``bbox``, ``bbox_score``, ``category_id``, ``keypoints``,
    ``keypoints_visible`` and ``area`` are those of both.

    Example:
        >>> one = {"img": np.full((2, 2, 3), 100, np.uint8), "keypoints": np.zeros((1, 1, 2)), "keypoints_visible": np.ones((1, 1))}
        >>> done = YOLOXMixUp(img_scale=(2, 2)).apply({**one, "img": np.zeros((2, 2, 3), np.uint8)}, Mixture(one, 1.0, False, (0, 0)))
        >>> done["img"][0, 0].tolist(), len(done["keypoints"])
        ([50, 50, 50], 2)
    """

    ratio_range: Sequence[float] = (0.5, 1.5)
    flip_ratio: float = 0.5
    bbox_clip_border: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "ratio_range", limits("YOLOXMixUp", "ratio_range", self.ratio_range))
        chances_of(self, "flip_ratio")
        expect(self.bbox_clip_border, bool, "YOLOXMixUp: bbox_clip_border is True or False")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Mixture | None:
        source = needed(rng, self)
        if source.random() >= self.prob:
            return None
        other = self.another(source, fetch)
        factor, flip = between(source, self.ratio_range), bool(source.random() > self.flip_ratio)
        if not len(other["keypoints"]):
            return None
        height, width = np.shape(sample["img"])[:2]
        down, right = (
            int(source.integers(max(0, int(side * factor) - mine) + 1))
            for side, mine in zip((self.img_scale[1], self.img_scale[0]), (height, width), strict=True)
        )
        return Mixture(other, factor, flip, (right, down))

    def apply(self, sample: Sample, params: Mixture | None) -> Sample:
        if params is None:
            return sample
        img: NDArray[Any] = sample["img"]
        sheet, scale = MixUp(self.img_scale, pad_val=self.pad_val).sheet(params)
        mixed = overlaid(img, sheet, params.offset, self.pad_val)
        other = _mirrored(_placed(params.other, scale, (0, 0)), sheet.shape, params.flip)
        other = _placed(other, 1.0, (-params.offset[0], -params.offset[1]))
        return replaced(sample, img=mixed, img_shape=mixed.shape[:2], **_together((sample, other), mixed.shape))


def _placed(part: Sample, factor: float, offset: tuple[int, int]) -> Sample:
    """A sample's persons scaled, then moved."""
    changes: dict[str, Any] = {}
    for key in ("bbox", "keypoints"):
        if key in part:
            points: Floats = part[key] * factor
            for axis in range(2):
                points[..., axis::2] += offset[axis]
            changes[key] = points
    if "area" in part:
        changes["area"] = part["area"] * factor**2
    return replaced(part, **changes)


def _mirrored(part: Sample, shape: Sequence[int], flip: bool) -> Sample:
    """A sample's persons within a sheet of ``shape``, and mirrored with it."""
    size = (shape[1], shape[0])
    changes: dict[str, Any] = {}
    if "bbox" in part:
        box = clip_box(part["bbox"], size)
        changes["bbox"] = flip_box(box, size, "horizontal") if flip else box
    points, seen = part["keypoints"], unseen_outside(part["keypoints"], part["keypoints_visible"], size)
    if flip:
        points, seen = flip_keypoints(points, seen, size, part["flip_indices"], "horizontal")
    return replaced(part, **changes, keypoints=points, keypoints_visible=seen)


def _together(parts: Sequence[Sample], shape: Sequence[int]) -> Mapping[str, Any]:
    """The persons of several samples in a picture of ``shape``."""
    size = (shape[1], shape[0])
    done: dict[str, Any] = {}
    for key in _PEOPLE:
        there = [part[key] for part in parts if key in part]
        if there and len(there) != len(parts):
            raise FkitKeyError(f"samples that are mixed do not all have {key!r}.", value=key)
        if there:
            done[key] = np.concatenate([np.atleast_1d(one) for one in there])
    if "bbox" in done:
        done["bbox"] = clip_box(done["bbox"], size)
    if "keypoints" in done:
        done["keypoints_visible"] = unseen_outside(done["keypoints"], done["keypoints_visible"], size)
    return done
