"""``fkit fingerprint CHECKPOINT``: a hex digest of all exact state, alone on standard output."""

import argparse
import sys
from typing import Any

from fkit.cli.option import add_debug
from fkit.edge.checkpoint import digest, locate, read_checkpoint

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = commands.add_parser(
        "fingerprint",
        help="a digest of all exact state of a checkpoint",
        description="Print a hex digest of all exact state of a checkpoint: weights, optimizer, position, hooks' memory.",
        epilog="example: fkit fingerprint work_dirs/convnet/checkpoints/step_00000460",
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a step_... folder, `latest`, or a work folder")
    add_debug(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    sys.stdout.write(digest(read_checkpoint(locate(arguments.checkpoint)).saved) + "\n")
    return 0
