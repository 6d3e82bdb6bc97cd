"""Time that passes, and work that is watched."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import IO, Any, NamedTuple, TypeVar, cast

from fkit.compat.pool import results_of
from fkit.fileio.progress import progress
from fkit.tree.check import expect, expect_call, expect_number
from fkit.tree.error import FkitRuntimeError, FkitTypeError, FkitValueError

__all__ = [
    "Timer",
    "check_time",
    "track_iter_progress",
    "track_parallel_progress",
    "track_progress",
    "track_progress_rich",
]

T = TypeVar("T")
Clock = Callable[[], float]


class Timer:
    """A stop watch. With ``print_tmpl``, a ``with`` block prints what it took.

    Args:
        start: start at once.
        print_tmpl: what is printed at the end of a ``with``, a format of the seconds: "{:.3f}".
        clock: where the time is read.

    Example:
        >>> ticks = iter([10.0, 11.0, 13.5, 14.0])
        >>> timer = Timer(clock=lambda: next(ticks))
        >>> timer.since_start(), timer.since_last_check(), timer.since_last_check()
        (1.0, 2.5, 0.5)
        >>> with Timer(print_tmpl="it took {:.0f} s"):
        ...     pass
        it took 0 s
    """

    def __init__(self, start: bool = True, print_tmpl: str | None = None, *, clock: Clock = time.perf_counter) -> None:
        expect_call(clock, "`clock` is a function that gives the time")
        self._clock = clock
        self._template = print_tmpl or "{:.3f}"
        self._start = self._last = 0.0
        self._running = False
        if start:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return self._running

    def start(self) -> None:
        """Start; a timer that runs keeps its start, and counts anew from its last check."""
        now = self._clock()
        if not self._running:
            self._start = now
            self._running = True
        self._last = now

    def since_start(self) -> float:
        """Seconds since the start; counts as a check.

        Raises:
            FkitRuntimeError: it was not started.
        """
        self._last = self._now()
        return self._last - self._start

    def since_last_check(self) -> float:
        """Seconds since this or `since_start` was last called, or since the start.

        Raises:
            FkitRuntimeError: it was not started.
        """
        before, self._last = self._last, self._now()
        return self._last - before

    def _now(self) -> float:
        if not self._running:
            raise FkitRuntimeError("the timer was not started.", repair="timer.start(), or Timer(start=True).")
        return self._clock()

    def __enter__(self) -> "Timer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        print(self._template.format(self.since_last_check()))
        self._running = False


class Checked(NamedTuple):
    """The seconds since the last check of a name, and the times of all names, for the next call."""

    seconds: float
    times: Mapping[str, float]


def check_time(name: str, times: Mapping[str, float], now: float | None = None) -> Checked:
    """The seconds since a name was last checked; 0 the first time.

    Where OpenMMLab keeps the timers in a global, ``times`` is handed in and comes back.

    Args:
        name: what is timed.
        times: what the last call returned; at first an empty mapping.
        now: the time; None reads the clock.

    Example:
        >>> seconds, times = check_time("step", {}, now=3.0)
        >>> check_time("step", times, now=3.5).seconds
        0.5
    """
    expect(times, Mapping, "`times` is what the last call returned, at first {}")
    at = time.perf_counter() if now is None else now
    return Checked(at - times.get(name, at), {**times, name: at})


def track_iter_progress(
    tasks: Iterable[T] | tuple[Iterable[T], int], *, label: str = "", file: IO[str] | None = None
) -> Iterator[T]:
    """The tasks one by one, their progress shown as they are taken.

    Args:
        tasks: a sequence; or (iterable, how many there are).
        label: what stands beside the bar.
        file: where to; None is standard error.

    Raises:
        FkitTypeError: how many tasks there are is not known.

    Example:
        >>> import io
        >>> [task * 2 for task in track_iter_progress([1, 2, 3], file=io.StringIO())]
        [2, 4, 6]
    """
    items, count = _counted(tasks)

    def watched() -> Iterator[T]:
        with progress(label or "progress", count, file=file) as advance:
            for item in items:
                yield item
                advance(1)

    return watched()


def track_progress(
    func: Callable[..., Any], tasks: Any, *, label: str = "", file: IO[str] | None = None, **kwargs: Any
) -> list[Any]:
    """``func`` of each task, with the progress shown.

    Args:
        func: called with a task and ``kwargs``.
        tasks: a sequence; or (iterable, how many there are).
        label: what stands beside the bar.
        file: where to; None is standard error.
        kwargs: further arguments of ``func``.

    Example:
        >>> import io
        >>> track_progress(pow, [2, 3], file=io.StringIO(), exp=2)
        [4, 9]
    """
    expect_call(func, "`func` is a function of a task")
    return [func(task, **kwargs) for task in track_iter_progress(tasks, label=label, file=file)]


def track_parallel_progress(
    func: Callable[[Any], Any],
    tasks: Any,
    nproc: int,
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] = (),
    chunksize: int = 1,
    skip_first: bool = False,
    keep_order: bool = True,
    *,
    label: str = "",
    file: IO[str] | None = None,
) -> list[Any]:
    """``func`` of each task, in processes of their own, with the progress shown.

    Args:
        func: a function of a module, for the processes import it.
        tasks: a sequence; or (iterable, how many there are).
        nproc: how many processes; they are spawned, not forked.
        initializer: called once in each process, with ``initargs``.
        initargs: its arguments.
        chunksize: how many tasks a process is handed at a time.
        skip_first: do not count the first task of each process, which waits for its imports, in the rate.
        keep_order: results in the order of the tasks; else as they come.
        label: what stands beside the bar.
        file: where to; None is standard error.

    Raises:
        FkitValueError: ``nproc`` or ``chunksize`` is below 1.
        FkitTypeError: ``func`` cannot be sent to a process.
        FkitRuntimeError: a process died.

    Example:
        >>> import io, math
        >>> track_parallel_progress(math.sqrt, [4.0, 9.0], 1, file=io.StringIO())
        [2.0, 3.0]
    """
    _check_processes(func, nproc, chunksize)
    expect(initargs, (tuple, list), "`initargs` is a tuple of arguments")
    items, count = _counted(tasks)
    work = results_of(
        func,
        items,
        nproc,
        initializer=initializer,
        initargs=tuple(initargs),
        chunksize=chunksize,
        keep_order=keep_order,
    )
    results = list(itertools.islice(work, nproc * chunksize)) if skip_first else []
    with progress(label or "progress", count - len(results), file=file) as advance:
        for result in work:
            results.append(result)
            advance(1)
    return results


def track_progress_rich(
    func: Callable[..., Any],
    tasks: Iterable[Any] = (),
    task_num: int | None = None,
    nproc: int = 1,
    chunksize: int = 1,
    description: str = "Processing",
    color: str = "blue",
    *,
    file: IO[str] | None = None,
) -> list[Any]:
    """``func`` of each task, or ``task_num`` calls without arguments, in one process or several.

    Args:
        func: called with a task; a mapping gives keyword arguments, a tuple positional ones.
        tasks: the tasks.
        task_num: how many there are, where that is not known of ``tasks``; or how often to call without tasks.
        nproc: how many processes.
        chunksize: how many tasks a process is handed at a time.
        description: what stands beside the bar.
        color: the bar's.
        file: where to; None is standard error.

    Example:
        >>> import io
        >>> track_progress_rich(divmod, [(7, 2), (9, 4)], file=io.StringIO())
        [(3, 1), (2, 1)]
    """
    _check_processes(func, nproc, chunksize)
    if task_num is not None:
        expect_number(task_num, "task_num", whole=True)
    expect(tasks, Iterable, "`tasks` are the tasks, a list or another iterable")
    count = len(tasks) if isinstance(tasks, Sized) and len(tasks) else task_num
    calls: Iterable[Any] = tasks
    if isinstance(tasks, Sized) and not len(tasks):
        calls = [()] * (task_num or 0)
    worker = _Spread(func)
    results: list[Any] = []
    with progress(description, count, file=file, color=color) as advance:
        for result in map(worker, calls) if nproc == 1 else results_of(worker, calls, nproc, chunksize=chunksize):
            results.append(result)
            advance(1)
    return results


def _check_processes(func: Any, nproc: Any, chunksize: Any) -> None:
    expect_call(func, "`func` is a function of a task")
    expect_number(nproc, "nproc", whole=True)
    expect_number(chunksize, "chunksize", whole=True)
    if nproc < 1 or chunksize < 1:
        raise FkitValueError(f"nproc and chunksize are at least 1, not {nproc} and {chunksize}.")


class _Spread(NamedTuple):
    """A function of several arguments as one of a task; a value, so that processes can be sent it."""

    func: Callable[..., Any]

    def __call__(self, task: Any) -> Any:
        if isinstance(task, Mapping):
            return self.func(**cast("Mapping[str, Any]", task))
        return self.func(*cast("tuple[Any, ...]", task)) if isinstance(task, tuple) else self.func(task)


def _counted(tasks: Any) -> tuple[Iterable[Any], int]:
    if isinstance(tasks, tuple):
        pair = cast("tuple[Any, ...]", tasks)
        if len(pair) == 2 and isinstance(pair[0], Iterable) and type(pair[1]) is int:
            return cast("Iterable[Any]", pair[0]), pair[1]
    if isinstance(tasks, Sized) and isinstance(tasks, Iterable):
        return cast("Iterable[Any]", tasks), len(cast(Sized, tasks))
    raise FkitTypeError(
        f"how many tasks there are is not known of a {type(tasks).__name__}.",
        repair="Pass a sequence, or (iterable, how many there are).",
    )
