"""From an image with several persons to the input of a bottom-up model: MMPose's Bottomup transforms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.codec.codec import Floats, pair_of
from fkit.data.transform.draw import needed
from fkit.data.transform.flip import flipped
from fkit.data.transform.pose.box import chances_of
from fkit.data.transform.pose.matrix import moved, perspective_matrix, truncated_normal, udp_matrix, warp_matrix
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.resize import imresize
from fkit.structures.coco import coco_mask
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["BottomupGetHeatmapMask", "BottomupRandomAffine", "BottomupResize", "Whirl", "clip_box", "unseen_outside"]

_MODES = ("affine", "affine_udp", "perspective")


class Whirl(NamedTuple):
    """What `BottomupRandomAffine` does to one image.

    Attributes:
        shift: (2,) across and down, in parts of the sides.
        factor: of the size.
        degrees: that the image is turned by.
        shear: (2,) degrees across and down; of "perspective".
    """

    shift: Sequence[float] | Floats
    factor: float
    degrees: float
    shear: Sequence[float] | Floats = (0.0, 0.0)


@dataclass(frozen=True)
class BottomupRandomAffine(Transform):
    """The image shifted, scaled and turned onto the model's input; mmpose's BottomupRandomAffine.

    Args:
        input_size: (width, height) of the input.
        shift_factor, shift_prob: the largest shift either way, in parts of the sides; and its probability.
        scale_factor, scale_prob: (smallest, largest) factor; and its probability.
        scale_type: which side decides: "short" or "long".
        rotate_factor, rotate_prob: the largest turn either way, in degrees; and its probability.
        shear_factor, shear_prob: the largest shear, in degrees; and its probability. Of "perspective" alone.
        use_udp: of no effect: see ``transform_mode``.
        pad_val: what comes in from outside; one number, or one a channel.
        border: of no effect.
        distribution: "trunc_norm" or "uniform" amounts.
        transform_mode: "affine"; "affine_udp": pixels are points; "perspective": the input is a window on the image.
        bbox_keep_corner: ``bbox`` becomes its four corners (N, 4, 2), and not the box about them.
        clip_border: clip boxes to the input; keypoints outside are not seen.

    Params: a `Whirl`. Changes ``img``, ``keypoints``, ``keypoints_visible``, ``bbox``, ``area``; sets ``input_size``, ``warp_mat``.

    Example:
        >>> affine = BottomupRandomAffine(input_size=(4, 4))
        >>> sample = {"img": np.zeros((8, 8, 3), np.uint8), "img_shape": (8, 8), "keypoints": np.full((1, 1, 2), 4.0)}
        >>> affine.apply(sample, Whirl((0, 0), 1.0, 0.0))["keypoints"].round(3).tolist()
        [[[2.0, 2.0]]]
    """

    input_size: tuple[int, int]
    shift_factor: float = 0.2
    shift_prob: float = 1.0
    scale_factor: tuple[float, float] = (0.75, 1.5)
    scale_prob: float = 1.0
    scale_type: str = "short"
    rotate_factor: float = 30.0
    rotate_prob: float = 1.0
    shear_factor: float = 2.0
    shear_prob: float = 1.0
    use_udp: bool = False
    pad_val: float | Sequence[float] = 0
    border: tuple[int, int] = (0, 0)
    distribution: str = "trunc_norm"
    transform_mode: str = "affine"
    bbox_keep_corner: bool = True
    clip_border: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "input_size", pair_of(self.input_size, "BottomupRandomAffine: input_size"))
        object.__setattr__(self, "pad_val", _filling(self.pad_val, "BottomupRandomAffine: pad_val"))
        chances_of(self, "shift_prob", "scale_prob", "rotate_prob", "shear_prob")
        for word, choices in (
            ("scale_type", ("short", "long")),
            ("distribution", ("trunc_norm", "uniform")),
            ("transform_mode", _MODES),
        ):
            value = getattr(self, word)
            if value not in choices:
                raise FkitValueError(
                    f"BottomupRandomAffine: {word} = {value!r} is unknown.", value=value, choices=choices
                )
        if len(self.scale_factor) != 2:
            raise FkitValueError(f"BottomupRandomAffine: scale_factor = {self.scale_factor!r} is (smallest, largest).")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Whirl:
        source = needed(rng, self)
        uniform = self.distribution == "uniform"
        amounts = 2 * source.random(6) - 1 if uniform else truncated_normal(source, (6,))
        shift, scale, turn, shear = (source.random(4) < self._chances).tolist()
        low, high = self.scale_factor
        return Whirl(
            amounts[:2] * self.shift_factor if shift else np.zeros(2),
            float(low + (high - low) * (amounts[2] + 1) / 2) if scale else 1.0,
            float(amounts[3] * self.rotate_factor) if turn else 0.0,
            amounts[4:] * self.shear_factor if shear and self.transform_mode == "perspective" else np.zeros(2),
        )

    @property
    def _chances(self) -> tuple[float, ...]:
        return self.shift_prob, self.scale_prob, self.rotate_prob, self.shear_prob

    def matrix(self, height: int, width: int, params: Whirl) -> NDArray[Any]:
        """(2, 3), or (3, 3) of "perspective", from an image of ``height`` x ``width`` to the input."""
        if self.transform_mode == "perspective":
            sides = np.array(self.input_size)
            shift = np.asarray(params.shift) * sides
            return perspective_matrix(sides / 2, shift, float(params.factor), float(params.degrees), params.shear)
        sides = np.array((width, height))
        shift = np.asarray(params.shift) * sides
        scale = self._fitted(sides * float(params.factor))
        if self.transform_mode == "affine_udp":
            return udp_matrix((sides - 1) / 2 + shift, scale, params.degrees, self.input_size)
        return warp_matrix(sides / 2 + shift, scale, params.degrees, self.input_size)

    def _fitted(self, scale: Floats) -> Floats:
        """The sides with the input's ratio, by the one that decides."""
        ratio = self.input_size[0] / self.input_size[1]
        wide, high = float(scale[0]), float(scale[1])
        by_height = (wide > high * ratio) == (self.scale_type == "short")
        return np.array((high * ratio, high) if by_height else (wide, wide / ratio))

    def apply(self, sample: Sample, params: Whirl) -> Sample:
        img: NDArray[Any] = sample["img"]
        height, width = sample.get("img_shape", img.shape)[:2]
        matrix = self.matrix(height, width, params)
        warp: Any = cv2.warpPerspective if len(matrix) == 3 else cv2.warpAffine
        done = warp(img, matrix, self.input_size, flags=cv2.INTER_LINEAR, borderValue=self.pad_val)
        changes: dict[str, Any] = {"img": done.reshape(*done.shape[:2], *img.shape[2:])}
        if "keypoints" in sample:
            changes["keypoints"] = moved(sample["keypoints"], matrix)
            if self.clip_border:
                seen = unseen_outside(changes["keypoints"], sample["keypoints_visible"], self.input_size)
                changes["keypoints_visible"] = seen
        if "bbox" in sample:
            box: Floats = sample["bbox"]
            corners = moved(box[:, (0, 1, 0, 3, 2, 1, 2, 3)].reshape(-1, 4, 2), matrix)
            if not self.bbox_keep_corner:
                corners = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
            changes["bbox"] = clip_box(corners, self.input_size) if self.clip_border else corners
        if "area" in sample:
            whole = matrix if len(matrix) == 3 else np.concatenate((matrix, [[0, 0, 1]]))
            changes["area"] = sample["area"] * float(np.linalg.det(whole))
        return replaced(sample, input_size=self.input_size, warp_mat=matrix, **changes)


@dataclass(frozen=True)
class BottomupResize(Transform):
    """The whole image on the model's input, its ratio kept; mmpose's BottomupResize.

    Args:
        input_size: (width, height) of the input.
        aug_scales: further factors of it; ``img`` is then a list, the first of ``input_size``.
        size_factor: sides of the input are multiples of this.
        resize_mode: "fit": the image is inside of ``input_size``; "expand": its shorter side is of ``input_size``.
        pad_val: what is beside the image; one number, or one a channel.
        use_udp: pixels are points, not squares.

    Takes ``img`` and ``ori_shape``. Sets ``img``, ``img_shape``, ``input_center``, ``input_scale``, ``input_size``, and
    ``aug_scale`` None or ``aug_scales``. Annotations stay as they are.

    Example:
        >>> BottomupResize(input_size=(64, 32))({"img": np.zeros((8, 8, 3), np.uint8), "ori_shape": (8, 8)})["img"].shape
        (32, 64, 3)
    """

    input_size: tuple[int, int]
    aug_scales: Sequence[float] | None = None
    size_factor: int = 32
    resize_mode: str = "fit"
    pad_val: float | Sequence[float] = (0, 0, 0)
    use_udp: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "input_size", pair_of(self.input_size, "BottomupResize: input_size"))
        object.__setattr__(self, "pad_val", _filling(self.pad_val, "BottomupResize: pad_val"))
        if self.resize_mode not in ("fit", "expand"):
            raise FkitValueError(
                f"BottomupResize: resize_mode = {self.resize_mode!r} is unknown.",
                value=self.resize_mode,
                choices=("fit", "expand"),
            )
        if self.size_factor < 1:
            raise FkitValueError(f"BottomupResize: size_factor = {self.size_factor!r} is 1 or more.")
        if self.aug_scales is not None:
            expect(self.aug_scales, (list, tuple), "BottomupResize: aug_scales is a list of factors")
            for one in self.aug_scales:
                expect_number(one, "BottomupResize: aug_scales")
            object.__setattr__(self, "aug_scales", tuple(self.aug_scales))
        for size in self._sizes if self.resize_mode == "fit" else ():
            if self._multiple(size) != size:
                raise FkitValueError(
                    f"BottomupResize: an input of {size[0]} x {size[1]} is no multiple of size_factor = {self.size_factor}.",
                    repair='Take one that is, or resize_mode="expand".',
                )

    @property
    def _sizes(self) -> tuple[tuple[int, int], ...]:
        width, height = self.input_size
        return self.input_size, *((int(width * one), int(height * one)) for one in self.aug_scales or ())

    def _multiple(self, size: Sequence[float]) -> tuple[int, int]:
        width, height = (math.ceil(side / self.size_factor) * self.size_factor for side in size)
        return width, height

    def apply(self, sample: Sample, params: Any) -> Sample:
        img: NDArray[Any] = sample["img"]
        height, width = sample["ori_shape"][:2]
        sides = np.array((width, height), np.float32)
        pictures: list[NDArray[Any]] = []
        first: dict[str, Any] = {}
        for size in self._sizes:
            whole = self._multiple(size)
            choose = min if self.resize_mode == "fit" else max
            inner = (choose(whole[0], whole[1] * width / height), choose(whole[1], whole[0] / (width / height)))
            if self.resize_mode == "expand":
                whole = self._multiple(inner)
            if self.use_udp:
                centre, scale = (sides - 1) / 2, sides
                matrix: NDArray[Any] = udp_matrix(centre, scale, 0, inner)
            else:
                centre, scale = sides / 2, (sides * whole / inner).astype(np.float32)
                matrix = warp_matrix(centre, scale, 0, whole)
            fill: Any = self.pad_val
            done = cv2.warpAffine(img, matrix, whole, flags=cv2.INTER_LINEAR, borderValue=fill)
            pictures.append(done.reshape(whole[1], whole[0], *img.shape[2:]))
            if not first:
                first = {"img_shape": whole[::-1], "input_center": centre, "input_scale": scale, "input_size": whole}
        if self.aug_scales:
            return replaced(sample, img=pictures, aug_scales=list(self.aug_scales), **first)
        return replaced(sample, img=pictures[0], aug_scale=None, **first)


@dataclass(frozen=True)
class BottomupGetHeatmapMask(Transform):
    """Where maps count: not on persons without keypoints; mmpose's BottomupGetHeatmapMask.

    Args:
        get_invalid: mark where they do not count.

    Takes ``img_shape``, ``input_size``, ``invalid_segs`` (polygons or run lengths, of COCO), ``warp_mat``, ``flip``,
    ``flip_direction`` and ``heatmaps`` where they are there. Sets ``heatmap_mask`` (H, W) bool, of the maps' size; a list of
    them where ``heatmaps`` is one. Segments need pycocotools.

    Example:
        >>> BottomupGetHeatmapMask()({"img_shape": (2, 2), "input_size": (2, 2), "heatmaps": np.zeros((1, 1, 1))})["heatmap_mask"].tolist()
        [[True]]
    """

    get_invalid: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        mask = _drawn(sample.get("invalid_segs", ()), sample["img_shape"][:2])
        if not self.get_invalid:
            mask = 1 - mask
        if "warp_mat" in sample:
            matrix: NDArray[Any] = sample["warp_mat"]
            mask = mask.astype(np.float32)
            warp: Any = cv2.warpPerspective if len(matrix) == 3 else cv2.warpAffine
            mask = warp(mask, matrix, tuple(sample["input_size"]), flags=cv2.INTER_LINEAR)
        if sample.get("flip") and sample.get("flip_direction") is not None:
            mask = flipped(mask, sample["flip_direction"])
        maps: Any = sample.get("heatmaps")
        several = isinstance(maps, (list, tuple))
        sizes = [np.shape(one)[1:3] for one in (maps if several else (maps,))] if maps is not None else [mask.shape]
        masks = [imresize(mask, (width, height), interpolation="bilinear") > 0.5 for height, width in sizes]
        return replaced(sample, heatmap_mask=masks if several else masks[0])


def _drawn(segments: Any, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Where any of the segments is, (H, W)."""
    runs: list[Any] = []
    for one in segments or ():
        if isinstance(one, (list, tuple)):
            given = [list(cast("Sequence[float]", part)) for part in cast("Sequence[Any]", one)]
            runs.extend(coco_mask().frPyObjects(given, *shape))
    if not runs:
        return np.zeros(shape, np.uint8)
    return np.asarray(coco_mask().decode(coco_mask().merge(runs)), np.uint8)


def clip_box(box: Floats, size: tuple[int, int]) -> Floats:
    """Boxes (..., 4) or points (..., 2) clipped to an image of ``size`` (width, height).

    Example:
        >>> clip_box(np.array([[-1.0, 0, 9, 2]]), (5, 5)).tolist()
        [[0.0, 0.0, 5.0, 2.0]]
    """
    expect(box, np.ndarray, "`box` is an array (..., 4) or (..., 2)")
    done = box.copy()
    for axis in range(2):
        done[..., axis::2] = box[..., axis::2].clip(0, size[axis])
    return done


def unseen_outside(keypoints: Floats, visible: Floats, size: tuple[int, int]) -> Floats:
    """The visibility (N, K) or (N, K, 2), 0 for keypoints outside of an image of ``size`` (width, height).

    Example:
        >>> unseen_outside(np.array([[[9.0, 1.0], [1.0, 1.0]]]), np.ones((1, 2)), (5, 5)).tolist()
        [[0.0, 1.0]]
    """
    for value, name in ((keypoints, "keypoints"), (visible, "visible")):
        expect(value, np.ndarray, f"`{name}` is an array")
    outside = np.logical_or((keypoints[..., :2] < 0).any(axis=-1), (keypoints[..., :2] > size).any(axis=-1))
    done = visible.copy()
    (done if done.ndim == 2 else done[..., 0])[outside] = 0
    return done


def _filling(value: Any, what: str) -> tuple[float, ...]:
    several = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else (value,) * 3
    for one in several:
        expect_number(one, what)
    return tuple(float(one) for one in several)
