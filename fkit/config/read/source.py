"""The text of a config file."""

import os
import stat

from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitOSError, FkitValueError
from fkit.tree.place import not_there, refuse_url

__all__ = ["SUFFIXES", "absolute", "read", "shown", "working_folder"]

SUFFIXES = (".py", ".json", ".yaml", ".yml")
_LIMIT = 1_000_000  # bytes; the largest known config has 75,000
_PYTHON_LIMIT = 400_000  # whose AST takes a hundred times as much memory


def read(file: str) -> str:
    """The text of a config file.

    Raises:
        FkitOSError: another suffix, or a file that cannot be read; FkitFileNotFoundError: there is none;
        FkitValueError: it is too large, or not UTF-8.
    """
    try:
        mode = os.stat(file).st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    if stat.S_ISDIR(mode):
        raise FkitOSError(f"{file} is a folder, where a config file is wanted.", choices=SUFFIXES, label="Suffixes")
    if os.path.splitext(file)[1] not in SUFFIXES:
        raise FkitOSError(f"{file} is not a config file.", choices=SUFFIXES, label="Suffixes")
    if not stat.S_ISREG(mode):  # a pipe or a device would not end
        raise FkitOSError(f"{file} is no regular file.")
    try:
        with open(file, "rb") as handle:
            data = handle.read(_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    limit = _PYTHON_LIMIT if file.endswith(".py") else _LIMIT
    if len(data) > limit:
        raise FkitValueError(f"The config file {file} is larger than {limit} bytes.")
    try:
        text = data.decode("utf-8-sig")  # a byte order mark is no part of the text
    except UnicodeDecodeError as error:
        raise FkitValueError(f"The config file {file} is not UTF-8: {error}.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _unreadable(file: str, error: Exception) -> FkitError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        name = shown(file)
        return not_there(name, f"There is no config file {name}")
    return FkitOSError(f"The config file {file} cannot be read: {error}.")


def shown(file: str) -> str:
    """A file's name for people: relative where it is below the working folder."""
    here = working_folder() + os.sep
    return file[len(here) :] if file.startswith(here) and len(here) > 1 else file


def working_folder() -> str:
    """The working folder; empty where it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def absolute(file: str) -> str:
    """The whole path of a file.

    Raises:
        FkitOSError: a URL.
        FkitFileNotFoundError: it is relative to a working folder that has been deleted.
    """
    refuse_url(file, "a config")
    try:
        return os.path.abspath(os.path.expanduser(file))
    except OSError:
        raise FkitFileNotFoundError(f"There is no config file {file}: the working folder has been deleted.") from None
