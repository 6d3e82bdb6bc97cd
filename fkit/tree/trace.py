"""Whose code raised: the line of the user's own that an error came from, read off its traceback where one is reported."""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from fkit.tree.error import FkitError

__all__ = ["blamed", "users_line", "users_names"]

_KIT = str(Path(__file__).parents[1])
_PACKAGES = ("site-packages", "dist-packages")


def users_line(error: BaseException) -> str:
    """``file:line, in function`` of the innermost call of a user's own code in an error's traceback, or in that of what
    caused it; "" where there is none: it came from the kit, from Python's library or from an installed package.

    Example:
        >>> try: {}["a"]
        ... except KeyError as error: users_line(error)
        ''
    """
    for file, number, function in _calls(error):
        return f"{_short(file)}:{number}, in {function.rpartition('<locals>.')[2]}"
    return ""


def users_names(error: BaseException) -> tuple[str, ...]:
    """The names of a user's own classes and functions through which an error came, the innermost first.

    Example:
        >>> users_names(ValueError("no"))
        ()
    """
    words = (word for _, _, function in _calls(error) for word in reversed(function.split(".")))
    return tuple(dict.fromkeys(word for word in words if not word.startswith("<")))


def blamed(text: str, error: BaseException, more: str = "") -> str:
    """A message with the line of the user's code that an error came from, in parentheses behind its first line; the other
    lines are set in.

    Args:
        text: the message; where it names that line already, nothing is added.
        more: what follows the line, in the same parentheses.

    Example:
        >>> blamed("it is wrong.", ValueError("no"))
        'it is wrong.'
    """
    line = users_line(error)
    first, *rest = text.splitlines() or [""]
    if line and line not in text:
        first += f" ({line}{more})"
    return "\n  ".join([first, *(one.strip() for one in rest if one.strip())])


def _calls(error: BaseException) -> Iterator[tuple[str, int, str]]:
    """(file, line, function) of each call of a user's own code, the innermost first: those of what caused one of the kit's
    errors go before its own."""
    if isinstance(error, FkitError) and error.__cause__ is not None:
        yield from _calls(error.__cause__)
    library = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
    calls: list[tuple[str, int, str]] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if _is_users(code.co_filename, library):
            calls.append((code.co_filename, trace.tb_lineno, code.co_qualname))
        trace = trace.tb_next
    yield from reversed(calls)


def _is_users(file: str, library: tuple[str, ...]) -> bool:
    """Whether a file is nobody's but the user's; code that was made of text, as a dataclass's methods are, has none."""
    if file.startswith("<") and not file.startswith(("<stdin>", "<ipython-input")):
        return False
    if file.startswith(_KIT + os.sep) or any(part in _PACKAGES for part in Path(file).parts):
        return False
    return not file.startswith(library)


def _short(file: str) -> str:
    """A file told from the working folder, where it is in there."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
