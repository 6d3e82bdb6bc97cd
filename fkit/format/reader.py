"""YAML's reader: plain data and ``!!python/tuple``, nothing that constructs an object.

It builds the value of libyaml's events, which is twice as fast as PyYAML's two steps, and calls itself for nothing: a
file nested deeply, or with aliases of aliases, is an error and not the end of the process.
"""

from collections.abc import Callable
from typing import Any

from fkit.format.encoding import decode
from fkit.format.scalar import PREFIX, of_tag, of_word, shown_tag, unread_tag
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitError, FkitValueError

__all__ = ["Charge", "MakeMapping", "read_yaml"]

Charge = Callable[[int], None]
MakeMapping = Callable[[dict[Any, Any], dict[Any, int]], Any]

_ALIASED = 1_000_000  # values that the aliases of one text may stand for
_COLLIDING = 1000  # keys of 60 bits: such numbers can be chosen to have one hash, and then a dict is slow
_SEQUENCES = ("seq", "python/tuple")
_MAPPINGS = ("map", "set")


def read_yaml(
    source: str | bytes,
    origin: str | None = None,
    *,
    mapping: MakeMapping | None = None,
    charge: Charge | None = None,
    depth: int = 400,
) -> Any:
    """The value of a YAML text of one document; of an empty one, None.

    A key twice in one mapping is an error, for one of the two values would be lost; a key over one of ``<<`` is none.

    Args:
        source: the text, or its bytes: UTF-8, or what a byte order mark says.
        origin: the file, for errors.
        mapping: makes the value of a mapping of its items and the lines of its keys; None leaves the dict.
        charge: is told of values as they are read, how many at a time (an alias counts for all it stands for); it
            raises when there are too many.
        depth: how many levels there may be.

    Raises:
        FkitValueError: no YAML, a tag that is not read, a key twice, a list as a key, an integer of more than 4,300
            digits, nested too deeply, or aliases that stand for millions of values.

    Example:
        >>> read_yaml("lr: 1e-3\\nsize: !!python/tuple [2, 3]")
        {'lr': 0.001, 'size': (2, 3)}
        >>> read_yaml("a: 1\\nb: 2\\na: 3", "x.yaml")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: x.yaml:3: The key 'a' stands twice in one mapping.
    """
    import yaml

    text = decode(source, origin)
    reader = _Reader(origin, mapping, charge, depth)
    try:
        return reader.read(getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text))
    except yaml.MarkedYAMLError as cause:
        line = cause.problem_mark.line + 1 if cause.problem_mark is not None else 1
        line = min(line, text.count("\n") + 1)  # libyaml sees a line's end after the last
        raise FkitValueError(f"This is no YAML: {cause.problem}.", origin=_place(origin, line)) from None
    except yaml.reader.ReaderError as cause:
        line = text.encode("utf-8", "surrogatepass")[: cause.position].count(b"\n") + 1
        raise FkitValueError(f"This is no YAML: {cause.reason}.", origin=_place(origin, line)) from None
    except yaml.YAMLError as cause:
        raise FkitValueError(f"This is no YAML: {cause!s:.200}.", origin=origin) from None
    except UnicodeError:
        raise FkitValueError("This is no YAML: half of a surrogate pair.", origin=origin) from None


class _Level:
    """A sequence or a mapping that is being read."""

    __slots__ = ("anchor", "before", "items", "key", "key_line", "line", "lines", "merged", "tag")

    def __init__(self, items: Any, tag: str, anchor: str | None, line: int, before: int) -> None:
        self.items = items
        self.tag = tag
        self.anchor = anchor
        self.line = line
        self.before = before  # values read before it
        self.key: Any = ABSENT  # whose value comes next
        self.key_line = 0
        self.lines: dict[Any, int] = {}
        self.merged: list[tuple[dict[Any, Any], dict[Any, int]]] = []  # what `<<` names: the later wins


class _Reader:
    """Builds a value of events."""

    def __init__(self, origin: str | None, mapping: MakeMapping | None, charge: Charge | None, depth: int) -> None:
        self.origin = origin
        self.mapping = mapping
        self.charge = charge
        self.depth = depth
        self.count = 0  # values so far, an alias for all it stands for
        self.aliased = 0
        self.colliding = 0
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.parts: dict[int, tuple[Any, dict[Any, Any], dict[Any, int]]] = {}  # of the mappings made, by identity

    def read(self, loader: Any) -> Any:
        """The value of the one document."""
        from yaml import events

        get = loader.get_event
        levels = [_Level([], "seq", None, 0, 0)]
        documents = 0
        while True:
            event = get()
            kind = type(event)
            if kind is events.ScalarEvent:
                value, line = self.scalar(event), event.start_mark.line + 1
                merges = value == "<<" and event.tag is None and event.implicit[0]
            elif kind is events.SequenceStartEvent or kind is events.MappingStartEvent:
                levels.append(self.level(event, kind is events.MappingStartEvent, len(levels)))
                continue
            elif kind is events.SequenceEndEvent or kind is events.MappingEndEvent:
                level = levels.pop()
                value, line, merges = self.close(level), level.line, False
            elif kind is events.AliasEvent:
                line = event.start_mark.line + 1
                value, merges = self.alias(event.anchor, line), False
            elif kind is events.StreamEndEvent:
                return levels[0].items[0] if levels[0].items else None
            else:
                documents += kind is events.DocumentStartEvent
                if documents > 1:
                    raise self.error("This is more than one YAML document.", event.start_mark.line + 1)
                continue
            level = levels[-1]
            if type(level.items) is list:
                level.items.append(value)
            elif level.key is ABSENT:
                self.key(level, value, line, merges)
            else:
                self.item(level, value)

    def scalar(self, event: Any) -> Any:
        """The value of a scalar: a plain word by its look, a quoted one as text."""
        self.count += 1
        try:
            if event.tag is None:
                value = of_word(event.value) if event.implicit[0] else event.value
            else:
                value = of_tag(event.tag, event.value)
        except FkitError as error:
            error.origin = _place(self.origin, event.start_mark.line + 1)
            raise
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        return value

    def level(self, event: Any, is_mapping: bool, depth: int) -> _Level:
        """A collection that begins."""
        line = event.start_mark.line + 1
        if depth > self.depth:
            raise self.error(f"The YAML is nested more than {self.depth} levels deep.", line)
        tags, other = (_MAPPINGS, _SEQUENCES) if is_mapping else (_SEQUENCES, _MAPPINGS)
        shown: str = event.tag or "!"
        tag = tags[0] if shown == "!" else shown.removeprefix(PREFIX)
        if tag in other:
            wants = "sequence" if is_mapping else "mapping"
            raise self.error(f"The YAML tag {shown_tag(shown)} wants a {wants}.", line)
        if tag not in tags:
            error = unread_tag(shown)
            error.origin = _place(self.origin, line)
            raise error
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # known, and not yet made
        self.count += 1
        return _Level({} if is_mapping else [], tag, event.anchor, line, self.count - 1)

    def close(self, level: _Level) -> Any:
        """The value of a collection that ends."""
        if self.charge is not None:
            self.charge(len(level.items) + 1)
        items, lines = level.items, level.lines
        if level.merged:
            items, lines = {}, {}
            for part_items, part_lines in (*level.merged, (level.items, level.lines)):
                items.update(part_items)
                lines.update(part_lines)
        value: Any = items
        if level.tag == "python/tuple":
            value = tuple(items)
        elif level.tag == "set":
            value = set(items)
        elif level.tag == "map" and self.mapping is not None:
            value = self.mapping(items, lines)
            self.parts[id(value)] = (value, items, lines)
        if level.anchor is not None:
            self.anchors[level.anchor] = (value, self.count - level.before)
        return value

    def alias(self, anchor: str, line: int) -> Any:
        """The value that an alias stands for: the very one."""
        entry = self.anchors.get(anchor, ABSENT)
        if entry is ABSENT:
            raise self.error(f"The YAML alias *{anchor} has no anchor before it.", line)
        if entry is None:
            raise self.error("The YAML holds itself by an alias.", line)
        value, weight = entry
        self.count += weight
        self.aliased += weight
        if self.aliased > _ALIASED:
            raise self.error(f"The YAML has more than {_ALIASED} values, aliases written out.", line)
        if self.charge is not None:
            self.charge(weight)
        return value

    def key(self, level: _Level, key: Any, line: int, merges: bool) -> None:
        """A key of a mapping; `<<` is one that names mappings."""
        level.key_line = line
        if merges:
            level.key = level.merged  # a mark that no key is
            return
        level.key = key
        if type(key) is str:
            return
        try:
            hash(key)
        except TypeError:
            raise self.error("A key of the YAML is a list or a mapping.", line) from None
        if isinstance(key, (int, float)) and not -(2**60) < key < 2**60:
            self.colliding += 1
            if self.colliding > _COLLIDING:
                raise self.error(f"The YAML has more than {_COLLIDING} keys of 60 bits.", line)

    def item(self, level: _Level, value: Any) -> None:
        """The value of the key that came before it."""
        key, level.key = level.key, ABSENT
        if key is level.merged:
            level.merged += self.merge(value, level.key_line)
            return
        if key in level.items:
            raise self.error(f"The key {key!r:.80} stands twice in one mapping.", level.key_line)
        level.items[key] = value
        if self.mapping is not None:
            level.lines[key] = level.key_line

    def merge(self, value: Any, line: int) -> list[tuple[dict[Any, Any], dict[Any, int]]]:
        """The mappings that `<<` names, the first of several last: it wins."""
        parts: list[tuple[dict[Any, Any], dict[Any, int]]] = []
        for part in reversed(value) if isinstance(value, list) else (value,):
            if id(part) in self.parts:
                parts.append(self.parts[id(part)][1:])
            elif isinstance(part, dict):
                parts.append((part, {}))
            else:
                raise self.error("The YAML's << wants a mapping, or a list of them.", line)
        return parts

    def error(self, what: str, line: int) -> FkitValueError:
        return FkitValueError(what, origin=_place(self.origin, line))


def _place(origin: str | None, line: int) -> str:
    return f"{origin}:{line}" if origin is not None else f"line {line}"
