"""Clocks and signals, as the inbox of a run."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import FrameType

from fkit.run.event import Observed

__all__ = ["Again", "Ended", "Inbox", "again_in", "ending", "hearing", "inbox"]

_DEPTH = 16  # of causes that are looked at
_HEARD = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; scancel, systemd, docker stop; a terminal that closes


class Again(KeyboardInterrupt):
    """A further signal, when what the first one left to do has been done."""


def again_in(error: BaseException) -> Again | None:
    """The further signal that an error is, or that caused it: what comes while a class is being made Python raises as a
    RuntimeError; None of any other.

    Example:
        >>> again_in(Again("SIGTERM")), again_in(ValueError("x"))
        (Again('SIGTERM'), None)
    """
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None or isinstance(cause, Again):
            return cause
        cause = cause.__cause__
    return None


class Ended(KeyboardInterrupt):
    """A signal that ends a command which has no run to save.

    Attributes:
        number: of the signal; the command's exit code is 128 more.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Inbox:
    """What a run observes: the monotonic clock at each look, and the first Ctrl-C, SIGTERM or SIGHUP once it came.

    Attributes:
        first: the name of the first signal; "" while none came.

    Args:
        speaks: say on standard error what becomes of a signal.

    Example:
        >>> import itertools
        >>> ears = Inbox()
        >>> [[seen.kind for seen in look] for look in itertools.islice(ears, 2)]
        [['time'], ['time']]
    """

    def __init__(self, speaks: bool = True) -> None:
        self.first = ""
        self._say = _tell if speaks else _keep_still
        self._saved = False
        self._ended = False

    def __iter__(self) -> Iterator[tuple[Observed, ...]]:
        clock = time.perf_counter
        while True:
            now = Observed("time", clock())
            yield (now, Observed("signal", self.first)) if self.first else (now,)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take a signal: the first is observed by the run, which saves itself; those until then are said and survived.

        Raises:
            Again: the run is saved, so that nothing is lost by ending now.
        """
        name = signal.Signals(number).name
        if not self.first:
            self.first = name
            self._say(f"{name}: the step in progress ends, and the run is saved")
        elif self._ended:
            return
        elif self._saved:
            raise Again(name)
        else:
            self._say(f"{name} again: saving, since {self.first}; kill -9 ends it without")

    def saved(self) -> None:
        """From here on a further signal ends the process."""
        self._saved = True

    def ended(self) -> None:
        """From here on signals are passed over: what is left is quick."""
        self._ended = True

    def beside(self) -> "Inbox":
        """Another for a run beside this one: it observes what this one hears, and what it saves ends nothing here."""
        return _Beside(self)


class _Beside(Inbox):
    """See `Inbox.beside`."""

    def __init__(self, other: Inbox) -> None:
        super().__init__()
        self._other = other

    def __iter__(self) -> Iterator[tuple[Observed, ...]]:
        return iter(self._other)


@contextlib.contextmanager
def inbox(speaks: bool = True) -> Generator[Inbox]:
    """An inbox that hears signals while the context lasts; the handlers before are put back at its end.

    Args:
        speaks: as of `Inbox`.

    Outside the main thread, where Python lets nobody hear signals, it observes the clock alone.
    """
    ears = Inbox(speaks)
    with hearing(ears.note), _passing(Again):
        yield ears


@contextlib.contextmanager
def ending() -> Generator[None]:
    """While it lasts, a signal is an exception, as Ctrl-C is: files are let go and a terminal gets its cursor back.

    Raises:
        Ended: a signal came.
    """

    def end(number: int, frame: FrameType | None = None) -> None:
        raise Ended(number)

    with hearing(end):
        yield


@contextlib.contextmanager
def _passing(kind: type[BaseException]) -> Generator[None]:
    """While it lasts, an exception of this kind that Python cannot raise, since a finaliser or a weak reference's callback was
    running when the signal came, passes in silence: what was being done goes on to its end, and the next signal is heard."""
    before = sys.unraisablehook

    def hook(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, kind):
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def hearing(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Have ``handler`` called with each signal that ends a process, in the main thread; the handlers before are put back at
    the end of the context."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = {name: getattr(signal, name) for name in _HEARD if hasattr(signal, name)}
    if "SIGHUP" in heard and signal.getsignal(heard["SIGHUP"]) is signal.SIG_IGN:  # nohup
        del heard["SIGHUP"]
    before = {number: signal.getsignal(number) for number in heard.values()}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)


def _keep_still(text: str) -> None:
    """Another process says it."""


def _tell(text: str) -> None:
    """A line to standard error from within a signal's handler, where no stream may be in the middle of a write."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none of the system's
        place = sys.stderr.fileno()
        clean = "\r\x1b[2K" if os.isatty(place) else ""  # of a bar
        os.write(place, f"{clean}{text}\n".encode())
