"""Classification into several classes at once, and retrieval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.classification import ITEMS, by_average, checked_items, named
from fkit.metric.gathered import Gathered, expect_choice
from fkit.metric.metric import Targets
from fkit.metric.sample import Sample, column, field, samples
from fkit.tree.check import expect_number
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["AveragePrecision", "MultiLabelMetric", "RetrievalAveragePrecision", "RetrievalRecall", "VOCAveragePrecision", "VOCMultiLabelMetric", "average_precision"]  # fmt: skip


@dataclass(frozen=True)
class _Several(Gathered):
    """A row a sample: its scores and its classes, (2, K); of a class that does not count, -1."""

    def rows(self, outputs: Any, targets: Targets, ids: Any, valid: Targets | None) -> NDArray[Any]:
        if not isinstance(outputs, (Mapping, Sequence)):
            outputs = {"pred_score": outputs}
        return np.array([self._row(sample) for sample in samples(outputs, targets, ids, valid)])

    def _row(self, sample: Sample) -> NDArray[Any]:
        who = type(self).__name__
        scores = column(field(sample, "pred_score", who), f"{who}: pred_score of a sample").astype(np.float64)
        if "gt_score" in sample:
            real = column(sample["gt_score"], f"{who}: gt_score of a sample").astype(np.float64)
            if real.shape != scores.shape:
                raise FkitTypeError(f"{who}: gt_score of shape {real.shape} for pred_score of shape {scores.shape}.")
        else:
            real = _marked(field(sample, "gt_label", who), len(scores), who)
        return np.stack((scores, self._counted(real.copy(), sample)))

    def _counted(self, real: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
        return real


@dataclass(frozen=True)
class MultiLabelMetric(_Several):
    """Precision, recall, F1 and support of classes of which a sample has several; mmpretrain's MultiLabelMetric, whose per
    cent are fractions here.

    A sample has ``pred_score`` (K,), and ``gt_score`` (K,) of 0 and 1, -1 where it does not count; or ``gt_label``, the classes.

    Args:
        thr: a class whose score is at least this is predicted; by default 0.5, where ``topk`` is not set.
        topk: the classes of the k greatest scores are predicted; ``thr`` goes first.
        items: of "precision", "recall", "f1-score", "support".
        average: "macro", "micro", or None: each class by itself.

    Numbers: ``multi-label/precision``, ``multi-label/recall_top3``, ``multi-label/f1-score_thr-0.30_micro``, ...

    Example:
        >>> metric = MultiLabelMetric(items=["recall"])
        >>> outputs, targets = {"pred_score": np.array([[0.9, 0.2]])}, {"gt_score": np.array([[1, 1]])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'multi-label/recall': 0.5}
    """

    default_prefix: ClassVar[str | None] = "multi-label"

    thr: float | None = None
    topk: int | None = None
    items: Sequence[str] = ITEMS[:3]
    average: str | None = "macro"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "items", checked_items(self.items, self.average, type(self).__name__))
        if self.topk is not None and self.topk < 1:
            raise FkitValueError(f"{type(self).__name__}: topk = {self.topk}: at least 1.")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        scores, real = rows[:, 0], rows[:, 1]
        threshold = 0.5 if self.thr is None and self.topk is None else self.thr
        if threshold is not None:
            said, suffix = scores >= threshold, "" if threshold == 0.5 else f"_thr-{threshold:.2f}"
        else:
            best = np.argsort(-scores, axis=1, kind="stable")[:, : self.topk]
            said, suffix = np.zeros(scores.shape, bool), f"_top{self.topk}"
            np.put_along_axis(said, best, True, axis=1)
        counts, positive = real != -1, real == 1
        said = said & counts
        parts = by_average((said & positive).sum(0), said.sum(0), positive.sum(0), self.average)
        return named(parts, self.items, suffix, self.average, self.classes)


@dataclass(frozen=True)
class AveragePrecision(_Several):
    """The mean of the precisions at each true sample, by class; mmpretrain's AveragePrecision, whose per cent are fractions.

    A sample has ``pred_score`` (K,), and ``gt_score`` (K,) or ``gt_label``, as of `MultiLabelMetric`.

    Args:
        average: "macro": ``mAP``; None: each class by itself, ``AP_classwise/cat``.

    Example:
        >>> metric = AveragePrecision()
        >>> scores = np.array([[0.9, 0.8, 0.3, 0.2], [0.1, 0.2, 0.2, 0.1], [0.7, 0.5, 0.9, 0.3], [0.8, 0.1, 0.1, 0.2]])
        >>> real = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]])
        >>> round(metric.compute(metric.observe(metric.empty(), {"pred_score": scores}, {"gt_score": real}, range(4)))["multi-label/mAP"], 6)
        0.708333
    """

    default_prefix: ClassVar[str | None] = "multi-label"

    average: str | None = "macro"

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.average, ("macro", None), f"{type(self).__name__}: average")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        each = [average_precision(rows[:, 0, k], rows[:, 1, k]) for k in range(rows.shape[2])]
        if self.average == "macro":
            return {"mAP": float(np.mean(each))}
        names = (
            self.classes
            if self.classes is not None and len(self.classes) == len(each)
            else tuple(map(str, range(len(each))))
        )
        return {f"AP_classwise/{name}": value for name, value in zip(names, each, strict=True)}


@dataclass(frozen=True)
class _Difficult(_Several):
    """Classes that an image has in ``gt_label_difficult`` alone."""

    difficult_as_positive: bool | None = None

    def _counted(self, real: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
        who = type(self).__name__
        difficult = column(field(sample, "gt_label_difficult", who), f"{who}: gt_label_difficult", whole=True)
        if difficult.size and not 0 <= difficult.min() <= difficult.max() < len(real):
            raise FkitValueError(f"{who}: gt_label_difficult {difficult.tolist()} are no classes among {len(real)}.")
        alone = [label for label in difficult.tolist() if real[label] != 1]
        if self.difficult_as_positive is not False:
            real[alone] = 1 if self.difficult_as_positive else -1
        return real


@dataclass(frozen=True)
class VOCMultiLabelMetric(_Difficult, MultiLabelMetric):
    """`MultiLabelMetric` on Pascal VOC, where a class may be there in difficult objects alone (``gt_label_difficult``).

    Args:
        thr, topk, items, average: as of `MultiLabelMetric`.
        difficult_as_positive: such a class counts as there (True) or as not there (False); None: it does not count.
    """


@dataclass(frozen=True)
class VOCAveragePrecision(_Difficult, AveragePrecision):
    """`AveragePrecision` on Pascal VOC, where a class may be there in difficult objects alone (``gt_label_difficult``).

    Args:
        average: as of `AveragePrecision`.
        difficult_as_positive: such a class counts as there (True) or as not there (False); None: it does not count.
    """


@dataclass(frozen=True)
class RetrievalRecall(_Several):
    """How often one of the k best is right; mmpretrain's RetrievalRecall, whose per cent are fractions here.

    A sample has ``pred_score`` (G,) of the gallery, and ``gt_label``, the places that are right, or ``gt_score`` (G,).

    Args:
        topk: k, or several.

    Example:
        >>> metric = RetrievalRecall(topk=(1, 2))
        >>> outputs, targets = {"pred_score": np.array([[0.1, 0.7, 0.2]])}, {"gt_label": [[2]]}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'retrieval/Recall@1': 0.0, 'retrieval/Recall@2': 1.0}
    """

    default_prefix: ClassVar[str | None] = "retrieval"

    topk: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "topk", tuple(self.topk) if isinstance(self.topk, (list, tuple)) else (self.topk,))
        super().__post_init__()
        for k in cast("tuple[Any, ...]", self.topk):
            expect_number(k, "RetrievalRecall: topk", whole=True)
            if k < 1:
                raise FkitValueError(f"RetrievalRecall: topk = {k}: at least 1.")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        order = np.argsort(-rows[:, 0], axis=1, kind="stable")
        right = np.take_along_axis(rows[:, 1], order, axis=1) > 0
        return {f"Recall@{k}": float(right[:, :k].any(axis=1).mean()) for k in cast("tuple[int, ...]", self.topk)}


@dataclass(frozen=True)
class RetrievalAveragePrecision(_Several):
    """The mean of the precisions at each place that is right, among the k best; mmpretrain's RetrievalAveragePrecision, whose
    per cent are fractions here.

    Args:
        topk: k.
        mode: "IR": the precision at the place; "integrate": its mean with that before it.

    Example:
        >>> metric = RetrievalAveragePrecision(topk=10)
        >>> outputs = {"pred_score": np.linspace(0.95, 0.05, 10)[None]}
        >>> targets = {"gt_score": np.array([[1, 0, 1, 0, 0, 1, 0, 0, 1, 1]])}
        >>> round(metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))["retrieval/mAP@10"], 9)
        0.622222222
    """

    default_prefix: ClassVar[str | None] = "retrieval"

    topk: int = 100
    mode: str = "IR"

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.mode, ("IR", "integrate"), "RetrievalAveragePrecision: mode")
        if self.topk < 1:
            raise FkitValueError(f"RetrievalAveragePrecision: topk = {self.topk}: at least 1.")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        each: list[float] = []
        for scores, real in rows:
            places = np.flatnonzero(real[np.argsort(-scores, kind="stable")[: self.topk]] > 0)
            count = np.arange(1, len(places) + 1)
            precision = count / (places + 1)
            if self.mode == "integrate":
                before = np.where(places > 0, (count - 1) / np.maximum(places, 1), 1)
                precision = (before + precision) / 2
            each.append(float(precision.sum() / max(np.count_nonzero(real > 0), 1)))
        return {f"mAP@{self.topk}": float(np.mean(each))}


def average_precision(scores: NDArray[Any], real: NDArray[Any]) -> float:
    """The mean over true samples of the precision among those that score at least as much.

    Args:
        scores: (N,).
        real: (N,) 1, 0, or -1 for what does not count.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]))
        0.8333333333333333
    """
    scores, real = scores[real > -1], real[real > -1]
    right = real[np.argsort(-scores, kind="stable")] == 1
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].sum() / max(int(right.sum()), 1))


def _marked(labels: Any, count: int, who: str) -> NDArray[np.float64]:
    """Classes as (K,) of 0 and 1."""
    chosen = np.asarray(labels)
    if chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= count):
        raise FkitValueError(f"{who}: gt_label {labels!r} are no classes among {count}.")
    marks = np.zeros(count)
    marks[chosen.astype(np.int64).reshape(-1)] = 1
    return marks
