"""A grid of changes: the words of a sweep, and the points that they span."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from fkit.config.change.word import listed, read_word, split_commas, split_key
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError, nearest, quoted
from fkit.tree.path import parse, show

__all__ = ["Axis", "Point", "grid", "is_axis", "named_in", "read_axis"]

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_UNSAFE = re.compile(r"[^\w.,=+()\[\]-]+")
_MOST = 10_000  # points; more is a slip of the finger


class Axis(NamedTuple):
    """One key of a sweep, and the words of its values: each reads as ``--cfg-options`` reads it.

    Attributes:
        key: the path, as it was written.
        words: ``KEY=VALUE`` of each value.
        texts: the values, as they were written.
    """

    key: str
    words: tuple[str, ...]
    texts: tuple[str, ...]


class Point(NamedTuple):
    """One config of a sweep.

    Attributes:
        name: of its folder: "seed=0,lr=1e-3".
        words: what it changes, as ``--cfg-options`` takes it.
        changes: {path: value}.
        labels: {short name of the axis: the value, as it was written}.
    """

    name: str
    words: tuple[str, ...]
    changes: Mapping[str, Any]
    labels: Mapping[str, str]


def is_axis(text: str) -> bool:
    """Whether a word of the command line is an axis, and no config's name.

    Example:
        >>> is_axis("seed=0..7"), is_axis("configs/digits/mlp.py")
        (True, False)
    """
    expect(text, str, "A word is a string")
    return "=" in text


def read_axis(text: str) -> Axis:
    """An axis: ``KEY=A,B,C`` has these values, ``KEY=0..7`` the whole numbers from 0 to 7, ``KEY:=...`` exact ones.

    A value with a comma of its own stands in brackets: ``scale=(320,320),(640,640)``.

    Raises:
        FkitTypeError: the word is no string.
        FkitValueError: it is no KEY=VALUES, a range is empty, or a value is there twice.

    Example:
        >>> read_axis("seed=0..2").words, read_axis("optimizer.lr=1e-3,3e-3").texts
        (('seed=0', 'seed=1', 'seed=2'), ('1e-3', '3e-3'))
    """
    key, declares, written = split_key(text)
    sign = ":=" if declares else "="
    found = _RANGE.fullmatch(written.strip())
    if found is not None:
        first, last = (int(number) for number in found.groups())
        if last < first or last - first >= _MOST:
            raise FkitValueError(
                f"{quoted(text)}: a range goes up, over less than {_MOST:,} numbers.", repair=f"Write {key}=0..7."
            )
        texts = tuple(str(number) for number in range(first, last + 1))
    else:
        texts = tuple(part.strip() for part in split_commas(written))
    if not texts or "" in texts:
        raise FkitValueError(f"{quoted(text)} names no value.", repair=f"Write {key}=1,2,3.")
    words = tuple(f"{key}{sign}{one}" for one in texts)
    values = [repr(read_word(one).value) for one in words]
    twice = next((texts[place] for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise FkitValueError(f"{quoted(text)}: the value {twice} is there twice.")
    return Axis(key, words, texts)


def grid(axes: Iterable[Axis]) -> tuple[Point, ...]:
    """All points of a grid: the last axis changes fastest.

    Raises:
        FkitTypeError: what is no axis.
        FkitValueError: no axis, one key twice, more points than anybody means, or two of one name.

    Example:
        >>> [point.name for point in grid([read_axis("seed=0..1"), read_axis("optimizer.lr=1e-3,3e-3")])][:3]
        ['seed=0,lr=1e-3', 'seed=0,lr=3e-3', 'seed=1,lr=1e-3']
    """
    rows = listed(axes)
    for axis in rows:
        expect(axis, Axis, "an axis of a grid is what read_axis gives")
    keys = [axis.key for axis in rows]
    if not keys:
        raise FkitValueError("a sweep has at least one axis.", repair="Write seed=0..7, say.")
    twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
    if twice is not None:
        raise FkitValueError(f"the key {twice!r} is there twice.", repair=f"Write {twice}=1,2,3: one word an axis.")
    count = 1
    for axis in rows:
        count *= len(axis.words)
    if count > _MOST:
        raise FkitValueError(f"a sweep of {count:,} configs: at most {_MOST:,}.")
    short = _short(keys)
    points = tuple(_point(rows, short, places) for places in itertools.product(*(range(len(a.words)) for a in rows)))
    seen: dict[str, Point] = {}
    for point in points:
        other = seen.setdefault(point.name, point)
        if other is not point:
            raise FkitValueError(
                f"{' '.join(other.words)} and {' '.join(point.words)} would share a folder {point.name!r}."
            )
    return points


def named_in(tree: Mapping[str, Any], axis: Axis, known: Iterable[str] = ()) -> Axis:
    """The axis by its whole path: a key that a config does not have is taken for the end of the one path that ends so.

    Args:
        tree: the config.
        known: top-level keys that a config need not have.

    Raises:
        FkitKeyError: no path ends so, or several.

    Example:
        >>> tree = {"optim_wrapper": {"optimizer": {"lr": 0.1}}}
        >>> named_in(tree, read_axis("optimizer.lr=1,2")).key
        'optim_wrapper.optimizer.lr'
    """
    expect(tree, Mapping, "`tree` is a mapping")
    expect(axis, Axis, "`axis` is what read_axis gives")
    parts = parse(axis.key)
    if parts[0] in set(known) or _has(tree, parts):
        return axis
    paths = list(_paths(tree, ()))
    ends = [show(path) for path in paths if path[-len(parts) :] == parts]
    if len(ends) == 1:
        return axis._replace(
            key=ends[0], words=tuple(ends[0] + word[len(axis.key) :] for word in axis.words)
        )  # what follows the key stays as it was written
    if ends:
        raise FkitKeyError(
            f"{axis.key!r} may be {len(ends)} keys of the config.", choices=tuple(ends), label="They are"
        )
    near = nearest(axis.key, [show(path) for path in paths] + [show(path[-len(parts) :]) for path in paths])
    raise FkitKeyError(
        f"the config has no key {axis.key!r}.",
        repair=f"Did you mean {near!r}?" if near else "`fkit config show CONFIG` lists its keys.",
    )


def _has(tree: Any, parts: Sequence[Any]) -> bool:
    for part in parts:
        if isinstance(tree, Mapping):
            here = cast("Mapping[Any, Any]", tree)
            if part not in here:
                return False
            tree = here[part]
        elif isinstance(tree, Sequence) and not isinstance(tree, str) and str(part).isdecimal():
            row = cast("Sequence[Any]", tree)
            if int(part) >= len(row):
                return False
            tree = row[int(part)]
        else:
            return False
    return True


def _paths(tree: Mapping[Any, Any], lead: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for key, value in tree.items():
        yield (*lead, key)
        if isinstance(value, Mapping):
            yield from _paths(cast("Mapping[Any, Any]", value), (*lead, key))


def _short(keys: Sequence[str]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    paths = [parse(key) for key in keys]
    for length in range(1, max(map(len, paths)) + 1):
        names = [show(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return list(keys)


def _point(axes: Sequence[Axis], short: Sequence[str], places: Sequence[int]) -> Point:
    words = tuple(axis.words[place] for axis, place in zip(axes, places, strict=True))
    labels = {name: axis.texts[place] for name, axis, place in zip(short, axes, places, strict=True)}
    changes = {word.key: word.value for word in map(read_word, words)}
    name = _UNSAFE.sub("_", ",".join(f"{key}={text}" for key, text in labels.items())).strip(".")
    if len(name) > 200:
        raise FkitError(
            f"the name of a run would be {len(name)} letters long: {name[:60]}...", repair="Use fewer axes."
        )
    return Point(name, words, changes, labels)
