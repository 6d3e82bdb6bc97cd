"""Command-line words as changes of a config: ``model.depth=18``, ``scales='[(1,2),x]'``, ``my.key:='7'``."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from fkit.config.change.delta import merge, replace
from fkit.config.change.literal import literal
from fkit.config.change.option import overrides, path_of
from fkit.config.change.word import PREFIX, Word, listed, read_word, shell
from fkit.config.origin import Mark, chain
from fkit.tree.absent import ABSENT
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, quoted
from fkit.tree.node import Node, marks_of
from fkit.tree.path import Path, exact, show, step
from fkit.tree.tree import thaw

__all__ = ["Typed", "apply_words", "typed_words"]

N = TypeVar("N", bound=Node)


def apply_words(cfg: N, texts: Iterable[str]) -> N:
    """The config with the words merged in.

    An int and a float may replace each other (an int given for a float becomes one, and a float without a fraction
    given for an int becomes an int: ``2e1``), a list and a tuple may; None may become anything, and anything None.
    ``KEY:=VALUE`` replaces what stands there, whatever it is.

    Raises:
        FkitTypeError: another change of a leaf's type, without ``:=``; or words that are none.
        FkitError: what ``merge`` raises.

    Example:
        >>> apply_words(Node({"lr": 0.1, "l": [{"k": 1}]}), ["lr=1", "l[0].k=2e1", "m:={'a': '7'}"])
        Node({'lr': 1.0, 'l': [Node({'k': 20})], 'm': Node({'a': '7'})})
    """
    expect(cfg, Node, "`cfg` is a config")
    words = {word.key: word for word in map(read_word, listed(texts))}
    changes: dict[str, Any] = {}
    for word in words.values():
        keys = path_of(word.key)
        if keys[-1] == "_delete_":
            changes[word.key] = word.value
        else:
            if not any(show((*keys[:depth], "_delete_")) in words for depth in range(len(keys))):
                _check_place(cfg, keys, word)
            changes[word.key] = replace(_fitting(cfg, keys, word))._replace(mark=Mark(word.source, 0))
    return merge(cfg, overrides(changes, type(cfg), source=PREFIX.strip()))


def _at(cfg: Any, keys: Path) -> Any:
    try:
        for key in keys:
            cfg = step(cfg, key)
    except (KeyError, IndexError):
        return ABSENT
    return cfg


def _check_place(cfg: Node, keys: Path, word: Word) -> None:
    """Refuse a word that leads below a value that holds none."""
    for depth in range(1, len(keys)):
        above = _at(cfg, keys[:depth])
        if above is ABSENT or isinstance(above, (dict, list)):
            continue
        where = show(exact(cfg, keys[:depth]))
        value: Any = word.value
        for key in reversed(keys[depth:]):
            value = {key: value}
        repair = f"{_declared(where, literal(value))} replaces it."
        if isinstance(above, tuple):
            repair = f"A tuple is set whole: {_declared(where, literal(thaw(above)))} is what is there."
        raise FkitTypeError(
            f"{where} is {quoted(thaw(above))} ({_kind(above)}), so nothing can be set below it.",
            path=where,
            origin=word.place,
            repair=_since(cfg, keys[:depth]) + repair,
        )


def _fitting(cfg: Node, keys: Path, word: Word) -> Any:
    """The word's value, made to fit what it replaces."""
    old, new = _at(cfg, keys), word.value
    if word.declares or old is ABSENT or old is None or new is None:
        return new
    if type(old) is float and type(new) is int:
        return _as_float(new, word)
    if type(old) is int and type(new) is float and new.is_integer() and abs(new) <= 2**53:
        return int(new)
    kinds = ((int, float), (list, tuple)) if type(old) is not bool and type(new) is not bool else ()
    if isinstance(new, type(old)) and isinstance(new, bool) == isinstance(old, bool):
        return new
    if any(isinstance(old, kind) and isinstance(new, kind) for kind in kinds):
        return new
    if isinstance(old, list) and isinstance(new, list):
        return new
    what = f"{word.key} = {quoted(new)} ({_kind(new)}) replaces {quoted(thaw(old))} ({_kind(old)})."
    if isinstance(old, str):
        text = _declared(word.key, literal(word.written))
        repair = f"{text} is text; {_declared(word.key, word.written)} changes the type on purpose."
    elif isinstance(old, dict):
        repair = f"{_declared(word.key, word.written)} replaces the mapping; {word.key}.KEY=VALUE sets one of its keys."
    else:
        repair = f"{_declared(word.key, word.written)} changes the type on purpose."
    raise FkitTypeError(what, path=word.key, origin=word.place, repair=_since(cfg, keys) + repair)


def _declared(key: str, value: str) -> str:
    return shell(f"{key}:={value}")


def _as_float(new: int, word: Word) -> float:
    try:
        return float(new)
    except OverflowError:
        raise FkitTypeError(f"{word.key}: the number is too large for a float.", origin=word.place) from None


def _since(cfg: Node, keys: Path) -> str:
    settings = chain(cfg, keys)
    return f"It was set at {settings[0].place}. " if settings else ""


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else type(value).__name__


class Typed(NamedTuple):
    """A command-line word without ``:=`` that a config holds.

    Attributes:
        key: the path that it names.
        text: the word.
        new: whether nothing stood there before.
    """

    key: str
    text: str
    new: bool


def typed_words(cfg: Node) -> tuple[Typed, ...]:
    """The words merged into a config, but for those with ``:=``, for a run to judge whether they reach anything.

    Example:
        >>> [word[:] for word in typed_words(apply_words(Node({"a": {"b": 1}}), ["a.b=2", "a.c=3", "d:=4"]))]
        [('a.b', 'a.b=2', False), ('a.c', 'a.c=3', True)]
    """
    expect(cfg, Node, "`cfg` is a config")
    entries: dict[Typed, None] = {}
    _find(cfg, entries)
    return tuple(entries)


def _find(node: Any, entries: dict[Typed, None]) -> None:
    if isinstance(node, Node):
        for mark in (marks_of(node) or {}).values():
            if mark is not None and mark.file.startswith(PREFIX):
                try:
                    word = read_word(mark.file.removeprefix(PREFIX))
                except FkitError:
                    continue
                if not word.declares:
                    entries[Typed(word.key, word.text, not mark.past)] = None
        for value in node.values():
            _find(value, entries)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _find(value, entries)
