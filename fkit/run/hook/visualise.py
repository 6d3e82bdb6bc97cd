"""Hooks that draw what the model predicts of held-out images: off unless a config turns them on."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.image.resize import imresize
from fkit.recipe.label import class_names, skeleton_of
from fkit.recipe.source import build_part
from fkit.run.effect import Effect, WriteImage, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, RunState
from fkit.structures.apart import outputs_of, size_of
from fkit.structures.batch import first_array
from fkit.structures.crop import in_crop
from fkit.tree.check import check_fields
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.name import open_name

__all__ = [
    "BadCaseAnalysisHook",
    "DetVisualizationHook",
    "GroundingVisualizationHook",
    "NaiveVisualizationHook",
    "PoseVisualizationHook",
    "SegVisualizationHook",
    "TrackVisualizationHook",
    "VisualizationHook",
    "seen_image",
]


def seen_image(inputs: NDArray[Any]) -> NDArray[np.float64]:
    """What the model was shown, as a picture: its least value black, its greatest white.

    Args:
        inputs: (C, H, W), C = 1 or 3, normalised or not.

    Returns:
        (H, W, C) float64, from 0 to 1.

    Example:
        >>> seen_image(np.array([[[-1.0, 0.0], [1.0, 3.0]]]))[..., 0].tolist()
        [[0.0, 0.25], [0.5, 1.0]]
    """
    if inputs.ndim != 3 or inputs.shape[0] not in (1, 3):
        raise FkitTypeError(f"an image to draw on is (1 or 3, H, W); the batch has {inputs.shape}.")
    image = np.asarray(inputs, np.float64).transpose(1, 2, 0)
    least, most = float(image.min()), float(image.max())
    return (image - least) / ((most - least) or 1.0)


def _as_is(outputs: Any) -> Any:
    return outputs


def _as_it_came(image: NDArray[np.float64], meta: Mapping[str, Any]) -> NDArray[np.float64]:
    """An image in the size of the original one, where its meta says that."""
    shape: Any = meta.get("ori_shape")
    if shape is None or tuple(shape[:2]) == image.shape[:2]:
        return image
    resized = imresize(image.astype(np.float32), (int(shape[1]), int(shape[0])))
    return np.asarray(resized, np.float64).reshape(int(shape[0]), int(shape[1]), -1)


@dataclass(frozen=True)
class _Drawing(Hook):
    """Pictures of predictions, on the images as the model was shown them; objects, which are predicted in pixels of the original
    image, on these in its size.

    What fkit/visualize can draw are classes, boxes, masks, maps and poses; of a model that predicts something else a hook that
    is on fails at its first picture, and says so. How they are drawn is the config's ``visualizer``.
    """

    priority: ClassVar[str | int] = "NORMAL"
    names: Callable[[int], str] = field(init=False, default_factory=lambda: str, compare=False)
    host: Callable[[Any], Any] = field(init=False, default_factory=lambda: _as_is, compare=False)
    board: Any = field(init=False, default=None, compare=False)

    @property
    def on(self) -> bool:
        """Whether it draws at all."""
        return bool(getattr(self, "draw", getattr(self, "enable", True)))

    @property
    def threshold(self) -> float:
        """The least score that is not called unsure."""
        return float(getattr(self, "score_thr", 0.0))

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        for key in ("interval", "frame_interval"):
            if getattr(self, key, 1) < 1:
                raise FkitValueError(f"{name}: {key}={getattr(self, key)}: at least 1.")
        if getattr(self, "show", False) or getattr(self, "wait_time", 0.0):
            raise FkitValueError(
                f"{name}: show, wait_time: a run opens no windows.", repair="Its pictures are in vis/."
            )
        if getattr(self, "backend_args", None) is not None:
            raise FkitValueError(f"{name}: backend_args: no file is read; an image is drawn as the model was shown it.")

    def bind(self, offer: Offer) -> Self:
        """With the names of the classes."""
        if not self.on or offer.settings is None:
            return self
        bound = replace(self)
        object.__setattr__(bound, "names", class_names(offer.settings, offer.registry).of)
        object.__setattr__(bound, "host", offer.host)
        part = offer.settings.log.visualizer
        board = None if part is None else build_part(part, offer.settings, offer.registry, "visualizers")
        object.__setattr__(bound, "board", board)
        return bound

    def answers(self, event: str) -> bool:
        return super().answers(event) and self.on

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        """(place in the batch, name, step) of each image that is drawn.

        Args:
            count: images of the batch.
            seen: of this pass before it.
        """
        raise NotImplementedError

    def _draw(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Memory (observed): images of this pass so far."""
        batch = event.batch
        if batch is None or event.outputs is None:
            return memory, ()
        count = len(batch)
        seen = 0 if event.inner <= 1 or not isinstance(memory.observed, int) else memory.observed
        memory = Memory(observed=seen + count)
        chosen = tuple(self.chosen(run, event, count, seen))
        if not chosen:
            return memory, ()
        read: Any = open_name("fkit.visualize.prediction:answers_of")
        inputs = np.asarray(self.host(first_array(batch.inputs)))  # of several views the first
        outputs, effects = self.host(event.outputs), list[Effect]()
        for place, name, step in chosen:
            said, size = outputs_of(outputs, batch, place), size_of(batch, place)
            meta = batch.meta[place] if place < len(batch.meta) else {}
            if "keypoints" in said.get("pred_instances", ()):
                said = in_crop(said, meta, tuple(inputs.shape[-2:]))
            answer = read(said, self.names, self.threshold, board=self.board)[0]
            if isinstance(answer, FkitError):
                effects.append(WriteText(f"{name}: not drawn: {answer.what}", "WARNING"))
                continue
            shown = seen_image(inputs[place] if size is None else inputs[place][..., : size[0], : size[1]])
            if "bboxes" in said.get("pred_instances", ()) and "input_center" not in meta:
                shown = _as_it_came(shown, meta)
            effects.append(WriteImage(self._place(name), answer.draw(shown), step))
        return memory, tuple(effects)

    def _place(self, name: str) -> str:
        folder = getattr(self, "out_dir", None) or getattr(self, "test_out_dir", None)
        return name if folder is None else f"{folder}/{name}"

    after_val_iter = after_test_iter = _draw


@dataclass(frozen=True)
class DetVisualizationHook(_Drawing):
    """mmdet's: in validation the first image of each batch whose number, counted on from the iterations done, is a multiple of
    ``interval``; in a test every image.

    Args:
        draw: whether anything is drawn.
        interval: batches from picture to picture.
        score_thr: the least score that is drawn.
        show, wait_time: windows, which a run does not open: an error.
        test_out_dir: a folder in ``vis`` for the pictures.
        backend_args: how files are read, and none is: an error.

    Example:
        >>> hook = DetVisualizationHook(draw=True, interval=2)
        >>> run, event = RunState.__new__(RunState, None, None, {}, {}), Event("after_val_iter", "val", iteration=6, inner=3)
        >>> list(hook.chosen(run, event, 4, 8))
        [(0, 'val_img', 8)]
    """

    draw: bool = False
    interval: int = 50
    score_thr: float = 0.3
    show: bool = False
    wait_time: float = 0.0
    test_out_dir: str | None = None
    backend_args: Any = None

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        return _first_or_all(self.interval, event, count, seen)


def _first_or_all(interval: int, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
    number = event.iteration + event.inner - 1
    if event.mode == "test":
        yield from ((place, "test_img", seen + place + 1) for place in range(count))
    elif number % interval == 0:
        yield 0, "val_img", number


@dataclass(frozen=True)
class GroundingVisualizationHook(DetVisualizationHook):
    """mmdet's, of models that are asked in words; as `DetVisualizationHook`."""


@dataclass(frozen=True)
class TrackVisualizationHook(_Drawing):
    """mmdet's, of videos: every ``frame_interval``-th image; the other arguments as of `DetVisualizationHook`."""

    draw: bool = False
    frame_interval: int = 30
    score_thr: float = 0.3
    show: bool = False
    wait_time: float = 0.0
    test_out_dir: str | None = None
    backend_args: Any = None

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        for place in range(count):
            if (seen + place) % self.frame_interval == 0:
                yield place, f"{event.mode}_img", seen + place


@dataclass(frozen=True)
class SegVisualizationHook(_Drawing):
    """mmseg's: every image of each ``interval``-th batch, in validation and in a test; arguments as of `DetVisualizationHook`."""

    draw: bool = False
    interval: int = 50
    show: bool = False
    wait_time: float = 0.0
    backend_args: Any = None

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        if event.inner % self.interval == 0:
            for place in range(count):
                yield place, f"{event.mode}_{_name(event, place, seen)}", event.iteration


@dataclass(frozen=True)
class NaiveVisualizationHook(_Drawing):
    """mmengine's: in a test, every image of each ``interval``-th batch.

    Args:
        interval: batches.
        draw_gt: draw the truth too, which is not supported yet: an error unless it is False.
        draw_pred: draw what is predicted.
    """

    interval: int = 1
    draw_gt: bool = True
    draw_pred: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draw_gt or not self.draw_pred:
            raise FkitValueError(
                f"NaiveVisualizationHook: draw_gt={self.draw_gt}, draw_pred={self.draw_pred}: predictions alone are drawn yet.",
                repair="Say draw_gt=False.",
            )

    def answers(self, event: str) -> bool:
        return super().answers(event) and event == "after_test_iter"

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        if event.inner % self.interval == 0:
            for place in range(count):
                yield place, _name(event, place, seen), event.iteration


@dataclass(frozen=True)
class VisualizationHook(_Drawing):
    """mmpretrain's: every ``interval``-th image, in validation and in a test.

    Args:
        enable: whether anything is drawn.
        interval: images from picture to picture.
        show: windows, which a run does not open: an error.
        out_dir: a folder in ``vis`` for the pictures.

    Example:
        >>> hook, run = VisualizationHook(enable=True, interval=10), RunState.__new__(RunState, None, None, {}, {})
        >>> list(hook.chosen(run, Event("after_val_iter", "val", epoch=2, length=3, inner=3), 8, 16))
        [(4, '20', 2)]
    """

    enable: bool = False
    interval: int = 5000
    show: bool = False
    out_dir: str | None = None

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        for number in range(math.ceil(seen / self.interval) * self.interval, seen + count, self.interval):
            yield (
                number - seen,
                _name(event, number - seen, seen),
                event.epoch if event.mode == "val" else event.iteration,
            )


@dataclass(frozen=True)
class PoseVisualizationHook(_Drawing):
    """mmpose's; draws as `DetVisualizationHook` does.

    Args:
        enable: whether anything is drawn.
        interval: batches from picture to picture.
        kpt_thr: the least score of a keypoint that is drawn.
        show, wait_time, backend_args: as of `DetVisualizationHook`.
        out_dir: a folder in ``vis`` for the pictures.
    """

    enable: bool = False
    interval: int = 50
    kpt_thr: float = 0.3
    show: bool = False
    wait_time: float = 0.0
    out_dir: str | None = None
    backend_args: Any = None

    @property
    def threshold(self) -> float:
        return self.kpt_thr

    def bind(self, offer: Offer) -> Self:
        """With the skeleton of the data, where the config has no ``visualizer`` of its own."""
        bound = super().bind(offer)
        if bound.on and bound.board is None and offer.settings is not None:
            make: Any = open_name("fkit.visualize.pose:PoseLocalVisualizer")
            object.__setattr__(bound, "board", make(dataset_meta=skeleton_of(offer.settings, offer.registry)))
        return bound

    def chosen(self, run: RunState, event: Event, count: int, seen: int) -> Iterator[tuple[int, str, int]]:
        return _first_or_all(self.interval, event, count, seen)


@dataclass(frozen=True)
class BadCaseAnalysisHook(_Drawing):
    """mmpose's: the images of a test that a model does worst at, told by a measure of keypoints. Off by default; on, it is an
    error: cases are not measured one by one.

    Args:
        enable: whether anything is drawn.
        metric_type: "loss" or "accuracy", of ``metric``; ``metric_key`` names the value of an accuracy.
        badcase_thr: the loss from which on, or the accuracy up to which, a case is bad.
        interval, kpt_thr, show, wait_time, out_dir, backend_args: as of `PoseVisualizationHook`.
    """

    enable: bool = False
    show: bool = False
    wait_time: float = 0.0
    interval: int = 50
    kpt_thr: float = 0.3
    out_dir: str | None = None
    backend_args: Any = None
    metric_type: str = "loss"
    metric: Any = field(default_factory=lambda: {"type": "KeypointMSELoss"})
    metric_key: str = "PCK"
    badcase_thr: float = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric_type not in ("loss", "accuracy"):
            raise FkitValueError(
                f"BadCaseAnalysisHook: metric_type = {quoted(self.metric_type)}.",
                value=str(self.metric_type), choices=("loss", "accuracy"),
            )  # fmt: skip
        if self.enable:
            raise FkitValueError(
                "BadCaseAnalysisHook: enable=True: cases are not measured one by one here.",
                repair="Say enable=False; PoseVisualizationHook(enable=True) draws all that a test predicts.",
            )


def _name(event: Event, place: int, seen: int) -> str:
    """What a picture is named for: its file, or its number in the pass."""
    meta: Any = event.batch.meta[place] if event.batch is not None and event.batch.meta else None
    path = cast("Mapping[str, Any]", meta).get("img_path") if isinstance(meta, Mapping) else None
    return PurePath(path).stem if isinstance(path, str) and path else str(seen + place)
