"""What a run measured, as values: scalars and their statistics over windows, and what is kept beside them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["STATISTICS", "HistoryBuffer", "LogBuffer", "Statistic", "Totals", "weighted"]

_LEAF = 256  # values that are kept as they came, until they become one array
_LONGEST = 1_000_000  # mmengine's bound

Statistic = Callable[[NDArray[Any], NDArray[Any]], float]
"""What a statistic is: the values and the counts of a window, (N,) each and N at least 1, -> a number."""


class _Leaf(NamedTuple):
    """So many values in one array, and their counts."""

    values: NDArray[Any]
    counts: NDArray[Any]


def _mean(values: NDArray[Any], counts: NDArray[Any]) -> float:
    """The sum of the values over the sum of the counts, as mmengine has it: a value is the sum of what it counts."""
    with np.errstate(all="ignore"):
        return float(np.sum(values) / np.sum(counts))


def _high(values: NDArray[Any], counts: NDArray[Any]) -> float:
    return float(values.max())


def _low(values: NDArray[Any], counts: NDArray[Any]) -> float:
    return float(values.min())


STATISTICS: Mapping[str, Statistic] = frozen({"mean": _mean, "max": _high, "min": _low})
"""Those that every history knows; "current" is the newest value, of any window."""


@dataclass(frozen=True, eq=False)
class HistoryBuffer:
    """The values of one scalar, the newest last; mmengine's HistoryBuffer as a value: `update` gives a new one.

    An update takes amortised constant time and shares all but the end with the buffer before it, which stays as it was.
    A million values take some 16 MB.

    A window of n is the newest n values; of None, of 0, or of more than there are: all; of -n: all but the oldest n (as
    mmengine has both).

    Args:
        log_history: the values so far.
        count_history: how many things each is the sum of.
        max_length: values kept; older ones are forgotten.
        methods: statistics of one's own, {name: function of (values, counts)}, beside `STATISTICS`.

    Raises:
        FkitValueError: there are not as many counts as values.

    Example:
        >>> buffer = HistoryBuffer().update(1.0).update(2.0).update(6.0)
        >>> buffer.mean(), buffer.mean(2), buffer.max(), buffer.current(), len(buffer)
        (3.0, 4.0, 6.0, 6.0, 3)
        >>> import numpy as np
        >>> buffer.register_statistics("median", lambda values, counts: np.median(values)).statistics("median")
        2.0
    """

    log_history: InitVar[Sequence[float]] = ()
    count_history: InitVar[Sequence[float]] = ()
    max_length: int = _LONGEST
    methods: Mapping[str, Statistic] = EMPTY
    _values: tuple[float, ...] = field(init=False, repr=False, default=())
    _counts: tuple[float, ...] = field(init=False, repr=False, default=())
    _leaves: tuple[_Leaf, ...] = field(init=False, repr=False, default=())

    def __post_init__(self, log_history: Sequence[float], count_history: Sequence[float]) -> None:
        expect_number(self.max_length, "HistoryBuffer: max_length", whole=True)
        if self.max_length < 1:
            raise FkitValueError(f"HistoryBuffer: max_length={self.max_length}: at least 1.")
        expect(self.methods, Mapping, "HistoryBuffer: `methods` is a mapping of names to functions")
        values, counts = (_reals(*pair) for pair in (("log_history", log_history), ("count_history", count_history)))
        if len(values) != len(counts):
            raise FkitValueError(
                f"HistoryBuffer: {len(values)} values and {len(counts)} counts: there is a count for each value."
            )
        object.__setattr__(self, "_values", values[-self.max_length :])
        object.__setattr__(self, "_counts", counts[-self.max_length :])

    def update(self, log_val: float, count: float = 1) -> "HistoryBuffer":
        """The history with one more value.

        Args:
            log_val: a number: the sum of ``count`` things, for `mean`.
            count: how many.

        Raises:
            FkitTypeError: one of the two is no number.
        """
        _expect_real(log_val)
        _expect_real(count)
        values, counts, leaves = (*self._values, log_val), (*self._counts, count), self._leaves
        if len(values) >= _LEAF:
            leaves = (*leaves, _Leaf(np.array(values), np.array(counts)))
            values = counts = ()
            while sum(leaf.values.size for leaf in leaves[1:]) >= self.max_length:
                leaves = leaves[1:]
        return self._with(values, counts, leaves)

    def _with(self, values: tuple[float, ...], counts: tuple[float, ...], leaves: tuple[_Leaf, ...]) -> "HistoryBuffer":
        new = object.__new__(HistoryBuffer)
        rows = (values, counts, self.max_length, self.methods, leaves)
        for name, value in zip(_FIELDS, rows, strict=True):
            object.__setattr__(new, name, value)
        return new

    def __len__(self) -> int:
        return min(sum(leaf.values.size for leaf in self._leaves) + len(self._values), self.max_length)

    @property
    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(values, counts), (N,) each, whole numbers where all are."""
        return self._window(None)

    def _window(self, size: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
        kept = len(self)
        start = max(-size if size is not None and size < 0 else kept - (size or kept), 0)
        taken, leaves = kept - min(start, kept), list[_Leaf]()
        missing = taken - len(self._values)
        for leaf in reversed(self._leaves):
            if missing <= 0:
                break
            leaves.append(leaf)
            missing -= leaf.values.size
        tail = [_Leaf(np.array(self._values), np.array(self._counts))] if self._values else []
        rows = [*reversed(leaves), *tail] or [_Leaf(np.array(()), np.array(()))]
        values, counts = (np.concatenate([row[i] for row in rows])[-taken or len(rows[0].values) :] for i in (0, 1))
        return values, counts

    def statistics(self, method_name: str, window_size: int | None = None) -> float:
        """A statistic by its name.

        Args:
            method_name: "mean", "max", "min", "current", or one that was registered.
            window_size: of the window.

        Raises:
            FkitKeyError: there is none of that name.
            FkitTypeError: the window is no whole number.
            FkitValueError: there is no value yet, for a statistic but the mean.
        """
        if method_name == "current":
            return self.current()
        method = self.methods.get(method_name) or STATISTICS.get(method_name)
        if method is None:
            raise FkitKeyError(
                f"{method_name!r} is no statistic of this history.", value=str(method_name),
                choices=(*STATISTICS, "current", *self.methods), label="Statistics",
                repair="history.register_statistics(name, function) gives one that has it.",
            )  # fmt: skip
        if window_size is not None and not isinstance(window_size, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"window_size = {quoted(window_size)} is no whole number.")
        values, counts = self._window(window_size)
        if values.size or method is _mean:
            number = method(values, counts)
            return float(number) if isinstance(number, np.generic) else number
        raise FkitValueError(f"{method_name} of a history with no value.", repair="Update it first.")

    def mean(self, window_size: int | None = None) -> float:
        """The sum of the values over the sum of the counts; nan of none."""
        return self.statistics("mean", window_size)

    def max(self, window_size: int | None = None) -> float:
        """The largest value."""
        return self.statistics("max", window_size)

    def min(self, window_size: int | None = None) -> float:
        """The smallest value."""
        return self.statistics("min", window_size)

    def current(self) -> float:
        """The newest value.

        Raises:
            FkitValueError: there is none.
        """
        if self._values:
            return self._values[-1]
        if self._leaves:
            return self._leaves[-1].values[-1].item()
        raise FkitValueError("a history with no value has no newest one.", repair="Update it first.")

    def register_statistics(self, name: str, method: Statistic) -> "HistoryBuffer":
        """The history with a statistic of one's own.

        Args:
            name: of it.
            method: a function of (values, counts), (N,) each.

        Raises:
            FkitTypeError: it is no function.
        """
        expect(name, str, "`name` is the statistic's name")
        if not callable(method):
            raise FkitTypeError(f"the statistic {name!r} = {quoted(method)} is no function of (values, counts).")
        new = self._with(self._values, self._counts, self._leaves)
        object.__setattr__(new, "methods", frozen({**self.methods, name: method}))
        return new


_FIELDS = ("_values", "_counts", "max_length", "methods", "_leaves")


def _reals(name: str, numbers: Any) -> tuple[float, ...]:
    if isinstance(numbers, str) or not isinstance(numbers, Iterable):
        raise FkitTypeError(f"HistoryBuffer: {name} = {quoted(numbers)} is no list of numbers.")
    values = tuple(cast("Iterable[float]", numbers))
    for value in values:
        _expect_real(value)
    return values


def _expect_real(value: Any) -> None:
    if not isinstance(value, int | float | np.integer | np.floating):
        raise FkitTypeError(f"a history is of numbers, not of {quoted(value)}, a {type(value).__name__}.")


class Totals(NamedTuple):
    """What all values of a stretch come to, kept in a few numbers however many they are.

    Attributes:
        total: the sum.
        number: how many.
        low: the least; nan where any is nan.
        high: the largest, likewise.

    Example:
        >>> Totals().add([1.0, 2.0]).add([6.0]).statistic("mean")
        3.0
    """

    total: float = 0.0
    number: int = 0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: Sequence[float]) -> "Totals":
        """With more values."""
        low, high = min((self.low, *values)), max((self.high, *values))  # of nan first, nan
        if any(map(math.isnan, values)):
            low = high = math.nan
        return Totals(self.total + sum(values), self.number + len(values), float(low), float(high))

    def statistic(self, method: str) -> float:
        """ "mean", "min" or "max" of them all."""
        if method == "mean":
            return self.total / self.number if self.number else math.nan
        return self.low if method == "min" else self.high


@dataclass(frozen=True, eq=False)
class LogBuffer:
    """mmcv 1.x's LogBuffer as a value: histories by name, and the averages that were last asked for.

    Args:
        history: {name: `HistoryBuffer`}.
        output: the averages; they stay until `clear_output`.
        ready: whether there are any.

    Example:
        >>> buffer = LogBuffer().update({"loss": 1.0}, count=1).update({"loss": 4.0}, count=2)
        >>> buffer.average().output["loss"], buffer.average(1).output["loss"], buffer.output
        (3.0, 4.0, frozendict.frozendict({}))
    """

    history: Mapping[str, HistoryBuffer] = EMPTY
    output: Mapping[str, float] = EMPTY
    ready: bool = False

    def update(self, vars: Mapping[str, float], count: float = 1) -> "LogBuffer":
        """With more values, each the mean of ``count`` things.

        Raises:
            FkitTypeError: they are no mapping of names to numbers.
        """
        expect(vars, Mapping, "`vars` is a mapping of names to numbers")
        new = {name: self.history.get(name, HistoryBuffer()).update(value, count) for name, value in vars.items()}
        return replace(self, history=frozen({**self.history, **new}))

    def average(self, n: int = 0) -> "LogBuffer":
        """With the mean of the newest n values of each name (all, of 0), each weighed by its count.

        Raises:
            FkitValueError: n is negative.
        """
        expect_number(n, "n", whole=True)
        if n < 0:
            raise FkitValueError(f"LogBuffer: the newest {n} values: 0 is all of them.")
        means = {name: weighted(*(column[-n:] for column in kept.data)) for name, kept in self.history.items()}
        return replace(self, output=frozen({**self.output, **means}), ready=True)

    def clear_output(self) -> "LogBuffer":
        """With no averages."""
        return replace(self, output=EMPTY, ready=False)

    def clear(self) -> "LogBuffer":
        """With nothing."""
        return LogBuffer()


def weighted(values: NDArray[Any], counts: NDArray[Any]) -> float:
    """The mean of values, each weighed by its count, as mmcv 1.x has it; nan where nothing is counted.

    Example:
        >>> weighted(np.array([1.0, 4.0]), np.array([1, 2]))
        3.0
    """
    for column in (values, counts):
        expect(column, np.ndarray, "`values` and `counts` are arrays")
    with np.errstate(all="ignore"):
        return float(np.sum(values * counts) / np.sum(counts))
