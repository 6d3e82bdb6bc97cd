"""How long a piece of code takes on average, as a decorator or a ``with`` block."""

import functools
import time
from collections.abc import Callable
from typing import IO, ParamSpec, TypeVar

from fkit.tree.check import expect_call, expect_number
from fkit.tree.error import FkitRuntimeError, FkitValueError

__all__ = ["TimeCounter"]

P = ParamSpec("P")
R = TypeVar("R")


class TimeCounter:
    """Times what it is put round, and prints the average of all times since the warm-up, in milliseconds.

    mmengine keeps one instance for each tag in a global; here it is a value that is held where it is used.

    Args:
        log_interval: print at every so many times.
        warmup_interval: how many times at the beginning are not counted.
        tag: what is timed, for the line; as a decorator, the function's name where none is given.
        sync: called before the clock is read, so that a device's work is counted: ``torch.cuda.synchronize``.
        file: where to; None is standard output.
        clock: where the time is read.

    Example:
        >>> ticks = iter([0.0, 9.0, 10.0, 10.5, 11.0, 11.25])
        >>> counter = TimeCounter(log_interval=2, tag="decode", clock=lambda: next(ticks))
        >>> for _ in range(3):
        ...     with counter:
        ...         pass
        [decode]-time per run averaged in the past 2 runs: 375.0 ms
        >>> counter.count, counter.mean_seconds
        (2, 0.375)
    """

    def __init__(
        self,
        log_interval: int = 1,
        warmup_interval: int = 1,
        tag: str | None = None,
        *,
        sync: Callable[[], object] | None = None,
        file: IO[str] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        expect_number(log_interval, "log_interval", whole=True)
        expect_number(warmup_interval, "warmup_interval", whole=True)
        expect_call(clock, "`clock` is a function that gives the time")
        if sync is not None:
            expect_call(sync, "`sync` is a function")
        if log_interval < 1 or warmup_interval < 0:
            raise FkitValueError(
                f"log_interval is at least 1 and warmup_interval at least 0, not {log_interval} and {warmup_interval}."
            )
        self.tag = tag
        self.count = 0
        self._every, self._skip = log_interval, warmup_interval
        self._sync, self._file, self._clock = sync, file, clock
        self._sum = 0.0
        self._start: float | None = None

    @property
    def mean_seconds(self) -> float:
        """The average so far; 0 before the warm-up is over."""
        return self._sum / self.count if self.count else 0.0

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """A function that is timed at each call."""
        expect_call(function, "what is timed is a function")
        self.tag = self.tag or getattr(function, "__name__", repr(function))

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return timed

    def __enter__(self) -> "TimeCounter":
        if self._start is not None:
            raise FkitRuntimeError(f"the counter {self.tag!r} is running: it cannot be put round itself.")
        self._start = self._read()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        start, self._start = self._start, None
        if kind is not None or start is None:
            return  # what failed took some other time
        took = self._read() - start
        if self._skip > 0:
            self._skip -= 1
            return
        self._sum += took
        self.count += 1
        if self.count % self._every == 0:
            line = f"time per run averaged in the past {self.count} runs: {self.mean_seconds * 1000:.1f} ms"
            print(f"[{self.tag}]-{line}" if self.tag else line, file=self._file)

    def _read(self) -> float:
        if self._sync is not None:
            self._sync()
        return self._clock()
