"""OpenMMLab's dicts of changes -> deltas: a file over its bases, and the options of ``merge_from_dict``."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.config.change.delta import Delta, Edit, Gone, Invalid, Outcome, Value, named, recast, then
from fkit.config.origin import Mark
from fkit.tree.absent import ABSENT
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted
from fkit.tree.node import Node, freeze, marks_of, meta_of
from fkit.tree.path import Path, parse, show
from fkit.tree.tree import thaw

__all__ = ["inheritance", "overrides", "path_of"]


_LEAVES = (str, int, float, bool, type(None))


class _Index(int):
    """The number of a path's ``[1]``: an item of a list, or a key of a mapping that is no string."""


def inheritance(child: Mapping[Any, Any], kind: type[Node] = Node) -> Delta:
    """The delta of a file over its bases: ``_delete_=True`` replaces, no dots, no list indices.

    Args:
        child: what the file sets.
        kind: the class that its mappings become; merging gives them that of the tree in any case.

    Raises:
        FkitTypeError: ``child`` is no mapping.

    Example:
        >>> import fkit
        >>> from fkit.config.change.delta import merge
        >>> merge(fkit.Config({"a": {"x": 1}}), inheritance({"a": {"_delete_": True, "y": 2}, "b.c": 3}))
        {'a': {'y': 2}, 'b.c': 3}
    """
    if not isinstance(child, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"A config is a mapping, not {named(child)}.")
    return _delta(freeze(child, kind), False, None, kind)


def overrides(options: Any, kind: type[Node] = Node, *, allow_list_keys: bool = True, source: str = "merge()") -> Delta:
    """The delta of mmengine's ``merge_from_dict``: dots in top-level keys lead down, digits select items of lists.

    Args:
        options: a mapping of changes, or a Delta, which is returned as it is.
        kind: the class that mappings become; merging gives them that of the tree in any case.
        allow_list_keys: whether digits select items of lists; ``[1]`` in a key always does.
        source: what origins name as the place of the change.

    Raises:
        FkitTypeError: a key that is no string, or one that leads below a leaf of the same mapping.

    Example:
        >>> import fkit
        >>> from fkit.config.change.delta import merge
        >>> merge(fkit.Config({"a": [{"x": 1}]}), overrides({"a.0.x": 2, "a[0].y": 4, "b.c": 3}))
        {'a': [{'x': 2, 'y': 4}], 'b': {'c': 3}}
    """
    if isinstance(options, Delta):
        return options
    if not isinstance(options, Mapping):
        raise FkitTypeError(
            f"merge wants a mapping of changes or a Delta, got {named(options)}.",
            repair="cfg.merge({'path.to.key': value}) gives a changed copy.",
        )
    expanded: dict[str, Any] = {}
    for key, value in options.items():
        if not isinstance(key, str):
            raise FkitTypeError(f"A key of a change must be a string, got {key!r}.")
        _expand(expanded, tuple(_Index(part) if type(part) is int else part for part in path_of(key)), value)
    return _delta(expanded, allow_list_keys, Mark(source, 0), kind)


def path_of(key: str) -> Path:
    """The path that a key of a mapping of changes stands for; without brackets any text between dots is a key.

    Example:
        >>> path_of("a.b.0"), path_of("a[0]['b.c']")
        (('a', 'b', '0'), ('a', 0, 'b.c'))
    """
    expect(key, str, "A key of a change is a string")
    return parse(key) if "[" in key else tuple(key.split("."))


def _expand(tree: dict[str, Any], keys: Path, value: Any) -> None:
    node: Any = tree
    for depth, key in enumerate(keys[:-1]):
        below = node.get(key, ABSENT)
        if below is ABSENT:
            below = {}
        elif isinstance(below, Mapping):
            below = dict(below)  # a mapping that the caller gave stays as it is
        else:
            where = show(keys[: depth + 1])
            raise FkitTypeError(f"{where} is {_said(below)} and, in the same changes, a key below it.", path=where)
        node[key] = below
        node = below
    node[keys[-1]] = value


def _said(change: Any) -> str:
    """What a change does, in words."""
    if not isinstance(change, Edit):
        return f"set to {quoted(change)}"
    return f"set to {quoted(thaw(change.absent.value))}" if isinstance(change.absent, Value) else "deleted"


def _delta(
    options: Mapping[Any, Any], lists: bool, mark: Mark | None, kind: type[Node], without: str | None = None
) -> Delta:
    """``mark`` is the place of the whole; without one, each key brings its own."""
    marks: Any = marks_of(options) if isinstance(options, Node) else None
    keys = [
        (
            _frozen_key(key),
            _edit(value, lists, mark or (marks.get(key) if marks else None), mark, kind),
        )
        for key, value in options.items()
        if key != without
    ]
    return Delta(tuple(keys), _item_changes(options, lists, mark, kind, without))


def _frozen_key(key: Any) -> Any:
    return key if type(key) is str else next(iter(freeze({key: None})))


def _edit(value: Any, lists: bool, mark: Mark | None, whole: Mark | None, kind: type[Node]) -> Edit:
    if isinstance(value, Edit):
        return Edit(value.absent, value.present, value.mark or mark)
    if type(value) in _LEAVES or not isinstance(value, Mapping):
        outcome = Value(freeze(value, kind))
        return Edit(outcome, outcome, mark)
    options: Mapping[Any, Any] = value
    new = Value(_settled(options, kind))  # where the key is new, `_delete_` stays in it, as in OpenMMLab
    if "_delete_" in options and bool(options["_delete_"]):  # `get` of a config reads paths
        return Edit(new, Value(_without_delete(new.value)), mark)
    return Edit(new, _delta(options, lists, whole, kind, "_delete_"), mark)


def _settled(options: Mapping[Any, Any], kind: type[Node]) -> Any:
    """The mapping as a value: edits inside it have become what they set."""
    if isinstance(options, Node):
        return options
    entries: dict[Any, Any] = {}
    marks: dict[Any, Any] = {}
    for name, value in options.items():
        key = _frozen_key(name)
        if isinstance(value, Edit):
            if isinstance(value.absent, Value):
                entries[key] = recast(value.absent.value, kind)
                if value.mark is not None:
                    marks[key] = value.mark
        else:
            entries[key] = _settled(value, kind) if isinstance(value, Mapping) else freeze(value, kind)
    return kind.of(entries, marks or None)


def _without_delete(node: Node) -> Node:
    return type(node).of({k: v for k, v in node.items() if k != "_delete_"}, marks_of(node), meta_of(node))


def _item_changes(
    options: Mapping[Any, Any], lists: bool, mark: Mark | None, kind: type[Node], without: str | None
) -> "tuple[tuple[int, Outcome | Delta], ...] | None":
    """What the mapping does to a list: None where a key is no index."""
    changes: dict[int, Outcome | Delta] = {}
    for key, value in options.items():
        if key == without:
            continue
        index = int(key) if isinstance(key, _Index) else _digits(key) if lists else None
        if index is None:
            return None
        change = _item_change(value, mark, kind)
        known = changes.get(index)
        changes[index] = change if known is None else then(known, change)
    return tuple(changes.items())


def _digits(key: Any) -> int | None:
    return int(key) if isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 10 else None


def _item_change(value: Any, mark: Mark | None, kind: type[Node]) -> "Outcome | Delta":
    if isinstance(value, Edit):
        return Invalid("an item of a list cannot be deleted") if isinstance(value.present, Gone) else value.present
    if isinstance(value, Mapping):
        return _delta(cast("Mapping[Any, Any]", value), True, mark, kind)
    return Invalid(f"an item of a list takes a mapping of changes, not {quoted(value)}")
