"""Names of a config file while it is read: the module's, and those of functions and comprehensions."""

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from fkit.config.language.value import Draft
from fkit.tree.error import FkitValueError

__all__ = ["Bound", "Closure", "Scope", "Transient", "absent", "bind", "refuse"]

_ABSENT: Any = object()


class Scope:
    """Variables and what lies around them.

    Args:
        names: the variables; the module's are a Draft, whose marks say where each was set.
        outer: the scope in which names are looked up next.
    """

    __slots__ = ("elsewhere", "names", "outer")

    def __init__(self, names: dict[str, Any], outer: "Scope | None" = None) -> None:
        self.names = names
        self.outer = outer
        self.elsewhere: dict[str, Scope] | None = None  # names declared global or nonlocal

    def find(self, name: str) -> Any:
        """The value of a name, or ``absent``."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name, _ABSENT)
            if found is not _ABSENT:
                return found
            scope = scope.outer
        return _ABSENT

    def module(self) -> "Scope":
        """The outermost scope."""
        scope = self
        while scope.outer is not None:
            scope = scope.outer
        return scope

    def owner(self, name: str) -> "Scope":
        """The scope that an assignment of the name changes."""
        return self.elsewhere.get(name, self) if self.elsewhere else self

    def put(self, name: str, value: Any, mark: Any) -> None:
        """Assign a name."""
        names = self.owner(name).names
        names[name] = value
        if isinstance(names, Draft):
            names.marks[name] = mark

    def drop(self, name: str) -> None:
        """Delete a name."""
        names = self.owner(name).names
        if name not in names:
            raise NameError(f"name {name!r} is not defined")
        del names[name]
        if isinstance(names, Draft):
            names.marks.pop(name, None)

    def declare(self, names: list[str], everywhere: bool) -> None:
        """``global`` or ``nonlocal`` names."""
        self.elsewhere = dict(self.elsewhere or {})
        for name in names:
            scope = self.module() if everywhere else self.outer
            while not everywhere and scope is not None and name not in scope.names:
                scope = scope.outer
            if scope is None:
                raise SyntaxError(f"no binding for nonlocal {name!r} found")
            self.elsewhere[name] = scope


class Closure:
    """A function that a config file defined."""

    __slots__ = ("__qualname__", "arguments", "body", "defaults", "keyword_defaults", "scope")

    def __init__(
        self,
        name: str,
        arguments: ast.arguments,
        body: Any,
        scope: Scope,
        defaults: list[Any],
        keyword_defaults: list[Any],
    ) -> None:
        self.__qualname__ = name
        self.arguments = arguments
        self.body = body  # statements, or one expression of a lambda
        self.scope = scope
        self.defaults = defaults
        self.keyword_defaults = keyword_defaults


def absent() -> Any:
    """What ``find`` answers for a name that is nowhere."""
    return _ABSENT


def bind(function: Closure, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Scope:
    """The scope of a call, with its arguments.

    Raises:
        TypeError: arguments that the function does not take, or lacks.
    """
    spec, name = function.arguments, function.__qualname__
    positional = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    found: dict[str, Any] = dict(zip(positional, args, strict=False))
    rest = args[len(positional) :]
    if rest and spec.vararg is None:
        raise TypeError(f"{name}() takes {len(positional)} positional arguments but {len(args)} were given")
    named = {a.arg for a in (*spec.args, *spec.kwonlyargs)}
    extra: dict[str, Any] = {}
    for key, value in kwargs.items():
        if key not in named:
            extra[key] = value
        elif key in found:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        else:
            found[key] = value
    if extra and spec.kwarg is None:
        raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(extra))!r}")
    first = len(positional) - len(function.defaults)
    for at, key in enumerate(positional):
        if key not in found and at >= first:
            found[key] = function.defaults[at - first]
    for key, default in zip((a.arg for a in spec.kwonlyargs), function.keyword_defaults, strict=True):
        if key not in found and default is not _ABSENT:
            found[key] = default
    missing = [key for key in (*positional, *(a.arg for a in spec.kwonlyargs)) if key not in found]
    if missing:
        raise TypeError(f"{name}() missing required arguments: {', '.join(missing)}")
    if spec.vararg is not None:
        found[spec.vararg.arg] = rest
    if spec.kwarg is not None:
        found[spec.kwarg.arg] = Draft(extra)
    return Scope(found, function.scope)


class Transient(dict[str, Any]):
    """The names of a comprehension, which ``:=`` passes over."""

    transient = True


class Bound:
    """A method of a value, looked up and not yet called."""

    __slots__ = ("function", "value")

    def __init__(self, function: Callable[..., Any], value: Any) -> None:
        self.function = function
        self.value = value


def refuse(what: str, place: str) -> NoReturn:
    """The error for what is beyond a config that is data."""
    raise FkitValueError(
        what,
        origin=place,
        repair="fkit reads configs as data. If you trust the file, --trust runs it as Python in a process of its own.",
    )
