"""Where every leaf came from: marks that ride beside the values of a config."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fkit.tree.absent import ABSENT
from fkit.tree.node import Node, marks_of
from fkit.tree.path import Path, exact, show, step

__all__ = ["Mark", "Meta", "Past", "Setting", "chain", "mark_of", "of", "over"]

_KEPT = 64  # settings of one key that are remembered: the newest, and the first of all


class Past(NamedTuple):
    """A value that was overridden, and who had set it (None: nobody knows)."""

    value: Any
    place: str | None = None
    skipped: int = 0  # settings between this and the next newer one that are not kept


class Mark(NamedTuple):
    """Who set a key: a file and a line (0: the whole, as a command-line word), and what stood there before.

    ``past`` is what was overridden, newest first; empty where the key was new. It is flat, so that a config that was
    changed many times is saved like any other, and bounded, so that it stays small.
    """

    file: str
    line: int
    past: tuple[Past, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Meta(NamedTuple):
    """What is known of a whole config beside its values."""

    filename: str | None = None
    environment: tuple[tuple[str, str], ...] = ()  # variables that `{{$NAME:default}}` read, with their values
    imported: tuple[tuple[str, str], ...] = ()  # names that a new-style config imported, with what they stand for
    text: str | None = None  # what it was made of, where that was given
    form: str | None = None  # of the text it was read from, where that was no file


class Setting(NamedTuple):
    """One entry of a chain: the place that set a path, and the value it set."""

    place: str
    value: Any
    path: str
    skipped: int = 0  # settings between this and the next newer one that are not kept


def over(mark: Mark | None, old: Mark | None, replaced: Any) -> Mark | None:
    """The mark of a value that overrides another, which it remembers.

    Example:
        >>> over(Mark("b.py", 2), Mark("a.py", 1), 50).past
        (Past(value=50, place='a.py:1', skipped=0),)
    """
    if mark is None:
        return None
    if old is None:
        return Mark(mark.file, mark.line, (Past(replaced),))
    past = (Past(replaced, old.place), *old.past)
    if len(past) > _KEPT:
        *newest, gone, first = past
        past = (*newest, first._replace(skipped=first.skipped + gone.skipped + 1))
    return Mark(mark.file, mark.line, past)


def mark_of(node: Any, key: Any) -> Mark | None:
    """The mark of a key of a node."""
    marks = marks_of(node) if isinstance(node, Node) else None
    return marks.get(key) if marks else None


def of(node: Any, key: Any) -> str | None:
    """``file:line`` that set ``key`` of a node, or None where it is not known.

    Example:
        >>> of(Node.of({"a": 1}, {"a": Mark("x.py", 3)}), "a")
        'x.py:3'
    """
    mark = mark_of(node, key)
    return mark.place if mark is not None else None


def chain(tree: Any, path: str | Path) -> tuple[Setting, ...]:
    """Who set the value at a path, newest first, down to what the first of them set.

    Where the leaf itself has no mark, as an item of a list, the nearest mapping above it answers. A value that was
    overridden together with all that stood around it (``_delete_``, a list replaced) counts too.

    Raises:
        FkitTypeError: the path is no string and no tuple of keys.
    """
    return tuple(_settings(tree, exact(tree, path), ()))


def _settings(node: Any, keys: Path, above: Path) -> Iterator[Setting]:
    nearest: tuple[Mark, Path, Any, Path] | None = None  # the mark, its path, its value, and the keys below
    overridden: list[tuple[Mark, Path, Path]] = []
    for depth, key in enumerate(keys):
        mark = mark_of(node, key)
        try:
            node = step(node, key)
        except (KeyError, IndexError):
            return
        if mark is not None:
            here, below = (*above, *keys[: depth + 1]), keys[depth + 1 :]
            if mark.past:
                overridden.append((mark, here, below))
            nearest = mark, here, node, below
    if nearest is not None:
        mark, here, value, below = nearest
        yield Setting(mark.place, _below(value, below, value), show((*here, *below)))
    for mark, here, below in reversed(overridden):
        yield from _older(mark, here, below)


def _older(mark: Mark, here: Path, below: Path) -> Iterator[Setting]:
    """What the mark's value overrode at the path, and what that overrode."""
    for past in mark.past:
        value = _below(past.value, below, ABSENT)
        if value is ABSENT:
            continue
        inner = tuple(_settings(past.value, below, here)) if below else ()
        if inner:
            yield inner[0]._replace(skipped=past.skipped)
            yield from inner[1:]
        elif past.place is not None:
            yield Setting(past.place, value, show((*here, *below)), past.skipped)


def _below(value: Any, keys: Path, default: Any) -> Any:
    for key in keys:
        try:
            value = step(value, key)
        except (KeyError, IndexError):
            return default
    return value
