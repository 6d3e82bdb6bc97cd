"""``fkit config show|explain|diff``: what a config says, and where it says it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command, whole
from fkit.cli.option import add_trust
from fkit.cli.reach import open_registry
from fkit.config.change.action import add_option
from fkit.config.config import Config, load_config
from fkit.config.show.explain import difference, explain
from fkit.config.show.text import FORMS
from fkit.image.io import imwrite
from fkit.recipe.manual import annotated
from fkit.recipe.settings import read
from fkit.run.forecast import forecast
from fkit.run.plan import program
from fkit.training.group import remarks
from fkit.training.group import table as groups_table
from fkit.visualize.timetable import timetable

__all__ = ["add"]

_SHOW = (
    "fkit config show configs/digits/convnet.py --format yaml --cfg-options seed=7",
    ("fkit config show configs/digits/convnet.py --run", "every key of a run, with what it is"),
    ("fkit config show configs/digits/convnet.py --format words", "each value as --cfg-options takes it"),
    ("fkit config show configs/digits/convnet.py --plot lr.png", "its schedules, as a picture"),
    ("fkit config show configs/digits/convnet.py --groups", "which learning rate and decay each parameter has"),
)
_EXPLAIN = ("fkit config explain configs/digits/convnet.py optim_wrapper.optimizer.lr",)
_DIFF = ("fkit config diff old.py new.py",)


def add(subparsers: Any) -> None:
    """Add the command to those of ``fkit``."""
    parser = add_command(subparsers, "config", "Show, explain and compare configs.", (*_SHOW, *_EXPLAIN, *_DIFF))
    commands = parser.add_subparsers(dest="what", required=True, metavar="show|explain|diff")

    show = add_command(commands, "show", "Print the whole config.", _SHOW, "print the whole config")
    show.add_argument("config", metavar="CONFIG", help="a .py, .yaml or .json file")
    show.add_argument(
        "--format",
        default="python",
        choices=FORMS,
        metavar="FORM",
        help="python (default), yaml, json, canonical, or words: what --cfg-options takes",
    )
    show.add_argument(
        "--run",
        dest="as_run",
        action="store_true",
        help="as a run takes it: in mmengine's keys, checked, with defaults and a line on each key",
    )
    show.add_argument(
        "--plot", metavar="PICTURE", help="draw what is scheduled over the whole run into this .png or .jpg"
    )
    show.add_argument(
        "--epoch-length", type=whole, metavar="N", help="iterations of an epoch, for --plot; by default the data say it"
    )
    show.add_argument(
        "--groups",
        action="store_true",
        help="the parameter groups of its model instead: numbers of each, and the parameters; needs no data on torch",
    )
    show.set_defaults(run=_show)

    explained = add_command(
        commands, "explain", "Say where a value was set, and what it overrode.", _EXPLAIN, "where a value was set"
    )
    explained.add_argument("config", metavar="CONFIG", help="a .py, .yaml or .json file")
    explained.add_argument("key", metavar="KEY", help="a path, as model.backbone.depth or train_pipeline[0].type")
    explained.set_defaults(run=_explain)

    diff = add_command(commands, "diff", "Say what two configs do not share.", _DIFF, "what two configs do not share")
    diff.add_argument("a", metavar="A", help="a config file")
    diff.add_argument("b", metavar="B", help="another")
    diff.set_defaults(run=_diff)
    for command in (show, explained, diff):
        add_trust(command)
    for command in (show, explained):
        add_option(command)


def _load(path: str, args: argparse.Namespace) -> Config:
    return load_config(path, *(getattr(args, "cfg_options", None) or ()), trust=args.trust)


def _show(args: argparse.Namespace) -> int:
    cfg = _load(args.config, args)
    if args.plot is not None:
        return _plot(cfg, args)
    if args.groups:
        return _groups(cfg, args)
    if args.epoch_length is not None:
        args.parser.refuse("--epoch-length is for --plot.")
    tree = read(cfg).tree if args.as_run else cfg
    text = annotated(tree) if args.as_run and args.format == "python" else tree.text(args.format)
    print(text, end="" if text.endswith("\n") else "\n")
    return 0


def _groups(cfg: Config, args: argparse.Namespace) -> int:
    """Print whom each learning rate and each decay is for; what changes nothing goes to standard error."""
    made = program(cfg, open_registry(args))
    sys.stderr.write("".join(f"{note}\n" for note in remarks(made)))
    print(groups_table(made), end="")
    return 0


def _plot(cfg: Config, args: argparse.Namespace) -> int:
    """Draw the schedules; the name of the picture is the result."""
    table = forecast(cfg, allow=args.allow, epoch_length=args.epoch_length)
    waits = [f"depends on {name} of validation: drawn as if that kept getting better" for name in table.monitors]
    image = timetable(table.values, Path(args.config).name, table.extent.length, waits)
    imwrite(image[..., ::-1], args.plot)
    print(args.plot)
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
