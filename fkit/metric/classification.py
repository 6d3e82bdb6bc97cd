"""Classification into one class: precision, recall and F1, and the confusion matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.label import check_labels
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.metric import Targets
from fkit.metric.row import Rows
from fkit.metric.sample import column, field, samples
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "ITEMS",
    "ConfusionMatrix",
    "SingleLabelMetric",
    "by_average",
    "checked_items",
    "named",
    "suffix_of",
    "thresholds",
]

ITEMS = ("precision", "recall", "f1-score", "support")
_AVERAGES = ("macro", "micro", None)


@dataclass(frozen=True)
class _Single(Gathered):
    """A row a sample: the predicted class, the true one, the predicted one's score, the number of classes."""

    num_classes: int | None = None

    def rows(self, outputs: Any, targets: Targets, ids: Any, valid: Targets | None) -> NDArray[Any]:
        who = type(self).__name__
        if not isinstance(outputs, (Mapping, Sequence)):
            outputs = {"pred_score": outputs}
        real = None if valid is None else valid.get("gt_label")
        table: list[tuple[float, ...]] = []
        for at, sample in enumerate(samples(outputs, targets, ids)):
            label = _one(field(sample, "gt_label", who), who) if real is None or bool(real[at]) else -1
            classes = self.num_classes or (0 if self.classes is None else len(self.classes))
            if "pred_score" in sample:
                scores = column(sample["pred_score"], f"{who}: pred_score of a sample")
                if not scores.size:
                    raise FkitTypeError(f"{who}: pred_score of a sample is empty.")
                said = int(scores.argmax())
                classes, score = len(scores), float(scores[said])
            else:
                said, score = _one(field(sample, "pred_label", who), who), np.inf
            if classes and label >= 0:
                check_labels(np.array([label, said]), classes)
            table.append((said, label, score, classes))
        return np.array(table, np.float64).reshape(-1, 4)

    def pairs(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], int]:
        """Of the samples that have a class: the predicted and the true one, the score, and how many classes there are."""
        rows = rows[rows[:, 1] >= 0]
        if not len(rows):
            raise FkitValueError(f"{type(self).__name__}: no sample that was observed has a class.")
        most = int(rows[:, :2].max(initial=-1)) + 1
        return (
            rows[:, 0].astype(np.int64),
            rows[:, 1].astype(np.int64),
            rows[:, 2],
            max(most, int(rows[:, 3].max(initial=0))),
        )


@dataclass(frozen=True)
class SingleLabelMetric(_Single):
    """Precision, recall, F1 and support of classes; mmpretrain's SingleLabelMetric, whose per cent are fractions here.

    A sample has ``pred_score`` (K,) or ``pred_label``, and ``gt_label``.

    Args:
        thrs: a prediction whose score is not above the threshold is none; None: every prediction counts. Of several, names
            end in ``_thr-0.50`` or ``_no-thr``.
        items: of "precision", "recall", "f1-score", "support".
        average: "macro": the mean of the classes; "micro": of all predictions together; None: each class by itself,
            ``precision_classwise/cat``.
        num_classes: how many classes there are, where only labels are predicted.

    Numbers: ``single-label/precision``, ``single-label/recall_micro``, ...

    Example:
        >>> metric = SingleLabelMetric(num_classes=4)
        >>> outputs, targets = {"pred_label": np.array([0, 2, 1, 3])}, {"gt_label": np.array([0, 1, 2, 3])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, range(4)))
        {'single-label/precision': 0.5, 'single-label/recall': 0.5, 'single-label/f1-score': 0.5}
    """

    default_prefix: ClassVar[str | None] = "single-label"

    thrs: float | Sequence[float | None] | None = 0.0
    items: Sequence[str] = ITEMS[:3]
    average: str | None = "macro"

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "thrs", thresholds(self.thrs, "SingleLabelMetric"))
        super().__post_init__()
        put(self, "items", checked_items(self.items, self.average, "SingleLabelMetric"))

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        said, labels, scores, classes = self.pairs(rows)
        numbers: dict[str, float] = {}
        real = np.bincount(labels, minlength=classes)
        several = cast("tuple[float | None, ...]", self.thrs)
        for threshold in several:
            kept = np.ones(len(said), bool) if threshold is None else scores > threshold
            right = np.bincount(said[kept & (said == labels)], minlength=classes)
            parts = by_average(right, np.bincount(said[kept], minlength=classes), real, self.average)
            numbers |= named(parts, self.items, suffix_of(threshold, several), self.average, self.classes)
        return numbers


@dataclass(frozen=True)
class ConfusionMatrix(_Single):
    """How often which class is taken for which; mmpretrain's ConfusionMatrix.

    A sample has ``pred_score`` (K,) or ``pred_label``, and ``gt_label``.

    Args:
        num_classes: how many classes there are, where only labels are predicted.

    Numbers: ``confusion_matrix/cat/dog``, how many cats are taken for dogs, of the pairs that occur; `matrix` gives all.

    Example:
        >>> metric = ConfusionMatrix(metainfo={"classes": ("cat", "dog")})
        >>> state = metric.observe(metric.empty(), {"pred_label": [0, 1, 1]}, {"gt_label": [0, 0, 0]}, range(3))
        >>> metric.matrix(state).tolist(), metric.compute(state)
        ([[1, 2], [0, 0]], {'confusion_matrix/cat/cat': 1.0, 'confusion_matrix/cat/dog': 2.0})
    """

    default_prefix: ClassVar[str | None] = "confusion_matrix"

    def matrix(self, state: Rows) -> NDArray[np.int64]:
        """(K, K) int64: samples of true class (row) by predicted class (column).

        Raises:
            FkitValueError: no sample was observed.
        """
        expect(state, Rows, "`state` is what `observe` gave")
        if not state.count:
            raise FkitValueError("ConfusionMatrix: no sample was observed.")
        return self._matrix(state.table()[1])

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        matrix = self._matrix(rows)
        names = (
            self.classes
            if self.classes is not None and len(self.classes) == len(matrix)
            else tuple(map(str, range(len(matrix))))
        )
        return {f"{names[a]}/{names[b]}": float(matrix[a, b]) for a, b in zip(*np.nonzero(matrix), strict=True)}

    def _matrix(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        said, labels, _, classes = self.pairs(rows)
        return np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)


def by_average(right: Any, said: Any, real: Any, average: str | None) -> dict[str, NDArray[np.float64]]:
    """Precision, recall, F1 and support, each (K,), or 0-d where they are averaged.

    Args:
        right: (K,) how many predictions of each class are right.
        said: (K,) how many there are.
        real: (K,) how many there should be.
        average: "macro", "micro" or None.

    Example:
        >>> by_average(np.array([1, 0]), np.array([2, 0]), np.array([1, 1]), "macro")["precision"].item()
        0.25
    """
    if average == "micro":
        right, said, real = np.sum(right), np.sum(said), np.sum(real)
    precision, recall = right / np.maximum(said, 1), right / np.maximum(real, 1)
    both = precision + recall
    f1 = 2 * precision * recall / np.where(both == 0, 1, both)
    parts = {"precision": precision, "recall": recall, "f1-score": f1, "support": np.asarray(real, np.float64)}
    if average is None:
        return parts
    return {name: np.asarray(part.sum() if name == "support" else part.mean()) for name, part in parts.items()}


def named(
    parts: Mapping[str, NDArray[np.float64]],
    items: Sequence[str],
    suffix: str,
    average: str | None,
    classes: Sequence[str] | None,
) -> dict[str, float]:
    """The numbers of `by_average` by mmpretrain's names.

    Example:
        >>> named({"recall": np.array([0.5, 1.0])}, ["recall"], "", None, ("cat", "dog"))
        {'recall_classwise/cat': 0.5, 'recall_classwise/dog': 1.0}
    """
    expect(parts, Mapping, "`parts` are what by_average gave")
    numbers: dict[str, float] = {}
    for item in items:
        part = parts[item]
        if average is None:
            names = classes if classes is not None and len(classes) == len(part) else tuple(map(str, range(len(part))))
            numbers |= {f"{item}{suffix}_classwise/{name}": float(x) for name, x in zip(names, part, strict=True)}
        else:
            numbers[f"{item}{suffix}" + ("_micro" if average == "micro" else "")] = float(part)
    return numbers


def thresholds(value: Any, who: str) -> tuple[float | None, ...]:
    """``thrs`` as a tuple, checked.

    Example:
        >>> thresholds([None, 0.5], "Accuracy")
        (None, 0.5)
    """
    several = cast("tuple[Any, ...]", tuple(value)) if isinstance(value, (list, tuple)) else (value,)
    for one in several:
        if one is not None:
            expect_number(one, f"{who}: thrs")
    if not several:
        raise FkitValueError(f"{who}: thrs is empty.")
    return several


def suffix_of(threshold: float | None, several: Sequence[Any]) -> str:
    """What a name ends in, of several thresholds."""
    return "" if len(several) == 1 else "_no-thr" if threshold is None else f"_thr-{threshold:.2f}"


def checked_items(items: Any, average: Any, who: str) -> tuple[str, ...]:
    """``items`` as a tuple, checked, and ``average`` with it."""
    expect(items, (list, tuple), f"{who}: items is a list of names")
    expect_choice(items, ITEMS, f"{who}: items")
    expect_choice(average, _AVERAGES, f"{who}: average")
    return tuple(items)


def _one(label: Any, who: str) -> int:
    array = np.asarray(label)
    if array.size != 1 or array.dtype.kind not in "iub":
        raise FkitTypeError(f"{who}: a sample has one class, not {label!r}.", repair="MultiLabelMetric takes several.")
    return int(array.reshape(()))
