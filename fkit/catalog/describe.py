"""What a person reads of an entry: where its maker is defined and its signature, without importing it."""

import ast
import importlib.machinery
import importlib.util
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from fkit.catalog.entry import Entry, Lazy
from fkit.tree.check import expect

__all__ = ["Described", "Source", "describe", "described", "parsed"]

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


class Source(NamedTuple):
    """A file and the statements in it."""

    file: Path | None
    body: tuple[ast.stmt, ...]


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
        where, signature, summary = _read(entry.maker.target, parsed(entry.maker.target.partition(":")[0]))
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


def described(kind: str, name: str, backend: str | None, target: str, source: Source) -> Described:
    """A row of a name that no registry holds: ``"module:attribute"``, with the source of its module."""
    expect(target, str, "`target` is 'module:attribute'")
    expect(source, Source, "`source` is what `parsed` gives")
    return Described(kind, name, backend, *_read(target, source))


def parsed(module: str) -> Source:
    """A module's source; empty where there is none, or none that this Python reads."""
    expect(module, str, "`module` is the name of a module")
    file = source_of(module)
    try:
        return Source(file, tuple(ast.parse(file.read_text(encoding="utf-8")).body if file is not None else ()))
    except (OSError, SyntaxError, ValueError):
        return Source(file, ())


def _read(target: str, source: Source) -> tuple[str, str, str]:
    file, body = source
    if file is None or not body:
        return target, _UNKNOWN, ""
    attribute = target.partition(":")[2]
    node = _find(body, attribute)
    if node is None:
        return _assigned(body, attribute, file) or (target, _UNKNOWN, "")
    summary = (ast.get_docstring(node) or "").partition("\n")[0]
    return f"{file}:{node.lineno}", _signature(node, body), summary


def _assigned(body: Sequence[ast.stmt], name: str, file: Path) -> tuple[str, str, str] | None:
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
    first, *inner = module.split(".")
    # the path finder alone: `importlib.util.find_spec` would import the packages around
    spec = importlib.machinery.PathFinder.find_spec(first) or _editable(first)
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    file = Path(spec.origin) if spec.origin else None
    for part in inner:
        file = next(
            (path for f in folders for path in (f / part / "__init__.py", f / f"{part}.py") if path.is_file()), None
        )
        folders = [folder / part for folder in folders if (folder / part).is_dir()]
    return file if file is not None and file.suffix == ".py" else None


def _editable(path: str) -> importlib.machinery.ModuleSpec | None:
    """A top-level package that an import hook finds, as those of editable installs are."""
    return importlib.util.find_spec(path)


def _find(body: Sequence[ast.stmt], attribute: str) -> ast.ClassDef | ast.FunctionDef | None:
    first, _, tail = attribute.partition(".")
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == first:
            return _find(node.body, tail) if tail else node
    return None


def _signature(node: ast.ClassDef | ast.FunctionDef, body: Sequence[ast.stmt]) -> str:
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
