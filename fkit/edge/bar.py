"""A line that shows how far something is, and fits the terminal: what is least useful goes first."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment

__all__ = ["Bar", "layout"]

_LEAST, _MOST = 10, 40  # columns of the bar itself


def layout(mode: str, done: int, total: int, words: Sequence[str], columns: int) -> tuple[str, int, str]:
    """What fits into so many columns: the words before the bar, the bar's own columns (0: none), the words after it.

    The last words go first, then the bar, then the first of the words. The last column stays free: some terminals begin a
    line of their own there.

    Args:
        total: how much there is; 0 where that is not known, and there is no bar.
        words: what stands beside it, the most useful first.

    Example:
        >>> words = ("left 0:00:08", "loss 0.5000", "12.3 it/s", "lr 1.00e-03")
        >>> layout("train", 120, 460, words, 60)
        ('train ', 18, ' 120/460  left 0:00:08  loss 0.5000')
        >>> layout("train", 120, 460, words, 30)
        ('train ', 0, '120/460  left 0:00:08')
        >>> layout("train", 120, 460, words, 20)
        ('train ', 0, '120/460')
    """
    room = max(columns - 1, 1)
    head, count = f"{mode:<5} ", f"{done:>{len(str(total))}}/{total}" if total else f"{done}/?"
    for kept in range(len(words), -1, -1):
        tail = "  ".join((count, *words[:kept]))
        left = room - len(head) - len(tail)
        if total and left > _LEAST:  # with the space after it
            return head, min(left - 1, _MOST), f" {tail}"
        if left >= 0 and (kept <= 1 or not total):
            return head, 0, tail
    line = f"{head}{count}"[:room]
    return line[: len(head)], 0, line[len(head) :]


class Bar(NamedTuple):
    """What rich draws for one line, at the width that the terminal has by then.

    Attributes: those of `layout`.
    """

    mode: str
    done: int
    total: int
    words: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head, columns, tail = layout(self.mode, self.done, self.total, self.words, options.max_width)
        yield Segment(head)
        if columns:
            yield from console.render(
                ProgressBar(total=self.total, completed=self.done, width=columns), options.update(width=columns)
            )
        yield Segment(tail)
        yield Segment.line()
