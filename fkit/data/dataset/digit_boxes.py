"""A detection data set that ships with the kit: real handwritten digits on canvases, with boxes and masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.ops import Numpy
from fkit.array.random import bits, key
from fkit.data.dataset.digits import DigitArrays, read_digits
from fkit.data.dataset.facts import fixed
from fkit.data.dataset.indexed import PIPELINE, Pipeline, checked
from fkit.data.dataset.record import labels_of
from fkit.data.digest import digest_of_samples
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["DigitBoxes", "enlarged", "run_lengths"]

_PAPER, _INK = 255, 32
_SEEN = 0.25  # of the darkest ink: what belongs to a digit's mask
_TRIES = 20
_COUNTS = frozendict(train=1000, test=200)
_COLOURS = (
    (220, 20, 60), (0, 0, 142), (0, 130, 60), (250, 140, 30), (120, 60, 160),
    (0, 150, 180), (165, 42, 42), (255, 77, 190), (110, 118, 0), (90, 90, 90),
)  # fmt: skip


@dataclass(frozen=True)
class DigitBoxes:
    """Digits of `fkit.data.dataset.digits.Digits`, enlarged and put on white canvases where they do not touch.

    Sample i follows from ``seed``, ``split`` and i alone, to the bit. It is ``img`` (H, W, 3) uint8, ``img_id`` i, ``height``,
    ``width``, ``img_shape``, ``ori_shape`` and ``instances``, one a digit: ``bbox`` x1, y1, x2, y2 (tight round its ink),
    ``bbox_label`` 0..9, ``ignore_flag`` 0, and ``mask``, COCO's run lengths. Digits of the test split are in no training image.

    Args:
        split: "train" or "test".
        count: images; None: 1,000 for training, 200 for tests.
        size: (height, width) of a canvas, in pixels.
        most: digits an image at most; there is one at least.
        sides: (least, most) pixels of a digit's square of 8 x 8 when it is enlarged.
        seed: another one makes other images.
        pipeline: transforms that the loader runs.
        metainfo: more that is known of it; ``classes`` are "0" to "9".

    Example:
        >>> boxes = DigitBoxes("test", count=3)
        >>> sample = boxes[0]
        >>> sample["img"].shape, len(sample["instances"]), boxes.metainfo["classes"][:2]
        ((96, 96, 3), 4, ('0', '1'))
    """

    __fkit_kind__: ClassVar[str] = "datasets"

    split: str = "train"
    count: int | None = None
    size: Sequence[int] = (96, 96)
    most: int = 5
    sides: Sequence[int] = (20, 36)
    seed: int = 0
    pipeline: Pipeline = PIPELINE
    metainfo: Mapping[str, Any] = field(default=EMPTY, repr=False)
    test_mode: bool = False
    arrays: DigitArrays = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = vars(self)
        put["arrays"] = read_digits(self.split)
        put["count"] = _COUNTS[self.split] if self.count is None else self.count
        expect(self.metainfo, Mapping, "DigitBoxes: metainfo is a mapping")
        expect(self.test_mode, bool, "DigitBoxes: test_mode is True or False")
        for word in ("count", "most", "seed"):
            expect_number(getattr(self, word), f"DigitBoxes: {word}", whole=True)
        for word in ("size", "sides"):
            pair: Any = getattr(self, word)
            expect(pair, (list, tuple), f"DigitBoxes: {word} is a pair of numbers")
            for number in pair:
                expect_number(number, f"DigitBoxes: {word}", whole=True)
            if len(pair) != 2 or min(pair, default=0) < 8:
                raise FkitValueError(f"DigitBoxes: {word} = {tuple(pair)}: two numbers of at least 8.", path=word)
            put[word] = tuple(pair)
        low, high = self.sides
        if low > high or high > min(self.size):
            raise FkitValueError(
                f"DigitBoxes: sides = {(low, high)} do not fit a canvas of {tuple(self.size)}.", path="sides"
            )
        if put["count"] < 0 or self.most < 1:
            raise FkitValueError(f"DigitBoxes: count = {self.count}, most = {self.most}: at least 0 and 1.")
        put["metainfo"] = frozen({"classes": tuple("0123456789"), "palette": _COLOURS, **fixed(self.metainfo)})

    @property
    def fingerprint(self) -> str:
        """A digest of what the images follow from."""
        said = {"split": self.split, "count": len(self), "size": self.size, "most": self.most, "sides": self.sides}
        return digest_of_samples([{**said, "seed": self.seed}])

    def __len__(self) -> int:
        return self.count or 0

    def __getitem__(self, index: int) -> Sample:
        place = checked(index, len(self), "DigitBoxes")
        canvas = np.full(tuple(self.size), float(_PAPER))
        instances: list[Mapping[str, Any]] = []
        for number, corner, side in self._placed(place):
            ink = enlarged(self.arrays.images[number, :, :, 0], side) / 16
            y, x = corner
            canvas[y : y + side, x : x + side] -= ink * (_PAPER - _INK)
            instances.append(self._instance(ink >= _SEEN, corner, int(self.arrays.labels[number])))
        img = np.repeat(np.rint(canvas).astype(np.uint8)[..., None], 3, axis=2)
        shape = tuple(self.size)
        return frozendict(
            img=img,
            img_max=255,
            img_id=place,
            sample_idx=place,
            height=shape[0],
            width=shape[1],
            img_shape=shape,
            ori_shape=shape,
            instances=tuple(instances),
        )

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Sample ``idx`` as a fresh dict."""
        return dict(self[idx])

    def get_cat_ids(self, idx: int) -> tuple[int, ...]:
        """The labels of the digits in image ``idx``."""
        return labels_of(self[idx], "DigitBoxes")

    def coco(self) -> dict[str, Any]:
        """All of it in COCO's form, as an annotation file holds it; file names are numbers.

        Example:
            >>> content = DigitBoxes("test", count=2).coco()
            >>> sorted(content), content["categories"][3]
            (['annotations', 'categories', 'images'], {'id': 4, 'name': '3'})
        """
        images: list[Any] = []
        annotations: list[Any] = []
        for sample in self:
            number = sample["img_id"]
            images.append(
                {"id": number, "file_name": f"{number:05}.png", "height": sample["height"], "width": sample["width"]}
            )
            for one in sample["instances"]:
                x1, y1, x2, y2 = one["bbox"]
                head = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": one["bbox_label"] + 1,
                    "iscrowd": 0,
                }
                area = sum(one["mask"]["counts"][1::2])
                mask = {"size": list(one["mask"]["size"]), "counts": list(one["mask"]["counts"])}
                annotations.append({**head, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "segmentation": mask})
        categories = [{"id": label + 1, "name": name} for label, name in enumerate(self.metainfo["classes"])]
        return {"images": images, "annotations": annotations, "categories": categories}

    def _placed(self, place: int) -> list[tuple[int, tuple[int, int], int]]:
        """(which digit, its corner (y, x), its side) of the digits of an image."""
        words = bits(
            Numpy(), key(self.seed, "digit_boxes", self.split, place), np.uint32(0), (1 + self.most * (2 + 2 * _TRIES),)
        )
        draw = iter(np.asarray(words).tolist())
        taken: list[tuple[int, tuple[int, int], int]] = []
        for _ in range(1 + next(draw) % self.most):
            number = next(draw) % len(self.arrays.labels)
            side = self.sides[0] + next(draw) % (self.sides[1] - self.sides[0] + 1)
            spots = [tuple(next(draw) % (room - side + 1) for room in self.size) for _ in range(_TRIES)]
            free = (spot for spot in spots if not any(_touch(spot, side, corner, other) for _, corner, other in taken))
            spot = next(free, None)
            if spot is not None:
                taken.append((number, (spot[0], spot[1]), side))
        return taken

    def _instance(self, mask: NDArray[np.bool_], corner: tuple[int, int], label: int) -> Mapping[str, Any]:
        whole = np.zeros(tuple(self.size), bool)
        whole[corner[0] : corner[0] + mask.shape[0], corner[1] : corner[1] + mask.shape[1]] = mask
        rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        runs = frozendict(size=tuple(self.size), counts=run_lengths(whole))
        return frozendict(bbox=box, bbox_label=label, ignore_flag=0, mask=runs)


def _touch(one: Sequence[int], side: int, other: Sequence[int], length: int) -> bool:
    return all(one[axis] < other[axis] + length and other[axis] < one[axis] + side for axis in (0, 1))


def enlarged(image: Any, side: int) -> NDArray[np.float64]:
    """A square image (n, n) brought to (side, side) by linear interpolation between the centres of its pixels.

    Example:
        >>> enlarged(np.array([[0.0, 4.0]] * 2), 4)[0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    expect_number(side, "`side`", whole=True)
    if (
        not isinstance(image, np.ndarray)
        or image.ndim != 2
        or image.shape[0] != image.shape[1]
        or not image.size
        or side < 1
    ):
        raise FkitValueError("an image (n, n) is brought to (side, side), of at least one pixel.")
    count = image.shape[0]
    at = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
    low = np.minimum(at.astype(np.int64), max(count - 2, 0))
    part = at - low
    high = np.minimum(low + 1, count - 1)
    values = np.asarray(image, np.float64)
    rows = values[low] * (1 - part)[:, None] + values[high] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, high] * part


def run_lengths(mask: Any) -> tuple[int, ...]:
    """COCO's run lengths of a mask (H, W): how many pixels are out, in, out, ..., down the columns.

    Example:
        >>> run_lengths(np.array([[0, 1], [0, 1]])), run_lengths(np.array([[1, 0]]))
        ((2, 2), (0, 1, 1))
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        raise FkitValueError("a mask is an array (H, W).")
    flat = np.concatenate([[False], mask.astype(bool).ravel(order="F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return tuple(np.diff(np.concatenate([[0], ends, [mask.size]])).tolist())
