"""The pure parts of the standard library that config files may use, each bounded."""

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
from typing import Any

from frozendict import frozendict

from fkit.config.language.imported import Module
from fkit.config.language.operate import weigh
from fkit.config.language.pure import Library, Partial, bounded, listed, make_dict, scalar, walk
from fkit.config.language.value import Draft

__all__ = ["FROMKEYS", "STANDARD", "member"]


def _products(function: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    def apply(lib: Library, *args: Any, **kwargs: Any) -> Iterator[Any]:
        args = tuple(listed(arg, lib.budget) if not isinstance(arg, int) else arg for arg in args)
        if kwargs.get("repeat", 1) > 64:
            lib.budget.spend(lib.budget.left + 1)
        found: list[Any] = []
        for item in function(*args, **kwargs):
            lib.budget.spend(1 + len(item))
            found.append(item)
        return iter(found)

    return apply


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
            parts.extend(copied(below) for below in item)
            return parts
        if isinstance(item, tuple):
            return tuple(copied(below) for below in item)
        return set(item) if isinstance(item, set) else item

    return copied(value)


def _copy(lib: Library, value: Any) -> Any:
    if isinstance(value, Draft):
        return value.copied()
    return listed(value, lib.budget) if isinstance(value, list) else set(value) if isinstance(value, set) else value


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
    return bounded(itertools.accumulate(listed(items, lib.budget), call, initial=initial), lib)


def _getenv(lib: Library, name: str, default: Any = None) -> Any:
    return os.environ.get(name, default)


def _counter(lib: Library, items: Any = ()) -> Draft:
    found = listed(items, lib.budget)
    weigh(found, lib.budget)
    return Draft(collections.Counter(found))


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
    *(
        ("math", name, getattr(math, name))
        for name in (*_MATH.split(), *["e", "pi", "tau", "inf", "nan", "comb", "factorial", "perm", "prod"])
        if hasattr(math, name)
    ),
    *(
        (module, name, getattr(os.path, name))
        for module in ("os.path", "posixpath")
        for name in (*_PATH.split(), "sep")
    ),
    *(("operator", name, getattr(operator, name)) for name in _OPERATOR.split()),
    *(
        ("itertools", name, getattr(itertools, name))
        for name in [
            "chain",
            "zip_longest",
            "islice",
            "pairwise",
            "product",
            "combinations",
            "permutations",
            "repeat",
            "accumulate",
        ]
    ),
    *(("functools", name, getattr(functools, name)) for name in ("partial", "reduce")),
    *(("collections", name, getattr(collections, name)) for name in ("OrderedDict", "Counter")),
    *(
        ("string", name, getattr(string, name))
        for name in ["ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "punctuation"]
    ),
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

STANDARD: tuple[tuple[Any, Callable[..., Any]], ...] = (
    *((function, scalar(function)) for function in _PURE),
    (collections.OrderedDict, make_dict),
    (collections.Counter, _counter),
    (copy.deepcopy, _deepcopy),
    (copy.copy, _copy),
    (functools.reduce, _reduce),
    (functools.partial, _partial),
    (itertools.chain, walk(itertools.chain)),
    (itertools.zip_longest, walk(itertools.zip_longest)),
    (itertools.islice, walk(itertools.islice)),
    (itertools.pairwise, walk(itertools.pairwise)),
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

FROMKEYS = Module("dict.fromkeys")


def member(module: str, name: str) -> Any:
    """A member of a module, or None where a config file may not have it."""
    found = _TABLE.get((module, name))
    return found if found is not None else FROMKEYS if (module, name) == ("dict", "fromkeys") else None
