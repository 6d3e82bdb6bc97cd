"""What the visualizers of tasks read of a sample, and how its truth and its prediction stand beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import host, is_array
from fkit.tree.check import expect
from fkit.visualize.shape import Colour, Picture, colour_of, palette
from fkit.visualize.visualizer import picture, sheet

__all__ = ["beside", "class_of", "classes_of", "field_of"]


def beside(
    board: Any, image: Any, sample: Any, which: tuple[bool, bool], fields: tuple[str, str], threshold: float
) -> Picture:
    """The pictures that are asked for, side by side; without any the image alone.

    Args:
        board: a visualizer, whose ``drawn(image, content, threshold)`` draws what a field of the sample holds.
        which: whether the truth is drawn, and the prediction.
        fields: of the sample: of the truth, and of the prediction.
        threshold: the least score of a prediction that is drawn.
    """
    under = picture(np.asarray(host(image)))
    drawn: list[Picture] = []
    for wanted, word, least in zip(which, fields, (0.0, threshold), strict=True):
        content = field_of(sample, word, None)
        if wanted and content is not None:
            drawn.append(board.drawn(under, content, least))
    if len(drawn) == 2:
        return sheet(drawn, columns=2, gap_px=6)[6:-6, 6:-6]
    return drawn[0] if drawn else under


def field_of(holder: Any, name: str, default: Any = None) -> Any:
    """A field of a structure or a mapping.

    Example:
        >>> field_of({"a": 1}, "a"), field_of(None, "a", 2)
        (1, 2)
    """
    if holder is None:
        return default
    if isinstance(holder, Mapping):
        return cast("Mapping[str, Any]", holder).get(name, default)
    return getattr(holder, name, default)


def classes_of(meta: Mapping[str, Any], labels: NDArray[Any]) -> tuple[list[str], list[Colour]]:
    """The name and the colour of each label.

    A palette of another number of colours than there are classes is that of other classes, and the kit's colours are taken.

    Args:
        meta: of the dataset: ``classes`` and ``palette``.
        labels: (N,) whole numbers.

    Example:
        >>> classes_of({"classes": ("cell", "debris"), "palette": [(9, 9, 9), (200, 0, 0)]}, np.array([1]))
        (['debris'], [(200, 0, 0)])
    """
    expect(labels, np.ndarray, "labels are an array")
    known: Any = meta.get("classes") or ()
    names = (known,) if isinstance(known, str) else cast("Sequence[Any]", known)
    given: Any = meta.get("palette")
    most = max([int(labels.max()) if labels.size else 0, len(names) - 1], default=0) + 1
    colours = palette(most)
    if (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and (not names or len(cast(Any, given)) == len(names))
    ):
        own = tuple(colour_of([int(part) for part in one]) for one in cast("Sequence[Any]", given))
        colours = (*own, *colours[len(own) :])
    said = [str(names[label]) if 0 <= label < len(names) else str(label) for label in labels.tolist()]
    return said, [colours[label % len(colours)] for label in labels.tolist()]


def class_of(sample: Any, word: str, classes: Sequence[Any]) -> tuple[str, float | None] | None:
    """The class of an image and its score; None where the sample has none.

    Args:
        sample: with ``pred_label`` or ``pred_score`` (K,), LabelData or plain; ``pred_class`` is a name.
        word: "pred" or "gt".
        classes: the names of the classes.

    Example:
        >>> class_of({"pred_score": np.array([0.25, 0.75])}, "pred", ("cat", "dog"))
        ('dog', 0.75)
    """
    label, score = field_of(sample, f"{word}_label"), field_of(sample, f"{word}_score")
    if label is not None and not is_array(label):
        label, score = field_of(label, "label", label), field_of(label, "score", score)
    scores: NDArray[Any] = np.zeros(0) if score is None else np.asarray(host(score), np.float64).ravel()
    if label is None and not scores.size:
        return None
    number = int(scores.argmax()) if label is None else int(np.ravel(host(label))[0])
    known = str(classes[number]) if 0 <= number < len(classes) else str(number)
    place = number if scores.size > max(number, 1) else 0  # of all classes, or of the one
    return str(field_of(sample, f"{word}_class") or known), float(scores[place]) if scores.size else None
