"""Codecs of pose lifting: from keypoints in an image to keypoints in space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from fkit.data.codec.codec import Codec, Floats, points_of, seen_of
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["ImagePoseLifting", "LiftingCodec", "MotionBERTLabel", "VideoPoseLifting"]


@dataclass(frozen=True)
class LiftingCodec(Codec):
    """What codecs of lifting share: targets about a root.

    Args:
        num_keypoints: K.
        root_index: the root: a keypoint, or the mean of several.
        remove_root: leave the root out of the targets (where it is one keypoint).
        save_index: say which it was: ``target_root_index``.
        reshape_keypoints: ``keypoint_labels`` as (K * D, N).
        concat_vis: the visibility as a further coordinate.
    """

    num_keypoints: int
    root_index: int | Sequence[int] = 0
    remove_root: bool = False
    save_index: bool = False
    reshape_keypoints: bool = True
    concat_vis: bool = False

    needs: ClassVar[tuple[str, ...]] = ("lifting_target", "lifting_target_visible")
    instances: ClassVar[Mapping[str, str]] = frozen(
        {"lifting_target": "lifting_target", "lifting_target_visible": "lifting_target_visible"}
    )
    labels: ClassVar[Mapping[str, str]] = frozen(
        {name: name for name in ("trajectory_weights", "lifting_target_label", "lifting_target_weight")}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        given: Any = self.root_index
        several = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        for one in several:
            expect_number(one, f"{type(self).__name__}: root_index", whole=True)
            if not 0 <= one < self.num_keypoints:
                raise FkitValueError(
                    f"{type(self).__name__}: root_index = {one!r}, and there are {self.num_keypoints} keypoints."
                )
        object.__setattr__(self, "root_index", several)

    @property
    def roots(self) -> list[int]:
        """The keypoints whose mean is the root."""
        return list(cast("tuple[int, ...]", self.root_index))

    @property
    def removed(self) -> bool:
        """Whether the root is left out."""
        return self.remove_root and len(self.roots) == 1

    def _target(self, target: Any, visible: Any) -> tuple[Floats, Floats, Floats, Floats]:
        """The targets, their weights, the weights of their trajectories, and where the root is."""
        who = type(self).__name__
        if not isinstance(target, np.ndarray):
            raise FkitKeyError(f"{who} needs 'lifting_target', an array (T, K, 3), in the sample.")
        array = cast("Floats", target)
        if array.ndim < 2 or array.shape[-2] <= max(self.roots):
            raise FkitValueError(f"{who}: lifting_target has the shape {array.shape}; it is (..., K, 3).")
        if visible is None:
            weights = np.ones(array.shape[:-1], np.float32)
            trajectory = 1 / array[..., 2]
        else:
            weights = trajectory = (np.asarray(visible) > 0.5).astype(np.float32)
        return array, weights, trajectory, array[..., self.roots, :].mean(axis=-2)

    def _without_root(self, label: Floats, weights: Floats) -> tuple[Floats, Floats, dict[str, Any]]:
        if not self.removed:
            return label, weights, {}
        root = self.roots[0]
        told: dict[str, Any] = {"target_root_removed": True}
        if self.save_index:
            told["target_root_index"] = root
        axis = -2 if weights.ndim == label.ndim else -1
        return np.delete(label, root, axis=-2), np.delete(weights, root, axis=axis), told

    def _shaped(self, labels: Floats, visible: Floats) -> Floats:
        if labels.ndim == 2:
            labels = labels[None]
        if self.concat_vis:
            seen = visible[..., None] if visible.ndim == 2 else visible
            labels = np.concatenate((labels, seen), axis=2)
        if self.reshape_keypoints:
            return labels.transpose(1, 2, 0).reshape(-1, len(labels))
        return labels

    def decode(self, encoded: Floats, target_root: Floats | None = None) -> tuple[Floats, Floats]:
        expect(encoded, np.ndarray, f"{type(self).__name__}.decode takes an array (N, K, 3)")
        points = encoded.copy()
        if target_root is not None and target_root.size > 0:
            points = points + target_root
            if self.removed:
                points = np.insert(points, self.roots, target_root, axis=1)
        return points, np.ones(points.shape[:-1], np.float32)


@dataclass(frozen=True)
class VideoPoseLifting(LiftingCodec):
    """Keypoints in parts of half the image's width about its centre, targets about their root; mmpose's VideoPoseLifting.

    Args:
        num_keypoints, root_index, remove_root, save_index, reshape_keypoints, concat_vis: as of `LiftingCodec`.
        zero_center: targets about their root.
        normalize_camera: the camera in those parts too: ``camera_param``.

    Takes ``camera_param`` with "w" and "h" (and "f" and "c"). Gives ``keypoint_labels``, ``keypoints_visible``,
    ``lifting_target_label``, ``lifting_target_weight``, ``trajectory_weights``, and ``target_root``.

    Example:
        >>> codec = VideoPoseLifting(num_keypoints=2, reshape_keypoints=False)
        >>> target, camera = np.array([[[1.0, 1, 2], [2, 3, 4]]]), {"w": 4, "h": 2}
        >>> done = codec.encode(np.array([[[4.0, 1.0], [2.0, 1.0]]]), None, target, None, camera)
        >>> done["keypoint_labels"].tolist(), done["lifting_target_label"].tolist()
        ([[[1.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]])
    """

    zero_center: bool = True
    normalize_camera: bool = False

    needs: ClassVar[tuple[str, ...]] = ("lifting_target", "lifting_target_visible", "camera_param")

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        lifting_target: Floats | None = None,
        lifting_target_visible: Floats | None = None,
        camera_param: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        points = points_of(keypoints, self)
        visible = seen_of(points, keypoints_visible)
        label, weights, trajectory, root = self._target(lifting_target, lifting_target_visible)
        told: dict[str, Any] = {}
        if self.zero_center:
            label = label - root[..., None, :]
            label, weights, told = self._without_root(label, weights)
            told["target_root"] = root
        camera = _camera(camera_param, self, ("w", "h", *(("f", "c") if self.normalize_camera else ())))
        centre = np.array((0.5 * camera["w"], 0.5 * camera["h"]), np.float32)
        half = np.float32(0.5 * camera["w"])
        if self.normalize_camera:
            focus, middle = np.asarray(camera["f"]) / half, (np.asarray(camera["c"]) - centre[:, None]) / half
            told["camera_param"] = frozen({**camera, "f": focus, "c": middle})
        return frozen(
            {
                **told,
                "keypoint_labels": self._shaped((points - centre) / half, visible),
                "keypoints_visible": visible,
                "lifting_target_label": label,
                "lifting_target_weight": weights,
                "trajectory_weights": trajectory,
            }
        )


@dataclass(frozen=True)
class ImagePoseLifting(LiftingCodec):
    """Keypoints and targets about their means, in their deviations; mmpose's ImagePoseLifting.

    Args:
        num_keypoints, root_index, remove_root, save_index, reshape_keypoints, concat_vis: as of `LiftingCodec`.
        keypoints_mean, keypoints_std: (K, 2) of keypoints.
        target_mean, target_std: (K, 3) of targets about their root; of K - 1 with ``remove_root``.
        additional_encode_keys: further keys of the sample; of no effect.

    Gives ``keypoint_labels``, ``keypoint_labels_visible``, ``lifting_target_label``, ``lifting_target_weight``,
    ``trajectory_weights``, ``target_root``, and the means and deviations. Decodes (N, K, 3).

    Example:
        >>> codec = ImagePoseLifting(num_keypoints=1, keypoints_mean=[[1.0, 1.0]], keypoints_std=[[2.0, 2.0]])
        >>> codec.encode(np.array([[[3.0, 1.0]]]), None, np.ones((1, 1, 3)))["keypoint_labels"].ravel().tolist()
        [1.0, 0.0]
    """

    keypoints_mean: Any = None
    keypoints_std: Any = None
    target_mean: Any = None
    target_std: Any = None
    additional_encode_keys: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for stem, count in (
            ("keypoints", self.num_keypoints),
            ("target", self.num_keypoints - int(self.removed)),
        ):
            mean, std = getattr(self, f"{stem}_mean"), getattr(self, f"{stem}_std")
            if (mean is None) != (std is None):
                raise FkitValueError(f"ImagePoseLifting: {stem}_mean and {stem}_std are given together.")
            for word, value in (("mean", mean), ("std", std)):
                if value is not None:
                    object.__setattr__(self, f"{stem}_{word}", _table(value, count, f"{stem}_{word}"))

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        lifting_target: Floats | None = None,
        lifting_target_visible: Floats | None = None,
    ) -> Mapping[str, Any]:
        points = points_of(keypoints, self)
        visible = seen_of(points, keypoints_visible)
        label, weights, trajectory, root = self._target(lifting_target, lifting_target_visible)
        root = root.astype(np.float32)
        label, weights, told = self._without_root(label - root[None], weights)
        labels = points
        if self.keypoints_mean is not None:
            mean, std = (np.array(one, np.float32)[None] for one in (self.keypoints_mean, self.keypoints_std))
            labels = (points - mean) / std
            told |= {"keypoints_mean": mean, "keypoints_std": std}
        if self.target_mean is not None:
            mean, std = self._of_target()
            label = (label - mean) / std
            told |= {"target_mean": mean, "target_std": std}
        return frozen(
            {
                **told,
                "keypoint_labels": self._shaped(labels, visible),
                "keypoint_labels_visible": visible,
                "lifting_target_label": label,
                "lifting_target_weight": weights,
                "trajectory_weights": trajectory,
                "target_root": root,
            }
        )

    def _of_target(self) -> tuple[Floats, Floats]:
        mean, std = (np.array(one, np.float32)[None] for one in (self.target_mean, self.target_std))
        return mean, std

    def decode(self, encoded: Floats, target_root: Floats | None = None) -> tuple[Floats, Floats]:
        expect(encoded, np.ndarray, "ImagePoseLifting.decode takes an array (N, K, 3)")
        if self.target_mean is not None:
            mean, std = self._of_target()
            encoded = encoded * std + mean
        return super().decode(encoded, target_root)


@dataclass(frozen=True)
class MotionBERTLabel(Codec):
    """Keypoints in [-1, 1] across the image, targets in the image about their root; mmpose's MotionBERTLabel.

    Args:
        num_keypoints: K.
        root_index: the root.
        remove_root, save_index: of no effect.
        concat_vis: the visibility as a further coordinate.
        rootrel: decode with the root at 0.
        mode: "train": targets in the keypoints' unit; "test": in millimetres.

    Takes ``camera_param`` with "w" and "h" (and "f" and "c": targets are then projected), ``factor`` (T,). Gives
    ``keypoint_labels``, ``keypoint_labels_visible``, ``lifting_target_label``, ``lifting_target_weight``, ``lifting_target``,
    ``lifting_target_visible``, ``factor``. Decodes (N, K, 3), of images ``w``, ``h`` and ``factor`` (N,), to metres about the root.

    Example:
        >>> codec = MotionBERTLabel(num_keypoints=1)
        >>> codec.encode(np.array([[[4.0, 1.0]]]), None, np.ones((1, 1, 3)), None, {"w": 4, "h": 2})["keypoint_labels"].tolist()
        [[[1.0, 0.0]]]
    """

    num_keypoints: int
    root_index: int = 0
    remove_root: bool = False
    save_index: bool = False
    concat_vis: bool = False
    rootrel: bool = False
    mode: str = "test"

    needs: ClassVar[tuple[str, ...]] = ("lifting_target", "lifting_target_visible", "camera_param", "factor")
    instances: ClassVar[Mapping[str, str]] = LiftingCodec.instances
    labels: ClassVar[Mapping[str, str]] = LiftingCodec.labels

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "mode", self.mode.lower())
        if self.mode not in ("train", "test"):
            raise FkitValueError(
                f"MotionBERTLabel: mode = {self.mode!r} is unknown.", value=self.mode, choices=("train", "test")
            )

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        lifting_target: Floats | None = None,
        lifting_target_visible: Floats | None = None,
        camera_param: Mapping[str, Any] | None = None,
        factor: Floats | None = None,
    ) -> Mapping[str, Any]:
        points = points_of(keypoints, self).copy()
        visible = seen_of(points, keypoints_visible)
        expect(lifting_target, np.ndarray, "MotionBERTLabel: lifting_target is an array (T, K, 3)")
        label = np.array(lifting_target)
        if lifting_target_visible is None:
            target_visible = weights = np.ones(label.shape[:-1], np.float32)
        else:
            target_visible, weights = lifting_target_visible, (lifting_target_visible > 0.5).astype(np.float32)
        camera = _camera(camera_param, self, ("w", "h"))
        width, height = float(camera["w"]), float(camera["h"])
        points[..., :2] = points[..., :2] / width * 2 - np.array((1, height / width))
        mine = np.full(len(points), 4, np.float32)
        if "f" in camera and "c" in camera:
            label, mine = _projected(label, self.root_index, camera)
        if self.mode == "train":
            wide, high = width / 1000, height / 1000
            label[..., :2] = label[..., :2] / wide * 2 - np.array((1, high / wide))
            label[..., 2] = label[..., 2] / wide * 2
        label = label - label[..., self.root_index : self.root_index + 1, :]
        factors = np.asarray(mine if factor is None or factor[0] == 0 else factor)
        factors = factors[:, None] if factors.ndim == 1 else factors
        if self.mode == "test":
            label = label * factors[..., None]
        if self.concat_vis:
            points = np.concatenate((points, visible[..., None] if visible.ndim == 2 else visible), axis=2)
        return frozen(
            {
                "keypoint_labels": points,
                "keypoint_labels_visible": visible,
                "lifting_target_label": label,
                "lifting_target_weight": weights,
                "lifting_target": label,
                "lifting_target_visible": target_visible,
                "factor": factors,
            }
        )

    def decode(
        self, encoded: Floats, w: Floats | None = None, h: Floats | None = None, factor: Floats | None = None
    ) -> tuple[Floats, Floats]:
        expect(encoded, np.ndarray, "MotionBERTLabel.decode takes an array (N, K, 3)")
        points = encoded.copy()
        if self.rootrel:
            points[..., 0, :] = 0
        if w is not None and h is not None and w.size > 0:
            wide, high = w.reshape(-1, 1, 1), h.reshape(-1, 1, 1)
            shift = np.concatenate((np.ones_like(wide, np.float64), high / wide), axis=-1)
            points[..., :2] = (points[..., :2] + shift) * wide / 2
            points[..., 2:] = points[..., 2:] * wide / 2
        if factor is not None and factor.size > 0:
            points *= factor[..., None]
        points = (points - points[..., self.root_index : self.root_index + 1, :]) / 1000
        return points, np.ones(points.shape[:-1], np.float32)


def _projected(target: Floats, root_index: int, camera: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Targets (T, K, 3) of a camera in its image, depths about the root's; and millimetres to a pixel, (T,)."""
    focus, middle = np.asarray(camera["f"]).ravel() / 1000, np.asarray(camera["c"]).ravel() / 1000
    root = target[..., root_index, :].reshape(-1, 3)
    width = 2.0  # of a square about the root, whose side in the image tells the scale
    side = width * focus[0] / root[:, 2] + 0.001
    done = np.empty_like(target)
    done[..., :2] = target[..., :2] / target[..., 2:] * focus + middle
    done[..., 2] = (side / width)[:, None] * (target[..., 2] - target[..., root_index : root_index + 1, 2])
    return done, (width / side).astype(done.dtype)


def _camera(camera: Mapping[str, Any] | None, who: Codec, names: Sequence[str]) -> Mapping[str, Any]:
    for name in names:
        if camera is None or name not in camera:
            raise FkitKeyError(
                f"{type(who).__name__} needs {name!r} of the sample's 'camera_param'.",
                value=name,
                choices=camera or (),
                label="It has",
            )
    return camera or {}


def _table(value: Any, count: int, what: str) -> tuple[tuple[float, ...], ...]:
    """(count, D) numbers as tuples."""
    try:
        array: Floats = np.array(value, np.float32).reshape(count, -1)
    except (TypeError, ValueError) as cause:
        raise FkitValueError(f"ImagePoseLifting: {what} is {count} rows of numbers.") from cause
    return tuple(tuple(row) for row in array.tolist())
