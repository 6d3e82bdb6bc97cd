"""What a person watches: lines, and how far things are: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import IO, Any, cast

from rich.console import Console, Group
from rich.live import Live

from fkit.edge.bar import Bar
from fkit.edge.output import Screened

__all__ = ["Screen"]

_BAR_SECONDS, _PLAIN_SECONDS = 0.2, 10.0  # between two looks of a bar, and of a plain line


class Screen:
    """What a person watches while a run goes on.

    Args:
        console: where to write; by default standard error. Output that fails never ends a run: it goes on without it.
        results: the stream of results, of which `losses` tells too.

    Attributes:
        seconds: how often `show` is worth a call.
    """

    def __init__(self, console: Console | None = None, results: Screened | None = None) -> None:
        below: Any = sys.stderr if console is None else console.file
        self._stream = below if isinstance(below, Screened) else Screened(below)
        self._results = results
        self.console = console or Console(file=cast("IO[str]", self._stream), highlight=False)
        self.console.file = cast("IO[str]", self._stream)
        self._plain = not self.console.is_terminal  # asked once: rich looks into the environment at each look
        self.seconds = _PLAIN_SECONDS if self._plain else _BAR_SECONDS
        self._live: Live | None = None
        self._bars: dict[str, Bar] = {}
        self._lines: list[str] = []
        self._printed = -1e9
        self._columns = 0
        self._mute = False

    def mute(self) -> None:
        """Show nothing from here on: another process of the run does."""
        self.close()
        self._mute = True

    def show(self, mode: str, done: int, total: int, words: Sequence[str]) -> None:
        """How far something is.

        Args:
            mode: what is done: "train", "val", "test".
            done: of ``total``; a total of 0 is not known.
            words: beside it: time left, losses, rate; the most useful first, for a bar leaves out what does not fit.
        """
        if self._mute:
            return
        if self._plain:
            self.say("  ".join((f"{mode} {done}/{total or '?'}", *words)))
            return
        self._fit()
        self._print()
        self._bars[mode] = Bar(mode, done, total, tuple(words))
        if self._live is None:
            # no thread of its own, which would take the interpreter from the run ten times a second
            self._live = Live(
                console=self.console,
                get_renderable=lambda: Group(*self._bars.values()),
                transient=True,
                auto_refresh=False,
            )
            self._live.start()
        self._live.refresh()
        self._home()

    def drop(self, mode: str) -> None:
        """What was shown is through."""
        self._bars.pop(mode, None)

    def say(self, text: str, level: str = "INFO") -> None:
        """A line above the bar; on a terminal, lines that follow each other fast are written together."""
        if self._mute:
            return
        if self._plain:  # nothing to lay out or to colour
            self._stream.write(text + "\n")
            self._stream.flush()
            return
        style = {"ERROR": "bold red", "WARNING": "yellow"}.get(level)
        self._fit()
        if style is not None:
            self._print()
            self.console.print(text, style=style, markup=False, soft_wrap=True)
            self._home()
            return
        self._lines.append(text)
        if time.monotonic() - self._printed >= _BAR_SECONDS:
            self._print()

    def _print(self) -> None:
        if self._lines:
            self.console.print("\n".join(self._lines), markup=False, soft_wrap=True)
            self._lines = []
            self._home()
        self._printed = time.monotonic()

    def _home(self) -> None:
        """The cursor waits where the bar's line begins: a terminal that becomes narrower, and breaks the line in two, keeps
        it there."""
        if self._live is not None and not self.console.legacy_windows:
            self.console.file.write("\r")
            self.console.file.flush()

    def _fit(self) -> None:
        """Where the terminal became narrower, a bar that was broken in two is cleared whole."""
        columns = self.console.width
        if columns < self._columns and self._live is not None and not self.console.legacy_windows:
            self.console.file.write("\x1b[J")
        self._columns = columns

    def close(self) -> None:
        """Take the bar off the screen."""
        if not self._plain:
            self._print()
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._bars = {}
        self._stream.flush()

    @property
    def losses(self) -> tuple[str, ...]:
        """Which streams take no more, and why: a sentence each; none while all is well."""
        rows = (("nothing more is shown", self._stream), ("standard output takes no more", self._results))
        return tuple(
            f"{what} ({stream.lost})" for what, stream in rows if stream is not None and stream.lost is not None
        )
