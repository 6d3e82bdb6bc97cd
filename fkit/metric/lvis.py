"""LVIS's evaluation: COCO's, on images that are annotated for some of the categories only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.metric.coco import CocoMetric, results
from fkit.metric.gathered import Gathered
from fkit.metric.ground import Ground, evaluated, ground_file
from fkit.metric.sample import Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["LVISFixedAPMetric", "LVISMetric"]

_MOST = 300  # results an image, of all categories together
_SIZES = frozendict(s=1, m=2, l=3)
_PRECISIONS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")
_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())


@dataclass(frozen=True)
class LVISMetric(CocoMetric):
    """Average precision as LVIS counts it; mmdet's LVISMetric, its numbers not rounded. The package lvis is not needed.

    Of an image the 300 best results count, and of these those whose category is annotated in the image, or is said not to be
    in it (``neg_category_ids``). Where a category's objects are not all annotated (``not_exhaustive_category_ids``) a result
    that matches none of them does not count.

    Args:
        ann_file: LVIS's annotation file, which it needs.
        metric, classwise, format_only, outfile_prefix, backend_args: as of `CocoMetric`.
        proposal_nums, iou_thrs: of "proposal_fast"; the others are counted by LVIS's own.
        metric_items: of "AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf" (of rare, common and frequent
            categories), and of proposals "AR@300", "ARs@300", "ARm@300", "ARl@300".

    Numbers: ``lvis/bbox_AP``, ``lvis/segm_APr``, ...; -1 where there is nothing to be found.
    """

    default_prefix: ClassVar[str | None] = "lvis"

    @property
    def items(self) -> tuple[str, ...]:
        return (*_PRECISIONS, *_recall_names())

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if self.ann_file is None:
            raise FkitValueError("LVISMetric counts by LVIS's annotation file.", repair="Set ann_file.")
        return super().score(rows)

    def _counted(self, kind: str, lines: list[dict[str, Any]], ground: Ground) -> dict[str, float]:
        table = counted(ground, _best(lines), kind, _MOST)
        numbers = _summary(table, ground)
        if kind == "proposal":
            return {name: numbers[name] for name in self.metric_items or _recall_names()}
        chosen = {f"{kind}_{name}": numbers[name] for name in self.metric_items or _PRECISIONS}
        places = {number: at for at, number in enumerate(np.unique(ground.used))}
        for number in ground.used if self.classwise else ():
            value = _mean(table["precision"][:, :, places[number], 0, -1])
            chosen[f"{ground.names[number]}_precision"] = float("nan") if value == -1 else value
        return chosen


@dataclass(frozen=True)
class LVISFixedAPMetric(Gathered):
    """LVIS's average precision of the k best results of each category over all images; mmdet's LVISFixedAPMetric.

    Args:
        ann_file: LVIS's annotation file; read when numbers are computed.
        topk: k.
        backend_args: the storage of ``ann_file``.
        format_only: mmdet's word; results are not written.
        outfile_prefix: likewise.

    Numbers: ``lvis_fixed_ap/AP``, ``AP50``, ``APr``, ...
    """

    default_prefix: ClassVar[str | None] = "lvis_fixed_ap"

    ann_file: str = ""
    topk: int = 10000
    format_only: bool = False
    outfile_prefix: str | None = None
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ann_file:
            raise FkitValueError("LVISFixedAPMetric counts by LVIS's annotation file.", repair="Set ann_file.")
        if self.topk < 1:
            raise FkitValueError(f"LVISFixedAPMetric: topk = {self.topk}: at least 1.")

    def record(self, sample: Sample) -> Any:
        return CocoMetric(ann_file=self.ann_file).record(sample)

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        ground = ground_file(self.ann_file, self.backend_args, self.classes, who="LVISFixedAPMetric")
        by_category: dict[Any, list[dict[str, Any]]] = {}
        for line in results(rows, ground, "bbox", "LVISFixedAPMetric"):
            by_category.setdefault(line["category_id"], []).append(line)
        best = [line for lines in by_category.values() for line in sorted(lines, key=_by_score)[: self.topk]]
        numbers = _summary(counted(ground, best, "bbox", max(len(best), 1)), ground)
        return {name: numbers[name] for name in _PRECISIONS}


def counted(ground: Ground, lines: Sequence[Mapping[str, Any]], kind: str, most: int) -> Mapping[str, Any]:
    """`fkit.metric.ground.evaluated` of the results whose category an image is annotated for."""
    expect(ground, Ground, "`ground` is the truth")
    known = {
        number: {row["category_id"] for row in ground.annotations[number]}
        | set(ground.rows[number].get("neg_category_ids", ()))
        for number in ground.images
    }
    partial = {number: tuple(row.get("not_exhaustive_category_ids", ())) for number, row in ground.rows.items()}
    plain = ground._replace(
        annotations={
            number: tuple({**row, "iscrowd": 0} for row in several) for number, several in ground.annotations.items()
        }
    )
    kept = [line for line in lines if line["category_id"] in known[line["image_id"]]]
    return evaluated(plain, kept, kind, [most], _THRESHOLDS, partial)


def _best(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The 300 best results of each image."""
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        by_image.setdefault(line["image_id"], []).append(line)
    return [
        line
        for several in by_image.values()
        for line in (several if len(several) <= _MOST else sorted(several, key=_by_score)[:_MOST])
    ]


def _by_score(line: Mapping[str, Any]) -> float:
    return -cast(float, line["score"])


def _recall_names() -> tuple[str, ...]:
    return (f"AR@{_MOST}", *(f"AR{size}@{_MOST}" for size in _SIZES))


def _summary(table: Mapping[str, Any], ground: Ground) -> dict[str, float]:
    precision, recall = table["precision"][..., -1], table["recall"][..., -1]
    numbers = {
        "AP": _mean(precision[:, :, :, 0]),
        "AP50": _mean(precision[0, :, :, 0]),
        "AP75": _mean(precision[5, :, :, 0]),
    }
    numbers |= {f"AP{size}": _mean(precision[:, :, :, at]) for size, at in _SIZES.items()}
    order = np.unique(ground.used).tolist()
    for group in "rcf":
        places = [at for at, number in enumerate(order) if ground.groups.get(number) == group]
        numbers[f"AP{group}"] = _mean(precision[:, :, places, 0]) if precision.shape[2] == len(order) else -1.0
    sizes = (0, *_SIZES.values())
    return numbers | {name: _mean(recall[:, :, at]) for name, at in zip(_recall_names(), sizes, strict=True)}


def _mean(values: NDArray[Any]) -> float:
    there = values[values > -1]
    return float(np.mean(there)) if there.size else -1.0
