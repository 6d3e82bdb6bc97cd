"""From a person's box to the input of a top-down model: MMPose's transforms of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.codec.codec import Floats, pair_of
from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.pose.matrix import moved, truncated_normal, udp_matrix, warp_matrix
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = [
    "BoxChange",
    "GetBBoxCenterScale",
    "RandomBBoxTransform",
    "RandomHalfBody",
    "TopdownAffine",
    "WholeBox",
    "chances_of",
]


@dataclass(frozen=True)
class GetBBoxCenterScale(Transform):
    """The centre and the size of each box; mmpose's GetBBoxCenterScale.

    Args:
        padding: the size is that of the box times this. Where the sample has centre and size, the size is multiplied.

    Takes ``bbox`` (N, 4) xyxy; sets ``bbox_center`` (N, 2) and ``bbox_scale`` (N, 2) (width, height).

    Example:
        >>> GetBBoxCenterScale(padding=2.0)({"bbox": np.array([[0.0, 0, 4, 2]])})["bbox_scale"].tolist()
        [[8.0, 4.0]]
    """

    padding: float = 1.25

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "bbox_center" in sample and "bbox_scale" in sample:
            return replaced(sample, bbox_scale=sample["bbox_scale"] * self.padding)
        box: Floats = sample["bbox"]
        centre = (box[..., :2] + box[..., 2:]) * 0.5
        return replaced(sample, bbox_center=centre, bbox_scale=(box[..., 2:] - box[..., :2]) * self.padding)


@dataclass(frozen=True)
class WholeBox(Transform):
    """A picture of which no box is known, as one box: all of it.

    Sets ``bbox`` (1, 4) xyxy and ``bbox_score`` (1,) where the sample has no ``bbox``.

    Example:
        >>> WholeBox()({"img": np.zeros((4, 6, 3), np.uint8)})["bbox"].tolist()
        [[0.0, 0.0, 6.0, 4.0]]
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "bbox" in sample:
            return sample
        height, width = image_of(sample).shape[:2]
        return replaced(sample, bbox=np.array([[0, 0, width, height]], np.float32), bbox_score=np.ones(1, np.float32))


@dataclass(frozen=True)
class RandomHalfBody(Transform):
    """The box about the upper or the lower body alone, for some; mmpose's RandomHalfBody.

    Args:
        min_total_keypoints: a person with fewer that are seen stays whole.
        min_upper_keypoints, min_lower_keypoints: a half with fewer is not taken.
        padding: the box is that of the half's keypoints times this.
        prob: of halving a person.
        upper_prioritized_prob: of the upper half where both may be taken.

    Takes ``keypoints`` (N, K, 2), ``keypoints_visible``, ``upper_body_ids``, ``lower_body_ids``. Params: a list of keypoints a
    person, or None. Sets ``bbox_center``, ``bbox_scale``.

    Example:
        >>> sample = {"keypoints": np.array([[[0.0, 0], [4, 2], [9, 9]]]), "bbox_center": np.zeros((1, 2)), "bbox_scale": np.ones((1, 2))}
        >>> RandomHalfBody(padding=1.0).apply(sample, ([0, 1],))["bbox_scale"].tolist()
        [[4.0, 2.0]]
    """

    min_total_keypoints: int = 9
    min_upper_keypoints: int = 2
    min_lower_keypoints: int = 3
    padding: float = 1.5
    prob: float = 0.3
    upper_prioritized_prob: float = 0.7

    def __post_init__(self) -> None:
        check_fields(self)
        chances_of(self, "prob", "upper_prioritized_prob")

    def draw(
        self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None
    ) -> tuple[list[int] | None, ...]:
        source = needed(rng, self)
        visible: Floats = sample["keypoints_visible"]
        if visible.ndim == 3:
            visible = visible[..., 0]
        return tuple(
            self._half(seen, sample["upper_body_ids"], sample["lower_body_ids"], *source.random(2)) for seen in visible
        )

    def _half(
        self, seen: Floats, upper_ids: Sequence[int], lower_ids: Sequence[int], do: float, which: float
    ) -> list[int] | None:
        if seen.sum() < self.min_total_keypoints or do > self.prob:
            return None
        upper, lower = ([one for one in ids if seen[one] > 0] for ids in (upper_ids, lower_ids))
        may = (len(upper) >= self.min_upper_keypoints, len(lower) >= self.min_lower_keypoints)
        if may == (True, True):
            return upper if which < self.upper_prioritized_prob else lower
        return upper if may[0] else lower if may[1] else None

    def apply(self, sample: Sample, params: Sequence[Sequence[int] | None]) -> Sample:
        centres, scales = sample["bbox_center"].copy(), sample["bbox_scale"].copy()
        for person, half in enumerate(params):
            if half is not None:
                points = sample["keypoints"][person][list(half)][:, :2]
                centres[person] = points.mean(axis=0)
                scales[person] = (points.max(axis=0) - points.min(axis=0)) * self.padding
        return replaced(sample, bbox_center=centres, bbox_scale=scales)


class BoxChange(NamedTuple):
    """What `RandomBBoxTransform` does to N boxes.

    Attributes:
        shift: (N, 2) in parts of the box's sides.
        factor: (N, 1) of the size.
        degrees: (N,) that the box is turned by.
    """

    shift: Floats
    factor: Floats
    degrees: Floats


@dataclass(frozen=True)
class RandomBBoxTransform(Transform):
    """Boxes shifted, scaled and turned; mmpose's RandomBBoxTransform.

    Args:
        shift_factor: the largest shift either way, in parts of the box's sides.
        shift_prob: of a shift.
        scale_factor: (smallest, largest) factor of the size.
        scale_prob: of a factor.
        rotate_factor: the largest turn either way, in degrees.
        rotate_prob: of a turn.

    Amounts are normal, cut off at one deviation, which is the largest amount. Params: a `BoxChange`. Changes ``bbox_center``
    and ``bbox_scale``, sets ``bbox_rotation`` (N,).

    Example:
        >>> sample = {"bbox_center": np.zeros((1, 2)), "bbox_scale": np.array([[4.0, 2.0]])}
        >>> change = BoxChange(np.array([[0.5, 0.0]]), np.array([[2.0]]), np.array([30.0]))
        >>> RandomBBoxTransform().apply(sample, change)["bbox_center"].tolist()
        [[2.0, 0.0]]
    """

    shift_factor: float = 0.16
    shift_prob: float = 0.3
    scale_factor: tuple[float, float] = (0.5, 1.5)
    scale_prob: float = 1.0
    rotate_factor: float = 80.0
    rotate_prob: float = 0.6

    def __post_init__(self) -> None:
        check_fields(self)
        chances_of(self, "shift_prob", "scale_prob", "rotate_prob")
        if len(self.scale_factor) != 2:
            raise FkitValueError(f"RandomBBoxTransform: scale_factor = {self.scale_factor!r} is (smallest, largest).")
        object.__setattr__(self, "scale_factor", tuple(self.scale_factor))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> BoxChange:
        source = needed(rng, self)
        count = len(sample["bbox_scale"])
        amounts = truncated_normal(source, (count, 4))
        do = source.random((count, 3)) < (self.shift_prob, self.scale_prob, self.rotate_prob)
        low, high = self.scale_factor
        factor = amounts[:, 2:3] * ((high - low) * 0.5) + (high + low) * 0.5
        return BoxChange(
            np.where(do[:, :1], amounts[:, :2] * self.shift_factor, 0).astype(np.float32),
            np.where(do[:, 1:2], factor, 1).astype(np.float32),
            np.where(do[:, 2], amounts[:, 3] * self.rotate_factor, 0).astype(np.float32),
        )

    def apply(self, sample: Sample, params: BoxChange) -> Sample:
        scale = sample["bbox_scale"]
        return replaced(
            sample,
            bbox_center=sample["bbox_center"] + params.shift * scale,
            bbox_scale=scale * params.factor,
            bbox_rotation=params.degrees,
        )


@dataclass(frozen=True)
class TopdownAffine(Transform):
    """The person's box on the model's input; mmpose's TopdownAffine.

    Args:
        input_size: (width, height) of the input.
        use_udp: pixels are points, not squares.

    Takes one person: ``bbox_center`` (1, 2), ``bbox_scale`` (1, 2), ``bbox_rotation`` (1,) where it is there, ``keypoints``
    (1, K, 2 or more). Sets ``img``, ``transformed_keypoints``, ``input_size``, ``input_center``, ``input_scale``;
    ``bbox_scale`` gets the ratio of ``input_size``, by its longer side.

    Example:
        >>> box = {"bbox_center": np.array([[4.0, 4.0]]), "bbox_scale": np.array([[8.0, 4.0]])}
        >>> done = TopdownAffine(input_size=(4, 4))({"img": np.zeros((8, 8, 3), np.uint8), "keypoints": np.full((1, 1, 2), 4.0), **box})
        >>> done["img"].shape, done["bbox_scale"].tolist(), done["transformed_keypoints"].round(3).tolist()
        ((4, 4, 3), [[8.0, 8.0]], [[[2.0, 2.0]]])
    """

    input_size: tuple[int, int]
    use_udp: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "input_size", pair_of(self.input_size, "TopdownAffine: input_size"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        width, height = self.input_size
        if len(sample["bbox_center"]) != 1:
            raise FkitValueError(
                f"the sample has {len(sample['bbox_center'])} boxes, and a top-down model takes one person.",
                repair='Give the dataset data_mode="topdown".',
            )
        sides: Floats = sample["bbox_scale"]
        ratio = width / height
        wide, high = sides[:, :1], sides[:, 1:]
        wider = np.concatenate((wide, wide / ratio), axis=1)
        sides = np.where(wide > high * ratio, wider, np.concatenate((high * ratio, high), axis=1))
        centre, scale = sample["bbox_center"][0], sides[0]
        degrees = sample["bbox_rotation"][0] if "bbox_rotation" in sample else 0.0
        matrix: NDArray[Any] = (udp_matrix if self.use_udp else warp_matrix)(centre, scale, degrees, self.input_size)
        changes: dict[str, Any] = {}
        if sample.get("keypoints") is not None:
            points: Floats = np.array(sample.get("transformed_keypoints", sample["keypoints"]))
            points[..., :2] = moved(sample["keypoints"][..., :2], matrix)
            changes["transformed_keypoints"] = points
        else:
            changes["transformed_keypoints"] = np.zeros(())
            changes["keypoints_visible"] = np.ones((1, 1, 1))
        return replaced(
            sample,
            img=_warped(sample["img"], matrix, self.input_size),
            bbox_scale=sides,
            input_size=self.input_size,
            input_center=centre,
            input_scale=scale,
            **changes,
        )


def _warped(img: Any, matrix: NDArray[Any], size: tuple[int, int]) -> Any:
    if isinstance(img, (list, tuple)):  # the frames of a clip
        return [_warped(one, matrix, size) for one in img]
    expect(img, np.ndarray, "`img` is an array (H, W, C)")
    done = cv2.warpAffine(img, matrix, size, flags=cv2.INTER_LINEAR)
    return done.reshape(size[1], size[0], *img.shape[2:])  # cv2 drops a last axis of one


def chances_of(value: Any, *words: str) -> None:
    """Refuse fields that are no probability.

    Example:
        >>> chances_of(RandomHalfBody(), "prob")
    """
    for word in words:
        expect(word, str, "`words` are names of fields")
        chance: Any = getattr(value, word, None)
        expect_number(chance, f"{type(value).__name__}: {word}")
        if not 0 <= chance <= 1:
            raise FkitValueError(f"{type(value).__name__}: {word} = {chance!r} is not in [0, 1].")
