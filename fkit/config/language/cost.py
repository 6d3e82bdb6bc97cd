"""What a call of the table costs, by its arguments, before it is made: a handful of rules for all of them.

A rule takes the budget and the arguments, and gives steps. What a rule finds too large raises already here.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from fkit.config.language.budget import Budget, check_bits, extent

__all__ = ["Cost", "length", "lookup", "none", "percent", "power", "product", "shift", "size", "width"]

Cost = Callable[[Budget, Sequence[Any]], int]
_HASHED = (dict, set, frozenset, type({}.keys()))
# a conversion of `'%5.2f' % x`: the width and the precision, a star where they are arguments
_CONVERSION = re.compile(r"%%|%(?:\([^()]*\))?[-+ #0]*(\*|\d*)(?:\.(\*|\d*))?")
_DEEP_KEY = re.compile(r"%\([^)]*\(")
_NUMBER = re.compile(r"\d+")


def none(budget: Budget, args: Sequence[Any]) -> int:
    """For what takes no longer with larger arguments, and makes nothing."""
    return 1


def size(budget: Budget, args: Sequence[Any]) -> int:
    """For what copies the arguments, or moves their items."""
    return 1 + sum(map(extent, args))


def length(budget: Budget, args: Sequence[Any]) -> int:
    """For what goes through the arguments, down to the last item."""
    return 1 + sum(len(arg) if isinstance(arg, str) else budget.weigh(arg) for arg in args)


def product(budget: Budget, args: Sequence[Any]) -> int:
    """For what repeats an argument: so often as a number says, or for each item of another."""
    if all(isinstance(arg, (int, float)) for arg in args):
        return size(budget, args)
    steps = 1
    for arg in args:
        extent(arg)
        steps *= max(1, abs(arg)) if isinstance(arg, int) else budget.weigh(arg)
    return steps


def power(budget: Budget, args: Sequence[Any]) -> int:
    """For what raises the first to the last, or multiplies so many numbers: no more bits than an integer may have."""
    base, exponent = args[0], args[-1]
    if isinstance(base, int) and isinstance(exponent, int):
        check_bits((base.bit_length() - 1) * abs(exponent))  # half of what it may be, and the result is looked at too
    return size(budget, args)


def shift(budget: Budget, args: Sequence[Any]) -> int:
    """For what shifts the first by the second."""
    if all(isinstance(arg, int) for arg in args):
        check_bits(args[0].bit_length() + args[1])
    return size(budget, args)


def width(budget: Budget, args: Sequence[Any]) -> int:
    """For ``format(value, form)``: the width and the precision that the form asks for."""
    form = args[1] if len(args) == 2 and isinstance(args[1], str) else ""
    return length(budget, args) + sum(map(int, _NUMBER.findall(form)))


def percent(budget: Budget, args: Sequence[Any]) -> int:
    """For ``text % values``, the widths of its conversions; or the rest of a division.

    Raises:
        ValueError: a width that is an argument.
    """
    text, values = args
    if not isinstance(text, str):
        return size(budget, args)
    conversions: list[tuple[str, str]] = _CONVERSION.findall(text)
    if any("*" in pair for pair in conversions) or _DEEP_KEY.search(text):
        raise ValueError("a config formats by widths and keys that stand in the text, without * and parentheses")
    # a tuple gives each conversion its own value, a mapping may give one value to all of them
    times = len(conversions) if isinstance(values, dict) else 1
    return length(budget, args) * (1 + times) + sum(int(number) for pair in conversions for number in pair if number)


def lookup(budget: Budget, args: Sequence[Any]) -> int:
    """For what looks for the first in the second: by its hash, or through all items."""
    value, among = args
    if isinstance(among, _HASHED):
        budget.key(value)
        return 1
    return 1 if isinstance(among, range) and isinstance(value, int) else length(budget, args)
