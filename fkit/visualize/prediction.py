"""Predictions as a person reads them: words, a row of values, and a picture; one function for each kind of prediction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.visualize.visualizer import Picture, draw_label

__all__ = ["KINDS", "Answer", "Kind", "answers_of", "class_answers"]

_SHOWN = 3  # classes in a picture
_UNSURE = "unsure"


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


Kind: TypeAlias = Callable[[Mapping[str, Any], Callable[[int], str], float], Sequence["Answer | FkitError"]]
"""``kind(outputs, name_of, threshold)``: an answer for each image of a batch, or the error where there is none to give."""


def class_answers(
    outputs: Mapping[str, Any], name_of: Callable[[int], str], threshold: float = 0.0
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


KINDS: Mapping[str, Kind] = frozendict(pred_score=class_answers)
"""The output that tells a kind of prediction by -> what reads, says and draws it."""


def answers_of(
    outputs: Any, name_of: Callable[[int], str], threshold: float = 0.0, kinds: Mapping[str, Kind] = KINDS
) -> Sequence[Answer | FkitError]:
    """The answers of any model whose kind of prediction is known.

    Raises:
        FkitTypeError: it is of none of these kinds.

    Example:
        >>> answers_of({"boxes": np.zeros((1, 4))}, str)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: the model predicts 'boxes'; what can be drawn are a classifier's predictions: a mapping with 'pred_score' (images, classes).
          Give the model's "predict" mode this output.
    """
    expect(kinds, Mapping, "`kinds` is a mapping of outputs' names to functions")
    named = cast("Mapping[str, Any]", outputs) if isinstance(outputs, Mapping) else {}
    kind = next((kinds[name] for name in kinds if name in named), None)
    if kind is not None:
        return kind(named, name_of, threshold)
    given = ", ".join(map(repr, named)) if named else f"{quoted(type(outputs).__name__)}"
    raise FkitTypeError(
        f"the model predicts {given}; what can be drawn are a classifier's predictions: a mapping with 'pred_score' "
        "(images, classes).",
        repair='Give the model\'s "predict" mode this output.',
    )
