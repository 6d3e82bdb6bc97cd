"""Text files as lists and mappings of their lines."""

import io
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, SupportsIndex

from fkit.catalog.registry import Registry
from fkit.fileio.error import FileErrors, file_error
from fkit.fileio.local import LocalStorage, PathLike
from fkit.fileio.operation import open_storage
from fkit.fileio.part import backend_args_of
from fkit.fileio.path import local_path, path_text
from fkit.format.encoding import encoding_of
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["dict_from_file", "list_from_file"]


def list_from_file(
    filename: PathLike,
    prefix: str = "",
    offset: SupportsIndex = 0,
    max_num: SupportsIndex = 0,
    encoding: str = "utf-8",
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[str]:
    """The lines of a text file.

    Args:
        filename: a path or an address.
        prefix: put before each line.
        offset: how many lines are left out at the beginning.
        max_num: how many lines are read at most; 0 reads all. Of a local file, no more than these are read.
        encoding: the file's; a byte order mark is left out, and has the last word.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: as in `load`.
        registry: as in `load`.

    Example:
        >>> with open_storage("memory://names.txt") as memory:
        ...     memory.put_text("cat\\ndog\\nfox\\n", "memory://names.txt")
        >>> list_from_file("memory://names.txt", prefix="a ", offset=1)
        ['a dog', 'a fox']
    """
    if not isinstance(prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`prefix` is a str, not {quoted(prefix)}.")
    start, count = max(_index("offset", offset), 0), _index("max_num", max_num)
    stop = start + count if count > 0 else None

    def cut(lines: Iterable[str]) -> list[str]:
        return [prefix + line.rstrip("\n\r") for line in islice(lines, start, stop)]

    name = path_text(filename)
    with open_storage(name, backend_args_of(backend_args, file_client_args), registry) as storage:
        if isinstance(storage, LocalStorage) and stop is not None:
            with (
                FileErrors(name, "read as text"),
                open(local_path(name), "rb") as file,
                io.TextIOWrapper(file, encoding_of(file.peek(4), encoding)) as lines,
            ):
                return cut(lines)
        if isinstance(storage, LocalStorage):
            with FileErrors(name, "read as text"):
                data = storage.get(name)
                text = data.decode(encoding_of(data, encoding))
        else:
            text = str(storage.get_text(name, encoding)).removeprefix("\ufeff")
    # as files are read in text mode: \r\n and \r end lines too, and an empty last line is none
    return cut(io.StringIO(text, newline=None))


def _index(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise FkitTypeError(f"`{name}` is a number of lines, not {quoted(value)}.") from None


def dict_from_file(
    filename: PathLike,
    key_type: Callable[[str], Any] = str,
    encoding: str = "utf-8",
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> dict[Any, str | list[str]]:
    """The lines of a text file as a mapping: the first word of each is the key, the others are the value.

    Args:
        filename: a path or an address.
        key_type: makes a key of the first word.
        encoding: the file's.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: as in `load`.
        registry: as in `load`.

    Returns:
        {key: the one other word, or the list of them}.

    Raises:
        FkitValueError: a line has fewer than two words, or a key that ``key_type`` refuses.

    Example:
        >>> with open_storage("memory://map.txt") as memory:
        ...     memory.put_text("1 cat\\n2 dog fox", "memory://map.txt")
        >>> dict_from_file("memory://map.txt", key_type=int)
        {1: 'cat', 2: ['dog', 'fox']}
    """
    if not callable(key_type):
        raise FkitTypeError(f"`key_type` is a class or a function, not {quoted(key_type)}.")
    lines = list_from_file(
        filename, encoding=encoding, backend_args=backend_args, file_client_args=file_client_args, registry=registry
    )
    entries: dict[Any, str | list[str]] = {}
    for number, line in enumerate(lines, 1):
        key, *values = line.split() or [""]
        if not values:
            raise FkitValueError(
                f"a key and a value were expected, not {quoted(line)}.", origin=f"{path_text(filename)}:{number}"
            )
        try:
            entries[key_type(key)] = values[0] if len(values) == 1 else values
        except Exception as cause:
            raise file_error(cause, f"{path_text(filename)}:{number}", "read") from cause
    return entries
