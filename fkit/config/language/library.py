"""What config files may call: builtins, and the pure parts of the standard library.

A function here takes the evaluator (its budget, and its ``call`` for what a config file made) and the arguments.
"""

import builtins
import functools
from collections.abc import Callable, Iterator
from typing import Any

from frozendict import frozendict

from fkit.config.language.method import method_of
from fkit.config.language.operate import key, weigh
from fkit.config.language.pure import Library, Partial, bounded, listed, make_dict, scalar, walk
from fkit.config.language.standard import FROMKEYS, STANDARD
from fkit.config.language.value import Draft, Linked

__all__ = ["BUILTINS", "CALLS"]

_EXCEPTIONS = (
    "ArithmeticError AssertionError AttributeError Exception ImportError IndexError KeyError LookupError "
    "ModuleNotFoundError NameError NotImplementedError OSError RuntimeError StopIteration TypeError ValueError ZeroDivisionError"
)


def _gather(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one iterable, and perhaps more."""

    def apply(lib: Library, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 or function is sum:
            items = listed(args[0], lib.budget)
            weigh(items, lib.budget)
            if function is sum and items and isinstance(items[0], (list, tuple, int)):
                return _sum(lib, items, *args[1:], **kwargs)
            args = (items, *args[1:])
        if kwargs.get("key") is not None:
            kwargs = {**kwargs, "key": functools.partial(lib.call, kwargs["key"])}
        return function(*args, **kwargs)

    return apply


def _sum(lib: Library, items: list[Any], start: Any = 0) -> Any:
    total: Any = start
    for item in items:
        lib.budget.spend(1 + (len(total) if isinstance(total, (list, tuple)) else 0))
        total = total + item
    return total


def _container(kind: type[Any]) -> Callable[..., Any]:
    def apply(lib: Library, *args: Any) -> Any:
        if not args:
            return kind()
        items = listed(*args, lib.budget)  # pyright: ignore[reportCallIssue]
        if kind in (set, frozenset):
            for item in items:
                key(item, lib.budget)
        return kind(items)

    return apply


def _text(function: Callable[..., str]) -> Callable[..., str]:
    def apply(lib: Library, *args: Any) -> str:
        for arg in args:
            weigh(arg, lib.budget)
        return function(*args)

    return apply


def _sorted(lib: Library, items: Any, *, key: Any = None, reverse: Any = False) -> list[Any]:
    found = listed(items, lib.budget)
    weigh(found, lib.budget)
    order = None if key is None else functools.partial(lib.call, key)
    return sorted(found, key=order, reverse=reverse)


def _map(lib: Library, function: Any, *iterables: Any) -> Iterator[Any]:
    return iter([lib.call(function, *items) for items in bounded(zip(*iterables, strict=False), lib)])


def _filter(lib: Library, function: Any, items: Any) -> Iterator[Any]:
    found = listed(items, lib.budget)
    return iter([item for item in found if (item if function is None else lib.call(function, item))])


def _range(lib: Library, *args: Any) -> range:
    return range(*args)


def _slice(lib: Library, *args: Any) -> slice:
    return slice(*args)


def _isinstance(lib: Library, value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds)


def _type(lib: Library, value: Any) -> Any:
    return dict if isinstance(value, Draft) else type(value)


def _print(lib: Library, *args: Any, **kwargs: Any) -> None:
    """Reading a file writes nothing."""


def _pow(lib: Library, base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is not None:
        for number in (base, exponent, modulus):
            lib.budget.bits(20 * number.bit_length() if isinstance(number, int) else 0)
    elif isinstance(base, int) and isinstance(exponent, int):
        lib.budget.bits(base.bit_length() * max(exponent, 0))
    return pow(base, exponent, modulus)


def _getattr(lib: Library, value: Any, name: Any, *default: Any) -> Any:
    if isinstance(value, Linked) and isinstance(name, str):
        if name in value or default:
            return value.get(name, *default)
        raise AttributeError(f"There is no key {name!r} here")
    raise TypeError("getattr reads the bases of a config, nothing else")


def _hasattr(lib: Library, value: Any, name: Any) -> bool:
    return isinstance(value, Linked) and name in value


def _callable(lib: Library, value: Any) -> bool:
    return callable(value) or isinstance(value, Partial)


def _format(lib: Library, value: Any, form: str = "") -> str:
    return method_of("str", "format")(lib, "{:" + form + "}", value)


def _dict_fromkeys(lib: Library, keys: Any, value: Any = None) -> Draft:
    return Draft(dict.fromkeys([key(k, lib.budget) for k in listed(keys, lib.budget)], value))


def _int(lib: Library, value: Any = 0, *base: Any) -> int:
    weigh(value, lib.budget)
    return int(value, *base)


def _next(lib: Library, iterator: Any, *default: Any) -> Any:
    lib.budget.spend(1)
    return next(iterator, *default)


_CALLS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (dict, make_dict),
    (list, _container(list)),
    (tuple, _container(tuple)),
    (set, _container(set)),
    (frozenset, _container(frozenset)),
    (range, _range),
    (slice, _slice),
    *((f, scalar(f)) for f in (len, float, bool, round, abs, divmod, ord, chr, hex, oct, bin, complex)),
    *((f, _gather(f)) for f in (min, max, sum, any, all)),
    (int, _int),
    (str, _text(str)),
    (repr, _text(repr)),
    (ascii, _text(ascii)),
    (format, _format),
    (pow, _pow),
    (sorted, _sorted),
    (map, _map),
    (filter, _filter),
    (zip, walk(zip)),
    (enumerate, walk(enumerate)),
    (reversed, walk(reversed)),
    (iter, walk(iter)),
    (next, _next),
    (isinstance, _isinstance),
    (type, _type),
    (print, _print),
    (getattr, _getattr),
    (hasattr, _hasattr),
    (callable, _callable),
)


CALLS: frozendict[Any, Callable[..., Any]] = frozendict((*STANDARD, *_CALLS, (FROMKEYS, _dict_fromkeys)))
"""Function -> what is called in its place."""

BUILTINS: frozendict[str, Any] = frozendict(
    {
        **{
            getattr(f, "__name__", ""): f
            for f, _ in _CALLS
            if getattr(f, "__module__", None) == "builtins" or f in (slice,)
        },
        **{name: getattr(builtins, name) for name in _EXCEPTIONS.split()},
        "object": object,
        "bytes": bytes,
        "__name__": "builtins",  # as mmengine runs a file: no module of its own, so what looks it up finds this one
        "Ellipsis": ...,
        "NotImplemented": NotImplemented,
    }
)
