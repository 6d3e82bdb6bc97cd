"""What OpenMMLab replaces in the text of a config: ``{{ fileBasename }}``, ``{{$NAME:default}}``, ``{{_base_.name}}``.

The text is walked once, with an eye on strings and comments. What a placeholder stands for is a value: in a string it is
a part of the string whatever it holds, outside of one it is a number, a list or the like where it reads as one, else a
string. Only a default, which the file itself says, is read as the text that it is.
"""

import ast
import json
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.node import Items, Node, freeze, marks_of, meta_of
from fkit.tree.path import step

__all__ = ["Source", "check_none", "fill", "restore", "substitute", "value_of"]

_FILE = ("fileDirname", "fileBasename", "fileBasenameNoExtension", "fileExtname")
# private-use characters, which no config has, stand round what is put in when the text has been parsed: a base's
# variable, or `$` and the number of a value. The second pair stands inside of a longer string
_WHOLE = re.compile("\ue0b0([\\w.]+)\ue0b1")
_PART = re.compile("[\ue0b0\ue0b2]([\\w.]+)[\ue0b1\ue0b3]")
_WHOLE_VALUE = re.compile("\ue0b0\\$(\\d+)\ue0b1")
_PART_VALUE = re.compile("[\ue0b0\ue0b2]\\$(\\d+)[\ue0b1\ue0b3]")

_NESTED = r"\{\{[ \t]*(file\w+)[ \t]*\}\}"  # a file variable inside of a default
# looked ahead and taken whole: it gives no character back (`*+`, which says so, is wrong in Python 3.11.2)
_BRACES = rf"\{{\{{(?!\{{)(?=(?P<inside>(?:[^{{}}\n]|\}}(?!\}})|\{{(?!\{{)|{_NESTED})*))(?P=inside)\}}\}}"
_OUTSIDE = re.compile(rf"(?P<prefix>\b[rRbBuUfF]{{1,2}})?(?P<quote>\"\"\"|'''|\"|')|#[^\n]*|{_BRACES}")
_INSIDE = re.compile(rf"\\(?!\{{\{{).?|(?P<quote>\"\"\"|'''|\"|')|\n|{_BRACES}", re.DOTALL)
# in YAML a quote opens where a value begins, a comment after a blank, and a string may have many lines
_OUTSIDE_YAML = re.compile(rf"(?<![^\s\[\]{{}},:-])(?P<prefix>)(?P<quote>\"|')|(?<!\S)#[^\n]*|{_BRACES}")
_INSIDE_YAML = re.compile(rf"\\.?|(?P<quote>\"|')|{_BRACES}", re.DOTALL)

_BASE = re.compile(r"\s*_base_\.([\w.]+)\s*")
_ODD = re.compile(r"['\"]?\s*(\$\w+|_base_\b|file[A-Z]\w*)")

_MEANING = re.compile(r"['\"\\{}]")  # what means something in a string of Python's source
_LITERAL = 1000  # characters of a value that may be more than text


class Source(NamedTuple):
    """A text to be parsed, and what was replaced in it.

    ``values`` are what the tokens ``$0``, ``$1``, ... stand for.
    """

    text: str
    environment: tuple[tuple[str, str], ...] = ()
    values: tuple[str, ...] = ()
    has_base_variables: bool = False


def substitute(text: str, file: str, name: str, predefined: bool, environment: bool) -> Source:
    """Replace file variables and environment variables; base variables become tokens, for `restore`; where text is
    no Python, values do, for `fill`.

    Args:
        text: the text of a file.
        file: its path; the suffix says how values are written.
        name: its name in errors.
        predefined: whether file variables are replaced.
        environment: whether environment variables are.

    Raises:
        FkitKeyError: an environment variable that is neither set nor given a default.
        FkitValueError: a placeholder that would be left in place.
    """
    if "{{" not in text:
        return Source(text)
    walk = _Walk(text, file, name, predefined, environment)
    parts: list[str] = []
    outside, inside = (_OUTSIDE, _INSIDE) if not file.endswith((".yaml", ".yml")) else (_OUTSIDE_YAML, _INSIDE_YAML)
    prefix, quote, at = "", "", 0
    while (match := (inside if quote else outside).search(text, at)) is not None:
        parts.append(text[at : match.start()])
        at, what = match.end(), match[0]
        if match["inside"] is not None:
            filled = walk.replaced(match["inside"], prefix, quote, match.start())
            if filled is None:
                what, at = "{{", match.start() + 2
            else:
                what = filled
        elif not quote:
            prefix, quote = match["prefix"] or "", match["quote"] or ""
        elif what == quote or (what == "\n" and len(quote) == 1):
            quote = ""
        elif what[0] == quote:  # of three quotes in a string of one, the first ends it
            quote, what, at = "", quote, match.start() + 1
        parts.append(what)
    parts.append(text[at:])
    return Source("".join(parts), tuple(walk.used.items()), tuple(walk.values), walk.has_base_variables)


def check_none(text: str, file: str, name: str, predefined: bool, environment: bool) -> None:
    """Refuse placeholders in a text in which nothing replaces them.

    Raises:
        FkitValueError: there is one.
    """
    changed = substitute(text, file, name, predefined, environment).text
    if changed != text:
        pairs = zip(text.split("\n"), changed.split("\n"), strict=False)
        line = next(number for number, (old, new) in enumerate(pairs, 1) if old != new)
        raise FkitValueError(
            "A config of the new style has a placeholder ({{ ... }}), which only the old style replaces.",
            origin=f"{name}:{line}",
            repair="Write what it stands for; what a base sets is a name here.",
        )


class _Walk:
    """A walk over one text: what it has read of the environment, and the values that tokens stand for."""

    def __init__(self, text: str, file: str, name: str, predefined: bool, environment: bool) -> None:
        self.text, self.file, self.name = text, file, name
        self.predefined, self.environment = predefined, environment
        self.used: dict[str, str] = {}
        self.values: list[str] = []
        self.has_base_variables = False

    def replaced(self, inside: str, prefix: str, quote: str, at: int) -> str | None:
        """The text in place of ``{{inside}}``, in the string that the quote opened; None: it is no placeholder."""
        base = _BASE.fullmatch(inside)
        if base is not None:
            self.has_base_variables = True
            return self.token(base[1], quote)
        word = inside.strip()
        if self.predefined and word in _FILE:
            return self.written(_of_file(self.file, word), prefix, quote, at)
        variable = _variable(inside) if self.environment else None
        if variable is not None:
            return self.read(*variable, prefix, quote, at)
        odd = _ODD.match(inside)
        if odd is not None and (self.environment if odd[1][0] == "$" else self.predefined or odd[1] == "_base_"):
            raise self.left(inside, odd[1], at)
        return None

    def read(self, name: str, default: str, prefix: str, quote: str, at: int) -> str:
        """An environment variable's value, or its default as the text that it is."""
        if name in os.environ:
            self.used[name] = os.environ[name]
            return self.written(os.environ[name], prefix, quote, at)
        if not default:
            raise FkitKeyError(
                f"The environment variable {name} is not set, and has no default.",
                origin=self.place(at),
                repair=f"Set it, or write {{{{${name}:default}}}}.",
            )
        if self.predefined and "{{" in default:
            filled = re.sub(_NESTED, lambda match: self.nested(match, at), default)
            return self.written(filled, prefix, quote, at)
        return default

    def nested(self, match: re.Match[str], at: int) -> str:
        """A file variable inside of a default."""
        if match[1] not in _FILE:
            raise self.left(match[1], match[1], at)
        return _of_file(self.file, match[1])

    def token(self, name: str, quote: str) -> str:
        """What stands for a value until the text has been parsed."""
        if quote:
            return f"\ue0b2{name}\ue0b3"
        return f"\ue0b0{name}\ue0b1" if self.file.endswith((".yaml", ".yml")) else f'"\ue0b0{name}\ue0b1"'

    def written(self, value: str, prefix: str, quote: str, at: int) -> str:
        """A value in the text."""
        if not self.file.endswith(".py"):
            self.values.append(value)
            return self.token(f"${len(self.values) - 1}", quote)
        if not quote:
            return _literal(value)
        is_raw, is_bytes = "r" in prefix.lower(), "b" in prefix.lower()
        escaped = self.backslashes(at) % 2 == 1
        plain = value.isprintable() and _MEANING.search(value) is None and (value.isascii() or not is_bytes)
        if plain and (is_raw or not escaped):
            return value
        if escaped:
            raise FkitValueError(
                "A backslash stands right before a placeholder, and would change what it stands for.",
                origin=self.place(at),
                repair="Write / in place of it: Python takes it everywhere.",
            )
        # strings that stand side by side are one: the value is a string of its own between two halves
        between = repr(value.encode()) if is_bytes else repr(value)
        return f"{quote} {between} {prefix}{quote}"

    def backslashes(self, at: int) -> int:
        """How many stand right before a place."""
        start = at
        while start and self.text[start - 1] == "\\":
            start -= 1
        return at - start

    def place(self, at: int) -> str:
        return f"{self.name}:{self.text.count(chr(10), 0, at) + 1}"

    def left(self, inside: str, word: str, at: int) -> FkitValueError:
        """The error of a placeholder that nothing replaces."""
        what = f"The placeholder {{{{{inside:.80}}}}} is none that is known, and would be left in place."
        if word[0] == "$":
            repair = f"Write {{{{{word}:default}}}}, with no blanks in the default; {{{{{word}:}}}} has none."
            return FkitValueError(what, origin=self.place(at), repair=repair)
        if word == "_base_":
            return FkitValueError(
                what, origin=self.place(at), repair="Write {{_base_.name}}: names, with dots between."
            )
        return FkitValueError(what, origin=self.place(at), value=word, choices=_FILE, label="File variables")


def _of_file(file: str, word: str) -> str:
    stem, suffix = os.path.splitext(os.path.basename(file))
    values = (os.path.dirname(file), stem + suffix, stem, suffix)
    return values[_FILE.index(word)].replace("\\", "/")


def _variable(inside: str) -> tuple[str, str] | None:
    """The name and the default of ``$NAME:default``, or None; quotes round it may stand, blanks in the default not."""
    word = inside[1:] if inside[:1] in ("'", '"') else inside
    name, colon, default = word.lstrip().partition(":")
    name = name.rstrip()
    if not colon or name[:1] != "$" or re.fullmatch(r"\w+", name[1:]) is None:
        return None
    default = default.strip()
    default = (default[:-1] if default[-1:] in ("'", '"') else default).rstrip()
    gaps = re.sub(_NESTED, "", default)
    return (name[1:], default) if not re.search(r"\s", gaps) else None


def value_of(text: str) -> Any:
    """What a text that stands for itself is: a number, True, None, a quoted string or a list of such; else the text.

    Example:
        >>> value_of("80"), value_of("1e-3"), value_of("true"), value_of("[1, 'a']"), value_of("train"), value_of("")
        (80, 0.001, True, [1, 'a'], 'train', '')
    """
    for read in (ast.literal_eval, json.loads) if len(text) <= _LITERAL else ():
        try:
            value = read(text)
            if ast.literal_eval(repr(value)) == value:  # not so for infinity, whose text would be a name
                return value
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text


def _literal(text: str) -> str:
    value = value_of(text)
    return f"({value!r})" if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(value)


def fill(tree: Node, source: Source) -> Node:
    """Put in the values of the environment and of the file that a text which is no Python had, in keys too."""

    def filled(text: str, is_key: bool) -> Any:
        whole = None if is_key else _WHOLE_VALUE.fullmatch(text)
        if whole is not None:
            return freeze(value_of(source.values[int(whole[1])]), type(tree))
        return _PART_VALUE.sub(lambda match: source.values[int(match[1])], text)

    return _mapped(tree, filled)


def restore(tree: Node, base: Node, file: str) -> Node:
    """Put in the variables of the bases.

    Raises:
        FkitKeyError: the bases have no such variable; FkitValueError: one stands in a key.
    """

    def restored(text: str, is_key: bool) -> Any:
        if is_key and _PART.search(text):
            raise FkitValueError("A key has a variable of a base in it, where none is put in.", origin=file)
        whole = _WHOLE.fullmatch(text)
        if whole is not None:
            return _base_variable(whole[1], base, file)
        return _PART.sub(lambda match: str(_base_variable(match[1], base, file)), text)

    return _mapped(tree, restored)


def _mapped(value: Any, change: Callable[[str, bool], Any], is_key: bool = False) -> Any:
    """The tree with what ``change(text, is_key)`` makes of the strings that have tokens."""
    if isinstance(value, str):
        return change(value, is_key) if "\ue0b0" in value or "\ue0b2" in value else value
    if isinstance(value, Node):
        names = {k: _mapped(k, change, True) for k in value}
        marks = {names[k]: mark for k, mark in (marks_of(value) or {}).items()}
        return type(value).of({names[k]: _mapped(v, change) for k, v in value.items()}, marks or None, meta_of(value))
    if isinstance(value, (list, tuple)):
        items = [_mapped(v, change, is_key) for v in value]
        return Items.of(items) if isinstance(value, list) else tuple(items)
    return value


def _base_variable(name: str, base: Node, file: str) -> Any:
    node: Any = base
    for key in name.split("."):
        try:
            node = step(node, key) if isinstance(node, dict) else ABSENT
        except KeyError:
            node = ABSENT
    if node is ABSENT:
        what = f"{{{{_base_.{name}}}}} is in no base."
        raise FkitKeyError(what, origin=file, value=name, choices=[str(key) for key in base], label="Variables")
    return node
