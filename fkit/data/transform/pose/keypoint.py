"""Keypoints in another order, and persons left out: MMPose's KeypointConverter and FilterAnnotations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fkit.data.codec.codec import Floats
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["KeypointConverter", "PoseFilterAnnotations", "SingleHandConverter"]


@dataclass(frozen=True)
class KeypointConverter(Transform):
    """Keypoints of one dataset in the order of another's; mmpose's KeypointConverter.

    Args:
        num_keypoints: of the other.
        mapping: pairs (place here, place there); for a place here that is a pair of places, their middle is taken.

    Takes ``keypoints`` (N, K, 2) and ``keypoints_visible`` (N, K). Sets ``keypoints`` (N, num_keypoints, 2), 0 where nothing is
    mapped; ``keypoints_visible`` (N, num_keypoints, 2): visibility, and whether anything is mapped there. Where the sample
    has ``keypoints_3d`` (T, K, 3), they, ``lifting_target`` and ``lifting_target_visible`` are converted in their place.
    ``flip_indices`` stay, but where middles are taken.

    Example:
        >>> converter = KeypointConverter(num_keypoints=2, mapping=[((0, 1), 0)])
        >>> done = converter({"keypoints": np.array([[[0.0, 0], [4, 2]]]), "keypoints_visible": np.ones((1, 2))})
        >>> done["keypoints"].tolist(), done["keypoints_visible"].tolist()
        ([[[2.0, 1.0], [0.0, 0.0]]], [[[1.0, 1.0], [0.0, 0.0]]])
    """

    num_keypoints: int
    mapping: Sequence[Sequence[Any]]
    pairs: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    places: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.mapping, (list, tuple), "KeypointConverter: mapping is a list of pairs")
        pairs, places = [], []
        for one in self.mapping:
            if not isinstance(cast(Any, one), (list, tuple)) or len(one) != 2:
                raise FkitTypeError(
                    f"KeypointConverter: mapping holds pairs (place here, place there), not {quoted(one)}."
                )
            here = one[0] if isinstance(one[0], (list, tuple)) else (one[0], one[0])
            for place in (*here, one[1]):
                expect_number(place, "KeypointConverter: mapping", whole=True)
            if len(here) != 2 or min(*here, one[1]) < 0 or one[1] >= self.num_keypoints:
                raise FkitValueError(
                    f"KeypointConverter: mapping holds {quoted(one)}, and there are {self.num_keypoints} keypoints."
                )
            pairs.append((int(here[0]), int(here[1])))
            places.append(int(one[1]))
        object.__setattr__(self, "mapping", tuple(tuple(one) for one in self.mapping))
        object.__setattr__(self, "pairs", tuple(pairs))
        object.__setattr__(self, "places", tuple(places))

    def apply(self, sample: Sample, params: Any) -> Sample:
        points: Floats = sample["keypoints"]
        visible: Floats = sample.get("keypoints_visible", np.ones(points.shape[:2]))
        if visible.ndim > 2:
            visible = visible[..., 0]
        first, second, there = ([pair[0] for pair in self.pairs], [pair[1] for pair in self.pairs], list(self.places))
        middles = first != second
        space: Any = sample.get("keypoints_3d")
        source: Floats = space if isinstance(space, np.ndarray) else points
        taken = 0.5 * (source[:, first] + source[:, second]) if middles else source[:, first]
        seen = visible[:, first] * visible[:, second] if middles else visible[:, first]
        converted = np.zeros((len(source), self.num_keypoints, max(3, source.shape[-1])))
        converted[:, there, : source.shape[-1]] = taken
        shown, mapped = np.zeros((len(seen), self.num_keypoints)), np.zeros((len(seen), self.num_keypoints))
        shown[:, there], mapped[:, there] = seen, 1
        changes: dict[str, Any] = {
            "flip_indices": self._partners(sample.get("flip_indices")) if middles else sample.get("flip_indices")
        }
        if source is space:
            wanted = sample["target_idx"]
            changes |= {"keypoints_3d": converted, "lifting_target": converted[wanted]}
            changes["lifting_target_visible"] = shown[wanted]
        changes |= {"keypoints": converted[..., :2], "keypoints_visible": np.stack((shown, mapped), axis=2)}
        return replaced(sample, **changes)

    def _partners(self, given: Sequence[int] | None) -> list[int] | None:
        """``flip_indices`` where middles are taken: a middle is its own partner."""
        if given is None:
            return None
        done = list(given)
        for place, (first, second) in enumerate(self.pairs):
            partner = done[first] if first == second else place
            done[place] = partner if partner < self.num_keypoints else place
        return done[: len(self.pairs)]


@dataclass(frozen=True)
class SingleHandConverter(Transform):
    """Keypoints of one hand at their place among those of two; mmpose's SingleHandConverter.

    Args:
        num_keypoints: of two hands.
        left_hand_mapping, right_hand_mapping: as `KeypointConverter`'s ``mapping``.

    Takes ``hand_type`` (N, 2): (0, 1) a left hand, (1, 0) a right one; else as `KeypointConverter`.

    Example:
        >>> hands = SingleHandConverter(num_keypoints=2, left_hand_mapping=[(0, 0)], right_hand_mapping=[(0, 1)])
        >>> sample = {"keypoints": np.ones((1, 1, 2)), "keypoints_visible": np.ones((1, 1)), "hand_type": np.array([[1, 0]])}
        >>> hands(sample)["keypoints_visible"][0, :, 0].tolist()
        [0.0, 1.0]
    """

    num_keypoints: int
    left_hand_mapping: Sequence[Sequence[Any]]
    right_hand_mapping: Sequence[Sequence[Any]]
    hands: tuple[KeypointConverter, KeypointConverter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mappings = (self.left_hand_mapping, self.right_hand_mapping)
        object.__setattr__(self, "hands", tuple(KeypointConverter(self.num_keypoints, one) for one in mappings))

    def apply(self, sample: Sample, params: Any) -> Sample:
        kind = np.asarray(sample["hand_type"])
        for hand, converter in zip(((0, 1), (1, 0)), self.hands, strict=True):
            if (kind == hand).all():
                return converter.apply(sample, None)
        raise FkitValueError(f"hand_type = {kind.tolist()} is neither (0, 1), a left hand, nor (1, 0), a right one.")


@dataclass(frozen=True)
class PoseFilterAnnotations(Transform):
    """Persons that are too small or too little seen left out; mmpose's FilterAnnotations.

    Args:
        min_gt_bbox_wh: a box that is kept is wider and higher than this.
        min_gt_area: least ``area``.
        min_kpt_vis: least number of keypoints that are seen.
        by_box, by_area, by_kpt: which of the three is asked.
        keep_empty: drop a sample that has no person left (as the reference does, whatever the name says); False keeps it.

    Takes ``keypoints`` (N, K, 2); filters ``bbox``, ``bbox_score``, ``category_id``, ``keypoints``, ``keypoints_visible``, ``area``.

    Example:
        >>> sample = {"keypoints": np.zeros((2, 1, 2)), "keypoints_visible": np.array([[1.0], [0.0]])}
        >>> PoseFilterAnnotations()(sample)["keypoints"].shape
        (1, 1, 2)
    """

    min_gt_bbox_wh: tuple[float, float] = (1, 1)
    min_gt_area: float = 1
    min_kpt_vis: float = 1
    by_box: bool = False
    by_area: bool = False
    by_kpt: bool = True
    keep_empty: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "min_gt_bbox_wh", tuple(self.min_gt_bbox_wh))
        if len(self.min_gt_bbox_wh) != 2:
            raise FkitValueError(f"FilterAnnotations: min_gt_bbox_wh = {self.min_gt_bbox_wh!r} is (width, height).")
        if not (self.by_box or self.by_area or self.by_kpt):
            raise FkitValueError("FilterAnnotations: one of by_box, by_area and by_kpt is True.")

    def apply(self, sample: Sample, params: Any) -> Any:
        count = len(sample["keypoints"])
        if not count:
            return sample
        left = np.ones(count, bool)
        if self.by_box and "bbox" in sample:
            box: Floats = sample["bbox"]
            left &= (box[..., 2:] - box[..., :2] > self.min_gt_bbox_wh).all(axis=-1)
        if self.by_area and "area" in sample:
            left &= np.asarray(sample["area"]) >= self.min_gt_area
        if self.by_kpt:
            seen: Floats = sample["keypoints_visible"]
            left &= (seen[..., 0] if seen.ndim == 3 else seen).sum(axis=1) >= self.min_kpt_vis
        if self.keep_empty and not left.any():
            return None
        keys = ("bbox", "bbox_score", "category_id", "keypoints", "keypoints_visible", "area")
        return replaced(sample, **{key: np.asarray(sample[key])[left] for key in keys if key in sample})
