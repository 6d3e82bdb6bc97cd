"""The truth that COCO's evaluation counts against, and the evaluation itself, by pycocotools."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from fkit.fileio.io import load
from fkit.structures.coco import coco_mask
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Ground", "coco_of", "coco_tools", "evaluated", "ground_file", "ground_of"]

Row = Mapping[str, Any]


class Ground(NamedTuple):
    """Annotated images.

    Attributes:
        name: where they come from, for messages.
        images: their ids.
        rows: image id -> what is said of it ("width", "height").
        annotations: image id -> its annotations, with "bbox" x y w h, "category_id", "area", "iscrowd".
        categories: label -> category id; None for a class that the file does not have.
        names: category id -> name.
        groups: category id -> "r", "c" or "f", how frequent LVIS says it is.
    """

    name: str
    images: tuple[Any, ...]
    rows: Mapping[Any, Row]
    annotations: Mapping[Any, tuple[Row, ...]]
    categories: tuple[Any, ...]
    names: Mapping[Any, str]
    groups: Mapping[Any, str] = EMPTY

    @property
    def used(self) -> tuple[Any, ...]:
        """The category ids that count, by label."""
        return tuple(number for number in self.categories if number is not None)


def ground_file(
    file: str,
    backend_args: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    ordered: bool = False,
    who: str = "CocoMetric",
) -> Ground:
    """The truth of an annotation file.

    Args:
        file: its path or address.
        backend_args: the storage.
        classes: names in the order of their labels; None: the file's categories in its order.
        ordered: in the order of their ids.
        who: for messages.

    Raises:
        FkitError: there is no such file, or it is none of COCO's; or it has none of the classes.
    """
    expect(file, str, "`file` is an annotation file's path")
    whole: Any = load(file, "json", backend_args=backend_args)
    if not isinstance(whole, Mapping) or "images" not in whole:
        raise FkitTypeError(f'{who}: {file} is no annotation file of COCO\'s: it has no "images".')
    content = cast("Mapping[str, Any]", whole)
    names = {row["id"]: row["name"] for row in content.get("categories", ())}
    groups = {row["id"]: row["frequency"] for row in content.get("categories", ()) if "frequency" in row}
    if classes is None:
        categories = tuple(sorted(names)) if ordered else tuple(names)
    else:
        ids = {name: number for number, name in names.items()}
        categories = tuple(ids.get(name) for name in classes)
        if names and all(number is None for number in categories):
            raise FkitValueError(
                f"{who}: {file} has none of the {len(categories)} classes.", value=classes[0], choices=ids, label="Categories",
                repair="Name the file's: metainfo=dict(classes=(...)) of the data set.",
            )  # fmt: skip
    rows = {row["id"]: row for row in content["images"]}
    by_image: dict[Any, list[Row]] = {number: [] for number in rows}
    for row in content.get("annotations", ()):
        box = row.get("bbox", (0, 0, 0, 0))
        if row["image_id"] in by_image:
            by_image[row["image_id"]].append({"iscrowd": 0, "area": box[2] * box[3], **row})
    annotated = {key: tuple(several) for key, several in by_image.items()}
    return Ground(file, tuple(rows), rows, annotated, categories, names, groups)


def ground_of(rows: Sequence[Any], classes: Sequence[str] | None = None) -> Ground:
    """The truth that came with the samples: ``truth`` and ``img_id`` of each row.

    Args:
        rows: those of `fkit.metric.coco.CocoMetric`.
        classes: names in the order of their labels; None: as many as there are labels, named by number.
    """
    if classes is None:
        most = max((int(part.max(initial=-1)) for row in rows for part in _labels(row)), default=-1)
        classes = tuple(map(str, range(most + 1)))
    images: dict[Any, Row] = {}
    annotations: dict[Any, tuple[Row, ...]] = {}
    count = 0
    for row in rows:
        truth, number = row.get("truth"), row["img_id"]
        size = None if truth is None else truth["size"]
        images[number] = {"id": number} | ({} if size is None else {"height": size[0], "width": size[1]})
        several: list[Row] = []
        if truth is not None:
            several = [_annotation(truth, at, count + at + 1, number) for at in range(len(truth["boxes"]))]
        count += len(several)
        annotations[number] = tuple(several)
    names = dict(enumerate(classes))
    return Ground("the samples", tuple(images), images, annotations, tuple(names), names)


def coco_of(ground: Ground, lines: Sequence[Row] | None = None, kind: str = "bbox") -> Any:
    """pycocotools' COCO of the truth; or of results, as its ``loadRes`` makes them.

    Args:
        ground: the truth.
        lines: results, as `fkit.metric.coco.results` gives them.
        kind: "bbox", or "segm": the area is the mask's.
    """
    expect(ground, Ground, "`ground` is the truth")
    COCO, _ = coco_tools()
    coco = COCO()
    images = [{**row} for row in ground.rows.values()]
    categories = [{"id": number, "name": name} for number, name in ground.names.items()]
    if lines is None:
        annotations = [dict(one) for several in ground.annotations.values() for one in several]
    else:
        annotations = [_result(line, at + 1, kind) for at, line in enumerate(lines)]
    coco.dataset = {"images": images, "categories": categories, "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def evaluated(
    ground: Ground,
    lines: Sequence[Row],
    kind: str,
    counts: Sequence[int],
    thresholds: Sequence[float],
    partial: Mapping[Any, Sequence[Any]] = EMPTY,
) -> Mapping[str, Any]:
    """What pycocotools' COCOeval accumulates: precisions (T, R, K, A, M) and recalls (T, K, A, M).

    Args:
        ground: the truth.
        lines: results.
        kind: "bbox", "segm", or "proposal": boxes of no class.
        counts: how many results of an image count.
        thresholds: of the overlap.
        partial: image id -> categories of which it shows more objects than are annotated: results that match none of these
            do not count.

    Raises:
        FkitError: pycocotools is not installed, or cannot read a mask.
    """
    _, COCOeval = coco_tools()
    masks = kind == "segm"
    evaluation: Any = COCOeval(coco_of(ground), coco_of(ground, lines, kind), "segm" if masks else "bbox")
    evaluation.params.imgIds = list(ground.images)
    evaluation.params.catIds = list(ground.used)
    evaluation.params.maxDets = list(counts)
    evaluation.params.iouThrs = np.array(thresholds)
    evaluation.params.useCats = int(kind != "proposal")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            for one in evaluation.evalImgs if partial else ():
                if one is not None and one["category_id"] in partial.get(one["image_id"], ()):
                    one["dtIgnore"] = np.logical_or(one["dtIgnore"], one["dtMatches"] == 0)
            evaluation.accumulate()
    except KeyError as cause:
        raise FkitValueError(
            f"{ground.name}: an annotation has no {cause}, which metric={kind!r} needs.",
            repair="Take an annotation file with masks, or metric='bbox'." if masks else "",
        ) from cause
    return cast("Mapping[str, Any]", evaluation.eval)


def coco_tools() -> tuple[Any, Any]:
    """The classes COCO and COCOeval of pycocotools, or an error that says how to get it.

    Example:
        >>> [one.__name__ for one in coco_tools()]
        ['COCO', 'COCOeval']
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as cause:
        raise FkitImportError(
            "COCO's evaluation needs the package pycocotools.", repair="pip install 'fkit-vision[coco]'"
        ) from cause
    return COCO, COCOeval


def _labels(row: Row) -> list[Any]:
    return [row["labels"], *([row["truth"]["labels"]] if "truth" in row else [])]


def _annotation(truth: Row, at: int, number: int, image: Any) -> Row:
    x1, y1, x2, y2 = (float(side) for side in truth["boxes"][at])
    masks, box = truth["masks"], [x1, y1, x2 - x1, y2 - y1]
    row: dict[str, Any] = {
        "id": number, "image_id": image, "bbox": box, "iscrowd": int(truth["ignored"][at]),
        "category_id": int(truth["labels"][at]), "area": box[2] * box[3],
    }  # fmt: skip
    if masks is not None:
        mask = masks[at]
        row["segmentation"] = dict(mask) if isinstance(mask, Mapping) else [list(part) for part in mask]
        if isinstance(mask, Mapping) and isinstance(mask["counts"], str):
            row["area"] = float(coco_mask().area({"size": list(mask["size"]), "counts": mask["counts"].encode()}))
    return row


def _result(line: Row, number: int, kind: str) -> dict[str, Any]:
    row: dict[str, Any] = {**line, "id": number, "iscrowd": 0}
    if kind == "segm":  # the area of a result is its mask's, not its box's
        row["area"] = float(coco_mask().area(row["segmentation"]))
        row["bbox"] = coco_mask().toBbox(row["segmentation"]).tolist()
    else:
        row["area"] = row["bbox"][2] * row["bbox"][3]
    return row
