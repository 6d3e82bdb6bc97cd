"""``fkit new FOLDER``: an experiment of one's own to start from, written into a folder."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command
from fkit.tree.check import expect
from fkit.tree.error import FkitOSError
from fkit.tree.package import shipped_folder

__all__ = ["add", "write_experiment"]

_NEXT = """
{folder} holds an experiment to make your own (README.md says what it finds):

  own.py         a dataset, a transform, a metric, a hook and a model, in one file
  own_flax.py    the model's twin, for --backend jax
  config.py      names them, and says how to train; robust.py changes one number of it
  test_own.py    tests of the five parts, by value

Next:

{enter}  fkit train config.py        some seconds; then read work_dirs/config/log.txt, and look at curves.png
  fkit train robust.py
  python -m pytest -q         the tests (pip install pytest)
"""


def add(commands: Any) -> None:
    """Add the command to the command line.

    Args:
        commands: what ``CommandParser.add_subparsers`` gives.

    Example:
        >>> from fkit.cli.command import CommandParser
        >>> top = CommandParser(prog="fkit")
        >>> add(top.add_subparsers())
        >>> top.parse_args(["new", "mine"]).folder
        'mine'
    """
    command = add_command(
        commands,
        "new",
        "Write a small, true experiment into a folder: parts of one's own, configs that use them, and their tests.",
        [("fkit new mine", "then: cd mine && fkit train config.py")],
    )
    command.add_argument("folder", metavar="FOLDER", help="a folder that is empty, or not there yet")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    folder = arguments.folder
    write_experiment(folder)
    enter = "" if Path(folder).resolve() == Path.cwd() else f"  cd {shlex.quote(folder)}\n"
    sys.stdout.write(_NEXT.lstrip("\n").format(folder=folder, enter=enter))
    return 0


def write_experiment(folder: str | Path) -> tuple[Path, ...]:
    """Copy the files of ``experiments/own`` into a folder.

    Args:
        folder: empty but for hidden files, or not there yet; the folders above it are made too.

    Returns:
        the files, sorted.

    Raises:
        FkitOSError: the folder holds something, is a file, or cannot be written.
    """
    expect(folder, (str, Path), "`folder` is a path")
    place = Path(os.path.expanduser(folder))
    try:
        if place.exists() and not place.is_dir():
            raise FkitOSError(f"{folder} is a file.", repair="Name a folder that is empty, or not there yet.")
        held = sorted(name for name in os.listdir(place) if not name.startswith(".")) if place.exists() else []
        if held:
            more = f" and {len(held) - 1} more" if len(held) > 1 else ""
            raise FkitOSError(
                f"{folder} is not empty: it holds {held[0]}{more}.", repair="Name another folder; nothing was written."
            )
        place.mkdir(parents=True, exist_ok=True)
        sources = sorted(file for file in shipped_folder("experiments/own").iterdir() if file.is_file())
        return tuple(Path(shutil.copyfile(file, place / file.name)) for file in sources if file.name[0] != ".")
    except OSError as cause:
        if isinstance(cause, FkitOSError):
            raise
        raise FkitOSError(f"{folder} cannot be written: {cause.strerror}.") from cause
