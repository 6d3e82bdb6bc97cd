"""What a config says of the log: how a line is worded, how much is shown, and where else it goes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fkit.config.config import Config
from fkit.config.schema import with_value
from fkit.recipe.part import Part
from fkit.tree.check import expect

__all__ = ["Log", "log_of"]

_WRITING = ("vis_backends", "save_dir", "name")


class Log(NamedTuple):
    """What is logged.

    Attributes:
        processor: what words a line; None is the default one.
        level: the least level that the terminal and log.txt show.
        writers: ``visualizer.vis_backends``, or ``vis_backends``.
        name: of the run; None is its work folder's.
        visualizer: what draws predictions; None leaves it to what they are.
    """

    processor: Part | None
    level: str | int
    writers: tuple[Part, ...]
    name: str | None
    visualizer: Part | None = None


def log_of(tree: Config) -> Log:
    """What a settled config says of the log."""
    expect(tree, Config, "`tree` is a config")
    node = tree.get("log_processor")
    processor = None if node is None else Part("log_processor", node)
    return Log(processor, tree.get("log_level", "INFO"), _writers(tree), tree.get("experiment_name"), _visualizer(tree))


def _visualizer(tree: Config) -> Part | None:
    """What draws, without what writes; a plain Visualizer leaves how to what is predicted."""
    node: Mapping[str, Any] = tree.get("visualizer") or {}
    if node.get("type") in (None, "Visualizer"):
        return None
    return Part("visualizer", Config({key: value for key, value in node.items() if key not in _WRITING}))


def _writers(tree: Config) -> tuple[Part, ...]:
    """Those of the visualizer, which mmengine's files name them in; else those at the top level. Those without ``save_dir``
    get the visualizer's."""
    table: Mapping[str, Any] = tree.get("visualizer") or {}
    path = "visualizer.vis_backends" if table.get("vis_backends") is not None else "vis_backends"
    node = tree.get(path)
    parts = (
        [Part(path, node)]
        if isinstance(node, Mapping)
        else [Part(f"{path}[{i}]", one) for i, one in enumerate(node or ())]
    )
    place = table.get("save_dir")
    if place is None:
        return tuple(parts)
    return tuple(
        part._replace(node=with_value(part.node, "save_dir", part.node.get("save_dir") or place)) for part in parts
    )
