"""The codec of coordinates as classes along each axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fkit.array import peak
from fkit.array.ops import Numpy, Ops
from fkit.data.codec.codec import Codec, Floats, pair_of, points_of, seen_of
from fkit.data.codec.peak import blur_weights
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["SimCCLabel"]


@dataclass(frozen=True)
class SimCCLabel(Codec):
    """Two lines a keypoint, one along each axis; mmpose's SimCCLabel.

    Args:
        input_size: (width, height) of the model's input.
        smoothing_type: "gaussian": a Gaussian about the place; "standard": one bin, the others share the rest.
        sigma: of the Gaussian, in bins; or (across, down).
        simcc_split_ratio: bins to a pixel of the input.
        label_smooth_weight: what the other bins share, of "standard".
        normalize: Gaussians whose sum is 1, and not their height.
        use_dark: decode by derivatives.
        decode_visibility: decode the scores and a visibility.
        decode_beta: how sharp that visibility is.

    Gives ``keypoint_x_labels`` (N, K, Wx), ``keypoint_y_labels`` (N, K, Wy) float32 and ``keypoint_weights`` (N, K). Decodes
    the two: (N, K, W) or (K, W).

    Example:
        >>> codec = SimCCLabel(input_size=(8, 8), sigma=1.0)
        >>> encoded = codec.encode(np.array([[[4.0, 2.5]]]))
        >>> codec.decode(encoded["keypoint_x_labels"], encoded["keypoint_y_labels"])[0].tolist()
        [[[4.0, 2.5]]]
    """

    input_size: tuple[int, int]
    smoothing_type: str = "gaussian"
    sigma: float | Sequence[float] = 6.0
    simcc_split_ratio: float = 2.0
    label_smooth_weight: float = 0.0
    normalize: bool = True
    use_dark: bool = False
    decode_visibility: bool = False
    decode_beta: float = 150.0

    labels: ClassVar[Mapping[str, str]] = frozen(
        {name: name for name in ("keypoint_x_labels", "keypoint_y_labels", "keypoint_weights")}
    )
    decoded_from: ClassVar[tuple[str, ...]] = ("keypoint_x_labels", "keypoint_y_labels")

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "input_size", pair_of(self.input_size, "SimCCLabel: input_size"))
        several: Any = self.sigma if isinstance(self.sigma, (list, tuple)) else (self.sigma, self.sigma)
        for one in several:
            expect_number(one, "SimCCLabel: sigma")
        if len(several) != 2 or min(several) <= 0:
            raise FkitValueError(f"SimCCLabel: sigma = {self.sigma!r} is a positive number, or two.")
        object.__setattr__(self, "sigma", tuple(float(one) for one in several))
        if self.smoothing_type not in ("gaussian", "standard"):
            raise FkitValueError(
                f"SimCCLabel: smoothing_type = {self.smoothing_type!r} is unknown.",
                value=self.smoothing_type,
                choices=("gaussian", "standard"),
            )
        if not 0 <= self.label_smooth_weight <= 1:
            raise FkitValueError(f"SimCCLabel: label_smooth_weight = {self.label_smooth_weight!r} is not in [0, 1].")
        if self.smoothing_type == "gaussian" and self.label_smooth_weight > 0:
            raise FkitValueError('SimCCLabel: label_smooth_weight goes with smoothing_type="standard".')
        if self.simcc_split_ratio <= 0:
            raise FkitValueError(f"SimCCLabel: simcc_split_ratio = {self.simcc_split_ratio!r} is above 0.")

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        places = np.around(points_of(keypoints, self) * self.simcc_split_ratio).astype(np.int64)
        weights = seen_of(keypoints, keypoints_visible)
        bins = np.array([int(np.around(side * self.simcc_split_ratio)) for side in self.input_size])
        seen = weights >= 0.5
        reach = 3 * np.array(self.sigma) if self.smoothing_type == "gaussian" else np.array((0, 0))
        after = reach + 1 if self.smoothing_type == "gaussian" else reach
        outside = ((places[..., :2] - reach >= bins) | (places[..., :2] + after < 0)).any(axis=-1)
        weights[seen & outside] = 0
        seen &= ~outside
        line = self._gaussian if self.smoothing_type == "gaussian" else self._standard
        x, y = (line(places[..., axis], int(bins[axis]), axis) * seen[..., None] for axis in range(2))
        return frozen(
            {
                "keypoint_x_labels": x.astype(np.float32),
                "keypoint_y_labels": y.astype(np.float32),
                "keypoint_weights": weights,
            }
        )

    def _gaussian(self, places: Floats, bins: int, axis: int) -> Floats:
        assert isinstance(self.sigma, tuple)
        sigma = self.sigma[axis]
        line = np.exp(-((np.arange(bins) - places[..., None]) ** 2) / (2 * sigma**2))
        return line / (sigma * np.sqrt(2 * np.pi)) if self.normalize else line

    def _standard(self, places: Floats, bins: int, axis: int) -> Floats:
        here = np.arange(bins) == places[..., None]
        return np.where(here, 1 - self.label_smooth_weight, self.label_smooth_weight / max(bins - 1, 1))

    def decode(self, simcc_x: Floats, simcc_y: Floats) -> Any:
        """``(keypoints, scores)``; ``scores`` is ``(scores, visibility)`` with ``decode_visibility``."""
        assert isinstance(self.sigma, tuple)
        for line in (simcc_x, simcc_y):
            expect(line, np.ndarray, "SimCCLabel.decode takes two arrays (N, K, W) or (K, W)")
        whole = [line if line.ndim == 3 else line[None] for line in (simcc_x, simcc_y)]
        with np.errstate(divide="ignore", invalid="ignore"):
            points, scores = (part[:, 0] for part in self.decoded(Numpy(), *whole))
        if not self.decode_visibility:
            return points, scores
        return points, (scores, self.visibility(Numpy(), *whole)[:, 0])

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        assert isinstance(self.sigma, tuple)
        places, scores = peak.line_maximum(xp, *encoded)
        if self.use_dark:
            parts: list[Any] = []
            for axis, (line, sigma) in enumerate(zip(encoded, self.sigma, strict=True)):
                kernel = int((sigma * 20 - 7) // 3)
                kernel -= int(kernel % 2 == 0)
                parts.append(peak.refined_line(xp, places[..., axis], line, blur_weights(kernel)))
            places = xp.lib.stack(parts, axis=-1)
        return (places / self.simcc_split_ratio)[:, None], scores[:, None]

    def visibility(self, xp: Ops, *encoded: Any) -> Any:
        """(N, 1, K): how sure the lines (N, K, W) are of one place."""
        assert isinstance(self.sigma, tuple)
        sharp = [line * (self.decode_beta * sigma) for line, sigma in zip(encoded, self.sigma, strict=True)]
        return peak.line_maximum(xp, *sharp, softmax=True)[1][:, None]
