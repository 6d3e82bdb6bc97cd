"""The values that a config file works on while it is read: mappings that change, and remember who set what.

``Draft`` is the file's own ``dict``; ``Linked`` is what came from a base, which OpenMMLab makes a ``ConfigDict``: it
answers to attributes, updates recursively and copies what is put in. ``settle`` freezes either.
"""

from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodDescriptorType
from typing import Any

from fkit.config.language.budget import Budget
from fkit.config.language.imported import Imported
from fkit.config.origin import Mark, over
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitError, FkitTypeError
from fkit.tree.node import Items, Node, marks_of

__all__ = ["Draft", "Linked", "link", "settle"]

_CONTAINERS = (dict, list, tuple, set, frozenset)
_LEAVES = frozenset((str, float, bool, type(None)))
_WORD = 2**63
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodDescriptorType)
_LASTING = (*_CONTAINERS, str, int, float, complex, bytes, range, type, type(None), type(...), *_FUNCTIONS, Imported)
_NAMES = MappingProxyType(
    {
        "Closure": "a function that the file defines",
        "Bound": "a method",
        "list_iterator": "an iterator",
        "Module": "a module",
    }
)


class Draft(dict[Any, Any]):
    """A dict of a config file, with the mark of each key."""

    __slots__ = ("marks",)
    marks: dict[Any, Any]

    def __init__(self, items: Any = (), marks: dict[Any, Any] | None = None) -> None:
        super().__init__(items)
        self.marks = {} if marks is None else marks

    def put(self, key: Any, value: Any, mark: Mark | None) -> None:
        """Set a key, as an item assignment does."""
        self[key] = value
        self.marks[key] = mark

    def take(self, other: Any, mark: Mark | None) -> None:
        """Set all keys of another mapping, as ``update`` and ``**`` do; they keep the marks they have."""
        known: dict[Any, Any] = getattr(other, "marks", {})
        for key, value in other.items():
            self.put(key, value, known.get(key) or mark)

    def copied(self) -> "Draft":
        """A shallow copy."""
        return type(self)(self, dict(self.marks))


class Linked(Draft):
    """A mapping of a base, with the manners of mmengine's ConfigDict."""

    __slots__ = ()

    def put(self, key: Any, value: Any, mark: Mark | None) -> None:
        """Set a key; the file's own dicts and all lists are copied on entry, what is of a base is shared."""
        old = self.get(key, ABSENT)
        self[key] = link(value, shared=Linked)
        if old is ABSENT or mark is None:
            self.marks[key] = mark
        else:
            leaf = None if isinstance(old, (dict, list)) else old
            self.marks[key] = over(mark, self.marks.get(key), leaf)

    def take(self, other: Any, mark: Mark | None) -> None:
        """Update recursively; ``_delete_`` is a key as any other here."""
        known: dict[Any, Any] = getattr(other, "marks", {})
        for key, value in list(other.items()):
            mine = self.get(key)
            if isinstance(mine, Linked) and isinstance(value, dict):
                mine.take(value, mark)
            else:
                self.put(key, value, known.get(key) or mark)

    def merge(self, other: Any, mark: Mark | None) -> None:
        """Merge as ``ConfigDict.merge`` does: ``_delete_`` at any depth clears what was there."""
        merged = _merged(link(other), self, mark)
        self.clear()
        self.marks = merged.marks
        for key, value in merged.items():
            self[key] = link(value, shared=Linked)


def _merged(new: Any, old: Any, mark: Mark | None) -> Any:
    """The mapping ``new`` over ``old``, both fresh."""
    if not isinstance(new, Draft):
        return new
    if not isinstance(old, Draft):
        new.pop("_delete_", None)
        return new
    if new.pop("_delete_", False):
        old = Linked()
    out = Linked()
    for key in [*old, *(k for k in new if k not in old)]:
        if key == "_delete_":
            continue
        if key not in new:
            out[key] = old[key]
            out.marks[key] = old.marks.get(key)
        elif key not in old:
            # what is merged into nothing keeps its `_delete_` out of the way only where it is a mapping
            out[key] = _merged(new[key], None, mark)
            out.marks[key] = new.marks.get(key) or mark
        else:
            out[key] = _merged(new[key], old[key], mark)
            leaf = None if isinstance(old[key], (dict, list)) else old[key]
            out.marks[key] = over(new.marks.get(key) or mark, old.marks.get(key), leaf)
    return out


def link(value: Any, kind: type[Draft] = Linked, shared: type[Draft] | None = None) -> Any:
    """A fresh tree of changing mappings and plain lists, of a frozen or a changing one.

    Args:
        value: the tree.
        kind: what its mappings become.
        shared: mappings of this class stay what they are.
    """
    if isinstance(value, dict):
        if shared is not None and isinstance(value, shared):
            return value
        marks: Any = marks_of(value) if isinstance(value, Node) else getattr(value, "marks", None)
        items: dict[Any, Any] = {key: link(item, kind, shared) for key, item in value.items()}
        return kind(items, dict(marks or ()))
    if isinstance(value, (list, tuple)):
        parts = [link(item, kind, shared) for item in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def settle(value: Any, budget: Budget, kind: type[Node], known: dict[int, Any] | None = None) -> Any:
    """Freeze what a file made. A part that stands in two places is frozen once, and counted twice.

    Args:
        value: a tree of drafts.
        budget: what it may weigh.
        kind: the class that mappings become.
        known: what was frozen already, by identity, where several values share parts.

    Raises:
        FkitValueError: the tree is too large, too deep, or holds itself.
    """
    return _settle(value, kind, {} if known is None else known, budget, 0)[0]


def _settle(value: Any, node: type[Node], known: dict[int, Any], budget: Budget, depth: int) -> tuple[Any, int]:
    """The frozen value and its weight: how many nodes it has when written out."""
    if not isinstance(value, _CONTAINERS) or type(value) is node or type(value) is Items:
        if not isinstance(value, _LASTING):
            raise _changing(value)
        return value, budget.weigh(value)
    entry = known.get(id(value))
    if entry is not None:
        if entry[1] < 0:
            raise budget.cyclic()
        return entry
    if depth > budget.depth:
        raise budget.deep()
    known[id(value)] = (value, -1)
    is_mapping = isinstance(value, dict)
    marks = getattr(value, "marks", None) or None
    items: Any = dict(value) if is_mapping else list(value)
    weight = 1 + len(items)
    for key, item in items.items() if is_mapping else enumerate(items):
        kind = type(item)
        if kind in _LEAVES or (kind is int and -_WORD < item < _WORD):
            continue
        try:
            items[key], more = _settle(item, node, known, budget, depth + 1)
        except FkitError as error:
            mark = marks.get(key) if marks else None
            error.origin = error.origin or (mark and mark.place)
            raise
        weight += more - 1
    budget.hold(weight)
    if is_mapping:
        frozen: Any = node.of(items, marks)
    else:
        make: Any = Items.of if isinstance(value, list) else tuple if isinstance(value, tuple) else frozenset
        frozen = make(items)
    known[id(value)] = (frozen, weight)
    return frozen, weight


def _changing(value: Any) -> FkitTypeError:
    """The error of what a tree cannot hold: it would change, or stand for nothing once the file is read."""
    kind = type(value).__name__
    return FkitTypeError(
        f"A value of the config is {_NAMES.get(kind, 'a ' + kind)}, which is no value once the file is read.",
        repair="Write list(...) of what is gone through, and the name 'module.function' of a function.",
    )
