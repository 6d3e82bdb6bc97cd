"""``fkit fingerprint CHECKPOINT``: a hex digest of all exact state, alone on standard output."""

import argparse
import sys
from typing import Any

from fkit.cli.command import add_command
from fkit.edge.checkpoint import digest, locate, read_checkpoint

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "fingerprint",
        "Print a hex digest of all exact state of a checkpoint: weights, optimizer, position, hooks' memory.",
        ["fkit fingerprint work_dirs/convnet/checkpoints/step_00000460"],
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a step_... folder, `latest`, or a work folder")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    sys.stdout.write(digest(read_checkpoint(locate(arguments.checkpoint)).saved) + "\n")
    return 0
