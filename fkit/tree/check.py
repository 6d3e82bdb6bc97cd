"""The check of an argument's type, at the door of a public function."""

from typing import Any

from fkit.tree.error import FkitTypeError, quoted

__all__ = ["expect"]


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
        said = "None" if value is None else f"the {type(value).__name__} {quoted(value, 60)}"
        raise FkitTypeError(f"{what}, not {said}.", repair=repair)
