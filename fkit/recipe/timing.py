"""`param_scheduler`, read; and what a reader should know of schedules that do not move."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.config.config import Config
from fkit.config.schema import PART, check, either, listed
from fkit.recipe.part import Part
from fkit.recipe.vocabulary import name_of
from fkit.tree.path import parse, show

__all__ = ["schedule_notes", "schedules_in"]

_PARTS = either(PART, listed(PART, ""), words="a mapping with 'type' or a list of them")


def schedules_in(tree: Config) -> tuple[Part, ...]:
    """The schedules of a config, in order: of all optimizers, or under the name of each.

    Raises:
        FkitError: under a name there are none.

    Example:
        >>> cfg = Config({"param_scheduler": {"gen": {"type": "StepLR"}, "disc": [{"type": "ConstantLR"}]}})
        >>> [(part.path, part.name) for part in schedules_in(cfg)]
        [('param_scheduler.gen', 'gen'), ('param_scheduler.disc[0]', 'disc')]
    """
    node: Any = tree.get("param_scheduler")
    table = cast("Mapping[str, Any]", node) if isinstance(node, Mapping) else {}
    if "type" in table or not any(isinstance(one, (Mapping, list, tuple)) for one in table.values()):
        return _parts("param_scheduler", node)
    parts: list[Part] = []
    for name, one in table.items():
        path = show(("param_scheduler", name))
        check(one, _PARTS, parse(path), tree)
        parts += [part._replace(name=name) for part in _parts(path, one)]
    return tuple(parts)


def _parts(path: str, node: Any) -> tuple[Part, ...]:
    if node is None:
        return ()
    if isinstance(node, Mapping):
        return (Part(path, node),)
    return tuple(Part(f"{path}[{index}]", one) for index, one in enumerate(node))


def schedule_notes(tree: Config, by_epoch: bool) -> tuple[str, ...]:
    """A sentence on each schedule that counts epochs in a run of iterations, and on each word that does nothing.

    Example:
        >>> notes = schedule_notes(Config({"param_scheduler": {"type": "StepLR", "step_size": 3}}), False)
        >>> print(notes[0])
        param_scheduler counts epochs in a run of iterations, which has none: as in mmengine, it never moves beyond its first value. by_epoch=False counts iterations.
    """
    notes: list[str] = []
    for path, node, _ in schedules_in(tree):
        if not isinstance(node, Mapping):
            continue
        table = cast("Mapping[str, Any]", node)
        if not by_epoch and _counts_epochs(table):
            notes.append(
                f"{path} counts epochs in a run of iterations, which has none: as in mmengine, it never moves beyond its "
                "first value. by_epoch=False counts iterations."
            )
        if table.get("verbose"):
            notes.append(f"{path}.verbose prints nothing more: each line of the log has the rate.")
    return tuple(notes)


def _counts_epochs(table: Mapping[str, Any]) -> bool:
    name = str(name_of(table.get("type")))
    mmengines = name.endswith(("LR", "Momentum", "ParamScheduler", "WeightDecay", "LRRatio"))
    others = name.startswith(("ReduceOnPlateau", "Warmup"))
    return mmengines and not others and table.get("by_epoch") is not False and not table.get("convert_to_iter_based")
