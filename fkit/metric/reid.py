"""Whether pictures of one person are nearest to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["ReIDMetrics"]

_OPTIONS = frozendict(rank_list=(1, 5, 10, 20), max_rank=20)


@dataclass(frozen=True)
class ReIDMetrics(Gathered):
    """Each picture is looked for among all others, by the distance of features; mmdet's ReIDMetrics, not rounded.

    A sample has ``pred_feature`` (C,) and ``gt_label``, which person it is. A picture whose person is in no other is not looked
    for. Of equal distances the sample of the lower id is nearer.

    Args:
        metric: of "mAP", the mean of the precisions at each picture of the person; "CMC", how often one of the nearest r is.
        metric_options: ``rank_list``, the r's of "CMC", and ``max_rank``, the greatest that may be among them.

    Numbers: ``reid-metric/mAP``, ``reid-metric/R1``, ...

    Example:
        >>> metric = ReIDMetrics(metric=["mAP", "CMC"], metric_options={"rank_list": [1], "max_rank": 1})
        >>> outputs, targets = {"pred_feature": np.array([[0.0], [1], [1.5]])}, {"gt_label": np.array([[3], [3], [4]])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, range(3)))
        {'reid-metric/mAP': 0.75, 'reid-metric/R1': 0.5}
    """

    default_prefix: ClassVar[str | None] = "reid-metric"

    metric: str | Sequence[str] = "mAP"
    metric_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.metric, ("mAP", "CMC"), "ReIDMetrics: metric")
        object.__setattr__(self, "metric", (self.metric,) if isinstance(self.metric, str) else tuple(self.metric))
        options = frozen(self.metric_options or _OPTIONS)
        expect(options, Mapping, "ReIDMetrics: metric_options is a mapping")
        if set(options) != set(_OPTIONS):
            raise FkitValueError(f"ReIDMetrics: metric_options has rank_list and max_rank, not {', '.join(options)}.")
        for rank in (*options["rank_list"], options["max_rank"]):
            expect_number(rank, "ReIDMetrics: a rank", whole=True)
            if not 1 <= rank <= options["max_rank"]:
                raise FkitValueError(f"ReIDMetrics: rank {rank}: from 1 to max_rank = {options['max_rank']}.")
        object.__setattr__(self, "metric_options", options)

    def record(self, sample: Sample) -> Any:
        feature = np.asarray(field(sample, "pred_feature", "ReIDMetrics"))
        label: Any = field(sample, "gt_label", "ReIDMetrics")
        person = np.asarray(field(sample, "gt_label", "ReIDMetrics", "label") if isinstance(label, Mapping) else label)
        if feature.ndim != 1 or feature.dtype.kind not in "iuf" or person.size != 1 or person.dtype.kind not in "iu":
            raise FkitTypeError(
                f"ReIDMetrics: a sample has a feature (C,) and one person, not {feature.shape} and {person.shape}."
            )
        if not np.isfinite(feature).all():
            raise FkitValueError(f"ReIDMetrics: the feature of sample {sample['sample_idx']} is not finite.")
        return {"feature": feature.astype(np.float64), "person": int(person.reshape(()))}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        people = np.array([row["person"] for row in rows])
        if len({row["feature"].shape for row in rows}) > 1:
            raise FkitTypeError("ReIDMetrics: features differ in length.")
        features = np.stack([row["feature"] for row in rows])
        precisions: list[float] = []
        firsts: list[int] = []
        for at, feature in enumerate(features):
            gaps = ((features - feature) ** 2).sum(axis=1)
            order = np.argsort(gaps, kind="stable")
            right = people[order[order != at]] == people[at]
            if right.any():
                places = np.flatnonzero(right)
                precisions.append(float((np.arange(1, len(places) + 1) / (places + 1)).mean()))
                firsts.append(int(places[0]))
        if not precisions:
            raise FkitValueError("ReIDMetrics: no person is in two pictures.")
        ranks = cast("Mapping[str, Any]", self.metric_options)["rank_list"]
        numbers = {"mAP": float(np.mean(precisions))} if "mAP" in self.metric else {}
        if "CMC" in self.metric:
            numbers |= {f"R{rank}": float((np.array(firsts) < rank).mean()) for rank in ranks}
        return numbers
