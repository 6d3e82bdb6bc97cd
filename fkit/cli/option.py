"""Options that several commands share."""

import argparse

from fkit.cli.command import whole
from fkit.config.change.action import add_option
from fkit.edge.launch import LAUNCHERS
from fkit.training.ema import WEIGHTS

__all__ = ["add_config", "add_launcher", "add_place", "add_trust", "add_weights", "permissions"]


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


def permissions(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The words of `add_trust` that were said, for a command that reads the same config after this one.

    Example:
        >>> permissions(argparse.Namespace(trust=True, allow=["mine", "more"]))
        ('--trust', '--allow', 'mine', '--allow', 'more')
    """
    allowed = (word for module in arguments.allow for word in ("--allow", module))
    return (*(["--trust"] if arguments.trust else []), *allowed)


def add_config(command: argparse.ArgumentParser) -> None:
    """CONFIG, ``--cfg-options``, ``--trust`` and ``--allow``."""
    command.add_argument("config", metavar="CONFIG", help="a .py, .yaml or .json file, or a name of `fkit configs`")
    add_option(command)
    add_trust(command)


def add_place(command: argparse.ArgumentParser) -> None:
    """``--backend``, ``--device`` and ``--devices``."""
    command.add_argument("--backend", metavar="NAME", help="torch (default) or jax")
    command.add_argument("--device", metavar="DEVICE", help="cpu, cuda or cuda:N; by default what is there")
    command.add_argument(
        "--devices",
        type=whole,
        metavar="N",
        help="how many devices of this machine share each batch; on torch, a process each; default: one",
    )


def add_launcher(command: argparse.ArgumentParser) -> None:
    """``--launcher``."""
    command.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        metavar="NAME",
        help="what has started this process beside others: none, pytorch (torchrun), slurm or mpi",
    )


def add_weights(command: argparse.ArgumentParser) -> None:
    """``--weights``."""
    command.add_argument(
        "--weights",
        choices=WEIGHTS,
        metavar="WORD",
        help="own, or ema: their moving average; by default those that the run validated with",
    )
