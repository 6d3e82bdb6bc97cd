"""Pickles of data sets: mappings, lists, numbers, text and numpy's arrays; what else a pickle names is refused, for it may run code."""

import io
import pickle
from typing import Any, NoReturn

from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["unpickled"]

_NUMPY = ("_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar")


def unpickled(data: bytes, name: str, encoding: str = "ASCII") -> Any:
    """What a pickle of plain data holds.

    Args:
        data: its bytes.
        name: the file, for messages.
        encoding: of text that Python 2 wrote.

    Raises:
        FkitValueError: it is no pickle, or it names more than plain data.

    Example:
        >>> unpickled(pickle.dumps({"a": [1]}), "a.pkl")
        {'a': [1]}
        >>> unpickled(pickle.dumps(print), "b.pkl")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: b.pkl: it names builtins.print, which no plain data does.
    """
    expect(data, bytes, "`data` are the bytes of a pickle")
    expect(name, str, "`name` is a file's name")
    expect(encoding, str, "`encoding` is text such as 'latin1'")
    try:
        return _Plain(io.BytesIO(data), encoding=encoding).load()
    except FkitValueError as refused:
        raise FkitValueError(f"{name}: {refused.what}") from refused
    except Exception as cause:
        raise FkitValueError(f"{name}: it is no pickle of plain data: {cause}") from cause


class _Plain(pickle.Unpickler):
    """Finds numpy's arrays alone."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name.partition(".")[0] == "numpy" and global_name in _NUMPY:
            return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)
        if (module_name, global_name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return super().find_class(module_name, global_name)
        _refuse(f"{module_name}.{global_name}")


def _refuse(what: str) -> NoReturn:
    raise FkitValueError(f"it names {what}, which no plain data does.")
