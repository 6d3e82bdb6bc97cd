"""What config files may call: builtins and the pure parts of the standard library, each bounded.

A function here takes the evaluator's budget, its ``call`` (which calls what a config file made), and the arguments.
"""

import builtins
import collections
import copy
import functools
import itertools
import math
import operator
import os
import os.path
import string
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from frozendict import frozendict

from fkit.config.budget import Budget
from fkit.config.draft import Draft, Linked
from fkit.config.method import method_of
from fkit.config.operate import key, weigh

__all__ = ["BUILTINS", "Library", "Module", "Partial", "calls", "listed", "member"]

_EXCEPTIONS = (
    "ArithmeticError AssertionError AttributeError Exception ImportError IndexError KeyError LookupError "
    "ModuleNotFoundError NameError NotImplementedError OSError RuntimeError StopIteration TypeError ValueError ZeroDivisionError"
)


class Library(Protocol):
    """What a pure function needs of the evaluator that calls it."""

    budget: Budget

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a config file may call: a function of its own, or one of the library."""
        ...


class Module(NamedTuple):
    """A module of the standard library that a config file imported."""

    name: str


class Partial(NamedTuple):
    """``functools.partial`` of a config file."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def listed(value: Any, budget: Budget) -> list[Any]:
    """The items of an iterable, of which no more may come than there are steps left."""
    if isinstance(value, (list, tuple, dict, set, frozenset, str, range, bytes)):
        budget.spend(len(value))  # pyright: ignore
        return list(value)  # pyright: ignore
    found = list(itertools.islice(iter(value), max(budget.left, 0) + 1))
    budget.spend(len(found))
    return found


def _bounded(iterator: Iterable[Any], lib: Library) -> Iterator[Any]:
    return iter(listed(iterator, lib.budget))


def _scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result is no larger than its arguments."""

    def apply(lib: Library, *args: Any, **kwargs: Any) -> Any:
        for arg in args:
            weigh(arg, lib.budget)
        return function(*args, **kwargs)

    return apply


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
    total = start
    for item in items:
        lib.budget.spend(1 + (len(total) if isinstance(total, (list, tuple)) else 0))  # pyright: ignore
        total = total + item
    return total  # pyright: ignore


def _dict(lib: Library, *args: Any, **kwargs: Any) -> Draft:
    made = Draft()
    if len(args) > 1:
        raise TypeError(f"dict expected at most 1 argument, got {len(args)}")
    if args and isinstance(args[0], dict):
        made.take(args[0], None)  # pyright: ignore
    elif args:
        for pair in listed(args[0], lib.budget):
            name, value = pair
            made.put(key(name, lib.budget), value, None)
    made.take(kwargs, None)
    return made


def _container(kind: type[Any]) -> Callable[..., Any]:
    def apply(lib: Library, *args: Any) -> Any:
        if not args:
            return kind()
        items = listed(*args, lib.budget)
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
    return sorted(found, key=order, reverse=reverse)  # pyright: ignore


def _map(lib: Library, function: Any, *iterables: Any) -> Iterator[Any]:
    return iter([lib.call(function, *items) for items in _bounded(zip(*iterables, strict=False), lib)])


def _filter(lib: Library, function: Any, items: Any) -> Iterator[Any]:
    found = listed(items, lib.budget)
    return iter([item for item in found if (item if function is None else lib.call(function, item))])


def _lazy_iterator(function: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    def apply(lib: Library, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return _bounded(function(*args, **kwargs), lib)

    return apply


def _products(function: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    def apply(lib: Library, *args: Any, **kwargs: Any) -> Iterator[Any]:
        args = tuple(listed(arg, lib.budget) if not isinstance(arg, int) else arg for arg in args)
        if kwargs.get("repeat", 1) > 64:
            lib.budget.spend(lib.budget.left + 1)
        found: list[Any] = []
        for item in function(*args, **kwargs):
            lib.budget.spend(1 + len(item))  # pyright: ignore
            found.append(item)
        return iter(found)

    return apply


def _range(lib: Library, *args: Any) -> range:
    return range(*args)


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


def _deepcopy(lib: Library, value: Any) -> Any:
    """A deep copy that keeps the marks."""
    lib.budget.spend(lib.budget.weigh(value))
    known: dict[int, Any] = {}

    def copied(item: Any) -> Any:
        if id(item) in known:
            return known[id(item)]
        if isinstance(item, Draft):
            made = type(item)((), dict(item.marks))
            known[id(item)] = made
            for name, below in item.items():
                made[name] = copied(below)
            return made
        if isinstance(item, list):
            known[id(item)] = parts = []
            parts.extend(copied(below) for below in item)  # pyright: ignore
            return parts  # pyright: ignore
        if isinstance(item, tuple):
            return tuple(copied(below) for below in item)  # pyright: ignore
        return set(item) if isinstance(item, set) else item  # pyright: ignore

    return copied(value)


def _copy(lib: Library, value: Any) -> Any:
    if isinstance(value, Draft):
        return value.copied()
    return listed(value, lib.budget) if isinstance(value, list) else set(value) if isinstance(value, set) else value  # pyright: ignore


def _factorial(lib: Library, number: Any) -> int:
    lib.budget.bits(int(number) * max(int(number), 1).bit_length())
    return math.factorial(number)


def _choose(function: Callable[..., int]) -> Callable[..., int]:
    def apply(lib: Library, number: Any, *count: Any) -> int:
        lib.budget.bits(abs(int(number)) + 1)
        return function(number, *count)

    return apply


def _prod(lib: Library, items: Any, *, start: Any = 1) -> Any:
    total = start
    for item in listed(items, lib.budget):
        if isinstance(total, int) and isinstance(item, int):
            lib.budget.bits(total.bit_length() + item.bit_length())
        total = total * item
    return total


def _reduce(lib: Library, function: Any, items: Any, *start: Any) -> Any:
    return functools.reduce(functools.partial(lib.call, function), listed(items, lib.budget), *start)


def _partial(lib: Library, function: Any, /, *args: Any, **kwargs: Any) -> Partial:
    return Partial(function, args, kwargs)


def _repeat(lib: Library, value: Any, times: int) -> Iterator[Any]:
    lib.budget.spend(times)
    return itertools.repeat(value, times)


def _accumulate(lib: Library, items: Any, function: Any = None, *, initial: Any = None) -> Iterator[Any]:
    call = None if function is None else functools.partial(lib.call, function)
    return _bounded(itertools.accumulate(listed(items, lib.budget), call, initial=initial), lib)


def _getenv(lib: Library, name: str, default: Any = None) -> Any:
    return os.environ.get(name, default)


def _counter(lib: Library, items: Any = ()) -> Draft:
    found = listed(items, lib.budget)
    weigh(found, lib.budget)
    return Draft(collections.Counter(found))


def _dict_fromkeys(lib: Library, keys: Any, value: Any = None) -> Draft:
    return Draft(dict.fromkeys([key(k, lib.budget) for k in listed(keys, lib.budget)], value))


def _int(lib: Library, value: Any = 0, *base: Any) -> int:
    weigh(value, lib.budget)
    return int(value, *base)


def _next(lib: Library, iterator: Any, *default: Any) -> Any:
    lib.budget.spend(1)
    return next(iterator, *default)


_CALLS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (dict, _dict),
    (collections.OrderedDict, _dict),
    (collections.Counter, _counter),
    (list, _container(list)),
    (tuple, _container(tuple)),
    (set, _container(set)),
    (frozenset, _container(frozenset)),
    (range, _range),
    (slice, lambda lib, *args: slice(*args)),  # pyright: ignore
    *((f, _scalar(f)) for f in (len, float, bool, round, abs, divmod, ord, chr, hex, oct, bin, complex)),
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
    (zip, _lazy_iterator(zip)),
    (enumerate, _lazy_iterator(enumerate)),
    (reversed, _lazy_iterator(reversed)),
    (iter, _lazy_iterator(iter)),
    (next, _next),
    (isinstance, _isinstance),
    (type, _type),
    (print, _print),
    (getattr, _getattr),
    (hasattr, _hasattr),
    (callable, _callable),
    (copy.deepcopy, _deepcopy),
    (copy.copy, _copy),
    (functools.reduce, _reduce),
    (functools.partial, _partial),
    (itertools.chain, _lazy_iterator(itertools.chain)),
    (itertools.zip_longest, _lazy_iterator(itertools.zip_longest)),
    (itertools.islice, _lazy_iterator(itertools.islice)),
    (itertools.pairwise, _lazy_iterator(itertools.pairwise)),
    (itertools.product, _products(itertools.product)),
    (itertools.combinations, _products(itertools.combinations)),
    (itertools.permutations, _products(itertools.permutations)),
    (itertools.repeat, _repeat),
    (itertools.accumulate, _accumulate),
    (math.factorial, _factorial),
    (math.comb, _choose(math.comb)),
    (math.perm, _choose(math.perm)),
    (math.prod, _prod),
    (os.getenv, _getenv),
    (os.environ.get, _getenv),
)

_MATH = (
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees dist erf erfc exp exp2 expm1 fabs floor "
    "fmod frexp fsum gamma gcd hypot isclose isfinite isinf isnan isqrt lcm ldexp lgamma log log10 log1p log2 modf pow "
    "radians remainder sin sinh sqrt tan tanh trunc"
)
_PATH = "abspath basename commonpath commonprefix dirname expanduser isabs join normpath relpath split splitext"
_OPERATOR = "add sub truediv floordiv neg eq ne lt le gt ge and_ or_ not_ contains"
_PURE: tuple[Any, ...] = (
    *(getattr(math, name) for name in _MATH.split() if hasattr(math, name)),
    *(getattr(os.path, name) for name in _PATH.split()),
    *(getattr(operator, name) for name in _OPERATOR.split()),
    os.fspath,
)

# member names of modules: (module, name, value); what is not here cannot be reached
_MEMBERS: tuple[tuple[str, str, Any], ...] = (
    *(("math", name, getattr(math, name)) for name in (*_MATH.split(), *"e pi tau inf nan comb factorial perm prod".split()) if hasattr(math, name)),
    *((module, name, getattr(os.path, name)) for module in ("os.path", "posixpath") for name in (*_PATH.split(), "sep")),
    *(("operator", name, getattr(operator, name)) for name in _OPERATOR.split()),
    *(("itertools", name, getattr(itertools, name)) for name in "chain zip_longest islice pairwise product combinations permutations repeat accumulate".split()),
    *(("functools", name, getattr(functools, name)) for name in ("partial", "reduce")),
    *(("collections", name, getattr(collections, name)) for name in ("OrderedDict", "Counter")),
    *(("string", name, getattr(string, name)) for name in "ascii_letters ascii_lowercase ascii_uppercase digits punctuation".split()),
    ("copy", "copy", copy.copy),
    ("copy", "deepcopy", copy.deepcopy),
    ("os", "path", Module("os.path")),
    ("os", "sep", os.sep),
    ("os", "linesep", os.linesep),
    ("os", "getenv", os.getenv),
    ("os", "environ", Module("os.environ")),
    ("os.environ", "get", os.environ.get),
    ("os", "fspath", os.fspath),
)
_TABLE: frozendict[tuple[str, str], Any] = frozendict({(module, name): value for module, name, value in _MEMBERS})


def calls() -> dict[Any, Callable[..., Any]]:
    """A fresh table: function -> what is called in its place."""
    table: dict[Any, Callable[..., Any]] = {function: _scalar(function) for function in _PURE}
    table.update(_CALLS)
    table[_FROMKEYS] = _dict_fromkeys
    return table


_FROMKEYS = Module("dict.fromkeys")

BUILTINS: frozendict[str, Any] = frozendict(
    {
        **{getattr(f, "__name__", ""): f for f, _ in _CALLS if getattr(f, "__module__", None) == "builtins" or f in (slice,)},
        **{name: getattr(builtins, name) for name in _EXCEPTIONS.split()},
        "object": object,
        "bytes": bytes,
        "Ellipsis": ...,
        "NotImplemented": NotImplemented,
    }
)


def member(module: str, name: str) -> Any:
    """A member of a module, or None where a config file may not have it."""
    found = _TABLE.get((module, name))
    return found if found is not None else _FROMKEYS if (module, name) == ("dict", "fromkeys") else None
