"""``lr_config`` and ``momentum_config`` of mmcv 1.x -> ``param_scheduler``.

Ends are one step later than a first look says: mmengine's schedulers reach their last value at ``end - 1``, mmcv's at
the end (FEATURES.md of OpenMMLab's packages: mmcv/runner/hooks/lr_updater.py, mmengine/optim/scheduler).
"""

from typing import Any, NamedTuple

from fkit.config.dialect.work import Table, Work
from fkit.tree.error import FkitValueError, quoted

__all__ = ["momentum", "rate"]

_TO_THE_END = ("Poly", "CosineAnnealing", "Linearannealing", "LinearAnnealing", "FlatCosineAnnealing")


class Policy(NamedTuple):
    """One of the two keys: what is left of its table, and what its schedulers are called."""

    work: Work
    name: str  # "lr_config"
    table: Table
    kind: str  # "LR"
    by_epoch: bool

    @property
    def floor(self) -> str:
        """The key of the lowest value."""
        return "min_lr" if self.kind == "LR" else "min_momentum"

    def required(self, key: str) -> Any:
        """A key that the policy must have."""
        return self.work.required(f"{self.name}.{key}", self.table)

    def fail(self, what: str, repair: str = "", key: str = "") -> FkitValueError:
        """The error of the policy, or of one key of it."""
        return self.work.fail(f"{self.name}.{key}" if key else self.name, what, repair)


def rate(work: Work) -> Work:
    """Translate ``lr_config``."""
    work, table = work.take_table("lr_config")
    return work if table is None else _schedule(work, "lr_config", table, "LR")


def momentum(work: Work) -> Work:
    """Translate ``momentum_config``, after ``lr_config``."""
    work, table = work.take_table("momentum_config")
    if table is None:
        return work
    if table.get("warmup") is not None:
        raise work.fail(
            "momentum_config.warmup",
            "A warm-up of the momentum divides it, which no scheduler of mmengine does.",
            "Write a param_scheduler with LinearMomentum or ConstantMomentum.",
        )
    return _schedule(work, "momentum_config", table, "Momentum")


def _schedule(work: Work, name: str, table: Table, kind: str) -> Work:
    policy: Any = table.pop("policy", None)
    if not isinstance(policy, str):
        raise work.fail(name, f"{name} has no policy.")
    policy = policy.title() if policy == policy.lower() else policy
    parts = Policy(work, name, table, kind, bool(table.pop("by_epoch", work.by_epoch)))
    schedulers = [*(_warmup(parts) if kind == "LR" else ()), *_schedulers(policy, parts)]
    work = work.put("param_scheduler", [*(work.read("param_scheduler") or ()), *schedulers], name)
    return work.leave(name, table, f"has no meaning in the policy {policy}, and is not translated.")


def _warmup(policy: Policy) -> list[Table]:
    table = policy.table
    kind = table.pop("warmup", None)
    steps, ratio = table.pop("warmup_iters", 0), table.pop("warmup_ratio", 0.1)
    by_epoch = bool(table.pop("warmup_by_epoch", False))
    if kind is None or not steps:
        return []
    # the factor is 1 at step `warmup_iters`, so the last step of the range is that one
    span = {"by_epoch": by_epoch, "begin": 0, "end": policy.work.whole(f"{policy.name}.warmup_iters", steps) + 1}
    convert = {"convert_to_iter_based": True} if by_epoch else {}
    if kind == "linear":
        return [{"type": "LinearLR", "start_factor": ratio} | span | convert]
    if kind == "constant":
        return [{"type": "ConstantLR", "factor": ratio} | span | convert]
    raise policy.fail(
        f"The warm-up {quoted(kind)} has no scheduler of mmengine's.", "Use 'linear' or 'constant'.", "warmup"
    )


def _low(policy: Policy) -> Table:
    """The lowest value, however it was written."""
    low, ratio = policy.table.pop(policy.floor, None), policy.table.pop(f"{policy.floor}_ratio", None)
    if ratio is not None:
        return {"eta_min_ratio": ratio}
    return {"eta_min": low if low is not None else 0.0}


def _schedulers(name: str, policy: Policy) -> list[Table]:
    kind, by_epoch = policy.kind, policy.by_epoch
    if name == "Fixed":
        return []
    if name == "Step":
        return [_step(policy)]
    if name == "Exp":
        return [{"type": f"Exponential{kind}", "gamma": policy.required("gamma"), "by_epoch": by_epoch}]
    if name in _TO_THE_END:
        return [_to_the_end(name, policy)]
    if name == "CosineRestart":
        scheduler = {"type": f"CosineRestart{kind}", "periods": policy.required("periods"), "by_epoch": by_epoch}
        return [scheduler | _low(policy) | {"restart_weights": policy.table.pop("restart_weights", [1])}]
    if name in ("Onecycle", "OneCycle") and kind == "LR":
        return [_one_cycle(policy)]
    raise policy.fail(
        f"The policy {name!r} of {policy.name} has no scheduler of mmengine's.",
        "Write the schedule as param_scheduler, or take step, poly, exp, fixed, CosineAnnealing, CosineRestart or "
        "OneCycle.",
        "policy",
    )


def _step(policy: Policy) -> Table:
    step, gamma = policy.required("step"), policy.table.pop("gamma", 0.1 if policy.kind == "LR" else 0.5)
    if policy.table.pop(policy.floor, None) is not None:
        raise policy.fail(
            "A floor under a step policy has no scheduler of mmengine's.",
            f"Drop {policy.floor}, or list the steps above it.",
            policy.floor,
        )
    shared = {"gamma": gamma, "by_epoch": policy.by_epoch}
    if isinstance(step, int):
        return {"type": f"Step{policy.kind}", "step_size": step} | shared
    if not isinstance(step, (list, tuple)):
        raise policy.fail(f"{policy.name}.step = {quoted(step)} is no step, and no list of steps.", key="step")
    return {"type": f"MultiStep{policy.kind}", "milestones": [*step]} | shared


def _span(policy: Policy) -> Table:
    """The range of a schedule whose length is the run's; mmengine fills in what is not known."""
    work, total = policy.work, policy.work.length
    span: Table = {"by_epoch": work.by_epoch, "begin": 0}
    if policy.by_epoch != work.by_epoch:  # over iterations of a run of epochs mmengine converts
        if policy.by_epoch:
            raise policy.fail(
                "A schedule by epochs in a run that counts iterations never steps.", "Set by_epoch=False.", "by_epoch"
            )
        span["convert_to_iter_based"] = True
    return span if total is None else {**span, "end": total}


def _to_the_end(name: str, policy: Policy) -> Table:
    """The policies whose length is the run's."""
    kind, table, total = policy.kind, policy.table, policy.work.length
    span, low = _span(policy), _low(policy)
    converts = "convert_to_iter_based" in span
    one_later = {"end": span["end"] + 1} if "end" in span and not converts else {}
    if name == "Poly":
        if "eta_min_ratio" in low:
            raise policy.fail(f"A poly policy has {policy.floor}, not a ratio.", key=f"{policy.floor}_ratio")
        return {"type": f"Poly{kind}", "power": table.pop("power", 1.0)} | low | span | one_later
    if name == "CosineAnnealing":
        period = {"T_max": total} if total is not None and not converts else {}
        return {"type": f"CosineAnnealing{kind}"} | period | low | span
    if name == "FlatCosineAnnealing":
        if total is None:
            raise policy.fail(
                "FlatCosineAnnealing needs the length of the run.", "Give the runner max_epochs or max_iters."
            )
        share = table.pop("start_percent", 0.75)
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise policy.fail(f"start_percent = {quoted(share)} is no share of the run.", key="start_percent")
        begin = round(total * share)
        return {"type": f"CosineAnnealing{kind}", "T_max": total - begin} | low | span | {"begin": begin}
    if "eta_min_ratio" not in low:
        floor = policy.floor
        raise policy.fail(f"Linear annealing to {floor} has no scheduler of mmengine's.", f"Give {floor}_ratio.")
    return {"type": f"Linear{kind}", "start_factor": 1.0, "end_factor": low["eta_min_ratio"]} | span | one_later


def _one_cycle(policy: Policy) -> Table:
    work, table = policy.work, policy.table
    total = table.pop("total_steps", None)
    if total is None and not work.by_epoch:
        total = work.length
    if total is None:
        raise policy.fail("OneCycle needs total_steps in a run of epochs.", "Give total_steps: epochs times batches.")
    scheduler = {
        "type": "OneCycleLR",
        "eta_max": policy.required("max_lr"),
        "total_steps": total,
        "by_epoch": False,
    }
    defaults = (
        ("pct_start", 0.3),
        ("anneal_strategy", "cos"),
        ("div_factor", 25),
        ("final_div_factor", 1e4),
        ("three_phase", False),
    )
    return scheduler | {name: table.pop(name, default) for name, default in defaults}
