"""How far predicted depths are from the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.sample import Sample
from fkit.metric.segmentation import map_of, write_map
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["DepthMetric", "depth_errors"]

_NAMES = ("d1", "d2", "d3", "abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog")
_CROPS = {"nyu_crop": (slice(45, 471), slice(41, 601))}.items()  # of NYU's pictures, whose edges are not annotated


@dataclass(frozen=True)
class DepthMetric(Gathered):
    """Errors of depths, the mean over the images; mmseg's DepthMetric.

    A sample has ``pred_depth_map`` and ``gt_depth_map``, (H, W) or (1, H, W) each. A truth of nan
    does not count; an image in which no pixel counts is left out.

    Args:
        depth_metrics: of "d1", "d2", "d3" (the part of the pixels that is less than 1.25, 1.25^2, 1.25^3 times off), "abs_rel",
            "sq_rel", "rmse", "rmse_log", "log10", "silog"; None: all.
        min_depth_eval: pixels whose true depth is above it count.
        max_depth_eval: and below it.
        crop_type: "nyu_crop": rows 45 to 470 and columns 41 to 600 count.
        depth_scale_factor: by what depths are multiplied where they are written.
        output_dir: a folder where each prediction is written as 16-bit PNG under its image's name.
        format_only: write only: there is no truth, and no number.

    Example:
        >>> metric = DepthMetric(["abs_rel", "d1"])
        >>> outputs, targets = {"pred_depth_map": np.array([[[2.0, 3.0]]])}, {"gt_depth_map": np.array([[[2.0, 2.0]]])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'abs_rel': 0.25, 'd1': 0.5}
    """

    default_prefix: ClassVar[str | None] = ""

    depth_metrics: Sequence[str] | None = None
    min_depth_eval: float = 0.0
    max_depth_eval: float = float("inf")
    crop_type: str | None = None
    depth_scale_factor: float = 1.0
    output_dir: str | None = None
    format_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        names = _NAMES if self.depth_metrics is None else self.depth_metrics
        expect(names, (list, tuple), "DepthMetric: depth_metrics is a list of names")
        expect_choice(names, _NAMES, "DepthMetric: depth_metrics")
        expect_choice(self.crop_type, (None, *dict(_CROPS)), "DepthMetric: crop_type")
        for name in ("min_depth_eval", "max_depth_eval", "depth_scale_factor"):
            expect_number(getattr(self, name), f"DepthMetric: {name}")
        object.__setattr__(self, "depth_metrics", tuple(names))
        if self.format_only and self.output_dir is None:
            raise FkitValueError("DepthMetric: format_only writes predictions, and output_dir is not set.")

    def record(self, sample: Sample) -> Any:
        said = map_of(sample, "pred_depth_map", "DepthMetric").astype(np.float64)
        if self.output_dir is not None:
            scaled = said * self.depth_scale_factor
            if not (np.isfinite(scaled).all() and scaled.min(initial=0) >= 0 and scaled.max(initial=0) < 65536):
                raise FkitValueError(
                    "DepthMetric: depths that are written are from 0 to 65535, times depth_scale_factor."
                )
            write_map(self.output_dir, scaled.astype(np.uint16), sample, "DepthMetric")
        if self.format_only:
            return {}
        truth = map_of(sample, "gt_depth_map", "DepthMetric").astype(np.float64)
        if said.shape != truth.shape:
            raise FkitTypeError(
                f"DepthMetric: a prediction of {said.shape} pixels for a truth of {truth.shape}: they agree."
            )
        counts = (truth > self.min_depth_eval) & (truth < self.max_depth_eval)
        if self.crop_type is not None:
            inner = np.zeros_like(counts)
            inner[dict(_CROPS)[self.crop_type]] = True
            counts &= inner
        mine = said[counts]
        if not (np.isfinite(mine).all() and mine.min(initial=1) > 0 and truth[counts].min(initial=1) > 0):
            raise FkitValueError(
                f"DepthMetric: a depth of sample {sample['sample_idx']} is not a number above 0.",
                repair="Let the model predict depths above 0; min_depth_eval=0.001 leaves out what is not measured.",
            )
        return depth_errors(mine, truth[counts]) if mine.size else {}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if self.format_only:
            return {}
        seen = [row for row in rows if row]
        if not seen:
            raise FkitValueError(
                "DepthMetric: no pixel counts in any image.", repair="Check min_depth_eval, max_depth_eval."
            )
        return {name: float(np.mean([row[name] for row in seen])) for name in self.depth_metrics or ()}


def depth_errors(said: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """The errors of an image's depths (N,), all above 0.

    Example:
        >>> depth_errors(np.array([2.0, 3.0]), np.array([2.0, 2.0]))["rmse"] ** 2
        0.5000000000000001
    """
    for value, name in ((said, "said"), (truth, "truth")):
        expect(value, np.ndarray, f"`{name}` is an array")
    off, gap, power = np.maximum(truth / said, said / truth), said - truth, np.log(said) - np.log(truth)
    return {
        "d1": float((off < 1.25).mean()), "d2": float((off < 1.25**2).mean()), "d3": float((off < 1.25**3).mean()),
        "abs_rel": float((abs(gap) / truth).mean()), "sq_rel": float((gap**2 / truth).mean()),
        "rmse": float(np.sqrt((gap**2).mean())), "rmse_log": float(np.sqrt((power**2).mean())),
        "log10": float(abs(np.log10(said) - np.log10(truth)).mean()),
        "silog": float(np.sqrt(np.maximum((power**2).mean() - 0.5 * power.mean() ** 2, 0))),
    }  # fmt: skip
