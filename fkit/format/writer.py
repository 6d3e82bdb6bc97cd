"""YAML's writer: plain data and tuples as text, over libyaml's events where PyYAML has it."""

import base64
import contextlib
import datetime
import io
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, cast

from fkit.format.scalar import PREFIX, is_text, word_of_float
from fkit.format.value import plain
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["write_yaml"]

_DEPTH = 400
_ODD_ENDS = "\x85\u2028\u2029\ufeff"


def write_yaml(
    value: Any,
    *,
    sort_keys: bool = False,
    indent: int | None = None,
    width: int | None = None,
    default_flow_style: bool | None = False,
    allow_unicode: bool = True,
) -> str:
    """A value as YAML text that `read_yaml` reads as the same value, and PyYAML too.

    A part that stands in several places is written in each. Arrays and ranges are written as lists, numpy's scalars as
    numbers, dates as words, which `read_yaml` reads as text.

    Args:
        value: the value.
        sort_keys: whether keys are sorted, where they can be; else mappings keep their order.
        indent: blanks a level, 1 to 10.
        width: characters a line, about.
        default_flow_style: True writes in brackets, False (tuples aside) in lines, None in brackets what holds only
            words and numbers.
        allow_unicode: whether characters beyond ASCII are written as they are.

    Raises:
        FkitTypeError: a value has no form in YAML.
        FkitValueError: a value holds itself, or is nested too deeply; a text with half of a surrogate pair.

    Example:
        >>> print(write_yaml({"size": (2, 3), "lr": 1e-05, "text": "1e-05"}), end="")
        size: !!python/tuple [2, 3]
        lr: 1.0e-05
        text: '1e-05'
    """
    import yaml
    from yaml import events

    _check_layout(indent, width)
    stream = io.StringIO()
    kind: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper = kind(stream, indent=indent, width=width, allow_unicode=bool(allow_unicode))
    writer = _Writer(dumper.emit, sort_keys, default_flow_style)
    try:
        dumper.emit(events.StreamStartEvent())
        dumper.emit(events.DocumentStartEvent(explicit=False))
        writer.put(value, 0)
        dumper.emit(events.DocumentEndEvent(explicit=False))
        dumper.emit(events.StreamEndEvent())
    except UnicodeError:
        raise FkitValueError("A text has half of a surrogate pair, which YAML has no form for.") from None
    finally:
        dumper.dispose()
    return stream.getvalue()


class _Writer:
    """Emits the events of a value."""

    def __init__(self, emit: Callable[[Any], None], sort_keys: bool, flow: bool | None) -> None:
        from yaml import events

        self.events = events
        self.emit = emit
        self.sort_keys = sort_keys
        self.flow = flow

    def put(self, value: Any, depth: int) -> None:
        """Emit a value of any type that has a form."""
        if depth > _DEPTH:
            raise FkitValueError("The value is nested too deeply for YAML, or holds itself.")
        word = _word(value)
        if word is not None:
            is_plain = not isinstance(value, str) or is_text(value)
            # libyaml writes these line ends raw, and reads them as blanks
            style = '"' if isinstance(value, str) and any(end in value for end in _ODD_ENDS) else None
            self.emit(self.events.ScalarEvent(None, None, (is_plain, True), word, style=style))
        elif isinstance(value, bytes):
            word = base64.encodebytes(value).decode("ascii")
            self.emit(self.events.ScalarEvent(None, f"{PREFIX}binary", (False, False), word, style="|"))
        elif isinstance(value, (list, tuple)):
            self.sequence(cast("list[Any] | tuple[Any, ...]", value), depth)
        elif isinstance(value, AbstractSet):
            self.mapping(((item, None) for item in value), f"{PREFIX}set", False, depth)
        elif isinstance(value, dict):
            items: dict[Any, Any] = value
            flow = self.flow
            if flow is None:
                flow = all(_is_short(key) and _is_short(item) for key, item in items.items())
            self.mapping(items.items(), None, flow, depth)
        else:
            self.put(plain(value), depth + 1)

    def sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> None:
        """Emit a list, or a tuple, which is always in brackets."""
        flow, tag = self.flow, None
        if isinstance(value, tuple):
            flow, tag = True, f"{PREFIX}python/tuple"
        elif flow is None:
            flow = all(map(_is_short, value))
        self.emit(self.events.SequenceStartEvent(None, tag, tag is None, flow_style=flow))
        for item in value:
            self.put(item, depth + 1)
        self.emit(self.events.SequenceEndEvent())

    def mapping(self, items: Iterable[tuple[Any, Any]], tag: str | None, flow: bool, depth: int) -> None:
        """Emit a mapping, or a set."""
        pairs = list(items)
        if self.sort_keys or tag is not None:  # a set has no order that lasts
            with contextlib.suppress(TypeError):  # keys of several types
                pairs.sort(key=lambda pair: pair[0])
        self.emit(self.events.MappingStartEvent(None, tag, tag is None, flow_style=flow))
        for key, item in pairs:
            self.put(key, depth + 1)
            self.put(item, depth + 1)
        self.emit(self.events.MappingEndEvent())


def _word(value: Any) -> str | None:
    """The text of a scalar; None for what is none."""
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration too, the text
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        return word_of_float(float(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return None


def _digits(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise FkitValueError("An integer of more than 4300 digits has no form in YAML.") from None


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return not any(end in value for end in _ODD_ENDS)
    return value is None or isinstance(value, (bool, int, float))


def _check_layout(indent: Any, width: Any) -> None:
    for name, value in (("indent", indent), ("width", width)):
        if value is not None and (type(value) is not int or value < 1):
            raise FkitTypeError(f"`{name}` is a positive whole number, or None, not {value!r:.80}.")
