"""How far two hands in space are from the truth: InterHand2.6M's errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.keypoint import mean
from fkit.metric.sample import Sample, field
from fkit.tree.error import FkitValueError

__all__ = ["InterHandMetric"]

_MODES = ("MPJPE", "MRRPE", "HandednessAcc")
_HAND = 21  # joints of a hand; the right one's come first, and the last of each is its root


@dataclass(frozen=True)
class InterHandMetric(Gathered):
    """Errors of two hands' joints about their roots, of the roots, and which hands there are; mmpose's InterHandMetric.

    A sample has ``pred_instances`` ``{"keypoints": (1, 42, 3) x y in pixels and depth about the root, "hand_type": (1, 2),
    "rel_root_depth": (1,)}``, ``gt_instances`` ``{"keypoints_cam": (1, 42, 3), "keypoints_visible": (1, 42)}``, and in its meta
    ``hand_type``, ``hand_type_valid``, ``abs_depth`` (of both roots), ``focal`` and ``principal_pt``, two numbers each.

    Args:
        modes: of "MPJPE", the joints' mean distance: ``MPJPE_all``, ``MPJPE_single``, ``MPJPE_interacting``; "MRRPE", that of the
            way from root to root; "HandednessAcc", the fraction of samples whose hands are said.

    Example:
        >>> metric = InterHandMetric(modes=["HandednessAcc"])
        >>> said = {"keypoints": np.zeros((1, 1, 42, 3)), "hand_type": np.array([[[1, 0]]])}
        >>> known = {"keypoints_cam": np.zeros((1, 1, 42, 3)), "keypoints_visible": np.ones((1, 1, 42))}
        >>> meta = {"hand_type": np.array([[1, 0]]), "hand_type_valid": np.array([1])}
        >>> metric.compute(metric.observe(metric.empty(), {"pred_instances": said}, {"gt_instances": known, "meta": [meta]}, [0]))
        {'HandednessAcc': 1.0}
    """

    default_prefix: ClassVar[str | None] = ""

    modes: Sequence[str] = _MODES

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.modes, _MODES, "InterHandMetric: modes")
        object.__setattr__(self, "modes", (self.modes,) if isinstance(self.modes, str) else tuple(self.modes))

    def record(self, sample: Sample) -> Any:
        who = "InterHandMetric"
        said = np.asarray(field(sample, "pred_instances", who, "keypoints"), np.float64).reshape(-1, 3)
        truth = np.asarray(field(sample, "gt_instances", who, "keypoints_cam"), np.float64).reshape(-1, 3)
        seen = np.asarray(field(sample, "gt_instances", who, "keypoints_visible")).astype(bool).ravel()
        if not len(said) == len(truth) == len(seen) == 2 * _HAND:
            raise FkitValueError(
                f"{who}: two hands have 42 joints; predicted are {len(said)}, of the truth {len(truth)}."
            )
        hands = np.asarray(field(sample, "hand_type", who)).ravel()
        row: dict[str, Any] = {"both": bool(hands.all())}
        if "HandednessAcc" in self.modes:
            mine = np.asarray(field(sample, "pred_instances", who, "hand_type")).ravel()
            row |= {
                "same": bool((mine == hands).all()),
                "sure": bool(np.ravel(field(sample, "hand_type_valid", who))[0] > 0),
            }
        if self.modes == ("HandednessAcc",):
            return row
        depths, camera = np.ravel(field(sample, "abs_depth", who)), _Camera(sample, who)
        if "MPJPE" in self.modes:
            placed = said.copy()
            placed[:, 2] += np.repeat(depths[:2], _HAND)
            gaps = np.linalg.norm(_about_roots(camera.space(placed)) - _about_roots(truth), axis=1)
            row["gaps"] = np.where(seen, gaps, np.nan)
        if "MRRPE" in self.modes:
            further = float(np.ravel(field(sample, "pred_instances", who, "rel_root_depth"))[0])
            roots = said[[2 * _HAND - 1, _HAND - 1]] + np.array([[0, 0, depths[0] + further], [0, 0, depths[0]]])
            way, real = (one[0] - one[1] for one in (camera.space(roots), truth[[2 * _HAND - 1, _HAND - 1]]))
            counts = row["both"] and bool(seen[_HAND - 1]) and bool(seen[2 * _HAND - 1])
            row["way"] = float(np.linalg.norm(way - real)) if counts else float("nan")
        return row

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        numbers: dict[str, float] = {}
        if "MPJPE" in self.modes:
            gaps, both = np.stack([row["gaps"] for row in rows]), np.array([row["both"] for row in rows])
            parts = {"all": gaps, "single": gaps[~both], "interacting": gaps[both]}
            numbers |= {f"MPJPE_{name}": mean(part) for name, part in parts.items()}
        if "HandednessAcc" in self.modes:
            numbers["HandednessAcc"] = mean(np.array([row["same"] for row in rows if row["sure"]], np.float64))
        if "MRRPE" in self.modes:
            numbers["MRRPE"] = mean(np.array([row["way"] for row in rows]))
        return numbers


class _Camera:
    """From pixels and depths to space."""

    def __init__(self, sample: Sample, who: str) -> None:
        self.focal, self.middle = (np.ravel(field(sample, name, who))[:2] for name in ("focal", "principal_pt"))

    def space(self, points: NDArray[Any]) -> NDArray[Any]:
        across = (points[:, :2] - self.middle) / self.focal * points[:, 2:]
        return np.concatenate((across, points[:, 2:]), axis=1)


def _about_roots(points: NDArray[Any]) -> NDArray[Any]:
    roots = points[[_HAND - 1, 2 * _HAND - 1]]
    return points - np.repeat(roots, _HAND, axis=0)
