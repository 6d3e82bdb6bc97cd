"""The codec of two hands in space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fkit.data.codec.codec import Codec, Floats, pair_of, points_of, seen_of
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Hand3DHeatmap"]


@dataclass(frozen=True)
class Hand3DHeatmap(Codec):
    """A Gaussian in a block of pixels a keypoint, the root's depth, and which hands there are; mmpose's Hand3DHeatmap.

    Args:
        image_size: (width, height) of the model's input.
        root_heatmap_size: steps of the root's depth, decoding.
        heatmap_size: (width, height, depth) of the blocks.
        heatmap3d_depth_bound: depth of a block, in millimetres.
        heatmap_size_root: steps of the root's depth, encoding.
        root_depth_bound: range of the root's depth, in millimetres.
        depth_size: steps of the keypoints' depth, decoding.
        use_different_joint_weights: multiply the weights by the dataset's.
        sigma: of the Gaussian, in pixels of the blocks.
        joint_indices: which keypoints; None: all.
        max_bound: the Gaussian's height.

    Gives ``heatmaps`` (K * D, H, W), ``keypoint_weights`` (N, K), ``root_depth`` (1,), ``root_depth_weight`` (1,), ``type``,
    ``type_weight``. Decodes blocks (K, D, H, W), ``root_depth`` and ``hand_type`` to ``(keypoints, scores, root depth, hands)``.

    Example:
        >>> codec = Hand3DHeatmap(image_size=(8, 8), heatmap_size=(4, 4, 4), sigma=0.5)
        >>> done = codec.encode(np.array([[[4.0, 4.0, 0.0]]]), rel_root_depth=0.0, rel_root_valid=1.0)
        >>> int(done["heatmaps"].argmax()), done["root_depth"].tolist()
        (42, [32.0])
    """

    image_size: Sequence[int] = (256, 256)
    root_heatmap_size: int = 64
    heatmap_size: Sequence[int] = (64, 64, 64)
    heatmap3d_depth_bound: float = 400.0
    heatmap_size_root: int = 64
    root_depth_bound: float = 400.0
    depth_size: int = 64
    use_different_joint_weights: bool = False
    sigma: float = 2
    joint_indices: Sequence[int] | None = None
    max_bound: float = 1.0

    needs: ClassVar[tuple[str, ...]] = (
        "dataset_keypoint_weights", "rel_root_depth", "rel_root_valid", "hand_type", "hand_type_valid", "focal",
        "principal_pt",
    )  # fmt: skip
    instances: ClassVar[Mapping[str, str]] = frozen(
        {name: name for name in ("keypoints", "keypoints_visible", "keypoints_cam")}
    )
    labels: ClassVar[Mapping[str, str]] = frozen(
        {name: name for name in ("keypoint_weights", "root_depth_weight", "type_weight", "root_depth", "type")}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "image_size", pair_of(self.image_size, "Hand3DHeatmap: image_size"))
        expect(self.heatmap_size, (list, tuple), "Hand3DHeatmap: heatmap_size is (width, height, depth)")
        for one in self.heatmap_size:
            expect_number(one, "Hand3DHeatmap: heatmap_size", whole=True)
        if len(self.heatmap_size) != 3:
            raise FkitValueError(f"Hand3DHeatmap: heatmap_size = {self.heatmap_size!r} is (width, height, depth).")
        object.__setattr__(self, "heatmap_size", tuple(self.heatmap_size))
        if self.joint_indices is not None:
            expect(self.joint_indices, (list, tuple), "Hand3DHeatmap: joint_indices is a list of places")
            for one in self.joint_indices:
                expect_number(one, "Hand3DHeatmap: joint_indices", whole=True)
            object.__setattr__(self, "joint_indices", tuple(self.joint_indices))

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        dataset_keypoint_weights: Floats | None = None,
        rel_root_depth: Any = 0.0,
        rel_root_valid: Any = 0.0,
        hand_type: Any = None,
        hand_type_valid: Any = None,
        focal: Any = None,
        principal_pt: Any = None,
    ) -> Mapping[str, Any]:
        points = points_of(keypoints, self)
        visible = seen_of(points, keypoints_visible)
        if self.joint_indices is not None:
            points, visible = self._chosen(points), self._chosen(visible)
        width, height, depth = self.heatmap_size
        scale = np.array((width / self.image_size[0], height / self.image_size[1], depth / self.heatmap3d_depth_bound))
        centres = points * scale + (0, 0, 0.5 * depth)
        inside = (centres[..., 2] >= 0) & (centres[..., 2] < depth)
        weights = visible * inside
        if self.use_different_joint_weights:
            weights = weights * self._factors(dataset_keypoint_weights, weights.shape)
        root = (rel_root_depth / self.root_depth_bound + 0.5) * self.heatmap_size_root
        valid = rel_root_valid * (root >= 0) * (root <= self.heatmap_size_root)
        return frozen(
            {
                "heatmaps": self._blocks(centres),
                "keypoint_weights": weights,
                "root_depth": root * np.ones(1, np.float32),
                "root_depth_weight": valid * np.ones(1, np.float32),
                "type": hand_type,
                "type_weight": hand_type_valid,
            }
        )

    def _chosen(self, rows: Floats) -> Floats:
        """Those of (N, K, ...) that ``joint_indices`` says."""
        count, chosen = rows.shape[1], list(self.joint_indices or ())
        outside = [one for one in chosen if not -count <= one < count]
        if outside:
            raise FkitValueError(f"Hand3DHeatmap: joint_indices has {outside[0]}, and there are {count} keypoints.")
        return rows[:, chosen]

    def _factors(self, weights: Any, shape: tuple[int, ...]) -> Floats:
        """The dataset's weights, which go with (N, K) keypoints."""
        if weights is None:
            raise FkitValueError("Hand3DHeatmap: use_different_joint_weights needs 'dataset_keypoint_weights'.")
        factors = np.asarray(weights)
        sides = zip(reversed(factors.shape), reversed(shape), strict=False)
        if factors.ndim > 2 or any(one not in (1, side) for one, side in sides):
            of = "" if self.joint_indices is None else ", those of joint_indices"
            raise FkitValueError(
                f"Hand3DHeatmap: dataset_keypoint_weights has the shape {factors.shape}, and there are {shape[1]} keypoints{of}.",
                repair=f"Give a number for each of these: ({shape[1]},).",
            )
        return factors

    def _blocks(self, centres: Floats) -> Floats:
        """A Gaussian at each of (N, K, 3) centres, in pixels about it: (K * D, H, W)."""
        width, height, depth = self.heatmap_size
        count = centres.shape[1]
        blocks = np.zeros((count, depth, height, width), np.float32)
        radius = self.sigma * 3
        steps = np.arange(2 * radius + 1, dtype=np.float32) - radius
        for person in centres:
            for k, centre in enumerate(person):
                around = [
                    (steps + one).round().clip(0, side - 1)
                    for one, side in zip(centre, (width, height, depth), strict=True)
                ]
                x, y, z = (
                    np.exp(-((one - middle) ** 2) / (2 * self.sigma**2))
                    for one, middle in zip(around, centre, strict=True)
                )
                shown = np.zeros((depth, height, width), np.float32)
                at = np.ix_(*(one.astype(np.int64) for one in reversed(around)))
                np.maximum.at(shown, at, z[:, None, None] * y[:, None] * x)
                np.maximum(blocks[k], shown, out=blocks[k])
        return (blocks * self.max_bound).reshape(-1, height, width)

    def decode(self, heatmaps: Floats, root_depth: Floats, hand_type: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        expect(heatmaps, np.ndarray, "Hand3DHeatmap.decode takes blocks, an array (K, D, H, W)")
        if heatmaps.ndim != 4:
            raise FkitValueError(f"Hand3DHeatmap.decode takes blocks (K, D, H, W), not {heatmaps.shape}.")
        flat = heatmaps.reshape(len(heatmaps), -1)
        z, y, x = np.unravel_index(flat.argmax(axis=1), heatmaps.shape[1:])
        places, scores = np.stack((x, y, z), axis=-1).astype(np.float32), flat.max(axis=1)
        places[scores <= 0] = -1
        places[:, 2] = (places[:, 2] / self.depth_size - 0.5) * self.heatmap3d_depth_bound
        places[:, :2] *= np.array(self.image_size) / np.array(self.heatmap_size[:2])
        root = (np.asarray(root_depth) / self.root_heatmap_size - 0.5) * self.root_depth_bound
        return places[None], scores[None], root, (np.asarray(hand_type) > 0).reshape(1, -1).astype(np.int64)
