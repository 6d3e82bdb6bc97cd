"""Values as a command-line word has them after ``:=``: Python's literals and bare words, read and written."""

import ast
import re
import warnings
from enum import Enum
from typing import Any, cast

from frozendict import frozendict

from fkit.config.language.imported import Imported
from fkit.tree.canonical import reference
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, quoted

__all__ = ["DEPTH", "dotted", "literal", "number", "read_literal", "scalar", "str_or_bytes"]

DEPTH = 100  # brackets in brackets
_DIGITS = 4300  # of an integer; Python reads no longer ones
_QUOTED = re.compile(r"b?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_LAZY = re.compile(r"lazy\(\s*(?P<quote>['\"])(?P<name>[^'\"()]+)(?P=quote)\s*\)")
_DICT = re.compile(r"dict\s*\(")
_NAMED = re.compile(r"(?P<key>[^\W\d]\w*)\s*=")
_TYPES = frozendict[str, Any](
    {f"builtins.{kind.__name__}": kind for kind in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)}
)
_CLOSING = (("(", ")"), ("[", "]"), ("{", "}"))


def scalar(text: str) -> Any:
    """The value of a bare word: a number, a boolean, None, or else the text.

    Raises:
        FkitValueError: an integer of thousands of digits.

    Example:
        >>> scalar("1e-3"), scalar("TRUE"), scalar("None"), scalar("cat")
        (0.001, True, None, 'cat')
    """
    if len(text) > _DIGITS and text.lstrip("+-").replace("_", "").isdigit():
        raise FkitValueError(f"An integer of more than {_DIGITS} digits cannot be read.")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return None if text == "None" else text


def read_literal(text: str) -> Any:
    """The value after ``:=``: as Python writes it, and every value of a config can be written.

    Text in quotes is text, braces are mappings and sets, ``dict(a=1)`` is a mapping, as in a config file, and
    ``lazy('torch.nn.ReLU')`` is a name that a config imports. A bare word is read as after ``=``, and so are commas
    outside of brackets.

    Raises:
        FkitValueError: brackets or quotes that do not match, or a value that cannot be a key.

    Example:
        >>> read_literal("'7'"), read_literal("{'a': (1,), b: {2}}"), read_literal("[x y, None, nan]")
        ('7', {'a': (1,), 'b': {2}}, ['x y', None, nan])
    """
    expect(text, str, "The value of a word is a string")
    return _Literal(text).whole()


class _Literal:
    """Reads one literal from left to right.

    Args:
        text: the literal.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def whole(self) -> Any:
        """The value of all the text."""
        first = self.value("", 0)
        if self.peek() == "":
            return first
        values = [first]
        while self.peek() == ",":
            self.at += 1
            if self.peek() == "":
                break
            values.append(self.value("", 0))
        if self.peek() != "":
            raise self.wrong("nothing more")
        return values

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while self.at < len(self.text) and self.text[self.at] in " \t\n":
            self.at += 1
        return self.text[self.at : self.at + 1]

    def wrong(self, wanted: str) -> FkitValueError:
        """The error of what stands here."""
        there = quoted(self.text[self.at :], 40) if self.at < len(self.text) else "the end"
        return FkitValueError(
            f"The value {quoted(self.text)} cannot be read: {wanted} was to come, not {there}.",
            repair="After := stand Python's literals: {'a': 1}, [1, 'x'], (1,), {1, 2}, 'text', None, nan.",
        )

    def value(self, stops: str, depth: int) -> Any:
        """One value; ``stops`` end a bare word, beside a comma."""
        if depth > DEPTH:
            raise FkitValueError(f"The value has more than {DEPTH} brackets in brackets.")
        first = self.peek()
        if first == "[":
            return self.items("]", depth)
        if first == "(":
            return tuple(self.items(")", depth))
        if first == "{":
            return self.braces(depth)
        if (match := _QUOTED.match(self.text, self.at)) is not None:
            self.at = match.end()
            return self.quoted(match[0])
        if (match := _LAZY.match(self.text, self.at)) is not None:
            self.at = match.end()
            return _TYPES.get(match["name"]) or Imported(match["name"])
        if (match := _DICT.match(self.text, self.at)) is not None:
            self.at = match.end()
            return self.keywords(depth)
        if self.text.startswith("set()", self.at):
            self.at += 5
            return set[Any]()
        return scalar(self.bare(stops))

    def items(self, closing: str, depth: int) -> list[Any]:
        """The values up to a closing bracket."""
        self.at += 1
        values: list[Any] = []
        while self.peek() != closing:
            values.append(self.value(closing, depth + 1))
            self.between(closing)
        self.at += 1
        return values

    def between(self, closing: str) -> None:
        """Past a comma, or at the closing bracket."""
        if self.peek() == ",":
            self.at += 1
        elif self.peek() != closing:
            raise self.wrong(f"',' or {closing!r}")

    def braces(self, depth: int) -> Any:
        """A mapping or a set."""
        self.at += 1
        pairs: list[tuple[Any, Any]] = []
        members: list[Any] = []
        while self.peek() != "}":
            key = self.value(":}", depth + 1)
            if self.peek() == ":" and not members:
                self.at += 1
                pairs.append((_key(key), self.value("}", depth + 1)))
            elif not pairs:
                members.append(_key(key))
            else:
                raise self.wrong("':'")
            self.between("}")
        self.at += 1
        return set(members) if members else dict(pairs)

    def keywords(self, depth: int) -> dict[str, Any]:
        """The mapping of ``dict(key=value, ...)``, as configs write it."""
        pairs: dict[str, Any] = {}
        while self.peek() != ")":
            name = _NAMED.match(self.text, self.at)
            if name is None:
                raise self.wrong("KEY=VALUE")
            self.at = name.end()
            pairs[name["key"]] = self.value(")", depth + 1)
            self.between(")")
        self.at += 1
        return pairs

    def quoted(self, token: str) -> Any:
        """The text, or the bytes, of a literal in quotes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape that Python does not know stays as it is
            try:
                return ast.literal_eval(token.replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0"))
            except (SyntaxError, ValueError):
                raise FkitValueError(f"The text {quoted(token)} has an escape that cannot be read.") from None

    def bare(self, stops: str) -> str:
        """The text up to a comma or a stop outside of its own brackets."""
        start, closing = self.at, ""
        while self.at < len(self.text):
            char = self.text[self.at]
            if closing and char == closing[-1]:
                closing = closing[:-1]
            elif not closing and (char == "," or char in stops):
                break
            else:
                closing += next((end for begin, end in _CLOSING if begin == char), "")
            self.at += 1
        text = self.text[start : self.at].strip(" \t\n")
        if not text and stops:
            raise self.wrong("a value")
        return text


def _key(value: Any) -> Any:
    """A value that can be a key or a member."""
    if isinstance(value, set):
        return frozenset(cast("set[Any]", value))
    if isinstance(value, tuple):
        return tuple(_key(item) for item in cast("tuple[Any, ...]", value))
    if isinstance(value, (list, dict)):
        kind = "mapping" if isinstance(value, dict) else "list"
        raise FkitValueError(f"A {kind} can be no key, and no member of a set: {quoted(value)}.")
    return value


def literal(value: Any) -> str:
    """The text that ``read_literal`` reads back to the value.

    Raises:
        FkitTypeError: a value that has no text.

    Example:
        >>> literal({"a": (1,), 2: [None, "7", float("inf")]})
        "{'a': (1,), 2: [None, '7', inf]}"
    """
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in pairs) + "}"
    if isinstance(value, (list, tuple)):
        items = ", ".join(map(literal, cast("list[Any]", value)))
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(cast("tuple[Any]", value)) == 1 else f"({items})"
    if isinstance(value, (set, frozenset)):
        members = sorted(map(literal, cast("set[Any]", value)))
        return "{" + ", ".join(members) + "}" if members else "set()"
    if isinstance(value, float):
        return repr(float.__float__(value))  # nan and inf are bare words
    name = dotted(value)
    if name is not None:
        return f"lazy({name!r})"
    return number(value) if value is None or isinstance(value, int) else repr(str_or_bytes(value))


def dotted(value: Any) -> str | None:
    """``module.Name`` of a value that stands for code: an imported name, a class, a function, a member of an enumeration.

    Returns:
        None for data.

    Raises:
        FkitTypeError: it is neither.

    Example:
        >>> dotted(dict), dotted("dict")
        ('builtins.dict', None)
    """
    if not isinstance(value, Enum):
        if value is None or isinstance(value, (str, int, float, bytes, dict, list, tuple, set, frozenset)):
            return None
        if hasattr(type(value), "__lazy__"):
            return value.__lazy__()
    return reference(value)


def str_or_bytes(value: str | bytes) -> str | bytes:
    """A text, of a subclass too, as itself."""
    return value if isinstance(value, bytes) else str.__str__(value)


def number(value: int | None) -> str:
    """The text of an integer, of a subclass too; of booleans and None as well."""
    return repr(value) if value is None or isinstance(value, bool) else int.__repr__(value)
