"""What a command line reaches: its config, and the registry with what the user allows."""

import argparse
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from fkit.catalog.allow import importable
from fkit.catalog.builtin import registry
from fkit.catalog.plugin import installed
from fkit.catalog.registry import Registry
from fkit.config.config import Config, load_config
from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError, quoted

__all__ = ["look_here", "open_registry", "project_modules", "read_config"]

_PLACES = "Modules are looked for in what is installed, on PYTHONPATH and in the working folder."


def read_config(arguments: argparse.Namespace) -> Config:
    """The config that the command line names, with its words, and with ``--backend``, ``--device`` and ``--devices`` as keys."""
    cfg = load_config(arguments.config, *(arguments.cfg_options or ()), trust=arguments.trust)
    places = {name: getattr(arguments, name, None) for name in ("backend", "device", "devices")}
    changes = {name: value for name, value in places.items() if value is not None}
    return cfg.merge(changes, source="the command line") if changes else cfg


def open_registry(arguments: argparse.Namespace) -> Registry:
    """What a command's config can name: the built-in registry, what installed packages offer (``fkit.plugins``), and what
    the user allows, by ``--allow``, ``--trust``, or the pyproject.toml of the working folder.

    Modules that are allowed are looked for in the working folder too, after all other places.
    """
    modules = (*arguments.allow, *project_modules(Path.cwd()))
    look_here(*modules)
    for name in arguments.allow:
        if name.isidentifier() and not importable(name):
            raise FkitImportError(f"--allow {name}: there is no module {name!r}.", repair=_PLACES)
    return installed(registry()).allow(*modules, trust=arguments.trust)


def look_here(*modules: str) -> None:
    """Look for modules, where there are some, in the working folder too, after all other places."""
    if modules and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def project_modules(folder: Path) -> tuple[str, ...]:
    """``[tool.fkit] allow = ["mypkg"]`` of a folder's pyproject.toml; nothing where there is none.

    Raises:
        FkitValueError: the file is no TOML.
        FkitTypeError: ``allow`` is no list of names, or ``[tool.fkit]`` has another key.
    """
    file = folder / "pyproject.toml"
    if not file.is_file():
        return ()
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FkitValueError(f"{file} is no TOML: {error}.") from error
    tool = document.get("tool")
    table: Any = tool.get("fkit", {}) if isinstance(tool, dict) else {}
    allow: Any = table.get("allow", []) if isinstance(table, dict) else table
    for key in table if isinstance(table, dict) else ():
        if key != "allow":
            raise FkitTypeError(
                f"{file}: [tool.fkit] takes no key {key!r}.", value=key, choices=("allow",), label="Keys"
            )
    if not isinstance(allow, list) or not all(isinstance(name, str) for name in allow):
        raise FkitTypeError(f"{file}: [tool.fkit] allow = {quoted(allow)}: a list of names of modules is needed.")
    return tuple(allow)
