"""What a person reads of an entry: where its maker is defined and its signature, without importing it."""

import ast
import importlib.machinery
import importlib.util
import inspect
from pathlib import Path
from typing import Any, NamedTuple, cast

from fkit.catalog.entry import Entry, Lazy
from fkit.tree.check import expect

__all__ = ["Described", "describe"]

_UNKNOWN = "(...)"


class Described(NamedTuple):
    """One name of a kind.

    ``where`` is ``file:line`` where the source was found, else ``module:attribute``; ``signature`` is ``(...)`` where
    it was not.
    """

    kind: str
    name: str
    backend: str | None
    where: str
    signature: str
    summary: str


def describe(entry: Entry, name: str | None = None) -> Described:
    """Where an entry's maker is defined, and its signature. The source of a lazy one is read, never run.

    Args:
        entry: the entry.
        name: the name to show, ``registry.full_name(entry)``; None is the entry's bare one.

    Example:
        >>> from fkit.catalog.entry import entry_of
        >>> describe(*entry_of("models", "colorsys:rgb_to_hsv", None, "fkit", None)).signature
        '(r, g, b)'
    """
    expect(entry, Entry, "`entry` is an entry, as `Registry.find` gives it")
    expect(name, (str, type(None)), "`name` is a string or None")
    if isinstance(entry.maker, Lazy):
        where, signature, summary = _read(entry.maker.target)
    else:
        where, signature, summary = _inspect(entry)
    return Described(entry.kind, name or entry.name, entry.backend, where, signature, summary)


def _inspect(entry: Entry) -> tuple[str, str, str]:
    maker = cast(Any, entry.maker)
    try:
        signature = str(inspect.signature(maker))
    except (ValueError, TypeError):
        signature = _UNKNOWN
    summary = (inspect.getdoc(maker) or "").partition("\n")[0]
    try:
        code = inspect.unwrap(maker)
        where = f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (OSError, TypeError):
        where = entry.where
    return where, signature, summary


def _read(target: str) -> tuple[str, str, str]:
    module, _, attribute = target.partition(":")
    file = source_of(module)
    if file is None:
        return target, _UNKNOWN, ""
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return target, _UNKNOWN, ""
    node = _find(body, attribute)
    if node is None:
        return _assigned(body, attribute, file) or (target, _UNKNOWN, "")
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    return f"{file}:{node.lineno}", _signature(node, body), summary


def _assigned(body: list[ast.stmt], name: str, file: Path) -> tuple[str, str, str] | None:
    """``Name = partial(Maker, key=value)``: the maker's signature, and what was set."""
    for node in body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if value is None or not any(isinstance(target, ast.Name) and target.id == name for target in targets):
            continue
        maker = value.args[0] if isinstance(value, ast.Call) and value.args else value
        defined = _find(body, maker.id) if isinstance(maker, ast.Name) else None
        signature = _signature(defined, body) if defined is not None else _UNKNOWN
        return f"{file}:{node.lineno}", signature, ast.unparse(value)
    return None


def source_of(module: str) -> Path | None:
    """The source file of a module, found without importing it or the packages around it.

    Example:
        >>> source_of("fkit.tree.error").name, source_of("no_such_package.part")
        ('error.py', None)
    """
    search: Any = None
    spec: importlib.machinery.ModuleSpec | None = None
    path = ""
    for part in module.split("."):
        path = f"{path}.{part}" if path else part
        # the path finder alone: `importlib.util.find_spec` would import the packages around
        spec = importlib.machinery.PathFinder.find_spec(path, search) or _editable(path)
        if spec is None:
            return None
        search = spec.submodule_search_locations
    origin = spec.origin if spec is not None else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _editable(path: str) -> importlib.machinery.ModuleSpec | None:
    """A top-level package that an import hook finds, as those of editable installs are."""
    return importlib.util.find_spec(path) if "." not in path else None


def _find(body: list[ast.stmt], attribute: str) -> ast.ClassDef | ast.FunctionDef | None:
    first, _, tail = attribute.partition(".")
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == first:
            return _find(node.body, tail) if tail else node
    return None


def _signature(node: ast.ClassDef | ast.FunctionDef, body: list[ast.stmt]) -> str:
    if isinstance(node, ast.FunctionDef):
        return _arguments(node.args, 0)
    for name in ("__init__", "__new__"):
        method = _find(node.body, name)
        if isinstance(method, ast.FunctionDef) and method.args.args:
            return _arguments(method.args, 1)
    fields = _fields(node)
    if fields:
        return f"({', '.join(fields)})"
    for parent in node.bases:  # a class without its own takes its parent's, where that stands in the same file
        above = _find(body, parent.id) if isinstance(parent, ast.Name) else None
        if above is not None and above is not node:
            return _signature(above, body)
    return _UNKNOWN


def _fields(node: ast.ClassDef) -> list[str]:
    """The annotated fields of a dataclass, a NamedTuple or a flax module."""
    decorated = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    based = any(ast.unparse(b).rpartition(".")[2] in ("NamedTuple", "Module") for b in node.bases)
    if not (decorated or based):
        return []
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return [
        f"{ast.unparse(n.target)}: {ast.unparse(n.annotation)}" + (f" = {ast.unparse(n.value)}" if n.value else "")
        for n in fields
        if not ast.unparse(n.annotation).startswith("ClassVar")
    ]


def _arguments(args: ast.arguments, skip: int) -> str:
    """An argument list as written, without ``self``."""
    places = args.args[skip:] if not args.posonlyargs else args.args
    shown = ast.arguments(
        posonlyargs=args.posonlyargs[skip:],
        args=places,
        vararg=args.vararg,
        kwonlyargs=args.kwonlyargs,
        kw_defaults=args.kw_defaults,
        kwarg=args.kwarg,
        defaults=args.defaults[-len(places) - len(args.posonlyargs) :] if args.defaults else [],
    )
    return f"({ast.unparse(shown)})"
