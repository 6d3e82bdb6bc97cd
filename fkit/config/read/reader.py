"""Config files -> frozen nodes: .py (both styles), .yaml and .json, with all their bases."""

import ast
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from fkit.config.change.delta import merge
from fkit.config.change.option import inheritance
from fkit.config.language.budget import Budget
from fkit.config.language.imported import Module
from fkit.config.language.scope import Closure
from fkit.config.language.statement import evaluate
from fkit.config.language.value import Draft, link, settle
from fkit.config.origin import Meta
from fkit.config.read.document import parse_json, parse_yaml
from fkit.config.read.locate import base_file
from fkit.config.read.newstyle import Reading, load_newstyle
from fkit.config.read.placeholder import Source, fill, restore, substitute
from fkit.config.read.shelf import shelf_file, unknown
from fkit.config.read.source import SUFFIXES, absolute, read, shown, working_folder
from fkit.config.read.syntax import check_base, is_newstyle, mentions_base, parse_python, split_base
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, FkitOSError, FkitTypeError, FkitValueError
from fkit.tree.node import Items, Node, marks_of

__all__ = ["Options", "Reader", "find_file", "read_file", "read_text"]


class Options(NamedTuple):
    """How files are read."""

    predefined: bool = True
    environment: bool = True
    newstyle: bool | None = None  # None: as the file looks


def find_file(path: str | os.PathLike[str]) -> str:
    """The file that a user names: a path, ``package::path`` of an installed package, or a config that the kit ships.

    Raises:
        FkitTypeError: it is no path.
        FkitFileNotFoundError: it is a name that no shipped config has; FkitValueError: that several have, or that is empty.

    Example:
        >>> find_file("digits/convnet").endswith("configs/digits/convnet.py")
        True
    """
    expect(path, (str, os.PathLike), "A config file is named by a path")
    file = os.fsdecode(path)
    if not file.strip():
        raise FkitValueError(f"A config file is named by a path, not by {file!r}.")
    there = os.path.expanduser(file)
    if os.path.exists(there) and not os.path.isdir(there):
        return file
    if "::" in file:
        return base_file(file, file, file)[0]
    shipped = shelf_file(file)
    if shipped is None and not os.path.isdir(there) and (error := unknown(file)) is not None:
        raise error
    return shipped or file


def read_file(file: str, options: Options, kind: type[Node]) -> Node:
    """The config of a file and its bases.

    Args:
        file: the path, as errors and ``filename`` name it.
        options: how files are read.
        kind: the class that its mappings become.

    Raises:
        FkitError: what is wrong, with file and line.
    """
    reader = Reader(options, Budget(), kind)
    return _finish(reader, file, lambda: reader.file(absolute(file), ()))


def read_text(text: str, file_format: str, options: Options, kind: type[Node]) -> Node:
    """The config that a text holds; relative bases are looked for in the working folder.

    Raises:
        FkitOSError: another format than .py, .yaml, .yml and .json.
        FkitError: what is wrong, with the line.
    """
    expect(text, str, "The text of a config is a string")
    if file_format not in SUFFIXES:
        raise FkitOSError(f"{file_format!r} is no format of configs.", value=str(file_format), choices=SUFFIXES)
    if file_format != ".py" and "dict(" in text:
        warnings.warn(f"The text has `dict(`: is its format {file_format} and not .py?", stacklevel=4)
    reader = Reader(options, Budget(), kind)
    file = os.path.join(working_folder(), f"<string>{file_format}")
    return _finish(reader, None, lambda: reader.text(text, file, ()))


def _finish(reader: "Reader", file: str | None, read_all: Callable[[], Node]) -> Node:
    try:
        cfg = read_all()
        reader.budget.hold(reader.budget.weigh(cfg))
    except RecursionError:
        raise FkitValueError("The config is nested too deeply.", origin=file) from None
    except MemoryError:
        raise FkitValueError("The config needs too much memory.", origin=file) from None
    except FkitError as error:
        error.origin = error.origin or file
        raise
    meta = Meta(file, tuple(reader.environment.items()), tuple(sorted(reader.imported.items())))
    return reader.kind.of(dict(cfg), marks_of(cfg), meta)


class Reader:
    """Reads one config with its bases.

    Args:
        options: how files are read.
        budget: what all of it may cost.
        kind: the class that mappings become.
    """

    def __init__(self, options: Options, budget: Budget, kind: type[Node]) -> None:
        self.options = options
        self.budget = budget
        self.kind = kind
        self.environment: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.scopes = 0  # bases of packages that are being read
        self.shared: dict[int, Node] = {}

    def file(self, file: str, chain: tuple[str, ...]) -> Node:
        """The config of a file, merged over its bases; ``chain`` is the files that led here."""
        if file in chain:
            raise FkitValueError(
                f"The bases go round in a circle: {' -> '.join([*chain[chain.index(file) :], file])}.", origin=chain[-1]
            )
        return self.text(read(file), file, (*chain, file))

    def text(self, text: str, file: str, chain: tuple[str, ...]) -> Node:
        """The config of a text, merged over its bases."""
        name = shown(file)
        self.budget.file(len(text))
        if len(chain) > 100:
            raise FkitValueError("The bases are more than 100 levels deep.", origin=name)
        source = substitute(text, file, name, self.options.predefined, self.options.environment)
        if file.endswith(".py"):
            if self._is_newstyle(source.text, name):
                if len(chain) > 1:
                    raise FkitValueError(
                        "A base of the new style (`with read_base():`, imports) under a child of the old style.",
                        origin=name,
                        repair="All files of a chain must be of one style.",
                    )
                return self.newstyle(text, file)
            child, base = self.execute(source, file, chain)
        else:
            child, base = self._document(source, file, chain)
        self.environment.update(source.environment)
        if "_deprecation_" in child:
            _announce(child, file)
            child = _without(child, ["_deprecation_"])
        if source.has_base_variables:
            child = restore(child, base, name)
            self._keep_shared(base)
            self.budget.hold(self.budget.weigh(child))
        merged = merge(base, inheritance(child, self.kind)) if base else child
        if any(key.startswith("__") for key in merged):
            merged = _without(merged, [key for key in merged if key.startswith("__")])
        return merged

    def _is_newstyle(self, text: str, name: str) -> bool:
        known = self.options.newstyle
        module = parse_python(text, name)
        if known is not None:
            return known
        return ("import" in text or "with" in text) and is_newstyle(module, name)

    def newstyle(self, text: str, file: str) -> Node:
        """The config of a new-style file."""
        reading = Reading(self.budget, self.environment, self.options.predefined, self.options.environment)
        cfg, imported = load_newstyle(text, file, reading, self.kind)
        self.imported.update(imported)
        return cfg

    def bases(self, statement: ast.Assign | ast.AnnAssign | None, file: str, chain: tuple[str, ...]) -> Node:
        """The union of the bases that a Python file names."""
        if statement is None:
            return self.kind.of({})
        return self._bases(_base_paths(statement, shown(file), self.budget), file, chain, statement.lineno)

    def execute(self, source: Source, file: str, chain: tuple[str, ...]) -> tuple[Node, Node]:
        """What a Python file itself sets, and its bases (changed, where the file assigns to ``_base_.x``)."""
        name = shown(file)
        module = parse_python(source.text, name)
        statement, body = split_base(module, name) if "_base_" in source.text else (None, module.body)
        base = self.bases(statement, file, chain)
        names = Draft()
        if not mentions_base(source.text, statement):
            return settle(
                _values(evaluate(body, names, name, self.budget, self.environment)), self.budget, self.kind
            ), base
        linked = names["_base_"] = link(base)
        evaluate(body, names, name, self.budget, self.environment)
        check_base(names, linked, name)
        known: dict[int, Any] = {}
        base = settle(linked, self.budget, self.kind, known)
        self._keep_shared(base)
        return settle(_values(names), self.budget, self.kind, known), base

    def _keep_shared(self, base: Node) -> None:
        """Remember the mappings of a base that its child may hold too: OpenMMLab gives them one ``_scope_``."""
        stack: list[Any] = [base] if self.scopes else []
        while stack:
            top = stack.pop()
            if isinstance(top, Node):
                self.shared[id(top)] = top
                stack.extend(top.values())
            elif isinstance(top, (list, tuple)):
                stack.extend(top)

    def _document(self, source: Source, file: str, chain: tuple[str, ...]) -> tuple[Node, Node]:
        name = shown(file)
        parse = parse_json if file.endswith(".json") else parse_yaml
        value = parse(source.text, name, self.budget)
        if not isinstance(value, dict):
            what = "is empty" if value is None else f"is a {type(value).__name__}"
            raise FkitTypeError(f"A config is a mapping, and this {what}.", origin=name)
        for key in value:
            if not isinstance(key, str):
                raise FkitTypeError(f"The top-level key {key!r} is no string.", origin=name)
        child: Node = settle(value, self.budget, self.kind)
        if source.values:
            child = fill(child, source)
        if "_base_" not in child:
            return child, self.kind.of({})
        paths = child["_base_"]
        base = self._bases(paths if isinstance(paths, list) else [paths], file, chain, 0)
        return _without(child, ["_base_"]), base

    def _bases(self, paths: list[Any], file: str, chain: tuple[str, ...], line: int) -> Node:
        """The union of the bases, in which no key may come twice."""
        items: dict[str, Any] = {}
        marks: dict[str, Any] = {}
        place = f"{shown(file)}:{line}" if line else shown(file)
        for path in paths:
            base, scope = base_file(path, file, place)
            self.scopes += scope is not None
            try:
                cfg = self.file(absolute(base), chain or (file,))
            except FkitError as error:
                error.origin = error.origin or place
                raise
            self.scopes -= scope is not None
            twice = sorted(items.keys() & cfg.keys())
            if twice:
                raise FkitKeyError(
                    f"The bases have keys in common: {', '.join(twice)}.",
                    origin=place,
                    repair="A key may come from one base only; move it, or make one base the child of the other.",
                )
            if scope is not None:
                cfg = _scoped(cfg, scope, self.shared, {})
            items.update(cfg)
            marks.update(marks_of(cfg) or {})
        return self.kind.of(items, marks or None)


def _base_paths(statement: ast.Assign | ast.AnnAssign, file: str, budget: Budget) -> list[Any]:
    """What ``_base_ = ...`` says, evaluated alone: it sees no other name of the file."""
    names = evaluate([statement], Draft(), file, budget)
    paths = names["_base_"]
    return paths if isinstance(paths, list) else [paths]


def _values(names: Draft) -> Draft:
    """What of the names is the config's: no modules, no functions, no private ones."""
    for key in [key for key, value in names.items() if key.startswith("__") or _is_code(value)]:
        del names[key]
        names.marks.pop(key, None)
    return names


def _is_code(value: Any) -> bool:
    # functions written in Python go, as OpenMMLab drops them; those written in C stay, as there
    return isinstance(value, (Closure, Module)) or type(value).__name__ == "function"


def _without(cfg: Node, keys: list[str]) -> Node:
    marks = {k: m for k, m in (marks_of(cfg) or {}).items() if k not in keys}
    return type(cfg).of({k: v for k, v in cfg.items() if k not in keys}, marks or None)


def _announce(child: Node, file: str) -> None:
    """Warn of a config that announces its end."""
    notice, mark = child["_deprecation_"], (marks_of(child) or {}).get("_deprecation_")
    message = f"The config file {file} will be deprecated in the future."
    if isinstance(notice, dict) and "expected" in notice:
        message += f" Please use {notice['expected']} instead."
    if isinstance(notice, dict) and "reference" in notice:
        message += f" More information can be found at {notice['reference']}"
    # Python shows a warning of this kind where it is the program's own: it is meant for who runs the config
    warnings.warn_explicit(message, DeprecationWarning, file, mark.line if mark is not None else 0, "__main__")


def _scoped(value: Any, scope: str, shared: dict[int, Node], known: dict[int, Node], outermost: bool = True) -> Any:
    """The outermost mappings with a ``type``, with the package they are of; what is shared gets it once for all."""
    if isinstance(value, Node):
        if id(value) in known:
            return known[id(value)]
        typed = outermost and "type" in value
        items = (
            {k: _scoped(v, scope, shared, known, outermost and not typed) for k, v in value.items()}
            if shared or not typed
            else dict(value)
        )
        if typed and dict.get(value, "_scope_") is None:
            items["_scope_"] = scope
        node = type(value).of(items, marks_of(value))
        if typed and id(value) in shared:
            known[id(value)] = node
        return node
    if isinstance(value, list):
        return Items.of([_scoped(v, scope, shared, known, outermost) for v in value])
    if isinstance(value, tuple):
        return tuple(_scoped(v, scope, shared, known, outermost) for v in value)
    return value
