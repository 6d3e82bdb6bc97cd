"""Predictions as a person reads them: words, a row of values, and a picture; one function for each kind of prediction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import cv2
import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.structures.pasted import THRESHOLD
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.visualize.canvas import Visualizer
from fkit.visualize.pose import PoseLocalVisualizer
from fkit.visualize.shape import Picture
from fkit.visualize.task import DetLocalVisualizer, SegLocalVisualizer
from fkit.visualize.visualizer import draw_label

__all__ = ["KINDS", "Answer", "Kind", "answers_of", "class_answers", "map_answers", "object_answers"]

_SHOWN = 3  # classes in a picture
_UNSURE = "unsure"

B = TypeVar("B", bound=Visualizer)


class Answer(NamedTuple):
    """What was predicted of one image.

    Attributes:
        row: for a file of rows: {"label": "3", "score": 0.98}.
        words: for a person, on one line.
        draw: (H, W, 3) RGB -> the picture with what was predicted.
    """

    row: Mapping[str, Any]
    words: str
    draw: Callable[[NDArray[Any]], Picture]


Kind: TypeAlias = Callable[..., Sequence["Answer | FkitError"]]
"""``kind(outputs, name_of, threshold, board)``: an answer for each image of a batch, or the error where there is none to give."""


def class_answers(
    outputs: Mapping[str, Any], name_of: Callable[[int], str], threshold: float = 0.0, board: Any = None
) -> list[Answer | FkitError]:
    """The answers of a classifier.

    Args:
        outputs: ``pred_score`` (N, K), the scores of K classes.
        name_of: the name of a label.
        threshold: what scores less is called "unsure".

    Returns:
        (N) answers; an error for an image whose scores are not finite.

    Raises:
        FkitTypeError: ``pred_score`` has another shape.

    Example:
        >>> [answer] = class_answers({"pred_score": np.array([[0.1, 0.7, 0.2]])}, lambda label: "abc"[label])
        >>> dict(answer.row), answer.words, answer.draw(np.zeros((8, 8, 3), np.uint8)).shape
        ({'label': 'b', 'score': 0.7}, 'b 0.7000', (396, 256, 3))
    """
    expect(outputs, Mapping, "`outputs` are a model's predictions, by name")
    scores = np.asarray(outputs.get("pred_score"))
    if scores.ndim != 2 or scores.dtype.kind in "OUSc" or scores.shape[1] == 0:
        raise FkitTypeError(
            f"pred_score is {scores.dtype}{scores.shape}: the scores of a classifier are (images, classes)."
        )
    return [_of_classes(row.astype(np.float64), name_of, threshold) for row in scores]


def _of_classes(scores: NDArray[np.float64], name_of: Callable[[int], str], threshold: float) -> Answer | FkitError:
    if not np.isfinite(scores).all():
        return FkitValueError("the model's scores are not finite.")
    order = np.argsort(-scores, kind="stable")[:_SHOWN]  # of equal scores the first class, as argmax has it
    named = [(name_of(int(label)), float(scores[label])) for label in order]
    label, score = named[0]
    others = named[1:]
    if score < threshold:  # the picture says of what it is unsure
        label, others = _UNSURE, named

    def draw(image: NDArray[Any]) -> Picture:
        return draw_label(image, label, score, others=others)

    return Answer(frozendict(label=label, score=score), f"{label} {score:.4f}", draw)


def map_answers(
    outputs: Mapping[str, Any], name_of: Callable[[int], str], threshold: float = 0.0, board: Any = None
) -> list[Answer | FkitError]:
    """The answers of a segmenter.

    Args:
        outputs: ``pred_sem_seg`` (N, H, W), a class for each pixel.

    Example:
        >>> [answer] = map_answers({"pred_sem_seg": np.array([[[0, 1], [1, 1]]])}, lambda label: "ab"[label])
        >>> answer.words, dict(answer.row["parts"])
        ('b 75.0%, a 25.0%', {'b': 0.75, 'a': 0.25})
    """
    expect(outputs, Mapping, "`outputs` are a model's predictions, by name")
    maps = np.asarray(outputs.get("pred_sem_seg"))
    if maps.ndim != 3 or maps.dtype.kind not in "iu":
        raise FkitTypeError(
            f"pred_sem_seg is {maps.dtype}{maps.shape}: a segmenter's maps are whole numbers (images, H, W)."
        )
    return [_of_map(one, name_of, _drawn_by(SegLocalVisualizer, board)) for one in maps]


def _of_map(labels: NDArray[Any], name_of: Callable[[int], str], board: SegLocalVisualizer) -> Answer:
    present, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable").tolist()
    parts = {name_of(int(present[place])): float(counts[place] / labels.size) for place in order}
    names = _names(present, name_of)

    def draw(image: NDArray[Any]) -> Picture:
        return _knowing(board, names).add_datasample("", image, {"pred_sem_seg": _fitted(labels, image)}).get_image()

    said = ", ".join(f"{name} {100 * part:.1f}%" for name, part in list(parts.items())[:_SHOWN])
    return Answer(frozendict(parts=frozendict(parts)), said, draw)


def _fitted(labels: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """A map as large as the image that it is drawn on."""
    height, width = image.shape[:2]
    if labels.shape == (height, width):
        return labels
    return np.asarray(cv2.resize(labels.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST))


def object_answers(
    outputs: Mapping[str, Any], name_of: Callable[[int], str], threshold: float = 0.0, board: Any = None
) -> list[Answer | FkitError]:
    """The answers of a detector, or of a model of poses.

    Args:
        outputs: ``pred_instances``, of mappings of arrays, batch first, with ``valid["pred_instances"]`` (N, K) bool where some only
            pad; in pixels of the image as it came.
        threshold: the least score.

    Example:
        >>> found = {"bboxes": np.array([[[0, 0, 9, 9.0]]]), "scores": np.array([[0.8]]), "labels": np.array([[1]])}
        >>> [answer] = object_answers({"pred_instances": found}, lambda label: "ab"[label], 0.3)
        >>> answer.words, dict(answer.row["objects"][0])
        ('1 object: b 80', {'label': 'b', 'score': 0.8, 'bbox': (0.0, 0.0, 9.0, 9.0)})
    """
    expect(outputs, Mapping, "`outputs` are a model's predictions, by name")
    fields: Any = outputs.get("pred_instances")
    expect(fields, Mapping, "pred_instances is a mapping of arrays, batch first")
    named = cast("Mapping[str, Any]", fields)
    valid: Any = cast("Mapping[str, Any]", outputs.get("valid") or {}).get("pred_instances")
    least: Any = outputs.get(THRESHOLD)
    count = len(np.asarray(next(iter(named.values()))))
    answers: list[Answer | FkitError] = []
    for place in range(count):
        one = {name: np.asarray(value)[place] for name, value in named.items()}
        if valid is not None:
            one = {name: value[np.asarray(valid)[place]] for name, value in one.items()}
        one |= {} if least is None else {THRESHOLD: np.asarray(least)[place]}
        posed = "keypoints" in one
        answers.append(
            _of_poses(one, threshold, _drawn_by(PoseLocalVisualizer, board))
            if posed
            else _of_objects(one, name_of, threshold, _drawn_by(DetLocalVisualizer, board))
        )
    return answers


def _of_objects(
    fields: Mapping[str, NDArray[Any]], name_of: Callable[[int], str], threshold: float, board: DetLocalVisualizer
) -> Answer:
    scores = fields["scores"].astype(np.float64)
    order = [place for place in np.argsort(-scores, kind="stable").tolist() if scores[place] >= threshold]
    labels = fields["labels"].astype(np.int64)
    objects = tuple(
        frozendict(
            label=name_of(int(labels[place])),
            score=float(scores[place]),
            bbox=tuple(float(x) for x in fields["bboxes"][place]),
        )
        for place in order
    )
    names = _names(labels, name_of)

    def draw(image: NDArray[Any]) -> Picture:
        return (
            _knowing(board, names)
            .add_datasample("", image, {"pred_instances": fields}, pred_score_thr=threshold)
            .get_image()
        )

    first = ", ".join(f"{one['label']} {100 * one['score']:.0f}" for one in objects[:_SHOWN])
    said = f"{len(objects)} object{'s' * (len(objects) != 1)}" + (f": {first}" if objects else "")
    return Answer(frozendict(objects=objects), said, draw)


def _of_poses(fields: Mapping[str, NDArray[Any]], threshold: float, board: PoseLocalVisualizer) -> Answer:
    points = fields["keypoints"].astype(np.float64)
    scores = fields.get("keypoint_scores", np.ones(points.shape[:2])).astype(np.float64)
    poses = tuple(
        frozendict(
            keypoints=tuple(tuple(float(x) for x in point) for point in person), scores=tuple(float(x) for x in sure)
        )
        for person, sure in zip(points, scores, strict=True)
    )

    def draw(image: NDArray[Any]) -> Picture:
        return board.add_datasample("", image, {"pred_instances": fields}, kpt_thr=threshold).get_image()

    sure = float(scores.mean()) if scores.size else 0.0
    return Answer(frozendict(poses=poses), f"{len(poses)} pose{'s' * (len(poses) != 1)}, mean score {sure:.2f}", draw)


def _drawn_by(kind: type[B], board: Any) -> B:
    """The visualizer that was chosen, where it is one of this kind of prediction; else the kit's own."""
    return board if isinstance(board, kind) else kind()


def _knowing(board: B, names: tuple[str, ...]) -> B:
    return replace(board, dataset_meta={**board.dataset_meta, "classes": names})


def _names(labels: NDArray[Any], name_of: Callable[[int], str]) -> tuple[str, ...]:
    """The names of all classes up to the last that is there."""
    return tuple(name_of(label) for label in range(int(labels.max()) + 1)) if labels.size else ()


KINDS: Mapping[str, Kind] = frozendict(
    pred_score=class_answers, pred_sem_seg=map_answers, pred_instances=object_answers
)
"""The output that tells a kind of prediction by -> what reads, says and draws it."""


def answers_of(
    outputs: Any,
    name_of: Callable[[int], str],
    threshold: float = 0.0,
    kinds: Mapping[str, Kind] = KINDS,
    board: Any = None,
) -> Sequence[Answer | FkitError]:
    """The answers of any model whose kind of prediction is known.

    Args:
        board: a visualizer that draws them, where it is one for this kind of prediction.

    Raises:
        FkitTypeError: it is of none of these kinds.

    Example:
        >>> answers_of({"boxes": np.zeros((1, 4))}, str)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: the model predicts 'boxes'; what can be drawn is a mapping with 'pred_score' (images, classes), 'pred_sem_seg' (images, H, W), or 'pred_instances'.
          Give the model's "predict" mode this output.
    """
    expect(kinds, Mapping, "`kinds` is a mapping of outputs' names to functions")
    named = cast("Mapping[str, Any]", outputs) if isinstance(outputs, Mapping) else {}
    kind = next((kinds[name] for name in kinds if name in named), None)
    if kind is not None:
        return kind(named, name_of, threshold) if board is None else kind(named, name_of, threshold, board)
    given = ", ".join(map(repr, named)) if named else f"{quoted(type(outputs).__name__)}"
    raise FkitTypeError(
        f"the model predicts {given}; what can be drawn is a mapping with 'pred_score' (images, classes), 'pred_sem_seg' (images, H, W),"
        " or 'pred_instances'.",
        repair='Give the model\'s "predict" mode this output.',
    )
