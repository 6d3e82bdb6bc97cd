"""``fkit checkpoint show|to-pth|publish``: what a checkpoint holds, and files of it for others."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import fkit
from fkit.cli.command import add_command
from fkit.cli.option import add_trust
from fkit.cli.reach import open_registry
from fkit.config.config import load_config
from fkit.edge.checkpoint import locate, read_checkpoint
from fkit.edge.pth import publish, write_pth
from fkit.edge.target import file_target
from fkit.fileio.weights import read_content, weights_of
from fkit.recipe.label import class_names
from fkit.tree.error import FkitFileNotFoundError, quoted

__all__ = ["add"]

_SHOW = (
    "fkit checkpoint show work_dirs/convnet",
    ("fkit checkpoint show epoch_12.pth --names", "with the name and shape of each weight"),
)
_PTH = ("fkit checkpoint to-pth work_dirs/convnet convnet.pth",)
_PUBLISH = (
    ("fkit checkpoint publish work_dirs/convnet convnet.pth", "writes convnet-xxxxxxxx.pth"),
    "fkit checkpoint publish epoch_12.pth net.safetensors",
)
_WHAT = "a run's work folder or step_... folder, a .pth or .safetensors, or an address"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands, "checkpoint", "Show a checkpoint, the kit's own or OpenMMLab's, and write files of it for others.",
        (*_SHOW, *_PTH, *_PUBLISH),
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="what", required=True, metavar="show|to-pth|publish")
    show = add_command(verbs, "show", "Say what a checkpoint holds; no code of it is run.", _SHOW, "say what it holds")
    show.add_argument("checkpoint", metavar="CHECKPOINT", help=_WHAT)
    show.add_argument("--names", action="store_true", help="list the weights")
    show.set_defaults(run=_show)
    pth = add_command(
        verbs, "to-pth", "Write a run's checkpoint as mmengine and mmcv load it: weights, optimizer, counters, config.",
        _PTH, "write it for mmengine and mmcv",
    )  # fmt: skip
    pth.add_argument("checkpoint", metavar="RUN", help="a work folder, or a step_... folder in one")
    pth.add_argument("out", metavar="OUT.pth", help="the file to write")
    add_trust(pth)
    pth.set_defaults(run=_to_pth)
    published = add_command(
        verbs,
        "publish",
        "Write the weights alone, with a checksum in the file's name.",
        _PUBLISH,
        "write its weights alone",
    )
    published.add_argument("checkpoint", metavar="CHECKPOINT", help=_WHAT)
    published.add_argument("out", metavar="OUT", help="NAME.pth or NAME.safetensors; the file is NAME-xxxxxxxx.pth")
    published.add_argument("--weights", choices=("own", "ema"), metavar="WORD",
                           help="own, or ema: their moving average; by default the average where there is one")  # fmt: skip
    published.set_defaults(run=_publish)


def _show(arguments: argparse.Namespace) -> int:
    content = read_content(arguments.checkpoint)
    weights = weights_of(content, "own")
    count = sum(array.size for array in weights.values())
    said = {"written by": {"fkit": "fkit", "pth": "torch"}.get(content.kind, content.kind)}
    said["weights"] = f"{len(weights)} arrays, {count} numbers"
    said["moving average"] = "yes" if content.averaged is not None else "no"
    meta: Any = content.whole.get("meta")
    record = cast("Mapping[str, Any]", meta) if isinstance(meta, Mapping) else {}
    if content.kind == "fkit":
        at = record["record"].get("position", {})
        said |= {name: str(at.get(name)) for name in ("iteration", "epoch")}
    others = [
        key for key in content.whole if key not in ("meta", "state_dict") and "/" not in key and key not in weights
    ]
    for key in record if content.kind == "pth" else ():
        said[f"meta.{key}"] = quoted(record[key], 90)
    if others:
        said["also"] = ", ".join(others)
    sys.stdout.write("".join(f"{name}: {text}\n" for name, text in said.items()))
    if arguments.names:
        sys.stdout.write("".join(f"{name} {tuple(a.shape)} {a.dtype}\n" for name, a in weights.items()))
    return 0


def _to_pth(arguments: argparse.Namespace) -> int:
    folder = locate(arguments.checkpoint)
    file = next((place / "config.py" for place in folder.parents if (place / "config.py").is_file()), None)
    if file is None:
        raise FkitFileNotFoundError(
            f"{folder}: there is no config.py above it, which says what its optimizer's parameters are.",
            repair="fkit checkpoint publish writes its weights alone.",
        )
    place = file_target(arguments.out, "OUT.pth", (file, *folder.iterdir()))
    registry = open_registry(arguments)
    cfg = load_config(str(file), trust=arguments.trust)
    plan = fkit.plan(cfg.merge({"devices": 1}) if "devices" in cfg else cfg, registry, backend="torch")
    found = read_checkpoint(folder)
    names = class_names(plan.settings, registry, found.meta.get("data"))
    sys.stdout.write(f"{write_pth(plan, found.saved, place, classes=names.classes)}\n")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    content = read_content(arguments.checkpoint)
    place = file_target(arguments.out, "OUT", (Path(content.name),) if Path(content.name).is_file() else ())
    sys.stdout.write(f"{publish(content, place, arguments.weights)}\n")
    return 0
