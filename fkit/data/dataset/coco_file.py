"""COCO's annotation files: images, annotations and categories, read and checked; on numpy alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.fault import Faults
from fkit.fileio.io import load
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError, quoted

__all__ = ["CocoFile", "check_boxes", "mask_fault", "read_coco"]

_FORMAT = 'COCO\'s form is {"images": [...], "annotations": [...], "categories": [...]}.'
Row = dict[str, Any]


@dataclass(frozen=True)
class CocoFile:
    """What a file holds, in its order.

    Attributes:
        file: its name.
        images: {"id", "file_name", "width", "height", ...} each.
        annotations: image id -> its annotations.
        categories: {"id", "name", ...} each.
    """

    file: str
    images: tuple[Row, ...]
    annotations: Mapping[Any, tuple[Row, ...]]
    categories: tuple[Row, ...]

    def category_ids(self, classes: Sequence[str], named: bool = False) -> tuple[Any, ...]:
        """The category id of each class; None for one that the file does not have.

        Args:
            classes: names, in the order of their labels.
            named: whether the user named them: then each has to be there.

        Raises:
            FkitValueError: none of them is there, or one that was named is not.

        Example:
            >>> CocoFile("a.json", (), {}, ({"id": 7, "name": "cat"}, {"id": 3, "name": "dog"})).category_ids(["dog", "cat"])
            (3, 7)
        """
        expect(classes, (list, tuple), "`classes` is a list of names")
        names = [category["name"] for category in self.categories]
        twice = [name for name in classes if names.count(name) > 1]
        if twice:
            raise FkitValueError(
                f"{self.file}: two categories are called {twice[0]!r}: which one is meant is not said.",
                repair="Give each a name of its own in the file.",
            )
        ids = {category["name"]: category["id"] for category in self.categories}
        missing = [name for name in classes if name not in ids]
        if missing and (named or len(missing) == len(classes)):
            raise FkitValueError(
                f"{self.file}: it has no category {missing[0]!r}"
                + ("." if named else f", nor any of the {len(classes)} classes."),
                path="metainfo.classes",
                value=missing[0],
                choices=ids,
                label="Categories",
                repair="Name the file's with metainfo=dict(classes=(...)).",
            )
        return tuple(ids.get(name) for name in classes)


def read_coco(
    file: str, faults: Faults, backend_args: Mapping[str, Any] | None = None, unique: bool = True
) -> CocoFile:
    """Read a file.

    Args:
        file: its path or address.
        faults: where records that are wrong are told. Looked for: images and annotations without id, images without name
            and size, ids that come twice, annotations of images and categories that are not there.
        backend_args: the storage.
        unique: whether an annotation's id may come once only.

    Raises:
        FkitError: there is no such file, or it is no JSON of COCO's form; or a record is wrong.
    """
    expect(file, str, "`file` is an annotation file's path")
    expect(faults, Faults, "`faults` are Faults")
    if not file:
        raise FkitFileNotFoundError("no annotation file is named.", repair="Set ann_file.")
    content: Any = load(file, "json", backend_args=backend_args)
    expect(content, Mapping, f"{file}: annotations are a mapping", _FORMAT)
    for key in ("images", "annotations", "categories"):
        rows = content.get(key, ())
        if key == "images" and key not in content:
            raise FkitValueError(
                f"{file}: it has no 'images'.", choices=map(str, content), label="Keys", repair=_FORMAT
            )
        expect(rows, (list, tuple), f"{file}: {key} is a list", _FORMAT)
    categories = _categories(content.get("categories", ()), file)
    images = _images(content["images"], faults)
    ids = frozenset(category["id"] for category in categories)
    by_image: dict[Any, list[Row]] = {image["id"]: [] for image in images}
    seen: set[Any] = set()
    for place, row in enumerate(content.get("annotations", ())):
        if not isinstance(row, Mapping) or "image_id" not in row:
            faults.add("an annotation without an image_id", _name("annotation", place, row))
        elif not all(_is_key(row.get(key, 0)) for key in ("id", "image_id", "category_id")):
            said = ", ".join(f"{key} {quoted(row[key])}" for key in ("id", "image_id", "category_id") if key in row)
            faults.add("an annotation whose ids are neither numbers nor text", _name("annotation", place, row), said)
        elif row["image_id"] not in by_image:
            what = "an annotation of an image that the file does not have"
            faults.add(what, _name("annotation", place, row), f"image_id {row['image_id']!r}")
        elif unique and row.get("id") in seen and row.get("id") is not None:
            faults.add("an annotation's id that came before", _name("annotation", place, row))
        elif ids and "category_id" in row and row["category_id"] not in ids:
            faults.add("an unknown category", _name("annotation", place, row), f"category_id {row['category_id']!r}")
        else:
            seen.add(row.get("id"))
            by_image[row["image_id"]].append(cast(Row, row))
    return CocoFile(file, images, {key: tuple(rows) for key, rows in by_image.items()}, categories)


def _categories(rows: Sequence[Any], file: str) -> tuple[Row, ...]:
    seen: set[Any] = set()
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping) or "id" not in row or "name" not in row:
            raise FkitTypeError(f"{file}: categories[{place}] is {quoted(row)}: it has an id and a name.")
        if not _is_key(row["id"]) or not isinstance(row["name"], str):
            raise FkitTypeError(f"{file}: categories[{place}] is {quoted(row)}: an id is a number, a name text.")
        if row["id"] in seen:
            raise FkitValueError(f"{file}: the category id {row['id']!r} comes twice.")
        seen.add(row["id"])
    return tuple(rows)


def _images(rows: Sequence[Any], faults: Faults) -> tuple[Row, ...]:
    images: dict[Any, Row] = {}
    for place, row in enumerate(rows):
        name = _name("image", place, row)
        if not isinstance(row, Mapping) or "id" not in row or not (row.get("file_name") or row.get("coco_url")):
            faults.add("an image without an id or a file_name", name)
        elif not _is_key(row["id"]) or not isinstance(row.get("file_name", ""), str):
            said = f"id {quoted(row['id'])}, file_name {quoted(row.get('file_name'))}"
            faults.add("an image whose id is neither a number nor text, or whose file_name is no text", name, said)
        elif row["id"] in images:
            faults.add("an image's id that came before", name)
        elif not all(isinstance(row.get(key, 1), (int, float)) and row.get(key, 1) > 0 for key in ("width", "height")):
            faults.add("an image of no size", name, f"width {row.get('width')!r}, height {row.get('height')!r}")
        else:
            images[row["id"]] = cast(Row, row)
    return tuple(images.values())


def _is_key(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, str))


def _name(kind: str, place: int, row: Any) -> str:
    return f"{kind} {row['id']!r}" if isinstance(row, Mapping) and "id" in row else f"{kind}s[{place}]"


def check_boxes(annotations: Iterable[Row], images: Mapping[Any, Row], faults: Faults) -> NDArray[np.bool_]:
    """Which annotations have a box: four finite numbers (x, y, w, h), of no negative size, not outside of their image.

    Args:
        annotations: with ``bbox`` and ``image_id``.
        images: id -> {"width", "height"}; of one without a size nothing is outside.
        faults: where the others are told.

    Returns:
        (N,) bool.

    Raises:
        FkitValueError: one has not, and ``faults`` raises.

    Example:
        >>> rows = [{"id": 1, "image_id": 0, "bbox": [1, 1, 2, 2]}, {"id": 2, "image_id": 0, "bbox": [9, 0, 2, 2]}]
        >>> check_boxes(rows, {0: {"width": 8, "height": 8}}, Faults("a.json", "skip")).tolist()
        [True, False]
    """
    expect(annotations, Iterable, "`annotations` are annotations, one after the other")
    expect(images, Mapping, "`images` are images by id")
    expect(faults, Faults, "`faults` are Faults")
    rows = list(annotations)
    boxes = np.full((len(rows), 4), np.nan)
    for place, row in enumerate(rows):
        box: Any = row.get("bbox")
        if isinstance(box, (list, tuple)) and len(cast("Sequence[Any]", box)) == 4 and all(
            type(part) is int or type(part) is float for part in cast("Sequence[Any]", box)
        ):  # fmt: skip
            boxes[place] = box
    sizes = np.array([_size(images[row["image_id"]]) for row in rows], dtype=np.float64).reshape(-1, 2)
    with np.errstate(invalid="ignore", over="ignore"):  # 1e300 is no number of a picture either
        whole: NDArray[Any] = np.asarray(np.isfinite(boxes.astype(np.float32)).all(axis=1))
        negative: NDArray[Any] = np.asarray((boxes[:, 2:] < 0).any(axis=1))
        # COCO itself has such boxes: whose reader it is leaves them out
        thin: NDArray[Any] = np.asarray((boxes[:, 2:] < 1).any(axis=1))
        far: Any = (boxes[:, :2] >= sizes) | (boxes[:, :2] + boxes[:, 2:] <= 0)
        outside: Any = far.any(axis=1) & ~thin
    for place in np.flatnonzero(~whole | negative | outside).tolist():
        name = _name("annotation", place, rows[place])
        kind = "a box that is not four finite numbers" if not whole[place] else (
            "a box of a negative size" if negative[place] else "a box outside of its image"
        )  # fmt: skip
        size = "x".join(f"{number:g}" for number in sizes[place])
        detail = f"bbox {quoted(rows[place].get('bbox'))}" + (f", image {size}" if outside[place] else "")
        faults.add(kind, name, detail)
    return whole & ~negative & ~outside


def mask_fault(mask: Any) -> str:
    """What is wrong with an annotation's ``segmentation``; "" where it can be read.

    Args:
        mask: polygons, a list of parts x y x y ...; or run lengths ``{"size": [height, width], "counts": ...}``.

    Example:
        >>> mask_fault([[1, 1, 5, 1, 5, 5]]), mask_fault({"size": [4, 4], "counts": [15]})
        ('', 'run lengths that do not add up to their 4x4 pixels')
    """
    if isinstance(mask, Mapping):
        return _run_fault(cast(Row, mask))
    if not isinstance(mask, (list, tuple)):
        return f"a mask that is neither polygons nor run lengths ({quoted(mask)})"
    for part in cast("Sequence[Any]", mask):
        try:
            total = sum(part)
        except TypeError:
            total = np.nan
        if not -1e12 < total < 1e12:
            return f"a mask whose points are no finite numbers ({quoted(part)})"
    return ""


def _run_fault(mask: Row) -> str:
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, (list, tuple)) or not isinstance(counts, (str, bytes, list, tuple)):
        return "run lengths without a size and counts"
    sides = tuple(cast("Sequence[Any]", size))
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        return f"run lengths of no size ({quoted(size)})"
    if isinstance(counts, (str, bytes)):
        return ""
    runs = cast("Sequence[Any]", counts)
    if not all(type(run) is int and run >= 0 for run in runs) or sum(runs) != sides[0] * sides[1]:
        return f"run lengths that do not add up to their {sides[1]}x{sides[0]} pixels"
    return ""


def _size(image: Mapping[str, Any]) -> tuple[float, float]:
    return float(image.get("width", np.inf)), float(image.get("height", np.inf))
