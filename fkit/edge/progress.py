"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fkit.edge.output import Screened
from fkit.run.effect import ShowProgress

__all__ = ["Screen"]

_PLAIN_SECONDS = 10.0  # from line to line where there is no terminal


class Screen:
    """What a person watches while a run goes on.

    Args:
        console: where to write; by default standard error. Output that fails never ends a run: it goes on without it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._stream = Screened(sys.stderr if console is None else console.file)  # pyright: ignore[reportArgumentType]
        self.console = console or Console(file=cast("IO[str]", self._stream), highlight=False)
        self._plain = not self.console.is_terminal  # asked once: rich looks into the environment at each look
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._said = -1e9

    def show(self, effect: ShowProgress) -> None:
        """Where the run stands."""
        if self._plain:
            if effect.mode == "train":
                self._show_plainly(effect)
            return
        values = _line(effect)
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description:<5}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[values]}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
        if effect.mode not in self._tasks:
            self._tasks[effect.mode] = self._bar.add_task(effect.mode, total=effect.total or None, values="", rate="")
        rate = f"{effect.rate:.1f} it/s" if effect.rate else ""
        self._bar.update(self._tasks[effect.mode], completed=effect.done, values=values, rate=rate)
        if effect.mode == "val" and effect.done == effect.total:
            self._bar.remove_task(self._tasks.pop("val"))

    def _show_plainly(self, effect: ShowProgress) -> None:
        now = time.monotonic()
        if now - self._said >= _PLAIN_SECONDS or effect.done == effect.total:
            self._said = now
            rate = f"  {effect.rate:.1f} it/s" if effect.rate else ""
            self.say(f"{effect.mode} {effect.done}/{effect.total}  {_line(effect)}{rate}")

    def say(self, text: str, level: str = "INFO") -> None:
        """A line above the bar."""
        if self._plain:  # nothing to lay out or to colour
            self.console.file.write(text + "\n")
            self.console.file.flush()
            return
        style = {"ERROR": "bold red", "WARNING": "yellow"}.get(level)
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._tasks = {}
        self._stream.flush()

    @property
    def lost(self) -> str | None:
        """Why nothing is shown any more; None while all is well."""
        return self._stream.lost


def _line(effect: ShowProgress) -> str:
    return "  ".join(f"{name} {_short(name, value)}" for name, value in effect.values.items())


def _short(name: str, value: float) -> str:
    return f"{value:.2e}" if name == "lr" else f"{value:.4f}"
