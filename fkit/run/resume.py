"""A run that goes on from a checkpoint of mmengine's or mmcv's: weights, optimizer, counters, moving average.

=========================  ============================================================================================
in the file                here
=========================  ============================================================================================
``state_dict``             the weights; where ``ema_state_dict`` lies beside it, that has them, and this is the average
``optimizer``              by the order of parameters, which torch counts, to their names
``meta.epoch, meta.iter``  the position: mmengine's as they are; mmcv's iteration-based runs count one less than they did
``param_schedulers``       a policy's value follows from the position; of ReduceOnPlateau, what it saw and came to
``optimizer.loss_scaler``  the loss scale (mmcv's: ``meta.fp16``)
``ema_*`` buffers          mmcv 1.x's moving average
``message_hub``            what lines of the log average; its rows stay in the file, and so do ``hook_msgs``, which is said
=========================  ============================================================================================
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.fileio.weights import Content, revised
from fkit.run.carry import Order, logged, looked, loss_scale_of, with_average
from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import first_memory
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.plan import Plan
from fkit.run.state import Position, RunState
from fkit.training.phase import Part, parts_of
from fkit.training.weight import fit
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Counters", "Resumed", "counters", "in_force", "resumed"]

Table = Mapping[str, Any]


class Counters(NamedTuple):
    """How far a run of OpenMMLab's was, from its ``meta``.

    Attributes:
        iteration: training iterations done.
        epoch: whole epochs done.
    """

    iteration: int
    epoch: int


class Resumed(NamedTuple):
    """A run that goes on.

    Attributes:
        run: where it is.
        said: what a person should know.
    """

    run: RunState
    said: tuple[str, ...]


def counters(meta: Table, by_epoch: bool, name: str = "the checkpoint") -> Counters:
    """How far a run was. mmcv saves an iteration-based run before it counts the iteration, and its epoch plus one:
    ``iter_100.pth`` holds ``iter=99``; mmengine counts what is done, and mmcv's epoch-based runs too.

    Args:
        by_epoch: whether the run that goes on counts epochs, as the one before did.

    Raises:
        FkitValueError: there are no such counters.

    Example:
        >>> counters({"epoch": 2, "iter": 99, "mmcv_version": "1.7.2"}, False)
        Counters(iteration=100, epoch=1)
    """
    expect(meta, Mapping, "`meta` is that of a checkpoint")
    epoch, iteration = meta.get("epoch"), meta.get("iter")
    if type(epoch) is not int or type(iteration) is not int or epoch < 0 or iteration < 0:
        raise FkitValueError(
            f"{name}: its meta says neither epoch nor iter: there is nothing to go on from.",
            repair="load_from takes its weights alone.",
        )
    if "mmcv_version" in meta and "mmengine_version" not in meta and not by_epoch:
        return Counters(iteration + 1, max(epoch - 1, 0))
    return Counters(iteration, epoch)


def resumed(plan: Plan, content: Content, length: int) -> Resumed:
    """The run that goes on from a ``.pth`` of OpenMMLab's.

    Args:
        plan: of the run.
        content: what `fkit.fileio.weights.read_content` gave.
        length: iterations of an epoch; 0 where nobody knows.

    Raises:
        FkitValueError: the weights or the optimizer are not those of the plan's model, or there are no counters.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(content, Content, "`content` is what read_content gave")
    expect_number(length, "length", whole=True)
    meta: Any = content.whole.get("meta")
    done = counters(cast(Table, meta) if isinstance(meta, Mapping) else {}, plan.course.by_epoch, content.name)
    done, said = _rescaled(done, cast(Table, meta))
    content, more = with_average(plan, content)
    said = (*said, *more)
    inventory, program = plan.program.inventory, plan.program
    weights = fit(inventory, revised(content.weights, content.name), strict=True, bare=True).arrays
    fresh = program.collect(program.init(plan.seed))
    arrays = {**fresh, **weights}
    arrays["iteration"] = np.array(done.iteration, np.int64)
    optimizer: Any = content.whole.get("optimizer")
    orders: list[Order] = []
    if isinstance(optimizer, Mapping):
        moved, more, orders = _optimizers(plan, content, cast(Table, optimizer), fresh)
        arrays, said = {**arrays, **moved}, (*said, *more)
    else:
        said = (*said, "it holds no optimizer: that one starts anew")
    arrays["updates"] = np.array(_updates(arrays, done.iteration), np.int64)
    average, more = _average(content, arrays)
    state = program.restore({**arrays, **average})
    position, far = _position(plan, done, length)
    looking, unseen = looked(plan, content, position, orders)
    telling, unsaid = logged(plan, content, position)
    memory = frozen({**{name: first_memory(name, hook) for name, hook in plan.hooks}, **looking, **telling})
    run = RunState(position, state, frozen(program.hyperparams()), memory, restored=True)
    lines = (*said, *more, *far, *unseen, *unsaid, *_lost(content))
    return Resumed(in_force(plan, run, length), tuple(f"{content.name}: {text}" for text in lines))


def _rescaled(done: Counters, meta: Table) -> tuple[Counters, tuple[str, ...]]:
    """mmcv's rule: where the run before shared a batch among several processes, iterations count for as many here."""
    line = re.search(r"^gpu_ids = (?:range\((\d+), (\d+)\)|\[([\d, ]*)\])", str(meta.get("config", "")), re.MULTILINE)
    if line is None:
        return done, ()
    count = int(line[2]) - int(line[1]) if line[2] else len(line[3].split(","))
    if count < 2:
        return done, ()
    text = f"its run had {count} processes, and this one has 1: each counts for {count} iterations, as mmcv has it"
    return Counters(done.iteration * count, done.epoch), (text,)


def _optimizers(
    plan: Plan, content: Content, whole: Table, fresh: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...], list[Order]]:
    arrays: dict[str, NDArray[Any]] = {}
    said: tuple[str, ...] = ()
    orders: list[Order] = []
    meta = cast(Table, content.whole["meta"])
    parts = {part.phase.optimizer: part for part in parts_of(plan.program.spec, plan.program.inventory)}
    for name, part in parts.items():
        state: Any = whole if "param_groups" in whole else whole.get(name)
        if not isinstance(state, Mapping) or ("param_groups" in whole and len(parts) > 1):
            held = ", ".join(str(key) for key in whole)
            raise FkitValueError(f"{content.name}: has no state of the optimizer {name!r}; it has that of {held}.")
        table = cast(Table, state)
        order = _order(part, content, table)
        rows, missing = _slots(part, content, table, order, fresh)
        scale, more = loss_scale_of(part, table, meta, fresh)
        arrays |= {**rows, **scale}
        said += more
        places = {index: i for i, group in enumerate(table["param_groups"]) for index in group["params"]}
        orders.append(Order(part, {one: places[index] for index, one in order}))
        said += (
            (f"no state of {len(missing)} parameters ({', '.join(missing[:3])}): theirs starts anew",)
            if missing
            else ()
        )
    return arrays, said, orders


def _order(part: Part, content: Content, state: Table) -> list[tuple[int, str]]:
    """The parameters of an optimizer: (what the file counts it as, its name) each."""
    indices = [index for group in state["param_groups"] for index in group["params"]]
    order = [name for name in revised(content.weights, content.name) if name in {*part.names, *part.others}]
    mine = [name for name in order if name in set(part.names)]
    names = order if len(indices) == len(order) else mine
    if len(indices) != len(names):
        raise FkitValueError(
            f"{content.name}: its optimizer has {len(indices)} parameters, and the model {len(names)}.",
            repair="Resume with the model and the optimizer of the run before, or take the weights alone with load_from.",
        )
    return list(zip(indices, names, strict=True))


def _slots(
    part: Part, content: Content, state: Table, order: list[tuple[int, str]], fresh: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The slots of an optimizer by path, and the names of parameters that it has none of."""
    arrays: dict[str, NDArray[Any]] = {}
    missing: list[str] = []
    optimizer = part.phase.optimizer
    for index, name in order:
        slots: Any = state["state"].get(index)
        if not slots and name in part.names and any(path.startswith(f"opt/{optimizer}/") for path in fresh):
            missing.append(name)
        for slot, value in (slots or {}).items():
            path = f"opt/{optimizer}/{slot}/{name}"
            if value is None:
                continue
            array = np.asarray(value, fresh[path].dtype if path in fresh else np.float32)
            if path in fresh and array.shape != fresh[path].shape:
                raise FkitValueError(
                    f"{content.name}: its optimizer has {slot} of shape {array.shape} for {name!r}, which has "
                    f"{fresh[path].shape}: its parameters are in another order."
                )
            if path in fresh or not part.optimizer.twin:  # one of torch's own may bring slots later
                arrays[path] = array
    return arrays, missing


def _updates(arrays: Mapping[str, NDArray[Any]], iteration: int) -> int:
    """How often parameters moved, as Adam's counters say; else at every iteration."""
    steps = [array for path, array in arrays.items() if path.startswith("opt/") and path.split("/")[2] == "step"]
    return int(max(float(array) for array in steps)) if steps else iteration


def _average(content: Content, arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The moving average, in the slot that the run has for one."""
    slots = {path for path in arrays if path.startswith("slots/")}
    averages = {path: path.split("/", 2)[2] for path in slots if f"params/{path.split('/', 2)[2]}" in arrays
                or f"buffers/{path.split('/', 2)[2]}" in arrays}  # fmt: skip
    names = revised(content.averaged, content.name) if content.averaged is not None else {}
    taken = {path: np.asarray(names[name], arrays[path].dtype) for path, name in averages.items() if name in names}
    if names and not taken:
        return {}, ("its moving average is left out: this run keeps none",)
    if averages and not names:
        weights = {path: arrays.get(f"params/{name}", arrays.get(f"buffers/{name}")) for path, name in averages.items()}
        return {path: array for path, array in weights.items() if array is not None}, (
            "it holds no moving average: that one begins with its weights",
        )
    return taken, ()


def _position(plan: Plan, done: Counters, length: int) -> tuple[Position, tuple[str, ...]]:
    iteration, epoch = done
    if not plan.course.by_epoch:
        inner = iteration % length if length else iteration
        return Position("iterate", iteration, 0, inner), ()
    if length and epoch * length == iteration:
        return Position("begin", iteration, epoch), ()
    inner = iteration - epoch * length
    if 0 < inner < length:
        return Position("iterate", iteration, epoch, inner), ()
    text = f"it was saved after {epoch} epochs and {iteration} iterations, and an epoch has {length} here: the next epoch begins"
    return Position("begin", iteration, epoch), (text,)


def in_force(plan: Plan, run: RunState, length: int) -> RunState:
    """The run with the hyperparameters of its next step in force, as the schedules have them there.

    Args:
        length: iterations of an epoch; 0 where nobody knows.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect_number(length, "length", whole=True)
    memory = dict(run.memory)
    for name, hook in plan.hooks:
        if isinstance(hook, ParamSchedulerHook) and hook.answers("before_train_iter"):
            at = run.position
            event = Event("before_train_iter", iteration=at.iteration, epoch=at.epoch, inner=at.inner, length=length)
            memory[name], effects = hook.before_train_iter(memory[name], run, event)
            for effect in effects:
                if isinstance(effect, SetHyperparams):
                    run = run._replace(hyperparams=frozen({**run.hyperparams, **effect.values}))
    return run._replace(memory=frozendict(memory))


def _lost(content: Content) -> tuple[str, ...]:
    said: list[str] = []
    meta: Any = content.whole.get("meta")
    messages: Any = cast(Table, meta).get("hook_msgs") if isinstance(meta, Mapping) else None
    if messages:
        said.append(f"what its hooks remembered stays in the file: {quoted(dict(messages))}")
    return tuple(said)
