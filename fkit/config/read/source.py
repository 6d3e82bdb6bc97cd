"""The text of a config file, with what OpenMMLab replaces in it before it is parsed."""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fkit.tree.error import FkitFileNotFoundError, FkitKeyError, FkitOSError, FkitValueError
from fkit.tree.node import Items, Node, marks_of, meta_of
from fkit.tree.path import step

__all__ = ["SUFFIXES", "Source", "read", "restore", "shown", "substitute", "unquoted"]

SUFFIXES = (".py", ".json", ".yaml", ".yml")
_LIMIT = 1_000_000  # bytes; the largest known config has 75,000
_PYTHON_LIMIT = 400_000  # whose AST takes a hundred times as much memory

_PREDEFINED = re.compile(r"\{\{\s*(fileDirname|fileBasename|fileBasenameNoExtension|fileExtname)\s*\}\}")
_ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
_BASE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
# stands for a base's variable until the bases are read; private-use characters that no config has
_TOKEN = re.compile("\ue0b0([\\w.]+)\ue0b1")
_PART = re.compile('"?[\ue0b0\ue0b2]([\\w.]+)[\ue0b1\ue0b3]"?')  # one inside of a longer string


class Source(NamedTuple):
    """A text to be parsed, and what was replaced in it."""

    text: str
    environment: tuple[tuple[str, str], ...] = ()
    has_base_variables: bool = False


def read(file: str) -> str:
    """The text of a config file.

    Raises:
        FkitOSError: another suffix, or a file that cannot be read; FkitFileNotFoundError: there is none;
        FkitValueError: it is too large, or not UTF-8.
    """
    if os.path.splitext(file)[1] not in SUFFIXES:
        raise FkitOSError(f"{file} is not a config file.", choices=SUFFIXES, label="Suffixes")
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe or a device would not end
        raise FkitOSError(f"{file} is no regular file.")
    try:
        with open(file, "rb") as handle:
            data = handle.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FkitFileNotFoundError(f"There is no config file {file}.") from None
    except (OSError, ValueError) as error:
        raise FkitOSError(f"The config file {file} cannot be read: {error}.") from error
    limit = _PYTHON_LIMIT if file.endswith(".py") else _LIMIT
    if len(data) > limit:
        raise FkitValueError(f"The config file {file} is larger than {limit} bytes.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FkitValueError(f"The config file {file} is not UTF-8: {error}.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def shown(file: str) -> str:
    """A file's name for people: relative where it is below the working folder."""
    here = os.getcwd() + os.sep
    return file[len(here) :] if file.startswith(here) else file


def substitute(text: str, file: str, predefined: bool, environment: bool) -> Source:
    """Replace file variables, environment variables and base variables, in this order, everywhere in the text.

    Raises:
        FkitKeyError: an environment variable that is neither set nor given a default.
    """
    if "{{" not in text:
        return Source(text)
    if predefined:
        text = _PREDEFINED.sub(_predefined(file), text)
    used: dict[str, str] = {}
    if environment:
        text = _ENVIRONMENT.sub(_environment(file, text, used), text)
    has_base = _BASE.search(text) is not None
    if has_base:
        text = _tokens(text)
    return Source(text, tuple(used.items()), has_base)


def _predefined(file: str) -> Callable[[re.Match[str]], str]:
    stem, suffix = os.path.splitext(os.path.basename(file))
    values = {
        "fileDirname": os.path.dirname(file),
        "fileBasename": stem + suffix,
        "fileBasenameNoExtension": stem,
        "fileExtname": suffix,
    }
    return lambda found: values[found[1]].replace("\\", "/")


def _environment(file: str, text: str, used: dict[str, str]) -> Callable[[re.Match[str]], str]:
    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if name in os.environ:
            used[name] = os.environ[name]
        chosen = os.environ.get(name, default)
        if not chosen:
            line = text.count("\n", 0, found.start()) + 1
            raise FkitKeyError(
                f"The environment variable {name} is not set, and has no default.",
                origin=f"{file}:{line}",
                repair=f"Set it, or write {{{{${name}:default}}}}.",
            )
        return chosen

    return value


_OUTSIDE = re.compile(r'"""|\'\'\'|"|\'|#[^\n]*|\{\{\s*_base_\.([\w.]+)\s*\}\}')
_INSIDE = re.compile(r'\\.|"""|\'\'\'|"|\'|\n|\{\{\s*_base_\.([\w.]+)\s*\}\}', re.DOTALL)


def _tokens(text: str) -> str:
    """The text with base variables as tokens: strings of their own, or parts of the strings they stand in."""
    parts: list[str] = []
    quote, at = "", 0
    while (found := (_INSIDE if quote else _OUTSIDE).search(text, at)) is not None:
        parts.append(text[at : found.start()])
        at, what = found.end(), found[0]
        if found[1] is not None:
            what = f"\ue0b2{found[1]}\ue0b3" if quote else f'"\ue0b0{found[1]}\ue0b1"'
        elif not quote:
            quote = "" if what[0] == "#" else what
        elif what == quote or (what == "\n" and len(quote) == 1):
            quote = ""
        elif what[0] == quote:  # of three quotes in a string of one, the first ends it
            quote, what, at = "", quote, found.start() + 1
        parts.append(what)
    return "".join([*parts, text[at:]])


def unquoted(text: str) -> str:
    """The text with base variables that stand inside of a string: their own quotes would end it."""
    return _PART.sub("\ue0b2\\1\ue0b3", text)


def restore(value: Any, base: Any, file: str) -> Any:
    """Put in the values that the base variables stand for; keys are left, as OpenMMLab leaves them.

    Raises:
        FkitKeyError: the bases have no such variable.
    """
    if isinstance(value, str):
        return _restore_text(value, base, file) if "\ue0b0" in value or "\ue0b2" in value else value
    if isinstance(value, Node):
        return type(value).of({k: restore(v, base, file) for k, v in value.items()}, marks_of(value), meta_of(value))
    if isinstance(value, list):
        return Items([restore(v, base, file) for v in value])
    if isinstance(value, tuple):
        return tuple(restore(v, base, file) for v in value)
    return value


def _restore_text(text: str, base: Any, file: str) -> Any:
    whole = _TOKEN.fullmatch(text)
    if whole is not None:
        return _variable(whole[1], base, file)
    return _PART.sub(lambda found: str(_variable(found[1], base, file)), text)


def _variable(name: str, base: Any, file: str) -> Any:
    node = base
    for key in name.split("."):
        if not isinstance(node, dict):
            node = None
            break
        try:
            node = step(node, key)
        except KeyError:
            node = None
            break
    else:
        return node
    choices = [str(key) for key in base]
    raise FkitKeyError(
        f"{{{{_base_.{name}}}}} is in no base.", origin=file, value=name, choices=choices, label="Variables"
    )
