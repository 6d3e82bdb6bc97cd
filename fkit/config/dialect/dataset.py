"""Datasets of mmcv 1.x's time -> today's: prefixes, classes, filters, wrappers, and their pipelines."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.config.dialect.pipeline import measured, pipeline_of
from fkit.config.dialect.row import Ledger, Row

__all__ = ["dataset_of", "package_of"]

_SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder")
_POSES = ("TopDown", "BottomUp", "AssociativeEmbedding")
_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset")
_MEASURED_HERE = ("VOC", "XML", "WIDER", "OpenImages")  # others' metrics read the annotation file
# mmpose 0.x told how a dataset is read by its name
_MODES = (("TopDown", "topdown"), ("BottomUp", "bottomup"))


def package_of(model: Any, datasets: Sequence[Any]) -> str | None:
    """Whose vocabulary an old config has, by its model and its data; None where nothing says so.

    Example:
        >>> package_of({"type": "ImageClassifier"}, []), package_of(None, [{"type": "A", "img_dir": "x"}])
        ('mmpretrain', 'mmseg')
    """
    kind = str(model.get("type", "")) if isinstance(model, dict) else ""
    words: set[str] = set()
    for dataset in datasets:
        _words(dataset, words)
    if kind.startswith(_POSES) or any(word.startswith(("TopDown", "BottomUp")) for word in words):
        return "mmpose"
    if (
        kind in _SEGMENTORS
        or {"img_dir", "ann_dir"} & words
        or ("gt_semantic_seg" in words and "gt_bboxes" not in words)
    ):
        return "mmseg"
    if kind == "ImageClassifier" or {"gt_label", "flip_prob"} & words:
        return "mmpretrain"
    if {"RResize", "RRandomFlip", "PolyRandomRotate"} & words:
        return "mmrotate"
    return "mmdet" if {"img_prefix", "gt_bboxes", "DefaultFormatBundle", "MultiScaleFlipAug"} & words else None


def _words(node: Any, words: set[str]) -> None:
    """The names of an old dataset that tell packages apart: its keys, its steps, what they collect."""
    if isinstance(node, dict):
        for key, value in cast("dict[Any, Any]", node).items():
            words.add(str(key))
            if key == "type" and isinstance(value, str):
                words.add(value)
            elif key == "keys" and isinstance(value, (list, tuple)):
                words |= {str(one) for one in cast("Sequence[Any]", value)}
            elif isinstance(value, (dict, list, tuple)) and key not in (
                "metainfo",
                "dataset_info",
                "classes",
                "palette",
            ):
                _words(value, words)
    elif isinstance(node, (list, tuple)):
        for one in cast("Sequence[Any]", node):
            _words(one, words)


def dataset_of(ledger: Ledger, dataset: Any) -> Any:
    """A dataset in today's vocabulary; a list of several is their ConcatDataset."""
    if isinstance(dataset, (list, tuple)):
        parts = [dataset_of(ledger, one) for one in cast("Sequence[Any]", dataset)]
        return parts[0] if len(parts) == 1 else {"type": "ConcatDataset", "datasets": parts}
    if not isinstance(dataset, dict):
        return dataset
    row = ledger.row(cast(Any, dataset))
    if row.name in _WRAPPERS:
        return _wrapped(ledger, row)
    if row.old.get("data_cfg") is not None:
        ledger = ledger.of(row.old["data_cfg"])
    if "pipeline" in row.old:
        row.put("pipeline", _pipeline(ledger, row))
    rule = _RULES.get(ledger.package or "")
    return row.node() if rule is None else rule(ledger, row)


def _pipeline(ledger: Ledger, row: Row) -> Any:
    """The dataset's pipeline; of test images, with what they are measured against."""
    steps = pipeline_of(ledger, row.take("pipeline"))
    if ledger.train:
        return steps
    if ledger.package == "mmpretrain":
        return measured(ledger, steps, None, ["gt_label"])
    if ledger.package == "mmseg":
        return measured(ledger, steps, {"type": "LoadAnnotations"}, ["gt_semantic_seg"])
    if ledger.package == "mmdet" and row.name.startswith(_MEASURED_HERE):
        return measured(ledger, steps, {"type": "LoadAnnotations", "with_bbox": True}, ["gt_bboxes", "gt_labels"])
    return steps


def _wrapped(ledger: Ledger, row: Row) -> Any:
    for key in ("dataset", "datasets"):
        if key in row.old:
            inner = row.take(key)
            parts = isinstance(inner, (list, tuple)) and key == "datasets"
            row.put(key, [dataset_of(ledger, one) for one in inner] if parts else dataset_of(ledger, inner))
    if "pipeline" in row.old:
        row.put("pipeline", pipeline_of(ledger, row.take("pipeline")))
    row.drop("separate_eval")  # one score of all parts is what is measured
    row.drop("dynamic_scale", why="has no counterpart.")
    if row.name == "ClassBalancedDataset":
        row.drop("filter_empty_gt")  # the dataset inside filters
    return row.node()


def _classes(row: Row, *more: str) -> None:
    """``classes`` (and ``palette``) -> ``metainfo``."""
    meta: dict[str, Any] = dict(row.take("metainfo") or {})
    for key in ("classes", *more):
        value = row.take(key)
        if value is not None:
            meta[key] = value
            row.put("metainfo", meta, key)
    if meta:
        row.put("metainfo", meta, next((key for key in ("classes", *more) if key in row.old_marks), "metainfo"))


def _parts(row: Row, keys: Sequence[str], make: Callable[[Row], Any], ledger: Ledger) -> Any:
    """One dataset; or, where a file or a folder is a list, one for each of them, joined."""
    count = max((len(row.old[key]) for key in keys if isinstance(row.old.get(key), (list, tuple))), default=0)
    if not count:
        return make(row)
    several: list[Any] = []
    for place in range(count):
        part = ledger.row(row.node())
        part.old_marks = row.old_marks
        for key in keys:
            value: Any = part.old.get(key)
            if isinstance(value, (list, tuple)) and place < len(cast("Sequence[Any]", value)):
                part.old[key] = value[place]
        several.append(make(part))
    return ledger.new(row, type="ConcatDataset", datasets=several)


def _detection(ledger: Ledger, row: Row) -> Any:
    """mmdet 2.x: img_prefix, seg_prefix, classes, filter_empty_gt; small images were always left out of training."""

    def make(part: Row) -> Any:
        prefix: dict[str, Any] = {}
        xml = part.name in ("VOCDataset", "XMLDataset", "WIDERFaceDataset")
        for old, new in (
            ("img_prefix", "sub_data_root" if part.name == "VOCDataset" else "img"),
            ("seg_prefix", "seg"),
        ):
            value = part.take(old)
            if value is not None:
                prefix[new] = value
                part.put("data_prefix", prefix, old)
        _classes(part, "palette")
        if part.name == "CustomDataset":
            ledger.say(part, "type", "CustomDataset of mmdet 2.x reads a format of its own, which nothing reads today.")
        empty, least = part.take("filter_empty_gt", True), part.take("min_size")
        if not part.old.get("test_mode", not ledger.train):
            cfg = {"filter_empty_gt": empty, "min_size": 32}
            least = 17 if least is None and part.name == "WIDERFaceDataset" else least
            part.put(
                "filter_cfg",
                {**cfg, **({"bbox_min_size": least} if xml and least is not None else {})},
                "filter_empty_gt",
            )
        return part.node()

    return _parts(row, ("ann_file", "img_prefix", "seg_prefix", "proposal_file"), make, ledger)


def _segmentation(ledger: Ledger, row: Row) -> Any:
    """mmseg 0.x: img_dir, ann_dir, split, classes and palette."""

    def make(part: Row) -> Any:
        prefix: dict[str, Any] = {}
        for old, new in (("img_dir", "img_path"), ("ann_dir", "seg_map_path")):
            value = part.take(old)
            if value is not None:
                prefix[new] = value
                part.put("data_prefix", prefix, old)
        _classes(part, "palette")
        part.rename("split", "ann_file")
        if part.items.get("ann_file", "") is None:
            part.items.pop("ann_file")
        part.drop("gt_seg_map_loader_cfg", why="has no counterpart: LoadAnnotations of the pipeline reads maps.")
        return (part.put("type", "BaseSegDataset") if part.name == "CustomDataset" else part).node()

    return _parts(row, ("img_dir", "ann_dir", "split"), make, ledger)


_BY_SPLIT = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "StanfordCars", "CUB")


def _classification(ledger: Ledger, row: Row) -> Any:
    """mmcls: classes; where test_mode chose the half, ``split`` says it; files told from the folder of them all."""
    _classes(row)
    name, test = row.name, row.old.get("test_mode", not ledger.train)
    if name in _BY_SPLIT:
        row.put("split", "test" if test else "train", "test_mode")
    if name == "StanfordCars":
        row.rename("data_prefix", "data_root")
    elif name == "VOC":
        root, path = row.take("data_prefix", ""), row.take("ann_file")
        row.put("data_root", root, "data_prefix")
        if path is not None:
            row.put("split", "", "ann_file").put("image_set_path", os.path.relpath(path, root or "."), "ann_file")
        row.drop("difficult_as_postive", why="has no counterpart: hard objects are in gt_label_difficult.")
    elif name == "CUB" and isinstance(row.old.get("ann_file"), str):
        root, path = os.path.split(row.take("ann_file"))
        row.put("data_root", root, "ann_file").put("ann_file", path)
        row.drop("image_class_labels_file", "train_test_split_file")  # they lie beside it
        if isinstance(row.old.get("data_prefix"), str):
            row.put("data_prefix", os.path.relpath(row.take("data_prefix"), root or "."))
    row.drop("recursion_subdir")  # folders are read with those inside them
    return row.node()


def _pose(ledger: Ledger, row: Row) -> Any:
    """mmpose 0.x: img_prefix, data_cfg, dataset_info; how samples are cut was told by the name."""
    cfg: Mapping[str, Any] = row.take("data_cfg") or {}
    name = row.name
    for start, mode in _MODES:
        if name.startswith(start):
            row.put("type", name.removeprefix(start), "type").put("data_mode", mode, "type")
    prefix = row.take("img_prefix")
    if prefix is not None:
        row.put("data_prefix", {"img": prefix}, "img_prefix")
    info = row.take("dataset_info")
    if info is not None:
        row.put("metainfo", info, "dataset_info")
    boxes = cfg.get("bbox_file")
    if boxes and not ledger.train and not cfg.get("use_gt_bbox", False):
        row.put("bbox_file", boxes, "data_cfg")
        least = cfg.get("det_bbox_thr", 0.0)
        if least:
            row.put("filter_cfg", {"bbox_score_thr": least}, "data_cfg")
    return row.node()


_RULES: Mapping[str, Callable[[Ledger, Row], Any]] = frozendict(
    mmdet=_detection, mmseg=_segmentation, mmpretrain=_classification, mmpose=_pose
)
