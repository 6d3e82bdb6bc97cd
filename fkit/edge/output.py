"""Standard output and standard error as streams that fail in one known way, or not at all."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from fkit.tree.error import RunError

__all__ = ["Output", "OutputError", "ReaderGone", "Screened", "hold_places", "printable"]


class OutputError(RunError):
    """Results that nothing takes: a full disk behind ``> FILE``, a stream that was closed."""


class ReaderGone(BrokenPipeError):
    """Results whose reader has gone, as ``| head`` does; not some other pipe or connection of the process."""


def printable(text: str) -> str:
    """A text that any UTF-8 file or font takes: what stands for bytes that are no UTF-8 (a folder's name) is escaped.

    Example:
        >>> printable("a\\udcffb"), printable("ä")
        ('a\\\\udcffb', 'ä')
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def hold_places() -> None:
    """Put nothing in place of a standard stream that was closed before the process began (``>&-``).

    Else the next file that is opened would take its number, and get what any library, or a child, prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one


class _Closed(io.StringIO):
    """A stream that was closed: a write fails; who asks what it is (argparse of Python 3.14 does) hears no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.close()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _opened(stream: TextIO | None) -> TextIO:
    return stream if stream is not None else _Closed()


class Output:
    """A stream of results: a character that it lacks is escaped; a write that fails is one `OutputError`.

    Args:
        stream: the stream below, such as ``sys.stdout``; None is one that was closed before the process began.
        name: what it is called in an error.

    Raises (each call):
        OutputError: the stream takes no more (a full disk).
        ReaderGone: its reader has gone.
    """

    def __init__(self, stream: TextIO | None, name: str = "standard output") -> None:
        self._stream = _opened(stream)
        self._name = name
        # in the C locale Python's is "surrogateescape", which fails at letters all the same
        if getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with self._telling():
            return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written."""
        with self._telling():
            self._stream.flush()

    def drop(self) -> None:
        """Let what could not be written go, so that the end of the process does not try again."""
        _drop(self._stream)

    @contextlib.contextmanager
    def _telling(self) -> Any:
        try:
            yield
        except BrokenPipeError as cause:
            raise ReaderGone(*cause.args) from cause
        except (OSError, ValueError) as cause:
            raise OutputError(
                f"{self._name} cannot be written: {getattr(cause, 'strerror', None) or cause}."
            ) from cause


class Screened:
    """A stream of what a person watches: where it takes no more, it is silent from then on.

    Args:
        stream: the stream below, such as ``sys.stderr`` or an `Output`; None is one that was closed before the process
            began.

    Attributes:
        lost: why nothing is shown any more; None while all is well.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = _opened(stream)
        self.lost: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, if the stream still takes one."""
        self._try(self._stream.write, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, one after the other, if the stream still takes them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written, if the stream still takes it."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[..., Any], *words: str) -> None:
        if self.lost is None:
            try:
                act(*words)
            except (OSError, ValueError, OutputError) as error:
                cause = error.__cause__ if isinstance(error, OutputError) else error
                self.lost = str(getattr(cause, "strerror", None) or cause)
                _drop(self._stream)


def _drop(stream: TextIO) -> None:
    """Let go of what a stream still holds: Python would try to write it at its end, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor has nothing to drop
        place = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, place)
        os.close(nowhere)
