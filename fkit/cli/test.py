"""``fkit test CONFIG CHECKPOINT``: score a checkpoint on held-out data."""

import argparse
import sys
from pathlib import Path
from typing import Any

from fkit.cli.command import add_command
from fkit.cli.option import add_config, add_place, add_weights
from fkit.cli.reach import open_registry, read_config
from fkit.edge.checkpoint import locate
from fkit.edge.folder import is_file
from fkit.edge.progress import Screen
from fkit.edge.score import score
from fkit.edge.target import file_target
from fkit.format.json import finite, write_json
from fkit.tree.write import atomic_write

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "test",
        "Score a checkpoint on the config's test data.",
        ["fkit test configs/digits/convnet.py work_dirs/convnet --out scores.json"],
    )
    add_config(command)
    command.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a step_... folder, `latest`, or a work folder; a .pth or .safetensors, or an address",
    )
    add_place(command)
    add_weights(command)
    command.add_argument("--out", metavar="FILE", help="write the scores as JSON")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    place, address = None, arguments.checkpoint
    read = [Path(address)] if is_file(address) else list(locate(address).iterdir())
    if arguments.out is not None:
        place = file_target(arguments.out, "--out", (arguments.config, *read))
    cfg, registry, screen = read_config(arguments), open_registry(arguments), Screen()
    try:
        scores = dict(score(cfg, address, registry, screen, weights=arguments.weights).metrics)
    finally:
        screen.close()
    if place is not None:  # before they are shown: the reader of what is shown may have gone
        atomic_write(place, (write_json(finite(scores), indent=1) + "\n").encode())
    for name, value in scores.items():
        sys.stdout.write(f"{name} {value:.4f}\n")
    return 0
