"""Metrics as monoids: observed in pieces, merged in any order, computed once.

A state is a frozen value that holds what each sample says about the number, with the sample's id. ``compute`` sorts by
id and drops the repeats that padding made, so order, split and the number of processes change no bit of the answer.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.row import Rows
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["Metric", "Targets", "check_metric"]

_METRIC = Contract(
    "metric",
    (("empty", ""), ("observe", "state, outputs, targets, ids, valid"), ("merge", "a, b"), ("compute", "state")),
    """
For example, with fkit.Metric, which has them all for a number a sample:
    class Hits(fkit.Metric):
        def values(self, outputs, targets):
            return outputs["pred_score"].argmax(1) == targets["gt_label"]""",
)

Targets: TypeAlias = Mapping[str, Any]


_CONTRACT = (
    "Write `values(self, outputs, targets)`, which gives a number a sample, (N,); or `empty`, `observe`, `merge` and"
    " `compute`."
)


@dataclass(frozen=True)
class Metric:
    """What is measured on held-out data: a frozen value; states are values too.

    The common case is a number a sample and its mean: derive a frozen dataclass and write `values`. Each sample counts
    once, though padding may repeat it, and any order, split or number of processes gives the same bits. Anything else
    overrides `empty`, `observe`, `merge` and `compute`, together.

    Args:
        prefix: what its numbers' names begin with; by default the class's own name in small letters.

    Example:
        >>> class Error(Metric):
        ...     def values(self, outputs, targets):
        ...         return np.abs(outputs["size"] - targets["size"])
        >>> metric = Error()
        >>> state = metric.observe(metric.empty(), {"size": np.array([2.0, 4.0])}, {"size": np.array([2, 1])}, [0, 1])
        >>> metric.compute(state)
        {'error': 1.5}
    """

    __fkit_kind__ = "metrics"

    _: KW_ONLY
    prefix: str = ""

    @property
    def title(self) -> str:
        """What its numbers' names begin with."""
        expect(self.prefix, str, f"{type(self).__name__}: prefix is text")
        return self.prefix or type(self).__name__.lower()

    def values(self, outputs: Any, targets: Targets) -> Any:
        """What each sample of a batch says.

        Args:
            outputs: what the model predicted, as host arrays.
            targets: the batch's targets, as host arrays.

        Returns:
            (N,) numbers, of which the metric is the mean; or a pair ``(sums, counts)`` of (N,) numbers, of which it is the
            sum of the sums over the sum of the counts (pixels that are right, and pixels); or a mapping of names to either.
        """
        raise FkitTypeError(f"{type(self).__name__} does not say what it measures.", repair=_CONTRACT)

    def empty(self) -> Any:
        """The state that has seen nothing; merging it changes nothing."""
        return EMPTY

    def observe(self, state: Any, outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None) -> Any:
        """The state that has also seen one batch.

        Args:
            outputs: what the model predicted, as host arrays.
            targets: the batch's targets.
            ids: (N,) int64, which samples they are.
            valid: the batch's masks by target's name: which of ``targets[name]`` is real; one that is absent, all.
        """
        if valid:
            raise FkitTypeError(
                f"{type(self).__name__}: `values` sees no masks, and the batch has some: {', '.join(valid)}.",
                repair="Override `observe`, which is given `valid`.",
            )
        return self.merge(state, _rows(type(self).__name__, self.values(outputs, targets), ids))

    def merge(self, a: Any, b: Any) -> Any:
        """The state that has seen what both saw."""
        return frozen({name: a.get(name, Rows()).join(b.get(name, Rows())) for name in (*a, *b)})

    def compute(self, state: Any) -> dict[str, float]:
        """The numbers by name, prefix included.

        Raises:
            FkitValueError: nothing was observed, or all counts are 0.
        """
        if not any(rows.count for rows in state.values()):
            raise FkitValueError(f"{type(self).__name__}: no sample was observed.", repair="Check the validation data.")
        numbers: dict[str, float] = {}
        for name in sorted(state):
            total, count = np.add.reduce(state[name].table()[1], axis=0).tolist()
            if count == 0:
                raise FkitValueError(f"{type(self).__name__}: all counts are 0, so there is no mean.")
            numbers[f"{self.title}/{name}" if name else self.title] = total / count
        return numbers


def check_metric(metric: Any) -> None:
    """Refuse what is no metric: for the door of an evaluator.

    Raises:
        FkitTypeError: a method is not there, or takes other arguments; the message says which, and what a metric has.

    Example:
        >>> check_metric(Metric())
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: Metric does not say what it measures.
          Write `values(self, outputs, targets)`, which gives a number a sample, (N,); or `empty`, `observe`, `merge` and `compute`.
    """
    expect_contract(metric, _METRIC)
    kind = cast("type[Any]", type(metric))
    if isinstance(metric, Metric) and kind.values is Metric.values:
        for name in ("observe", "compute"):
            if getattr(kind, name) is getattr(Metric, name):
                raise FkitTypeError(f"{kind.__name__} does not say what it measures.", repair=_CONTRACT)


def _rows(who: str, said: Any, ids: Any) -> Mapping[str, Rows]:
    """What `Metric.values` gave, as rows of (sum, count) by name."""
    named = cast("Mapping[str, Any]", said) if isinstance(said, Mapping) else {"": said}
    rows: dict[str, Rows] = {}
    for name, value in named.items():
        pair = (
            cast("tuple[Any, ...]", value) if isinstance(value, tuple) and len(cast(Any, value)) == 2 else (value, None)
        )
        sums = _column(who, pair[0], len(ids))
        counts = np.ones(len(sums)) if pair[1] is None else _column(who, pair[1], len(ids))
        rows[name] = Rows().add(ids, np.stack((sums, counts), axis=1))
    return frozen(rows)


def _column(who: str, value: Any, count: int) -> NDArray[np.float64]:
    array: NDArray[Any] = np.asarray(value)
    if array.shape != (count,) or array.dtype.kind not in "biuf":
        what = f"{array.dtype} of shape {array.shape}" if array.dtype.kind in "biufcO" else quoted(value)
        raise FkitTypeError(f"{who}.values gave {what} for {count} samples; expected (N,) numbers.", repair=_CONTRACT)
    return array.astype(np.float64)
