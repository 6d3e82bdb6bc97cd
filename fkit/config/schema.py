"""What a table of keys may hold, as values: one description checks a config, fills it in, and documents it."""

import math
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar, cast

from fkit.config.origin import chain
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted, slip_of
from fkit.tree.node import Node, freeze, marks_of, meta_of
from fkit.tree.path import Path, show

__all__ = [
    "ANYTHING", "FLAG", "NOTHING", "PART", "TEXT", "Key", "Shape", "check", "choice", "either", "filled", "is_several", "listed",
    "mapped", "number", "origin_at", "placed", "rows", "shape_at", "table", "whole",
]  # fmt: skip

N = TypeVar("N", bound=Node)


@dataclass(frozen=True)
class Shape:
    """What a value may be.

    Attributes:
        words: it, in the user's words: "a whole number of at least 1".
        kinds: the classes it may have; a bool is no number.
        least: no number below it.
        most: no number above it.
        below: no number from it on.
        above: no number up to it.
        infinite: whether a number may be infinite.
        choices: the texts it may be.
        filled: whether a text or a list may not be empty.
        methods: what an object must have.
        but: classes that it may not have, though they have these methods.
        places: what the items of a list with so many places may be.
        keys: of a table that takes no others.
        none: whether None may stand in such a table for a key's default.
        several: whether a mapping of such tables, under names of the user's own, may stand in its place; it is told by
            having none of the keys that a table must have.
        item: what a list's items, or the values of a mapping with free keys, may be.
        part: a mapping that something is built from: what is built knows its keys.
        options: shapes of which it may have any.
    """

    words: str
    kinds: tuple[type, ...] = (object,)
    least: float | None = None
    most: float | None = None
    below: float | None = None
    above: float | None = None
    infinite: bool = False
    choices: tuple[str, ...] = ()
    filled: bool = False
    methods: tuple[str, ...] = ()
    but: tuple[type, ...] = ()
    places: "tuple[Shape, ...]" = ()
    keys: "tuple[Key, ...]" = ()
    none: bool = True
    several: bool = False
    item: "Shape | None" = None
    part: bool = False
    options: "tuple[Shape, ...]" = ()


class Key(NamedTuple):
    """One key of a table.

    Attributes:
        name: the key.
        shape: what it may hold.
        default: what holds where it is not set, or None.
        doc: what it is, one line.
        required: whether the table is worth nothing without it.
    """

    name: str
    shape: Shape
    default: Any = None
    doc: str = ""
    required: bool = False


ANYTHING = Shape("any value")
NOTHING = Shape("None", (type(None),))
FLAG = Shape("True or False", (bool,))
TEXT = Shape("text", (str,), filled=True)
PART = Shape("a mapping with 'type'", (Mapping,), part=True)


def whole(least: int | None = None) -> Shape:
    """A whole number.

    Example:
        >>> whole(1).words
        'a whole number of at least 1'
    """
    return Shape("a whole number" + _bounds(least), (numbers.Integral,), least)


def number(
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
    *,
    above: float | None = None,
    infinite: bool = False,
) -> Shape:
    """A number; not nan, and not infinite unless ``infinite``.

    Example:
        >>> number(0, below=1).words, number(0, 1).words, number(above=0).words
        ('a number of at least 0, below 1', 'a number of at least 0, at most 1', 'a number above 0')
    """
    words = "a number" + _bounds(least, most, below, above)
    return Shape(words, (numbers.Real,), least, most, below, above, infinite)


def choice(*words: str) -> Shape:
    """One of several texts."""
    return Shape(" or ".join(repr(word) for word in words), (str,), choices=words)


def listed(item: Shape, words: str, *, filled: bool = False) -> Shape:
    """A list or a tuple of items of one shape."""
    return Shape(words, (list, tuple), item=item, filled=filled)


def placed(words: str, *places: Shape) -> Shape:
    """A list or a tuple with a shape for each place."""
    return Shape(words, (list, tuple), places=places)


def mapped(item: Shape, words: str) -> Shape:
    """A mapping with keys of the user's own."""
    return Shape(words, (Mapping,), item=item)


def table(*keys: Key, none: bool = True, several: bool = False) -> Shape:
    """A mapping that takes these keys and no others; where ``none``, None stands for the default of any."""
    return Shape("a mapping", (Mapping,), keys=keys, none=none, several=several)


def is_several(value: Any, shape: Shape) -> bool:
    """Whether a value is a mapping of tables where one such table may stand.

    Example:
        >>> one = table(Key("type", TEXT, required=True), several=True)
        >>> is_several({"a": {"type": "A"}}, one), is_several({"type": "A"}, one)
        (True, False)
    """
    if not shape.several or not isinstance(value, Mapping):
        return False
    tables = cast("Mapping[str, Any]", value)
    needed = {key.name for key in shape.keys if key.required}
    return not needed & tables.keys() and any(
        isinstance(one, Mapping) and needed <= one.keys() for one in tables.values()
    )


def either(*options: Shape, words: str = "") -> Shape:
    """What has any of these shapes; the first whose class fits is the one that is meant."""
    return Shape(words or " or ".join(option.words for option in options), options=options)


def _bounds(
    least: float | None, most: float | None = None, below: float | None = None, above: float | None = None
) -> str:
    bounds = (("of at least", least), ("at most", most), ("below", below), ("above", above))
    words = ", ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
    return f" {words}" if words else ""


def check(value: Any, shape: Shape, path: Path = (), cfg: Any = None, lead: str = "") -> None:
    """Refuse a value of another shape, with the path of the very part that is wrong.

    Args:
        path: where the value stands.
        cfg: the whole config in which the path leads to it; says the file and line.
        lead: words before the path.

    Raises:
        FkitTypeError: a value is of another kind, or a table has a key that it does not take.
        FkitKeyError: a table lacks a key that it needs.
        FkitValueError: it is outside its bounds.

    Example:
        >>> loop = table(Key("max_epochs", whole(1)))
        >>> check({"max_epochs": 0}, loop, ("train_cfg",))
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: train_cfg.max_epochs = 0 is not a whole number of at least 1.
    """
    if shape.options:
        meant = next((option for option in shape.options if _is_kind(value, option)), None)
        if meant is None:
            raise _wrong(FkitTypeError, value, shape, path, cfg, lead)
        return check(value, meant, path, cfg, lead)
    if not _is_kind(value, shape):
        raise _wrong(FkitTypeError, value, shape, path, cfg, lead)
    if not _is_within(value, shape):
        raise _wrong(FkitValueError, value, shape, path, cfg, lead)
    if is_several(value, shape):
        known = {key.name: key.shape for key in shape.keys}
        for name, one in value.items():
            if one is not None or name not in known:
                check(one, known.get(name, replace(shape, several=False)), (*path, name), cfg, lead)
        return None
    if shape.part:
        _check_type(value, path, cfg, lead)
    if shape.keys:
        _check_table(value, shape, path, cfg, lead)
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value) if _is_list(value) else ():
        inner = shape.places[key] if shape.places else shape.item
        if inner is not None:
            check(item, inner, (*path, key), cfg, lead)
    return None


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_kind(value: Any, shape: Shape) -> bool:
    if isinstance(value, bool) and bool not in shape.kinds and object not in shape.kinds:
        return False
    fits = isinstance(value, shape.kinds) and not isinstance(value, shape.but)
    return fits and all(hasattr(value, name) for name in shape.methods)


def _is_within(value: Any, shape: Shape) -> bool:
    if numbers.Integral in shape.kinds or numbers.Real in shape.kinds:
        return (
            (numbers.Integral in shape.kinds or _is_finite(value) or (shape.infinite and value == math.inf))
            and (shape.least is None or value >= shape.least)
            and (shape.most is None or value <= shape.most)
            and (shape.below is None or value < shape.below)
            and (shape.above is None or value > shape.above)
        )
    if shape.choices and value not in shape.choices:
        return False
    return (not shape.filled or len(value) > 0) and (not shape.places or len(value) == len(shape.places))


def _is_finite(value: Any) -> bool:
    """Whether a number is one that a float can hold."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_type(part: Mapping[str, Any], path: Path, cfg: Any, lead: str) -> None:
    """Refuse a part without a type where a key may be a slip for it; what is built from one says the other faults."""
    repair = slip_of("type", part) if "type" not in part else ""
    if repair:
        raise FkitKeyError(
            f"{lead}{show(path) if path else 'the value'} has no key 'type': {quoted(part)}.",
            path=show(path), origin=origin_at(cfg, path), repair=repair,
        )  # fmt: skip


def _check_table(value: Any, shape: Shape, path: Path, cfg: Any, lead: str) -> None:
    known = {key.name: key for key in shape.keys}
    for name, item in value.items():
        if name not in known:
            raise FkitTypeError(
                f"{lead}{show((*path, name))} is unknown.",
                path=show((*path, name)),
                origin=origin_at(cfg, (*path, name)),
                value=str(name),
                choices=tuple(known),
                label="Keys",
            )
        if item is not None or not shape.none:
            check(item, known[name].shape, (*path, name), cfg, lead)
    for key in shape.keys:
        if key.required and value.get(key.name) is None:
            raise FkitKeyError(
                f"{lead}{show((*path, key.name))} is missing: {key.shape.words} is needed.",
                path=show((*path, key.name)),
                origin=origin_at(cfg, (*path, key.name)),
                repair=key.doc,
            )


def _wrong(kind: type[FkitError], value: Any, shape: Shape, path: Path, cfg: Any, lead: str) -> FkitError:
    text = isinstance(value, str)
    kinds = (*shape.kinds, *(kind for option in shape.options for kind in option.kinds))
    counts = numbers.Integral in kinds or numbers.Real in kinds
    choices = shape.choices or tuple(word for option in shape.options for word in option.choices)
    at, repair = show(path) if path else "the value", ""
    what = f"{lead}{at} = {quoted(value)} is not {shape.words}."
    if shape.filled and kind is FkitValueError and not len(value):
        what = f"{lead}{at} = {quoted(value)} is empty: {shape.words} is needed."
    elif text and choices:
        what = f"{lead}{at} = {quoted(value)} is unknown."
    elif text and counts and kind is FkitTypeError:
        what = f"{lead}{at} = {quoted(value)} is text, not {shape.words}."
        repair = "Write it without quotes; in YAML, 1e-3 is a number only as 1.0e-3."
    elif any(one.part or (one.item is not None and one.item.part) for one in (shape, *shape.options)):
        repair = "Say dict(type=...)."
    elif shape.kinds == (str,) and not text and not choices:
        repair = f"Write it in quotes: {str(value)!r}." if isinstance(value, numbers.Real) else ""
    return kind(
        what,
        path=show(path),
        origin=origin_at(cfg, path),
        value=value if text else None,
        choices=choices,
        repair=repair,
    )


def origin_at(cfg: Any, path: Path) -> str | None:
    """``file:line`` of what stands at a path of a config, or, where nothing does, of the nearest table around it; None where
    nobody knows, or there is no config."""
    for depth in range(len(path), 0, -1) if isinstance(cfg, Node) else ():
        settings = chain(cfg, path[:depth])
        if settings:
            return settings[0].place
    return None


def filled(node: N, keys: tuple[Key, ...]) -> N:
    """The table with the default of every key that it lacks, in the tables inside it too; who set what stays known.

    Example:
        >>> import fkit
        >>> loop = Key("train_cfg", table(Key("val_interval", whole(1), 1), Key("max_epochs", whole(1))))
        >>> filled(fkit.Config({"train_cfg": {"max_epochs": 3}}), (loop, Key("dtype", TEXT, "float32")))
        {'train_cfg': {'max_epochs': 3, 'val_interval': 1}, 'dtype': 'float32'}
    """
    kind = type(node)
    for key in keys:
        value = node.get(key.name)
        new = freeze(key.default, kind) if value is None else value
        if is_several(new, key.shape):
            for name, one in cast(N, new).items():
                if name not in {each.name for each in key.shape.keys}:
                    new = with_value(cast(N, new), name, filled(cast(N, one), key.shape.keys))
        elif key.shape.keys and isinstance(new, Node):
            new = filled(cast(N, new), key.shape.keys)
        if new is not value:
            node = with_value(node, key.name, new)
    return node


def with_value(node: N, name: str, value: Any) -> N:
    """The node with one value; who set it, where somebody did, is still known."""
    return node.of({**node, name: value}, marks_of(node), meta_of(node))


def rows(keys: tuple[Key, ...], above: str = "") -> Iterator[tuple[str, Key]]:
    """Every key with its path, those of the tables inside it after it.

    Example:
        >>> [path for path, _ in rows((Key("a", table(Key("b", FLAG))), Key("c", FLAG)))]
        ['a', 'a.b', 'c']
    """
    for key in keys:
        path = f"{above}.{key.name}" if above else key.name
        yield path, key
        yield from rows(key.shape.keys, path)


def shape_at(keys: tuple[Key, ...], path: Path) -> Shape | None:
    """The shape of what stands at a path; None where it is described nowhere, or inside a part.

    Example:
        >>> shape_at((Key("a", table(Key("b", FLAG))),), ("a", "b")).words
        'True or False'
    """
    shape: Shape | None = table(*keys)
    for name in path:
        if shape is None:
            return None
        key = next((key for key in shape.keys if key.name == name), None)
        shape = key.shape if key is not None else shape if shape.several else shape.item
    return shape
