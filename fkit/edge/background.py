"""Work in the background, one piece after the other: what a run need not wait for."""

import threading
from collections import deque
from collections.abc import Callable

from fkit.tree.check import expect_call

__all__ = ["Background"]

Piece = Callable[[], object]


class Background:
    """A thread that does what it is given, in order; it begins with a piece, and ends when nothing is left.

    An error in a piece is raised to whoever gives the next one, or asks for all to be done; what was given after it is not
    done. An interpreter that ends waits for what is left.

    Example:
        >>> done = []
        >>> work = Background()
        >>> work.give(lambda: done.append(1)); work.give(lambda: done.append(2))
        >>> work.finish(); done
        [1, 2]
    """

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do, or to be told."""
        with self._turn:
            return self._thread is not None or self._error is not None

    def give(self, piece: Piece) -> None:
        """Have a piece done after those before it.

        Raises:
            what a piece before it raised.
        """
        expect_call(piece, "a piece of work is a function without arguments")
        self._tell()
        with self._turn:
            self._pieces.append(piece)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="background")
                self._thread.start()

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            what a piece raised.
        """
        with self._turn:
            thread = self._thread
        if thread is not None:
            thread.join()
        self._tell()

    def _tell(self) -> None:
        with self._turn:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._pieces or self._error is not None:
                    self._pieces.clear()
                    self._thread = None
                    return
                piece = self._pieces.popleft()
            try:
                piece()
            except BaseException as error:
                with self._turn:
                    self._error = error
