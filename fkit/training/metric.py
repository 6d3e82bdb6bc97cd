"""Metrics as monoids: observed in pieces, merged in any order, computed once.

A state is a frozen value that holds what each sample says about the number, with the sample's id. ``compute`` sorts by
id and drops the repeats that padding made, so order, split and the number of processes change no bit of the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fkit.training.label import check_labels
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Accuracy", "Metric", "Rows", "ranks"]

Targets: TypeAlias = Mapping[str, Any]


class Rows(NamedTuple):
    """One row a sample, in pieces as they were observed.

    Attributes:
        ids: pieces of (n,) int64: which sample.
        values: pieces of (n, ...): what it says.
    """

    ids: tuple[NDArray[np.int64], ...] = ()
    values: tuple[NDArray[Any], ...] = ()

    def add(self, ids: Any, values: Any, real: Any = None) -> "Rows":
        """These rows and more; ``real`` (n,) bool says which of them count, None all."""
        numbers, rows = np.asarray(ids, np.int64), np.asarray(values)
        if real is not None:
            mask = np.asarray(real, bool)
            numbers, rows = numbers[mask], rows[mask]
        return Rows((*self.ids, numbers), (*self.values, rows))

    def join(self, other: "Rows") -> "Rows":
        """These rows and the other's."""
        return Rows(self.ids + other.ids, self.values + other.values)

    def table(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """(n,) ids in order, each once, and the (n, ...) values; where one id has several values, the least."""
        ids, values = np.concatenate(self.ids), np.concatenate(self.values)
        columns = values.reshape(len(values), -1).T
        order = np.lexsort((*columns[::-1], ids))
        ids, values = ids[order], values[order]
        first = np.ones(len(ids), bool)
        first[1:] = ids[1:] != ids[:-1]
        return ids[first], values[first]


class Metric(Protocol):
    """What an evaluator asks of a metric: a frozen value; states are values too."""

    @property
    def prefix(self) -> str:
        """What its numbers' names begin with: ``prefix/name``."""
        ...

    def empty(self) -> Any:
        """The state that has seen nothing; merging it changes nothing."""
        ...

    def observe(self, state: Any, outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None) -> Any:
        """The state that has also seen one batch.

        Args:
            outputs: what the model predicted, as host arrays.
            targets: the batch's targets.
            ids: (N,) int64, which samples they are.
            valid: the batch's masks by target's name: which of ``targets[name]`` is real; one that is absent, all.
        """
        ...

    def merge(self, a: Any, b: Any) -> Any:
        """The state that has seen what both saw."""
        ...

    def compute(self, state: Any) -> dict[str, float]:
        """The numbers by name, prefix included.

        Raises:
            FkitValueError: nothing was observed.
        """
        ...


@dataclass(frozen=True)
class Accuracy:
    """The fraction of samples whose label is among the k best scored; mmpretrain's Accuracy, as a fraction.

    Args:
        topk: the k's.
        prefix: of the names: ``accuracy/top1``, ``accuracy/top5``.

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
    prefix: str = "accuracy"

    def __post_init__(self) -> None:
        chosen = (self.topk,) if isinstance(self.topk, int) else tuple(self.topk)
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
        labels = np.asarray(targets["gt_label"])
        return state.add(ids, self._ranks(outputs, labels), None if valid is None else valid.get("gt_label"))

    def merge(self, a: Rows, b: Rows) -> Rows:
        return a.join(b)

    def compute(self, state: Rows) -> dict[str, float]:
        if not sum(len(piece) for piece in state.ids):
            raise FkitValueError("Accuracy: no sample was observed.", repair="Check the validation data.")
        _, ranks = state.table()
        assert isinstance(self.topk, tuple)
        return {f"{self.prefix}/top{k}": float(np.count_nonzero(ranks < k) / len(ranks)) for k in self.topk}

    def _ranks(self, outputs: Any, labels: NDArray[Any]) -> NDArray[np.int64]:
        scores: Any = outputs
        if isinstance(outputs, Mapping):
            named = cast("Mapping[str, Any]", outputs)
            if "pred_score" not in named and "pred_label" in named and self.topk == (1,):
                return (np.asarray(named["pred_label"]) != labels).astype(np.int64)
            if "pred_score" not in named:
                raise FkitKeyError(
                    "Accuracy needs the output 'pred_score'.", value="pred_score", choices=named, label="Outputs"
                )
            scores = named["pred_score"]
        scores = np.asarray(scores)
        if scores.ndim != 2 or len(scores) != len(labels):
            raise FkitTypeError(f"Accuracy: scores of shape {scores.shape} for {len(labels)} labels; expected (N, K).")
        return ranks(scores, labels) if self.topk != (1,) else _missed(scores, labels)


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
    count = _classes(scores, labels)
    labelled: NDArray[Any] = np.take_along_axis(scores, labels[:, None], axis=1)
    above: NDArray[np.bool_] = np.logical_not(scores <= labelled)  # true for nan on either side
    tied: NDArray[np.bool_] = np.logical_and(scores == labelled, _below(count) < labels[:, None])
    return np.count_nonzero(np.logical_or(above, tied), axis=1).astype(np.int64)


def _missed(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """`ranks` cut off at 1, all that top-1 asks for, in a third of the time."""
    _classes(scores, labels)
    best = scores.max(axis=1)  # nan where one is nan: then no label is found
    return np.logical_or(scores.argmax(axis=1) != labels, best != best).astype(np.int64)


def _classes(scores: NDArray[Any], labels: NDArray[Any]) -> int:
    """How many classes there are; every label is one of them."""
    count = scores.shape[1]
    check_labels(labels, count)
    return count


def _below(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)
