"""``fkit config show|explain|diff``: what a config says, and where it says it."""

import argparse
import sys
from typing import Any

from fkit.cli.option import add_trust
from fkit.config.change.action import add_option
from fkit.config.config import Config, load_config
from fkit.config.show.explain import difference, explain
from fkit.config.show.text import FORMS
from fkit.recipe.manual import annotated
from fkit.recipe.settings import read

__all__ = ["add"]

_EXAMPLE = """examples:
  fkit config show configs/digits/convnet.py --format yaml --cfg-options seed=7
  fkit config show configs/digits/convnet.py --run             (every key of a run, with what it is)
  fkit config show configs/digits/convnet.py --format words    (each value as --cfg-options takes it)
  fkit config explain configs/digits/convnet.py optim_wrapper.optimizer.lr
  fkit config diff old.py new.py
"""


def add(subparsers: Any) -> None:
    """Add the command to those of ``fkit``."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = subparsers.add_parser(
        "config", help="show, explain and compare configs", epilog=_EXAMPLE, formatter_class=raw
    )
    commands = parser.add_subparsers(dest="what", required=True, metavar="show|explain|diff")

    show = commands.add_parser("show", help="print the whole config", epilog=_EXAMPLE, formatter_class=raw)
    show.add_argument("config", help="a .py, .yaml or .json file")
    show.add_argument(
        "--format", default="python", choices=FORMS, help="python (default), or words: what --cfg-options takes"
    )
    show.add_argument(
        "--run",
        dest="as_run",
        action="store_true",
        help="as a run takes it: in mmengine's keys, checked, with defaults and a line on each key",
    )
    show.set_defaults(run=_show)

    explained = commands.add_parser(
        "explain", help="where a value was set, and what it overrode", epilog=_EXAMPLE, formatter_class=raw
    )
    explained.add_argument("config", help="a .py, .yaml or .json file")
    explained.add_argument("key", help="a path, as model.backbone.depth or train_pipeline[0].type")
    explained.set_defaults(run=_explain)

    diff = commands.add_parser("diff", help="what two configs do not share", epilog=_EXAMPLE, formatter_class=raw)
    diff.add_argument("a", metavar="A", help="a config file")
    diff.add_argument("b", metavar="B", help="another")
    diff.set_defaults(run=_diff)
    for command in (show, explained, diff):
        add_trust(command)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for command in (show, explained):
        add_option(command)


def _load(path: str, args: argparse.Namespace) -> Config:
    return load_config(path, *(getattr(args, "cfg_options", None) or ()), trust=args.trust)


def _show(args: argparse.Namespace) -> int:
    cfg = _load(args.config, args)
    tree = read(cfg).tree if args.as_run else cfg
    text = annotated(tree) if args.as_run and args.format == "python" else tree.text(args.format)
    print(text, end="" if text.endswith("\n") else "\n")
    return 0


def _explain(args: argparse.Namespace) -> int:
    print(explain(_load(args.config, args), args.key))
    return 0


def _diff(args: argparse.Namespace) -> int:
    text = difference(_load(args.a, args), _load(args.b, args), sys.stdout.isatty())
    if text:
        print(text)
    else:
        sys.stderr.write("The two configs are equal.\n")
    return 0
