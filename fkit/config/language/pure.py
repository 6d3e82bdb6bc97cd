"""What a pure function of the library gets and gives: the evaluator behind it, modules, iterators that end."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from fkit.config.language.budget import Budget
from fkit.config.language.operate import key, weigh
from fkit.config.language.value import Draft

__all__ = ["Library", "Partial", "bounded", "listed", "make_dict", "scalar", "walk"]


class Library(Protocol):
    """What a pure function needs of the evaluator that calls it."""

    budget: Budget

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a config file may call: a function of its own, or one of the library."""
        ...


class Partial(NamedTuple):
    """``functools.partial`` of a config file."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def listed(value: Any, budget: Budget) -> list[Any]:
    """The items of an iterable, of which no more may come than there are steps left."""
    if isinstance(value, (list, tuple, dict, set, frozenset, str, range, bytes)):
        budget.spend(len(value))
        return list(value)
    found = list(itertools.islice(iter(value), max(budget.left, 0) + 1))
    budget.spend(len(found))
    return found


def bounded(iterator: Iterable[Any], lib: Library) -> Iterator[Any]:
    """The iterator, gone through once within the budget."""
    return iter(listed(iterator, lib.budget))


def scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result is no larger than its arguments."""

    def apply(lib: Library, *args: Any, **kwargs: Any) -> Any:
        for arg in args:
            weigh(arg, lib.budget)
        return function(*args, **kwargs)

    return apply


def walk(function: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    """A function that makes an iterator."""

    def apply(lib: Library, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return bounded(function(*args, **kwargs), lib)

    return apply


def make_dict(lib: Library, *args: Any, **kwargs: Any) -> Draft:
    """``dict(...)`` of a config file."""
    made = Draft()
    if len(args) > 1:
        raise TypeError(f"dict expected at most 1 argument, got {len(args)}")
    if args and isinstance(args[0], dict):
        made.take(args[0], None)
    elif args:
        for pair in listed(args[0], lib.budget):
            name, value = pair
            made.put(key(name, lib.budget), value, None)
    made.take(kwargs, None)
    return made
