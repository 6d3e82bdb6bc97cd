"""The child process of ``--trust``: it executes a config, and writes its values as canonical JSON to standard output."""

import ast
import json
import os
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

from fkit.config.language.budget import Budget
from fkit.config.language.value import link
from fkit.config.read.locate import module_file
from fkit.config.read.placeholder import Source, check_none
from fkit.config.read.reader import Options, Reader
from fkit.config.read.source import read, shown
from fkit.config.read.syntax import check_base, parse_python, split_base, split_marker
from fkit.tree.canonical import encode
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError
from fkit.tree.node import Node
from fkit.tree.tree import thaw

__all__ = ["main"]


class Open(dict[str, Any]):
    """A mapping of a base with attribute access, which the file may change."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def merge(self, other: Mapping[str, Any]) -> None:
        """Merge as mmengine's ConfigDict does."""
        mine = link(self)
        mine.merge(link(dict(other)), None)
        self.clear()
        super().update({key: _open(value) for key, value in mine.items()})

    def update(self, *others: Any, **more: Any) -> None:
        """Update recursively, as mmengine's ConfigDict does."""
        for key, value in dict(*others, **more).items():
            mine = self.get(key)
            if isinstance(mine, Open) and isinstance(value, dict):
                mine.update(value)
            else:
                self[key] = _open(value)


def _open(value: Any) -> Any:
    if isinstance(value, dict):
        return Open({k: _open(v) for k, v in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(_open(v) for v in value)
    return value


class TrustedReader(Reader):
    """A reader that executes the Python files."""

    def execute(self, source: Source, file: str, chain: tuple[str, ...]) -> tuple[Node, Node]:
        """What the file itself sets when it runs, and its bases."""
        module = parse_python(source.text, shown(file))
        statement, body = split_base(module, shown(file))
        base = self.bases(statement, file, chain)
        opened = _open(thaw(base))
        names = _run(body, file, {"_base_": opened})
        check_base(names, opened, shown(file))
        return Node(_values(names)), Node(opened)

    def newstyle(self, text: str, file: str) -> Node:
        """The config of a new-style file; its imports are real ones."""
        names = _newstyle(text, file, self.options, (file,))
        imported = {
            alias.asname or alias.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        values = _values(names)
        return Node({k: v for k, v in values.items() if not (k in imported and callable(v))})


def _newstyle(text: str, file: str, options: Options, chain: tuple[str, ...]) -> dict[str, Any]:
    check_none(text, file, shown(file), options.predefined, options.environment)
    module = parse_python(text, shown(file))
    body, imports = split_marker(module.body, shown(file))
    names: dict[str, Any] = {"__file__": file}
    for node in imports:
        place = f"{shown(file)}:{node.lineno}"
        path = module_file("." * node.level + (node.module or ""), file, place)
        if path in chain:
            raise FkitValueError("The bases go round in a circle.", origin=place)
        base = _newstyle(read(path), path, options, (*chain, path))
        base = {k: _open(v) for k, v in base.items() if not k.startswith("__")}
        for alias in node.names:
            if alias.name != "*" and alias.name not in base:
                message = f"The base {node.module} has no {alias.name!r}."
                raise FkitKeyError(message, origin=place, value=alias.name, choices=[*base], label="Names")
            names.update(base if alias.name == "*" else {alias.asname or alias.name: base[alias.name]})
    statements = [
        n for n in body if not (isinstance(n, ast.ImportFrom) and (n.module or "").startswith("mmengine.config"))
    ]
    return _run(statements, file, names)


def _run(body: list[ast.stmt], file: str, names: dict[str, Any]) -> dict[str, Any]:
    # the one place in which a config is executed: the user said so
    exec(compile(ast.Module(body, []), file, "exec"), names, names)
    return names


def _values(names: dict[str, Any]) -> dict[str, Any]:
    code = (types.FunctionType, types.ModuleType)
    return {k: v for k, v in names.items() if not k.startswith("__") and not isinstance(v, code)}


def main() -> int:
    """Execute the config that the command line names."""
    file = sys.argv[1]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the file prints is no part of the answer
    try:
        reader = TrustedReader(Options(*json.loads(sys.argv[2])), Budget(), Node)
        cfg = reader.file(file, ())
        answer: dict[str, Any] = {"config": _lazily(encode(cfg)), "environment": reader.environment}
    except FkitError as error:
        answer = {"error": str(error), "origin": None, "kind": type(error).__name__}
    except BaseException as error:
        frames = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if f.filename.endswith(".py") and "fkit/config" not in f.filename
        ]
        place = f"{shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else shown(file)
        answer = {"error": f"{type(error).__name__}: {error}", "origin": place, "kind": type(error).__name__}
    json.dump(answer, out)
    out.close()
    return 0


def _lazily(value: Any) -> Any:
    """Classes and functions as names: the parent imports nothing."""
    if isinstance(value, dict):
        if value.keys() == {"__ref__"}:
            return {"__lazy__": value["__ref__"]}
        return {k: _lazily(v) for k, v in value.items()}
    return [_lazily(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
