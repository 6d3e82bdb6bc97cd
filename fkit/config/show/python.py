"""A config as Python text, laid out as people write configs: ``dict(type='ResNet', depth=50)``, lines up to 88."""

import keyword
import unicodedata
from typing import Any

from fkit.config.change.literal import dotted, number, str_or_bytes
from fkit.config.language.imported import is_standard
from fkit.config.origin import of
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.node import Node

__all__ = ["check_key", "python_text"]

_WIDTH = 88
_SPECIAL = frozenset(("_base_", "_deprecation_", "dict", "float", "set", "frozenset"))


def python_text(cfg: Node) -> str:
    """The Python text that loads back to an equal config.

    Args:
        cfg: the config; its top-level keys must be strings.

    Raises:
        FkitTypeError: a value that has no text.
        FkitValueError: a top-level key that no Python file can hold.

    Example:
        >>> print(python_text(Node({"model": {"type": "A", "in": (1,)}, "lr": float("inf")})), end="")
        model = {'type': 'A', 'in': (1,)}
        lr = float('inf')
    """
    expect(cfg, Node, "`cfg` is a config")
    imports = _imports(cfg)
    lines = [_import_line(path, alias) for path, alias in imports.items()]
    if lines:
        lines.append("")
    writer = Writer(imports)
    for key, value in cfg.items():
        check_key(cfg, key)
        if type(key) is not str or key in _SPECIAL:
            raise FkitValueError(
                f"The top-level key {key!r} cannot be a variable of a Python file.",
                origin=of(cfg, key),
                repair="Give it another name, or write the config as YAML or JSON.",
            )
        target = key if _is_name(key) else f"globals()[{writer.flat(key)}]"
        lines.append(f"{target} = {writer.write(value, 0, len(target) + 3)}")
    return "\n".join(lines) + "\n" if lines else ""


def check_key(cfg: Node, key: Any) -> None:
    """Refuse a top-level key that begins with two underscores: reading a file drops it, as OpenMMLab's reader does.

    Raises:
        FkitValueError: it does.
    """
    if isinstance(key, str) and key.startswith("__"):
        raise FkitValueError(
            f"The top-level key {key!r} is no variable of a config file: reading would not give it back.",
            origin=of(cfg, key),
            repair="Give it another name.",
        )


def _imports(cfg: Node) -> dict[str, str]:
    """Dotted name -> the name it gets in the file, for all values that stand for code and need one."""
    paths: set[str] = set()
    stack: list[Any] = [cfg]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
            stack += [key for key in value if type(key) is not str]
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack += value
        elif (path := dotted(value)) is not None:
            paths.add(path)
    names = set(cfg)
    aliases: dict[str, str] = {}
    for path in sorted(paths):
        alias = path.rpartition(".")[2]
        if is_standard(path):
            if path == f"builtins.{alias}" and alias not in names:
                continue
            alias = f"__{alias}"  # Python's own would be a key of the config under another name
        # a name of the file itself would be lost as a key, and a key would hide the name
        while alias in names or alias in _SPECIAL:
            alias += "_"
        names.add(alias)
        aliases[path] = alias
    return aliases


def _import_line(path: str, alias: str) -> str:
    module, _, name = path.rpartition(".")
    if module == "builtins":
        return f"{alias} = {name}"
    renamed = f" as {alias}" if alias != name else ""
    return f"from {module} import {name}{renamed}" if module else f"import {name}{renamed}"


class Writer:
    """Writes values at an indent.

    Args:
        imports: the names that stand for code.
    """

    def __init__(self, imports: dict[str, str]) -> None:
        self.imports = imports
        self.flats: dict[int, str] = {}  # by identity

    def write(self, value: Any, indent: int, used: int) -> str:
        """The text of a value whose first line begins after ``used`` characters."""
        flat = self.flat(value)
        if used + len(flat) < _WIDTH or not isinstance(value, (dict, list, tuple)) or not value:
            return flat
        inner, pad = indent + 4, " " * (indent + 4)
        if isinstance(value, dict):
            called = _is_call(value)
            parts = [self._pair(key, item, called, inner) for key, item in value.items()]
            opening, closing = ("dict(", ")") if called else ("{", "}")
        else:
            parts = self._filled(value, inner)
            opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
            if isinstance(value, tuple) and len(value) == 1:
                closing = ",)"
        if closing == ",)":
            return f"{opening}\n{pad}{parts[0]}{closing}"
        return opening + "\n" + ",\n".join(pad + part for part in parts) + closing

    def _pair(self, key: Any, value: Any, called: bool, indent: int) -> str:
        head = f"{key}=" if called else f"{self.member(key)}: "
        return head + self.write(value, indent, indent + len(head) + 1)

    def _filled(self, values: Any, indent: int) -> list[str]:
        """Items in lines as full as they may be; what is a container itself has a line for itself."""
        lines: list[str] = []
        line = ""
        simple = not any(isinstance(v, dict) for v in values)
        for value in values:
            flat = self.flat(value)
            if not simple or indent + len(flat) + 1 >= _WIDTH:
                if line:
                    lines.append(line)
                    line = ""
                lines.append(self.write(value, indent, indent + 1))
            elif line and indent + len(line) + 2 + len(flat) + 1 >= _WIDTH:
                lines.append(line)
                line = flat
            else:
                line = f"{line}, {flat}" if line else flat
        return [*lines, line] if line else lines

    def flat(self, value: Any) -> str:
        """The text in one line."""
        if isinstance(value, (dict, list, tuple)):
            flat = self.flats.get(id(value))
            if flat is None:
                flat = self.flats[id(value)] = self._flat_container(value)
            return flat
        path = dotted(value)
        if path is not None:
            return self.imports.get(path) or path.rpartition(".")[2]
        if isinstance(value, float):
            return repr(float(value)) if value - value == 0 else f"float({str(float(value))!r})"
        if isinstance(value, (set, frozenset)):
            members = sorted(self.member(v) for v in value)
            return "{" + ", ".join(members) + "}" if members else "set()"
        if isinstance(value, (str, bytes)):
            # braces that a reader would take for `{{ fileBasename }}` and its like are text
            return repr(str_or_bytes(value)).replace("{{", "{\\x7b")
        return number(value)

    def member(self, value: Any) -> str:
        """The text of a key or of a member of a set: a set there is a frozen one."""
        if isinstance(value, frozenset):
            return f"frozenset({self.flat(value)})" if value else "frozenset()"
        if isinstance(value, tuple):
            inside = ", ".join([self.member(v) for v in value])
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        return self.flat(value)

    def _flat_container(self, value: Any) -> str:
        if isinstance(value, dict):
            if _is_call(value):
                return "dict(" + ", ".join([f"{k}={self.flat(v)}" for k, v in value.items()]) + ")"
            return "{" + ", ".join([f"{self.member(k)}: {self.flat(v)}" for k, v in value.items()]) + "}"
        inside = ", ".join([self.flat(v) for v in value])
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"


def _is_call(value: dict[Any, Any]) -> bool:
    """Whether a mapping can be written as ``dict(key=...)``: its keys are names."""
    return all(map(_is_name, value))


def _is_name(key: Any) -> bool:
    """Whether a file can have the key as a name, and as no other: Python reads ``µ`` (U+00B5) as ``μ``."""
    if type(key) is not str or not key.isidentifier() or keyword.iskeyword(key) or key == "__debug__":
        return False
    return key.isascii() or unicodedata.normalize("NFKC", key) == key
