"""How a line of the log words and smooths what was measured: mmengine's LogProcessor, as a value."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, cast

from fkit.training.history import STATISTICS, HistoryBuffer, Statistic, Totals
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["At", "Custom", "LogProcessor", "Style", "Track"]

_LONGEST = 10_000  # values that a statistic of one's own sees of "epoch" or "global"
_WORDS = ("epoch", "global")
_TIMES = ("time", "data_time")


class Custom(NamedTuple):
    """An entry of ``custom_cfg``.

    Attributes:
        data_src: the name of what is measured.
        method_name: the statistic.
        window_size: a number of values, "epoch", "global", or None for all.
        log_name: what it is logged as, beside the usual; None puts it in its place.
    """

    data_src: str
    method_name: str
    window_size: int | str | None = None
    log_name: str | None = None


class Track(NamedTuple):
    """What a run keeps of one scalar, however long it is: the newest values, and what all come to.

    Attributes:
        newest: values, the newest last.
        epoch: of this epoch; None where nobody asks.
        whole: of the run; likewise.

    Example:
        >>> track = Track().add([1.0, 2.0, 6.0], longest=2)
        >>> track.newest, track.statistic("mean", 2)
        ((2.0, 6.0), 4.0)
    """

    newest: tuple[float, ...] = ()
    epoch: Totals | None = None
    whole: Totals | None = None

    def add(self, values: Sequence[float], longest: int) -> "Track":
        """With more values, of which the newest ``longest`` are kept."""
        newest = (*self.newest, *values)[-longest:]
        return Track(newest, self.epoch and self.epoch.add(values), self.whole and self.whole.add(values))

    def statistic(self, method: str, window: int | str | None, methods: Mapping[str, Statistic] = EMPTY) -> float:
        """A statistic of a window: a number of values, or "epoch" or "global"."""
        if method == "current":
            return self.newest[-1]
        totals = self.epoch if window == "epoch" else self.whole
        if totals is not None and not isinstance(window, int) and method not in methods:
            return totals.statistic(method)
        values = self.newest[-window:] if isinstance(window, int) else self.newest
        if method == "mean" and method not in methods:
            return _mean(values)
        return HistoryBuffer(values, (1,) * len(values), methods=methods).statistics(method)


def _mean(values: tuple[float, ...]) -> float:
    """The mean of a few numbers, a tenth of the time that numpy takes; nan of none.

    Example:
        >>> _mean((1.0, 2.0, 6.0)), _mean((math.inf, -math.inf)), _mean(())
        (3.0, nan, nan)
    """
    try:
        return math.fsum(values) / len(values) if values else math.nan
    except (ValueError, OverflowError):  # inf beside -inf; too large a sum
        return sum(values) / len(values)


class At(NamedTuple):
    """Where a run is when a line is written.

    Attributes:
        inner: iterations done in this pass over the data.
        length: of the pass; 0 where it is endless.
        iteration: training iterations done.
        total: of the whole run.
        epoch: of a line of training the epoch that it is in, counted from 1; else the epochs that are done.
        epochs: of the whole run; 0 where that is not known.
        trained: whether there is a training loop at all.
    """

    inner: int = 0
    length: int = 0
    iteration: int = 0
    total: int = 0
    epoch: int = 0
    epochs: int = 0
    trained: bool = True


Scalars = Mapping[str, HistoryBuffer | Track]
"""{"train/loss": its history}"""


@dataclass(frozen=True)
class LogProcessor:
    """What a line of the log says, as a pure function of histories and counters.

    Args:
        window_size: values over which losses and times are averaged.
        by_epoch: whether a line counts epochs, or iterations; by default as the run does.
        custom_cfg: ``dict(data_src=..., method_name=..., window_size=..., log_name=...)`` each: another statistic of a
            value, of so many newest ones, of the "epoch" or "global", beside the usual (with ``log_name``) or in its
            place. A window of "epoch" or "global" takes no memory for "mean", "min" and "max"; one of one's own sees the
            newest 10,000 values.
        num_digits: behind the point.
        log_with_hierarchy: whether tags keep "train/" and "val/", for writers.
        mean_pattern: a regular expression: what is averaged; of anything else the newest value is said.
        methods: statistics of one's own: {name: function of (values, counts)}.

    Raises:
        FkitError: an entry of ``custom_cfg`` is none, names no statistic or no window, or a name twice.

    Example:
        >>> processor = LogProcessor(window_size=2)
        >>> scalars = {"train/lr": Track((0.1,)), "train/loss": Track((4.0, 1.0, 2.0))}
        >>> processor.after_iter("train", scalars, At(3, 10, 23, 40, 3, 4), eta=2.0)
        ({'lr': 0.1, 'loss': 1.5, 'epoch': 3, 'iter': 23}, 'Epoch(train) [3][ 3/10]  lr: 1.0000e-01  loss: 1.5000')
    """

    window_size: int = 10
    by_epoch: bool = True
    custom_cfg: Sequence[Mapping[str, Any]] | None = None
    num_digits: int = 4
    log_with_hierarchy: bool = False
    mean_pattern: str = r".*(loss|time|data_time|grad_norm).*"
    methods: Mapping[str, Statistic] = EMPTY
    custom: tuple[Custom, ...] = field(init=False, default=())
    _averaged: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("window_size", 1), ("num_digits", 0)):
            if getattr(self, name) < least:
                raise FkitValueError(f"LogProcessor: {name}={getattr(self, name)}: at least {least}.", path=name)
        try:
            object.__setattr__(self, "_averaged", re.compile(self.mean_pattern))
        except re.error as cause:
            what = f"LogProcessor: mean_pattern={self.mean_pattern!r} is no regular expression: {cause}."
            raise FkitValueError(what, path="mean_pattern") from cause
        expect(self.methods, Mapping, "LogProcessor: `methods` is a mapping of names to functions")
        object.__setattr__(self, "methods", frozen(self.methods))
        object.__setattr__(self, "custom", tuple(_customs(self.custom_cfg, self.by_epoch, self.methods)))

    def fresh(self, name: str) -> Track:
        """The track of a scalar with no value, that keeps what its statistics need."""
        asked = [one for one in self.custom if one.data_src == name and one.method_name in STATISTICS]
        epoch = any(one.window_size == "epoch" for one in asked)
        whole = any(one.window_size in ("global", None) for one in asked)
        return Track((), Totals() if epoch else None, Totals() if whole else None)

    def longest(self, name: str) -> int:
        """Newest values of a scalar that its statistics need."""
        if not self.custom:
            return self.window_size
        asked = [one for one in self.custom if one.data_src == name and one.method_name != "current"]
        sizes = [one.window_size for one in asked if isinstance(one.window_size, int)]
        own = any(one.method_name in self.methods and not isinstance(one.window_size, int) for one in asked)
        return max(self.window_size, *sizes, _LONGEST if own else 1)

    def after_iter(
        self, mode: str, scalars: Scalars, at: At, eta: float | None = None, memory: int | None = None
    ) -> tuple[dict[str, Any], str]:
        """A line within a pass over the data.

        Args:
            mode: "train", "val" or "test".
            scalars: what was measured.
            at: where the run is.
            eta: seconds that are left.
            memory: megabytes of the device, at most.

        Returns:
            (tag, text): name -> number, for writers; and the line.
        """
        values = self._collect(mode, scalars, at)
        tag = self._tag(mode, values)
        rates = [f"{name}: {values.pop(name):.{self.num_digits}e}" for name in tuple(values) if name.endswith("lr")]
        if self.by_epoch and mode != "test":
            tag["epoch"] = at.epoch
        tag["iter"] = at.iteration if at.trained else 0
        words = [self._where(mode, at), " ".join(rates)]
        if eta is not None and "time" in values:
            words += [f"eta: {timedelta(seconds=int(eta))}"]
            words += [f"{name}: {values.pop(name):.{self.num_digits}f}" for name in _TIMES if name in values]
        if memory is not None:
            words.append(f"memory: {memory}")
            tag["memory"] = memory
        said = "  ".join(self._word(name, value) for name, value in values.items()) if mode == "train" else ""
        return tag, "  ".join([*words, said] if said or mode != "train" else words)

    def after_epoch(
        self, mode: str, scalars: Scalars, at: At, infos: Mapping[str, Any] = EMPTY
    ) -> tuple[dict[str, Any], str]:
        """A line at the end of a pass over held-out data.

        Args:
            mode: "val" or "test".
            scalars: what was measured.
            at: where the run is.
            infos: {"val/table": text}: what is no number; it is said, and is in the tag too.

        Returns:
            (tag, text).

        Raises:
            FkitValueError: of another mode.
        """
        if mode not in ("val", "test"):
            raise FkitValueError(f"a pass over data of mode {mode!r} has no line at its end.", choices=("val", "test"))
        values = self._collect(mode, scalars, at, whole=True)
        times = {name: values.pop(name) for name in tuple(values) if name in _TIMES}
        texts = {name.removeprefix(f"{mode}/"): info for name, info in infos.items() if name.startswith(f"{mode}/")}
        row = self._tag(mode, values | texts | times)
        epoch = f" [{at.epoch if at.trained else 0}]" if self.by_epoch and mode == "val" else " "
        counter = f"{'Epoch' if self.by_epoch else 'Iter'}({mode}){epoch}[{at.length}/{at.length}]"
        return row, f"{counter}    " + "  ".join(self._word(name, value) for name, value in row.items())

    def _collect(self, mode: str, scalars: Scalars, at: At, whole: bool = False) -> dict[str, Any]:
        """Name -> the statistic that is said of it; ``whole`` averages times over the pass."""
        names = {name.removeprefix(f"{mode}/"): source for name, source in scalars.items() if name.startswith(mode)}

        def of(source: HistoryBuffer | Track, method: str, window: int | str | None) -> float:
            if isinstance(source, Track):
                return source.statistic(method, window, self.methods)
            for name, function in self.methods.items():
                source = source.register_statistics(name, function)
            if isinstance(window, str):
                window = at.inner if window == "epoch" else at.iteration
            return source.statistics(method, window)

        values: dict[str, Any] = {}
        for name, source in names.items():
            averaged = self._averaged.search(name) is not None
            values[name] = of(source, "mean", self.window_size) if averaged else of(source, "current", None)
        times = [Custom(name, "mean", "epoch") for name in _TIMES] if whole else []
        for one in (*self.custom, *times):
            if one.data_src in names:
                name = one.data_src if one.log_name is None else one.log_name
                values[name] = of(names[one.data_src], one.method_name, one.window_size)
        return values

    def _tag(self, mode: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{mode}/{name}": value for name, value in values.items()} if self.log_with_hierarchy else dict(values)

    def _word(self, name: str, value: Any) -> str:
        return f"{name}: {value:.{self.num_digits}f}" if isinstance(value, float) else f"{name}: {value}"

    def _where(self, mode: str, at: At) -> str:
        if mode != "train":
            epoch = ""
            if self.by_epoch and mode == "val":
                epoch = _epoch(at) if at.trained else "[0]"
            blank = "" if epoch else " "
            return f"{'Epoch' if self.by_epoch else 'Iter'}({mode}){epoch}{blank}[{at.inner}/{at.length or '?'}]"
        if self.by_epoch:
            return f"Epoch(train){_epoch(at)}[{at.inner:>{len(str(at.length))}}/{at.length or '?'}]"
        return f"Iter(train) [{at.iteration:>{len(str(at.total))}}/{at.total}]"


def _epoch(at: At) -> str:
    """The epoch in brackets, as wide as that of the last one."""
    return " " + f"[{at.epoch}]".rjust(len(f"[{at.epochs}]"))


def _customs(rows: Any, by_epoch: bool, methods: Mapping[str, Statistic]) -> Iterator[Custom]:
    """The entries of ``custom_cfg``, checked.

    Raises:
        FkitError: one is none.
    """
    if rows is not None and (isinstance(rows, str | Mapping) or not isinstance(rows, Iterable)):
        raise FkitTypeError(f"LogProcessor: custom_cfg = {quoted(rows)} is no list of mappings.", path="custom_cfg")
    taken, entries = list[str](), cast("Iterable[Any]", rows or ())
    for index, row in enumerate(entries):
        at = f"custom_cfg[{index}]"
        expect(row, Mapping, f"LogProcessor: `{at}` is a mapping")
        row = cast("Mapping[str, Any]", row)
        for key in row:
            if key not in Custom._fields:
                raise FkitKeyError(
                    f"LogProcessor: {at}.{key} is unknown.",
                    path=at,
                    value=str(key),
                    choices=Custom._fields,
                    label="Keys",
                )
        for key in ("data_src", "method_name"):
            if not isinstance(row.get(key), str):
                raise FkitKeyError(f"LogProcessor: {at} has no {key}, a text.", path=at)
        one = Custom(**row)
        _check_custom(one, at, by_epoch, methods)
        name = one.log_name or one.data_src
        if name in taken:
            raise FkitValueError(
                f"LogProcessor: {at} is logged as {name!r}, and so is one before it.", path=at,
                repair="Give each a log_name of its own.",
            )  # fmt: skip
        taken.append(name)
        yield one


def _check_custom(one: Custom, at: str, by_epoch: bool, methods: Mapping[str, Statistic]) -> None:
    known = ("current", *STATISTICS, *methods)
    if one.method_name not in known:
        raise FkitKeyError(
            f"LogProcessor: {at}.method_name = {one.method_name!r} is no statistic.", path=at, value=one.method_name,
            choices=known, label="Statistics", repair="methods={name: function of (values, counts)} gives one of your own.",
        )  # fmt: skip
    window = one.window_size
    if window is not None and (isinstance(window, bool) or not isinstance(window, int)) and window not in _WORDS:
        raise FkitTypeError(
            f"LogProcessor: {at}.window_size = {quoted(window)} is no whole number, and neither 'epoch' nor 'global'.",
            path=at, value=str(window), choices=_WORDS,
        )  # fmt: skip
    if isinstance(window, int) and window < 1:
        raise FkitValueError(f"LogProcessor: {at}.window_size = {window}: at least 1.", path=at)
    if window == "epoch" and not by_epoch:
        raise FkitValueError(
            f"LogProcessor: {at}.window_size = 'epoch', and by_epoch is False: the log counts iterations.", path=at,
            repair="Take 'global', or a number of iterations.",
        )  # fmt: skip


class Style(NamedTuple):
    """How a plan's lines are worded, and who else reads them.

    Attributes:
        processor: words them.
        by_epoch: whether the run counts epochs.
        epochs: of an epoch-based run; 0 else.
        writers: whether there are any.
        timed: whether lines say what a step takes: whether there is an IterTimerHook.
        name: the ``experiment_name`` that the config gives, or "".
    """

    processor: LogProcessor = LogProcessor()
    by_epoch: bool = True
    epochs: int = 0
    writers: bool = False
    timed: bool = True
    name: str = ""
