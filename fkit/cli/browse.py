"""``fkit browse CONFIG --out DIR``: what a config's pipeline really gives, step by step, as pictures."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.catalog.entry import Entry
from fkit.catalog.registry import Registry
from fkit.cli.command import add_command, whole
from fkit.cli.option import add_config
from fkit.cli.reach import open_registry, read_config
from fkit.edge.board import png
from fkit.edge.gallery import Gallery
from fkit.edge.progress import Screen
from fkit.edge.signal import ending
from fkit.edge.target import folder_target
from fkit.recipe.settings import read
from fkit.recipe.source import open_source, registry_of
from fkit.tree.check import expect
from fkit.tree.error import FkitError
from fkit.visualize.stage import Stage, class_counts, stages
from fkit.visualize.strip import draw_stage, strip
from fkit.visualize.visualizer import sheet

__all__ = ["add", "config_names"]

_ABOUT = (
    "Draw samples of a dataset as its pipeline gives them: a sheet for each, with the sample as it lies and after every step, and "
    "overview.png with many of them and how often each class is there. Boxes that reach outside of their image are counted in red. Nothing is written over: of a taken name the picture gets a number."
)
_CELL = 300  # px, the width of a picture of the overview
_MANY = 24  # pictures of the overview
_PARTS = ("train", "val", "test")


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "browse",
        _ABOUT,
        [
            "fkit browse configs/digits/convnet.py --out pictures",
            "fkit browse configs/digits/convnet.py --out pictures --part val --number 3",
        ],
    )
    add_config(command)
    command.add_argument("--out", metavar="DIR", required=True, help="where the pictures go")
    command.add_argument("--part", choices=_PARTS, default="train", metavar="PART", help="train (default), val or test")
    command.add_argument(
        "--number", type=whole, default=8, metavar="N", help="sheets, spread over the dataset (default: 8)"
    )
    command.add_argument(
        "--seed", type=whole, default=None, metavar="N", help="of the draws (default: the config's, else 0)"
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.number < 1:
        arguments.parser.refuse(f"--number {arguments.number}: at least 1.")
    folder = folder_target(arguments.out, "--out")
    cfg = read_config(arguments)
    settings = read(cfg)
    registry = registry_of(settings, open_registry(arguments))
    source: Any = open_source(cfg, registry, arguments.part, num_workers=0)
    dataset, meta = source.dataset, getattr(source.dataset, "metainfo", {})
    seed = arguments.seed if arguments.seed is not None else settings.seed or 0
    chosen = _spread(len(dataset), arguments.number)
    names = config_names(registry, settings.default_scope)
    gallery = Gallery(folder)
    screen = Screen()
    with ending():
        try:
            for done, index in enumerate(chosen):
                screen.show("browse", done, len(chosen), ())
                gallery.hang(
                    f"{arguments.part}_{index:06d}", png(strip(stages(dataset, index, seed, name_of=names), meta))
                )
        finally:
            screen.close()
        samples = [dataset[index] for index in _spread(len(dataset), _MANY)]
        whole = gallery.hang(f"{arguments.part}_overview", png(_overview(samples, meta)))
    sys.stdout.write(f"{whole}: {len(samples)} of {len(dataset)} samples, and a sheet for each of {len(chosen)}\n")
    for name, count in class_counts(samples, meta.get("classes") or ()):
        sys.stdout.write(f"{count:>8}  {name}\n")
    return 0


def _overview(samples: Sequence[Any], meta: Any) -> NDArray[np.uint8]:
    cells: list[NDArray[np.uint8]] = []
    for sample in samples:
        try:
            cells.append(draw_stage(Stage(str(sample.get("sample_idx", "")), "", sample), meta, _CELL, 1))
        except FkitError as error:
            raise type(error)(f"sample {sample.get('sample_idx')}: {error.what}", repair=error.repair) from error
    return sheet(cells, columns=6)


def config_names(registry: Registry, scope: str | None) -> Callable[[type], str]:
    """A transform's class -> the name by which a config has it.

    Args:
        scope: the config's ``default_scope``, whose name goes first where there are several.

    Example:
        >>> from fkit.catalog.builtin import registry
        >>> from fkit.data.transform.detection.annotation import DetLoadAnnotations
        >>> config_names(registry(), "mmdet")(DetLoadAnnotations)
        'LoadAnnotations'
    """
    expect(registry, Registry, "`registry` is a registry (fkit.registry() is the built-in one)")
    known: dict[str, list[Entry]] = {}
    for entry in registry.entries("transforms"):
        known.setdefault(entry.where, []).append(entry)

    def name_of(step: type) -> str:
        rows = known.get(f"{step.__module__}:{step.__qualname__}", ())
        if not rows or any(row.name == step.__name__ for row in rows):
            return step.__name__
        return next((row.name for row in rows if row.scope == scope), rows[0].name)

    return name_of


def _spread(length: int, number: int) -> list[int]:
    """Up to ``number`` places, evenly over a length."""
    return sorted({int(place) for place in np.linspace(0, length - 1, min(number, length))})
