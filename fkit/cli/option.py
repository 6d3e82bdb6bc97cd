"""Options that several commands share."""

import argparse

from fkit.config.config import Config, load_config
from fkit.registry.builtin import registry
from fkit.registry.plugin import installed
from fkit.registry.registry import Registry

__all__ = ["Pairs", "add_config", "add_debug", "add_place", "open_registry", "read_config"]


class Pairs(argparse.Action):
    """``--cfg-options a.b=1 c='[1,2]'``: words, gathered over repeated options."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *(values or [])])


def add_debug(command: argparse.ArgumentParser) -> None:
    """``--debug``, which every command has."""
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_config(command: argparse.ArgumentParser) -> None:
    """CONFIG, ``--cfg-options`` and ``--trust``."""
    command.add_argument("config", metavar="CONFIG", help="a .py, .yaml or .json file")
    command.add_argument(
        "--cfg-options",
        nargs="+",
        action=Pairs,
        default=[],
        metavar="K=V",
        help="changes, such as optim_wrapper.optimizer.lr=0.1",
    )
    command.add_argument("--trust", action="store_true", help="run a config that is code, in a process of its own")
    add_debug(command)


def add_place(command: argparse.ArgumentParser) -> None:
    """``--backend`` and ``--device``."""
    command.add_argument("--backend", metavar="NAME", help="torch (default) or jax")
    command.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N; by default what is there")


def read_config(arguments: argparse.Namespace) -> Config:
    """The config that the command line names, with its words, and with ``--backend`` and ``--device`` as keys."""
    cfg = load_config(arguments.config, *arguments.cfg_options, trust=arguments.trust)
    places = {name: getattr(arguments, name, None) for name in ("backend", "device")}
    changes = {name: value for name, value in places.items() if value is not None}
    return cfg.merge(changes) if changes else cfg


def open_registry() -> Registry:
    """What a command can name: the built-in registry, and what installed packages offer (``fkit.plugins``)."""
    return installed(registry())
