"""Objects of another sample laid over this one: copy and paste."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.draw import another, needed
from fkit.data.transform.mosaic import no_maps
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.structures.mask import BitmapMasks
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError, FkitNotImplementedError, FkitValueError

__all__ = ["CopyPaste", "InstaBoost", "Pasted"]


class Pasted(NamedTuple):
    """What `CopyPaste` decided.

    Attributes:
        other: the other sample.
        rows: the numbers of the objects that are pasted; None: all.
    """

    other: Sample
    rows: tuple[int, ...] | None


@dataclass(frozen=True)
class CopyPaste(Transform):
    """Lay objects of another sample over this one, by their masks; mmdet's CopyPaste (Ghiasi et al. 2021, simple copy-paste).

    Args:
        max_num_pasted: fewer than this many are pasted.
        bbox_occluded_thr: an object of this sample stays where no side of its box moved by more pixels ...
        mask_occluded_thr: ... or where more pixels of it are left than this.
        selected: draw which objects are pasted; else all are.
        paste_by_box: where samples have no masks, whole boxes are pasted, and their masks are boxes.

    Params: a `Pasted`. Both images are of one size: make them so before. The image keeps its dtype.

    Raises:
        FkitValueError: the images are of different sizes.
        FkitKeyError: a sample has no masks, and ``paste_by_box`` is not set.

    Example:
        >>> mask = np.eye(4, dtype=np.uint8)[None]
        >>> one = {"gt_bboxes": np.array([[0.0, 0, 4, 4]]), "gt_bboxes_labels": np.array([1]), "gt_ignore_flags": np.array([False])}
        >>> black, white = ({**one, "img": np.full((4, 4, 3), grey, np.uint8), "gt_masks": BitmapMasks(mask, 4, 4)} for grey in (0, 255))
        >>> CopyPaste().apply(black, Pasted(white, (0,)))["img"][..., 0].diagonal().tolist()
        [255, 255, 255, 255]
    """

    max_num_pasted: int = 100
    bbox_occluded_thr: float = 10
    mask_occluded_thr: float = 300
    selected: bool = True
    paste_by_box: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_num_pasted < 1:
            raise FkitValueError(f"CopyPaste: max_num_pasted = {self.max_num_pasted!r}: at least 1.")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Pasted:
        source = needed(rng, self)
        other = another(source, fetch, self)
        if not self.selected:
            return Pasted(other, None)
        count = len(other["gt_bboxes"])
        number = int(source.integers(min(count + 1, self.max_num_pasted)))
        return Pasted(other, tuple(source.choice(count, number, replace=False).tolist()))

    def apply(self, sample: Sample, params: Pasted) -> Sample:
        expect(params, Pasted, "`params` is a Pasted")
        no_maps(self, sample)
        other = params.other
        rows = np.arange(len(other["gt_bboxes"])) if params.rows is None else np.array(params.rows, np.int64)
        if not len(rows):
            return sample
        img, patch = image_of(sample), image_of(other)
        if img.shape != patch.shape:
            raise FkitValueError(
                f"CopyPaste: images of {img.shape} and {patch.shape} do not lie on one another.",
                repair="Make them of one size before (Resize with keep_ratio=False, or RandomCrop and Pad).",
            )
        pasted, masks = self.masks(other)[rows], self.masks(sample)
        over = np.asarray(pasted.masks.any(0))
        left = BitmapMasks(np.where(over, 0, masks.masks).astype(masks.masks.dtype), masks.height, masks.width)
        boxes: NDArray[Any] = sample["gt_bboxes"]
        around = left.get_bboxes().astype(boxes.dtype, copy=False)
        still = np.asarray((np.abs(around - boxes) <= self.bbox_occluded_thr).all(-1))
        stays = still | (left.areas > self.mask_occluded_thr)
        both = {
            key: np.concatenate([sample[key][stays], other[key][rows]])
            for key in ("gt_bboxes_labels", "gt_ignore_flags")
        }
        return replaced(
            sample,
            img=np.where(over[(..., *(None,) * (img.ndim - 2))], patch, img),
            gt_bboxes=np.concatenate([around[stays], other["gt_bboxes"][rows]]),
            gt_masks=BitmapMasks.cat([left[stays], pasted]),
            **both,
        )

    def masks(self, sample: Sample) -> BitmapMasks:
        """The bitmaps of a sample's objects."""
        if sample.get("gt_masks") is not None:
            return sample["gt_masks"].to_bitmap()
        if not self.paste_by_box:
            raise FkitKeyError(
                "CopyPaste: the sample has no 'gt_masks'.",
                value="gt_masks",
                choices=sample,
                label="It has",
                repair="Load them (with_mask=True), or set paste_by_box=True.",
            )
        height, width = image_of(sample).shape[:2]
        masks = np.zeros((len(sample["gt_bboxes"]), height, width), np.uint8)
        for mask, box in zip(masks, sample["gt_bboxes"].astype(int).tolist(), strict=True):
            x1, y1, x2, y2 = box
            mask[y1:y2, x1:x2] = 1
        return BitmapMasks(masks, height, width)


class InstaBoost(Transform):
    """mmdet's InstaBoost (Fang et al. 2019): refused, with the reason.

    It inpaints pictures by a package, instaboostfast, that draws from global generators and is no longer kept. `CopyPaste`
    is the kit's way of laying objects elsewhere.

    Raises:
        FkitNotImplementedError: always.
    """

    def __init__(self, **arguments: Any) -> None:
        raise FkitNotImplementedError(
            "InstaBoost needs the package instaboostfast, which is no longer kept and is not supported.",
            repair="Leave it out, or take CopyPaste, which lays objects of other samples over this one.",
        )
