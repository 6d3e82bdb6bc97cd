"""mmcv's progress bar: a thing that is told when work is done."""

from contextlib import ExitStack
from typing import IO

from fkit.fileio.progress import progress
from fkit.tree.check import expect_number, expect_stream
from fkit.tree.error import FkitValueError

__all__ = ["ProgressBar"]


class ProgressBar:
    """A bar with rate and time left on a terminal, plain lines elsewhere; `track_progress` shows one round a loop.

    Args:
        task_num: how many tasks there are; 0 where that is not known: then what is done is shown alone.
        bar_width: as mmcv has it; the bar takes the room that the terminal has.
        start: begin at once.
        file: where to; None is standard error.

    Raises:
        FkitTypeError, FkitValueError: ``task_num`` is no number of tasks.

    Example:
        >>> import io
        >>> bar = ProgressBar(2, file=io.StringIO())
        >>> bar.update()
        >>> bar.update()
        >>> bar.completed
        2
    """

    def __init__(self, task_num: int = 0, bar_width: int = 50, start: bool = True, file: IO[str] | None = None) -> None:
        expect_number(task_num, "task_num", whole=True)
        expect_number(bar_width, "bar_width", whole=True)
        if task_num < 0:
            raise FkitValueError(f"task_num = {task_num} is below 0.")
        if file is not None:
            expect_stream(file)
        self.task_num = task_num
        self.completed = 0
        self._file = file
        self._shown = ExitStack()
        self._advance = None
        if start:
            self.start()

    def start(self) -> None:
        """Show it; a bar that is shown stays as it is."""
        if self._advance is None:
            self._advance = self._shown.enter_context(progress("progress", self.task_num or None, file=self._file))

    def update(self, num_tasks: int = 1) -> None:
        """So many more tasks are done; with the last of them the bar ends.

        Raises:
            FkitValueError: fewer than one.
        """
        expect_number(num_tasks, "num_tasks", whole=True)
        if num_tasks < 1:
            raise FkitValueError(f"num_tasks = {num_tasks}: at least one task is done.")
        self.start()
        self.completed += num_tasks
        if self._advance is not None:
            self._advance(num_tasks)
        if self.task_num and self.completed >= self.task_num:
            self.close()

    def close(self) -> None:
        """End it; so does the last task."""
        self._shown.close()

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
