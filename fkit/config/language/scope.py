"""Where a config file is while it is read: its state, its names, and the functions that it defined."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from fkit.config.language.budget import Budget
from fkit.config.language.value import Draft
from fkit.config.origin import Mark
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitValueError

__all__ = ["TRUST", "Bound", "Closure", "Frame", "State", "bind", "refuse"]

TRUST = "fkit reads configs as data. If you trust the file, --trust runs it as Python in a process of its own."
_new_mark: Callable[..., Mark] = tuple.__new__  # a Mark without the call of its constructor: there are thousands


class Frame:
    """Variables and what lies around them.

    Args:
        names: the variables; the module's are a Draft, whose marks say where each was set.
        outer: the frame in which names are looked up next.
        passing: whether ``:=`` passes over it, as over that of a comprehension.
    """

    __slots__ = ("marks", "names", "outer", "passing")

    def __init__(self, names: dict[str, Any], outer: "Frame | None" = None, passing: bool = False) -> None:
        self.names = names
        self.outer = outer
        self.passing = passing
        self.marks: dict[str, Any] = names.marks if isinstance(names, Draft) else {}

    def put(self, name: str, value: Any, mark: Mark | None) -> None:
        """Assign a name."""
        self.names[name] = value
        self.marks[name] = mark

    def drop(self, name: str) -> None:
        """Delete a name."""
        if name not in self.names:
            raise NameError(f"name {name!r} is not defined")
        del self.names[name]
        self.marks.pop(name, None)


@dataclass(slots=True)
class State:
    """How far the evaluation of a file has come, and what it may use.

    Args:
        file: the file's name, for origins and errors.
        budget: what the evaluation may cost.
        frame: the names, at first the module's.
        caller: calls what a config file may call: the state, the function, its arguments.
        environment: the environment variables that the file reads are put here.
    """

    file: str
    budget: Budget
    frame: Frame
    caller: Callable[["State", Any, tuple[Any, ...], dict[str, Any]], Any]
    environment: dict[str, str]
    line: int = 1
    depth: int = 0  # of the file's functions that call each other
    latest: Mark | None = None

    @property
    def place(self) -> str:
        """``file:line`` of what is evaluated."""
        return f"{self.file}:{self.line}"

    def mark(self, line: int) -> Mark:
        """The mark of a key that is set on a line; all of a line have the same."""
        mark = self.latest
        if mark is None or mark[1] != line or mark[0] != self.file:
            self.latest = mark = _new_mark(Mark, (self.file, line, ()))
        return mark

    def call(self, function: Any, /, *args: Any, **keywords: Any) -> Any:
        """Call what a config file may call: a function of its own, or one of the table."""
        return self.caller(self, function, args, keywords)


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A function that a config file defined.

    Args:
        name: its name.
        spec: its arguments.
        body: statements, or the one expression of a lambda.
        run: evaluates the body.
        frame: the names around its definition.
        file: the file that it stands in.
        defaults, keyword_defaults: values of arguments that a call leaves out, ABSENT where there is none.
    """

    name: str
    spec: ast.arguments
    body: Any
    run: Callable[[State, Any], Any]
    frame: Frame
    file: str
    defaults: list[Any]
    keyword_defaults: list[Any]

    def __repr__(self) -> str:
        return f"<function {self.name}>"


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A method of a value, looked up and not yet called: its entry of the table, and the value."""

    entry: Any
    value: Any

    def __repr__(self) -> str:
        return f"<method {self.entry.name}>"


def bind(function: Closure, args: tuple[Any, ...], keywords: dict[str, Any]) -> Frame:
    """The frame of a call, with its arguments.

    Raises:
        TypeError: arguments that the function does not take, or lacks.
    """
    spec, name = function.spec, function.name
    positional = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
    keyword_only = [arg.arg for arg in spec.kwonlyargs]
    taken = {arg.arg for arg in spec.args} | set(keyword_only)
    first = len(positional) - len(function.defaults)
    values: dict[str, Any] = dict(zip(positional[first:], function.defaults, strict=True))
    values |= {
        key: value for key, value in zip(keyword_only, function.keyword_defaults, strict=True) if value is not ABSENT
    }
    by_position = dict(zip(positional, args, strict=False))
    values |= by_position
    more: dict[str, Any] = {}
    for key, value in keywords.items():
        if key in taken and key in by_position:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        (values if key in taken else more)[key] = value
    if len(args) > len(positional) and spec.vararg is None:
        raise TypeError(f"{name}() takes {len(positional)} positional arguments but {len(args)} were given")
    if more and spec.kwarg is None:
        raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(more))!r}")
    missing = [key for key in (*positional, *keyword_only) if key not in values]
    if missing:
        raise TypeError(f"{name}() missing required arguments: {', '.join(missing)}")
    if spec.vararg is not None:
        values[spec.vararg.arg] = args[len(positional) :]
    if spec.kwarg is not None:
        values[spec.kwarg.arg] = Draft(more)
    return Frame(values, function.frame)


def refuse(what: str, place: str) -> NoReturn:
    """The error for what is beyond a config that is data."""
    raise FkitValueError(what, origin=place, repair=TRUST)
