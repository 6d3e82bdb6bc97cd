"""How far a run is, shown by a clock of its own: no event is told of it, and nothing waits for the device."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from fkit.data.identity import metainfo_of
from fkit.data.source import Source
from fkit.edge.progress import Screen
from fkit.structures.batch import Batch
from fkit.tree.frozen import EMPTY

__all__ = ["Pace", "Watch"]

_SMOOTH = 0.3  # weight of the newest rate in the one that is shown


class Pace:
    """Rate and time left, from when so much was done.

    Args:
        total: how much there is; 0 where that is not known.
        now: seconds on a clock that never goes back.
        done: what was done then.

    Example:
        >>> pace = Pace(100, now=0.0)
        >>> pace.words(2.0, 20)
        ('left 0:00:08', '10.0 it/s')
    """

    def __init__(self, total: int, now: float, done: int = 0) -> None:
        self._total = total
        self._start = self._last = (now, done)
        self._aside = 0.0
        self._rate = 0.0

    def aside(self, seconds: float) -> None:
        """Seconds that went to something else (validation): the rate leaves them out, the time left does not."""
        self._aside += seconds

    def words(self, now: float, done: int) -> tuple[str, ...]:
        """What is shown of it, ``done`` being done ``now``: the time left, and the rate."""
        then, before = self._last
        seconds, count = now - then - self._aside, done - before
        if seconds <= 0 or count <= 0:
            return ()
        self._last, self._aside = (now, done), 0.0
        self._rate += (count / seconds - self._rate) * (_SMOOTH if self._rate else 1.0)
        rate = f"{self._rate:.1f} it/s" if self._rate >= 1 else f"{1 / self._rate:.1f} s/it"
        if not self._total:
            return (rate,)
        began, first = self._start
        return f"left {_clock_words((now - began) / (done - first) * max(self._total - done, 0))}", rate


class Watch:
    """Shows how far a run is, when its clock says so.

    Args:
        screen: what a person watches.
        total: training iterations of the run; 0 where that is not known.

    Attributes:
        values: what was last read of the training: name -> float; loss and lr are shown.
    """

    def __init__(self, screen: Screen, total: int = 0) -> None:
        self.total = total
        self.values: Mapping[str, float] = EMPTY
        self._screen = screen
        self._pace: Pace | None = None
        self._due = 0.0
        self._aside = 0.0

    def look(self, done: int) -> None:
        """``done`` training iterations are done; nothing but a look at the clock where nothing is due."""
        now = time.monotonic()
        if now >= self._due:
            self._show(now, done)

    def _show(self, now: float, done: int) -> None:
        self._due = now + self._screen.seconds
        if self._pace is None:
            self._pace = Pace(self.total, now, done)
            return
        self._pace.aside(self._aside)
        self._aside = 0.0
        loss, rate = (
            [f"{name} {_short(name, self.values[name])}"] if name in self.values else [] for name in ("loss", "lr")
        )
        left, *speed = self._pace.words(now, done) or ("",)
        words = (left, *loss, *speed, *rate)  # the most useful first
        self._screen.show("train", done, self.total, [word for word in words if word])

    def aside(self, seconds: float) -> None:
        """Seconds that went to something else than training."""
        self._aside += seconds

    def over(self, source: Source, mode: str) -> Source:
        """A source of the same batches, with a bar while they are asked for; what is no source stays what it is."""
        if not isinstance(source, Source):  # pyright: ignore[reportUnnecessaryIsInstance]  the loop names it
            return source
        return _Counted(source, mode, self)

    def count(self, mode: str, source: Source, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of a pass; the bar is there while they are asked for, and the time is none of training's."""
        screen, clock, total = self._screen, time.monotonic, source.length or 0
        began = clock()
        pace, due = Pace(total, began, start), began + screen.seconds
        try:
            for done, batch in enumerate(source.batches(epoch, start), start):
                now = clock()
                if now >= due:
                    due = now + screen.seconds
                    screen.show(mode, done, total, pace.words(now, done))
                yield batch
        finally:
            screen.drop(mode)
            self.aside(clock() - began)


class _Counted(Source):
    def __init__(self, source: Source, mode: str, watch: Watch) -> None:
        self._source = source
        self._mode = mode
        self._watch = watch

    @property
    def length(self) -> int | None:
        return self._source.length

    @property
    def ambient(self) -> bool:
        return self._source.ambient

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """What the data say of themselves, which metrics are told."""
        return metainfo_of(self._source)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return self._watch.count(self._mode, self._source, epoch, start)


def _clock_words(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    Example:
        >>> _clock_words(3725.4)
        '1:02:05'
    """
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}"


def _short(name: str, value: float) -> str:
    return f"{value:.2e}" if name == "lr" else f"{value:.4f}"
