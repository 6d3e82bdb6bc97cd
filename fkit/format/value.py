"""What a text format writes in place of a value that it has no form for."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from fkit.tree.error import FkitTypeError

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """One level of a value in plain Python: arrays, sets and ranges as lists, numpy's scalars as numbers.

    Raises:
        FkitTypeError: a value that is no data.

    Example:
        >>> plain(range(2)), plain({7}), plain(object())
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: a value of the class object has no form in this format.
    """
    if any(kind.__module__ == "numpy" for kind in type(value).__mro__) and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (AbstractSet, range, Sequence)) and not isinstance(value, (str, bytes, bytearray)):
        return list(value)
    raise FkitTypeError(f"a value of the class {type(value).__name__} has no form in this format.")
