"""What changes: deltas, as values that are merged into a tree, composed, and applied again."""

from typing import Any, NamedTuple, TypeVar, cast

from fkit.config.origin import Mark, over
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.node import Items, Node, freeze, marks_of, meta_of
from fkit.tree.path import Path, show
from fkit.tree.tree import thaw

__all__ = [
    "Delta",
    "Edit",
    "Gone",
    "Invalid",
    "Outcome",
    "Value",
    "compose",
    "delete",
    "kind_of",
    "merge",
    "named",
    "recast",
    "replace",
    "then",
]

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


class Edit(NamedTuple):
    """What happens to one key: one outcome where it is absent, another (or a delta of the value) where it is there.

    ``mark`` is the place of the change; an edit in a mapping of changes may bring its own.
    """

    absent: Outcome
    present: "Outcome | Delta"
    mark: Mark | None = None


class Delta(NamedTuple):
    """A change of a mapping, or of a list's items; a value that can be kept, composed and applied again.

    ``keys`` are the edits of a mapping, in order; ``items`` what happens to a list's items, by index, or None where the
    delta is an error over a list.
    """

    keys: tuple[tuple[Any, Edit], ...] = ()
    items: "tuple[tuple[int, Outcome | Delta], ...] | None" = None


def replace(value: Any) -> Edit:
    """Set ``value`` whatever stands there, merged with nothing.

    Example:
        >>> import fkit
        >>> fkit.Config({"a": {"b": 1}, "l": [1, 2]}).merge({"a": replace({"c": 2}), "l[0]": replace(5)})
        {'a': {'c': 2}, 'l': [5, 2]}
    """
    whole = Value(freeze(value, kind_of(value)))
    return Edit(whole, whole)


def delete() -> Edit:
    """Remove the key, if it is there.

    Example:
        >>> import fkit
        >>> fkit.Config({"a": {"b": 1, "c": 2}}).merge({"a.b": delete()})
        {'a': {'c': 2}}
    """
    return Edit(Gone(), Gone())


def named(value: Any) -> str:
    """A value and its type, for a message."""
    return f"{type(value).__name__} {quoted(value, 60)}"


def kind_of(value: Any) -> type[Node]:
    """The class of a tree's mappings."""
    return type(value) if isinstance(value, Node) else Node


def merge(tree: N, delta: Delta) -> N:
    """The tree with the changes; what the delta does not reach is shared with the old tree.

    Raises:
        FkitTypeError: a mapping of changes over a leaf.
        FkitKeyError: an index beyond its list.

    Example:
        >>> import fkit
        >>> from fkit.config.change.option import inheritance
        >>> base = fkit.Config({"a": {"x": 1}, "b": [1]})
        >>> new = merge(base, inheritance({"a": {"y": 2}}))
        >>> new, new.b is base.b
        ({'a': {'x': 1, 'y': 2}, 'b': [1]}, True)
    """
    if not isinstance(tree, Node) or not isinstance(delta, Delta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"merge wants a config and a Delta, got {named(tree)} and {named(delta)}.")
    return _merge(tree, delta, (), None, type(tree), None)


def _merge(node: Any, delta: Delta, path: Path, mark: Mark | None, kind: type[Node], setter: Mark | None) -> Any:
    """``mark`` is the place of the change, ``setter`` that of what stands there, where its own keys have none."""
    if isinstance(node, Node):
        return _merge_mapping(node, delta, path, setter) if delta.keys else node
    if not isinstance(node, list) or delta.items is None:
        raise _mismatch(node, delta, path, mark)
    items: list[Any] = list(cast("list[Any]", node))
    place = mark.place if mark else None
    for index, change in delta.items:
        here = (*path, index)
        if not -len(items) <= index < len(items):
            raise FkitKeyError(f"{show(here)}: the list has {len(items)} items.", path=show(here), origin=place)
        if isinstance(change, Delta):
            items[index] = _merge(items[index], change, here, mark, kind, setter)
        elif isinstance(change, Value):
            items[index] = recast(change.value, kind)
        else:
            reason = change.reason if isinstance(change, Invalid) else "an item of a list cannot be deleted"
            raise FkitTypeError(f"{show(here)}: {reason}.", path=show(here), origin=place)
    return Items.of(items)


def _merge_mapping(node: Node, delta: Delta, path: Path, setter: Mark | None) -> Node:
    kind = type(node)
    items: dict[Any, Any] = dict(node)
    marks: dict[Any, Any] = {**(marks_of(node) or {})}
    for key, edit in delta.keys:
        old = items.get(key, ABSENT)
        change = edit.absent if old is ABSENT else edit.present
        if isinstance(change, Delta):
            items[key] = _merge(old, change, (*path, key), edit.mark, kind, marks.get(key) or setter)
        elif isinstance(change, Value):
            items[key] = recast(change.value, kind)
            mark = edit.mark
            if mark is not None:
                by = marks.get(key) or (setter and Mark(setter.file, setter.line))
                marks[key] = mark if old is ABSENT else over(mark, by, old)
        elif isinstance(change, Gone):
            items.pop(key, None)
            marks.pop(key, None)
        else:
            raise FkitValueError(f"{show((*path, key))}: {change.reason}", path=show((*path, key)))
    return kind.of(items, marks or None, meta_of(node))


def recast(value: Any, kind: type[Node]) -> Any:
    """The frozen value with mappings of the tree's class; shared where they are that already."""
    if isinstance(value, Node):
        if type(value) is kind:
            return value
        items = {key: recast(item, kind) for key, item in value.items()}
        return kind.of(items, marks_of(value), meta_of(value))
    if isinstance(value, (list, tuple)):
        entries = cast("list[Any] | tuple[Any, ...]", value)
        items = [recast(item, kind) for item in entries]
        if all(new is old for new, old in zip(items, entries, strict=True)):
            return entries
        make: Any = getattr(type(cast(Any, value)), "_make", tuple)  # a named tuple keeps its class
        return Items.of(items) if isinstance(value, list) else make(items)
    return value


def _mismatch(node: Any, delta: Delta, path: Path, mark: Mark | None) -> FkitError:
    keys = ", ".join(repr(key) for key, _ in delta.keys[:6])
    repair = "_delete_=True in the mapping replaces what was there."
    if delta.items and isinstance(node, tuple):
        repair = "A tuple is set whole: its items have no keys."
    elif path and isinstance(path[-1], int):
        repair = f"replace(value), of {__name__}, sets the item of a list whatever it is."
    return FkitTypeError(
        f"{show(path)} is {quoted(thaw(node))} ({type(node).__name__}), so a mapping with the "
        f"keys {keys or 'none'} cannot be merged into it.",
        path=show(path),
        origin=mark.place if mark else None,
        repair=repair,
    )


def compose(first: Delta, second: Delta) -> Delta:
    """One delta that does what the two do in turn, wherever they can be applied in turn.

    Raises:
        FkitTypeError: one is no Delta.

    Example:
        >>> import fkit
        >>> from fkit.config.change.option import overrides
        >>> both = compose(overrides({"a.x": 1}), overrides({"a.y": 2, "b": 3}))
        >>> merge(fkit.Config({"a": {}}), both)
        {'a': {'x': 1, 'y': 2}, 'b': 3}
    """
    for delta in (first, second):
        if not isinstance(delta, Delta):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"compose wants Deltas, got {named(delta)}.", repair="overrides({...}) makes one.")
    edits = dict(first.keys)
    for key, edit in second.keys:
        edits[key] = _compose_edits(edits[key], edit) if key in edits else edit
    if first.items is None or second.items is None:
        return Delta(tuple(edits.items()), None)
    items = dict(first.items)
    for index, change in second.items:
        items[index] = then(items[index], change) if index in items else change
    return Delta(tuple(edits.items()), tuple(items.items()))


def _compose_edits(first: Edit, second: Edit) -> Edit:
    present = then(first.present, second.present) if isinstance(first.present, Delta) else _after(first.present, second)
    return Edit(_after(first.absent, second), present, second.mark or first.mark)


def then(first: "Outcome | Delta", second: "Outcome | Delta") -> "Outcome | Delta":
    """What two changes of one value do in turn."""
    if isinstance(first, Delta):
        return compose(first, second) if isinstance(second, Delta) else second
    return _after(first, Edit(first, second))


def _after(outcome: Outcome, edit: Edit) -> Outcome:
    """The outcome of an edit on what another edit left."""
    if isinstance(outcome, Invalid):
        return outcome
    if isinstance(outcome, Gone):
        return edit.absent
    if not isinstance(edit.present, Delta):
        return edit.present
    try:
        return Value(_merge(outcome.value, edit.present, (), edit.mark, kind_of(outcome.value), None))
    except FkitError as error:
        return Invalid(error.what)
