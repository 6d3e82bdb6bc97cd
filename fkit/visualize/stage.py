"""What a pipeline makes of a sample, step by step, as pictures with the truth drawn on them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.array.random import generator, key
from fkit.data.job import Others, pipeline_of
from fkit.data.transform.transform import Sample
from fkit.image.io import imread
from fkit.tree.check import expect
from fkit.tree.contract import title
from fkit.tree.error import FkitTypeError
from fkit.visualize.shape import Picture, font, words, words_size
from fkit.visualize.task import DetLocalVisualizer, Instances, PoseLocalVisualizer, SegLocalVisualizer, legend
from fkit.visualize.visualizer import picture, sheet

__all__ = ["Stage", "class_counts", "draw_stage", "stages", "strip"]

_INK, _SOFT, _RED = (31, 41, 51), (97, 110, 124), (200, 30, 30)
_LONGEST = 60  # letters of a line above a picture
_SHOWN = 10  # classes of the counts


class Stage(NamedTuple):
    """A sample after one step.

    Attributes:
        name: of the step; "as it lies" before the first.
        note: what the step drew at random, in words; "" where nothing.
        sample: after it; None where the step dropped it.
    """

    name: str
    note: str
    sample: Sample | None


def stages(dataset: Any, index: int, seed: int = 0, epoch: int = 0) -> list[Stage]:
    """A sample before the first step, and after each, with the very draws of a run that sees it at place ``index`` of an epoch.

    Args:
        dataset: with a pipeline that the loader runs, or samples that are ready.
        index: which sample.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> from fkit.data.transform.photometry import ToUnit
        >>> [stage.name for stage in stages(Digits("test", pipeline=[ToUnit()]), 0)]
        ['as it lies', 'ToUnit']
    """
    raw: Any = dataset[index]
    if not isinstance(raw, Mapping):
        raise FkitTypeError(f"{title(dataset)}[{index}] is no mapping: there is nothing to show of it.")
    sample: Any = raw
    said, pipeline = [Stage("as it lies", "", cast(Sample, sample))], pipeline_of(dataset)
    if pipeline is None:
        return said
    rng = generator(key(seed, "data", epoch, index)) if pipeline.random else None
    streams = pipeline.streams(rng, Others(dataset))
    for place, step in enumerate(pipeline.steps):
        drawn = step.draw(sample, *streams(place))
        sample = step.apply(sample, drawn)
        said.append(Stage(type(step).__name__, _short(drawn), sample))
        if sample is None:
            break
    return said


def draw_stage(stage: Stage, meta: Mapping[str, Any]) -> Picture:
    """A stage's image with what is known of it, below a line that names the step.

    Args:
        meta: of the dataset: ``classes``, ``palette``, ``skeleton_links``, ...
    """
    sample = stage.sample
    image = None if sample is None else _image(sample)
    if sample is None or image is None:
        blank = np.full((120, 220, 3), 247, np.uint8)
        text = "dropped" if sample is None else "no image"
        return _headed(words(blank, text, (110, 60), font(14), _SOFT, ("center", "center")), stage)
    factor = max(1, 220 // max(image.shape[:2]))
    if factor > 1:
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST), np.uint8)
    return _headed(_annotated(image, _truth(sample), meta, factor), stage)


def strip(several: Iterable[Stage], meta: Mapping[str, Any], columns: int = 4) -> Picture:
    """All stages of a sample, side by side."""
    expect(meta, Mapping, "`meta` is a mapping")
    return sheet([_fitted(draw_stage(stage, meta)) for stage in several], columns=columns)


def class_counts(samples: Iterable[Sample], classes: Sequence[str]) -> list[tuple[str, int]]:
    """How often each class is there, the most frequent first.

    Example:
        >>> class_counts([{"gt_label": 1}, {"gt_bboxes_labels": np.array([0, 1])}], ["a", "b"])
        [('b', 2), ('a', 1)]
    """
    counts: Counter[int] = Counter()
    for sample in samples:
        truth = _truth(sample)
        labels: Any = truth.get("labels", truth.get("label"))
        if labels is not None:
            counts.update(int(label) for label in np.atleast_1d(np.asarray(labels)).ravel())
    names = [
        (str(classes[label]) if 0 <= label < len(classes) else str(label), number) for label, number in counts.items()
    ]
    return sorted(names, key=lambda row: (-row[1], row[0]))


def _truth(sample: Sample) -> dict[str, Any]:
    """What is known of a sample at any stage, under one set of names: bboxes, labels, masks, map, label, keypoints, visible."""
    targets: Mapping[str, Any] = sample.get("targets") or {}
    packed: Mapping[str, Any] = targets.get("gt_instances") or {}
    names = {
        "bboxes": ("gt_bboxes", "bbox"), "labels": ("gt_bboxes_labels", "gt_labels"), "masks": ("gt_masks",),
        "map": ("gt_seg_map", "gt_semantic_seg"), "label": ("gt_label",), "keypoints": ("keypoints",), "visible": ("keypoints_visible",),
    }  # fmt: skip
    truth = {name: sample[key] for name, keys in names.items() for key in keys if sample.get(key) is not None}
    truth |= {name: packed[name] for name in ("bboxes", "labels", "masks", "keypoints") if packed.get(name) is not None}
    moved: Any = sample.get("transformed_keypoints", packed.get("transformed_keypoints"))
    if moved is not None:  # those of the image that a top-down step cut out; the boxes are of the one before
        truth["keypoints"] = moved
        truth.pop("bboxes", None)
        visible: Any = packed.get("keypoints_visible")
        truth |= {} if visible is None else {"visible": visible}
    elif "input_center" in (sample.get("meta") or ()):  # packed are those of the whole image
        truth = {name: value for name, value in truth.items() if name not in ("keypoints", "bboxes")}
    if "map" not in truth and "img" not in sample and isinstance(sample.get("seg_map_path"), str):
        truth["map"] = imread(sample["seg_map_path"], "unchanged")
    truth |= {"map": targets["gt_sem_seg"]} if "gt_sem_seg" in targets else {}
    truth |= {"label": targets["gt_label"]} if "gt_label" in targets else {}
    instances = [one for one in sample.get("instances") or () if "bbox" in one]
    if instances and "bboxes" not in truth:
        truth["bboxes"] = np.array([one["bbox"] for one in instances], np.float64)
        truth["labels"] = np.array([one.get("bbox_label", 0) for one in instances], np.int64)
    return truth


def _annotated(image: Picture, truth: Mapping[str, Any], meta: Mapping[str, Any], factor: int) -> Picture:
    height, width = image.shape[:2]
    known = {word: meta[word] for word in ("classes", "palette") if word in meta}
    labels = truth.get("map")
    if labels is not None:
        whole = np.asarray(labels).reshape(np.shape(labels)[-2:]).astype(np.int32)
        whole = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int64)
        image = SegLocalVisualizer(dataset_meta=known).add_datasample("", image, {"gt_sem_seg": whole}).get_image()
    if truth.get("bboxes") is not None and "keypoints" not in truth:
        masks = truth.get("masks")
        bitmaps = None if masks is None else masks.to_ndarray() if hasattr(masks, "to_ndarray") else np.asarray(masks)
        fields = {"bboxes": np.asarray(truth["bboxes"], np.float64) * factor}
        fields |= (
            {"labels": truth["labels"]} if "labels" in truth and len(truth["labels"]) == len(fields["bboxes"]) else {}
        )
        if bitmaps is not None and bitmaps.shape[-2:] == image.shape[:2]:
            fields["masks"] = bitmaps
        board = DetLocalVisualizer(dataset_meta=known, image=image)
        image = board.draw_instances(Instances.of(fields, image.shape[:2])).get_image()
        image = _faulty(image, fields["bboxes"])
    if "keypoints" in truth:
        points = np.asarray(truth["keypoints"], np.float64) * factor
        links = {
            word: meta[word] for word in ("skeleton_links", "skeleton_link_colors", "keypoint_colors") if word in meta
        }
        fields = {"keypoints": points, **({"keypoints_visible": truth["visible"]} if "visible" in truth else {})}
        fields |= {"bboxes": np.asarray(truth["bboxes"], np.float64) * factor} if "bboxes" in truth else {}
        image = PoseLocalVisualizer(dataset_meta=links).add_datasample("", image, {"gt_instances": fields}).get_image()
    if "label" in truth and np.ndim(truth["label"]) == 0:
        names, label = cast("Sequence[Any]", meta.get("classes") or ()), int(truth["label"])
        image = legend(image, [(str(names[label]) if 0 <= label < len(names) else str(label), (37, 99, 235))])
    return image


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
    turned: Any = sample.get("img_norm_cfg") or {}
    if image.ndim == 3 and image.shape[2] == 3 and not turned.get("to_rgb"):
        image = image[..., ::-1]
    if image.dtype == np.uint8:
        return picture(image, sample.get("img_max"))
    least, most = float(image.min()), float(image.max())
    if least >= 0 and most <= 1:
        return picture(np.asarray(image, np.float64), 1)
    return picture((np.asarray(image, np.float64) - least) / ((most - least) or 1.0), 1)


def _headed(image: Picture, stage: Stage) -> Picture:
    """The picture with its name above it."""
    width = max(image.shape[1], 220)
    lines = [
        (stage.name, font(15, bold=True), _INK),
        *([(_cut(stage.note, width), font(12), _SOFT)] if stage.note else []),
    ]
    if stage.sample is not None and _shape(stage.sample):
        lines.append((_shape(stage.sample), font(12), _SOFT))
    high = sum(round(words_size(text, letters)[1]) for text, letters, _ in lines) + 8
    out = np.full((high + image.shape[0], width, 3), 255, np.uint8)
    out[high:, : image.shape[1]] = image
    y = 2
    for text, letters, colour in lines:
        out = words(out, text, (2, y), letters, colour)
        y += round(words_size(text, letters)[1])
    return out


def _shape(sample: Sample) -> str:
    for name in ("img", "inputs"):
        array: Any = sample.get(name)
        if isinstance(array, np.ndarray):
            return f"{' x '.join(map(str, array.shape))} {array.dtype}"
    return ""


def _cut(text: str, width: int) -> str:
    most = max(20, min(_LONGEST, width // 7))
    return text if len(text) <= most else text[: most - 1] + "…"


def _short(drawn: Any) -> str:
    """What a step drew, in few letters."""
    if drawn is None:
        return ""
    if isinstance(drawn, np.ndarray):
        return f"array {drawn.shape}"
    if isinstance(drawn, float):
        return f"{drawn:.3g}"
    if hasattr(drawn, "_asdict"):
        return ", ".join(f"{name} {_short(value) or 'none'}" for name, value in drawn._asdict().items())
    if isinstance(drawn, (tuple, list)):
        return ", ".join(_short(one) or "none" for one in cast("Sequence[Any]", drawn))
    return " ".join(str(drawn).split()) if isinstance(drawn, (str, int)) else type(drawn).__name__


def _fitted(image: Picture, side_px: int = 420) -> Picture:
    """At most so large that four stand beside each other on a screen."""
    factor = side_px / max(image.shape[1], 1)
    if factor >= 1:
        return image
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
