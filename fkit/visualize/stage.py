"""What a pipeline makes of a sample, step by step."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from fkit.array.random import generator, key
from fkit.data.job import Others, pipeline_of
from fkit.data.transform.compose import Compose, Streams
from fkit.data.transform.composition import Mixed
from fkit.data.transform.foreign import Foreign
from fkit.data.transform.transform import Sample, Transform
from fkit.image.io import imread
from fkit.tree.check import expect
from fkit.tree.contract import title
from fkit.tree.error import FkitTypeError

__all__ = ["Stage", "class_counts", "stages", "truth_of"]

_LISTED = 6  # numbers of an array, or of a list, that are told


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


def _own_name(step: type) -> str:
    return step.__name__


def stages(
    dataset: Any, index: int, seed: int = 0, epoch: int = 0, name_of: Callable[[type], str] = _own_name
) -> list[Stage]:
    """A sample before the first step, and after each, with the very draws of a run that sees it at place ``index`` of an epoch.

    Args:
        dataset: with a pipeline that the loader runs, or samples that are ready.
        index: which sample.
        name_of: a step's class -> its name; by default the class's.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> from fkit.data.transform.photometry import ToUnit
        >>> [stage.name for stage in stages(Digits("test", pipeline=[ToUnit()]), 0)]
        ['as it lies', 'ToUnit']
    """
    raw: Any = dataset[index]
    if not isinstance(raw, Mapping):
        raise FkitTypeError(f"{title(dataset)}[{index}] is no mapping: there is nothing to show of it.")
    sample = cast(Sample, raw)
    said, pipeline = [Stage("as it lies", "", sample)], pipeline_of(dataset)
    if pipeline is None:
        return said
    rng = generator(key(seed, "data", epoch, index)) if pipeline.random else None
    for step, drawn, after in _steps(pipeline, pipeline.streams(rng, Others(dataset)), sample):
        name = title(step.transform) if isinstance(step, Foreign) else name_of(type(step))
        said.append(Stage(name, "" if isinstance(step, Foreign) else _short(drawn), after))
    return said


def _steps(
    pipeline: Compose, streams: Streams, sample: Sample | None
) -> Iterator[tuple[Transform, Any, Sample | None]]:
    """(step, what it drew, the sample after it) of each step; one that mixes samples is gone through too."""
    for place, step in enumerate(pipeline.steps):
        if sample is None:
            return
        if isinstance(step, Mixed):
            for inner in _steps(step, step.streams(*streams(place)), sample):
                yield inner
                sample = inner[2]
            continue
        drawn = step.draw(sample, *streams(place))
        sample = step.apply(sample, drawn)
        yield step, drawn, sample


def class_counts(samples: Iterable[Sample], classes: Sequence[str]) -> list[tuple[str, int]]:
    """How often each class is there, the most frequent first.

    Example:
        >>> class_counts([{"gt_label": 1}, {"gt_bboxes_labels": np.array([0, 1])}], ["a", "b"])
        [('b', 2), ('a', 1)]
    """
    counts: Counter[int] = Counter()
    for sample in samples:
        truth = truth_of(sample)
        labels: Any = truth.get("labels", truth.get("label"))
        if labels is not None:
            counts.update(int(label) for label in np.atleast_1d(np.asarray(labels)).ravel())
    names = [
        (str(classes[label]) if 0 <= label < len(classes) else str(label), number) for label, number in counts.items()
    ]
    return sorted(names, key=lambda row: (-row[1], row[0]))


def truth_of(sample: Sample) -> dict[str, Any]:
    """What is known of a sample at any stage, under one set of names: bboxes, labels, masks, map, label, keypoints, visible.

    Example:
        >>> truth_of({"gt_label": 3})
        {'label': 3}
    """
    expect(sample, Mapping, "`sample` is a mapping")
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


def _short(drawn: Any) -> str:
    """What a step drew, in few words; "" of what says nothing."""
    if drawn is None or isinstance(drawn, Mapping):
        return ""
    if isinstance(drawn, np.ndarray):
        return (
            " ".join(f"{x:.3g}" for x in drawn.ravel().tolist())
            if 0 < drawn.size <= _LISTED and drawn.dtype.kind in "iuf"
            else ""
        )
    if isinstance(drawn, (float, np.floating)):
        return f"{drawn:.3g}"
    if hasattr(drawn, "_asdict"):
        return ", ".join(text for name, value in drawn._asdict().items() if (text := _named(name, value)))
    if isinstance(drawn, (tuple, list)):
        several = cast("Sequence[Any]", drawn)
        samples = sum(isinstance(one, Mapping) for one in several)
        parts = [text for one in several[:_LISTED] if (text := _short(one))]
        more = [f"{samples} more sample{'s' * (samples > 1)}"] * bool(samples) + ["…"] * (len(several) > _LISTED)
        return ", ".join([*parts, *more])
    return " ".join(str(drawn).split()) if isinstance(drawn, (str, int, np.integer)) else ""


def _named(name: str, value: Any) -> str:
    """A field of what a step drew: ``angle 3``; of a switch its name alone, where it is on."""
    if isinstance(value, (bool, np.bool_)):
        return name if value else ""
    text = _short(value)
    return text if not text or name == "params" or "more sample" in text else f"{name} {text}"
