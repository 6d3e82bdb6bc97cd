"""A run's checkpoint in OpenMMLab's form: what mmengine's and mmcv's runners load, as values."""

from typing import Any

import numpy as np

from fkit.run.handover import optimizers_of, schedulers_of
from fkit.run.hook.checkpoint import Best, CheckpointHook
from fkit.run.plan import Plan
from fkit.run.resume import in_force
from fkit.run.start import Saved, restore
from fkit.run.state import RunState
from fkit.training.ema import averages
from fkit.tree.check import expect

__all__ = ["openmmlab_form"]


def openmmlab_form(plan: Plan, saved: Saved, *, classes: tuple[str, ...] = (), time: str = "") -> dict[str, Any]:
    """What a ``.pth`` of mmengine's holds, of a run's checkpoint.

    Args:
        plan: of the run.
        saved: what its checkpoint holds.
        classes: the names of classes, for ``meta``.
        time: when, for ``meta``; "20260131_120000".

    Returns:
        ``state_dict`` by torch's names (the moving average, where there is one; the weights then lie in
        ``ema_state_dict``, under ``module.``), ``optimizer`` in torch's form by the order of parameters, with the state of
        its loss scale, ``meta`` (epoch, iter, seed, cfg, dataset_meta and CLASSES), ``param_schedulers`` with what each came
        to, and ``message_hub`` with its ``runtime_info``. Arrays are numpy's. ``log_scalars`` is empty: it would take
        objects of mmengine's own class, which mmengine 0.10.7 itself cannot read by torch 2.6 and later.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(saved, Saved, "`saved` is what a checkpoint holds (fkit.edge.checkpoint.read_checkpoint(folder).saved)")
    run = in_force(plan, restore(plan, saved), 0)  # mmengine saves after its schedulers have stepped
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
        "message_hub": _hub(plan, run),
        "optimizer": optimizers_of(plan, run, saved.arrays),
        "param_schedulers": schedulers_of(plan, run),
    }
    average = averages(saved.arrays)
    if average:
        whole["state_dict"] = {**weights, **average}
        whole["ema_state_dict"] = {
            "steps": np.array(position["iteration"], np.int64), **{f"module.{name}": a for name, a in weights.items()}
        }  # fmt: skip
    return whole


def _hub(plan: Plan, run: RunState) -> dict[str, Any]:
    """mmengine's message hub as plain data: where the run is, and the best scores by which its checkpoints are kept."""
    course, saving = plan.course, [(name, hook) for name, hook in plan.hooks if isinstance(hook, CheckpointHook)]
    info: dict[str, Any] = {
        "epoch": run.position.epoch, "iter": run.position.iteration, "seed": plan.seed,
        "max_epochs" if course.by_epoch else "max_iters": course.limit,
    }  # fmt: skip
    for name, _ in saving:
        bests = [Best(*row) for row in run.memory[name].exact]
        values = {best.metric: best.value for best in bests if best.value is not None}
        info |= {"best_score" if len(bests) == 1 else f"best_score_{metric}": value for metric, value in values.items()}
    return {"log_scalars": {}, "runtime_info": info, "resumed_keys": dict.fromkeys(info, True)}
