"""Clocks and signals, as the inbox of a run."""

import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType

from fkit.run.event import Observed

__all__ = ["inbox"]

_HEARD = ("SIGINT", "SIGTERM")


@contextmanager
def inbox() -> Generator[Iterator[tuple[Observed, ...]]]:
    """What a run observes: the monotonic clock at each look, and Ctrl-C or SIGTERM once it came.

    Inside the context the first signal is only noted, so that the step in progress ends; a second one of a kind acts as
    always. The handlers before are put back at the end.
    """
    heard: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(signal.Signals(number).name)
        signal.signal(number, before[number])

    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in _HEARD)}
    for number in before:
        signal.signal(number, note)
    try:
        yield _observations(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _observations(heard: list[str]) -> Iterator[tuple[Observed, ...]]:
    clock = time.perf_counter
    while True:
        now = Observed("time", clock())
        yield (now, Observed("signal", heard[0])) if heard else (now,)
