"""What changes: deltas, into which OpenMMLab's dicts are parsed; merging and composing them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from fkit.config.origin import Mark, over
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.node import Items, Node, freeze, marks_of, meta_of
from fkit.tree.path import Path, parse, show
from fkit.tree.tree import thaw

__all__ = ["Delta", "Edit", "Sourced", "compose", "delete", "inheritance", "merge", "overrides", "replace"]

_ABSENT: Any = object()
N = TypeVar("N", bound=Node)


class Value(NamedTuple):
    """An outcome: this value, whatever stood there."""

    value: Any


class Gone(NamedTuple):
    """An outcome: nothing."""


class Invalid(NamedTuple):
    """An outcome: an error, told when the edit is applied."""

    reason: str


Outcome = Value | Gone | Invalid


class Sourced(NamedTuple):
    """A value in a mapping of changes, with a place of its own."""

    value: Any
    mark: Mark


class Edit(NamedTuple):
    """What happens to one key: one outcome where it is absent, another (or a delta of the value) where it is there."""

    absent: Outcome
    present: "Outcome | Delta"
    mark: Mark | None = None


class Delta(NamedTuple):
    """A change of a mapping, or of a list's items; a value that can be kept, composed and applied again.

    ``keys`` are the edits of a mapping, in order; ``items`` the deltas of a list's items by index, or None where the
    delta is an error over a list.
    """

    keys: tuple[tuple[Any, Edit], ...] = ()
    items: "tuple[tuple[int, Delta | Invalid], ...] | None" = None


def replace(value: Any) -> Edit:
    """Set ``value`` whatever stands there, merged with nothing.

    Example:
        >>> from fkit import Config
        >>> Config({"a": {"b": 1}}).merge({"a": replace({"c": 2})})
        {'a': {'c': 2}}
    """
    whole = Value(freeze(value))
    return Edit(whole, whole)


def delete() -> Edit:
    """Remove the key, if it is there.

    Example:
        >>> from fkit import Config
        >>> Config({"a": {"b": 1, "c": 2}}).merge({"a.b": delete()})
        {'a': {'c': 2}}
    """
    return Edit(Gone(), Gone())


def inheritance(child: Mapping[Any, Any], kind: type[Node] = Node) -> Delta:
    """The delta of a file over its bases: ``_delete_=True`` replaces, no dots, no list indices.

    Args:
        child: what the file sets.
        kind: the class of the tree's mappings, which those of the child become.

    Example:
        >>> merge(Node({"a": {"x": 1}}), inheritance({"a": {"_delete_": True, "y": 2}, "b.c": 3}))
        Node({'a': Node({'y': 2}), 'b.c': 3})
    """
    return _delta(freeze(child, kind), kind, False, None)


def overrides(options: Any, kind: type[Node] = Node, *, allow_list_keys: bool = True, source: str = "merge()") -> Delta:
    """The delta of mmengine's ``merge_from_dict``: dots in top-level keys lead down, digits select items of lists.

    Args:
        options: a mapping of changes, or a Delta, which is returned as it is.
        kind: the class of the tree's mappings, which those of the changes become.
        allow_list_keys: whether digits select items of lists.
        source: what origins name as the place of the change.

    Raises:
        FkitTypeError: a key that is no string, or one that leads below a leaf of the same mapping.

    Example:
        >>> merge(Node({"a": [{"x": 1}]}), overrides({"a.0.x": 2, "b.c": 3}))
        Node({'a': [Node({'x': 2})], 'b': Node({'c': 3})})
    """
    if isinstance(options, Delta):
        return options
    if not isinstance(options, Mapping):
        raise FkitTypeError(f"merge wants a mapping of changes or a Delta, got {type(options).__name__}.")
    expanded: dict[str, Any] = {}
    for key, value in options.items():
        if not isinstance(key, str):
            raise FkitTypeError(f"A key of a change must be a string, got {key!r}.")
        keys = parse(key) if "['" in key or '["' in key else tuple(key.split("."))
        _expand(expanded, keys, value)
    return _delta(expanded, kind, allow_list_keys, Mark(source, 0))


def _expand(tree: dict[str, Any], keys: Path, value: Any) -> None:
    node: Any = tree
    for depth, key in enumerate(keys[:-1]):
        below = node.get(key, _ABSENT)
        if below is _ABSENT:
            below = {}
        elif isinstance(below, Mapping):
            below = dict(below)  # a mapping that the caller gave stays as it is
        else:
            where = show(keys[: depth + 1])
            raise FkitTypeError(
                f"{where} is set to {quoted(below)} and, in the same changes, a key below it.", path=where
            )
        node[key] = below
        node = below
    node[keys[-1]] = value


def _delta(
    options: Mapping[Any, Any], kind: type[Node], lists: bool, mark: Mark | None, without: str | None = None
) -> Delta:
    """``mark`` is the place of the whole; without one, each key brings its own."""
    marks: Any = marks_of(options) if isinstance(options, Node) else None
    keys = [
        (key, _edit(value, kind, lists, mark or (marks.get(key) if marks else None), mark))
        for key, value in options.items()
        if key != without
    ]
    return Delta(tuple(keys), _item_deltas(options, kind, mark, without) if lists else None)


def _edit(value: Any, kind: type[Node], lists: bool, mark: Mark | None, whole: Mark | None) -> Edit:
    if isinstance(value, Edit):
        present = value.present
        return Edit(
            _recast(value.absent, kind), present if isinstance(present, Delta) else _recast(present, kind), mark
        )
    if isinstance(value, Sourced):
        value, mark = value
    if not isinstance(value, Mapping):
        outcome = Value(freeze(value, kind))
        return Edit(outcome, outcome, mark)
    options: Mapping[Any, Any] = value
    new = Value(_settled(options, kind))  # where the key is new, `_delete_` stays in it, as in OpenMMLab
    if options.get("_delete_", False):
        return Edit(new, Value(_without_delete(new.value)), mark)
    return Edit(new, _delta(options, kind, lists, whole, "_delete_"), mark)


def _recast(outcome: Outcome, kind: type[Node]) -> Outcome:
    """The outcome with mappings of the tree's class: ``replace`` was told of no tree."""
    return Value(freeze(thaw(outcome.value), kind)) if isinstance(outcome, Value) else outcome


def _settled(options: Mapping[Any, Any], kind: type[Node]) -> Any:
    """The mapping as a value: edits inside it have become what they set."""
    if isinstance(options, kind):
        return options
    kept: dict[Any, Any] = {}
    marks: dict[Any, Any] = {}
    for key, value in options.items():
        if isinstance(value, Sourced):
            value, marks[key] = value
        if isinstance(value, Edit):
            outcome = _recast(value.absent, kind)
            if isinstance(outcome, Value):
                kept[key] = outcome.value
        else:
            kept[key] = _settled(value, kind) if isinstance(value, Mapping) else freeze(value, kind)
    return kind.of(kept, marks or None)


def _without_delete(node: N) -> N:
    return type(node).of({k: v for k, v in node.items() if k != "_delete_"}, marks_of(node), meta_of(node))


def _item_deltas(
    options: Mapping[Any, Any], kind: type[Node], mark: Mark | None, without: str | None
) -> "tuple[tuple[int, Delta | Invalid], ...] | None":
    found: list[tuple[int, Delta | Invalid]] = []
    for key, value in options.items():
        if key == without:
            continue
        if not isinstance(key, str) or not key.isdigit():
            return None
        try:
            index = int(key)
        except ValueError:  # a superscript is a digit, but no number
            return None
        if isinstance(value, Mapping):
            found.append((index, _delta(value, kind, True, mark)))
        else:
            found.append((index, Invalid(f"an item of a list takes a mapping of changes, not {quoted(value)}")))
    return tuple(found)


def merge(tree: N, delta: Delta) -> N:
    """The tree with the changes; what the delta does not reach is shared with the old tree.

    Raises:
        FkitTypeError: a mapping of changes over a leaf.
        FkitKeyError: an index beyond its list.

    Example:
        >>> base = Node({"a": {"x": 1}, "b": [1]})
        >>> new = merge(base, inheritance({"a": {"y": 2}}))
        >>> new, new.b is base.b
        (Node({'a': Node({'x': 1, 'y': 2}), 'b': [1]}), True)
    """
    return _merge(tree, delta, (), None)


def _merge(node: Any, delta: Delta, path: Path, mark: Mark | None) -> Any:
    if isinstance(node, Node):
        return _merge_mapping(node, delta, path) if delta.keys else node
    if not isinstance(node, list) or delta.items is None:
        raise _mismatch(node, delta, path, mark)
    items = list(node)
    for index, change in delta.items:
        here = (*path, str(index))
        if index >= len(items):
            raise FkitKeyError(
                f"{show(here)}: the list has {len(items)} items.", path=show(here), origin=mark.place if mark else None
            )
        if isinstance(change, Invalid):
            raise FkitTypeError(f"{show(here)}: {change.reason}.", path=show(here), origin=mark.place if mark else None)
        items[index] = _merge(items[index], change, here, mark)
    return Items(items)


def _merge_mapping(node: Node, delta: Delta, path: Path) -> Node:
    items: dict[Any, Any] = dict(node)
    marks: dict[Any, Any] = {**(marks_of(node) or {})}
    for key, edit in delta.keys:
        old = items.get(key, _ABSENT)
        change = edit.absent if old is _ABSENT else edit.present
        if isinstance(change, Delta):
            items[key] = _merge(old, change, (*path, key), edit.mark)
        elif isinstance(change, Value):
            items[key] = change.value
            mark = edit.mark
            if mark is not None:
                marks[key] = mark if old is _ABSENT else over(mark, marks.get(key), old)
        elif isinstance(change, Gone):
            items.pop(key, None)
            marks.pop(key, None)
        else:
            raise FkitValueError(f"{show((*path, key))}: {change.reason}", path=show((*path, key)))
    return type(node).of(items, marks or None, meta_of(node))


def _mismatch(node: Any, delta: Delta, path: Path, mark: Mark | None) -> FkitError:
    keys = ", ".join(repr(key) for key, _ in delta.keys[:6])
    what = f"{show(path)} is {quoted(node)} ({type(node).__name__}), so a mapping with the keys {keys or 'none'} cannot be merged into it."
    return FkitTypeError(
        what,
        path=show(path),
        origin=mark.place if mark else None,
        repair="_delete_=True in the mapping replaces what was there.",
    )


def compose(first: Delta, second: Delta) -> Delta:
    """One delta that does what the two do in turn, wherever they can be applied in turn.

    Example:
        >>> both = compose(overrides({"a.x": 1}), overrides({"a.y": 2, "b": 3}))
        >>> merge(Node({"a": {}}), both)
        Node({'a': Node({'x': 1, 'y': 2}), 'b': 3})
    """
    edits = dict(first.keys)
    for key, edit in second.keys:
        edits[key] = _compose_edits(edits[key], edit) if key in edits else edit
    if first.items is None or second.items is None:
        return Delta(tuple(edits.items()), None)
    items = dict(first.items)
    for index, change in second.items:
        known = items.get(index)
        items[index] = (
            compose(known, change) if isinstance(known, Delta) and isinstance(change, Delta) else known or change
        )
    return Delta(tuple(edits.items()), tuple(items.items()))


def _compose_edits(first: Edit, second: Edit) -> Edit:
    if isinstance(first.present, Delta):
        both = isinstance(second.present, Delta)
        present = compose(first.present, second.present) if both else second.present  # type: ignore[arg-type]
    else:
        present = _after(first.present, second)
    return Edit(_after(first.absent, second), present, second.mark or first.mark)


def _after(outcome: Outcome, edit: Edit) -> Outcome:
    """The outcome of an edit on what another edit left."""
    if isinstance(outcome, Invalid):
        return outcome
    if isinstance(outcome, Gone):
        return edit.absent
    if not isinstance(edit.present, Delta):
        return edit.present
    try:
        return Value(_merge(outcome.value, edit.present, (), edit.mark))
    except FkitError as error:
        return Invalid(error.what)
