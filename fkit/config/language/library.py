"""What the table calls where Python's own function will not do: functions that call what the file defined, keep the
marks of keys, or hash what a file chose. Each takes the state of the evaluation and the arguments.
"""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from string import Formatter
from typing import Any

from fkit.config.language.budget import listed
from fkit.config.language.cost import Cost, length, lookup, none, size
from fkit.config.language.imported import Module
from fkit.config.language.scope import State
from fkit.config.language.value import Draft, Linked, link
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitKeyError

__all__ = ["CONFIG_DICT", "LIBRARY", "OPERATORS", "variable"]

# making containers


def _dict(state: State, *args: Any, **keywords: Any) -> Draft:
    if len(args) > 1:
        raise TypeError(f"dict expected at most 1 argument, got {len(args)}")
    draft = Draft()
    for pairs in args:
        draft.take(_mapping(state, pairs), None)
    draft.take(keywords, None)
    return draft


def _mapping(state: State, pairs: Any) -> dict[Any, Any]:
    """A mapping, or the one of pairs."""
    if isinstance(pairs, dict):
        return pairs
    mapping: dict[Any, Any] = {}
    for key, value in listed(pairs, state.budget):
        mapping[state.budget.key(key)] = value
    return mapping


def _fromkeys(state: State, keys: Any, value: Any = None) -> Draft:
    return Draft(dict.fromkeys(map(state.budget.key, listed(keys, state.budget)), value))


def _hashed(kind: type[Any]) -> Callable[..., Any]:
    def apply(state: State, items: Any = ()) -> Any:
        return kind(map(state.budget.key, listed(items, state.budget)))

    return apply


def _walked(function: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    """A function that makes an iterator, gone through at once."""

    def apply(state: State, *args: Any, **keywords: Any) -> Iterator[Any]:
        return iter(listed(function(*args, **keywords), state.budget))

    return apply


def _iter(state: State, items: Any) -> Iterator[Any]:
    return iter(listed(items, state.budget))


def _copy(state: State, value: Any) -> Any:
    return value.copied() if isinstance(value, Draft) else value.copy() if isinstance(value, (list, set)) else value


def _deepcopy(state: State, value: Any) -> Any:
    """A deep copy that keeps the marks, and what is one object."""
    known: dict[int, Any] = {}

    def copied(item: Any) -> Any:
        if id(item) in known:
            return known[id(item)]
        if isinstance(item, Draft):
            known[id(item)] = draft = type(item)((), dict(item.marks))
            for key, below in item.items():
                draft[key] = copied(below)
            return draft
        if isinstance(item, list):
            known[id(item)] = parts = []
            parts.extend(map(copied, item))
            return parts
        if isinstance(item, tuple):
            return tuple(map(copied, item))
        return set(item) if isinstance(item, set) else item

    return copied(value)


# calling what the file defined


def _keys(state: State, key: Any, items: list[Any]) -> list[Any]:
    """The keys by which items are ordered, weighed as they will be compared."""
    keys = [state.call(key, item) for item in items]
    state.budget.spend(state.budget.weigh(keys))
    return keys


def _sorted(state: State, items: Any, /, *, key: Any = None, reverse: Any = False) -> list[Any]:
    ordered = listed(items, state.budget)
    if key is None:
        return sorted(ordered, reverse=reverse)
    keys = _keys(state, key, ordered)
    return [ordered[at] for at in sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse)]


def _sort(state: State, value: list[Any], /, *, key: Any = None, reverse: Any = False) -> None:
    value[:] = _sorted(state, value, key=key, reverse=reverse)


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    """``min`` or ``max``."""

    def apply(state: State, *args: Any, key: Any = None, **keywords: Any) -> Any:
        items = list(args) if len(args) > 1 else listed(*args, state.budget) if args else function()
        if key is None or not items:
            return function(items, **keywords)
        keys = _keys(state, key, items)
        return items[function(range(len(keys)), key=keys.__getitem__)]

    return apply


def _sum(state: State, items: Any, /, start: Any = 0) -> Any:
    if isinstance(start, str):
        raise TypeError("sum() can't sum strings [use ''.join(seq) instead]")
    return _fold(state, operator.add, items, start)


def _prod(state: State, items: Any, /, *, start: Any = 1) -> Any:
    return _fold(state, operator.mul, items, start)


def _fold(state: State, function: Callable[[Any, Any], Any], items: Any, total: Any) -> Any:
    """A sum or a product, each step of which costs what it makes."""
    for item in listed(items, state.budget):
        total = state.call(function, total, item)
    return total


def _map(state: State, function: Any, first: Any, *others: Any) -> Iterator[Any]:
    return iter([state.call(function, *items) for items in zip(first, *others, strict=False)])


def _filter(state: State, function: Any, items: Any) -> Iterator[Any]:
    return iter([x for x in listed(items, state.budget) if (x if function is None else state.call(function, x))])


# asking


def _type(state: State, value: Any) -> Any:
    return dict if isinstance(value, Draft) else type(value)


def _print(state: State, *args: Any, **keywords: Any) -> None:
    """Reading a file writes nothing."""


def _round(state: State, number: Any, digits: Any = None) -> Any:
    # no number has more digits than that before its point, and from there on all is 0
    return round(number, max(digits, -10_000) if isinstance(digits, int) else digits)


def _inside(state: State, value: Any, among: Any) -> bool:
    return value in os.environ if among == Module("os.environ") else value in among


def _outside(state: State, value: Any, among: Any) -> bool:
    return not _inside(state, value, among)


def _getenv(state: State, name: Any, default: Any = None) -> Any:
    """An environment variable, remembered as one that the file read."""
    value = os.environ.get(name)
    if value is None:
        return default
    state.environment[name] = value
    return value


def variable(state: State, variables: Any, name: Any) -> Any:
    """``os.environ[name]``."""
    value = _getenv(state, name, ABSENT)
    if value is ABSENT:
        repair = f"Set it, or write os.environ.get({name!r}, default)."
        raise FkitKeyError(f"The environment variable {name} is not set.", repair=repair)
    return value


# formatting


class _Fields(Formatter):
    """``str.format`` without attributes; each field is a call of ``format``."""

    def __init__(self, state: State) -> None:
        self.state = state

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if "." in field_name.split("[", 1)[0] or "]." in field_name:
            raise ValueError(f"a format field of a config reads no attributes: {field_name!r}")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        return self.state.call(format, value, format_spec)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value if conversion is None else self.state.call({"s": str, "r": repr, "a": ascii}[conversion], value)


def _format(state: State, value: str, *args: Any, **keywords: Any) -> str:
    return _Fields(state).vformat(value, args, keywords)


# methods of dicts and sets


def _get(state: State, value: Draft, key: Any, default: Any = None) -> Any:
    return dict.get(value, state.budget.key(key), default)


def _pop(state: State, value: Draft, key: Any, *default: Any) -> Any:
    value.marks.pop(state.budget.key(key), None)
    if isinstance(value, Linked) and not default:  # as mmengine's ConfigDict, which answers None
        default = (None,)
    return value.pop(key, *default)


def _setdefault(state: State, value: Draft, key: Any, default: Any = None) -> Any:
    if state.budget.key(key) not in value:
        value.put(key, default, state.mark(state.line))
    return value[key]


def _update(state: State, value: Draft, *args: Any, **keywords: Any) -> None:
    if len(args) > 1:
        raise TypeError(f"update expected at most 1 argument, got {len(args)}")
    for other in (*(_mapping(state, pairs) for pairs in args), keywords):
        value.take(other, state.mark(state.line))


def _union(state: State, value: Any, other: Any) -> Any:
    if not isinstance(value, Draft) or not isinstance(other, dict):
        return value | other
    draft = value.copied()
    draft.take(other, None)
    return draft


def _clear(state: State, value: Draft) -> None:
    value.clear()
    value.marks.clear()


def _merge(state: State, value: Linked, other: Any) -> None:
    value.merge(other, state.mark(state.line))


def _to_dict(state: State, value: Any) -> Any:
    return link(value, Draft)


def _hashing(name: str) -> Callable[..., Any]:
    """A method of sets; an element that it takes is hashed, and so are the items of what it goes through."""
    function = getattr(set, name)
    takes_element = name in ("add", "discard", "remove")

    def apply(state: State, value: set[Any], *others: Any) -> Any:
        key = state.budget.key
        return function(
            value, *(key(other) if takes_element else list(map(key, listed(other, state.budget))) for other in others)
        )

    return apply


LIBRARY: tuple[tuple[str, Cost, Callable[..., Any]], ...] = (
    ("dict", length, _dict),
    ("collections.OrderedDict", length, _dict),
    ("dict.fromkeys", length, _fromkeys),
    ("set", length, _hashed(set)),
    ("frozenset", length, _hashed(frozenset)),
    ("iter", length, _iter),
    ("zip", length, _walked(zip)),
    ("enumerate", length, _walked(enumerate)),
    ("reversed", length, _walked(reversed)),
    ("map", length, _map),
    ("filter", length, _filter),
    ("sorted", length, _sorted),
    ("list.sort", length, _sort),
    ("min", length, _extreme(min)),
    ("max", length, _extreme(max)),
    ("sum", length, _sum),
    ("math.prod", length, _prod),
    ("copy.copy", size, _copy),
    ("copy.deepcopy", length, _deepcopy),
    ("type", none, _type),
    ("print", none, _print),
    ("round", size, _round),
    ("os.getenv", size, _getenv),
    ("os.environ.get", size, _getenv),
    ("str.format", length, _format),
    ("dict.get", none, _get),
    ("dict.pop", none, _pop),
    ("dict.setdefault", length, _setdefault),
    ("dict.update", length, _update),
    ("dict.clear", none, _clear),
    ("dict.copy", size, _copy),
    *((f"set.{name}", none, _hashing(name)) for name in ("add", "discard", "remove")),
    *(
        (f"set.{name}", length, _hashing(name))
        for name in ("difference", "intersection", "issubset", "issuperset", "union")
    ),
    *((f"set.{name}", length, _hashing(name)) for name in ("isdisjoint", "symmetric_difference", "update")),
)
"""Name, cost and function of what is the evaluator's own."""

CONFIG_DICT: tuple[tuple[str, Callable[..., Any]], ...] = (("merge", _merge), ("to_dict", _to_dict))
"""Methods of what comes from a base, beside those of a dict."""

OPERATORS: tuple[tuple[str, Cost, Callable[..., Any]], ...] = (
    ("BitOr", length, _union),
    ("In", lookup, _inside),
    ("NotIn", lookup, _outside),
)
"""The same of operators, by the classes of their AST nodes."""
