"""Options that several commands share."""

import argparse
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from fkit.config.change.action import add_option
from fkit.config.config import Config, load_config
from fkit.registry.builtin import registry
from fkit.registry.plugin import installed
from fkit.registry.registry import Registry
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["add_config", "add_debug", "add_place", "add_trust", "open_registry", "read_config"]


def add_debug(command: argparse.ArgumentParser) -> None:
    """``--debug``, which every command has."""
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_trust(command: argparse.ArgumentParser) -> None:
    """``--trust`` and ``--allow``, which every command that reads a config has."""
    command.add_argument("--trust", action="store_true", help="run a config that is code, in a process of its own")
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="MODULE",
        help="let the config import MODULE and build what is defined in it; may be repeated",
    )


def add_config(command: argparse.ArgumentParser) -> None:
    """CONFIG, ``--cfg-options``, ``--trust`` and ``--allow``."""
    command.add_argument("config", metavar="CONFIG", help="a .py, .yaml or .json file")
    add_option(command)
    add_trust(command)
    add_debug(command)


def add_place(command: argparse.ArgumentParser) -> None:
    """``--backend`` and ``--device``."""
    command.add_argument("--backend", metavar="NAME", help="torch (default) or jax")
    command.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N; by default what is there")


def read_config(arguments: argparse.Namespace) -> Config:
    """The config that the command line names, with its words, and with ``--backend`` and ``--device`` as keys."""
    cfg = load_config(arguments.config, *(arguments.cfg_options or ()), trust=arguments.trust)
    places = {name: getattr(arguments, name, None) for name in ("backend", "device")}
    changes = {name: value for name, value in places.items() if value is not None}
    return cfg.merge(changes) if changes else cfg


def open_registry(arguments: argparse.Namespace) -> Registry:
    """What a command's config can name: the built-in registry, what installed packages offer (``fkit.plugins``), and what
    the user allows, by ``--allow``, ``--trust``, or the pyproject.toml of the working folder.

    Modules that are allowed are looked for in the working folder too, after all other places.
    """
    modules = (*arguments.allow, *project_modules(Path.cwd()))
    if modules and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return installed(registry()).allow(*modules, trust=arguments.trust)


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
