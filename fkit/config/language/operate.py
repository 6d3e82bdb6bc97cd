"""Operators on config values, each with a look at what its result will weigh before it is made."""

import re
from collections.abc import Callable
from operator import (
    add,
    and_,
    floordiv,
    ge,
    gt,
    invert,
    le,
    lshift,
    lt,
    matmul,
    mod,
    neg,
    not_,
    or_,
    pos,
    rshift,
    sub,
    truediv,
    xor,
)
from typing import Any

from frozendict import frozendict

from fkit.config.language.budget import Budget
from fkit.config.language.value import Draft

__all__ = ["UNARY", "binary", "compare", "inplace", "key"]

_SEQUENCES = (str, bytes, list, tuple)
_CONTAINERS = (dict, list, tuple, set, frozenset)
_WIDTH = re.compile(r"\d+")

UNARY: frozendict[str, Callable[[Any], Any]] = frozendict(USub=neg, UAdd=pos, Not=not_, Invert=invert)


def key(value: Any, budget: Budget) -> Any:
    """A value about to be hashed: a tuple of tuples of tuples takes as long as it is when written out."""
    return budget.key(value)


def weigh(value: Any, budget: Budget) -> None:
    """Take the steps for walking through a value, as comparing and printing do."""
    if isinstance(value, _CONTAINERS):
        budget.spend(budget.weigh(value))
    elif isinstance(value, (str, bytes)):
        budget.text(len(value))
    elif isinstance(value, int):
        budget.divide(value.bit_length(), value.bit_length())


def _size(value: Any) -> int:
    return len(value) >> 3 if isinstance(value, (str, bytes)) else len(value)


def _add(a: Any, b: Any, budget: Budget) -> Any:
    both: Any = (a, b)
    if all(isinstance(part, _SEQUENCES) for part in both):
        budget.spend(1 + _size(a) + _size(b))
    return add(a, b)


def _multiply(a: Any, b: Any, budget: Budget) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        budget.bits(a.bit_length() + b.bit_length())
    elif isinstance(a, int) and isinstance(b, _SEQUENCES):
        budget.spend(1 + max(a, 0) * (1 + _size(b)))
    elif isinstance(b, int) and isinstance(a, _SEQUENCES):
        budget.spend(1 + max(b, 0) * (1 + _size(a)))
    left: Any = a
    return left * b


def _power(a: Any, b: Any, budget: Budget) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        budget.bits(a.bit_length() * max(b, 0))
    return a**b


def _shift(a: Any, b: Any, budget: Budget) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        budget.bits(a.bit_length() + max(b, 0))
    return lshift(a, b)


def _modulo(a: Any, b: Any, budget: Budget) -> Any:
    if isinstance(a, (str, bytes)):
        text = a if isinstance(a, str) else a.decode("latin-1")
        for width in _WIDTH.findall(text):
            budget.width(int(width) if len(width) < 9 else 10**9)
        if "*" in text:
            for item in b if isinstance(b, tuple) else (b,):
                budget.width(abs(item) if isinstance(item, int) else 0)
        weigh(b, budget)
        budget.text(len(a))
    return mod(a, b)


def _either(a: Any, b: Any, budget: Budget) -> Any:
    if isinstance(a, Draft) and isinstance(b, dict):
        weigh(b, budget)
        made = a.copied()
        made.take(b, None)
        return made
    if isinstance(a, _CONTAINERS) and isinstance(b, _CONTAINERS):
        budget.spend(len(a) + len(b))
    return or_(a, b)


def _plain(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Budget], Any]:
    def apply(a: Any, b: Any, budget: Budget) -> Any:
        if isinstance(a, int) and isinstance(b, int):
            budget.divide(a.bit_length(), b.bit_length())
        elif isinstance(a, (set, frozenset)):
            budget.spend(len(a))
        return function(a, b)

    return apply


_BINARY: frozendict[str, Callable[[Any, Any, Budget], Any]] = frozendict(
    Add=_add,
    Sub=_plain(sub),
    Mult=_multiply,
    Div=_plain(truediv),
    FloorDiv=_plain(floordiv),
    Mod=_modulo,
    Pow=_power,
    LShift=_shift,
    RShift=_plain(rshift),
    BitOr=_either,
    BitXor=_plain(xor),
    BitAnd=_plain(and_),
    MatMult=_plain(matmul),
)


def binary(name: str, a: Any, b: Any, budget: Budget) -> Any:
    """``a OP b``, with the operator by the name of its AST node."""
    budget.spend(1)
    return _BINARY[name](a, b, budget)


def inplace(name: str, a: Any, b: Any, budget: Budget) -> Any:
    """``a OP= b``: lists, sets and dicts change in place, as in Python."""
    if name == "Add" and isinstance(a, list):
        listed: list[Any] = list(b)
        budget.spend(1 + len(listed))
        a += listed
        return a
    if name == "BitOr" and isinstance(a, Draft):
        weigh(b, budget)
        a.take(b, None)
        return a
    if name in ("BitOr", "BitAnd", "Sub", "BitXor") and isinstance(a, set) and isinstance(b, (set, frozenset)):
        made = binary(name, a, b, budget)
        a.clear()
        a.update(made)
        return a
    if name == "Mult" and isinstance(a, list):
        a[:] = binary(name, a, b, budget)
        return a
    return binary(name, a, b, budget)


def _inside(a: Any, b: Any, budget: Budget) -> bool:
    if isinstance(b, (dict, set, frozenset)):
        return key(a, budget) in b
    weigh(b, budget)
    return a in b


def compare(name: str, a: Any, b: Any, budget: Budget) -> Any:
    """``a OP b`` for a comparison, by the name of its AST node."""
    if name == "Is":
        return a is b
    if name == "IsNot":
        return a is not b
    if name == "In":
        return _inside(a, b, budget)
    if name == "NotIn":
        return not _inside(a, b, budget)
    if isinstance(a, _CONTAINERS) and isinstance(b, _CONTAINERS):
        weigh(a, budget)
        weigh(b, budget)
    if name == "Eq":
        return a == b
    if name == "NotEq":
        return a != b
    return _ORDER[name](a, b)


_ORDER: frozendict[str, Callable[[Any, Any], Any]] = frozendict(Lt=lt, LtE=le, Gt=gt, GtE=ge)
