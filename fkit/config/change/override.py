"""Command-line words -> changes of a config: ``model.depth=18``, ``scales='[(1,2),x]'``, ``my.key:=1``."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from fkit.config.change.delta import Sourced, merge, overrides
from fkit.config.origin import Mark, chain
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.node import Node, marks_of
from fkit.tree.path import parse, step
from fkit.tree.tree import thaw

__all__ = ["Word", "add_option", "apply_words", "read_value", "read_word", "read_words", "undeclared"]

_PREFIX = "--cfg-options "
N = TypeVar("N", bound=Node)


class Word(NamedTuple):
    """One word of the command line."""

    key: str
    value: Any
    declares: bool  # `:=`: a new key, or another type, is meant
    text: str

    @property
    def source(self) -> str:
        """What origins name as its place."""
        return _PREFIX + self.text


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--cfg-options KEY=VALUE ...``; repeated, the words add up."""
    help_text = "change the config: KEY=VALUE, with dots and indices in KEY; KEY:=VALUE declares a new key"
    parser.add_argument("--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", help=help_text)


def read_word(text: str) -> Word:
    """The key and the value of a word.

    Raises:
        FkitValueError: no ``=``, or brackets that do not match.

    Example:
        >>> read_word("model.depth=18")[:3], read_word("a.b:=[1,x]")[:3]
        (('model.depth', 18, False), ('a.b', [1, 'x'], True))
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise FkitValueError(f"{text!r} is no KEY=VALUE.", origin=_PREFIX.strip(), repair="Write model.depth=18.")
    declares = key.endswith(":")
    try:
        found = read_value(value)
    except FkitError as error:
        error.origin = _PREFIX + text
        raise
    return Word(key[:-1] if declares else key, found, declares, text)


def read_words(texts: Iterable[str]) -> dict[str, Any]:
    """The changes of several words; the last of those with one key holds.

    Example:
        >>> read_words(["a=1", "b.c=x y", "a=(1,2)"])
        {'a': (1, 2), 'b.c': 'xy'}
    """
    return {word.key: word.value for word in map(read_word, texts)}


def read_value(text: str) -> Any:
    """The value of a word, in the grammar of mmengine's DictAction: quotes at the ends and all blanks go.

    Raises:
        FkitValueError: brackets that do not match.

    Example:
        >>> read_value("1e-3"), read_value("[(1,2),x]"), read_value("true"), read_value("'7'"), read_value("a,b")
        (0.001, [(1, 2), 'x'], True, 7, ['a', 'b'])
    """
    text = text.strip("'\"").replace(" ", "")
    tupled = text.startswith("(") and text.endswith(")")
    if tupled or (text.startswith("[") and text.endswith("]")):
        inside = text[1:-1]
    elif "," not in text:
        return _scalar(text)
    else:
        inside = text
    values: list[Any] = []
    for part in _split(inside):
        if part == text:
            raise FkitValueError(
                f"The value {text!r} has a comma that separates nothing.", repair="Put [ and ] round a list of lists."
            )
        values.append(read_value(part))
    return tuple(values) if tupled else values


def _split(text: str) -> Iterator[str]:
    """The parts between the commas outside of brackets; a comma at the end begins no part."""
    while text:
        if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
            raise FkitValueError(f"The brackets of {text!r} do not match.")
        end = _next_comma(text)
        yield text[:end]
        text = text[end + 1 :]


def _next_comma(text: str) -> int:
    round_, square = 0, 0
    for at, char in enumerate(text):
        if char == "," and round_ == 0 and square == 0:
            return at
        round_ += (char == "(") - (char == ")")
        square += (char == "[") - (char == "]")
    return len(text)


def _scalar(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return None if text == "None" else text


def apply_words(cfg: N, texts: Iterable[str]) -> N:
    """The config with the words merged in.

    An int and a float may replace each other (an int given for a float becomes one), a list and a tuple may; None may
    become anything, and anything None.

    Raises:
        FkitTypeError: another change of a leaf's type, without ``:=``.
        FkitError: what ``merge`` raises.

    Example:
        >>> apply_words(Node({"lr": 0.1, "l": [{"k": 1}]}), ["lr=1", "l.0.k=2"])
        Node({'lr': 1.0, 'l': [Node({'k': 2})]})
    """
    words = {word.key: word for word in map(read_word, texts)}
    changes: dict[str, Any] = {}
    for word in words.values():
        value = _fitting(cfg, word)
        plain = word.key.rpartition(".")[2] == "_delete_"
        changes[word.key] = value if plain else Sourced(value, Mark(word.source, 0))
    return merge(cfg, overrides(changes, type(cfg), source=_PREFIX.strip()))


def _fitting(cfg: Node, word: Word) -> Any:
    """The word's value, made to fit what it replaces."""
    old: Any = cfg
    keys = parse(word.key) if "['" in word.key or '["' in word.key else tuple(word.key.split("."))
    try:
        for key in keys:
            old = step(old, key)
    except (KeyError, IndexError):
        return word.value
    new = word.value
    if word.declares or old is None or new is None:
        return new
    if type(old) is float and type(new) is int:
        return float(new)
    kinds = ((int, float), (list, tuple)) if type(old) is not bool and type(new) is not bool else ()
    if isinstance(new, type(old)) and isinstance(new, bool) == isinstance(old, bool):
        return new
    if any(isinstance(old, kind) and isinstance(new, kind) for kind in kinds):
        return new
    if isinstance(old, list) and isinstance(new, list):
        return new
    what = f"{word.key} = {quoted(new)} ({type(new).__name__}) replaces {quoted(thaw(old))} ({_kind(old)})."
    settings = chain(cfg, keys)
    repair = f"{word.key}:={word.text.partition('=')[2]} changes the type on purpose."
    if settings:
        repair = f"It was set at {settings[0].place}. {repair}"
    raise FkitTypeError(what, path=word.key, origin=word.source, repair=repair)


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else type(value).__name__


def undeclared(cfg: Node) -> tuple[tuple[str, str], ...]:
    """The keys that command-line words made new without ``:=``: (key, word) each, for ``fkit.plan`` to judge.

    Example:
        >>> undeclared(apply_words(Node({"a": {"b": 1}}), ["a.b=2", "a.c=3", "d:=4"]))
        (('a.c', 'a.c=3'),)
    """
    found: list[tuple[str, str]] = []
    _find_new(cfg, found)
    return tuple(dict.fromkeys(found))


def _find_new(node: Any, found: list[tuple[str, str]]) -> None:
    if isinstance(node, Node):
        for mark in (marks_of(node) or {}).values():
            if mark is not None and mark.file.startswith(_PREFIX) and not mark.overrode:
                word = mark.file.removeprefix(_PREFIX)
                key = word.partition("=")[0]
                if not key.endswith(":"):
                    found.append((key, word))
        for value in node.values():
            _find_new(value, found)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _find_new(value, found)
