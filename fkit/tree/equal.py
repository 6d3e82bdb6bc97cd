"""When two config values are equal, and the hash that goes with it.

Types count (1, 1.0 and True differ, a list is no tuple), the order of a mapping's keys does not, nan equals nan, and
0.0 is not -0.0: exactly where the sorted canonical texts are equal. Where a value is compared with one that is not
of a config, the hash is Python's own wherever Python has one for equal values.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from typing import Any

from fkit.tree.absent import ABSENT

__all__ = ["hashed", "same", "token"]

_PLAIN = frozenset((str, int, bool, type(None), bytes))


def same(a: Any, b: Any) -> bool:
    """Whether two trees are equal as config values.

    Example:
        >>> same({"a": 1}, {"a": 1}), same(1, 1.0), same(float("nan"), float("nan")), same([1], (1,))
        (True, False, True, False)
        >>> same({-1: 0}, {-2: 0}), same({1}, {True})
        (False, False)
    """
    if a is b:
        return True
    kind = type(a)
    if kind in _PLAIN:
        return type(b) is kind and a == b
    if isinstance(a, dict):
        return _same_mapping(a, b)
    if isinstance(a, (list, tuple)):
        sequence = list if isinstance(a, list) else tuple
        return isinstance(b, sequence) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return isinstance(b, float) and float.__repr__(a) == float.__repr__(b)
    if isinstance(a, (set, frozenset)):
        return isinstance(b, (set, frozenset)) and len(a) == len(b) and token(a) == token(b)
    if isinstance(a, Mapping):
        return _same_mapping(dict(a), b)
    if type(b) is not kind:
        return False
    try:
        return bool(a == b)
    except (ValueError, RuntimeError, TypeError):  # an array has no single truth
        return False


def _same_mapping(a: dict[Any, Any], b: Any) -> bool:
    if not isinstance(b, dict):
        if not isinstance(b, Mapping):
            return False
        b = dict(b)
    if len(a) != len(b):
        return False
    for key, value in a.items():
        if type(key) is not str:  # 1 and True are one key to a dict, and nan is none
            return token(a) == token(b)
        other = dict.get(b, key, ABSENT)
        if other is not value and (other is ABSENT or not same(value, other)):
            return False
    return True


def token(value: Any) -> Hashable:
    """What Python compares as `same` compares the value: equal exactly where the values are the same.

    Example:
        >>> token(1) == token(True), token([1, {2: 0.0}]) == token([1, {2: -0.0}]), token({"b": 1}) == token({"b": 1})
        (False, False, True)
    """
    kind = type(value)
    if kind is str or value is None:
        return value
    if isinstance(value, Enum):
        return (kind, value)
    if isinstance(value, float):
        return (float, float.__repr__(value))
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple, *map(token, value))
    if isinstance(value, (set, frozenset)):
        return (set, _counted(map(token, value)))
    if isinstance(value, Mapping):
        return (dict, _counted((token(key), token(item)) for key, item in value.items()))
    try:
        hash(value)
    except TypeError:  # no value of a config: it is equal to itself
        return (kind, id(value))
    return (kind, value)


def _counted(items: Iterable[Hashable]) -> Hashable:
    return frozenset(Counter(items).items())  # a set may hold nan twice


def hashed(value: Any) -> Hashable:
    """What Python hashes for a value: the value itself wherever its own hash goes with `same`.

    Example:
        >>> hashed((1, "a")), hashed([1, [float("nan")]])
        ((1, 'a'), (<class 'list'>, 1, (<class 'list'>, 'nan')))
    """
    if isinstance(value, float):
        return value if value == value else "nan"
    if isinstance(value, tuple):
        return tuple(map(hashed, value))
    if isinstance(value, frozenset):
        return frozenset(map(hashed, value))
    if type(value).__hash__ is not None:
        return value
    if isinstance(value, list):
        return (list, *map(hashed, value))
    if isinstance(value, set):
        return frozenset(map(hashed, value))
    if isinstance(value, Mapping):
        return frozenset((hashed(key), hashed(item)) for key, item in value.items())
    return type(value)
