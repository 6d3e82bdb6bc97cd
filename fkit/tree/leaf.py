"""What a leaf of a config may be: a value that cannot change. What can is refused, with what to write in its place."""

import functools
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["LEAVES", "Refused", "key_of", "leaf"]

LEAVES = frozenset((str, int, float, bool, type(None), bytes))
_PLAIN: tuple[tuple[type, Any], ...] = ((str, str.__str__), (int, int.__int__), (float, float.__float__))
_TOO_LONG = 10**4300  # Python writes, and reads, no more digits than 4,300


class Refused(Exception):
    """A value that no config holds; the tree around it turns this into an error that says where.

    Args:
        value: the value.
        what: what it is, the end of a sentence.
        repair: what to write in its place.
        kind: the class of the error.
    """

    def __init__(self, value: Any, what: str, repair: str, kind: "type[FkitTypeError | FkitValueError]") -> None:
        super().__init__(what)
        self.value = value
        self.what = what
        self.repair = repair
        self.kind = kind

    def error(self, path: str) -> "FkitTypeError | FkitValueError":
        """The error that a user reads."""
        where = path or "A config"
        return self.kind(f"{where} cannot hold {self.what}.", path=path, repair=self.repair)


def leaf(value: Any) -> Any:
    """A value that is no container, as a config holds it: numbers of numpy as numbers, what else cannot change as it is.

    Members of enumerations, classes, functions and other values that cannot change stay as they are.

    Raises:
        Refused: it can change, or is code without a name.

    Example:
        >>> import numpy
        >>> leaf(numpy.float32(0.5)), leaf(len) is len
        (0.5, True)
    """
    kind = type(value)
    if kind in LEAVES:
        if kind is int and not -_TOO_LONG < value < _TOO_LONG:
            raise Refused(value, "a whole number of more than 4,300 digits", "No file could hold it.", FkitValueError)
        return value
    if isinstance(value, Enum):
        return value
    for plain, make in _PLAIN:
        if isinstance(value, plain):
            return leaf(make(value))
    shape = getattr(value, "shape", None)
    if shape == () and hasattr(value, "item"):
        number = value.item()
        if type(number) is not kind:
            return leaf(number)
    if isinstance(shape, tuple) and hasattr(value, "dtype"):
        raise _refused(value, f"an array ({kind.__module__}.{kind.__name__})", "Write its numbers: array.tolist().")
    return _checked(value)


def _checked(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, ModuleType):
        what = f"the module {value.__name__!r}"
        raise _refused(value, what, "Give a class or a function of it, or its name as a string.")
    if isinstance(value, functools.partial):
        what = f"a functools.partial of {quoted(value.func, 60)}"
        raise _refused(value, what, "Write dict(type=..., and the arguments), or define a function.")
    if isinstance(value, FunctionType) and value.__name__ == "<lambda>":
        raise _refused(value, "a lambda, which has no name", "Define a function of a module, and give that.")
    if hasattr(kind, "__next__"):
        raise _refused(value, f"{quoted(value)}, which is used up when it is read", "Write list(...) of it.")
    if kind.__hash__ is None:
        repair = "Write a list, a tuple, a set or a mapping of plain values, or bytes."
        raise _refused(value, f"{quoted(value)}: a {kind.__name__} can change", repair)
    if kind.__hash__ is object.__hash__ and hasattr(value, "__dict__") and not hasattr(value, "__qualname__"):
        repair = f"Name its class and its arguments: dict(type='{kind.__name__}', ...)."
        raise _refused(value, f"{quoted(value)}: an object of the class {kind.__name__}, which can change", repair)
    return value


def _refused(value: Any, what: str, repair: str) -> Refused:
    return Refused(value, what, repair, FkitTypeError)


def key_of(key: Any) -> Any:
    """A mapping's key that is no container, as a config holds it: strings and numbers are plain ones."""
    for plain, make in _PLAIN:
        if isinstance(key, plain) and type(key) is not bool:
            return leaf(make(key))
    return leaf(key)
