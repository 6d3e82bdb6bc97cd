"""Predictions in the files of others: mmengine's DumpResults, results.pkl of MMDetection 2 and its kin, COCO's results."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.fileio.io import load
from fkit.format.pth import read_pickled
from fkit.metric.kept import Predictions, is_kept, read_kept
from fkit.structures.coco import coco_mask
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted

__all__ = ["open_predictions"]

_READ = (
    "Read are: what `fkit test --predictions` writes; .pkl of mmengine's DumpResults and DumpDetResults, and of `tools/test.py --out`"
    " of MMDetection 2, MMClassification and MMSegmentation 0; .json of COCO's results."
)
_WORDS = ("class_scores", "pred_score", "pred_label", "pred_class")  # of MMClassification


def open_predictions(
    file: str | os.PathLike[str], classes: int | None = None, categories: Callable[[], Sequence[Any]] | None = None
) -> Predictions:
    """A file of predictions, of the kit's or of another's.

    A pickle is read as data: nothing of it is run.

    Args:
        file: its path.
        classes: how many there are; None where that is not known.
        categories: gives COCO's category id of each label; asked for COCO's results alone.

    Raises:
        FkitError: it is not there, is none, is cut off or was changed, has a sample twice, or is of another number of classes.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.bbox.json"
        >>> _ = file.write_text(json.dumps([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]))
        >>> open_predictions(file, categories=lambda: (9, 3)).read(7)["pred_instances"]["labels"].tolist()
        [1]
    """
    expect(file, (str, os.PathLike), "`file` is the path of a file of predictions")
    name, end = os.fspath(file), Path(file).suffix.lower()
    if is_kept(file):
        return read_kept(file)
    if not os.path.getsize(file):
        raise FkitValueError(f"{name}: is empty: it has 0 bytes.")
    if end == ".json":
        if categories is None:
            raise FkitValueError(f"{name}: results of COCO's need the category ids of the labels.")
        return _coco(name, load(name, "json"), categories())
    if end in (".pkl", ".pickle"):
        try:
            content = read_pickled(Path(file).read_bytes(), name)
        except FkitError as error:
            raise FkitValueError(error.what, repair=_READ) from error
        return _listed(name, content, classes)
    raise FkitValueError(f"{name}: is no file of predictions that is read.", repair=_READ)


def _listed(name: str, content: Any, classes: int | None) -> Predictions:
    """What a pickle holds: a list of one value a sample; or MMClassification's mapping of such lists."""
    if isinstance(content, Mapping) and any(word in content for word in _WORDS):
        content = _columns(name, cast("Mapping[str, Any]", content))
    if (
        not isinstance(content, Sequence)
        or isinstance(content, (str, bytes))
        or not len(cast("Sequence[Any]", content))
    ):
        raise FkitTypeError(
            f"{name}: holds {quoted(content, 60)}, not a list of what is predicted of each sample.", repair=_READ
        )
    listed = cast("Sequence[Any]", content)
    if all(isinstance(row, Mapping) for row in listed):
        return _mapped(name, cast("Sequence[Mapping[str, Any]]", listed))
    return Predictions(
        name, "place", range(len(listed)), lambda at: _second(listed[at], f"{name}: sample {at}", classes)
    )


def _columns(name: str, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """MMClassification's mapping as one mapping a sample."""
    for theirs, ours in (("class_scores", "pred_score"), ("pred_label", "pred_label")):
        if theirs in content:
            return [{ours: np.asarray(row)} for row in content[theirs]]
    raise FkitValueError(
        f"{name}: has neither 'class_scores' nor 'pred_label'.", choices=content, label="Keys", repair=_READ
    )


def _mapped(name: str, rows: Sequence[Mapping[str, Any]]) -> Predictions:
    """A mapping a sample: known by sample_idx or img_id where each has one, else by its place."""
    for by in ("sample_idx", "img_id"):
        keys = [_key(row.get(by)) for row in rows]
        if all(key is not None for key in keys):
            table = dict(zip(keys, rows, strict=True))
            if len(table) == len(rows):
                return Predictions(name, by, table.keys(), table.__getitem__)
            twice = next(key for at, key in enumerate(keys) if key in keys[:at])
            raise FkitValueError(f"{name}: has {by} {twice!r} twice.", repair="Leave one of the two out.")
    return Predictions(name, "place", range(len(rows)), rows.__getitem__)


def _key(value: Any) -> Any:
    plain = value.item() if isinstance(value, (np.generic, np.ndarray)) and value.size == 1 else value
    return plain if isinstance(plain, (int, str)) else None


def _second(row: Any, where: str, classes: int | None) -> Mapping[str, Any]:
    """What the first generation's models gave of a sample.

    Args:
        row: boxes (n, 5) of each class, alone or with the masks of each class; boxes (n, 5); (C,) scores; or a map (H, W).
    """
    if isinstance(row, np.ndarray):
        array: NDArray[Any] = row
        if array.ndim == 2 and array.dtype.kind in "iub":
            return {"pred_sem_seg": array}
        if array.ndim == 1 and array.dtype.kind == "f":
            _expect_classes(len(array), classes, where, "scores")
            return {"pred_score": array}
        row = (array,)
        classes = None  # of proposals
    parts = cast("Sequence[Any]", row) if isinstance(row, (list, tuple)) else ()
    masks, scores = None, None
    if len(parts) == 2 and all(isinstance(part, (list, tuple)) for part in parts):
        parts, masks = parts
        if len(masks) == 2 and len(parts) != 2:  # Mask Scoring R-CNN's
            masks, scores = masks
    if not parts or not all(isinstance(part, np.ndarray) and part.ndim == 2 and part.shape[1] == 5 for part in parts):
        raise FkitTypeError(f"{where}: {quoted(row, 60)} is no prediction of the first generation's.", repair=_READ)
    _expect_classes(len(parts), classes, where, "boxes")
    table: NDArray[Any] = np.concatenate(parts)
    group: dict[str, Any] = {
        "bboxes": table[:, :4], "scores": table[:, 4],
        "labels": np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
    }  # fmt: skip
    if masks is not None:
        group["masks"] = [mask for several in masks for mask in several]
        if len(group["masks"]) != len(table):
            raise FkitValueError(f"{where}: has {len(table)} boxes and {len(group['masks'])} masks.")
    if scores is not None:
        group["mask_scores"] = np.concatenate([np.asarray(part).reshape(-1) for part in scores])
    return {"pred_instances": group}


def _expect_classes(count: int, classes: int | None, where: str, what: str) -> None:
    if classes is not None and count != classes:
        raise FkitValueError(
            f"{where}: has {what} of {count} classes, and the data set has {classes}.",
            repair="Name those that the model was trained on: test_dataloader.dataset.metainfo.classes=[...].",
        )


def _coco(name: str, content: Any, categories: Sequence[Any]) -> Predictions:
    """COCO's results: a flat list of {"image_id", "category_id", "bbox", "score"}, with "segmentation" where they are masks."""
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in cast("list[Any]", content)):
        form = '[{"image_id": 7, "category_id": 3, "bbox": [x, y, w, h], "score": 0.9}, ...]'
        said = "an annotation file" if isinstance(content, Mapping) and "images" in content else quoted(content, 60)
        raise FkitTypeError(f"{name}: is {said}; results of COCO's are {form}.")
    labels = {number: label for label, number in enumerate(categories) if number is not None}
    masked = any("segmentation" in row for row in cast("list[Mapping[str, Any]]", content))
    table: dict[Any, list[tuple[int, Mapping[str, Any]]]] = {}
    for at, row in enumerate(cast("list[Mapping[str, Any]]", content)):
        for key in ("image_id", "category_id", "score", "segmentation" if masked else "bbox"):
            if key not in row:
                raise FkitValueError(f"{name}: [{at}] has no {key!r}: {quoted(dict(row), 80)}.")
        if row["category_id"] not in labels:
            raise FkitValueError(
                f"{name}: [{at}] is of category_id {row['category_id']!r}, which is none of the data set's.",
                value=str(row["category_id"]), choices=map(str, labels), label="Category ids",
                repair="Score with the annotation file that the predictions are of.",
            )  # fmt: skip
        table.setdefault(row["image_id"], []).append((at, row))

    def read(key: Any) -> Mapping[str, Any]:
        rows = table.get(key, [])
        boxes = np.array([_box(one, f"{name}: [{at}]") for at, one in rows], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        group: dict[str, Any] = {
            "bboxes": boxes,
            "scores": np.array([_number(one["score"], f"{name}: [{at}]") for at, one in rows], np.float64),
            "labels": np.array([labels[one["category_id"]] for _, one in rows], np.int64),
        }
        if masked:
            group["masks"] = [one["segmentation"] for _, one in rows]
        return {"pred_instances": group}

    return Predictions(name, "img_id", table.keys(), read, sparse=True)


def _box(row: Mapping[str, Any], where: str) -> list[float]:
    box: Any = row.get("bbox")
    if box is None:
        return np.asarray(coco_mask().toBbox(row["segmentation"])).tolist()
    if not isinstance(box, list) or len(cast("list[Any]", box)) != 4:
        raise FkitTypeError(f"{where}: bbox is [x, y, w, h], not {quoted(box)}.")
    return [_number(part, where) for part in cast("list[Any]", box)]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FkitTypeError(f"{where}: {quoted(value)} is no number.")
    return float(value)
