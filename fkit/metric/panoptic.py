"""Panoptic quality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.fileio.io import load
from fkit.image.io import imread
from fkit.metric.gathered import Gathered
from fkit.metric.sample import Sample, field
from fkit.metric.segmentation import map_of
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["CocoPanopticMetric"]

_OFFSET = 1000  # a predicted segment's number is instance * 1000 + label
_NOTHING = -1


@dataclass(frozen=True)
class CocoPanopticMetric(Gathered):
    """Panoptic quality as COCO counts it; mmdet's CocoPanopticMetric, whose per cent are fractions here. The package
    panopticapi is not needed.

    A sample has ``pred_panoptic_seg`` (H, W), instance * 1000 + label a pixel, where a label that is the number of classes
    stands for nothing; ``img_id``; and the truth: ``gt_panoptic_seg`` (H, W) of segments' numbers, or the picture
    ``seg_map_path`` (``seg_prefix`` and the image's name by default) whose pixels are such numbers as R + 256 G + 65536 B.

    Args:
        ann_file: COCO's panoptic annotation file, which says what the segments are; read when numbers are computed. None: the
            sample's ``segments_info`` says it: ``{"id", "category", "is_thing"}`` each.
        seg_prefix: the folder of the truth's pictures.
        classwise: give each class's numbers too: ``PQ/cat``.
        backend_args: the storage.
        format_only: mmdet's word; results are not written.
        outfile_prefix: likewise.
        nproc: likewise; one process counts.

    Numbers: ``coco_panoptic/PQ``, ``SQ``, ``RQ``, and of things and stuff alone ``PQ_th``, ``PQ_st``, ...
    """

    default_prefix: ClassVar[str | None] = "coco_panoptic"

    ann_file: str | None = None
    seg_prefix: str | None = None
    classwise: bool = False
    format_only: bool = False
    outfile_prefix: str | None = None
    nproc: int = 32
    backend_args: Mapping[str, Any] | None = None

    def record(self, sample: Sample) -> Any:
        said = map_of(sample, "pred_panoptic_seg", "CocoPanopticMetric").astype(np.int64)
        truth = self._truth(sample)
        if said.shape != truth.shape:
            raise FkitTypeError(
                f"CocoPanopticMetric: a prediction of {said.shape} pixels for a truth of {truth.shape}."
            )
        both, counts = np.unique(np.stack((truth.ravel(), said.ravel()), axis=1), axis=0, return_counts=True)
        row: dict[str, Any] = {
            "img_id": _plain(sample.get("img_id", sample["sample_idx"])),
            "pairs": both,
            "counts": counts,
        }
        if self.ann_file is None:
            row["segments"] = tuple(
                {"id": int(one["id"]), "label": int(one["category"]), "thing": bool(one.get("is_thing", True))}
                for one in field(sample, "segments_info", "CocoPanopticMetric")
            )
        return row

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        names, things, segments = self._file() if self.ann_file is not None else self._samples(rows)
        table = np.zeros((len(names), 4))  # overlaps' sum, hits, false results, missed segments
        for row in rows:
            wrong = row["pairs"][row["pairs"][:, 1] % _OFFSET > len(names), 1]
            if wrong.size:
                raise FkitValueError(
                    f"CocoPanopticMetric: pred_panoptic_seg of image {row['img_id']!r} has {wrong[0]}, whose label"
                    f" {wrong[0] % _OFFSET} is none of {len(names)} classes, nor {len(names)}, which stands for nothing."
                )
            if row["img_id"] not in segments:
                raise FkitValueError(f"CocoPanopticMetric: the image {row['img_id']!r} is not in {self.ann_file}.")
            _count(table, row, segments[row["img_id"]], len(names))
        overlap, hits, false, missed = table.T
        whole = hits + (false + missed) / 2
        seen, least = whole > 0, np.maximum(whole, 0.5)
        each = np.stack((overlap / least, overlap / np.maximum(hits, 1), hits / least), axis=1)
        numbers: dict[str, float] = {}
        for suffix, chosen in (("", seen), ("_th", seen & things), ("_st", seen & ~things)):
            mean = each[chosen].mean(axis=0) if chosen.any() else np.zeros(3)
            numbers |= {f"{word}{suffix}": float(value) for word, value in zip(("PQ", "SQ", "RQ"), mean, strict=True)}
        for name, one in zip(names, each, strict=True) if self.classwise else ():
            numbers |= {f"{word}/{name}": float(value) for word, value in zip(("PQ", "SQ", "RQ"), one, strict=True)}
        return numbers

    def _truth(self, sample: Sample) -> NDArray[np.int64]:
        if "gt_panoptic_seg" in sample:
            return map_of(sample, "gt_panoptic_seg", "CocoPanopticMetric").astype(np.int64)
        path = sample.get("seg_map_path")
        if path is None and self.seg_prefix is not None and "img_path" in sample:
            path = Path(self.seg_prefix) / f"{Path(str(sample['img_path'])).stem}.png"
        if path is None:
            raise FkitKeyError(
                "CocoPanopticMetric needs 'gt_panoptic_seg' or 'seg_map_path' of each sample.", choices=sample,
                label="The sample has", repair="Or set seg_prefix, the folder of the truth's pictures.",
            )  # fmt: skip
        picture: Any = imread(path, "color", "rgb", backend_args=self.backend_args)
        return picture.astype(np.int64) @ np.array([1, 256, 65536])

    def _file(self) -> tuple[tuple[str, ...], NDArray[np.bool_], Mapping[Any, Sequence[Mapping[str, Any]]]]:
        content: Any = load(cast(str, self.ann_file), "json", backend_args=self.backend_args)
        expect(content, Mapping, f"CocoPanopticMetric: {self.ann_file}: annotations are a mapping")
        rows = content.get("categories", ())
        if self.classes is not None:
            by_name = {row["name"]: row for row in rows}
            lacking = [name for name in self.classes if name not in by_name]
            if lacking:
                raise FkitValueError(
                    f"{self.ann_file} has no category {lacking[0]!r}.", value=lacking[0], choices=by_name
                )
            rows = [by_name[name] for name in self.classes]
        labels = {row["id"]: label for label, row in enumerate(rows)}
        segments = {
            one["image_id"]: tuple(
                {"id": part["id"], "label": labels[part["category_id"]], "crowd": bool(part.get("iscrowd", 0))}
                for part in one["segments_info"] if part["category_id"] in labels
            )
            for one in content.get("annotations", ())
        }  # fmt: skip
        things = np.array([bool(row.get("isthing", 1)) for row in rows], bool)
        return tuple(row["name"] for row in rows), things, segments

    def _samples(
        self, rows: NDArray[Any]
    ) -> tuple[tuple[str, ...], NDArray[np.bool_], Mapping[Any, Sequence[Mapping[str, Any]]]]:
        names = self.classes
        if names is None:
            raise FkitValueError(
                "CocoPanopticMetric does not know the classes.",
                repair="Set ann_file, or metainfo=dict(classes=(...), thing_classes=(...)).",
            )
        said = self.metainfo.get("thing_classes", self.metainfo.get("THING_CLASSES", names))
        things = np.array([name in said for name in names], bool)
        segments = {
            row["img_id"]: tuple(
                {"id": one["id"], "label": one["label"], "crowd": bool(things[one["label"]]) and not one["thing"]}
                for one in row["segments"]
            )
            for row in rows
        }
        return names, things, segments


def _count(table: NDArray[Any], row: Mapping[str, Any], segments: Sequence[Mapping[str, Any]], classes: int) -> None:
    """Count an image's segments: one is hit by a result of its class that it overlaps by more than half."""
    pairs = {(int(a), int(b)): int(n) for (a, b), n in zip(row["pairs"], row["counts"], strict=True)}
    real = {one["id"]: one for one in segments}
    sizes: dict[int, int] = {}
    areas: dict[int, int] = {}
    for (segment, result), count in pairs.items():
        areas[segment] = areas.get(segment, 0) + count
        if result % _OFFSET < classes and result != _NOTHING:
            sizes[result] = sizes.get(result, 0) + count
    hit: set[int] = set()
    found: set[int] = set()
    for (segment, result), count in sorted(pairs.items()):
        one = real.get(segment)
        if one is None or one["crowd"] or result not in sizes or one["label"] != result % _OFFSET:
            continue
        overlap = count / (sizes[result] + areas[segment] - count - pairs.get((0, result), 0))
        if overlap > 0.5:
            table[one["label"], :2] += overlap, 1
            hit.add(segment)
            found.add(result)
    crowds = {one["label"]: one["id"] for one in segments if one["crowd"]}
    for one in segments:
        table[one["label"], 3] += not one["crowd"] and one["id"] not in hit
    for result, size in sizes.items():
        label = result % _OFFSET
        outside = pairs.get((0, result), 0) + (pairs.get((crowds[label], result), 0) if label in crowds else 0)
        table[label, 2] += result not in found and outside / size <= 0.5


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, (np.generic, np.ndarray)) else number
