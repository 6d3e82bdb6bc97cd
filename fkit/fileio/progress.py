"""A progress bar with rate and time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, TypeAlias, cast

from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Advance", "progress"]

Advance: TypeAlias = Callable[[int], None]

_LINE_SECONDS = 10.0  # how often a plain line is written


def progress(
    label: str, total: int | None, *, unit: str = "items", file: IO[str] | None = None, color: str | None = None
) -> AbstractContextManager[Advance]:
    """Show the progress of the body, which calls the function it is given with what it has done since the last call.

    Args:
        label: what is shown beside the bar.
        total: how much there is to do; None when that is not known.
        unit: "items", or "bytes" (shown as kB, MB, ...).
        file: where to; None is standard error. A bar on a terminal, elsewhere a line every ten seconds and at the end.
        color: the bar's colour, as rich names it.

    Raises:
        FkitTypeError: a total that is no number, or a file that cannot be written to.

    Example:
        >>> import io
        >>> with progress("reading", 3, file=io.StringIO()) as advance:
        ...     advance(2)
        ...     advance(1)
    """
    out: Any = sys.stderr if file is None else file
    if total is not None and not isinstance(cast(Any, total), (int, float)):
        raise FkitTypeError(f"`total` is how much there is to do, or None, not {quoted(total)}.")
    if not isinstance(cast(Any, unit), str):
        raise FkitTypeError(f'`unit` is "items" or "bytes", not {quoted(unit)}.')
    if not hasattr(out, "write"):
        raise FkitTypeError(f"`file` is an open file, not {quoted(out)}.")
    is_terminal = hasattr(out, "isatty") and out.isatty()
    return (_bar if is_terminal else _lines)(str(label), total, unit, out, color)


@contextmanager
def _bar(label: str, total: int | None, unit: str, out: IO[str], color: str | None) -> Generator[Advance]:
    from rich.console import Console
    from rich.errors import StyleSyntaxError
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.style import Style
    from rich.text import Text

    if color is not None:
        try:
            Style.parse(color)
        except (StyleSyntaxError, AttributeError, TypeError):
            raise FkitValueError(
                f"{quoted(color)} is no colour.", repair="Colours are named as in rich: 'green', '#00ff00'."
            ) from None

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:.1f} a second" if task.speed else "")

    amount, rate = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(), Rate())
    bar = BarColumn(complete_style=color) if color else BarColumn()
    columns = (TextColumn("{task.description}"), bar, amount, rate, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=out)) as shown:
        task = shown.add_task(label, total=total)
        yield lambda step: shown.advance(task, step)


@contextmanager
def _lines(label: str, total: int | None, unit: str, out: IO[str], color: str | None) -> Generator[Advance]:
    count, start = 0, time.monotonic()
    written_at = start

    def write(now: float) -> None:
        nonlocal written_at
        took = max(now - start, 1e-9)
        amount = f"{_amount(count, unit)}" + (f" of {_amount(total, unit)}" if total is not None else "")
        left = f", {(total - count) * took / count:.0f} s left" if total and 0 < count < total else ""
        print(f"{label}: {amount}, {_amount(count / took, unit)} a second{left}", file=out, flush=True)
        written_at = now

    def advance(step: int) -> None:
        nonlocal count
        count += step
        now = time.monotonic()
        if now - written_at >= _LINE_SECONDS:
            write(now)

    yield advance
    write(time.monotonic())


def _amount(count: float, unit: str) -> str:
    if unit != "bytes":
        return f"{count:.4g}" if isinstance(count, float) else str(count)
    for word in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {word}" if word == "B" else f"{count:.1f} {word}"
        count /= 1000
    return f"{count:.1f} TB"
