"""``fkit test CONFIG CHECKPOINT``: score a checkpoint on held-out data."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from fkit.array.room import open as open_room
from fkit.cli.command import add_command
from fkit.cli.option import add_config, add_place, add_weights
from fkit.cli.reach import open_registry, read_config
from fkit.edge.checkpoint import Found, locate, read_checkpoint
from fkit.edge.limit import open_files
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat, telling
from fkit.edge.signal import ending
from fkit.edge.target import file_target
from fkit.edge.thread import chosen, threads
from fkit.edge.watch import Watch
from fkit.format.json import finite, write_json
from fkit.recipe.settings import Part, Settings, missing, read
from fkit.recipe.source import open_evaluator, open_source
from fkit.run.attempt import located
from fkit.run.plan import served
from fkit.run.validation import evaluate
from fkit.training.ema import averages, choose
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.error import FkitError, FkitValueError
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
    add_weights(command)
    command.add_argument("--out", metavar="FILE", help="write the scores as JSON")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    place, found = None, locate(arguments.checkpoint)
    if arguments.out is not None:
        place = file_target(arguments.out, "--out", (arguments.config, *found.iterdir()))
    cfg, reg = read_config(arguments), open_registry(arguments)
    settings = read(cfg)
    data, metrics = (_part(settings, kind) for kind in ("dataloader", "evaluator"))
    repeat(settings)
    count = threads(settings)
    open_files(settings)
    program = served(cfg, reg)
    state, words = load_state(program, read_checkpoint(found), arguments.weights)
    evaluator = open_evaluator(cfg, reg, metrics)
    assert evaluator is not None  # `_part` looked
    source, room, screen = open_source(cfg, reg, data), open_room(program.backend), Screen()
    chosen(count, program, state, source)
    for part, kind in ((data, "dataloader"), (metrics, "evaluator")):
        if part == "val":
            screen.say(f"the config has no test_{kind}: val_{kind} is taken")
    if words:
        screen.say(words)
    scores: dict[str, float] = {}
    try:
        with ending(), telling(room):
            watched = Watch(screen).over(source, "test")
            for answer in evaluate(program, evaluator, room, state, watched, f"{data}_dataloader"):
                if not isinstance(answer, int):
                    scores = answer
    except FkitError as error:
        raise located(error, settings, metrics if error.path.startswith("evaluator") else data) from error.__cause__
    finally:
        screen.close()
    if place is not None:  # before they are shown: the reader of what is shown may have gone
        atomic_write(place, (write_json(finite(scores), indent=1) + "\n").encode())
    for name, value in scores.items():
        sys.stdout.write(f"{name} {value:.4f}\n")
    return 0


def _part(settings: Settings, kind: str) -> str:
    """Whose dataloader or evaluator is taken: test's, or val's where the config does not speak of test's.

    Raises:
        FkitError: it has neither, or says that test has none.
    """
    parts: Mapping[str, Part] = settings.loaders if kind == "dataloader" else settings.evaluators
    name = f"test_{kind}"
    if "test" in parts:
        return "test"
    if name in settings.tree:
        raise FkitValueError(
            f"{name} = None: this config says that there is nothing to test.",
            path=name,
            origin=settings.tree.origin(name),
            repair=f"Set it, to val_{kind} say; where the key is left out, that one is taken.",
        )
    if "val" not in parts:
        raise missing(settings, name, "a test")
    return "val"


def load_state(program: Program, found: Found, weights: str | None = None) -> tuple[TrainState, str]:
    """The weights of a checkpoint that was read, as a state of ``program``; the optimizer starts fresh.

    Args:
        weights: "own" or "ema"; None: those with which the run validated.

    Returns:
        (state, which weights were taken, where there was a choice).

    Raises:
        FkitError: it is another model's.
    """
    arrays = found.saved.arrays
    state = program.restore({name: array for name, array in arrays.items() if not name.startswith("opt/")})
    state, said = choose(program, state, weights)
    if program.weights != "own" and not averages(arrays, program.weights):
        said = (
            "the checkpoint holds no moving average of its weights, with which the config would predict: they are taken"
        )
    return state, said
