"""What mmengine's optimizer wrapper and schedulers are told of a run, so that its Runner goes on from there."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.training.phase import Part, parts_of
from fkit.training.schedule.cycle import OneCycleLR
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import targets
from fkit.training.schedule.ranged import Ranged
from fkit.training.schedule.recursion import Recursion

__all__ = ["optimizers_of", "schedulers_of"]

Arrays = Mapping[str, NDArray[Any]]
Row = dict[str, Any]


class _Groups(NamedTuple):
    """An optimizer's groups in the file: the setting of each, and whether its wrapper keeps a base setting beside them."""

    part: Part
    order: tuple[str, ...]
    settings: tuple[int, ...]
    alone: bool


def optimizers_of(plan: Plan, run: RunState, arrays: Arrays) -> dict[str, Any]:
    """``optimizer``: torch's state by the order of parameters; with the loss scale and, where there are several groups, the
    setting without a group's own, by which schedulers go; of several optimizers a mapping."""
    rows = {name: _optimizer(_groups(plan, part), plan, run, arrays) for name, part in _parts(plan).items()}
    return next(iter(rows.values())) if len(rows) == 1 else rows


def schedulers_of(plan: Plan, run: RunState) -> Any:
    """``param_schedulers``: the counters of each, and what those that look at validation saw; of several optimizers a mapping."""
    rows = {name: list[Row]() for name in _parts(plan)}
    for label, hook in plan.hooks:
        if isinstance(hook, ParamSchedulerHook):
            for name, part in _parts(plan).items():
                rows[name] += _schedulers(hook, run.memory[label].exact, _groups(plan, part), run)
    return next(iter(rows.values())) if len(rows) == 1 else rows


def _parts(plan: Plan) -> Mapping[str, Part]:
    return {part.phase.optimizer: part for part in parts_of(plan.program.spec, plan.program.inventory)}


def _groups(plan: Plan, part: Part) -> _Groups:
    """As mmengine makes them: with ``paramwise_cfg`` or groups a group for each parameter that is trained, else one of all."""
    wrapper = plan.settings.wrappers[part.phase.optimizer]
    alone = not wrapper.paramwise and part.optimizer.count == 1
    several = len(plan.program.spec.optimizers) > 1
    entries = [entry.name for entry in plan.program.inventory.entries if not entry.buffer]
    order = tuple(entries) if alone and not several else tuple(name for name in entries if name in set(part.names))
    setting = {member: i for i, members in enumerate(part.optimizer.assign(part.names)) for member in members}
    return _Groups(part, order, (0,) if alone else tuple(setting[name] for name in order), alone)


def _optimizer(groups: _Groups, plan: Plan, run: RunState, arrays: Arrays) -> Row:
    part, order = groups.part, groups.order
    place, lead = {name: i for i, name in enumerate(order)}, f"opt/{part.phase.optimizer}/"
    slots: dict[int, dict[str, NDArray[Any]]] = {}
    for path, array in arrays.items():
        if path.startswith(lead):
            slot, _, owner = path.removeprefix(lead).partition("/")
            slots.setdefault(place[owner], {})[slot] = array
    members = [[*range(len(order))]] if groups.alone else [[i] for i in range(len(order))]
    policies = [policy for _, hook in plan.hooks if isinstance(hook, ParamSchedulerHook) for policy in hook.policies]
    rows = [
        {**_numbers(part, setting, run), **_tops(part, policies, i), "params": row}
        for i, (setting, row) in enumerate(zip(groups.settings, members, strict=True))
    ]
    whole: Row = {"type": part.optimizer.type, "state": dict(sorted(slots.items())), "param_groups": rows}
    if len(rows) > 1:
        whole["base_param_settings"] = {**_base(part, run), "params": np.zeros(1, np.float32)}
    scaler = _scaler(part, plan, arrays)
    return {**whole, "loss_scaler": scaler} if scaler else whole


def _numbers(part: Part, index: int, run: RunState) -> Row:
    """The options of a setting, as they are in force."""
    options = dict(part.optimizer.settings(index))
    options["initial_lr"] = options.get("lr")
    for there, here in part.numbers:
        _put(options, here, float(run.hyperparams[there][index]))
    return options


def _base(part: Part, run: RunState) -> Row:
    """The optimizer's own options, moved as its first group's are: what mmengine's schedulers step beside the groups."""
    options, before = dict(part.optimizer.options), part.optimizer.hyperparams()
    options["initial_lr"] = options.get("lr")
    for there, here in part.numbers:
        first, now = float(before[here][0]), float(run.hyperparams[there][0])
        own = _taken(options, here)
        _put(options, here, own * now / first if first else own)
    return options


def _put(options: Row, name: str, value: float) -> None:
    if name in ("beta1", "beta2"):
        betas = list(options["betas"])
        betas[int(name[-1]) - 1] = value
        options["betas"] = tuple(betas)
    else:
        options[name] = value


def _taken(options: Row, name: str) -> float:
    return float(options["betas"][int(name[-1]) - 1] if name in ("beta1", "beta2") else options[name])


def _tops(part: Part, policies: list[Any], index: int) -> Row:
    """What mmengine's one-cycle schedulers keep in a group: where they begin, their top, and where they end."""
    for policy in policies:
        if isinstance(policy, OneCycleLR):
            most = (
                policy.eta_max[min(index, len(policy.eta_max) - 1)]
                if isinstance(policy.eta_max, tuple)
                else policy.eta_max
            )
            first = most / policy.div_factor
            return {"initial_lr": first, "max_lr": most, "min_lr": first / policy.final_div_factor}
    return {}


def _scaler(part: Part, plan: Plan, arrays: Arrays) -> Row:
    """The state of torch's GradScaler."""
    slot = next((name for name, transform in part.transforms if transform.scale is not None), None)
    if slot is None:
        return {}
    options = {"growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000}
    given = plan.settings.wrappers[part.phase.optimizer].scale or frozendict()
    options |= {name: given[name] for name in options if name in given}
    tracker = int(arrays[f"slots/{slot}/growth_tracker"])
    return {"scale": float(arrays[f"slots/{slot}/scale"]), **options, "_growth_tracker": tracker}


def _schedulers(hook: ParamSchedulerHook, states: Any, groups: _Groups, run: RunState) -> list[Row]:
    mine = {there for there, _ in groups.part.numbers}
    rows: list[Row] = []
    for policy in hook.policies:
        name = next((name for name in targets(getattr(policy, "param", "lr"), hook.base) if name in mine), None)
        if name is None or not isinstance(policy, Ranged | ReduceOnPlateauLR):
            continue  # of another optimizer, or a policy of mmcv's, which has no state
        done = run.position.epoch if policy.by_epoch else run.position.iteration
        here = dict(groups.part.numbers)[name]
        last = [float(run.hyperparams[name][setting]) for setting in groups.settings]
        if len(groups.settings) > 1:
            last.append(_taken(_base(groups.part, run), here))
        row: Row = {"last_step": min(done, policy.end - 1) - policy.begin, "_global_step": done, "_last_value": last}
        row["last_step"] = max(row["last_step"], -1)
        if isinstance(policy, ReduceOnPlateauLR):
            best, bad, cool = _seen(hook, states, policy)
            row |= {"best": best, "num_bad_epochs": bad, "cooldown_counter": cool, "last_step": row["last_step"] - 1}
        rows.append(row)
    return rows


def _seen(hook: ParamSchedulerHook, states: Any, policy: ReduceOnPlateauLR) -> tuple[float, int, int]:
    """What a policy that looks at validation saw."""
    for link, state in zip(hook.links, states, strict=True):
        if isinstance(link.policy, Recursion):
            watchers = [one for one in link.policy.members if isinstance(one, ReduceOnPlateauLR)]
            if policy in watchers:
                return state[4][watchers.index(policy)]
    return policy.init()
