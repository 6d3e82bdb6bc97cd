"""Objects found in images, as a file in COCO's format beside their pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.coco import bitmap_to_rle
from fkit.structures.content import is_array
from fkit.tree.check import expect

__all__ = ["COCO", "Objects"]

COCO = "coco.json"


class Objects:
    """What a detector finds, gathered image by image, and written when all are there.

    The file is a data set of COCO's: ``images`` (id, file_name, height, width), ``annotations`` (image_id, category_id, ``bbox``
    x, y, width, height in pixels of the image as it came, area, score, and ``segmentation`` as run lengths where there are masks),
    ``categories``, whose ids are the model's labels + 1.

    Args:
        paths: of all images; an image's id is its place + 1.

    Example:
        >>> found = {"bboxes": np.array([[[0, 0, 9, 4.0]]]), "scores": np.array([[0.8]]), "labels": np.array([[1]])}
        >>> objects = Objects(["a.png"])
        >>> objects.take((0,), {"pred_instances": found}, ({"ori_shape": (8, 9)},), 0.3)
        >>> [row["bbox"] for row in objects.book(("cat", "dog"))["annotations"]]
        [[0.0, 0.0, 9.0, 4.0]]
    """

    def __init__(self, paths: Sequence[str]) -> None:
        expect(paths, Sequence, "`paths` are those of images")
        self._paths = paths
        self._images: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []

    def take(self, indices: Sequence[int], outputs: Any, metas: Sequence[Mapping[str, Any]], threshold: float) -> None:
        """Add a batch.

        Args:
            indices: of its images among all.
            outputs: ``pred_instances``, of mappings of arrays, batch first, and what of it is ``valid``; of anything else
                nothing is taken.
            metas: of its images, with ``ori_shape``.
            threshold: the least score.
        """
        named: Mapping[str, Any] = cast("Mapping[str, Any]", outputs) if isinstance(outputs, Mapping) else {}
        fields: Any = named.get("pred_instances")
        if not isinstance(fields, Mapping) or "bboxes" not in fields:
            return
        several = cast("Mapping[str, Any]", fields)
        valid: Any = cast("Mapping[str, Any]", named.get("valid") or {}).get("pred_instances")
        for place, index in enumerate(indices):
            one = {name: value[place] for name, value in several.items() if name in _TAKEN}
            kept = np.asarray(one["scores"]) >= threshold
            kept = kept if valid is None else kept & np.asarray(valid)[place]
            shape: Any = metas[place].get("ori_shape", (None, None)) if place < len(metas) else (None, None)
            self._images.append(
                {"id": index + 1, "file_name": self._paths[index], "height": shape[0], "width": shape[1]}
            )
            self._rows += [self._row(index, one, at) for at in np.nonzero(kept)[0].tolist()]

    def book(self, classes: Sequence[str]) -> dict[str, Any]:
        """All of it, as COCO has it; no images where none was a detector's."""
        most = max([len(classes), *(row["category_id"] for row in self._rows)])
        names = [classes[label] if label < len(classes) else str(label) for label in range(most)]
        categories = [{"id": label + 1, "name": name} for label, name in enumerate(names)]
        rows = [{"id": number, **row} for number, row in enumerate(self._rows, 1)]
        return {"images": self._images, "annotations": rows, "categories": categories}

    def _row(self, index: int, one: Mapping[str, Any], at: int) -> dict[str, Any]:
        left, top, right, bottom = (float(number) for number in one["bboxes"][at])
        box = [left, top, right - left, bottom - top]
        row: dict[str, Any] = {
            "image_id": index + 1,
            "category_id": int(one["labels"][at]) + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": float(one["scores"][at]),
        }
        mask: Any = one.get("masks")
        if mask is not None:
            run = bitmap_to_rle(cast("NDArray[Any]", mask[at])) if is_array(mask) else mask[at]
            row["segmentation"] = dict(run)
        return row


_TAKEN = ("bboxes", "scores", "labels", "masks")
