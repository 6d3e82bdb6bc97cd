"""Pure functions over frozen trees; what does not change is shared between the old tree and the new."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from fkit.tree.absent import ABSENT
from fkit.tree.canonical import fingerprint
from fkit.tree.equal import token
from fkit.tree.error import FkitIndexError, FkitTypeError, quoted
from fkit.tree.node import Items, Node, freeze, marks_of, meta_of, same
from fkit.tree.path import Path, exact, follow, show

__all__ = ["Change", "diff", "drop", "fingerprint", "freeze", "get", "loosen", "map", "put", "same", "thaw"]

T = TypeVar("T", bound=Node)


class Change(NamedTuple):
    """One difference of two trees; ``old`` or ``new`` is ``absent`` where there is nothing."""

    path: Path
    old: Any
    new: Any
    kind: str  # "added", "removed" or "changed"


def thaw(value: Any) -> Any:
    """The same tree of plain dicts, lists and sets, all fresh.

    Example:
        >>> thaw(freeze({"a": [1, {"b": {2}}]}))
        {'a': [1, {'b': {2}}]}
    """
    if isinstance(value, dict):
        return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, list):
        return [thaw(v) for v in value]
    if isinstance(value, tuple):
        return _same_tuple(value, [thaw(v) for v in value])
    if isinstance(value, frozenset):
        return set(value)
    return value


def loosen(value: Any) -> Any:
    """What a maker gets: lists as fresh lists, at any depth of lists and tuples; mappings stay nodes.

    Example:
        >>> loosen(freeze([1, {"a": [2]}]))
        [1, Node({'a': [2]})]
    """
    if isinstance(value, list):
        return [loosen(v) for v in value]
    if isinstance(value, tuple):
        return _same_tuple(value, [loosen(v) for v in value])
    return value


def _same_tuple(value: tuple[Any, ...], items: list[Any]) -> Any:
    make: Any = getattr(type(value), "_make", None)
    return make(items) if make is not None else tuple(items)


def get(tree: Any, path: str | Path, default: Any = ABSENT) -> Any:
    """The value at a dotted path, or ``default``.

    Raises:
        FkitAttributeError, FkitIndexError: nothing is there, and no default was given.

    Example:
        >>> get(freeze({"a": [{"b": 1}]}), "a.0.b"), get(freeze({}), "a.b", None)
        (1, None)
    """
    if default is ABSENT:
        return follow(tree, path)
    try:
        return follow(tree, path)
    except (KeyError, IndexError):
        return default


def put(tree: Any, path: str | Path, value: Any, mark: Any = None) -> Any:
    """The tree with ``value`` at the path; missing mappings on the way are made.

    Args:
        tree: a frozen tree.
        path: where; an index must lie inside its list.
        value: frozen on entry.
        mark: the origin of the value, for the node that holds it.

    Raises:
        FkitTypeError: the path leads through a leaf.
        FkitIndexError: a list is shorter.

    Example:
        >>> put(freeze({"a": {"b": 1}, "c": 2}), "a.b", 3)
        Node({'a': Node({'b': 3}), 'c': 2})
    """
    keys = exact(tree, path)
    kind = type(tree) if isinstance(tree, Node) else Node
    return _put(tree, keys, 0, freeze(value, kind), mark, kind)


def _put(node: Any, keys: Path, depth: int, value: Any, mark: Any, kind: type[Node]) -> Any:
    if depth == len(keys):
        return value
    key = keys[depth]
    if isinstance(node, (list, tuple)):
        at = _place(node, keys, depth)
        return _with_item(node, at, _put(node[at], keys, depth + 1, value, mark, kind))
    if not isinstance(node, dict):
        where = show(keys[:depth]) or "The top level"
        raise FkitTypeError(f"{where} is {quoted(node)}, so nothing can be set below it.", path=show(keys))
    below = dict.get(node, key, ABSENT)
    new = _put(kind.of({}) if below is ABSENT and depth + 1 < len(keys) else below, keys, depth + 1, value, mark, kind)
    marks, meta = _beside(node)
    if depth + 1 == len(keys) and (mark is not None or marks):
        marks = {**(marks or {}), key: mark}
    return kind.of({**node, key: new}, marks, meta)


def _place(node: Any, keys: Path, depth: int) -> int:
    """The place in a list or tuple that a key of an exact path names."""
    key, where = keys[depth], show(keys[:depth]) or "The top level"
    if type(key) is not int:
        raise FkitTypeError(f"{where} is a {_kind(node)}: {key!r} is no index.", path=show(keys))
    if not -len(node) <= key < len(node):
        raise FkitIndexError(f"{where} has {len(node)} items, none at {key}.", path=show(keys))
    return key % len(node)


def _kind(node: Any) -> str:
    return "list" if isinstance(node, list) else "tuple"


def _with_item(node: Any, at: int, item: Any) -> Any:
    items: list[Any] = [*node[:at], item, *node[at + 1 :]]
    return Items.of(items) if isinstance(node, list) else _same_tuple(node, items)


def _beside(node: Any) -> tuple[dict[Any, Any] | None, Any]:
    """The marks and the meta that ride beside a mapping."""
    return (marks_of(node), meta_of(node)) if isinstance(node, Node) else (None, None)


def drop(tree: Any, path: str | Path) -> Any:
    """The tree without what is at the path.

    Raises:
        FkitAttributeError, FkitIndexError: nothing is there.
        FkitTypeError: the path is empty, or leads to a field of a named tuple.

    Example:
        >>> drop(freeze({"a": {"b": 1, "c": 2}}), "a.b")
        Node({'a': Node({'c': 2})})
    """
    keys = exact(tree, path)
    if not keys:
        raise FkitTypeError("An empty path drops nothing.")
    follow(tree, keys)
    return _drop(tree, keys, 0, type(tree) if isinstance(tree, Node) else Node)


def _drop(node: Any, keys: Path, depth: int, kind: type[Node]) -> Any:
    key, last = keys[depth], depth + 1 == len(keys)
    if isinstance(node, (list, tuple)):
        at = _place(node, keys, depth)
        if not last:
            return _with_item(node, at, _drop(node[at], keys, depth + 1, kind))
        if hasattr(type(node), "_make"):
            raise FkitTypeError(f"{show(keys)} is a field of a {type(node).__name__}, which has all of its fields.")
        items: list[Any] = [*node[:at], *node[at + 1 :]]
        return Items.of(items) if isinstance(node, list) else tuple(items)
    marks, meta = _beside(node)
    if not last:  # a mapping with one key less below was set where it was set: its mark stays
        return kind.of({**node, key: _drop(node[key], keys, depth + 1, kind)}, marks, meta)
    left = {k: m for k, m in marks.items() if k != key} if marks else None
    return kind.of({k: v for k, v in node.items() if k != key}, left, meta)


def map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with every leaf replaced by ``function(leaf)``; a tree in which none changes is returned itself.

    Example:
        >>> map(lambda x: x * 2, freeze({"a": [1, (2,)]}))
        Node({'a': [2, (4,)]})
    """
    if not callable(function):
        raise FkitTypeError(f"`function` is called with each leaf: it cannot be {quoted(function)}.")
    return _map(function, tree)


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        items: dict[Any, Any] = {k: _map(function, v) for k, v in tree.items()}
        if all(items[k] is v for k, v in tree.items()):
            return tree
        kind: type[Node] = type(tree) if isinstance(tree, Node) else Node
        return kind.of(items, *_beside(tree))
    if isinstance(tree, (list, tuple)):
        parts: list[Any] = [_map(function, v) for v in tree]
        if all(new is old for new, old in zip(parts, tree, strict=True)):
            return tree
        return Items.of(parts) if isinstance(tree, list) else _same_tuple(tree, parts)
    return freeze(function(tree))


def diff(old: Any, new: Any) -> tuple[Change, ...]:
    """What changed, leaf by leaf, in the order of the old tree and then of what is new.

    Example:
        >>> for change in diff({"a": 1, "b": [1]}, {"a": 2, "b": [1, 3]}):
        ...     print(change.kind, show(change.path), change.new)
        changed a 2
        added b[1] 3
    """
    changes: list[Change] = []
    _diff(old, new, (), changes)
    return tuple(changes)


def _diff(old: Any, new: Any, path: Path, changes: list[Change]) -> None:
    if old is new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        _diff_mappings(old, new, path, changes)
    elif (isinstance(old, list) and isinstance(new, list)) or (isinstance(old, tuple) and isinstance(new, tuple)):
        for at, (left, right) in enumerate(zip(old, new, strict=False)):
            _diff(left, right, (*path, at), changes)
        shared = min(len(old), len(new))
        changes += [Change((*path, at), old[at], ABSENT, "removed") for at in range(shared, len(old))]
        changes += [Change((*path, at), ABSENT, new[at], "added") for at in range(shared, len(new))]
    elif not same(old, new):
        changes.append(Change(path, old, new, "changed"))


def _diff_mappings(old: dict[Any, Any], new: dict[Any, Any], path: Path, changes: list[Change]) -> None:
    before, after = ({token(key): key for key in mapping} for mapping in (old, new))  # 1 and True are two keys
    if len(before) < len(old) or len(after) < len(new):  # nan twice: neither can be told from the other
        if not same(old, new):
            changes.append(Change(path, old, new, "changed"))
        return
    for name, key in before.items():
        if name in after:
            _diff(old[key], new[after[name]], (*path, key), changes)
        else:
            changes.append(Change((*path, key), old[key], ABSENT, "removed"))
    changes += [Change((*path, key), ABSENT, new[key], "added") for name, key in after.items() if name not in before]
