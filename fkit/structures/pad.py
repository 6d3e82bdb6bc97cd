"""Rows that fill a field up to a fixed number."""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from fkit.structures.content import family, namespace
from fkit.tree.error import FkitTypeError, FkitValueError, like, quoted

__all__ = ["pad_rows"]


def pad_rows(name: str, value: Any, more: int, fill: Any) -> Any:
    """A field's value with ``more`` rows behind its own.

    Args:
        name: the field, for errors.
        value: an array, whose rows are filled with the number ``fill``; a list or tuple (with None); a str (with NUL).

    Raises:
        FkitTypeError: rows of other things, or ``fill`` is no number.
        FkitValueError: the array's dtype has no such number.

    Example:
        >>> pad_rows("ids", np.array([3]), 2, -1), pad_rows("names", ("a",), 1, 0)
        (array([ 3, -1, -1]), ('a', None))
    """
    if family(value) is not None:
        return _pad_array(name, value, more, fill)
    if isinstance(value, str):
        return value + "\0" * more
    if isinstance(value, (list, tuple)):
        items = [*cast("Sequence[Any]", value), *[None] * more]
        return items if isinstance(value, list) else tuple(items)
    raise FkitTypeError(
        f"the field {name!r}: rows of a {type(value).__name__} cannot be padded.",
        repair="Keep it as an array, a list or a tuple.",
    )


def _pad_array(name: str, array: Any, more: int, fill: Any) -> Any:
    xp = namespace(array)
    shape = (more, *array.shape[1:])
    # filled by arithmetic of its own library, so that device and type are those of the value
    where = {"device": array.device} if family(array) == "torch" else {}
    kind = str(array.dtype).removeprefix("torch.")
    number = _number(name, fill)
    if not _holds(kind, number):
        raise FkitValueError(
            f"the field {name!r} ({kind}) has no number {quoted(fill)} to fill rows with.",
            repair=f"A number for each field: pad(size, fill={{{name!r}: 0}}).",
        )
    try:
        rows = xp.full(shape, number, dtype=array.dtype, **where)
    except (TypeError, ValueError, OverflowError, RuntimeError) as cause:  # an int of 400 digits
        raise like(cause)(f"the field {name!r} ({kind}) cannot be filled with {quoted(fill)}: {cause}") from cause
    return xp.concat((array, rows), axis=0)


def _number(name: str, fill: Any) -> Any:
    number = fill.item() if getattr(fill, "shape", None) == () else fill  # of numpy's, or an array without axes
    if not isinstance(number, (bool, int, float, complex)):
        raise FkitTypeError(
            f"the rows of {name!r} are filled with a number, not with {quoted(fill)}.",
            repair="pad(size, fill=0), or a number a field: pad(size, fill={'labels': -1}).",
        )
    return number


def _holds(kind: str, number: Any) -> bool:
    """Whether a dtype has a number. Where it lacks one, each library wraps it, cuts it, or raises in its own way."""
    if isinstance(number, complex):
        return kind.startswith("complex")
    if kind != "bool" and "int" not in kind:
        return True
    if isinstance(number, float) and (not math.isfinite(number) or number % 1):
        return False
    limits = np.iinfo(np.uint8 if kind == "bool" else kind)
    return limits.min <= number <= (1 if kind == "bool" else limits.max)
