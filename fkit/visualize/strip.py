"""Pictures of what a pipeline makes of samples: each step with the truth drawn on its image, side by side."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample
from fkit.image.io import imread
from fkit.tree.check import expect, expect_number
from fkit.visualize.label import legend
from fkit.visualize.pose import PoseLocalVisualizer
from fkit.visualize.sample import classes_of
from fkit.visualize.shape import Picture, font, words, words_size
from fkit.visualize.stage import Stage, truth_of
from fkit.visualize.task import DetLocalVisualizer, Instances, SegLocalVisualizer
from fkit.visualize.visualizer import picture, sheet

__all__ = ["draw_stage", "strip"]

_INK, _SOFT, _RED, _BLUE = (31, 41, 51), (97, 110, 124), (200, 30, 30), (37, 99, 235)
_LINES = 3  # above a picture: name, shape, what was drawn at random
_PIXELS = 4  # an image that is enlarged so often shows its pixels
_NORMAL = 20  # deviations from the mean that no normalised image reaches
_SKELETON = ("skeleton_links", "skeleton_link_colors", "keypoint_colors")


def draw_stage(stage: Stage, meta: Mapping[str, Any], side_px: int = 420, lines: int = _LINES) -> Picture:
    """A stage's image with what is known of it, below lines that name the step.

    Args:
        meta: of the dataset: ``classes``, ``palette``, ``skeleton_links``, ...
        side_px: how wide the picture is; the image fills it, and is at most as high. Small ones are enlarged, pixel by pixel.
        lines: above the image: 1, its name; 2, its shape too; 3, what was drawn at random too.

    Example:
        >>> draw_stage(Stage("as it lies", "", {"img": np.zeros((8, 8, 3), np.uint8)}), {}, 200).shape[1]
        200
    """
    expect(stage, Stage, "`stage` is a Stage")
    expect(meta, Mapping, "`meta` is a mapping")
    expect_number(side_px, "draw_stage: side_px", whole=True)
    sample = stage.sample
    image = None if sample is None else _image(sample)
    if sample is None or image is None:
        drawn = np.full((side_px // 2, side_px, 3), 247, np.uint8)
        text = "dropped" if sample is None else "no image"
        drawn = words(drawn, text, (side_px / 2, side_px / 4), font(14), _SOFT, ("center", "center"))
    else:
        drawn = _annotated(image, truth_of(sample), meta, side_px)
    return _headed(drawn, stage, lines)


def strip(several: Iterable[Stage], meta: Mapping[str, Any], columns: int = 4, side_px: int = 420) -> Picture:
    """All stages of a sample, side by side.

    Example:
        >>> strip([Stage("as it lies", "", None)] * 2, {}, side_px=100).shape[1] > 200
        True
    """
    steps = list(several)
    lines = _LINES if any(step.note for step in steps) else _LINES - 1
    pictures = [draw_stage(step, meta, side_px, lines) for step in steps]
    rows = [sheet(pictures[at : at + columns], columns=columns) for at in range(0, len(pictures), columns)]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_widened(row, width) for row in rows])


def _annotated(image: Picture, truth: Mapping[str, Any], meta: Mapping[str, Any], side_px: int) -> Picture:
    """The image as large as it is shown, and on it what is known."""
    before = image.shape[:2]
    image = _sized(image, side_px)
    height, width = image.shape[:2]
    factor: NDArray[np.float64] = np.array([width / before[1], height / before[0]])
    known = {word: meta[word] for word in ("classes", "palette") if word in meta}
    entries: list[Any] = []
    labels = truth.get("map")
    if labels is not None:
        whole = np.asarray(labels).reshape(np.shape(labels)[-2:]).astype(np.int32)
        whole = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int64)
        names, _ = classes_of(known, np.arange(whole.max(initial=0) + 1))
        whole[np.isin(whole, [place for place, name in enumerate(names) if name == "background"])] = 255
        image = SegLocalVisualizer(dataset_meta=known, alpha=0.45).drawn(image, whole, 0.0)
        entries += zip(*classes_of(known, np.setdiff1d(whole, [255])), strict=True)
    if truth.get("bboxes") is not None and "keypoints" not in truth:
        boxes = np.asarray(truth["bboxes"], np.float64).reshape(-1, 4) * np.tile(factor, 2)
        image, there = _with_objects(image, boxes, truth, known, before)
        entries += there
        image = _faulty(image, boxes)
    if "keypoints" in truth:
        fields = {"keypoints": np.asarray(truth["keypoints"], np.float64)[..., :2] * factor}
        fields |= {"keypoints_visible": truth["visible"]} if "visible" in truth else {}
        if "bboxes" in truth:
            fields["bboxes"] = np.asarray(truth["bboxes"], np.float64).reshape(-1, 4) * np.tile(factor, 2)
        board = PoseLocalVisualizer(dataset_meta={word: meta[word] for word in _SKELETON if word in meta})
        image = board.drawn(image, fields, 0.3)
    if "label" in truth and np.ndim(truth["label"]) == 0:
        names, label = cast("Sequence[Any]", meta.get("classes") or ()), int(truth["label"])
        entries.append((str(names[label]) if 0 <= label < len(names) else str(label), _BLUE))
    return legend(_widened(image, side_px), entries)


def _with_objects(
    image: Picture,
    boxes: NDArray[np.float64],
    truth: Mapping[str, Any],
    known: Mapping[str, Any],
    before: tuple[int, int],
) -> tuple[Picture, list[Any]]:
    """The image with its objects, and how many of each class there are, each with its colour."""
    masks: Any = truth.get("masks")
    bitmaps = None if masks is None else np.asarray(masks.to_ndarray() if hasattr(masks, "to_ndarray") else masks)
    fields: dict[str, Any] = {"bboxes": boxes}
    told = "labels" in truth and len(truth["labels"]) == len(boxes)
    fields |= {"labels": truth["labels"]} if told else {}
    if bitmaps is not None and bitmaps.shape == (len(boxes), *before):
        size = (image.shape[1], image.shape[0])
        small = [cv2.resize(one.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for one in bitmaps]
        fields["masks"] = np.array(small, bool).reshape(len(boxes), *image.shape[:2])
    instances = Instances.of(fields, image.shape[:2])
    counts = Counter(instances.labels.tolist())
    order = np.array(sorted(counts), np.int64)
    board = DetLocalVisualizer(dataset_meta=known, image=image, with_labels=told and len(counts) > 1)
    rows = zip(*classes_of(known, order), order.tolist(), strict=True)
    entries = [(f"{name if told else 'boxes'}  {counts[label]}", colour) for name, colour, label in rows]
    return board.draw_instances(instances).get_image(), entries


def _faulty(image: Picture, boxes: NDArray[np.float64]) -> Picture:
    """The picture with a word on boxes that are no boxes of it: turned inside out, or beyond its border."""
    height, width = image.shape[:2]
    turned = int(np.count_nonzero(np.logical_or(boxes[:, 2] <= boxes[:, 0], boxes[:, 3] <= boxes[:, 1])))
    outside = int(
        np.count_nonzero(
            np.logical_or(
                boxes[:, :2].min(axis=1, initial=0) < -1, (boxes[:, 2:] > np.array([width, height]) + 1).any(axis=1)
            )
        )
    )
    said = [
        f"{number} of {len(boxes)} boxes {what}"
        for number, what in ((turned, "without area"), (outside, "reach outside"))
        if number
    ]
    if not said:
        return image
    letters = font(max(12.0, width / 40))
    return words(
        image,
        "; ".join(said),
        (width / 2, height - 4),
        letters,
        (255, 255, 255),
        ("center", "bottom"),
        (_RED, 0.9, 4),
        inside=True,
    )


def _image(sample: Sample) -> Picture | None:
    """The image at any stage, as a person sees it; None where there is none yet."""
    image: Any = sample.get("img")
    if image is None and sample.get("inputs") is not None and np.ndim(sample["inputs"]) == 3:
        image = np.asarray(sample["inputs"]).transpose(1, 2, 0)
    if image is None and isinstance(sample.get("img_path"), str):
        image = imread(sample["img_path"])
    if (
        not isinstance(image, np.ndarray)
        or image.ndim not in (2, 3)
        or (image.ndim == 3 and image.shape[2] not in (1, 3))
    ):
        return None
    normalised: Any = sample.get("img_norm_cfg") or (sample.get("meta") or {}).get("img_norm_cfg") or {}
    if image.dtype != np.uint8 and "mean" in normalised and "std" in normalised:
        image = np.asarray(image, np.float64) * np.asarray(normalised["std"]) + np.asarray(normalised["mean"])
    if image.ndim == 3 and image.shape[2] == 3 and not normalised.get("to_rgb"):
        image = image[..., ::-1]
    if image.dtype == np.uint8:
        return picture(image, sample.get("img_max"))
    least, most = float(image.min()), float(image.max())
    if least >= -0.01 and most <= 1.01:
        return picture(np.asarray(image, np.float64), 1)
    if most > _NORMAL and least > -_NORMAL:  # numbers of bytes, as floats
        return picture(np.asarray(image, np.float64), 255)
    return picture((np.asarray(image, np.float64) - least) / ((most - least) or 1.0), 1)


def _headed(image: Picture, stage: Stage, lines: int) -> Picture:
    """The picture with its name above it, and below that its shape and what was drawn at random."""
    shape = "" if stage.sample is None else _shape(stage.sample)
    rows = [(stage.name, font(15, bold=True), _INK), (shape, font(12), _SOFT), (stage.note, font(12), _SOFT)][:lines]
    high = sum(round(words_size("A", letters)[1]) for _, letters, _ in rows) + 8
    out = np.full((high + image.shape[0], image.shape[1], 3), 255, np.uint8)
    out[high:] = image
    y = 2
    for text, letters, colour in rows:
        out = words(out, _cut(text, letters, image.shape[1]), (0, y), letters, colour)
        y += round(words_size("A", letters)[1])
    return out


def _shape(sample: Sample) -> str:
    for name in ("img", "inputs"):
        array: Any = sample.get(name)
        if isinstance(array, np.ndarray):
            return f"{' x '.join(map(str, array.shape))} {array.dtype}"
    return ""


def _cut(text: str, letters: Any, width: int) -> str:
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip(" ,") + "…"


def _sized(image: Picture, side_px: int) -> Picture:
    """As wide as a cell, and no higher: by a whole factor where pixels are to be seen."""
    height, width = image.shape[:2]
    factor = min(side_px / width, side_px / height)
    factor = float(int(factor)) if factor >= _PIXELS else factor
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST if factor >= _PIXELS else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _widened(image: Picture, width: int) -> Picture:
    """The picture with paper at its right."""
    return np.pad(image, ((0, 0), (0, max(width - image.shape[1], 0)), (0, 0)), constant_values=255)
