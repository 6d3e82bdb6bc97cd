"""``fkit``: one file a command."""

import argparse
import sys

from fkit import __version__
from fkit.tree.error import FkitError

__all__ = ["main", "parser"]

_COMMANDS = ("train", "test", "infer", "config", "registry", "env", "fingerprint")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line; ``only`` fills in the options of one command, so that starting it loads no other."""
    import importlib

    top = argparse.ArgumentParser(
        prog="fkit",
        description="A functional, immutable kit for vision research.",
        epilog="example: fkit train configs/digits/convnet.py --backend jax --cfg-options train_cfg.max_epochs=5",
    )
    top.add_argument("--version", action="version", version=f"fkit {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in _COMMANDS:
        if only is None or only == name:
            importlib.import_module(f"fkit.cli.{name}").add(commands)
        else:
            commands.add_parser(name)
    return top


_HELP = """usage: fkit [-h] [--version] COMMAND ...

A functional, immutable kit for vision research.

commands:
  train        train a model from a config
  test         score a checkpoint on held-out data
  infer        predict on images, and write them annotated
  config       show, explain and compare configs
  registry     list what configs can name
  env          what this machine and its packages are
  fingerprint  a digest of all exact state of a checkpoint

options:
  -h, --help   show this message; `fkit COMMAND --help` shows a command's
  --version    show the version

example: fkit train configs/digits/convnet.py --backend jax --cfg-options train_cfg.max_epochs=5
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when it did what was asked; 2 when the input is wrong; 1 when a run failed; 130 or 143 after a signal.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_HELP)
        return 0 if words else 2
    only = words[0] if words[0] in _COMMANDS else None
    arguments = parser(only).parse_args(words)
    try:
        return int(arguments.run(arguments) or 0)
    except FkitError as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"fkit: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:  # a second Ctrl-C, or one outside a run
        sys.stderr.write("fkit: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        return 0


if __name__ == "__main__":
    sys.exit(main())
