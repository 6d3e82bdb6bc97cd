"""Codecs of several persons in one map: SPR, DecoupledHeatmap, AssociativeEmbedding; and of hands in space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fkit.data.codec.codec import Floats, points_of, seen_of
from fkit.data.codec.gaussian import displacement_maps, gaussian_maps
from fkit.data.codec.heatmap import HeatmapCodec
from fkit.data.codec.peak import heatmap_maximum, refined
from fkit.data.transform.draw import needed
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["SPR", "AssociativeEmbedding", "DecoupledHeatmap", "Jitter", "boxes_about", "roots_of"]

_ROOTS = ("kpt_center", "bbox_center")


@dataclass(frozen=True)
class SPR(HeatmapCodec):
    """A map of roots, and the ways from about each root to its keypoints; mmpose's SPR, of DEKR.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        sigma: of the roots' Gaussian, in pixels of the maps; or (the roots', the keypoints'). None: by the maps' size.
        generate_keypoint_heatmaps: maps of the keypoints too, before that of the roots.
        root_type: "kpt_center": the mean of the keypoints seen; "bbox_center": the middle of the box about them.
        minimal_diagonal_length: persons with a shorter diagonal do not count.
        background_weight: of pixels where no Gaussian is.
        decode_nms_kernel, decode_max_instances, decode_thr: of decoding: side of the square that holds one root alone, most
            roots, least value of a root.

    Gives ``heatmaps`` and ``heatmap_weights`` (1, H, W) or (K + 1, H, W), ``displacements`` and ``displacement_weights``
    (K * 2, H, W). Decodes such ``heatmaps`` and ``displacements`` to (N, K, 2) and ``(root scores (N,), scores (N, K) or None)``.

    Example:
        >>> codec = SPR(input_size=(16, 16), heatmap_size=(8, 8), sigma=1, minimal_diagonal_length=0)
        >>> encoded = codec.encode(np.array([[[6.0, 8.0], [10.0, 8.0]]]))
        >>> codec.decode(encoded["heatmaps"], encoded["displacements"])[0].tolist()
        [[[6.0, 8.0], [10.0, 8.0]]]
    """

    sigma: float | Sequence[float] | None = None
    generate_keypoint_heatmaps: bool = False
    root_type: str = "kpt_center"
    minimal_diagonal_length: float = 5
    background_weight: float = 0.1
    decode_nms_kernel: int = 5
    decode_max_instances: int = 30
    decode_thr: float = 0.01

    labels: ClassVar[Mapping[str, str]] = frozen({})
    fields: ClassVar[Mapping[str, str]] = frozen(
        {name: name for name in ("heatmaps", "heatmap_weights", "displacements", "displacement_weights")}
    )
    decoded_from: ClassVar[tuple[str, ...]] = ("heatmaps", "displacements")

    def __post_init__(self) -> None:
        super().__post_init__()
        _known_root(self)
        given: Any = self.sigma
        if given is None:
            side = float((self.heatmap_size[0] * self.heatmap_size[1]) ** 0.5 / 32)
            given = (side, side // 2) if self.generate_keypoint_heatmaps else (side,)
        several = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        for one in several:
            expect_number(one, "SPR: sigma")
        if self.generate_keypoint_heatmaps and len(several) != 2:
            raise FkitValueError(f"SPR: sigma = {self.sigma!r}: (the roots', the keypoints') with keypoint heatmaps.")
        object.__setattr__(self, "sigma", several)

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        assert isinstance(self.sigma, tuple)
        points = points_of(keypoints, self) / self.factor
        visible = seen_of(keypoints, keypoints_visible)
        roots, shown = roots_of(points, visible, self.root_type)
        boxes = boxes_about(points, visible)
        lengths = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) ** 2).sum(axis=1))
        shown[lengths < self.minimal_diagonal_length] = 0
        maps = gaussian_maps(self.heatmap_size, roots[:, None], shown[:, None], self.sigma[0], "pixel")[0]
        if self.generate_keypoint_heatmaps:
            each = gaussian_maps(self.heatmap_size, points, visible, self.sigma[1], "pixel")[0]
            maps = np.concatenate((each, maps))
        ways, weights = displacement_maps(
            self.heatmap_size, points, visible, roots, shown, lengths, float(self.sigma[0])
        )
        return frozen(
            {
                "heatmaps": maps,
                "heatmap_weights": np.where(maps > 0, 1, self.background_weight).astype(np.float32),
                "displacements": ways,
                "displacement_weights": weights,
            }
        )

    def decode(self, heatmaps: Floats, displacements: Floats) -> tuple[Floats, tuple[Floats, Floats | None]]:
        for value in (heatmaps, displacements):
            expect(value, np.ndarray, "SPR.decode takes two arrays")
        height, width = displacements.shape[1:]
        ways = displacements.reshape(-1, 2, height * width)
        root = heatmaps[-1]
        peaks = np.where(root == _highest(root, self.decode_nms_kernel), root, 0).ravel()
        best = np.argsort(-peaks, kind="stable")[: self.decode_max_instances]
        best = best[peaks[best] > self.decode_thr]
        pixels = np.stack((best % width, best // width), axis=-1)
        places = ways[:, :, best].transpose(2, 0, 1) + pixels[:, None]
        scores = None
        if self.generate_keypoint_heatmaps and len(heatmaps) == 1 + len(ways):
            scores = np.stack([_between(one, places[:, k]) for k, one in enumerate(heatmaps[:-1])], axis=-1).astype(
                np.float32
            )
        return (places * self.factor).astype(np.float32), (peaks[best], scores)


class Jitter(NamedTuple):
    """What `DecoupledHeatmap` draws for N persons.

    Attributes:
        shift: (N, 2) whole pixels, -1 to 1, that each root is moved by, the smallest person first.
        order: (N,) an order of persons, of which the first are kept where there are too many.
    """

    shift: Floats
    order: Floats


@dataclass(frozen=True)
class DecoupledHeatmap(HeatmapCodec):
    """Maps of all persons' keypoints and roots, and maps of each person; mmpose's DecoupledHeatmap, of CID.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        root_type: "kpt_center": the mean of the keypoints seen; "bbox_center": the middle of the box about them.
        heatmap_min_overlap: of a person's box and that box moved by the Gaussian's radius.
        encode_max_instances: most persons.

    Takes ``bbox`` (N, 4, 2), corners, as BottomupRandomAffine leaves it; or (N, 4). Params: a `Jitter`. Gives ``heatmaps``
    (K + 1, H, W), ``instance_heatmaps`` (M * K, H, W), ``keypoint_weights`` (M, K), ``instance_coords`` (M, 2) int32. Decodes
    maps (N, K, H, W) and scores (N, 1).

    Example:
        >>> codec = DecoupledHeatmap(input_size=(16, 16), heatmap_size=(8, 8))
        >>> points = np.array([[[6.0, 8.0], [10.0, 8.0]]])
        >>> codec.encode(points, params=Jitter(np.zeros((1, 2), int), np.arange(1)))["instance_coords"].tolist()
        [[4, 4]]
    """

    root_type: str = "kpt_center"
    heatmap_min_overlap: float = 0.7
    encode_max_instances: int = 30

    needs: ClassVar[tuple[str, ...]] = ("bbox",)
    draws: ClassVar[bool] = True
    labels: ClassVar[Mapping[str, str]] = frozen(
        {"keypoint_weights": "keypoint_weights", "instance_coords": "instance_coords"}
    )
    fields: ClassVar[Mapping[str, str]] = frozen({"heatmaps": "heatmaps", "instance_heatmaps": "instance_heatmaps"})

    def __post_init__(self) -> None:
        super().__post_init__()
        _known_root(self)

    def draw(self, keypoints: Floats, rng: np.random.Generator | None) -> Jitter:
        source, count = needed(rng, self), len(keypoints)
        return Jitter(source.integers(-1, 2, (count, 2)), source.permutation(count))

    def encode(
        self,
        keypoints: Floats,
        keypoints_visible: Floats | None = None,
        bbox: Floats | None = None,
        params: Jitter | None = None,
    ) -> Mapping[str, Floats]:
        points = points_of(keypoints, self) / self.factor
        visible = seen_of(keypoints, keypoints_visible)
        jitter = Jitter(np.zeros((len(points), 2), np.int64), np.arange(len(points))) if params is None else params
        corners = boxes_about(keypoints, visible) if bbox is None else bbox
        if corners.ndim == 2 and corners.shape[1] == 4:
            corners = corners[:, (0, 1, 0, 3, 2, 1, 2, 3)]
        sigmas = self._sigmas(corners.reshape(-1, 4, 2) / self.factor)
        roots, shown = roots_of(points, visible, self.root_type)
        maps, weights = gaussian_maps(
            self.heatmap_size,
            np.concatenate((points, roots[:, None]), axis=1),
            np.concatenate((visible, shown[:, None]), axis=1),
            sigmas,
            "pixel",
        )
        places, persons = self._chosen(points, visible, roots, weights[:, -1], jitter)
        each = [
            gaussian_maps(self.heatmap_size, points[one : one + 1], visible[one : one + 1], float(sigmas[one]), "pixel")
            for one in persons
        ]
        count, (width, height) = points.shape[1], self.heatmap_size
        return frozen(
            {
                "heatmaps": maps,
                "instance_heatmaps": np.concatenate([one for one, _ in each]) if each else np.zeros((0, height, width)),
                "keypoint_weights": np.concatenate([one for _, one in each]) if each else np.zeros((0, count)),
                "instance_coords": np.array(places, np.int32).reshape(-1, 2),
            }
        )

    def _chosen(
        self, points: Floats, visible: Floats, roots: Floats, shown: Floats, jitter: Jitter
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """Where each person's root is, moved; and the persons, the smallest first, one to a place."""
        boxes = boxes_about(points, visible)
        lengths = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) ** 2).sum(axis=1))
        last = np.array(self.heatmap_size) - 1
        places: list[tuple[int, int]] = []
        persons: list[int] = []
        for person in np.argsort(lengths).tolist():
            if shown[person] < 1:
                continue
            x, y = np.clip(roots[person] + jitter.shift[len(persons)], 0, last).tolist()
            if (x, y) not in places:
                places.append((x, y))
                persons.append(person)
        if len(persons) > self.encode_max_instances:
            kept = [one for one in jitter.order.tolist() if one < len(persons)][: self.encode_max_instances]
            places, persons = [places[one] for one in kept], [persons[one] for one in kept]
        return places, persons

    def _sigmas(self, corners: Floats) -> Floats:
        """A Gaussian's width for each person: a third of the radius that a box may be moved by."""
        high = np.sqrt(((corners[:, 0] - corners[:, 1]) ** 2).sum(axis=-1))
        wide = np.sqrt(((corners[:, 0] - corners[:, 2]) ** 2).sum(axis=-1))
        overlap, both, area = self.heatmap_min_overlap, high + wide, high * wide
        roots = (
            (1, both, area * (1 - overlap) / (1 + overlap)),
            (4, 2 * both, (1 - overlap) * area),
            (4 * overlap, -2 * overlap * both, (overlap - 1) * area),
        )
        radii = [(b + np.sqrt(b**2 - 4 * a * c)) / 2 for a, b, c in roots]
        return (np.minimum.reduce(radii) / 3).astype(np.float32)

    def decode(self, instance_heatmaps: Floats, instance_scores: Floats) -> tuple[Floats, Floats]:
        for value in (instance_heatmaps, instance_scores):
            expect(value, np.ndarray, "DecoupledHeatmap.decode takes two arrays")
        if instance_heatmaps.ndim != 4 or instance_scores.shape != (len(instance_heatmaps), 1):
            raise FkitValueError(
                "DecoupledHeatmap.decode takes maps (N, K, H, W) and scores (N, 1), one a person, "
                f"not {instance_heatmaps.shape} and {instance_scores.shape}."
            )
        places, scores = heatmap_maximum(instance_heatmaps)
        done = [refined(one[None], maps)[0] for one, maps in zip(places, instance_heatmaps, strict=True)]
        return (np.stack(done) if done else places) * self.factor, scores * instance_scores


@dataclass(frozen=True)
class AssociativeEmbedding(HeatmapCodec):
    """Maps of all persons' keypoints, and where in them each keypoint is; encodes alone; mmpose's AssociativeEmbedding.

    Args:
        input_size: (width, height) of the model's input.
        heatmap_size: (width, height) of the maps.
        sigma: of the Gaussian, in pixels of the maps; None: by their size.
        use_udp: pixels are points, not squares.
        decode_keypoint_order, decode_nms_kernel, decode_gaussian_kernel, decode_keypoint_thr, decode_tag_thr, decode_topk,
            decode_center_shift, decode_max_instances: of decoding, which is the model's.

    Gives ``heatmaps`` (K, H, W), ``keypoint_indices`` (N, K, 2) int64 (y * W + x, and whether it counts), ``keypoint_weights``.

    Example:
        >>> codec = AssociativeEmbedding(input_size=(16, 16), heatmap_size=(8, 8), sigma=1)
        >>> codec.encode(np.array([[[6.0, 8.0]]]))["keypoint_indices"].tolist()
        [[[35, 1]]]
    """

    sigma: float | None = None
    use_udp: bool = False
    decode_keypoint_order: Sequence[int] = ()
    decode_nms_kernel: int = 5
    decode_gaussian_kernel: int = 3
    decode_keypoint_thr: float = 0.1
    decode_tag_thr: float = 1.0
    decode_topk: int = 30
    decode_center_shift: float = 0.0
    decode_max_instances: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self)
        if self.sigma is None:
            object.__setattr__(self, "sigma", float((self.heatmap_size[0] * self.heatmap_size[1]) ** 0.5 / 64))

    @property
    def factor(self) -> Floats:
        """(2,) pixels of the input to a pixel of the maps."""
        if not self.use_udp:
            return super().factor
        return ((np.array(self.input_size) - 1) / (np.array(self.heatmap_size) - 1)).astype(np.float32)

    def encode(self, keypoints: Floats, keypoints_visible: Floats | None = None) -> Mapping[str, Floats]:
        points = points_of(keypoints, self) / self.factor
        visible = seen_of(keypoints, keypoints_visible)
        assert self.sigma is not None
        place = "near" if self.use_udp else "pixel"
        maps, weights = gaussian_maps(self.heatmap_size, points, visible, self.sigma, place)
        pixels = (points + 0.5).astype(np.int64)
        inside = ((pixels >= 0) & (pixels < self.heatmap_size)).all(axis=-1) & (visible > 0.5)
        flat = pixels[..., 1] * self.heatmap_size[0] + pixels[..., 0]
        indices = np.stack((flat, inside.astype(np.int64)), axis=-1)
        return frozen({"heatmaps": maps, "keypoint_indices": indices, "keypoint_weights": weights})


def roots_of(keypoints: Floats, visible: Floats, root_type: str) -> tuple[Floats, Floats]:
    """The middle (N, 2) of each person's keypoints that are seen, and 1, or 0 where none is, (N,).

    Example:
        >>> roots_of(np.array([[[0.0, 0], [4, 2], [1, 1]]]), np.ones((1, 3)), "bbox_center")[0].tolist()
        [[2.0, 1.0]]
    """
    expect(keypoints, np.ndarray, "`keypoints` is an array (N, K, 2)")
    expect(visible, np.ndarray, "`visible` is an array (N, K)")
    roots = np.zeros((len(keypoints), 2), np.float32)
    shown: Floats = np.asarray((visible > 0).any(axis=1), np.float32)
    for person in np.flatnonzero(shown):
        seen = keypoints[person][visible[person] > 0]
        middle = seen.mean(axis=0) if root_type == "kpt_center" else (seen.max(axis=0) + seen.min(axis=0)) / 2
        roots[person] = middle[:2]
    return roots, shown


def boxes_about(keypoints: Floats, visible: Floats) -> Floats:
    """The boxes (N, 4) xyxy about the keypoints that are seen; 0 where none is.

    Example:
        >>> boxes_about(np.array([[[0.0, 0], [4, 2], [9, 9]]]), np.array([[1, 1, 0]])).tolist()
        [[0.0, 0.0, 4.0, 2.0]]
    """
    expect(keypoints, np.ndarray, "`keypoints` is an array (N, K, 2)")
    expect(visible, np.ndarray, "`visible` is an array (N, K)")
    boxes = np.zeros((len(keypoints), 4), np.float32)
    for person in np.flatnonzero((visible > 0).any(axis=1)):
        seen = keypoints[person][visible[person] > 0][:, :2]
        boxes[person] = (*seen.min(axis=0), *seen.max(axis=0))
    return boxes


def _highest(values: Floats, kernel: int) -> Floats:
    """The highest value (H, W) of the square about each pixel."""
    edge = (kernel - 1) // 2
    wide = np.pad(values, edge, constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel)).max(axis=(2, 3))


def _between(values: Floats, places: Floats) -> Floats:
    """The values of a map at (N, 2) places between its pixels, as torch's grid_sample has them with a repeated border: its
    grid goes from edge to edge, where places go from centre to centre."""
    height, width = values.shape
    x, y = ((places[:, axis] * side / (side - 1) - 0.5).clip(0, side - 1) for axis, side in enumerate((width, height)))
    left, top = x.astype(np.int64).clip(0, max(width - 2, 0)), y.astype(np.int64).clip(0, max(height - 2, 0))
    across, down = x - left, y - top
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return upper * (1 - down) + lower * down


def _known_root(codec: Any) -> None:
    if codec.root_type not in _ROOTS:
        raise FkitValueError(
            f"{type(codec).__name__}: root_type = {codec.root_type!r} is unknown.",
            value=codec.root_type,
            choices=_ROOTS,
        )
