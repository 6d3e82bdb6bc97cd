"""``fkit test CONFIG CHECKPOINT``: score a checkpoint on held-out data."""

import argparse
import sys
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command
from fkit.cli.option import add_config, add_launcher, add_place, add_weights
from fkit.cli.reach import open_registry, read_config
from fkit.cli.spawn import spawned
from fkit.edge.checkpoint import locate
from fkit.edge.fleet import place_in
from fkit.edge.folder import is_file
from fkit.edge.predictions import predictions_target, score_predictions
from fkit.edge.progress import Screen
from fkit.edge.score import score
from fkit.edge.target import file_target
from fkit.format.json import finite, write_json
from fkit.tree.write import atomic_write

__all__ = ["add"]

_CHECKPOINT = "a step_... folder, `latest`, or a work folder; a .pth or .safetensors, or an address"
_FROM = (
    "score predictions that were made: a file of --predictions; a .pkl of mmengine's DumpResults or of MMDetection 2's "
    "--out; COCO's results (.json)"
)
_PREFIX = (
    "write results for a server, in place of scores, for test data without a truth: PREFIX.bbox.json and PREFIX.segm.json in COCO's "
    "format"
)
_EVAL = "what is measured, in place of the config's: bbox segm, mIoU mDice"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "test",
        "Score a checkpoint on the config's test data; or predictions that are in a file, without a model.",
        [
            "fkit test configs/digits/convnet.py work_dirs/convnet --out scores.json",
            ("fkit test cfg.py work_dirs/cfg --predictions said.jsonl", "keep what is predicted"),
            ("fkit test cfg.py --from said.jsonl --eval bbox segm", "score them, by other measures"),
            ("fkit test segment.py work_dirs/segment --tta", "of images flipped and in several sizes"),
            ("fkit test mask_rcnn.py mask_rcnn.pth --format-only out/test", "results for COCO's server"),
        ],
    )
    add_config(command)
    command.add_argument("checkpoint", metavar="CHECKPOINT", nargs="?", help=_CHECKPOINT)
    add_place(command)
    add_launcher(command)
    add_weights(command)
    command.add_argument(
        "--tta",
        action="store_true",
        help="test-time augmentation: predict each image in the views of the config's tta_pipeline (flipped, in several "
        "sizes), which its tta_model merges",
    )
    command.add_argument("--out", metavar="FILE", help="write the scores as JSON")
    command.add_argument(
        "--predictions", metavar="FILE", help="write what is predicted, a line of JSON a sample (.jsonl)"
    )
    command.add_argument("--from", dest="source", metavar="FILE", help=_FROM)
    command.add_argument("--eval", nargs="+", default=[], metavar="NAME", help=_EVAL)
    command.add_argument("--format-only", dest="prefix", metavar="PREFIX", help=_PREFIX)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    _expect_one(arguments)
    cfg = read_config(arguments)
    code = spawned("test", arguments, cfg)
    if code is not None:
        return code
    place, kept, address = None, None, arguments.checkpoint
    read = [Path(arguments.source)] if address is None else [Path(address)]
    if address is not None and not is_file(address):
        read = list(locate(address).iterdir())
    if arguments.out is not None:
        place = file_target(arguments.out, "--out", (arguments.config, *read))
    if arguments.predictions is not None:
        kept = predictions_target(arguments.predictions, (arguments.config, *read))
    registry, screen = open_registry(arguments), Screen()
    if arguments.launcher is not None:
        cfg = cfg.merge({"launcher": arguments.launcher}, source="the command line")
    measures = tuple(arguments.eval)
    try:
        if address is None:
            scores = dict(score_predictions(cfg, arguments.source, registry, screen, measures=measures))
        else:
            options: Any = {
                "weights": arguments.weights,
                "predictions": kept,
                "measures": measures,
                "tta": arguments.tta,
                "prefix": arguments.prefix,
            }
            scores = dict(score(cfg, address, registry, screen, **options).metrics)
    finally:
        screen.close()
    if place_in(cfg).rank:
        return 0  # the first process says it
    if place is not None:  # before they are shown: the reader of what is shown may have gone
        atomic_write(place, (write_json(finite(scores), indent=1) + "\n").encode())
    for name, value in scores.items():
        sys.stdout.write(f"{name} {value:.4f}\n")
    for file in _written(arguments.prefix):
        sys.stdout.write(f"results: {file}\n")
    return 0


def _written(prefix: str | None) -> list[Path]:
    """The files of results that begin so."""
    if prefix is None:
        return []
    place = Path(prefix)
    return sorted(
        one for one in place.parent.iterdir() if one.name.startswith(f"{place.name}.") and one.suffix == ".json"
    )


def _expect_one(arguments: argparse.Namespace) -> None:
    """Refuse a checkpoint together with a file of predictions, and neither."""
    refuse = arguments.parser.refuse
    if arguments.source is None:
        if arguments.checkpoint is None:
            refuse("`fkit test` needs CHECKPOINT, or --from FILE of predictions.")
        return
    others = {
        "CHECKPOINT": arguments.checkpoint,
        "--weights": arguments.weights,
        "--predictions": arguments.predictions,
        "--tta": "--tta" if arguments.tta else None,
        "--format-only": arguments.prefix,
    }
    for name, value in others.items():
        if value is not None:
            refuse(f"--from scores predictions that were made, so there is no {name}.", f"Leave out {value}.")
