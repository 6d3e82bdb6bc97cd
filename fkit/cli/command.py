"""What every command is made of: its line in the list, a parser whose errors are the kit's, examples that can be pasted."""

import argparse
import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from frozendict import frozendict

from fkit.tree.error import FkitValueError, nearest

__all__ = ["COMMANDS", "CommandParser", "add_command", "number", "whole"]

COMMANDS: Mapping[str, str] = frozendict(
    train="train a model from a config",
    sweep="train a config at each point of a grid",
    test="score a checkpoint on held-out data",
    infer="predict on images, and write them annotated",
    browse="draw what a config's pipeline gives, step by step",
    new="write an experiment of one's own to start from",
    config="show, explain and compare configs",
    configs="list the configs that come with fkit",
    registry="list what configs can name",
    env="what this machine and its packages are",
    runs="list the runs of a folder",
    diff="compare two runs: config, versions, metrics",
    replay="execute a run again, and compare it with its record",
    bisect="find the step at which two runs part",
    fingerprint="a digest of all exact state of a checkpoint",
    checkpoint="show a checkpoint, and write it for others",
    convert="weights from torch to flax, and back",
)
"""The commands, each the module of its name in this folder, and what `fkit --help` says of it."""

_NEEDED = "the following arguments are required: "  # argparse's words, the same in all Pythons
_SAID = (
    ("ignored explicit argument", "it takes no value, and got"),
    ("expected at least one argument", "a value is needed"),
    ("expected one argument", "a value is needed"),
)


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are FkitErrors with the command's usage, and whose help never breaks inside a word.

    Args:
        examples: lines of a shell, each alone or with a remark; where one is too long for the screen, it goes on in the
            next line as a shell takes it.
    """

    def __init__(self, *args: Any, examples: Sequence[str | tuple[str, str]] = (), **options: Any) -> None:
        super().__init__(*args, formatter_class=_Whole, **options)
        self.color = False  # Python 3.14 would colour the help
        self.examples = tuple((line, "") if isinstance(line, str) else line for line in examples)
        self._words: tuple[str, ...] = ()

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # of its overloads only one is needed
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """As in argparse, but for its errors, which look at what was typed."""
        self._words = tuple(args or ())
        return super().parse_known_args(args, namespace)

    @property
    def words(self) -> tuple[str, ...]:
        """What was typed, after the command's name."""
        return self._words

    def format_help(self) -> str:
        """The help, with the examples at its end."""
        width = shutil.get_terminal_size().columns - 2
        column = max((len(line) for line, remark in self.examples if remark), default=0)
        lines = [shown for line, remark in self.examples for shown in _example(line, remark, column, width)]
        title = "\nexamples:\n" if len(self.examples) > 1 else "\nexample:\n"
        return super().format_help() + (title + "\n".join(lines) + "\n" if lines else "")

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed: the one door of argparse's own errors."""
        if message.startswith(_NEEDED):
            strange = [word for word in self._words if word.startswith("--") and not self._knows(word)]
            if strange:
                self.refuse_words(strange)
            takes = "CONFIG" in message and any("--cfg-options".startswith(word) for word in self._words)
            order = "CONFIG stands before --cfg-options, which takes all words after it." if takes else ""
            self.refuse(f"`{self.prog}` needs {message.removeprefix(_NEEDED)}.", order)
        for theirs, ours in _SAID:
            message = message.replace(theirs, ours)
        self.refuse(f"{message.removeprefix('argument ').rstrip('.')}.")

    def refuse(self, what: str, repair: str = "", **options: Any) -> NoReturn:
        """Raise an error of the command line, with the usage of this command.

        Raises:
            FkitValueError: always.
        """
        usage = self.format_usage().rstrip().replace("\n", "\n  ")
        raise FkitValueError(what, repair="\n  ".join(part for part in (repair, usage) if part), **options)

    def refuse_words(self, words: Sequence[str]) -> NoReturn:
        """Refuse words that the command does not take: the first option among them, else the first."""
        word = next((word for word in words if word.startswith("-")), words[0])
        if not word.startswith("-"):
            change = f"A change of the config stands after --cfg-options: --cfg-options {word}" if "=" in word else ""
            self.refuse(f"`{self.prog}` takes no further word {word!r}.", change)
        option = word.partition("=")[0]
        names = [name.lstrip("-") for name in self._option_string_actions if name.startswith("--")]
        near = nearest(option.lstrip("-"), names)
        self.refuse(f"`{self.prog}` takes no option {option!r}.", f"Did you mean '--{near}'?" if near else "")

    def _knows(self, word: str) -> bool:
        return any(name.startswith(word.partition("=")[0]) for name in self._option_string_actions)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = tuple(map(str, action.choices))
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            what, more = f"There is no command `{self.prog} {value}`.", f"{self.prog} --help"
            self.refuse(what, value=value, choices=choices, label="Commands", more=more)
        name = "/".join(action.option_strings) or str(action.metavar or action.dest)
        self.refuse(f"{name} = {value!r} is none of its values.", value=str(value), choices=choices)


class _Whole(argparse.HelpFormatter):
    """Lines that break at blanks only."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 28, **options})

    def add_argument(self, action: argparse.Action) -> None:
        """As in argparse, which forgets that the names of commands are indented."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            self._action_max_length += self._indent_increment

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False, break_long_words=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in self._split_lines(text, width - len(indent)))


def _example(line: str, remark: str, column: int, width: int) -> list[str]:
    """An example's lines on a screen: two blanks before each, a backslash where it goes on."""
    if remark and column + len(remark) + 6 <= width:
        return [f"  {line:<{column}}  # {remark}"]
    lines = textwrap.wrap(line, width - 4, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
    shown = [f"  {part} \\" for part in lines[:-1]] + [f"  {lines[-1]}"]
    about = textwrap.wrap(remark, width - 4, break_on_hyphens=False) if remark else []
    return [f"  # {part}" for part in about] + shown


def add_command(
    commands: Any, name: str, description: str, examples: Sequence[str | tuple[str, str]], summary: str | None = None
) -> CommandParser:
    """A new command, with the ``--debug`` that each has.

    Args:
        commands: what ``CommandParser.add_subparsers`` gives.
        name: what is typed.
        description: one or two sentences: what it does.
        examples: as `CommandParser` takes them.
        summary: its line in the list of commands; by default that of `COMMANDS`.

    Example:
        >>> top = CommandParser(prog="fkit")
        >>> env = add_command(top.add_subparsers(), "env", "What is here.", ["fkit env"])
        >>> top.parse_args(["env", "--debug"]).debug
        True
    """
    command: CommandParser = commands.add_parser(
        name, help=COMMANDS[name] if summary is None else summary, description=description, examples=examples
    )
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(parser=command)
    return command


def whole(text: str) -> int:
    """A whole number, as the type of an option.

    Example:
        >>> whole("12")
        12
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def number(text: str) -> float:
    """A number, as the type of an option.

    Example:
        >>> number("0.5")
        0.5
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value
