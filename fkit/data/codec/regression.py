"""Codecs of coordinates themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fkit.array.ops import Numpy, Ops
from fkit.data.codec.codec import Codec, Floats, pair_of, points_of, seen_of
from fkit.data.codec.heatmap import MSRAHeatmap
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["IntegralRegressionLabel", "RegressionLabel"]


@dataclass(frozen=True)
class RegressionLabel(Codec):
    """Coordinates in parts of the input's sides; mmpose's RegressionLabel.

    Args:
        input_size: (width, height) of the model's input.

    Gives ``keypoint_labels`` (N, K, 2) float32 and ``keypoint_weights`` (N, K), 0 where a keypoint is outside. Decodes
    (N, K, 2), or (N, K, 4) with deviations, of which the scores are made.

    Example:
        >>> codec = RegressionLabel(input_size=(4, 2))
        >>> codec.decode(np.array([[[0.25, 0.5, 0.25, 0.75]]]))
        (array([[[1., 1.]]]), array([[0.5]]))
    """

    input_size: tuple[int, int]

    labels: ClassVar[Mapping[str, str]] = frozen(
        {"keypoint_labels": "keypoint_labels", "keypoint_weights": "keypoint_weights"}
    )
    decoded_from: ClassVar[tuple[str, ...]] = ("keypoint_labels",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_size", pair_of(self.input_size, f"{type(self).__name__}: input_size"))

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        points = points_of(keypoints, self)
        size = np.array(self.input_size)
        inside = ((points >= 0) & (points <= size - 1)).all(axis=-1)
        weights = inside & (seen_of(keypoints, keypoints_visible) > 0.5)
        labels = (points / size).astype(np.float32)
        return frozen({"keypoint_labels": labels, "keypoint_weights": weights.astype(np.float32)})

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        expect(encoded, np.ndarray, f"{type(self).__name__}.decode takes an array (N, K, 2) or (N, K, 4)")
        if encoded.ndim != 3 or encoded.shape[-1] not in (2, 4):
            raise FkitValueError(f"{type(self).__name__}.decode takes (N, K, 2) or (N, K, 4), not {encoded.shape}.")
        points, scores = self.decoded(Numpy(), encoded)
        return points[:, 0], scores[:, 0]

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        (numbers,) = encoded
        if numbers.shape[-1] == 4:
            scores = (1 - numbers[..., 2:]).mean(-1)
        else:
            scores = xp.full(numbers.shape[:-1], 1.0)
        points = numbers[..., :2] * xp.asarray(np.array(self.input_size), numbers)
        return points[:, None], scores[:, None]


@dataclass(frozen=True)
class IntegralRegressionLabel(Codec):
    """Coordinates, and heatmaps whose sum is 1; mmpose's IntegralRegressionLabel.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        sigma, unbiased, blur_kernel_size: as of `MSRAHeatmap`.
        normalize: maps whose sum is 1.

    Gives ``keypoint_labels`` (1, K, 2), ``heatmaps`` (K, H, W) and ``keypoint_weights`` (1, K). Decodes as `RegressionLabel`.

    Example:
        >>> codec = IntegralRegressionLabel(input_size=(8, 8), heatmap_size=(4, 4), sigma=0.5)
        >>> round(float(codec.encode(np.array([[[4.0, 2.0]]]))["heatmaps"].sum()), 3)
        1.0
    """

    input_size: tuple[int, int]
    heatmap_size: tuple[int, int]
    sigma: float
    unbiased: bool = False
    blur_kernel_size: int = 11
    normalize: bool = True

    labels: ClassVar[Mapping[str, str]] = RegressionLabel.labels
    fields: ClassVar[Mapping[str, str]] = MSRAHeatmap.fields
    decoded_from: ClassVar[tuple[str, ...]] = ("keypoint_labels",)

    def __post_init__(self) -> None:
        check_fields(self)
        for word in ("input_size", "heatmap_size"):
            object.__setattr__(self, word, pair_of(getattr(self, word), f"IntegralRegressionLabel: {word}"))

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        codec = MSRAHeatmap(self.input_size, self.heatmap_size, self.sigma, self.unbiased, self.blur_kernel_size)
        maps = codec.encode(keypoints, keypoints_visible)["heatmaps"]
        if self.normalize:
            maps = maps / (maps.sum(axis=(1, 2), keepdims=True) + 1e-24)
        labels = RegressionLabel(self.input_size).encode(keypoints, keypoints_visible)
        return frozen({"heatmaps": maps, **labels})

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        return RegressionLabel(self.input_size).decode(encoded)

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        return RegressionLabel(self.input_size).decoded(xp, *encoded)
