"""How far joints in space are from the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.keypoint import mean
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["MPJPE"]

_MODES = ("mpjpe", "p-mpjpe", "n-mpjpe")


@dataclass(frozen=True)
class MPJPE(Gathered):
    """The mean distance of joints in space from the truth, over all and by action; mmpose's MPJPE.

    A sample has ``pred_instances`` ``{"keypoints": (T, K, 3)}``, ``gt_instances`` ``{"lifting_target": (T, K, 3),
    "lifting_target_visible": (T, K)}``, and ``target_img_path``, whose name, as S9_Greeting_1.54138969_000001.jpg, tells
    person and action.

    Args:
        mode: "mpjpe"; "p-mpjpe": predictions are scaled, turned and moved onto the truth first; "n-mpjpe": scaled.
        skip_list: persons and actions that do not count: "S9_Greeting_1".

    Numbers: ``MPJPE``, ``MPJPE_Greeting``, ...

    Example:
        >>> metric = MPJPE()
        >>> truth = {"lifting_target": np.zeros((1, 1, 1, 3)), "lifting_target_visible": np.ones((1, 1, 1))}
        >>> targets = {"gt_instances": truth, "meta": [{"target_img_path": "S9_Walking_1.54138969_000001.jpg"}]}
        >>> metric.compute(metric.observe(metric.empty(), {"pred_instances": {"keypoints": np.ones((1, 1, 1, 3))}}, targets, [0]))["MPJPE"] ** 2
        2.9999999999999996
    """

    default_prefix: ClassVar[str | None] = ""

    mode: str = "mpjpe"
    skip_list: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.mode, _MODES, "MPJPE: mode")
        expect(self.skip_list, (list, tuple), "MPJPE: skip_list is a list of names")
        object.__setattr__(self, "skip_list", tuple(self.skip_list))

    def record(self, sample: Sample) -> Any:
        points = np.asarray(field(sample, "pred_instances", "MPJPE", "keypoints"))
        truth = np.asarray(field(sample, "gt_instances", "MPJPE", "lifting_target"))
        points = points[0] if points.ndim == 4 else points
        truth = truth[0] if truth.ndim == 4 else truth
        if points.shape != truth.shape or points.ndim != 3:
            raise FkitValueError(
                f"MPJPE: joints are (T, K, 3): predicted are {points.shape}, of the truth {truth.shape}."
            )
        seen = np.asarray(field(sample, "gt_instances", "MPJPE", "lifting_target_visible")).astype(bool)
        path: Any = field(sample, "target_img_path", "MPJPE")
        name = PurePath(str(path if isinstance(path, str) else path[0])).name
        return {"points": points, "truth": truth, "seen": seen.reshape(truth.shape[:2]), "name": name.split(".")[0]}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        kept = [row for row in rows if row["name"] not in self.skip_list]
        if not kept:
            raise FkitValueError("MPJPE: skip_list leaves no sample.")
        errors: dict[str, list[NDArray[Any]]] = {"": []}
        for row in kept:
            gaps = np.linalg.norm(self._aligned(row["points"], row["truth"]) - row["truth"], axis=-1)[row["seen"]]
            action = row["name"].partition("_")[2].partition("_")[0]
            errors[""].append(gaps)
            errors.setdefault(f"_{action}", []).append(gaps)
        return {f"{self.mode.upper()}{name}": mean(np.concatenate(several)) for name, several in errors.items()}

    def _aligned(self, points: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
        if self.mode == "n-mpjpe":
            factor = (points * truth).sum(axis=(1, 2)) / (points * points).sum(axis=(1, 2))
            return points * factor[:, None, None]
        if self.mode == "p-mpjpe":
            return np.stack([_onto(one, other) for one, other in zip(points, truth, strict=True)])
        return points


def _onto(points: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """Points (K, 3) scaled, turned and moved so that they are nearest to others."""
    middle, other = points.mean(axis=0), truth.mean(axis=0)
    mine, theirs = points - middle, truth - other
    left, values, right = np.linalg.svd(mine.T @ theirs)
    mirror = np.ones(3)
    mirror[-1] = np.sign(np.linalg.det(left @ right))
    turn = (left * mirror) @ right
    factor = (values * mirror).sum() / (mine**2).sum()
    return factor * mine @ turn + other
