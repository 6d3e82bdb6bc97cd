"""Command-line words, read and written: ``KEY=VALUE`` as OpenMMLab reads it, ``KEY:=VALUE`` exact."""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from fkit.config.change.literal import DEPTH, literal, read_literal, scalar
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.path import parse, show

__all__ = [
    "PREFIX",
    "Word",
    "listed",
    "read_value",
    "read_word",
    "read_words",
    "shell",
    "split_commas",
    "split_key",
    "write_words",
]

PREFIX = "--cfg-options "
_SHOWN = 120  # characters of a word in an error
_QUOTED_KEY = re.compile(r"\['(?:[^'\\]|\\.)*'\]|\[\"(?:[^\"\\]|\\.)*\"\]", re.DOTALL)  # as in a.b['c=d'].e
_IN_QUOTES = re.compile(r"[\"$`\\!]")  # what a shell reads between double quotes


class Word(NamedTuple):
    """One word of the command line."""

    key: str
    value: Any
    declares: bool  # `:=`: a new key, or another type, is meant
    text: str

    @property
    def source(self) -> str:
        """What origins name as its place."""
        return PREFIX + self.text

    @property
    def place(self) -> str:
        """How errors name it."""
        return _place(self.text)

    @property
    def written(self) -> str:
        """The value as it was written."""
        return split_key(self.text)[2]


def _place(text: str) -> str:
    return PREFIX + (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def split_key(text: str) -> tuple[str, bool, str]:
    """The key, whether it declares, and the value: what stands round the first ``=`` outside of quoted keys.

    Raises:
        FkitValueError: there is no key, or no ``=``.

    Example:
        >>> split_key("a['b=c']:=1")
        ("a['b=c']", True, '1')
    """
    expect(text, str, "A word is a string KEY=VALUE")
    at = 0
    while at < len(text) and text[at] != "=":
        quoted_key = _QUOTED_KEY.match(text, at) if text[at] == "[" else None
        at = at + 1 if quoted_key is None else quoted_key.end()
    if at == len(text):
        raise FkitValueError(f"{quoted(text)} is no KEY=VALUE.", origin=PREFIX.strip(), repair="Write model.depth=18.")
    declares = text[:at].endswith(":")
    key = text[: at - 1] if declares else text[:at]
    if declares and not key.strip():
        raise FkitValueError(f"{quoted(text)} names no key.", origin=PREFIX.strip(), repair="Write model.depth=18.")
    return key, declares, text[at + 1 :]


def read_word(text: str) -> Word:
    """The key and the value of a word.

    Raises:
        FkitTypeError: the word is no string.
        FkitValueError: no key, no ``=``, or brackets that do not match.

    Example:
        >>> read_word("model.depth=18")[:3], read_word("a.b:={'x': [1, '7', y z]}")[:3]
        (('model.depth', 18, False), ('a.b', {'x': [1, '7', 'y z']}, True))
    """
    expect(text, str, "A word is a string KEY=VALUE", "cfg.merge takes values.")
    key, declares, value = split_key(text)
    try:
        parsed = read_literal(value) if declares else read_value(value)
    except FkitError as error:
        error.origin = _place(text)
        raise
    return Word(key, parsed, declares, text)


def read_words(texts: Iterable[str]) -> dict[str, Any]:
    """The changes of several words; the last of those with one key holds.

    Raises:
        FkitTypeError: no words.

    Example:
        >>> read_words(["a=1", "b.c=x y", "a=(1,2)"])
        {'a': (1, 2), 'b.c': 'x y'}
    """
    return {word.key: word.value for word in map(read_word, listed(texts))}


def listed(texts: Any) -> tuple[Any, ...]:
    """Words, one after the other; a lone string is no row of words."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise FkitTypeError(f"Words come as a list of KEY=VALUE, not {type(texts).__name__} {quoted(texts, 60)}.")
    return tuple(cast("Iterable[Any]", texts))


def read_value(text: str) -> Any:
    """The value after ``=``, in the grammar of mmengine's DictAction: quotes at the ends go, blanks inside stay.

    Raises:
        FkitValueError: brackets that do not match.

    Example:
        >>> read_value("1e-3"), read_value("[(1,2), x]"), read_value("true"), read_value("'7'"), read_value("a,b")
        (0.001, [(1, 2), 'x'], True, 7, ['a', 'b'])
    """
    expect(text, str, "The value of a word is a string")
    return _value(text, 0)


def _value(text: str, depth: int) -> Any:
    if depth > DEPTH:
        raise FkitValueError(f"The value has more than {DEPTH} brackets in brackets.")
    text = text.strip(" ").strip("'\"").strip(" ")
    tupled = text.startswith("(") and text.endswith(")")
    if tupled or (text.startswith("[") and text.endswith("]")):
        inside = text[1:-1]
    elif "," not in text:
        return scalar(text)
    else:
        inside = text
    values: list[Any] = []
    for part in split_commas(inside):
        if part == text:
            raise FkitValueError(
                f"The value {quoted(text)} has a comma that separates nothing.",
                repair="Put [ and ] round a list of lists.",
            )
        values.append(_value(part, depth + 1))
    return tuple(values) if tupled else values


def split_commas(text: str) -> Iterator[str]:
    """The parts between the commas outside of brackets; a comma at the end begins no part.

    Raises:
        FkitValueError: brackets that do not match.

    Example:
        >>> list(split_commas("1,(2,3),x"))
        ['1', '(2,3)', 'x']
    """
    expect(text, str, "The value of a word is a string")
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        raise FkitValueError(f"The brackets of {quoted(text)} do not match.")
    start, round_, square = 0, 0, 0
    for at, char in enumerate(text):
        if char == "," and round_ == 0 and square == 0:
            yield text[start:at]
            start = at + 1
        round_ += (char == "(") - (char == ")")
        square += (char == "[") - (char == "]")
    if text[start:]:
        yield text[start:]


def shell(word: str) -> str:
    """A word as a shell takes it, in the quotes that are easiest to read.

    Example:
        >>> print(shell("a=1"), shell("a=x y"), shell("a:='7'"))
        a=1 'a=x y' "a:='7'"
    """
    expect(word, str, "`word` is a string")
    plain = shlex.quote(word)
    return plain if plain == word or "'" not in word or _IN_QUOTES.search(word) else f'"{word}"'


def write_words(tree: dict[Any, Any]) -> tuple[str, ...]:
    """The words that make a config: read over an empty one, they give it back.

    A value that ``=`` reads back is written with it, any other with ``:=``; lists are written whole.

    Raises:
        FkitTypeError: a value that has no text; FkitValueError: a top-level key that no path can name.

    Example:
        >>> write_words({"model": {"depth": 18, "name": "7"}, "scales": [(1, 2)], "empty": {}})
        ('model.depth=18', "model.name:='7'", 'scales=[(1,2)]', 'empty:={}')
    """
    expect(tree, dict, "`tree` is a mapping")
    for key in tree:
        if not _speakable(key):
            raise FkitValueError(f"The top-level key {key!r} has no command-line word.", repair="Use another format.")
    return tuple(_words(tree, ()))


def _words(node: dict[Any, Any], path: tuple[Any, ...]) -> Iterator[str]:
    for key, value in node.items():
        here = (*path, key)
        if isinstance(value, dict) and value and all(map(_speakable, cast("dict[Any, Any]", value))):
            yield from _words(cast("dict[Any, Any]", value), here)
        else:
            yield _word(here, value)


def _speakable(key: Any) -> bool:
    """Whether a path can name a key; ``_delete_`` in a word is a command."""
    if isinstance(key, str):
        return key != "_delete_" and parse(show((key,))) == (key,)
    return type(key) is int and key >= 0


def _word(path: tuple[Any, ...], value: Any) -> str:
    key = show(path)
    if key.startswith("-") or key.endswith(":"):  # an option, to the command line; and `:=`
        key = "".join(f"[{part!r}]" for part in path)
    exact, plain = literal(value), _bare(value)
    if plain.isprintable():
        try:
            if literal(read_value(plain)) == exact:
                return f"{key}={plain}"
        except FkitError:
            pass
    return f"{key}:={exact}"


def _bare(value: Any) -> str:
    """The value as people write it after ``=``; not every value can be read back from it."""
    if isinstance(value, (list, tuple)):
        items = ",".join(map(_bare, cast("list[Any]", value)))
        return f"[{items}]" if isinstance(value, list) else f"({items})" if "," in items or not items else f"({items},)"
    return value if isinstance(value, str) else literal(value)
