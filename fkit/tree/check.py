"""The check of an argument's type, at the door of a public function or of a frozen value."""

import dataclasses
import numbers
import typing
from collections.abc import Sequence
from typing import Any

from fkit.tree.error import FkitTypeError, quoted

__all__ = ["check_fields", "expect", "expect_call", "expect_number", "expect_stream"]


def expect(value: Any, kind: type[Any] | tuple[type[Any], ...], what: str, repair: str = "") -> None:
    """Refuse an argument of another type.

    Args:
        value: the argument.
        kind: the class it must have, or several.
        what: the argument and what it is, in the user's words: "`cfg` is a Config (fkit.load_config gives one)".
        repair: what to do.

    Raises:
        FkitTypeError: it has another class.

    Example:
        >>> expect("a.py", dict, "`cfg` is a mapping")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: `cfg` is a mapping, not the str 'a.py'.
    """
    if not isinstance(value, kind):
        value_text = "None" if value is None else f"the {type(value).__name__} {quoted(value, 60)}"
        raise FkitTypeError(f"{what}, not {value_text}.", repair=repair)


def expect_number(value: Any, what: str, whole: bool = False) -> None:
    """Refuse what is no number, or no whole one; a bool is none.

    Raises:
        FkitTypeError: it is no number.

    Example:
        >>> expect_number("1e-3", "SGD: lr")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: SGD: lr = '1e-3' is text, not a number.
          Write it without quotes; in YAML, 1e-3 is a number only as 1.0e-3.
    """
    if type(value) is not bool and isinstance(value, numbers.Integral if whole else numbers.Real):
        return
    word = "a whole number" if whole else "a number"
    if isinstance(value, str):
        raise FkitTypeError(
            f"{what} = {quoted(value)} is text, not {word}.",
            repair="Write it without quotes; in YAML, 1e-3 is a number only as 1.0e-3.",
        )
    raise FkitTypeError(f"{what} = {quoted(value)} is not {word}.")


def expect_call(value: Any, what: str) -> None:
    """Refuse what cannot be called.

    Raises:
        FkitTypeError: it is no function, and no class.

    Example:
        >>> expect_call(3, "`func` is a function of a task")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: `func` is a function of a task, not 3.
    """
    if not callable(value):
        raise FkitTypeError(f"{what}, not {quoted(value, 60)}.")


def expect_stream(value: Any, what: str = "`file`") -> None:
    """Refuse what is no open text file, such as ``sys.stderr``.

    Raises:
        FkitTypeError: nothing can be written to it.

    Example:
        >>> expect_stream("a.txt")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: `file` is an open text file, not 'a.txt'.
    """
    if not hasattr(value, "write"):
        raise FkitTypeError(f"{what} is an open text file, not {quoted(value, 60)}.")


def check_fields(value: Any) -> None:
    """Refuse a dataclass whose fields of numbers hold something else: for its ``__post_init__``.

    Looks at arguments annotated ``int``, ``float``, either of them ``| None``, or a tuple or Sequence of either.

    Raises:
        FkitTypeError: a field is no number, or no whole one.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Every:
        ...     interval: int
        ...     __post_init__ = check_fields
        >>> Every(2.5)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: Every: interval = 2.5 is not a whole number.
    """
    for field in dataclasses.fields(value):
        if field.init:
            try:
                _check_field(getattr(value, field.name), field.type, f"{type(value).__name__}: {field.name}")
            except FkitTypeError as error:
                error.path = field.name
                raise


def _check_field(field: Any, annotation: Any, what: str) -> None:
    kinds: tuple[Any, ...] = typing.get_args(annotation) or (annotation,)
    if field is None and type(None) in kinds:
        return
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if typing.get_origin(annotation) in (tuple, Sequence):
        if kinds[0] in (int, float):
            expect(field, (list, tuple), f"{what} is a list of numbers")
            for item in typing.cast("tuple[Any, ...]", field):
                expect_number(item, what, whole=kinds[0] is int)
    elif kinds == (bool,):
        expect(field, bool, f"{what} is True or False")
    elif kinds == (str,):
        expect(field, str, f"{what} is text")
    elif kinds and all(kind in (int, float) for kind in kinds):
        expect_number(field, what, whole=float not in kinds)
