"""What a run that goes on from OpenMMLab's file has beside weights, optimizer and counters: the average that mmcv 1.x keeps
among the weights, the loss scale, what schedules saw of validations, and what lines of the log average."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.fileio.weights import Content, mmcv_average
from fkit.run.hook.checkpoint import CheckpointHook
from fkit.run.hook.ema import ExpMomentumEMAHook, LinearMomentumEMAHook
from fkit.run.hook.log import LoggerHook
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.plan import Plan
from fkit.run.state import Memory, Position
from fkit.training.phase import Part
from fkit.training.schedule.chain import Link, watches
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.recursion import Recursion

__all__ = ["Order", "logged", "looked", "loss_scale_of", "with_average"]

Table = Mapping[str, Any]
Arrays = dict[str, NDArray[Any]]
Said = tuple[str, ...]

_RATES = ("lr", "base_lr", "momentum")
_TIMES = ("time", "data_time")


class Order(NamedTuple):
    """Where the parameters of an optimizer lie in a file.

    Attributes:
        part: what the optimizer trains here.
        groups: {parameter: its place among the file's ``param_groups``}.
    """

    part: Part
    groups: Mapping[str, int]


def with_average(plan: Plan, content: Content) -> tuple[Content, Said]:
    """The content with the average that mmcv 1.x's and mmdet 2.x's hooks keep as buffers ``ema_...`` among the weights.

    These hooks exchange the two at the end of an epoch, and back before the next: a checkpoint hook that fires after the
    exchange writes the average as the weights. So it is where the plan's hooks stand in that order.
    """
    buffers = mmcv_average(content)
    if not buffers or content.averaged is not None:
        return content, ()
    over = frozendict({**content.weights, **buffers})
    hooks = [hook for _, hook in plan.hooks]
    averaging = [i for i, hook in enumerate(hooks) if isinstance(hook, LinearMomentumEMAHook | ExpMomentumEMAHook)]
    saving = [i for i, hook in enumerate(hooks) if isinstance(hook, CheckpointHook)]
    if plan.course.by_epoch and averaging and saving and averaging[0] < saving[0]:
        text = "its weights are the moving average and its ema_* buffers those of training: its hook exchanges them before it is saved"
        return content._replace(weights=over, averaged=content.weights), (text,)
    return content._replace(averaged=over), ()


def loss_scale_of(part: Part, state: Table, meta: Table, fresh: Mapping[str, NDArray[Any]]) -> tuple[Arrays, Said]:
    """The slots of a loss scale: mmengine's lies beside its optimizer, mmcv's in ``meta.fp16``."""
    half: Any = meta.get("fp16")
    held: Any = state.get("loss_scaler") or (
        cast(Table, half).get("loss_scaler") if isinstance(half, Mapping) else None
    )
    table = cast(Table, held) if isinstance(held, Mapping) else {}
    scale = table.get("scale", table.get("cur_scale"))
    slot = next((name for name, transform in part.transforms if transform.scale is not None), None)
    if slot is None or scale is None:
        if slot is None and scale is not None:
            return {}, ("its loss scale is left out: this run has none",)
        return {}, ("it holds no loss scale: that one starts anew",) if slot is not None else ()
    rows = {f"slots/{slot}/scale": scale, f"slots/{slot}/growth_tracker": table.get("_growth_tracker", 0)}
    return {path: np.asarray(value, fresh[path].dtype) for path, value in rows.items()}, ()


def looked(plan: Plan, content: Content, at: Position, orders: Sequence[Order]) -> tuple[dict[str, Memory], Said]:
    """The memory of schedules that look at validations: what they saw, and the values that they had come to."""
    rows = list(_looking(content.whole.get("param_schedulers")))
    memory: dict[str, Memory] = {}
    said: Said = ()
    for name, hook in plan.hooks:
        if not isinstance(hook, ParamSchedulerHook):
            continue
        watchers = [policy for policy in hook.policies if isinstance(policy, ReduceOnPlateauLR)]
        if watchers and len(watchers) == len(rows):
            table = {id(policy): row for policy, row in zip(watchers, rows, strict=True)}
            states = (
                _state(link, table, at, hook, orders) if watches(link.policy) else link.policy.init()
                for link in hook.links
            )
            memory[name] = Memory(tuple(states))
        elif watchers or rows:
            said = ("a schedule that looks at validation begins to look here",)
    return memory, said


def _looking(schedulers: Any) -> Iterator[Table]:
    """The states of mmengine's ReduceOnPlateau, in order; of several optimizers one after the other."""
    rows = list(cast(Table, schedulers).values()) if isinstance(schedulers, Mapping) else [schedulers or ()]
    for row in rows:
        yield from (cast(Table, one) for one in row if isinstance(one, Mapping) and "num_bad_epochs" in one)


def _state(
    link: Link, rows: Mapping[int, Table], at: Position, hook: ParamSchedulerHook, orders: Sequence[Order]
) -> tuple[object, ...]:
    """A recursion's state (see `Recursion.init`): each value in force is a map of what it was before any policy."""
    policy = cast(Recursion, link.policy)
    mine = [rows[id(member)] for member in policy.members if isinstance(member, ReduceOnPlateauLR)]
    base = np.asarray(hook.base[link.name], np.float64)
    now = _in_force(mine[-1].get("_last_value"), link.name, base, orders)
    scale = np.divide(now, base, out=np.zeros_like(base), where=base != 0)
    shift = np.where(base != 0, 0.0, now)
    plateaus = tuple(
        (float(row["best"]), int(row["num_bad_epochs"]), int(row.get("cooldown_counter", 0))) for row in mine
    )
    return (at.iteration, at.epoch, tuple(scale.tolist()), tuple(shift.tolist()), plateaus)


def _in_force(last: Any, name: str, base: NDArray[Any], orders: Sequence[Order]) -> NDArray[np.float64]:
    """What a scheduler of the file had come to, for each setting here; the file has it for each of its own groups."""
    values = [float(value) for value in last or ()]
    for part, groups in orders:
        if values and any(name == there for there, _ in part.numbers):
            places = [
                next((groups[one] for one in names if one in groups), 0) for names in part.optimizer.assign(part.names)
            ]
            return np.array([values[min(place, len(values) - 1)] for place in places], np.float64)
    return base


def logged(plan: Plan, content: Content, at: Position) -> tuple[dict[str, Memory], Said]:
    """The memory of mmengine's logger: the newest values of each scalar, and what steps took. Rows stay in the file."""
    hub: Any = content.whole.get("message_hub")
    scalars: Any = cast(Table, hub).get("log_scalars") if isinstance(hub, Mapping) else None
    if not isinstance(scalars, Mapping) or not scalars:
        return {}, ()
    table = {str(name): _values(history) for name, history in cast(Table, scalars).items()}
    mine = {
        name.removeprefix("train/"): values for name, values in table.items() if name.startswith("train/") and values
    }
    memory: dict[str, Memory] = {}
    for name, hook in plan.hooks:
        if isinstance(hook, LoggerHook):
            rates = plan.program.hyperparams()
            kept = {key: values for key, values in mine.items() if key in rates or key not in _RATES}
            if not hook.style.timed:
                kept = {key: values for key, values in kept.items() if key not in _TIMES}
            memory[name] = hook.recall(kept, at.inner)
    count = len(table)
    if not memory:
        return {}, (f"the history of {count} logged values stays in the file: this run's begins here",)
    return memory, (f"lines average on from the history of {count} logged values, whose rows stay in the file",)


def _values(history: Any) -> list[float]:
    """The values of a history as the reader of files gives it."""
    values: Any = getattr(history, "values", None)
    return [float(value) for value in values] if isinstance(values, np.ndarray) else []
