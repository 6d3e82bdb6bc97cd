"""``fkit``: one file a command."""

import contextlib
import os
import sys
import traceback
from typing import TextIO, cast

from fkit import __version__
from fkit.cli.command import COMMANDS, CommandParser
from fkit.edge.launch import rank_of
from fkit.edge.output import Output, OutputError, ReaderGone, Screened, hold_places, printable
from fkit.training.fleet import Told
from fkit.tree.error import FkitError
from fkit.tree.trace import users_line

__all__ = ["main", "message_of", "parser"]


def parser(only: str | None = None) -> CommandParser:
    """The whole command line; ``only`` fills in the options of one command, so that starting it loads no other."""
    import importlib

    top = CommandParser(
        prog="fkit",
        description="A functional, immutable kit for vision research. `fkit COMMAND --help` shows a command's options.",
        examples=["fkit train digits/convnet --backend jax --cfg-options train_cfg.max_epochs=5"],
    )
    top.add_argument("--version", action="version", version=f"fkit {__version__}", help="show the version")
    top.set_defaults(parser=top)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, summary in COMMANDS.items():
        if only is None or only == name:
            importlib.import_module(f"fkit.cli.{name}").add(commands)
        else:
            commands.add_parser(name, help=summary)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when it did what was asked; 2 when the input is wrong; 1 when a run failed; 130, 143 or 129 after a signal.
    """
    words = sys.argv[1:] if argv is None else argv
    hold_places()
    output = Output(sys.stdout)
    out, err = cast("TextIO", output), cast("TextIO", Screened(sys.stderr))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _run([word for word in words if word != "--debug"])
        output.flush()
        return code
    except ReaderGone:
        output.drop()
        return 0
    except KeyboardInterrupt as end:  # a second Ctrl-C, or one outside a run; or fkit.edge.signal.Ended
        number = getattr(end, "number", 2)
        _say("", "interrupted" if number == 2 else f"ended by {end}")
        return 128 + number
    except BaseException as error:  # code of a user's own may raise one that is no Exception
        if isinstance(error, OutputError):
            output.drop()
        if isinstance(error, Told):  # by another process
            return error.exit_code
        text, code = message_of(error)
        trace = "".join(traceback.format_exception(error)) if "--debug" in words else ""
        _say(trace, text)
        return code


def _run(words: list[str]) -> int:
    top = parser(words[0] if words else "")
    if not words:
        Screened(sys.stderr).write(top.format_help())
        return 2
    try:
        arguments, strange = top.parse_known_args(words)
    except SystemExit:  # argparse has printed the help or the version that was asked for
        return 0
    if strange:
        arguments.parser.refuse_words(strange)
    return int(arguments.run(arguments) or 0)


def message_of(error: BaseException) -> tuple[str, int]:
    """What a person reads of an error, and the exit code: the one door of every command.

    Example:
        >>> message_of(FkitError("no such key.", repair="Look again.")), message_of(KeyError("a"))[1]
        (('no such key.\\n  Look again.', 2), 1)
    """
    if isinstance(error, FkitError):
        first, *below = str(error).splitlines() or [""]
        return "\n".join((first, *(line if line.startswith("  ") else f"  {line}" for line in below))), error.exit_code
    try:
        text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    except Exception:  # an error of a user's own class, whose text fails
        text = type(error).__name__
    line = users_line(error)
    hint = (
        f"It was raised at {line}: --debug shows all of it."
        if line
        else "This is a fault of fkit: --debug shows where."
    )
    return "\n  ".join((*text.splitlines(), hint)), 1


def _say(trace: str, text: str) -> None:
    rank = rank_of(os.environ)  # one of several processes says which it is
    Screened(sys.stderr).write(printable(f"{trace}fkit: {f'process {rank}: ' if rank else ''}{text}\n"))


if __name__ == "__main__":
    sys.exit(main())
