"""Attributes and items of the values that a config file works on: read, set and deleted."""

import ast
from typing import Any

from fkit.config.language.budget import listed
from fkit.config.language.imported import Imported, Module
from fkit.config.language.library import variable
from fkit.config.language.scope import Bound, State, refuse
from fkit.config.language.table import TABLE, member, method, operate
from fkit.config.language.value import Draft, Linked
from fkit.tree.absent import ABSENT

__all__ = ["attribute", "drop_item", "get_item", "is_globals", "put_attribute", "put_item", "put_name"]

_CLASSES = (dict, list, tuple, set, str)
_SEQUENCES = (list, tuple, str, bytes, range)


def attribute(state: State, value: Any, name: str) -> Any:
    """``value.name``: a method, a key of a base, a member of a module, or a name below an imported one.

    Raises:
        AttributeError: there is none.
    """
    if name.startswith("__"):
        refuse(f"The attribute {name!r} is not available to a config.", state.place)
    entry = method(type(value), name)
    if entry is not None:
        return Bound(entry, value)
    if isinstance(value, Linked):
        if name in value:
            return value[name]
    elif isinstance(value, Imported):
        return value.attribute(name)
    elif isinstance(value, Module):
        entry = member(value.name, name)
        # what a config may not use can be imported all the same; the use is what is refused
        return Module(f"{value.name}.{name}") if entry is ABSENT else entry
    elif isinstance(value, type):
        entry = TABLE.get(f"{value.__name__}.{name}")
        if entry is not None and value in _CLASSES:
            return entry.value
    raise AttributeError(f"{type(value).__name__!r} object has no attribute {name!r}")


def get_item(state: State, value: Any, index: Any) -> Any:
    """``value[index]``."""
    if isinstance(index, slice) and not isinstance(value, dict):
        return operate(state, ast.Slice, value, index)
    state.budget.spend(1)
    if isinstance(value, dict):
        return value[state.budget.key(index)]
    if isinstance(value, _SEQUENCES):
        return value[index]
    if value == Module("os.environ"):
        return variable(state, value, index)
    if isinstance(value, type) and value in _CLASSES and hasattr(value, "__class_getitem__"):
        return value  # an annotation: list[int]
    raise TypeError(f"{type(value).__name__!r} object is not subscriptable")


def put_item(state: State, holder: Any, index: Any, value: Any) -> None:
    """``holder[index] = value``."""
    state.budget.spend(1)
    if isinstance(holder, Draft):
        if isinstance(holder, Linked):
            state.budget.spend(state.budget.weigh(value))  # it is copied
        holder.put(state.budget.key(index), value, state.mark(state.line))
    elif not isinstance(holder, list):
        raise TypeError(f"{type(holder).__name__!r} object does not support item assignment")
    elif isinstance(index, slice):
        state.budget.spend(len(holder) >> 3)
        holder[index] = listed(value, state.budget)
    else:
        holder[index] = value


def put_attribute(state: State, holder: Any, name: str, value: Any) -> None:
    """``holder.name = value``, of what comes from a base."""
    if not isinstance(holder, Linked) or name.startswith("__"):
        kind = type(holder).__name__
        raise AttributeError(f"{kind!r} object has no attribute {name!r}: only what comes from a base takes attributes")
    put_item(state, holder, name, value)


def drop_item(state: State, holder: Any, index: Any) -> None:
    """``del holder[index]``."""
    if isinstance(holder, Draft):
        del holder[state.budget.key(index)]
        holder.marks.pop(index, None)
    elif isinstance(holder, list):
        state.budget.spend(1 + (len(holder) >> 3))
        del holder[index]
    else:
        raise TypeError(f"{type(holder).__name__!r} object doesn't support item deletion")


def is_globals(node: ast.expr) -> bool:
    """Whether an expression is ``globals()``."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "globals" and not node.args
    )


def put_name(state: State, name: Any, value: Any) -> None:
    """``globals()["a-b"] = value``: how a file sets a key that Python cannot spell as a name."""
    if not isinstance(name, str):
        raise TypeError("a name of a file is a string")
    frame = state.frame
    while not isinstance(frame.names, Draft) and frame.outer is not None:  # the module's names are a draft
        frame = frame.outer
    frame.put(name, value, state.mark(state.line))
