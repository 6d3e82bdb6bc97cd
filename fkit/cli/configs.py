"""``fkit configs``: the configs that the kit ships, a line each."""

import argparse
import ast
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from fkit.cli.command import add_command
from fkit.config.read.shelf import config_names, file_of
from fkit.tree.check import expect

__all__ = ["Sheet", "add", "sheet"]

_EXAMPLES = (
    ("fkit configs", "all of them: name, time, score and what it is"),
    ("fkit configs --search mlp", "those with 'mlp' in their line"),
    ("fkit train digits/convnet", "a name stands for its file, in every command that takes a CONFIG"),
)


class Sheet(NamedTuple):
    """What a config says of itself in its docstring."""

    name: str
    time: str
    score: str
    what: str


def add(commands: Any) -> None:
    """Add the command to the command line.

    Args:
        commands: what ``CommandParser.add_subparsers`` gives.
    """
    command = add_command(
        commands, "configs", "List the configs that fkit ships: name, time, score and what each is.", _EXAMPLES
    )
    command.add_argument("--search", metavar="WORD", help="only those whose line contains WORD (case aside)")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    word = (arguments.search or "").lower()
    sheets = [row for name in config_names() if word in " ".join(row := sheet(name, file_of(name))).lower()]
    if not sheets:
        sys.stderr.write(f"There is no config with {arguments.search!r} in its line; `fkit configs` lists all.\n")
        return 0
    widths = [max(len(cell) for cell in column) for column in zip(*sheets, strict=True)]
    for row in sheets:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")
    sys.stderr.write("`fkit train NAME` trains one, `fkit config show NAME` prints it.\n")
    return 0


def sheet(name: str, file: Path) -> Sheet:
    """What a config's docstring says: its first line, and those that begin with ``Time:`` and ``Score:``, without what
    stands in parentheses there. A file that is no Python is its Python twin in another format.

    Example:
        >>> sheet("digits/mlp.yaml", file_of("digits/mlp.yaml")).what
        'digits/mlp as YAML'
        >>> sheet("digits/mlp", file_of("digits/mlp")).time
        'about 3 s'
    """
    expect(name, str, "A config is named by text")
    expect(file, Path, "A config's file is a path")
    if file.suffix != ".py":
        stem = name.removesuffix(file.suffix)
        kind = file.suffix[1:].upper()
        return Sheet(name, "", "", f"{stem} as {kind}" if file.with_suffix(".py").is_file() else kind)
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    facts = {key: re.sub(r" \(.*", "", value).rstrip(".") for key, value in re.findall(r"(?m)^(\w+): (.*)$", text)}
    return Sheet(name, facts.get("Time", ""), facts.get("Score", ""), text.partition("\n")[0].rstrip("."))
