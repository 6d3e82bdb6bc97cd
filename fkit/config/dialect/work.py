"""A translation under way: what is left of the old config, what the new one has, and what is to be said."""

from typing import Any, NamedTuple

from fkit.config.origin import Mark, mark_of
from fkit.tree import tree
from fkit.tree.error import FkitValueError, quoted
from fkit.tree.node import Node
from fkit.tree.path import Path, parse

__all__ = ["Table", "Work"]

Table = dict[str, Any]  # what is left of a mapping whose keys are taken one by one


class Work(NamedTuple):
    """The config as it was, without what is translated already, the new one, and the warnings.

    ``by_epoch`` and ``length`` are what several keys need to know: whether the run counts epochs, and how many steps it
    has.
    """

    source: Node
    old: Node
    new: Node
    notes: tuple[str, ...] = ()
    by_epoch: bool = True
    length: int | None = None

    def take(self, key: str) -> "tuple[Work, Any]":
        """The work without a top-level key of the old config, and that key's value (None where it is absent)."""
        if key not in self.old:
            return self, None
        return self._replace(old=tree.drop(self.old, (key,))), self.old[key]

    def take_table(self, key: str) -> "tuple[Work, Table | None]":
        """As `take`, for a key that holds a mapping.

        Raises:
            FkitValueError: it holds something else.
        """
        work, value = self.take(key)
        return work, None if value is None else self.table(key, value)

    def table(self, path: str, value: Any) -> Table:
        """A mapping of the old config, to take keys from; None is an empty one.

        Raises:
            FkitValueError: it is no mapping.
        """
        if value is not None and not isinstance(value, dict):
            raise self.fail(path, f"{path} = {quoted(tree.thaw(value))} is no mapping.")
        return dict(value or {})

    def whole(self, path: str, value: Any) -> int:
        """A whole number of the old config.

        Raises:
            FkitValueError: it is none.
        """
        if type(value) is not int:
            raise self.fail(path, f"{path} = {quoted(tree.thaw(value))} is no whole number.")
        return value

    def required(self, path: str, table: Table) -> Any:
        """A key that a table must have, taken from it; ``path`` ends with its name.

        Raises:
            FkitValueError: it is not there.
        """
        above, _, key = path.rpartition(".")
        if key not in table:
            raise self.fail(above, f"{above} has no {key}.")
        return table.pop(key)

    def read(self, path: str) -> Any:
        """The value at a path of the new config, or None."""
        return tree.get(self.new, path, None)

    def put(self, path: str, value: Any, source: str) -> "Work":
        """The work with a value in the new config, under the mark of the old path ``source``."""
        return self._replace(new=tree.put(self.new, path, value, self.mark(source)))

    def mark(self, path: str) -> Mark | None:
        """The mark of the last key of an old path, or of the nearest above it that has one."""
        return self._mark(parse(path))

    def _mark(self, keys: Path) -> Mark | None:
        node, mark = self.source, None
        for key in keys:
            mark = mark_of(node, key) or mark
            node = dict.get(node, key) if isinstance(node, dict) else None
        return mark

    def note(self, text: str, path: str) -> "Work":
        """The work with one more warning, about an old path."""
        mark = self.mark(path)
        return self._replace(notes=(*self.notes, f"{mark.place}: {text}" if mark else text))

    def leave(self, name: str, table: Table | None, why: str) -> "Work":
        """The work with a warning for each key that a table has left; None and False say nothing, so nothing is lost."""
        work = self
        for key, item in (table or {}).items():
            if item is not None and item is not False:
                mark = self._mark((*parse(name.partition(" ")[0]), key))
                text = f"{name}.{key} = {quoted(tree.thaw(item))} {why}"
                work = work._replace(notes=(*work.notes, f"{mark.place}: {text}" if mark else text))
        return work

    def fail(self, path: str, what: str, repair: str = "") -> FkitValueError:
        """The error of a key that has no translation."""
        mark = self.mark(path)
        return FkitValueError(what, path=path, origin=mark.place if mark is not None else None, repair=repair)
