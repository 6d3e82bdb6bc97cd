"""``evaluation.metric`` of mmcv 1.x's packages -> evaluators."""

import os
from collections.abc import Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.config.dialect.work import Table

__all__ = ["evaluators"]

_SEGMENTATION = ("mIoU", "mDice", "mFscore")
_DETECTION = ("bbox", "segm", "proposal", "proposal_fast", "keypoints")
_PER_CLASS = frozendict(CP="precision", CR="recall", CF1="f1-score")
_OVERALL = frozendict(OP="precision", OR="recall", OF1="f1-score")
_SINGLE = frozendict(precision="precision", recall="recall", f1_score="f1-score", support="support")
_POSES = frozendict(PCK="PCKAccuracy", PCKh="MpiiPCKAccuracy", AUC="AUC", EPE="EPE", NME="NME")


def evaluators(package: str | None, metric: Any, options: Table, dataset: Table) -> tuple[list[Table], Table]:
    """The evaluators of a metric's names, and the options that none of them takes; no evaluators where a name is unknown.

    Args:
        package: whose vocabulary it is.
        metric: a name or several.
        options: what else ``evaluation`` said of the metric.
        dataset: what is measured on, in today's vocabulary.

    Example:
        >>> evaluators("mmseg", ["mIoU"], {}, {"type": "ADE20KDataset"})
        ([{'type': 'IoUMetric', 'iou_metrics': ['mIoU']}], {})
    """
    names: list[str] = (
        [str(name) for name in metric] if isinstance(metric, (list, tuple)) else [] if metric is None else [str(metric)]
    )
    options = {key: value for key, value in options.items() if value is not None}
    if not names:
        return [], options
    if package == "mmpose":
        return _pose(names, options, dataset)
    if all(name in _SEGMENTATION for name in names):
        return [{"type": "IoUMetric", "iou_metrics": names}], options
    if all(name in _DETECTION for name in names):
        return [_coco(dataset, options, metric=metric)], options
    kind = str(dataset.get("type", ""))
    if "PQ" in names and all(name in ("PQ", *_DETECTION) for name in names):
        return _panoptic([name for name in names if name != "PQ"], options, dataset)
    if package == "mmpretrain" or names == ["accuracy"]:
        return _classification(names, options)
    if names == ["mAP"] and "Coco" in kind:
        return [_coco(dataset, options)], options
    if names == ["mAP"] or names == ["recall"]:
        return [_voc(names[0], kind, options, dataset)], options
    return [], options


def _path(dataset: Table) -> Any:
    """The annotation file; a metric looks it up by itself, so the dataset's folder stands before it."""
    path, root = dataset.get("ann_file"), dataset.get("data_root")
    if isinstance(path, str) and isinstance(root, str) and root and not os.path.isabs(path) and "://" not in path:
        return os.path.join(root, path)
    return path


def _coco(dataset: Table, options: Table, **more: Any) -> Table:
    for old, new in (("jsonfile_prefix", "outfile_prefix"),):
        if old in options:
            options[new] = options.pop(old)
    kind = "LVISMetric" if str(dataset.get("type", "")).startswith("LVIS") else "CocoMetric"
    return {"type": kind, "ann_file": _path(dataset), **more}


def _panoptic(names: list[str], options: Table, dataset: Table) -> tuple[list[Table], Table]:
    """Panoptic quality, and boxes and masks beside it, whose annotations were ``ins_ann_file``."""
    prefix: Any = dataset.get("data_prefix") or {}
    instances = options.pop("ins_ann_file", None)
    folder = str(prefix.get("seg", "")) if isinstance(prefix, dict) else ""
    seg = os.path.join(str(dataset.get("data_root") or ""), folder)
    several: list[Table] = [{"type": "CocoPanopticMetric", "ann_file": _path(dataset), "seg_prefix": seg}]
    if names:
        several.append({"type": "CocoMetric", "ann_file": instances or _path(dataset), "metric": names})
    return several, options


def _voc(name: str, kind: str, options: Table, dataset: Table) -> Table:
    """The mean over eleven points counted for VOC 2007 and WIDER FACE, and the area for others."""
    if "iou_thr" in options:
        options["iou_thrs"] = options.pop("iou_thr")
    prefix: Any = dataset.get("data_prefix") or {}
    years = "".join(str(one) for one in cast("Any", prefix).values()) if isinstance(prefix, dict) else str(prefix)
    points = "WIDER" in kind or ("VOC" in kind and "2007" in years)
    return {"type": "VOCMetric", "metric": name, **({"eval_mode": "11points"} if points else {})}


def _classification(names: Sequence[str], options: Table) -> tuple[list[Table], Table]:
    measured: Any = options.pop("metric_options", None) or {}
    shared = {key: measured[key] for key in ("thrs",) if isinstance(measured, dict) and key in measured}
    several: list[Table] = []
    for name in names:
        if name == "accuracy":
            topk = measured.get("topk") if isinstance(measured, dict) else None
            several.append({"type": "Accuracy", **({"topk": topk} if topk is not None else {}), **shared})
        elif name == "mAP":
            several.append({"type": "AveragePrecision"})
        elif name not in {*_PER_CLASS, *_OVERALL, *_SINGLE}:
            return [], options
    for table, kind, average in ((_SINGLE, "SingleLabelMetric", "macro"), (_PER_CLASS, "MultiLabelMetric", "macro"), (_OVERALL, "MultiLabelMetric", "micro")):  # fmt: skip
        items = [table[name] for name in names if name in table]
        if items:
            average = (
                measured.get("average_mode", average) if isinstance(measured, dict) and kind[0] == "S" else average
            )
            several.append(
                {"type": kind, "items": items, "average": average, **(shared if kind[0] == "S" else {"thr": 0.5})}
            )
    return several, options


def _pose(names: Sequence[str], options: Table, dataset: Table) -> tuple[list[Table], Table]:
    kind = str(dataset.get("type", ""))
    several: list[Table] = []
    for name in names:
        if name == "mAP":
            crowd = {"use_area": False, "iou_type": "keypoints_crowd"} if kind.startswith("CrowdPose") else {}
            least = {"use_area": False} if kind.startswith("Aic") else {}
            score = "PoseTrack18Metric" if kind.startswith("PoseTrack18") else "CocoMetric"
            several.append({"type": score, "ann_file": _path(dataset), **crowd, **least})
        elif name in _POSES:
            several.append(
                {"type": _POSES[name]}
                | ({"thr": options.pop("pck_thr")} if name == "PCK" and "pck_thr" in options else {})
            )
        else:
            return [], options
    return several, options
