"""``fkit env``: what this machine and its packages are, a row a line."""

import argparse
import json
import sys
from typing import Any

from fkit.cli.command import add_command
from fkit.edge.environment import collect_env

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the command line.

    Args:
        commands: what ``CommandParser.add_subparsers`` gives.

    Example:
        >>> from fkit.cli.command import CommandParser
        >>> top = CommandParser()
        >>> add(top.add_subparsers())
        >>> top.parse_args(["env", "--json"]).json
        True
    """
    command = add_command(
        commands,
        "env",
        "Print the platform, Python, compilers, frameworks, devices and packages; paste it into a report.",
        ["fkit env --json > env.json"],
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    rows = collect_env()
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in rows.items()))
    return 0
