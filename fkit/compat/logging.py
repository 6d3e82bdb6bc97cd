"""Loggers by name, with a file and a level; only the first process speaks."""

import logging
import os
import sys
from typing import IO, Any

from fkit.edge.environment import get_host_info
from fkit.edge.launch import rank_of
from fkit.fileio.error import FileErrors
from fkit.fileio.path import mkdir_or_exist
from fkit.tree.check import expect, expect_number, expect_stream
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["get_logger", "print_log"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NOTSET")
_OWN = "_fkit_handler"  # marks the handlers that this module gave to a logger


def get_logger(
    name: str = "fkit",
    log_file: str | os.PathLike[str] | None = None,
    log_level: int | str = "INFO",
    file_mode: str = "w",
    *,
    rank: int | None = None,
    distributed: bool = False,
    stream: IO[str] | None = None,
    color: bool | None = None,
) -> logging.Logger:
    """The logger of a name, of the standard library, set up once.

    Asked for again, it is the same logger, with the level and stream given last, and the files of all calls. A logger
    ``a.b`` of a name ``a`` that is set up writes where ``a`` does, and gets no handlers of its own but a file.

    Args:
        name: its name.
        log_file: a file that gets every line too; its folder is made.
        log_level: the least level that is written: "DEBUG", "INFO", "WARNING", "ERROR", or a number of `logging`.
        file_mode: "w" begins the file anew, "a" adds to it.
        rank: this process's number among those of a run; None reads what the launcher left in the environment.
            Processes other than 0 write only errors to the stream, and nothing to the file.
        distributed: give each process a file of its own, ``name_{user@host}_rank{n}.log`` but for process 0.
        stream: where to; None is standard error.
        color: whether levels have colours; None: on a terminal, unless NO_COLOR is set.

    Returns:
        the logger.

    Raises:
        FkitValueError: there is no such level.

    Example:
        >>> import io
        >>> out = io.StringIO()
        >>> logger = get_logger("doc", stream=out, rank=0)
        >>> logger.info("hello")
        >>> logger.debug("not shown")
        >>> out.getvalue().split(" - ", 1)[1]
        'doc - INFO - hello\\n'
    """
    expect(name, str, "`name` is a logger's name")
    if log_file is not None:
        expect(log_file, (str, os.PathLike), "`log_file` is the path of a file")
    if stream is not None:
        expect_stream(stream, "`stream`")
    rank = rank_of(os.environ) if rank is None else rank
    expect_number(rank, "rank", whole=True)
    level = _level(log_level)
    if file_mode not in ("w", "a"):
        raise FkitValueError(f"file_mode = {file_mode!r} is unknown.", choices=("w", "a"))
    logger = logging.getLogger(name)
    parents = [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
    if not any(_handlers(logging.getLogger(parent)) for parent in parents):
        for old in _handlers(logger):
            if not isinstance(old, logging.FileHandler):
                logger.removeHandler(old)
        out = sys.stderr if stream is None else stream
        in_colour = (
            color if color is not None else hasattr(out, "isatty") and out.isatty() and not os.environ.get("NO_COLOR")
        )
        _add(logger, logging.StreamHandler(out), level if rank == 0 else max(level, logging.ERROR), in_colour)
        logger.propagate = False  # the root logger, where somebody set one up, would write each line again
    if log_file is not None and (rank == 0 or distributed):
        path = _file_of(os.fspath(log_file), rank if distributed else 0)
        if path not in [os.path.abspath(old.baseFilename) for old in _files(logger)]:
            mkdir_or_exist(os.path.dirname(path))
            with FileErrors(str(log_file), "opened for the log"):
                handler = logging.FileHandler(path, file_mode, encoding="utf-8")
            _add(logger, handler, level, False)
        for file in _files(logger):
            file.setLevel(level)
    logger.setLevel(level)
    return logger


def print_log(msg: Any, logger: logging.Logger | str | None = None, level: int | str = logging.INFO) -> None:
    """Write a message: printed, to a logger, or not at all.

    Args:
        msg: the message.
        logger: a logger, or the name of one that `get_logger` set up; None prints, "silent" does nothing.
        level: its level.

    Raises:
        FkitValueError: no logger of that name is set up; "current" among them, for there is no current one.

    Example:
        >>> print_log("hello")
        hello
        >>> print_log("hello", "silent")
    """
    if logger is None:
        print(msg)
    elif isinstance(logger, logging.Logger):
        logger.log(_level(level), msg)
    elif logger == "current":
        raise FkitValueError(
            "there is no current logger: nothing is global here.", repair="Pass the logger, or its name."
        )
    elif not isinstance(logger, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`logger` is a logger, its name, 'silent' or None, not a {type(logger).__name__}.")
    elif logger != "silent":
        target = logging.getLogger(logger)
        if not target.hasHandlers():
            raise FkitValueError(f"no logger {logger!r} is set up.", repair=f"get_logger({logger!r}) sets it up.")
        target.log(_level(level), msg)


class _Format(logging.Formatter):
    """``time - name - LEVEL - message``; errors also say where they were logged."""

    def __init__(self, color: bool) -> None:
        super().__init__()
        self.color = color

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname
        if self.color:
            code = 31 if record.levelno >= logging.ERROR else 33 if record.levelno >= logging.WARNING else 32
            level = f"\x1b[{code}m{level}\x1b[0m"
        where = f" - {record.pathname}:{record.lineno} {record.funcName}" if record.levelno >= logging.ERROR else ""
        text = f"{self.formatTime(record)} - {record.name} - {level}{where} - {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _Once(logging.Filter):
    """Each warning of a logger once: one in a step of the training would fill the file."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        key = (record.name, record.getMessage())
        new = key not in self.seen
        self.seen.add(key)
        return new


def _add(logger: logging.Logger, handler: logging.Handler, level: int, color: bool) -> None:
    setattr(handler, _OWN, True)
    handler.setFormatter(_Format(color))
    handler.addFilter(_Once())
    handler.setLevel(level)
    logger.addHandler(handler)


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    return [handler for handler in logger.handlers if getattr(handler, _OWN, False)]


def _files(logger: logging.Logger) -> list[logging.FileHandler]:
    return [handler for handler in _handlers(logger) if isinstance(handler, logging.FileHandler)]


def _file_of(log_file: str, rank: int) -> str:
    if rank:
        stem, end = os.path.splitext(log_file)
        log_file = f"{stem}_{get_host_info()}_rank{rank}{end}"
    return os.path.abspath(log_file)


def _level(level: Any) -> int:
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    word = str(level).upper()
    if word not in _LEVELS:
        raise FkitValueError(f"log_level = {level!r} is unknown.", value=word, choices=_LEVELS)
    return int(getattr(logging, word))
