"""The one table of what a config file may call: functions, methods and operators, each with its cost.

``apply`` is the one place where they are called: it takes the steps of the cost before, and those of the result after.
"""

import ast
import builtins
import collections
import copy
import math
import operator
import os
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frozendict import frozendict

from fkit.config.language.budget import extent
from fkit.config.language.cost import Cost, length, lookup, none, percent, power, product, shift, size, width
from fkit.config.language.imported import Imported, Module
from fkit.config.language.library import CONFIG_DICT, LIBRARY, OPERATORS
from fkit.config.language.scope import Bound, Closure, State, bind, refuse
from fkit.config.language.value import Draft, Linked
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitValueError

__all__ = ["BUILTINS", "TABLE", "Entry", "apply", "call", "member", "method", "operate"]

_DEPTH = 60  # of functions of the file that call each other
_ROOTS: frozendict[str, Any] = frozendict(math=math, os=os, copy=copy, collections=collections)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One thing that a config file may call.

    Args:
        name: its name; of an operator, that of its AST node.
        value: what the name stands for: Python's own function or class.
        cost: the steps of a call.
        function: what is called in its place.
        stateful: whether that takes the state of the evaluation first.
    """

    name: str
    value: Any
    cost: Cost
    function: Callable[..., Any]
    stateful: bool


# Python's own functions, as they are: what they belong to, the cost, the names
_PYTHON: tuple[tuple[str, Cost, str], ...] = (
    ("", none, "bool len next range"),
    ("", length, "abs all any ascii bin chr divmod float hex int isinstance list oct ord repr str tuple"),
    ("", power, "pow"),
    ("", width, "format"),
    (
        "math.",
        length,
        "acos asin atan atan2 ceil copysign cos cosh degrees exp expm1 fabs floor fmod fsum gcd hypot isclose isfinite isinf "
        "isnan isqrt ldexp log log10 log1p log2 pow radians sin sinh sqrt tan tanh trunc",
    ),
    ("math.", power, "comb factorial perm"),
    (
        "os.path.",
        length,
        "abspath basename commonpath commonprefix dirname expanduser isabs join normpath relpath split splitext",
    ),
    ("os.", length, "fspath"),
    (
        "str.",
        length,
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
        "isnumeric isprintable isspace istitle isupper lower partition removeprefix removesuffix split splitlines "
        "startswith swapcase title upper",
    ),
    # what searches from the right, or for any of some characters, may compare each with each
    (
        "str.",
        product,
        "center expandtabs join ljust lstrip replace rfind rindex rjust rpartition rsplit rstrip strip zfill",
    ),
    ("list.", none, "append"),
    ("list.", size, "clear copy extend insert pop reverse"),
    ("list.", length, "count index remove"),
    ("tuple.", length, "count index"),
    ("dict.", none, "items keys values"),
    ("set.", size, "clear copy pop"),
)

_OPERATORS: tuple[tuple[Cost, dict[str, Callable[..., Any]]], ...] = (
    (none, {"Is": operator.is_, "IsNot": operator.is_not, "Not": operator.not_}),
    (size, {"Add": operator.add, "Div": operator.truediv, "FloorDiv": operator.floordiv, "RShift": operator.rshift}),
    (size, {"USub": operator.neg, "UAdd": operator.pos, "Invert": operator.invert, "Slice": operator.getitem}),
    (length, {"Sub": operator.sub, "BitAnd": operator.and_, "BitXor": operator.xor}),
    (length, {"Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le}),
    (length, {"Gt": operator.gt, "GtE": operator.ge}),
    (product, {"Mult": operator.mul}),
    (power, {"Pow": operator.pow}),
    (shift, {"LShift": operator.lshift}),
    (percent, {"Mod": operator.mod}),
)


def _value(name: str) -> Any:
    """What a dotted name stands for."""
    first, *more = name.split(".")
    value = _ROOTS[first] if first in _ROOTS else getattr(builtins, first)
    for part in more:
        value = getattr(value, part)
    return value


TABLE: frozendict[str, Entry] = frozendict(
    {
        entry.name: entry
        for entry in (
            *(
                Entry(prefix + name, _value(prefix + name), cost, _value(prefix + name), False)
                for prefix, cost, names in _PYTHON
                for name in names.split()
            ),
            *(Entry(name, _value(name), cost, function, True) for name, cost, function in LIBRARY),
            *(Entry(f"ConfigDict.{name}", f, length, f, True) for name, f in CONFIG_DICT),
            *(Entry(name, f, cost, f, False) for cost, functions in _OPERATORS for name, f in functions.items()),
            *(Entry(name, function, cost, function, True) for name, cost, function in OPERATORS),
        )
    }
)
"""Name -> entry."""

_CALLED: frozendict[Any, Entry] = frozendict({entry.value: entry for entry in TABLE.values()})
_OPERATOR: types.MappingProxyType[Any, Entry] = types.MappingProxyType(
    {getattr(ast, name): entry for name, entry in TABLE.items() if name[0].isupper() and hasattr(ast, name)}
)
_KINDS: frozendict[str, tuple[type[Any], ...]] = frozendict(
    str=(str,), list=(list,), tuple=(tuple,), set=(set,), dict=(Draft, Linked), ConfigDict=(Linked,)
)
_METHODS: frozendict[tuple[type[Any], str], Entry] = frozendict(
    {
        (kind, name): entry
        for (owner, _, name), entry in ((key.partition("."), entry) for key, entry in TABLE.items())
        for kind in (_KINDS.get(owner, ()) if name != "fromkeys" else ())
    }
)
# values that are no functions
_PLAIN: frozendict[str, Any] = frozendict(
    {
        **{f"math.{name}": getattr(math, name) for name in ("e", "inf", "nan", "pi", "tau")},
        "os.path": Module("os.path"),
        "os.environ": Module("os.environ"),
        **{name: _value(name) for name in ("os.sep", "os.linesep", "os.path.sep")},
    }
)

BUILTINS: frozendict[str, Any] = frozendict(
    {
        **{name: entry.value for name, entry in TABLE.items() if hasattr(builtins, name)},
        **{name: getattr(builtins, name) for name in ("bytes", "object", "Ellipsis", "NotImplemented")},
        "__name__": "builtins",  # as mmengine runs a file: no module of its own, so what looks it up finds this one
    }
)
"""Names that are always there."""


def member(module: str, name: str) -> Any:
    """A member of a module of the standard library; ABSENT where a config file may not have it."""
    entry = TABLE.get(f"{module}.{name}") if module in _ROOTS or module.startswith("os.") else None
    return entry.value if entry is not None else _PLAIN.get(f"{module}.{name}", ABSENT)


def method(kind: type[Any], name: str) -> Entry | None:
    """The method of a class of values, or None where a config file may not call it."""
    return _METHODS.get((kind, name))


def operate(state: State, kind: type[ast.AST], *values: Any) -> Any:
    """The result of an operator, by the class of its AST node."""
    entry = _OPERATOR.get(kind)
    if entry is None:
        refuse(f"The operator {kind.__name__} is not part of a config that is data.", state.place)
    state.budget.spend(1)
    return apply(state, entry, values, {})


def apply(state: State, entry: Entry, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call what the table has. What a function goes through is paid before, and what it makes after.

    Raises:
        FkitValueError: the call, or its result, costs more than is left.
    """
    # an iterator was paid for when it was made, and is gone through now; of operators only by `in`
    reads = entry.cost is lookup or (entry.cost is not none and entry.name[0].islower())
    if reads and any(type(arg) is _ITERATOR for arg in args):
        args = tuple([list(arg) if type(arg) is _ITERATOR else arg for arg in args])
    state.budget.spend(entry.cost(state.budget, (*args, *keywords.values()) if keywords else args))
    try:
        value = entry.function(state, *args, **keywords) if entry.stateful else entry.function(*args, **keywords)
    except TypeError as error:
        if entry.stateful and error.__traceback__ is not None and error.__traceback__.tb_next is None:
            # Python's own words name the function that stands here for it
            raise TypeError(f"{entry.name}() does not take these arguments") from None
        raise
    if entry.cost is not none:
        state.budget.spend(extent(value))
    return value


_ITERATOR = type(iter([]))
_FUNCTIONS = (type, types.BuiltinFunctionType, types.FunctionType, types.MethodType, types.MethodDescriptorType)


def call(state: State, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call what a config file may call: a method, a function of its own, or one of the table.

    Raises:
        FkitValueError: something else, which only ``--trust`` runs.
        TypeError: what cannot be called.
    """
    if isinstance(function, Bound):
        return apply(state, function.entry, (function.value, *args), keywords)
    if isinstance(function, Closure):
        return _run(state, function, args, keywords)
    if isinstance(function, Imported):
        refuse(f"{function.name} is called, which is not imported while a config is read.", state.place)
    if isinstance(function, Module):
        refuse(f"{function.name} is not among the functions that a config may use.", state.place)
    entry = _CALLED.get(function) if isinstance(function, _FUNCTIONS) else None
    if entry is None:
        raise TypeError(f"{type(function).__name__!r} object is not callable")
    return apply(state, entry, args, keywords)


def _run(state: State, function: Closure, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if state.depth >= _DEPTH:
        raise FkitValueError(f"The functions of the config call each other more than {_DEPTH} levels deep.")
    outer = state.frame, state.file, state.line
    state.budget.spend(1 + len(args) + len(keywords) + len(function.defaults) + len(function.keyword_defaults))
    state.frame, state.file = bind(function, args, keywords), function.file
    state.depth += 1
    value = function.run(state, function.body)  # an error ends the evaluation, and is one of the place where it happens
    state.depth -= 1
    state.frame, state.file, state.line = outer
    return value
