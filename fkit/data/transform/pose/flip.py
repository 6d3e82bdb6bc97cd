"""Flips of MMPose: keypoints at w - 1 - x, left and right change places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.codec.codec import Floats
from fkit.data.transform.draw import needed
from fkit.data.transform.flip import RandomFlip, flipped
from fkit.data.transform.pose.box import chances_of
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["HandRandomFlip", "PoseFlip", "RandomFlipAroundRoot", "flip_box", "flip_keypoints"]

_AXES = frozen({"horizontal": (0,), "vertical": (1,), "diagonal": (0, 1)})


@dataclass(frozen=True)
class PoseFlip(RandomFlip):
    """Flip the image, its boxes and keypoints with a probability; mmpose's RandomFlip.

    Args:
        prob: of a flip at all, shared evenly by the directions; or one a direction, their sum at most 1.
        direction: horizontal, vertical or diagonal; or several, of which one is drawn.

    Params: the direction, or None. Changes ``img``, ``img_mask``, ``bbox`` (N, 4) xyxy, ``bbox_center``, ``keypoints`` and
    ``keypoints_visible`` (by ``flip_indices``) where they are there; sets ``flip``, ``flip_direction``. Sides are those of
    ``input_size`` (read as height and width, as the reference does), else of ``img_shape``.

    Example:
        >>> sample = {"img": np.zeros((2, 5, 3), np.uint8), "img_shape": (2, 5), "keypoints": np.array([[[0.0, 1], [3, 1]]]), "flip_indices": [1, 0]}
        >>> PoseFlip().apply(sample, "horizontal")["keypoints"].tolist()
        [[[1.0, 1.0], [4.0, 1.0]]]
    """

    def apply(self, sample: Sample, params: str | None) -> Sample:
        if params is None:
            return replaced(sample, flip=False, flip_direction=None)
        height, width = sample.get("input_size", sample.get("img_shape", np.shape(sample["img"])[:2]))[:2]
        size = (width, height)
        changes: dict[str, Any] = {"img": _flipped(sample["img"], params)}
        if "img_mask" in sample:
            changes["img_mask"] = _flipped(sample["img_mask"], params)
        for key in ("bbox", "bbox_center"):
            if sample.get(key) is not None:
                changes[key] = flip_box(sample[key], size, params)
        if sample.get("keypoints") is not None:
            if "flip_indices" not in sample:
                raise FkitKeyError("the sample has keypoints and no 'flip_indices'.", choices=sample, label="It has")
            visible = sample.get("keypoints_visible")
            points, seen = flip_keypoints(sample["keypoints"], visible, size, sample["flip_indices"], params)
            changes["keypoints"] = points
            if visible is not None:
                changes["keypoints_visible"] = seen
        return replaced(sample, flip=True, flip_direction=params, **changes)


@dataclass(frozen=True)
class HandRandomFlip(PoseFlip):
    """`PoseFlip` horizontally, of hands: left and right hand change places; mmpose's HandRandomFlip.

    Args:
        prob: of a flip.

    Changes ``hand_type`` (..., 2) and ``rel_root_depth`` too.

    Example:
        >>> sample = {"img": np.zeros((2, 5, 3), np.uint8), "img_shape": (2, 5), "hand_type": np.array([[1, 0]]), "rel_root_depth": 2.0}
        >>> HandRandomFlip().apply(sample, "horizontal")["hand_type"].tolist()
        [[0, 1]]
    """

    def __init__(self, prob: float | Sequence[float] = 0.5) -> None:
        super().__init__(prob=prob, direction="horizontal")

    def apply(self, sample: Sample, params: str | None) -> Sample:
        done = super().apply(sample, params)
        if params is None:
            return done
        return replaced(done, hand_type=sample["hand_type"][..., [1, 0]], rel_root_depth=-sample["rel_root_depth"])


@dataclass(frozen=True)
class RandomFlipAroundRoot(Transform):
    """Flip keypoints about a line across the image and their targets about a root; mmpose's RandomFlipAroundRoot.

    Args:
        keypoints_flip_cfg: where the keypoints' axis stands: ``center_mode`` "static" at ``center_x`` (0.5), or "root", at the
            mean of the keypoints ``center_index``.
        target_flip_cfg: where the targets' does.
        flip_prob: of a flip.
        flip_camera: turn the camera's horizontal coefficients too.
        flip_label: flip ``keypoint_labels`` and ``lifting_target_label``, not ``keypoints`` and ``lifting_target``.

    Params: whether to flip.

    Example:
        >>> flip = RandomFlipAroundRoot({"center_x": 0.0}, {"center_mode": "root"})
        >>> sample = {"keypoints": np.array([[[1.0, 2], [3, 4]]]), "lifting_target": np.array([[[1.0, 0, 0], [3, 0, 0]]]), "flip_indices": [1, 0]}
        >>> done = flip.apply(sample, True)
        >>> done["keypoints"][0, :, 0].tolist(), done["lifting_target"][0, :, 0].tolist()
        ([-3.0, -1.0], [-1.0, 1.0])
    """

    keypoints_flip_cfg: Mapping[str, Any]
    target_flip_cfg: Mapping[str, Any]
    flip_prob: float = 0.5
    flip_camera: bool = False
    flip_label: bool = False

    def __post_init__(self) -> None:
        chances_of(self, "flip_prob")
        for word in ("keypoints_flip_cfg", "target_flip_cfg"):
            cfg = getattr(self, word)
            expect(cfg, Mapping, f"RandomFlipAroundRoot: {word} is a mapping")
            mode = cfg.get("center_mode", "static")
            if mode not in ("static", "root"):
                raise FkitValueError(
                    f"RandomFlipAroundRoot: {word}.center_mode = {mode!r} is unknown.",
                    value=mode,
                    choices=("static", "root"),
                )
            object.__setattr__(self, word, frozen(cfg))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> bool:
        return bool(needed(rng, self).random() <= self.flip_prob)

    def apply(self, sample: Sample, params: bool) -> Sample:
        if not params:
            return sample
        keys = ("keypoint_labels", "keypoint_labels_visible") if self.flip_label else ("keypoints", "keypoints_visible")
        targets = ("lifting_target_label" if self.flip_label else "lifting_target", "lifting_target_visible")
        changes: dict[str, Any] = {}
        for (name, seen_name), cfg in ((keys, self.keypoints_flip_cfg), (targets, self.target_flip_cfg)):
            points: Floats = sample[name]
            seen: Any = sample.get(seen_name)
            if seen is None:
                seen = np.ones(points.shape[:-1], np.float32)
            order = list(sample.get("flip_indices", range(points.shape[-2])))
            changes[name], changes[seen_name] = _about(points, seen, order, cfg)
        if self.flip_camera:
            changes["camera_param"] = _turned(sample)
        return replaced(sample, **changes)


def _about(points: Floats, seen: Floats, order: list[int], cfg: Mapping[str, Any]) -> tuple[Floats, Floats]:
    axis: Any = cfg.get("center_x", 0.5)
    if cfg.get("center_mode", "static") == "root":
        index = cfg.get("center_index", 0)
        axis = points[..., [index] if isinstance(index, int) else list(index), 0].mean(axis=-1)[..., None]
    done = points[..., order, :].copy()
    done[..., 0] = axis * 2 - done[..., 0]
    return done, seen[..., order] if seen.ndim < points.ndim else seen[..., order, :]


def _turned(sample: Sample) -> Mapping[str, Any]:
    camera: Any = sample.get("camera_param")
    if camera is None or "c" not in camera:
        raise FkitKeyError("flip_camera needs 'camera_param' with 'c' in the sample.", choices=sample, label="It has")
    changes: dict[str, Any] = {}
    for key in ("c", "p"):
        if key in camera:
            changes[key] = np.array(camera[key])
            changes[key][0] *= -1
    return frozen({**camera, **changes})


def flip_box(box: Floats, size: tuple[float, float], direction: str) -> Floats:
    """Boxes (..., 4) xyxy or points (..., 2) in a flipped image of ``size`` (width, height): x is at width - 1 - x.

    Example:
        >>> flip_box(np.array([[0.0, 0, 3, 1]]), (5, 2), "horizontal").tolist()
        [[1.0, 0.0, 4.0, 1.0]]
    """
    expect(box, np.ndarray, "`box` is an array (..., 4) or (..., 2)")
    done = box.copy()
    for axis in _axes(direction):
        done[..., axis::2] = size[axis] - box[..., axis::2][..., ::-1] - 1
    return done


def flip_keypoints(
    keypoints: Floats, visible: Any, size: tuple[float, float], flip_indices: Sequence[int], direction: str
) -> tuple[Floats, Any]:
    """Keypoints (N, K, D) in a flipped image; left and right change places, but where it is flipped both ways.

    Args:
        visible: (N, K) or (N, K, 2), or None.
        size: (width, height).
        flip_indices: K places, of each keypoint's partner.

    Example:
        >>> flip_keypoints(np.array([[[0.0, 1], [3, 1]]]), None, (5, 2), [1, 0], "horizontal")[0].tolist()
        [[[1.0, 1.0], [4.0, 1.0]]]
    """
    expect(keypoints, np.ndarray, "`keypoints` is an array (N, K, D)")
    expect(flip_indices, (list, tuple, np.ndarray), "`flip_indices` is a list of places")
    axes = _axes(direction)
    done = keypoints.copy()
    if len(axes) == 1:
        done = keypoints[..., list(flip_indices), :]
        visible = visible if visible is None else visible[:, list(flip_indices)]
    for axis in axes:
        done[..., axis] = size[axis] - 1 - done[..., axis]
    return done, visible


def _axes(direction: str) -> tuple[int, ...]:
    expect(direction, str, "`direction` is a word")
    if direction not in _AXES:
        raise FkitValueError(f"`direction` = {direction!r} is unknown.", value=direction, choices=_AXES)
    return _AXES[direction]


def _flipped(img: Any, direction: str) -> Any:
    if isinstance(img, (list, tuple)):  # the frames of a clip
        return [_flipped(one, direction) for one in img]
    return flipped(img, direction)
