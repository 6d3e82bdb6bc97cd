"""Codecs of heatmaps: MSRA's, UDP's, Megvii's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from fkit.array import peak
from fkit.array.ops import Numpy, Ops
from fkit.data.codec.codec import Codec, Floats, pair_of, points_of, seen_of
from fkit.data.codec.gaussian import gaussian_maps, offset_maps
from fkit.data.codec.peak import blur_weights
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["HeatmapCodec", "MSRAHeatmap", "MegviiHeatmap", "UDPHeatmap"]


@dataclass(frozen=True)
class HeatmapCodec(Codec):
    """What codecs of heatmaps share: their sizes.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
    """

    input_size: tuple[int, int]
    heatmap_size: tuple[int, int]

    labels: ClassVar[Mapping[str, str]] = frozen({"keypoint_weights": "keypoint_weights"})
    fields: ClassVar[Mapping[str, str]] = frozen({"heatmaps": "heatmaps"})
    decoded_from: ClassVar[tuple[str, ...]] = ("heatmaps",)

    def __post_init__(self) -> None:
        check_fields(self)
        for word in ("input_size", "heatmap_size"):
            object.__setattr__(self, word, pair_of(getattr(self, word), f"{type(self).__name__}: {word}"))
        sigma: Any = getattr(self, "sigma", None)
        if isinstance(sigma, (int, float)) and not sigma > 0:
            raise FkitValueError(f"{type(self).__name__}: sigma = {sigma!r}, and a Gaussian's is above 0.")

    @property
    def factor(self) -> Floats:
        """(2,) pixels of the input to a pixel of the maps."""
        return (np.array(self.input_size) / self.heatmap_size).astype(np.float32)

    def _alone(self, encoded: Floats) -> tuple[Floats, Floats]:
        """Keypoints and scores of the maps of one sample."""
        with np.errstate(divide="ignore", invalid="ignore"):  # an empty map has no peak
            points, scores = self.decoded(Numpy(), self._maps(encoded)[None])
        return points[0], scores[0]

    def _maps(self, encoded: Floats) -> Floats:
        expect(encoded, np.ndarray, f"{type(self).__name__}.decode takes maps, an array (K, H, W)")
        if encoded.ndim != 3:
            raise FkitValueError(f"{type(self).__name__}.decode takes maps (K, H, W), not {encoded.shape}.")
        return encoded


@dataclass(frozen=True)
class MSRAHeatmap(HeatmapCodec):
    """A Gaussian map a keypoint; mmpose's MSRAHeatmap.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        sigma: of the Gaussian, in pixels of the maps.
        unbiased: centres between pixels, and decoding by derivatives (DARK).
        blur_kernel_size: of that decoding; odd. 11 goes with a sigma of 2, 17 with 3.

    Gives ``heatmaps`` (K, H, W) float32 and ``keypoint_weights`` (1, K). Decodes maps (K, H, W).

    Example:
        >>> codec = MSRAHeatmap(input_size=(16, 16), heatmap_size=(8, 8), sigma=1)
        >>> maps = codec.encode(np.array([[[8.0, 6.0]]]))["heatmaps"]
        >>> codec.decode(maps)[0].tolist()
        [[[8.0, 6.0]]]
    """

    sigma: float
    unbiased: bool = False
    blur_kernel_size: int = 11

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        points = points_of(keypoints, self, alone=True) / self.factor
        place = "exact" if self.unbiased else "pixel"
        maps, weights = gaussian_maps(
            self.heatmap_size, points, seen_of(keypoints, keypoints_visible), self.sigma, place
        )
        return frozen({"heatmaps": maps, "keypoint_weights": weights})

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        return self._alone(encoded)

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        (maps,) = encoded
        places, scores = peak.map_maximum(xp, maps)
        if self.unbiased:
            places = peak.refined_dark(xp, places, maps, blur_weights(self.blur_kernel_size))
        else:
            places = peak.refined(xp, places, maps)
        return (places * xp.asarray(self.factor, places))[:, None], scores[:, None]


@dataclass(frozen=True)
class UDPHeatmap(HeatmapCodec):
    """Maps whose pixels are points, not squares: the last column of the maps is the last of the input; mmpose's UDPHeatmap.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        heatmap_type: "gaussian": a map a keypoint; "combined": a disc and two offsets.
        sigma: of the Gaussian, in pixels of the maps.
        radius_factor: of the disc, in parts of the maps' longer side.
        blur_kernel_size: of decoding; odd.

    Gives ``heatmaps`` (K, H, W), combined (K * 3, H, W), float32, and ``keypoint_weights`` (1, K). Decodes such maps, the
    maps' last column to ``input_size`` (not one less: so it is in the reference); a keypoint whose map is 0 everywhere is at
    nan.

    Example:
        >>> codec = UDPHeatmap(input_size=(33, 33), heatmap_size=(17, 17), sigma=2.0)
        >>> codec.decode(codec.encode(np.array([[[16.0, 14.0]]]))["heatmaps"])[0].astype(float).round(1).tolist()
        [[[16.5, 14.4]]]
    """

    heatmap_type: str = "gaussian"
    sigma: float = 2.0
    radius_factor: float = 0.0546875
    blur_kernel_size: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heatmap_type not in ("gaussian", "combined"):
            raise FkitValueError(
                f"UDPHeatmap: heatmap_type = {self.heatmap_type!r} is unknown.",
                value=self.heatmap_type,
                choices=("gaussian", "combined"),
            )
        if min(*self.input_size, *self.heatmap_size) < 2:
            raise FkitValueError("UDPHeatmap: the sides of input_size and heatmap_size are 2 pixels or more.")

    @property
    def factor(self) -> Floats:
        """(2,) pixels of the input to a pixel of the maps."""
        return ((np.array(self.input_size) - 1) / (np.array(self.heatmap_size) - 1)).astype(np.float32)

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        points = points_of(keypoints, self, alone=True) / self.factor
        visible = seen_of(keypoints, keypoints_visible)
        if self.heatmap_type == "gaussian":
            maps, weights = gaussian_maps(self.heatmap_size, points, visible, self.sigma, "near")
        else:
            maps, weights = offset_maps(self.heatmap_size, points, visible, self.radius_factor)
        return frozen({"heatmaps": maps, "keypoint_weights": weights})

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        return self._alone(encoded)

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        (maps,) = encoded
        if self.heatmap_type == "gaussian":
            places, scores = peak.map_maximum(xp, maps)
            places = peak.refined_dark_udp(xp, places, maps, blur_weights(self.blur_kernel_size))
        else:
            places, scores = self._combined(xp, maps)
        last = np.array(self.heatmap_size) - 1
        scale = [xp.asarray(np.array(one), places) for one in (last, self.input_size)]
        return (places / scale[0] * scale[1])[:, None], scores[:, None]

    def _combined(self, xp: Ops, maps: Any) -> tuple[Any, Any]:
        height, width = maps.shape[-2:]
        discs = peak.softened(xp, maps[:, ::3], blur_weights(2 * self.blur_kernel_size + 1))
        places, scores = peak.map_maximum(xp, discs)
        radius = self.radius_factor * max(width, height)
        x, y = (xp.cast(places[..., axis], "int64") for axis in (0, 1))
        count = discs.shape[1] * height * width
        # of a map without a peak, whose place is -1, they are those of the map before it: so it is in the reference
        index = (x + y * width + xp.arange(discs.shape[1]) * height * width) % count
        flat = [maps[:, axis::3].reshape(len(maps), count) for axis in (1, 2)]
        offsets = [xp.take_along(one, index, 1) * radius for one in flat]
        return places + xp.lib.stack(offsets, axis=-1), scores


@dataclass(frozen=True)
class MegviiHeatmap(HeatmapCodec):
    """A blurred pixel a keypoint, 255 high; mmpose's MegviiHeatmap.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        kernel_size: of the blur, in pixels of the maps; odd.

    Gives ``heatmaps`` (K, H, W) float32 and ``keypoint_weights`` (1, K). Decodes maps (K, H, W).

    Example:
        >>> codec = MegviiHeatmap(input_size=(16, 16), heatmap_size=(8, 8), kernel_size=3)
        >>> codec.encode(np.array([[[8.0, 6.0]]]))["heatmaps"][0, 3, 4].item()
        255.0
    """

    kernel_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 != 1 or self.kernel_size < 3:
            raise FkitValueError(f"MegviiHeatmap: kernel_size = {self.kernel_size!r} is odd, and 3 or more.")

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        pixels = (points_of(keypoints, self, alone=True) / self.factor).astype(np.int64)[0]
        weights = seen_of(keypoints, keypoints_visible)
        width, height = self.heatmap_size
        maps = np.zeros((len(pixels), height, width), np.float32)
        for k, (x, y) in enumerate(pixels.tolist()):
            if weights[0, k] < 0.5:
                continue
            if not (0 <= x < width and 0 <= y < height):
                weights[0, k] = 0
                continue
            maps[k, y, x] = 1
            maps[k] = cv2.GaussianBlur(maps[k], (self.kernel_size,) * 2, 0)
            maps[k] *= 255 / maps[k, y, x]
        return frozen({"heatmaps": maps, "keypoint_weights": weights})

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        return self._alone(encoded)

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        maps = peak.blurred(xp, encoded[0], blur_weights(self.kernel_size))
        places, scores = peak.map_maximum(xp, maps)
        height, width = maps.shape[-2:]
        x, y = places[..., 0], places[..., 1]
        inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
        moved = peak.refined(xp, places, maps) + 0.5
        places = xp.lib.where(inside[..., None], moved, places)
        return (places * xp.asarray(self.factor, places))[:, None], scores[:, None] / 255 + 0.5
