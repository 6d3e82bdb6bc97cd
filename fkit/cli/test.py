"""``fkit test CONFIG CHECKPOINT``: score a checkpoint on held-out data."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import fkit
from fkit.array.room import open as open_room
from fkit.cli.command import add_command
from fkit.cli.option import add_config, add_place
from fkit.cli.reach import open_registry, read_config
from fkit.edge.checkpoint import locate, read_checkpoint
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat, telling
from fkit.edge.thread import chosen, threads
from fkit.edge.watch import Watch
from fkit.format.json import finite, write_json
from fkit.recipe.settings import read
from fkit.recipe.source import open_evaluator, open_source
from fkit.run.validation import evaluate
from fkit.tree.error import FkitValueError
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
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a step_... folder, `latest`, or a work folder")
    add_place(command)
    command.add_argument("--out", metavar="FILE", help="write the scores as JSON")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    cfg, reg = read_config(arguments), open_registry(arguments)
    settings = read(cfg)
    repeat(settings)
    count = threads(settings)
    program = fkit.program(cfg, reg)
    state = load_state(program, arguments.checkpoint)
    part = "test" if "test" in settings.loaders else "val"
    evaluator = open_evaluator(cfg, reg, part) or open_evaluator(cfg, reg, "val")
    if evaluator is None:
        raise FkitValueError("a test needs test_evaluator.", repair="Set test_evaluator=dict(type='Accuracy'), say.")
    source = open_source(cfg, reg, part)
    chosen(count, program, state, source)
    screen = Screen()
    scores: dict[str, float] = {}
    room = open_room(program.backend)
    try:
        with telling(room):
            for answer in evaluate(program, evaluator, room, state, Watch(screen).over(source, "test")):
                if not isinstance(answer, int):
                    scores = answer
    finally:
        screen.close()
    for name, value in scores.items():
        sys.stdout.write(f"{name} {value:.4f}\n")
    if arguments.out:
        atomic_write(Path(os.path.expanduser(arguments.out)), (write_json(finite(scores), indent=1) + "\n").encode())
    return 0


def load_state(program: Any, checkpoint: str) -> Any:
    """The weights of a checkpoint, as a state of ``program``; the optimizer starts fresh.

    Raises:
        FkitError: there is no checkpoint, or it is another model's.
    """
    arrays = read_checkpoint(locate(checkpoint)).saved.arrays
    return program.restore({name: array for name, array in arrays.items() if not name.startswith(("opt/", "slots/"))})
