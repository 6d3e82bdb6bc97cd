"""Command-line words for argparse: OpenMMLab's DictAction, and the option that fkit's commands share."""

import argparse
from collections.abc import Sequence
from typing import Any

from fkit.config.change.delta import replace
from fkit.config.change.word import read_word
from fkit.tree.check import expect

__all__ = ["DictAction", "add_option"]


class DictAction(argparse.Action):
    """An argument of ``KEY=VALUE`` words, as OpenMMLab's scripts declare it: a dict that ``Config.merge`` takes.

    The words of a repeated option add up, and the last with a key holds. A mapping after ``:=`` is a ``replace`` of it:
    it takes the place of what stands there.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        >>> parser.parse_args(["--cfg-options", "model.depth=18", "lr=1e-3"]).cfg_options
        {'model.depth': 18, 'lr': 0.001}
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = [values] if isinstance(values, str) else list(values or ())
        changes: Any = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, {**(changes or {}), **dict(map(_change, words))})


def _change(text: str) -> tuple[str, Any]:
    word = read_word(text)
    whole = word.declares and isinstance(word.value, dict)
    return word.key, replace(word.value) if whole else word.value


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--cfg-options KEY=VALUE ...``; repeated, the words add up."""
    expect(parser, argparse.ArgumentParser, "`parser` is an ArgumentParser")
    help_text = (
        "change the config, as optim_wrapper.optimizer.lr=0.1 or pipeline[0].k=x; KEY:=VALUE, with VALUE as Python writes "
        "it, declares a new key or another type"
    )
    parser.add_argument("--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", help=help_text)
