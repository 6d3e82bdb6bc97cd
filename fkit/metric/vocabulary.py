"""COCO's evaluation where classes are words: those that a model was trained on and new ones, and whole descriptions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.coco import CocoMetric
from fkit.metric.ground import Ground
from fkit.metric.sample import Sample, field
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["DODCocoMetric", "OVCocoMetric"]

_LENGTHS = (("short", 1, 3), ("mid", 4, 6), ("long", 7, 9), ("very_long", 10, 1 << 30))  # words of a description


@dataclass(frozen=True)
class OVCocoMetric(CocoMetric):
    """`CocoMetric` with the means over the classes that were trained on and over the new ones; mmdet's OVCocoMetric.

    ``metainfo`` has the names: ``base_classes`` and ``novel_classes``.

    Args:
        ann_file, metric, classwise, proposal_nums, iou_thrs, metric_items, format_only, outfile_prefix, backend_args,
            sort_categories, use_mp_eval: as of `CocoMetric`.

    Numbers: also ``coco/base_ap``, ``novel_ap``, ``base_ap50``, ``novel_ap50``, where both boxes and masks are counted
    ``segm_base_ap``, ...
    """

    def _more(self, kind: str, table: Mapping[str, Any], ground: Ground) -> dict[str, float]:
        order, word = np.unique(ground.used), f"{kind}_" if self.twofold else ""
        numbers: dict[str, float] = {}
        for group in ("base", "novel"):
            names = self.metainfo.get(f"{group}_classes")
            if names is None:
                raise FkitKeyError(
                    f"OVCocoMetric needs '{group}_classes'.", choices=self.metainfo, label="metainfo has",
                    repair="Name them: metainfo=dict(classes=..., base_classes=..., novel_classes=...).",
                )  # fmt: skip
            places = [at for at, number in enumerate(order) if ground.names[number] in names]
            precision = table["precision"][:, :, places, 0, -1]
            numbers |= {f"{word}{group}_ap": _mean(precision), f"{word}{group}_ap50": _mean(precision[0])}
        return numbers


@dataclass(frozen=True)
class DODCocoMetric(CocoMetric):
    """Average precision of objects that are described, over all and by how many words the description has; mmdet's
    DODCocoMetric, not rounded.

    A sample has ``pred_instances`` as of `CocoMetric`, whose labels are places in the sample's ``sent_ids``, which are the ids
    of the file's categories.

    Args:
        ann_file: COCO's annotation file, which it needs; the names of its categories are the descriptions.
        metric, classwise, proposal_nums, iou_thrs, metric_items, format_only, outfile_prefix, backend_args, sort_categories,
            use_mp_eval: mmdet's words; boxes are counted, at most 100 an image.

    Numbers: ``dod/mAP``, ``mAP_50``, ``mAP_75``, ``mAP_s``, ``mAP_m``, ``mAP_l``, ``mAP_short`` (of up to 3 words), ``mAP_mid``
    (to 6), ``mAP_long`` (to 9), ``mAP_very_long``; nan where there is no such description.
    """

    default_prefix: ClassVar[str | None] = "dod"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "proposal_nums", (1, 10, 100))
        if self.ann_file is None:
            raise FkitValueError("DODCocoMetric counts by an annotation file.", repair="Set ann_file.")
        if self.metric != ("bbox",):
            raise FkitValueError(f"DODCocoMetric: metric = {self.metric!r}; it counts boxes.", repair="metric='bbox'.")

    def record(self, sample: Sample) -> Any:
        row = super().record(sample)
        sentences: NDArray[Any] = np.asarray(field(sample, "sent_ids", "DODCocoMetric")).reshape(-1)
        labels = row["labels"]
        if labels.size and not 0 <= labels.min() <= labels.max() < len(sentences):
            raise FkitValueError(f"DODCocoMetric: a label of a sample is none of its {len(sentences)} sent_ids.")
        if sentences.size and sentences.dtype.kind not in "iu":
            raise FkitTypeError(f"DODCocoMetric: sent_ids are whole numbers, not {sentences.dtype}.")
        return {**row, "labels": sentences[labels] if labels.size else labels}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        return super().score(rows) if not self.metainfo else replace(self, metainfo={}).score(rows)

    def _lines(self, rows: NDArray[Any], ground: Ground, kind: str) -> list[dict[str, Any]]:
        places = {number: at for at, number in enumerate(ground.categories)}
        whole: list[Mapping[str, Any]] = []
        for row in rows:
            numbers = row["labels"].tolist()
            lacking = [number for number in numbers if number not in places]
            if lacking:
                raise FkitValueError(f"DODCocoMetric: the sent_id {lacking[0]} is no category of {ground.name}.")
            whole.append({**row, "labels": np.array([places[number] for number in numbers], np.int64)})
        return super()._lines(cast("Any", whole), ground, kind)

    def _counted(self, kind: str, lines: list[dict[str, Any]], ground: Ground) -> dict[str, float]:
        numbers = super()._counted(kind, lines, ground)
        return {name.removeprefix("bbox_"): value for name, value in numbers.items()}

    def _more(self, kind: str, table: Mapping[str, Any], ground: Ground) -> dict[str, float]:
        precision = table["precision"][:, :, :, 0, -1]
        words = [len(ground.names[number].split(" ")) for number in np.unique(ground.used)]
        each = [_mean(precision[:, :, at]) for at in range(precision.shape[2])]
        numbers: dict[str, float] = {}
        for name, least, most in _LENGTHS:
            mine = [value for value, count in zip(each, words, strict=True) if least <= count <= most and value > -1]
            numbers[f"mAP_{name}"] = float(np.mean(mine)) if mine else float("nan")
        return numbers


def _mean(values: NDArray[Any]) -> float:
    there = values[values > -1]
    return float(np.mean(there)) if there.size else -1.0
