"""New-style configs: bases imported inside of ``with read_base():``, other imports kept as names."""

import ast
from typing import Any, NamedTuple

from fkit.config.language.budget import Budget
from fkit.config.language.imported import Imported, Module, is_standard
from fkit.config.language.scope import Closure
from fkit.config.language.statement import evaluate
from fkit.config.language.value import Draft, link, settle
from fkit.config.read.locate import module_file
from fkit.config.read.placeholder import check_none
from fkit.config.read.source import read, shown
from fkit.config.read.syntax import parse_python, split_marker, statements
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError
from fkit.tree.node import Node

__all__ = ["Reading", "load_newstyle"]


class Reading(NamedTuple):
    """What the files of one config share while they are read.

    ``environment`` is filled with the variables that they read; the last two say whether placeholders of files and of the
    environment would be replaced in a file of the old style, and so are refused here.
    """

    budget: Budget
    environment: dict[str, str]
    predefined: bool = True
    variables: bool = True


def load_newstyle(text: str, file: str, reading: Reading, kind: type[Node]) -> tuple[Node, dict[str, str]]:
    """The config of a new-style file, and the names that it and its bases import, with what they stand for.

    Raises:
        FkitError: what is wrong, with file and line.
    """
    names, imported = _module(text, file, reading, (file,))
    dotted = {key: value.name for key in imported if isinstance(value := names.get(key), Imported)}
    return settle(_values(names, imported), reading.budget, kind), dotted


def _values(names: Draft, imported: set[str]) -> Draft:
    """What of the names is the config's: no imports, no modules, no functions, no private ones."""
    for key, value in [*names.items()]:
        if key in imported or key.startswith("__") or isinstance(value, (Module, Closure)):
            del names[key]
            names.marks.pop(key, None)
    return names


def _module(text: str, file: str, reading: Reading, chain: tuple[str, ...]) -> tuple[Draft, set[str]]:
    """All names that a file leaves, and those of them that are imports."""
    if len(chain) > 1:  # the first is counted where its style is looked at
        reading.budget.file(len(text))
    name = shown(file)
    check_none(text, file, name, reading.predefined, reading.variables)
    module = parse_python(text, name)
    body, imports = split_marker(module.body, name)
    names = Draft()
    names["__file__"] = file
    imported = _read_bases(imports, names, file, reading, chain) | _check_imports(module, name)
    roots = [node for node in body if _is_plain_import(node)]
    for node in roots:  # OpenMMLab binds these before all else
        for alias in node.names:  # type: ignore[attr-defined]
            root = alias.name.split(".")[0]
            names[root] = Imported(root, f"{name}:{node.lineno}")
            imported.add(root)
    evaluate([node for node in body if node not in roots], names, name, reading.budget, reading.environment)
    return names, imported


def _is_plain_import(node: ast.stmt) -> bool:
    """``import a.b`` of another library, without ``as``."""
    return isinstance(node, ast.Import) and all(a.asname is None and not is_standard(a.name) for a in node.names)


def _read_bases(
    imports: list[ast.ImportFrom], names: Draft, file: str, reading: Reading, chain: tuple[str, ...]
) -> set[str]:
    """Put the names that are imported from bases among ``names``; one base's values are shared by its imports.

    Returns:
        the names that the bases import.
    """
    bases: dict[str, Draft] = {}
    imported: set[str] = set()
    for node in imports:
        module, place = "." * node.level + (node.module or ""), f"{shown(file)}:{node.lineno}"
        if module not in bases:
            bases[module], more = _read_base(module, file, place, reading, chain)
            imported |= more
        base = bases[module]
        for alias in node.names:
            if alias.name == "*":
                names.update({k: v for k, v in base.items() if not k.startswith("__")})
                names.marks.update(base.marks)
                break
            if alias.name not in base:
                choices = [str(k) for k in base if not str(k).startswith("__")]
                message = f"The base {module} has no {alias.name!r}."
                raise FkitKeyError(message, origin=place, value=alias.name, choices=choices, label="Names")
            name = alias.asname or alias.name
            names[name] = base[alias.name]
            names.marks[name] = base.marks.get(alias.name)
    return imported


def _read_base(module: str, file: str, place: str, reading: Reading, chain: tuple[str, ...]) -> tuple[Draft, set[str]]:
    path = module_file(module, file, place)
    if path in chain or len(chain) > 100:
        raise FkitValueError(f"The bases go round in a circle: {' -> '.join([*chain, path])}.", origin=place)
    try:
        base, imported = _module(read(path), path, reading, (*chain, path))
    except FkitError as error:
        error.origin = error.origin or place
        raise
    reading.budget.spend(reading.budget.weigh(base))
    # each value becomes one of its own, as mmengine's ConfigDicts are made: no two share a part
    values = {k: v if isinstance(v, (Closure, Module)) else link(v) for k, v in base.items()}
    return Draft(values, dict(base.marks)), imported


def _check_imports(module: ast.Module, file: str) -> set[str]:
    """The names that imports bind, and the errors of imports that OpenMMLab refuses."""
    names: set[str] = set()
    for node in statements(module):
        if isinstance(node, ast.Import):
            if len(node.names) != 1:
                raise FkitValueError("A new-style config imports one module a line.", origin=f"{file}:{node.lineno}")
            if node.names[0].asname is not None:
                names.add(node.names[0].asname)
        elif isinstance(node, ast.ImportFrom):
            names |= _bound(node, module, file)
    return names


def _bound(node: ast.ImportFrom, module: ast.Module, file: str) -> set[str]:
    marker = next((below for below in module.body if isinstance(below, ast.With)), None)
    if marker is not None and node in marker.body:
        return set()  # names of bases are the config's own
    name: Any = "." * node.level + (node.module or "")
    if any(alias.name == "*" for alias in node.names):
        repair = "Name what you import; a star is only for bases, inside of `with read_base():`."
        raise FkitValueError(
            f"`from {name} import *` stands outside of `with read_base():`.",
            origin=f"{file}:{node.lineno}",
            repair=repair,
        )
    return {alias.asname or alias.name for alias in node.names}
