"""The attributes of a package that are opened when they are first asked for, and what a missing one says."""

from collections.abc import Iterable
from typing import Any, NoReturn

from fkit.tree.error import FkitAttributeError, FkitError
from fkit.tree.name import open_module, open_name

__all__ = ["Instead", "attribute"]


def attribute(
    package: str,
    name: str,
    names: Iterable[tuple[str, str]],
    instead: Iterable[tuple[str, str]] = (),
    elsewhere: Iterable[str] = (),
) -> Any:
    """What ``package.name`` is: for the package's ``__getattr__``.

    Args:
        package: the package.
        name: what was asked for.
        names: (name, ``"module:attribute"``) of all that it has.
        instead: (name, what to write), for names that other packages have.
        elsewhere: packages that are looked through for a name, to say that it is there.

    Raises:
        FkitAttributeError: there is no such name; the nearest one is named.

    Example:
        >>> attribute("mine", "pi", [("pi", "math:pi")]) > 3
        True
        >>> attribute("mine", "pie", [("pi", "math:pi")])
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitAttributeError: module 'mine' has no attribute 'pie'.
          Did you mean 'pi'? Names: pi
    """
    for known, target in names:
        if known == name:
            # a package of its own inside of this one: opened as a module, for asking for the attribute leads here again
            return open_module(target) if target == f"{package}.{name}" else open_name(target)
    repair = dict(instead).get(name, "")
    if not repair and not name.startswith("_"):
        rooms = [room for room in elsewhere if _has(room, name)]
        repair = f"It is {rooms[0]}.{name} here." if rooms else ""
    what = f"module {package!r} has no attribute {name!r}."
    if repair:
        raise FkitAttributeError(what, repair=repair)
    raise FkitAttributeError(what, value=name, choices=sorted(known for known, _ in names), label="Names")


def _has(package: str, name: str) -> bool:
    """Whether a package offers a name: of its list, or what it imports of the kit."""
    try:
        module = open_module(package)
    except FkitError:  # a room that needs what is not installed
        return False
    listed: Iterable[str] | None = getattr(module, "__all__", None)
    if listed is not None:
        return name in listed
    return str(getattr(vars(module).get(name), "__module__", "")).startswith("fkit.")


class Instead:
    """A name that a class does not have, and what to write in its place: for names that other kits' classes have.

    ``hasattr`` says no, and reading the class's own attributes costs nothing more. A class with such names leaves them
    out of its ``__dir__``.

    Example:
        >>> class Registry:
        ...     register_module = Instead("reg = reg.register(kind, Maker).")
        >>> Registry.register_module
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitAttributeError: Registry has no 'register_module'.
          reg = reg.register(kind, Maker).
    """

    def __init__(self, repair: str) -> None:
        self.repair = repair
        self.name = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type[Any]) -> NoReturn:
        raise FkitAttributeError(f"{kind.__name__} has no {self.name!r}.", repair=self.repair)
