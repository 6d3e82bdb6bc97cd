"""A mapping of the old config on its way: keys taken one by one, new ones under the marks of the old."""

from typing import Any

from fkit.config.origin import Mark
from fkit.tree.absent import ABSENT
from fkit.tree.error import quoted
from fkit.tree.node import Node, marks_of
from fkit.tree.tree import thaw

__all__ = ["Ledger", "Row"]


class Ledger:
    """What a translation of pipelines and datasets knows, and what it has to say.

    Args:
        kind: the class of the config's mappings.
        package: whose vocabulary it is: mmdet, mmseg, mmpretrain or mmpose.
        train: whether the data are for training.
        data_cfg: mmpose 0.x's settings of a dataset, which its pipeline reads.
    """

    def __init__(
        self, kind: type[Node], package: str | None, train: bool, data_cfg: Any = None, notes: list[str] | None = None
    ) -> None:
        self.kind, self.package, self.train, self.data_cfg = kind, package, train, data_cfg
        self.notes: list[str] = [] if notes is None else notes

    def of(self, data_cfg: Any) -> "Ledger":
        """The same for the pipeline of a dataset with settings of its own."""
        return Ledger(self.kind, self.package, self.train, data_cfg, self.notes)

    def row(self, node: Any) -> "Row":
        """A mapping to be rewritten."""
        return Row(self, node)

    def new(self, like: "Row", **items: Any) -> Any:
        """A new mapping in the place of an old one, under its first mark."""
        row = self.row({})
        mark = next(iter(like.old_marks.values()), None)
        for key, value in items.items():
            row.items[key] = value
            if mark is not None:
                row.marks[key] = mark
        return row.node()

    def say(self, row: "Row", key: str, text: str) -> None:
        """A warning about a key of an old mapping."""
        mark = row.old_marks.get(key) or next(iter(row.old_marks.values()), None)
        self.notes.append(f"{mark.place}: {text}" if mark is not None else text)


class Row:
    """One mapping: ``old`` loses what is taken, ``items`` gains what is put, `node` is the new mapping."""

    def __init__(self, ledger: Ledger, node: Any) -> None:
        self.ledger = ledger
        self.old: dict[str, Any] = dict(node)
        self.old_marks: dict[Any, Mark] = dict((marks_of(node) if isinstance(node, Node) else None) or {})
        self.items: dict[str, Any] = {}
        self.marks: dict[str, Mark] = {}

    @property
    def name(self) -> str:
        """The type, as text."""
        return str(self.old.get("type", self.items.get("type", "?")))

    def take(self, key: str, default: Any = None) -> Any:
        """The value of an old key, which is taken."""
        return self.old.pop(key, default)

    def put(self, key: str, value: Any, source: str | None = None) -> "Row":
        """Set a new key, under the mark of the old key ``source``, by default of the same name, or of ``type``."""
        self.items[key] = value
        mark = self.old_marks.get(source or key) or self.old_marks.get("type")
        if mark is not None:
            self.marks[key] = mark
        return self

    def rename(self, old: str, new: str) -> "Row":
        """An old key under its new name, where it is there."""
        value = self.old.pop(old, ABSENT)
        return self if value is ABSENT else self.put(new, value, old)

    def drop(self, *keys: str, why: str = "") -> "Row":
        """Old keys that have no counterpart; said, with the reason, where there is one and a value that counts."""
        for key in keys:
            value = self.old.pop(key, None)
            if why and value is not None and value is not False:
                self.ledger.say(self, key, f"{self.name}: {key} = {quoted(thaw(value))} {why}")
        return self

    def node(self) -> Any:
        """The new mapping: what was put, and what of the old was not taken."""
        items, marks = {**self.items}, {**self.marks}
        for key, value in self.old.items():
            if key not in items:
                items[key] = value
                if key in self.old_marks:
                    marks[key] = self.old_marks[key]
        first = {"type": items.pop("type")} if "type" in items else {}
        frozen = self.ledger.kind({**first, **items})
        return self.ledger.kind.of(dict(frozen), {key: mark for key, mark in marks.items() if key in frozen} or None)
