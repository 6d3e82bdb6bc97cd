"""``lr_config`` and ``momentum_config`` of mmcv 1.x -> ``param_scheduler``.

A policy becomes mmengine's scheduler where that gives the very same numbers, and else the kit's own one under mmcv's
name: LrUpdater for LrUpdaterHook. Ends of mmengine's are one step later than a first look says: they reach their last
value at ``end - 1``, mmcv's would at the end (FEATURES.md of OpenMMLab's packages: mmcv/runner/hooks/lr_updater.py,
mmengine/optim/scheduler).
"""

from itertools import accumulate
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.config.dialect.work import Table, Work
from fkit.tree.error import FkitValueError, quoted

__all__ = ["momentum", "rate"]

# policy -> its keys beside the lowest value, those that it must have first
_LR = frozendict(
    Fixed=(), Step=("step", "gamma"), Exp=("gamma",), Poly=("power",), Inv=("gamma", "power"), CosineAnnealing=(),
    FlatCosineAnnealing=("start_percent",), CosineRestart=("periods", "restart_weights"),
    CosineAnnealingCooldown=("cool_down_ratio", "cool_down_time"), LinearAnnealing=(),
    Cyclic=("target_ratio", "cyclic_times", "step_ratio_up", "anneal_strategy", "gamma"),
    OneCycle=("max_lr", "total_steps", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase"),
)  # fmt: skip
_MOMENTUM = frozendict(
    Step=("step", "gamma"), CosineAnnealing=(), LinearAnnealing=(),
    Cyclic=("target_ratio", "cyclic_times", "step_ratio_up", "anneal_strategy", "gamma"),
    OneCycle=("base_momentum", "max_momentum", "pct_start", "anneal_strategy", "three_phase", "total_steps"),
)  # fmt: skip
_REQUIRED = frozendict(Step="step", Exp="gamma", Inv="gamma", CosineRestart="periods")
_FLOORED = ("Step", "Poly")  # their lowest value may be left out, and is no ratio
_UNFLOORED = ("Fixed", "Exp", "Inv", "Cyclic", "OneCycle")
_BY_ITERATION = ("Cyclic", "OneCycle")


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
    return work if table is None else _schedule(work, "momentum_config", table, "Momentum")


def _schedule(work: Work, name: str, table: Table, kind: str) -> Work:
    word: Any = table.pop("policy", None)
    if not isinstance(word, str):
        raise work.fail(name, f"{name} has no policy.")
    title = word.title() if word == word.lower() else word
    known = _LR if kind == "LR" else _MOMENTUM
    if title not in known:
        raise FkitValueError(
            f"The policy {word!r} of {name} is none of mmcv's.",
            path=f"{name}.policy", origin=work.fail(f"{name}.policy", "").origin, value=title, choices=tuple(known),
            repair="A schedule of another kind stands in param_scheduler.",
        )  # fmt: skip
    default = title not in _BY_ITERATION and (work.by_epoch or kind != "LR")  # what mmcv's runner fills in
    policy = Policy(work, name, table, kind, bool(table.pop("by_epoch", default)))
    warmup = _warmup(policy)
    if policy.by_epoch and not work.by_epoch and title not in _BY_ITERATION:
        return work.note(
            f"{name} counts epochs in a run of iterations: mmcv never applies it, its warm-up neither. Nor does this; "
            "by_epoch=False applies it.",
            name,
        )
    main = _main(title, policy, bool(warmup))
    ours = any("Updater" in one["type"] for one in main)  # those set a value, and a warm-up changes it
    schedulers = [*main, *warmup] if ours else [*warmup, *main]
    work = work.put("param_scheduler", [*(work.read("param_scheduler") or ()), *schedulers], name)
    return work.leave(name, table, f"has no meaning in the policy {title}, and is not translated.")


def _warmup(policy: Policy) -> list[Table]:
    table, name = policy.table, policy.name
    kind, steps = table.pop("warmup", None), table.pop("warmup_iters", 0)
    ratio = table.pop("warmup_ratio", 0.1 if policy.kind == "LR" else 0.9)
    by_epoch = bool(table.pop("warmup_by_epoch", False))
    if kind is None:
        return []
    if kind not in ("constant", "linear", "exp"):
        raise policy.fail(f"The warm-up {quoted(kind)} is none of 'constant', 'linear' and 'exp'.", key="warmup")
    if policy.work.whole(f"{name}.warmup_iters", steps) < 1:
        raise policy.fail(f"{name}.warmup_iters = {steps}: a warm-up takes at least 1.", key="warmup_iters")
    if type(ratio) not in (int, float) or not 0 < ratio <= 1:
        raise policy.fail(f"{name}.warmup_ratio = {quoted(ratio)} is not above 0, and at most 1.", key="warmup_ratio")
    if by_epoch and not policy.work.by_epoch:
        raise policy.fail(
            f"{name}.warmup_by_epoch in a run of iterations: there are no epochs to count.",
            "Give warmup_iters in iterations.", "warmup_by_epoch",
        )  # fmt: skip
    if policy.kind == "LR" and kind != "exp" and not by_epoch:
        # the factor is 1 at step `warmup_iters`, so the last step of the range is that one
        span = {"by_epoch": False, "begin": 0, "end": steps + 1}
        if kind == "linear":
            return [{"type": "LinearLR", "start_factor": ratio} | span]
        return [{"type": "ConstantLR", "factor": ratio} | span]
    scheduler: Table = {"type": f"Warmup{policy.kind}", "warmup": kind, "warmup_iters": steps, "warmup_ratio": ratio}
    return [scheduler | ({"warmup_by_epoch": True} if by_epoch else {})]


def _main(title: str, policy: Policy, warms: bool) -> list[Table]:
    """The scheduler of a policy, beside the warm-up."""
    if title == "Fixed":
        return []
    low = _low(title, policy)
    required = _REQUIRED.get(title, "max_lr" if title == "OneCycle" and policy.kind == "LR" else None)
    if required is not None and required not in policy.table:
        raise policy.fail(f"{policy.name} has no {required}.")
    # mmengine's act on the value in force, so that a warm-up under them changes what a lowest value means
    if title == "Step" or not warms or not any(low.values()):
        theirs = _theirs(title, policy, low)
        if theirs is not None:
            return [theirs]
    keys = (_LR if policy.kind == "LR" else _MOMENTUM)[title]
    options = {key: policy.table.pop(key) for key in keys if key in policy.table}
    kind = "Lr" if policy.kind == "LR" else "Momentum"
    return [{"type": f"{title}{kind}Updater", **options, **low, "by_epoch": policy.by_epoch}]


def _low(title: str, policy: Policy) -> Table:
    """The lowest value, as the table has it."""
    floor = policy.floor
    if title in _UNFLOORED:
        return {}
    keys = (floor,) if title in _FLOORED else (floor, f"{floor}_ratio")
    low = {key: policy.table.pop(key) for key in keys if policy.table.get(key) is not None}
    for key, value in low.items():
        if type(value) not in (int, float):
            raise policy.fail(f"{policy.name}.{key} = {quoted(value)} is no number.", key=key)
    if title not in _FLOORED and len(low) != 1:
        raise policy.fail(f"The policy {title} takes {floor} or {floor}_ratio, {'not both' if low else 'one'}.")
    return low


def _theirs(title: str, policy: Policy, low: Table) -> Table | None:
    """mmengine's scheduler with the same numbers; None where it has none."""
    kind, table, work = policy.kind, policy.table, policy.work
    counted = {"by_epoch": policy.by_epoch}
    if title == "Step":
        return _step(policy, low)
    if title == "Exp":
        return {"type": f"Exponential{kind}", "gamma": table.pop("gamma")} | counted
    if title not in ("Poly", "CosineAnnealing", "LinearAnnealing"):
        return None
    total, ratio = work.length, low.get(f"{policy.floor}_ratio")
    least = {"eta_min_ratio": ratio} if ratio is not None else {"eta_min": low.get(policy.floor, 0.0)}
    if title == "CosineAnnealing" and not policy.by_epoch and work.by_epoch:  # mmengine converts, and knows the length
        span = {"by_epoch": True, "begin": 0, "convert_to_iter_based": True}
        return {"type": f"CosineAnnealing{kind}"} | least | span | ({"end": total} if total is not None else {})
    if total is None or policy.by_epoch is not work.by_epoch:
        return None
    span = counted | {"begin": 0}
    if title == "CosineAnnealing":
        return {"type": f"CosineAnnealing{kind}", "T_max": total} | least | span | {"end": total}
    if title == "Poly":
        return {"type": f"Poly{kind}", "power": table.pop("power", 1.0)} | least | span | {"end": total + 1}
    if not any(low.values()) or (ratio is not None and 0 <= ratio <= 1):
        factors = {"start_factor": 1.0, "end_factor": ratio or 0.0}
        return {"type": f"Linear{kind}"} | factors | span | {"end": total + 1}
    return None


def _step(policy: Policy, low: Table) -> Table:
    """A step policy; with a lowest value it is the kit's own."""
    step, gamma = policy.table.pop("step"), policy.table.pop("gamma", 0.1 if policy.kind == "LR" else 0.5)
    steps: list[Any] = [*step] if isinstance(step, (list, tuple)) else [step]
    if not all(type(one) is int and one > 0 for one in steps):
        raise policy.fail(f"{policy.name}.step = {quoted(step)} is no step, and no list of steps.", key="step")
    # of a list that is not sorted, mmcv counts up to the first that is not reached
    places: Table = {"step_size": step} if isinstance(step, int) else {"milestones": [*accumulate(steps, max)]}
    if low:
        kind = f"Step{'Lr' if policy.kind == 'LR' else 'Momentum'}Updater"
    else:
        kind = f"{'Step' if isinstance(step, int) else 'MultiStep'}{policy.kind}"
    return {"type": kind, **places, "gamma": gamma, **low, "by_epoch": policy.by_epoch}
