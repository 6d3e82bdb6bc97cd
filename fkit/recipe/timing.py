"""What a reader should know of schedules that do not move."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.config.config import Config
from fkit.recipe.vocabulary import name_of

__all__ = ["schedule_notes"]


def schedule_notes(tree: Config, by_epoch: bool) -> tuple[str, ...]:
    """A sentence on each schedule that counts epochs in a run of iterations, and on each word that does nothing.

    Example:
        >>> notes = schedule_notes(Config({"param_scheduler": {"type": "StepLR", "step_size": 3}}), False)
        >>> print(notes[0])
        param_scheduler counts epochs in a run of iterations, which has none: as in mmengine, it never moves beyond its first value. by_epoch=False counts iterations.
    """
    node: Any = tree.get("param_scheduler")
    one = isinstance(node, Mapping) and "type" in node
    rows: list[tuple[str, Any]] = [("param_scheduler", node)] if one else []
    if isinstance(node, (list, tuple)):
        rows = [(f"param_scheduler[{place}]", item) for place, item in enumerate(cast("list[Any]", node))]
    notes: list[str] = []
    for path, item in rows:
        if not isinstance(item, Mapping):
            continue
        table = cast("Mapping[str, Any]", item)
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
