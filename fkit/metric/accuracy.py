"""Top-k accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.label import check_labels
from fkit.metric.metric import Metric, Targets
from fkit.metric.row import Rows
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Accuracy", "ranks"]


@dataclass(frozen=True)
class Accuracy(Metric):
    """The fraction of samples whose label is among the k best scored; mmpretrain's Accuracy, as a fraction.

    Args:
        topk: the k's.
        ignore_index: a label that stands for no class: its samples do not count.

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

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.topk, (int, list, tuple), "Accuracy: topk is a number or a list of numbers")
        chosen = (self.topk,) if isinstance(self.topk, int) else tuple(self.topk)
        for k in chosen:
            expect_number(k, "Accuracy: topk", whole=True)
        if not chosen or min(chosen) < 1:
            raise FkitValueError(f"Accuracy: topk = {self.topk!r}: numbers from 1 on.")
        object.__setattr__(self, "topk", chosen)

    def empty(self) -> Rows:
        return Rows()

    def observe(self, state: Rows, outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None) -> Rows:
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
        return state.add(ids, _missed(scores, labels) if self.topk == (1,) else ranks(scores, labels))

    def merge(self, a: Rows, b: Rows) -> Rows:
        return a.join(b)

    def compute(self, state: Rows) -> dict[str, float]:
        if not state.count:
            raise FkitValueError("Accuracy: no sample was observed.", repair="Check the validation data.")
        _, ranks = state.table()
        assert isinstance(self.topk, tuple)
        return {f"{self.title}/top{k}": float(np.count_nonzero(ranks < k) / len(ranks)) for k in self.topk}

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
