"""``fkit``: one file a command."""

import argparse
import contextlib
import sys
from typing import TextIO, cast

from fkit import __version__
from fkit.edge.output import Output, OutputError, Screened, printable
from fkit.tree.error import FkitError

__all__ = ["main", "message_of", "parser"]

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
        0 when it did what was asked; 2 when the input is wrong; 1 when a run failed; 130, 143 or 129 after a signal.
    """
    words = sys.argv[1:] if argv is None else argv
    output = Output(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast("TextIO", output)):
            code = _run(words)
        output.flush()
        return code
    except BrokenPipeError:  # the reader of our output has gone
        output.drop()
        return 0
    except Exception as error:
        if "--debug" in words:
            raise
        if isinstance(error, OutputError):
            output.drop()
        text, code = message_of(error)
        _say(text)
        return code
    except KeyboardInterrupt:  # a second Ctrl-C, or one outside a run
        _say("interrupted")
        return 130


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_HELP)
        return 0 if words else 2
    try:
        arguments = parser(words[0] if words[0] in _COMMANDS else None).parse_args(words)
    except SystemExit as end:  # argparse has said what is wrong, or printed the help that was asked for
        return int(end.code or 0)
    return int(arguments.run(arguments) or 0)


def message_of(error: Exception) -> tuple[str, int]:
    """What a person reads of an error, and the exit code: the one door of every command.

    Example:
        >>> message_of(FkitError("no such key.", repair="Look again.")), message_of(KeyError("a"))[1]
        (('no such key.\\n  Look again.', 2), 1)
    """
    if isinstance(error, FkitError):
        return str(error), error.exit_code
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{text}\n  This is a fault of fkit, or of code of yours that it called: --debug shows where.", 1


def _say(text: str) -> None:
    Screened(sys.stderr).write(f"fkit: {printable(text)}\n")


if __name__ == "__main__":
    sys.exit(main())
