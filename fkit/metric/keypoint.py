"""How far keypoints are from the truth: PCK and its curve, mean errors, in the image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast
from warnings import warn

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = [
    "AUC",
    "EPE",
    "NME",
    "Distances",
    "JhmdbPCKAccuracy",
    "KeypointMetric",
    "MpiiPCKAccuracy",
    "PCKAccuracy",
    "mean",
]

_ITEMS = frozendict(bbox="PCK", head="PCKh", torso="tPCK")
_EYES = frozendict(
    {
        "horse10": (0, 1),
        "300w": (36, 45),
        "coco_wholebody_face": (36, 45),
        "cofw": (8, 9),
        "wflw": (60, 72),
        "lapa": (66, 79),
    }
)


class Distances(NamedTuple):
    """Where N persons' K keypoints are said to be and where they are.

    Attributes:
        points: (N, K, 2) predicted.
        truth: (N, K, 2).
        seen: (N, K) bool.
    """

    points: NDArray[Any]
    truth: NDArray[Any]
    seen: NDArray[np.bool_]

    def normed(self, sizes: NDArray[Any]) -> NDArray[np.float64]:
        """(N, K) distances in parts of the persons' sizes (N,), nan where there is none; a person of no size has none."""
        unit = np.where(sizes > 0, sizes, np.where(sizes == 0, np.nan, 1e6))
        gaps = np.linalg.norm(self.points.astype(np.float64) - self.truth, axis=-1) / unit[:, None]
        return np.where(self.seen, gaps, np.nan)

    def hits(self, sizes: NDArray[Any], threshold: float) -> NDArray[np.float64]:
        """(K,) the fraction of persons whose keypoint is nearer than the threshold; nan where nobody has it."""
        gaps = self.normed(sizes)
        there = ~np.isnan(gaps)
        count = there.sum(axis=0)
        near = (np.where(there, gaps, np.inf) < threshold).sum(axis=0)
        return np.where(count > 0, near / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class KeypointMetric(Gathered):
    """What metrics of keypoints in the image share.

    A sample is one person: ``pred_instances`` ``{"keypoints": (1, K, 2)}`` in the coordinates of the original image, and
    ``gt_instances`` ``{"keypoints": (1, K, 2), "keypoints_visible": (1, K), ...}``.
    """

    default_prefix: ClassVar[str | None] = ""

    def record(self, sample: Sample) -> Any:
        who = type(self).__name__
        points = _rows(field(sample, "pred_instances", who, "keypoints"), who)
        truth = _rows(field(sample, "gt_instances", who, "keypoints"), who)
        visible = np.asarray(field(sample, "gt_instances", who, "keypoints_visible"))
        visible = (visible[..., 0] if visible.ndim == 3 else visible).reshape(-1, truth.shape[1])
        if points.shape[:2] != truth.shape[:2] or len(visible) != len(truth):
            raise FkitValueError(
                f"{who}: the keypoints that are predicted are {points.shape}, and the truth's {truth.shape}.",
                repair="One person a sample, and as many keypoints as the data set has.",
            )
        seen = visible.astype(bool)
        if not np.isfinite(points[..., :2][seen]).all():
            raise FkitValueError(
                f"{who}: keypoints that are predicted are no finite numbers.",
                repair="Weights that are not finite predict so: look at the loss, or begin with a lower learning rate.",
            )
        return {
            "points": points[..., :2],
            "truth": truth[..., :2],
            "seen": seen,
            **self.sizes(sample, points, truth),
        }

    def sizes(self, sample: Sample, points: NDArray[Any], truth: NDArray[Any]) -> Mapping[str, Any]:
        """The person's sizes that distances are measured in, by name, (1,) each."""
        return {}

    def table(self, rows: NDArray[Any]) -> tuple[Distances, Mapping[str, NDArray[Any]]]:
        """All persons, and their sizes by name."""
        whole = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        if not whole["seen"].any():
            warn(
                f"{type(self).__name__}: no keypoint of {len(rows)} samples is visible: its numbers say nothing.",
                stacklevel=2,
            )
        return Distances(whole.pop("points"), whole.pop("truth"), whole.pop("seen")), whole


def _rows(value: Any, who: str) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(value)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.dtype.kind not in "iuf":
        raise FkitTypeError(f"{who}: keypoints are an array (1, K, 2) a sample, not {array.dtype} of {array.shape}.")
    return array


@dataclass(frozen=True)
class PCKAccuracy(KeypointMetric):
    """The fraction of keypoints nearer to the truth than a part of the person's size; mmpose's PCKAccuracy.

    Args:
        thr: the part.
        norm_item: the size: "bbox", the longer side of ``gt_instances["bboxes"]``; "head", ``gt_instances["head_size"]``;
            "torso", the distance of the truth's keypoints 4 and 5 (the prediction's, where it is below a pixel); or several.

    Each keypoint counts alike. Numbers: ``PCK``, ``PCKh``, ``tPCK``.

    Example:
        >>> metric = PCKAccuracy(thr=0.2)
        >>> truth = {"keypoints": np.zeros((1, 1, 2, 2)), "keypoints_visible": np.ones((1, 1, 2)), "bboxes": np.array([[[0, 0, 10, 5.0]]])}
        >>> outputs = {"pred_instances": {"keypoints": np.array([[[[1.0, 0], [3, 0]]]])}}
        >>> metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": truth}, [0]))
        {'PCK': 0.5}
    """

    thr: float = 0.05
    norm_item: str | Sequence[str] = "bbox"

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.norm_item, tuple(_ITEMS), f"{type(self).__name__}: norm_item")
        items = (self.norm_item,) if isinstance(self.norm_item, str) else tuple(self.norm_item)
        object.__setattr__(self, "norm_item", items)

    def sizes(self, sample: Sample, points: NDArray[Any], truth: NDArray[Any]) -> Mapping[str, Any]:
        who, done = type(self).__name__, dict[str, Any]()
        if "bbox" in self.norm_item:
            box = np.asarray(field(sample, "gt_instances", who, "bboxes")).reshape(-1, 4)
            done["bbox"] = (box[:, 2:] - box[:, :2]).max(axis=1)
        if "head" in self.norm_item:
            done["head"] = np.asarray(field(sample, "gt_instances", who, "head_size"), np.float64).reshape(-1)
        if "torso" in self.norm_item:
            if truth.shape[1] < 6:
                raise FkitValueError(f"{who}: norm_item 'torso' needs 6 keypoints, and there are {truth.shape[1]}.")
            mine, theirs = (np.linalg.norm(one[:, 4] - one[:, 5], axis=-1) for one in (truth, points))
            done["torso"] = np.where(mine < 1, theirs, mine)
        return done

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        table, sizes = self.table(rows)
        numbers: dict[str, float] = {}
        for item, size in sizes.items():
            numbers |= self.numbers(table, size, item)
        return numbers

    def numbers(self, table: Distances, size: NDArray[Any], item: str) -> Mapping[str, float]:
        """The numbers in one unit."""
        return {_ITEMS[item]: mean(table.hits(size, self.thr))}


@dataclass(frozen=True)
class MpiiPCKAccuracy(PCKAccuracy):
    """PCK of MPII's 16 keypoints in parts of the head's size, by part of the body, in per cent; mmpose's MpiiPCKAccuracy.

    Args:
        thr: the part.
        norm_item: "head" alone gives numbers.

    Predictions are taken a pixel to the right and down, as the reference does. Numbers: ``Head PCK``, ``Shoulder PCK``, ``Elbow
    PCK``, ``Wrist PCK``, ``Hip PCK``, ``Knee PCK``, ``Ankle PCK``; ``PCK`` and ``PCK@0.1``, keypoints by how many there are,
    without pelvis and thorax.

    Example:
        >>> metric = MpiiPCKAccuracy()
        >>> truth = {"keypoints": np.ones((1, 1, 16, 2)), "keypoints_visible": np.ones((1, 1, 16)), "head_size": np.full((1, 1), 4.0)}
        >>> state = metric.observe(metric.empty(), {"pred_instances": {"keypoints": np.zeros((1, 1, 16, 2))}}, {"gt_instances": truth}, [0])
        >>> round(metric.compute(state)["PCK"], 6)
        100.0
    """

    thr: float = 0.5
    norm_item: str | Sequence[str] = "head"

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if "head" not in self.norm_item:
            raise FkitValueError("MpiiPCKAccuracy gives numbers in parts of the head: norm_item='head'.")
        return super().score(rows)

    def numbers(self, table: Distances, size: NDArray[Any], item: str) -> Mapping[str, float]:
        if item != "head":
            return {}
        if table.truth.shape[1] != 16:
            raise FkitValueError(f"MpiiPCKAccuracy takes MPII's 16 keypoints, and there are {table.truth.shape[1]}.")
        table = table._replace(points=table.points + 1.0)
        hits = 100 * table.hits(size, self.thr)
        counted = np.delete(table.seen.sum(axis=0), (6, 7)).astype(np.float64)
        share = counted / counted.sum()
        parts = {
            "Head": (9,), "Shoulder": (13, 12), "Elbow": (14, 11), "Wrist": (15, 10), "Hip": (3, 2), "Knee": (4, 1),
            "Ankle": (5, 0),
        }  # fmt: skip
        numbers = {f"{part} PCK": float(hits[list(places)].mean()) for part, places in parts.items()}
        for name, every in (("PCK", hits), ("PCK@0.1", 100 * table.hits(size, 0.1))):
            numbers[name] = float(np.sum(np.where(share > 0, np.delete(every, (6, 7)), 0) * share))
        return numbers


@dataclass(frozen=True)
class JhmdbPCKAccuracy(PCKAccuracy):
    """PCK of JHMDB's 15 keypoints, by part of the body; mmpose's JhmdbPCKAccuracy.

    Args:
        thr, norm_item: as of `PCKAccuracy`.

    Numbers: ``Head PCK``, ``Sho PCK``, ``Elb PCK``, ``Wri PCK``, ``Hip PCK``, ``Knee PCK``, ``Ank PCK``, ``PCK``; of "torso" with
    tPCK.

    Example:
        >>> metric = JhmdbPCKAccuracy()
        >>> truth = {"keypoints": np.ones((1, 1, 15, 2)), "keypoints_visible": np.ones((1, 1, 15)), "bboxes": np.array([[[0, 0, 10, 5.0]]])}
        >>> state = metric.observe(metric.empty(), {"pred_instances": {"keypoints": np.ones((1, 1, 15, 2))}}, {"gt_instances": truth}, [0])
        >>> metric.compute(state)["Head PCK"]
        1.0
    """

    def numbers(self, table: Distances, size: NDArray[Any], item: str) -> Mapping[str, float]:
        if table.truth.shape[1] != 15:
            raise FkitValueError(f"JhmdbPCKAccuracy takes JHMDB's 15 keypoints, and there are {table.truth.shape[1]}.")
        hits, name = table.hits(size, self.thr), _ITEMS[item]
        parts = {
            "Head": (2,), "Sho": (3, 4), "Elb": (7, 8), "Wri": (11, 12), "Hip": (5, 6), "Knee": (9, 10), "Ank": (13, 14),
        }  # fmt: skip
        numbers = {f"{part} {name}": float(hits[list(places)].mean()) for part, places in parts.items()}
        return {**numbers, name: mean(hits)}


@dataclass(frozen=True)
class AUC(KeypointMetric):
    """The mean of PCK over thresholds; mmpose's AUC.

    Args:
        norm_factor: the size of each person, in pixels.
        num_thrs: how many thresholds: 0, 1 / num_thrs, 2 / num_thrs, ...

    Example:
        >>> metric = AUC(norm_factor=10, num_thrs=4)
        >>> truth = {"keypoints": np.zeros((1, 1, 1, 2)), "keypoints_visible": np.ones((1, 1, 1))}
        >>> outputs = {"pred_instances": {"keypoints": np.array([[[[3.0, 0]]]])}}
        >>> metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": truth}, [0]))
        {'AUC': 0.5}
    """

    norm_factor: float = 30
    num_thrs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_thrs < 1 or self.norm_factor <= 0:
            raise FkitValueError("AUC: num_thrs is 1 or more, norm_factor above 0.")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        table, _ = self.table(rows)
        sizes = np.full(len(table.truth), float(self.norm_factor))
        every = [mean(table.hits(sizes, step / self.num_thrs)) for step in range(self.num_thrs)]
        return {"AUC": float(np.mean(every))}


@dataclass(frozen=True)
class EPE(KeypointMetric):
    """The mean distance of keypoints from the truth, in pixels; mmpose's EPE.

    Example:
        >>> metric = EPE()
        >>> truth = {"keypoints": np.zeros((1, 1, 1, 2)), "keypoints_visible": np.ones((1, 1, 1))}
        >>> outputs = {"pred_instances": {"keypoints": np.array([[[[3.0, 4]]]])}}
        >>> metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": truth}, [0]))
        {'EPE': 5.0}
    """

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        table, _ = self.table(rows)
        return {"EPE": mean(table.normed(np.ones(len(table.truth))))}


@dataclass(frozen=True)
class NME(KeypointMetric):
    """The mean distance of keypoints from the truth, in parts of a size; mmpose's NME.

    Args:
        norm_mode: "keypoint_distance": the size is the distance of two of the truth's keypoints; "use_norm_item": a field.
        norm_item: the field of ``gt_instances``; "bbox_size": the longer side of ``bboxes``.
        keypoint_indices: the two keypoints; None: the outer corners of the eyes, of data sets that are known.

    Example:
        >>> metric = NME("keypoint_distance", keypoint_indices=(0, 1))
        >>> truth = {"keypoints": np.array([[[[0.0, 0], [10, 0]]]]), "keypoints_visible": np.ones((1, 1, 2))}
        >>> outputs = {"pred_instances": {"keypoints": np.array([[[[0.0, 1], [10, 2]]]])}}
        >>> round(metric.compute(metric.observe(metric.empty(), outputs, {"gt_instances": truth}, [0]))["NME"], 6)
        0.15
    """

    norm_mode: str
    norm_item: str | None = None
    keypoint_indices: Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.norm_mode, ("use_norm_item", "keypoint_distance"), "NME: norm_mode")
        if self.norm_mode == "use_norm_item" and not self.norm_item:
            raise FkitValueError("NME: norm_mode='use_norm_item' needs norm_item, a field of gt_instances.")
        if self.keypoint_indices is not None:
            expect(self.keypoint_indices, (list, tuple), "NME: keypoint_indices is two keypoints")
            for one in self.keypoint_indices:
                expect_number(one, "NME: keypoint_indices", whole=True)
            if len(self.keypoint_indices) != 2:
                raise FkitValueError(f"NME: keypoint_indices = {self.keypoint_indices!r} is two keypoints.")
            object.__setattr__(self, "keypoint_indices", tuple(self.keypoint_indices))

    def sizes(self, sample: Sample, points: NDArray[Any], truth: NDArray[Any]) -> Mapping[str, Any]:
        if self.norm_mode != "use_norm_item":
            return {}
        if self.norm_item == "bbox_size":
            box = np.asarray(field(sample, "gt_instances", "NME", "bboxes")).reshape(-1, 4)
            return {"size": (box[:, 2:] - box[:, :2]).max(axis=1)}
        value = field(sample, "gt_instances", "NME", cast(str, self.norm_item))
        return {"size": np.asarray(value, np.float64).reshape(-1)}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        table, sizes = self.table(rows)
        size = sizes.get("size")
        if size is None:
            first, second = self._eyes(table.truth.shape[1])
            size = np.linalg.norm(table.truth[:, first] - table.truth[:, second], axis=-1)
        return {"NME": mean(table.normed(size))}

    def _eyes(self, count: int) -> tuple[int, int]:
        name = self.metainfo.get("dataset_name", "")
        chosen = self.keypoint_indices or _EYES.get(name)
        if chosen is None:
            raise FkitKeyError(
                f"NME: which two keypoints' distance is the size is not known of the data set {name!r}.",
                choices=_EYES,
                label="Known",
                repair="Name them: keypoint_indices=(36, 45).",
            )
        if max(chosen) >= count:
            raise FkitValueError(f"NME: keypoint_indices = {tuple(chosen)}, and there are {count} keypoints.")
        return chosen[0], chosen[1]


def mean(values: NDArray[Any]) -> float:
    """The mean of what is there; 0 of nothing.

    Example:
        >>> mean(np.array([1.0, np.nan]))
        1.0
    """
    expect(values, np.ndarray, "`values` is an array")
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else 0.0
