"""A translation under way: what is left of the old config, what the new one has, and what is to be said."""

from typing import Any, NamedTuple

from fkit.config.config import Config
from fkit.tree import tree
from fkit.tree.error import FkitValueError
from fkit.tree.node import Node, marks_of
from fkit.tree.path import parse

__all__ = ["Work", "fail", "mark_of"]


class Work(NamedTuple):
    """The old config without what is translated already, the new one, and the warnings.

    ``shape`` is what several keys need to know: whether the run counts epochs, and how many steps it has.
    """

    old: Config
    new: Config
    notes: tuple[str, ...] = ()
    by_epoch: bool = True
    length: int | None = None

    def take(self, key: str) -> "tuple[Work, Any]":
        """The work without a top-level key of the old config, and that key's value (None where it is absent)."""
        rest, value = self.old.pop(key, None)
        return self._replace(old=rest), value

    def put(self, path: str, value: Any, mark: Any = None) -> "Work":
        """The work with a value in the new config, under the mark of where the old one was set."""
        return self._replace(new=tree.put(self.new, path, value, mark))

    def note(self, text: str, place: str | None = None) -> "Work":
        """The work with one more warning."""
        return self._replace(notes=(*self.notes, f"{place}: {text}" if place else text))

    def leave(self, name: str, value: Any, why: str) -> "Work":
        """The work with a warning for each key that a table has left; None and False say nothing, so nothing is lost."""
        work = self
        for key, item in (value or {}).items():
            if item is not None and item is not False:
                work = work.note(f"{name}.{key} = {item!r} {why}", _place(value, key))
        return work


def mark_of(cfg: Any, path: str) -> Any:
    """The mark of the last key of a path, or of the nearest above it that has one."""
    node, found = cfg, None
    for key in parse(path):
        marks = marks_of(node) if isinstance(node, Node) else None
        found = (marks or {}).get(key) or found
        node = dict.get(node, key) if isinstance(node, dict) else None
    return found


def _place(value: Any, key: Any) -> str | None:
    marks = marks_of(value) if isinstance(value, Node) else None
    mark = (marks or {}).get(key)
    return mark.place if mark is not None else None


def fail(cfg: Config, path: str, what: str, repair: str = "") -> FkitValueError:
    """The error of a key that has no translation."""
    mark = mark_of(cfg, path)
    return FkitValueError(what, path=path, origin=mark.place if mark is not None else None, repair=repair)
