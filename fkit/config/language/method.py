"""Methods of strings, lists, tuples, sets and dicts that config files may call, each bounded."""

import functools
import re
from collections.abc import Callable
from string import Formatter
from typing import Any

from frozendict import frozendict

from fkit.config.language.operate import key, weigh
from fkit.config.language.value import Draft, Linked

__all__ = ["method_of", "methods"]

_PLAIN_TEXT = (
    "capitalize casefold count encode endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
    "isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex "
    "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper"
)
_WIDE_TEXT = "center expandtabs ljust rjust zfill"
_PLAIN_BYTES = "decode hex startswith endswith"
_PLAIN_NUMBER = "bit_length conjugate is_integer as_integer_ratio hex"
_PLAIN_SET = "difference intersection isdisjoint issubset issuperset symmetric_difference union copy"
_CHANGING_SET = "add clear discard pop remove update difference_update intersection_update symmetric_difference_update"
_WIDTH = re.compile(r"\d+")


def _plain(kind: Any, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def apply(lib: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        weigh(value, lib.budget)
        for arg in args:
            weigh(arg, lib.budget)
        return function(value, *args, **kwargs)

    return apply


def _wide(name: str) -> Callable[..., Any]:
    function = getattr(str, name)

    def apply(lib: Any, value: str, *args: Any, **kwargs: Any) -> str:
        for arg in (*args, *kwargs.values()):
            lib.budget.width(abs(arg) if isinstance(arg, int) else 0)
        if name == "expandtabs":
            lib.budget.width(value.count("\t") * (args[0] if args else 8))
        return function(value, *args, **kwargs)

    return apply


def _join(lib: Any, value: str, items: Any) -> str:
    from fkit.config.language.pure import listed

    parts = listed(items, lib.budget)
    lib.budget.text(sum(len(p) for p in parts if isinstance(p, str)) + len(value) * len(parts))
    return value.join(parts)


def _replace(lib: Any, value: str, old: str, new: str, *count: Any) -> str:
    found = len(value) + 1 if not old else value.count(old)
    lib.budget.text(len(value) + found * len(new))
    return value.replace(old, new, *count)


class _Safe(Formatter):
    """``str.format`` without attributes; items of mappings and lists are looked up."""

    def __init__(self, lib: Any) -> None:
        self.lib = lib

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if "." in field_name.split("[", 1)[0] or "]." in field_name:
            raise ValueError(f"a format field of a config reads no attributes: {field_name!r}")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        for width in _WIDTH.findall(format_spec):
            self.lib.budget.width(int(width) if len(width) < 9 else 10**9)
        weigh(value, self.lib.budget)
        made = format(value, format_spec)
        self.lib.budget.text(len(made))
        return made

    def convert_field(self, value: Any, conversion: Any) -> Any:
        weigh(value, self.lib.budget)
        return super().convert_field(value, conversion)


def _format(lib: Any, value: str, *args: Any, **kwargs: Any) -> str:
    lib.budget.text(len(value))
    return _Safe(lib).vformat(value, args, kwargs)


def _format_map(lib: Any, value: str, mapping: Any) -> str:
    return _Safe(lib).vformat(value, (), mapping)


def _sort(lib: Any, value: list[Any], *, key: Any = None, reverse: Any = False) -> None:
    weigh(value, lib.budget)
    order = None if key is None else functools.partial(lib.call, key)
    value.sort(key=order, reverse=reverse)


def _extend(lib: Any, value: list[Any], items: Any) -> None:
    from fkit.config.language.pure import listed

    value.extend(listed(items, lib.budget))


def _light(kind: Any, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def apply(lib: Any, value: Any, *args: Any) -> Any:
        lib.budget.spend(1)
        return function(value, *args)

    return apply


def _sized(kind: Any, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def apply(lib: Any, value: Any, *args: Any) -> Any:
        lib.budget.spend(1 + len(value))
        return function(value, *args)

    return apply


def _keyed(name: str) -> Callable[..., Any]:
    function = _plain(set, name)

    def apply(lib: Any, value: Any, *args: Any) -> Any:
        for arg in args:
            for item in arg if isinstance(arg, (list, tuple, set, frozenset)) else (arg,):
                key(item, lib.budget)
        return function(lib, value, *args)

    return apply


def _dict_get(lib: Any, value: Draft, name: Any, default: Any = None) -> Any:
    return value.get(key(name, lib.budget), default)


def _dict_pop(lib: Any, value: Draft, name: Any, *default: Any) -> Any:
    key(name, lib.budget)
    value.marks.pop(name, None)
    if isinstance(value, Linked) and not default:  # as mmengine's ConfigDict, which answers None
        return value.pop(name, None)
    return value.pop(name, *default)


def _dict_setdefault(lib: Any, value: Draft, name: Any, default: Any = None) -> Any:
    if key(name, lib.budget) not in value:
        weigh(default, lib.budget)
        value.put(name, default, lib.mark)
    return value[name]


def _dict_update(lib: Any, value: Draft, *args: Any, **kwargs: Any) -> None:
    from fkit.config.language.pure import listed

    if len(args) > 1:
        raise TypeError(f"update expected at most 1 argument, got {len(args)}")
    for other in (*args, kwargs):
        if isinstance(value, Linked):
            weigh(other, lib.budget)
    for other in args:
        if isinstance(other, dict):
            lib.budget.spend(1 + len(other))
            value.take(other, lib.mark)
        else:
            value.take(Draft([(key(k, lib.budget), v) for k, v in listed(other, lib.budget)]), lib.mark)
    value.take(kwargs, lib.mark)


def _dict_clear(lib: Any, value: Draft) -> None:
    value.clear()
    value.marks.clear()


def _dict_popitem(lib: Any, value: Draft) -> Any:
    found = value.popitem()
    value.marks.pop(found[0], None)
    return found


def _dict_copy(lib: Any, value: Draft) -> Draft:
    lib.budget.spend(1 + len(value))
    return value.copied()


def _dict_items(lib: Any, value: Draft) -> Any:
    return list(value.items()) if isinstance(value, Linked) else value.items()


def _dict_values(lib: Any, value: Draft) -> Any:
    return list(value.values()) if isinstance(value, Linked) else value.values()


def _dict_keys(lib: Any, value: Draft) -> Any:
    return value.keys()


def _linked_merge(lib: Any, value: Any, other: Any) -> None:
    if not isinstance(value, Linked):
        raise AttributeError("'dict' object has no attribute 'merge'")
    lib.budget.spend(lib.budget.weigh(value) + lib.budget.weigh(other))
    value.merge(other, lib.mark)


def _linked_to_dict(lib: Any, value: Any) -> Any:
    if not isinstance(value, Linked):
        raise AttributeError("'dict' object has no attribute 'to_dict'")
    lib.budget.spend(lib.budget.weigh(value))
    return _plain_tree(value)


def _plain_tree(value: Any) -> Any:
    if isinstance(value, Draft):
        return Draft({k: _plain_tree(v) for k, v in value.items()}, dict(value.marks))
    if isinstance(value, (list, tuple)):
        return type(value)(_plain_tree(v) for v in value)
    return value


_DICT: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("get", _dict_get),
    ("pop", _dict_pop),
    ("setdefault", _dict_setdefault),
    ("update", _dict_update),
    ("clear", _dict_clear),
    ("popitem", _dict_popitem),
    ("copy", _dict_copy),
    ("items", _dict_items),
    ("values", _dict_values),
    ("keys", _dict_keys),
    ("merge", _linked_merge),
    ("to_dict", _linked_to_dict),
)

_TABLE: frozendict[tuple[str, str], Callable[..., Any]] = frozendict(
    {
        **{("str", name): _plain(str, name) for name in _PLAIN_TEXT.split()},
        **{("str", name): _wide(name) for name in _WIDE_TEXT.split()},
        ("str", "join"): _join,
        ("str", "replace"): _replace,
        ("str", "format"): _format,
        ("str", "format_map"): _format_map,
        **{("bytes", name): _plain(bytes, name) for name in _PLAIN_BYTES.split()},
        **{("int", name): _plain(int, name) for name in _PLAIN_NUMBER.split() if hasattr(int, name)},
        **{("float", name): _plain(float, name) for name in _PLAIN_NUMBER.split() if hasattr(float, name)},
        **{("list", name): _light(list, name) for name in ("append", "pop", "clear")},
        **{("list", name): _sized(list, name) for name in ("insert", "reverse", "copy")},
        **{("list", name): _plain(list, name) for name in ("count", "index", "remove")},
        ("list", "extend"): _extend,
        ("list", "sort"): _sort,
        **{("tuple", name): _plain(tuple, name) for name in ("count", "index")},
        **{("frozenset", name): _plain(frozenset, name) for name in _PLAIN_SET.split()},
        **{("set", name): _keyed(name) for name in (*_PLAIN_SET.split(), *_CHANGING_SET.split())},
        **{("dict", name): function for name, function in _DICT},
    }
)


def method_of(kind: str, name: str) -> Callable[..., Any]:
    """The function of a method: it takes the library, the value, and the arguments."""
    return _TABLE[kind, name]


def methods(value: Any, name: str) -> Callable[..., Any] | None:
    """The function of a value's method, or None where a config file may not call it."""
    kind: Any = type(value)
    if isinstance(value, Draft):
        return _TABLE.get(("dict", name))
    return _TABLE.get((kind.__name__, name)) if kind in _KINDS else None


_KINDS = frozenset((str, bytes, int, float, list, tuple, set, frozenset))
