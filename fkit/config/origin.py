"""Where every leaf came from: marks that ride beside the values of a config."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fkit.tree.node import Node, marks_of
from fkit.tree.path import Path, parse, show, step

__all__ = ["Mark", "Meta", "Setting", "chain", "of", "over"]

_ABSENT: Any = object()


class Mark(NamedTuple):
    """Who set a key: a file and a line (0: the whole, as a command-line word), and what stood there before.

    ``replaced`` is the value that was overridden and ``older`` its mark; both None where the key was new.
    """

    file: str
    line: int
    older: "Mark | None" = None
    replaced: Any = None
    overrode: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Meta(NamedTuple):
    """What is known of a whole config beside its values."""

    filename: str | None = None
    environment: tuple[tuple[str, str], ...] = ()  # variables that `{{$NAME:default}}` read, with their values
    imported: tuple[str, ...] = ()  # names that a new-style config imported


class Setting(NamedTuple):
    """One entry of a chain: the place that set a path, and the value it set."""

    place: str
    value: Any
    path: str


def over(mark: "Mark | None", old: "Mark | None", replaced: Any) -> "Mark | None":
    """The mark of a value that overrides another, which it remembers."""
    if mark is None:
        return None
    return Mark(mark[0], mark[1], old, replaced, True)


def of(node: Any, key: Any) -> str | None:
    """``file:line`` that set ``key`` of a node, or None where it is not known.

    Example:
        >>> of(Node.of({"a": 1}, {"a": Mark("x.py", 3)}), "a")
        'x.py:3'
    """
    marks = marks_of(node) if isinstance(node, Node) else None
    mark = marks.get(key) if marks else None
    return mark.place if mark is not None else None


def chain(tree: Any, path: str | Path) -> tuple[Setting, ...]:
    """Who set the value at a path, newest first, down to what the first of them set.

    Where the leaf itself has no mark, as an item of a list, the nearest mapping above it answers. A value that was
    overridden together with all that stood around it (``_delete_``, a list replaced) counts too.
    """
    keys = parse(path) if isinstance(path, str) else path
    return tuple(_settings(tree, keys, ()))


def _settings(node: Any, keys: Path, above: Path) -> Iterator[Setting]:
    nearest: Mark | None = None
    held: tuple[Path, Any, Path] | None = None  # path of the marked value, it, and the rest of the keys
    overridden: list[tuple[Mark, Path, Path]] = []
    for depth, key in enumerate(keys):
        marks = marks_of(node) if isinstance(node, Node) else None
        mark: Mark | None = marks.get(key) if marks else None
        try:
            node = step(node, key)
        except (KeyError, IndexError):
            return
        if mark is not None:
            here, rest = (*above, *keys[: depth + 1]), keys[depth + 1 :]
            if mark.overrode:
                overridden.append((mark, here, rest))
            nearest, held = mark, (here, node, rest)
    if nearest is not None and held is not None:
        yield Setting(nearest.place, _below(held[1], held[2], held[1]), show((*held[0], *held[2])))
    for mark, here, rest in reversed(overridden):
        yield from _older(mark, here, rest)


def _older(mark: Mark, here: Path, rest: Path) -> Iterator[Setting]:
    """What the mark's value overrode at the path, and what that overrode."""
    now: Mark | None = mark
    while now is not None and now.overrode:
        old, older = now.replaced, now.older
        value = _below(old, rest, _ABSENT)
        if value is not _ABSENT or not rest:
            found = tuple(_settings(old, rest, here)) if rest else ()
            if found:
                yield from found
            elif older is not None:
                yield Setting(older.place, value, show((*here, *rest)))
        now = older


def _below(value: Any, keys: Path, default: Any) -> Any:
    for key in keys:
        try:
            value = step(value, key)
        except (KeyError, IndexError):
            return default
    return value
