"""Top-k accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.label import check_labels
from fkit.metric.classification import suffix_of, thresholds
from fkit.metric.gathered import Gathered
from fkit.metric.metric import Targets
from fkit.metric.row import Rows
from fkit.metric.sample import Sample, field, samples
from fkit.structures.element import DataElement
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Accuracy", "ranks"]


@dataclass(frozen=True)
class Accuracy(Gathered):
    """The fraction of samples whose label is among the k best scored; mmpretrain's Accuracy, as a fraction.

    Args:
        topk: the k's.
        ignore_index: a label that stands for no class: its samples do not count.
        thrs: a label is found only where its score is above the threshold; of several, names end in ``_thr-0.50`` or
            ``_no-thr``. None, the default: no threshold (mmpretrain's is 0, which scores that are no probabilities fail).

    Its numbers are ``accuracy/top1``, ``accuracy/top5``, ...; ``prefix`` stands for the first word.

    ``outputs`` is a mapping with ``pred_score`` (N, K), or only ``pred_label`` (N,) for k = 1; or the scores themselves.
    ``targets["gt_label"]`` is (N,). Of equal scores the lower class is taken to be the better, so ties are settled the
    same everywhere; a score of nan is above all others, and a label whose own score is nan is never found.

    Example:
        >>> metric = Accuracy(topk=(1, 2))
        >>> scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
        >>> state = metric.observe(metric.empty(), {"pred_score": scores}, {"gt_label": np.array([1, 2])}, [0, 1])
        >>> metric.compute(state)
        {'accuracy/top1': 0.5, 'accuracy/top2': 1.0}
    """

    topk: int | Sequence[int] = (1,)
    ignore_index: int | None = None
    thrs: float | Sequence[float | None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "thrs", thresholds(self.thrs, "Accuracy"))
        super().__post_init__()
        expect(self.topk, (int, list, tuple), "Accuracy: topk is a number or a list of numbers")
        chosen = (self.topk,) if isinstance(self.topk, int) else tuple(self.topk)
        for k in chosen:
            expect_number(k, "Accuracy: topk", whole=True)
        if not chosen or min(chosen) < 1:
            raise FkitValueError(f"Accuracy: topk = {self.topk!r}: numbers from 1 on.")
        object.__setattr__(self, "topk", chosen)

    def observe(self, state: Rows, outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None) -> Rows:
        if isinstance(outputs, (list, tuple)) and any(
            isinstance(one, (Mapping, DataElement)) for one in cast(Any, outputs)
        ):
            outputs, targets = _stacked(samples(outputs, targets, ids))
        if "gt_label" not in targets:
            raise FkitKeyError(
                "Accuracy needs the target 'gt_label'.", value="gt_label", choices=targets, label="Targets"
            )
        labels: NDArray[Any] = np.asarray(targets["gt_label"])
        name, scores = self._scores(outputs)
        if labels.ndim != 1 or scores.shape[:1] != labels.shape or scores.ndim != (1 if name == "pred_label" else 2):
            raise FkitTypeError(
                f"Accuracy: {name} of shape {scores.shape} for labels of shape {labels.shape}; expected"
                f" {'(N,)' if name == 'pred_label' else '(N, K)'} and (N,)."
            )
        real = None if valid is None else valid.get("gt_label")
        if real is not None or self.ignore_index is not None:
            mask = np.ones(len(labels), bool) if real is None else np.asarray(real, bool)
            if self.ignore_index is not None:
                mask = np.logical_and(mask, labels != self.ignore_index)
            labels, scores, ids = labels[mask], scores[mask], np.asarray(ids)[mask]
        if name == "pred_label":
            return state.add(ids, scores != labels)
        if self.thrs != (None,):
            ranked = ranks(scores, labels)  # which refuses labels that are no class
            return state.add(ids, np.stack((ranked, scores[np.arange(len(labels)), labels]), axis=1))
        return state.add(ids, _missed(scores, labels) if self.topk == (1,) else ranks(scores, labels))

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        ranks, score = (rows, None) if rows.ndim == 1 else (rows[:, 0], rows[:, 1])
        several = (None,) if score is None else cast("tuple[float | None, ...]", self.thrs)
        numbers: dict[str, float] = {}
        for k in cast("tuple[int, ...]", self.topk):
            for threshold in several:
                right = ranks < k if threshold is None or score is None else (ranks < k) & (score > threshold)
                numbers[f"top{k}{suffix_of(threshold, several)}"] = float(np.count_nonzero(right) / len(ranks))
        return numbers

    def _scores(self, outputs: Any) -> tuple[str, NDArray[Any]]:
        """What the outputs are judged by, and its name."""
        if not isinstance(outputs, Mapping):
            return "scores", np.asarray(outputs)
        named = cast("Mapping[str, Any]", outputs)
        for name in ("pred_score", "pred_label") if self.topk == (1,) else ("pred_score",):
            if name in named:
                return name, np.asarray(named[name])
        raise FkitKeyError(
            "Accuracy needs the output 'pred_score'.", value="pred_score", choices=named, label="Outputs"
        )


def ranks(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """How many classes are scored above each sample's label; (N,) int64, 0 is best.

    Args:
        scores: (N, K).
        labels: (N,), each below K.

    Raises:
        FkitValueError: a label is no class.

    Example:
        >>> ranks(np.array([[0.2, 0.2, 0.6]]), np.array([1])).tolist()
        [2]
    """
    expect(scores, np.ndarray, "`scores` is an array (N, K)")
    expect(labels, np.ndarray, "`labels` is an array (N,)")
    check_labels(labels, scores.shape[1])
    labelled: NDArray[Any] = scores[np.arange(len(labels)), labels][:, None]
    above: NDArray[np.bool_] = np.logical_not(scores <= labelled)  # true for nan on either side
    tied: NDArray[np.bool_] = np.logical_and(scores == labelled, np.arange(scores.shape[1]) < labels[:, None])
    return np.add.reduce(np.logical_or(above, tied), axis=1, dtype=np.int64)


def _missed(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """`ranks` cut off at 1, all that top-1 asks for, in a third of the time."""
    check_labels(labels, scores.shape[1])
    places = scores.argmax(axis=1)  # of nan where one is nan: then no label is found
    best = scores[np.arange(len(labels)), places]
    return np.logical_or(places != labels, best != best)


def _stacked(several: Sequence[Sample]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Outputs and targets of samples by themselves, as arrays of a batch."""
    name = "pred_score" if all("pred_score" in sample for sample in several) else "pred_label"
    said = [np.asarray(field(sample, name, "Accuracy")) for sample in several]
    labels = [np.asarray(field(sample, "gt_label", "Accuracy")) for sample in several]
    for parts, what in ((labels, "gt_label"), *(((said, name),) if name == "pred_label" else ())):
        if any(part.size != 1 for part in parts):
            raise FkitTypeError(f"Accuracy: {what} of a sample is one class.", repair="MultiLabelMetric takes several.")
    forms = {(part.ndim == 1 and part.dtype.kind in "biuf", part.shape) for part in said}
    if name == "pred_score" and (len(forms) != 1 or not next(iter(forms))[0]):
        raise FkitTypeError("Accuracy: pred_score of a sample is (K,) numbers, K the same of all.")
    return {name: np.stack(said) if name == "pred_score" else np.concatenate([part.reshape(-1) for part in said])}, {
        "gt_label": np.concatenate([part.reshape(-1) for part in labels])
    }
