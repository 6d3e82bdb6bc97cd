"""Objects found in images, as a file in COCO's format beside their pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.coco import bitmap_to_rle, coco_mask
from fkit.structures.content import is_array
from fkit.structures.pasted import THRESHOLD, with_masks
from fkit.tree.check import expect, expect_number

__all__ = ["COCO", "Objects"]

COCO = "coco.json"


class Objects:
    """What a detector finds, gathered image by image, and written when all are there.

    The file is a data set of COCO's: ``images`` (id, file_name, height, width; of a video's frame video_id and frame_id too),
    ``annotations`` (image_id, category_id, ``bbox`` x, y, width, height in pixels of the image as it came, area, score, and
    ``segmentation`` as run lengths where there are masks), ``categories``, whose ids are the model's labels + 1, and ``videos``
    where there are any.

    Example:
        >>> found = {"bboxes": np.array([[[0, 0, 9, 4.0]]]), "scores": np.array([[0.8]]), "labels": np.array([[1]])}
        >>> objects = Objects()
        >>> objects.take([{"file_name": "a.png"}], {"pred_instances": found}, ({"ori_shape": (8, 9)},), 0.3)
        >>> [row["bbox"] for row in objects.book(("cat", "dog"))["annotations"]]
        [[0.0, 0.0, 9.0, 4.0]]
    """

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._videos: list[dict[str, Any]] = []

    def video(self, name: str, fps: float) -> int:
        """Add a video, whose frames follow; its id."""
        expect(name, str, "`name` is the path of a video")
        expect_number(fps, "`fps`")
        self._videos.append({"id": len(self._videos) + 1, "name": name, "fps": fps})
        return len(self._videos)

    def take(
        self,
        images: Sequence[Mapping[str, Any]],
        outputs: Any,
        metas: Sequence[Mapping[str, Any]],
        threshold: float = 0.0,
    ) -> None:
        """Add a batch.

        Args:
            images: what is written of each: ``file_name``, and of a frame ``video_id`` and ``frame_id``.
            outputs: ``pred_instances``, of mappings of arrays, batch first, and what of it is ``valid``; of anything else
                nothing is taken, nor of people, who have no labels.
            metas: of its images, with ``ori_shape``.
            threshold: the least score.
        """
        expect(images, (list, tuple), "`images` are mappings, with file_name, in a list")
        named: Mapping[str, Any] = cast("Mapping[str, Any]", outputs) if isinstance(outputs, Mapping) else {}
        fields: Any = named.get("pred_instances")
        if (
            not isinstance(fields, Mapping)
            or not {"bboxes", "scores", "labels"} <= cast("Mapping[str, Any]", fields).keys()
        ):
            return
        several = cast("Mapping[str, Any]", fields)
        valid: Any = cast("Mapping[str, Any]", named.get("valid") or {}).get("pred_instances")
        for place, image in enumerate(images):
            kept = np.asarray(several["scores"][place]) >= threshold
            kept = kept if valid is None else kept & np.asarray(valid)[place]
            one = {name: np.asarray(value[place])[kept] for name, value in several.items() if name in _TAKEN}
            shape: Any = metas[place].get("ori_shape") if place < len(metas) else None
            number, (height, width) = len(self._images) + 1, (None, None) if shape is None else shape[:2]
            self._images.append({"id": number, **image, "height": height, "width": width})
            said: dict[str, Any] = {"pred_instances": one, "ori_shape": shape}
            said |= {THRESHOLD: named[THRESHOLD][place]} if THRESHOLD in named else {}
            whole = with_masks(said, code=bitmap_to_rle)["pred_instances"]
            self._rows += [_row(number, whole, at) for at in range(int(kept.sum()))]

    def book(self, classes: Sequence[str]) -> dict[str, Any]:
        """All of it, as COCO has it; no images where none was a detector's."""
        most = max([len(classes), *(row["category_id"] for row in self._rows)])
        names = [classes[label] if label < len(classes) else str(label) for label in range(most)]
        categories = [{"id": label + 1, "name": name} for label, name in enumerate(names)]
        rows = [{"id": number, **row} for number, row in enumerate(self._rows, 1)]
        videos = {"videos": self._videos} if self._videos else {}
        return {**videos, "images": self._images, "annotations": rows, "categories": categories}


def _row(image: int, one: Mapping[str, Any], at: int) -> dict[str, Any]:
    left, top, right, bottom = (float(number) for number in one["bboxes"][at])
    box = [left, top, right - left, bottom - top]
    row: dict[str, Any] = {
        "image_id": image,
        "category_id": int(one["labels"][at]) + 1,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
        "score": float(one["scores"][at]),
    }
    if "masks" in one:
        mask: Any = one["masks"][at]
        run = bitmap_to_rle(cast("NDArray[Any]", mask)) if is_array(mask) else mask
        row |= {"segmentation": dict(run), "area": float(coco_mask().area(run))}
    return row


_TAKEN = ("bboxes", "scores", "labels", "masks", "mask_scores")
