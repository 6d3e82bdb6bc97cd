"""A run's checkpoint in OpenMMLab's form: what mmengine's and mmcv's runners load, as values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.recipe.settings import Settings
from fkit.run.plan import Plan
from fkit.run.start import Saved
from fkit.training.ema import averages
from fkit.training.phase import Part, parts_of
from fkit.tree.check import expect

__all__ = ["openmmlab_form"]

Arrays = Mapping[str, NDArray[Any]]


def openmmlab_form(plan: Plan, saved: Saved, *, classes: tuple[str, ...] = (), time: str = "") -> dict[str, Any]:
    """What a ``.pth`` of mmengine's holds, of a run's checkpoint.

    Args:
        plan: of the run.
        saved: what its checkpoint holds.
        classes: the names of classes, for ``meta``.
        time: when, for ``meta``; "20260131_120000".

    Returns:
        ``state_dict`` by torch's names (the moving average, where there is one; the weights then lie in
        ``ema_state_dict``, under ``module.``), ``optimizer`` in torch's form by the order of parameters, ``meta`` (epoch,
        iter, seed, cfg, dataset_meta and CLASSES), ``param_schedulers`` as far as mmengine's steps count them, and an
        empty ``message_hub``. Arrays are numpy's.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(saved, Saved, "`saved` is what a checkpoint holds (fkit.edge.checkpoint.read_checkpoint(folder).saved)")
    entries, position = plan.program.inventory.entries, saved.record["position"]
    kinds = {entry.name: "buffers" if entry.buffer else "params" for entry in entries}
    weights = {name: saved.arrays[f"{kind}/{name}"] for name, kind in kinds.items()}
    weights |= {alias: weights[name] for alias, name in plan.program.inventory.aliases}
    settings = plan.settings
    meta = {
        "epoch": position["epoch"], "iter": position["iteration"], "seed": plan.seed, "cfg": settings.tree.text("python"),
        "experiment_name": settings.tree.get("experiment_name") or "", "time": time,
    }  # fmt: skip
    if classes:
        meta |= {"dataset_meta": {"classes": classes}, "CLASSES": classes}
    whole: dict[str, Any] = {
        "meta": meta,
        "state_dict": weights,
        "message_hub": {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}},
        "optimizer": _optimizers(plan, saved),
        "param_schedulers": _schedules(settings, position),
    }
    average = averages(saved.arrays)
    if average:
        whole["state_dict"] = {**weights, **average}
        whole["ema_state_dict"] = {
            "steps": np.array(position["iteration"], np.int64), **{f"module.{name}": a for name, a in weights.items()}
        }  # fmt: skip
    return whole


def _optimizers(plan: Plan, saved: Saved) -> dict[str, Any]:
    parts = {part.phase.optimizer: part for part in parts_of(plan.program.spec, plan.program.inventory)}
    states = {name: _optimizer(part, name, plan, saved) for name, part in parts.items()}
    return next(iter(states.values())) if len(states) == 1 else states


def _optimizer(part: Part, name: str, plan: Plan, saved: Saved) -> dict[str, Any]:
    """One group where all parameters have the same settings, else a group each, as OpenMMLab's constructors make them."""
    alone = len(plan.program.spec.optimizers) == 1
    order = [e.name for e in plan.program.inventory.entries if not e.buffer and (alone or e.name in set(part.names))]
    slots: dict[int, dict[str, NDArray[Any]]] = {}
    lead = f"opt/{name}/"
    for path, array in saved.arrays.items():
        if path.startswith(lead):
            slot, _, owner = path.removeprefix(lead).partition("/")
            slots.setdefault(order.index(owner), {})[slot] = array
    setting = {member: i for i, members in enumerate(part.optimizer.assign(part.names)) for member in members}
    if part.optimizer.count == 1:
        groups = [{**_numbers(part, 0, saved), "params": list(range(len(order)))}]
    else:
        groups = [{**_numbers(part, setting.get(each, 0), saved), "params": [i]} for i, each in enumerate(order)]
    return {"type": part.optimizer.type, "state": dict(sorted(slots.items())), "param_groups": groups}


def _numbers(part: Part, index: int, saved: Saved) -> dict[str, Any]:
    """The options of a setting, as they are in force."""
    options = dict(part.optimizer.settings(index))
    options["initial_lr"] = options.get("lr")
    for there, here in part.numbers:
        value = float(saved.record["hyperparams"][there][index])
        if here in ("beta1", "beta2"):
            betas = list(options["betas"])
            betas[int(here[-1]) - 1] = value
            options["betas"] = tuple(betas)
        else:
            options[here] = value
    return options


def _schedules(settings: Settings, position: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The counters of mmengine's schedulers: steps inside of their own range."""
    rows: list[dict[str, Any]] = []
    for part in settings.schedules:
        by_epoch = part.node.get("by_epoch", True)
        done = position["epoch"] if by_epoch else position["iteration"]
        begin, end = part.node.get("begin", 0), part.node.get("end")
        inside = max(done - begin, 0) if end is None else min(max(done - begin, 0), max(end - begin - 1, 0))
        rows.append({"last_step": inside, "_global_step": done})
    return rows
