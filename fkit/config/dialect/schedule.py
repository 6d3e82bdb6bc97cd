"""``lr_config`` and ``momentum_config`` of mmcv 1.x -> ``param_scheduler``.

Ends are one step later than a first look says: mmengine's schedulers reach their last value at ``end - 1``, mmcv's at
the end (FEATURES.md of OpenMMLab's packages: mmcv/runner/hooks/lr_updater.py, mmengine/optim/scheduler).
"""

from typing import Any

from fkit.config.dialect.work import Work, fail, mark_of

__all__ = ["momentum", "rate"]


def rate(work: Work) -> Work:
    """Translate ``lr_config``."""
    source = work.old
    work, value = work.take("lr_config")
    if value is None:
        return work
    return _schedule(work, source, "lr_config", value, "LR")


def momentum(work: Work) -> Work:
    """Translate ``momentum_config``, after ``lr_config``."""
    source = work.old
    work, value = work.take("momentum_config")
    if value is None:
        return work
    if value.get("warmup") is not None:
        repair = "Write a param_scheduler with LinearMomentum or ConstantMomentum."
        raise fail(
            source,
            "momentum_config.warmup",
            "A warm-up of the momentum divides it, which no scheduler of mmengine does.",
            repair,
        )
    return _schedule(work, source, "momentum_config", value, "Momentum")


def _schedule(work: Work, source: Any, name: str, value: Any, kind: str) -> Work:
    rest: dict[str, Any] = dict(value)
    policy: Any = rest.pop("policy", None)
    if not isinstance(policy, str):
        raise fail(source, name, f"{name} has no policy.")
    policy = policy.title() if policy == policy.lower() else policy
    by_epoch = bool(rest.pop("by_epoch", work.by_epoch))
    found: list[dict[str, Any]] = []
    if kind == "LR":
        found += _warmup(rest, source, work)
    found += _policy(policy, rest, by_epoch, work, source, name, kind)
    known: Any = work.new.get(("param_scheduler",)) or ()
    work = work.put("param_scheduler", [*known, *found], mark_of(source, name))
    return work.leave(
        name, {k: v for k, v in rest.items()}, f"has no meaning in the policy {policy}, and is not translated."
    )


def _warmup(rest: dict[str, Any], source: Any, work: Work) -> list[dict[str, Any]]:
    kind = rest.pop("warmup", None)
    steps, ratio = rest.pop("warmup_iters", 0), rest.pop("warmup_ratio", 0.1)
    by_epoch = bool(rest.pop("warmup_by_epoch", False))
    if kind is None or not steps:
        return []
    if kind == "linear":
        # the factor is 1 at step `warmup_iters`, so the last step of the range is that one
        return [
            {"type": "LinearLR", "start_factor": ratio, "by_epoch": by_epoch, "begin": 0, "end": steps + 1}
            | _convert(by_epoch)
        ]
    if kind == "constant":
        return [
            {"type": "ConstantLR", "factor": ratio, "by_epoch": by_epoch, "begin": 0, "end": steps + 1}
            | _convert(by_epoch)
        ]
    raise fail(
        source,
        "lr_config.warmup",
        f"The warm-up {kind!r} has no scheduler of mmengine's.",
        "Use 'linear' or 'constant'.",
    )


def _convert(by_epoch: bool) -> dict[str, Any]:
    return {"convert_to_iter_based": True} if by_epoch else {}


def _low(rest: dict[str, Any], kind: str) -> dict[str, Any]:
    """The lowest value, however it was given."""
    word = "lr" if kind == "LR" else "momentum"
    low, ratio = rest.pop(f"min_{word}", None), rest.pop(f"min_{word}_ratio", None)
    if ratio is not None:
        return {"eta_min_ratio": ratio}
    return {"eta_min": low if low is not None else 0.0}


def _policy(
    policy: str, rest: dict[str, Any], by_epoch: bool, work: Work, source: Any, name: str, kind: str
) -> list[dict[str, Any]]:
    if policy == "Fixed":
        return []
    if policy == "Step":
        return [_step(rest, by_epoch, work, source, name, kind)]
    if policy == "Exp":
        return [{"type": f"Exponential{kind}", "gamma": rest.pop("gamma"), "by_epoch": by_epoch}]
    if policy in ("Poly", "CosineAnnealing", "Linearannealing", "LinearAnnealing", "FlatCosineAnnealing"):
        return _to_the_end(policy, rest, by_epoch, work, source, name, kind)
    if policy == "CosineRestart":
        made = {"type": f"CosineRestart{kind}", "periods": rest.pop("periods"), "by_epoch": by_epoch} | _low(rest, kind)
        made["restart_weights"] = rest.pop("restart_weights", [1])
        return [made]
    if policy in ("Onecycle", "OneCycle") and kind == "LR":
        return [_one_cycle(rest, work, source)]
    repair = "Write the schedule as param_scheduler, or take step, poly, exp, fixed, CosineAnnealing, CosineRestart or OneCycle."
    raise fail(source, f"{name}.policy", f"The policy {policy!r} of {name} has no scheduler of mmengine's.", repair)


def _step(rest: dict[str, Any], by_epoch: bool, work: Work, source: Any, name: str, kind: str) -> dict[str, Any]:
    step, gamma = rest.pop("step"), rest.pop("gamma", 0.1 if kind == "LR" else 0.5)
    low = rest.pop("min_lr" if kind == "LR" else "min_momentum", None)
    if low is not None:
        raise fail(
            source,
            f"{name}.min_lr",
            "A floor under a step policy has no scheduler of mmengine's.",
            "Drop min_lr, or list the steps above it.",
        )
    if isinstance(step, int):
        return {"type": f"Step{kind}", "step_size": step, "gamma": gamma, "by_epoch": by_epoch}
    return {"type": f"MultiStep{kind}", "milestones": list(step), "gamma": gamma, "by_epoch": by_epoch}


def _to_the_end(
    policy: str, rest: dict[str, Any], by_epoch: bool, work: Work, source: Any, name: str, kind: str
) -> list[dict[str, Any]]:
    """The policies whose length is the run's."""
    total = work.length
    if total is None or by_epoch != work.by_epoch:
        # mmengine fills in the length of the run; over iterations of a run of epochs it converts
        span: dict[str, Any] = {"by_epoch": work.by_epoch, "begin": 0}
        if by_epoch != work.by_epoch:
            if by_epoch:
                raise fail(
                    source,
                    f"{name}.by_epoch",
                    "A schedule by epochs in a run that counts iterations never steps.",
                    "Set by_epoch=False.",
                )
            span["convert_to_iter_based"] = True
        if total is not None:
            span["end"] = total
    else:
        span = {"by_epoch": by_epoch, "begin": 0, "end": total}
    low = _low(rest, kind)
    if policy == "Poly":
        if "eta_min_ratio" in low:
            raise fail(source, name, "A poly policy has min_lr, not a ratio.")
        exact = {"end": span["end"] + 1} if "end" in span and "convert_to_iter_based" not in span else {}
        return [{"type": f"Poly{kind}", "power": rest.pop("power", 1.0)} | low | span | exact]
    if policy == "CosineAnnealing":
        exact = {"T_max": total} if total is not None and "convert_to_iter_based" not in span else {}
        return [{"type": f"CosineAnnealing{kind}"} | exact | low | span]
    if policy == "FlatCosineAnnealing":
        if total is None:
            raise fail(
                source,
                name,
                "FlatCosineAnnealing needs the length of the run.",
                "Give the runner max_epochs or max_iters.",
            )
        begin = round(total * rest.pop("start_percent", 0.75))
        return [{"type": f"CosineAnnealing{kind}", "T_max": total - begin} | low | span | {"begin": begin}]
    if "eta_min_ratio" not in low:
        raise fail(source, name, "Linear annealing to min_lr has no scheduler of mmengine's.", "Give min_lr_ratio.")
    exact = {"end": span["end"] + 1} if "end" in span and "convert_to_iter_based" not in span else {}
    return [{"type": f"Linear{kind}", "start_factor": 1.0, "end_factor": low["eta_min_ratio"]} | span | exact]


def _one_cycle(rest: dict[str, Any], work: Work, source: Any) -> dict[str, Any]:
    total = rest.pop("total_steps", None)
    if total is None and not work.by_epoch:
        total = work.length
    if total is None:
        raise fail(
            source,
            "lr_config",
            "OneCycle needs total_steps in a run of epochs.",
            "Give total_steps: epochs times batches.",
        )
    made: dict[str, Any] = {
        "type": "OneCycleLR",
        "eta_max": rest.pop("max_lr"),
        "total_steps": total,
        "by_epoch": False,
    }
    names = (
        ("pct_start", 0.3),
        ("anneal_strategy", "cos"),
        ("div_factor", 25),
        ("final_div_factor", 1e4),
        ("three_phase", False),
    )
    return made | {name: rest.pop(name, default) for name, default in names}
