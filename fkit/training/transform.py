"""What stands between gradient and update, as values written once for both rooms: clipping, accumulation."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Numpy, Ops
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Context", "Param", "Passed", "Transform", "accumulate", "apply", "clip_norm", "clip_value"]

Grads = Mapping[str, Any]
Slots = Mapping[str, Any]


class Param(NamedTuple):
    """A parameter that a phase trains, in torch's layout.

    Attributes:
        shape: of the parameter, and of its gradient.
        dtype: "float32" or "float64".
    """

    shape: tuple[int, ...]
    dtype: str


class Context(NamedTuple):
    """What a transform may know of the step.

    Attributes:
        turn: how often the phase ran before; on the host, or a tracer.
        params: {name: array} of all parameters; those of the gradients are among them.
        total: how often the phase runs in the whole run; None where nobody said.
        due: what the ``due`` of the phase's transforms say together, where the room asked them; else None.
        moves: whether the transforms before this one want the optimizer to move: True, False, or a 0-d array.
    """

    turn: Any
    params: Mapping[str, Any]
    total: int | None = None
    due: bool | None = None
    moves: Any = True


class Transform(NamedTuple):
    """A pair of pure functions on a phase's gradient, and what two of its kind need beside.

    Attributes:
        name: of its slots; one of a name in a phase.
        init: ``({name: Param}) -> {path: host array}``: its slots before the first step, in torch's layout. A slot whose
            path is a parameter's name is laid out as that parameter is.
        update: ``(xp, grads, slots, context) -> (grads, slots, apply)``: the gradients and slots after it, and whether
            the optimizer is to move: True, False, or a 0-d array of the backend. A fourth item, {name: 0-d array}, is
            logged beside the losses.
        due: ``(turn, total) -> bool``: whether the optimizer is due to move, where the number of the turn alone decides
            it; a backend that compiles its step then has one for either case.
        scale: ``(slots) -> 0-d array`` that the loss is multiplied by before it is differentiated; ``update`` takes it
            out of the gradients again.
        share: ``(turn, total) -> number``, of one that does nothing but add up: its slots are sums of gradients times that
            number, which it gives when it is due, and empties. Several processes take the mean of such a sum, in place of
            that of each gradient.
    """

    name: str
    init: Callable[[Mapping[str, Param]], Mapping[str, NDArray[Any]]]
    update: Callable[[Ops, Grads, Slots, Context], tuple[Any, ...]]
    due: Callable[[int, int | None], bool] | None = None
    scale: Callable[[Slots], Any] | None = None
    share: Callable[[int, int | None], float] | None = None


class Passed(NamedTuple):
    """What came of a phase's transforms.

    Attributes:
        grads: after the last.
        slots: {slot name: {path: array}} of those that changed.
        moves: whether the optimizer is to move: True, False, or a 0-d array.
        logs: {name: 0-d array}.
    """

    grads: Grads
    slots: dict[str, Slots]
    moves: Any
    logs: dict[str, Any]


def apply(
    transforms: tuple[tuple[str, Transform], ...], xp: Ops, grads: Grads, slots: Mapping[str, Slots], context: Context
) -> Passed:
    """The fold: every transform in order.

    Args:
        transforms: each with the name of its slots in the state.
        slots: {slot name: {path: array}}.
    """
    changed: dict[str, Slots] = {}
    logs: dict[str, Any] = {}
    moves: Any = True
    for name, transform in transforms:
        grads, after, wanted, *more = transform.update(xp, grads, slots.get(name, EMPTY), context)
        for said in more:
            logs |= said
        if after:
            changed[name] = after
        if wanted is not True:
            moves = wanted if moves is True else xp.both(moves, wanted)
            context = context._replace(moves=moves)
    return Passed(grads, changed, moves, logs)


def _no_slots(params: Mapping[str, Param]) -> Mapping[str, NDArray[Any]]:
    return EMPTY


def clip_norm(max_norm: float, norm_type: float = 2.0, finite: bool = False) -> Transform:
    """Scale the gradients so that their norm over all parameters together is at most ``max_norm``: the numbers of
    ``torch.nn.utils.clip_grad_norm_``, factor min(1, max_norm / (norm + 1e-6)). The norm before is logged as
    ``grad_norm``, at the turns that move the parameters.

    Args:
        norm_type: of the p-norm; infinity takes the greatest element.
        finite: move nothing where the norm is not finite.

    Raises:
        FkitValueError: a norm that is not above 0.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> grads, _, apply, logs = clip_norm(1.0).update(Numpy(), {"a": np.array([3.0, 4.0])}, {}, Context(0, {}))
        >>> grads["a"].round(3).tolist(), apply, float(logs["grad_norm"])
        ([0.6, 0.8], True, 5.0)
    """
    expect_number(max_norm, "clip_grad.max_norm")
    expect_number(norm_type, "clip_grad.norm_type")
    for name, value in (("max_norm", max_norm), ("norm_type", norm_type)):
        if not value > 0:
            raise FkitValueError(f"clip_grad.{name} = {value}: above 0.")

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Any, ...]:
        if context.moves is False:  # nobody will use what comes out
            return grads, slots, True
        norm = xp.norm(list(grads.values()), float(norm_type))
        factor = xp.at_most(float(max_norm) / (norm + 1e-6), 1.0)
        clipped = dict(zip(grads, xp.scaled(list(grads.values()), factor), strict=True))
        return clipped, slots, xp.finite(norm) if finite else True, {"grad_norm": norm}

    return Transform("clip_norm", _no_slots, update)


def clip_value(clip: float) -> Transform:
    """Each element of each gradient into [-clip, clip], as ``torch.nn.utils.clip_grad_value_`` does. The greatest
    magnitude before is logged as ``grad_value``, at the turns that move the parameters.

    Raises:
        FkitValueError: ``clip`` is not above 0.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> clip_value(1.0).update(Numpy(), {"a": np.array([3.0, -4.0, 0.5])}, {}, Context(0, {}))[0]["a"].tolist()
        [1.0, -1.0, 0.5]
    """
    expect_number(clip, "clip_grad.clip_value")
    if not clip > 0:
        raise FkitValueError(f"clip_grad.clip_value = {clip}: above 0.")

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Any, ...]:
        if context.moves is False:
            return grads, slots, True
        arrays = list(grads.values())
        clipped = dict(zip(grads, xp.clipped(arrays, -float(clip), float(clip)), strict=True))
        return clipped, slots, True, {"grad_value": xp.norm(arrays, math.inf)}

    return Transform("clip_value", _no_slots, update)


def accumulate(count: int) -> Transform:
    """Move the parameters at every ``count``-th run of the phase, by the mean of the gradients since: what a batch
    ``count`` times as large gives, for a loss that is a mean over samples. Where the phase's number of runs is known and
    ``count`` does not divide it, those that remain at the end are averaged among themselves, and the last one moves:
    mmengine's ``OptimWrapper.scale_loss`` and ``should_update``.

    Raises:
        FkitValueError: ``count`` is less than 1.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> two, grads = accumulate(2), {"a": np.array([4.0])}
        >>> slots = two.init({"a": Param((1,), "float64")})
        >>> _, slots, first = two.update(Numpy(), grads, slots, Context(0, {}, 3))
        >>> mean, slots, second = two.update(Numpy(), grads, slots, Context(1, {}, 3))
        >>> last, slots, third = two.update(Numpy(), grads, slots, Context(2, {}, 3))  # alone: 3 is no multiple of 2
        >>> first, mean["a"].tolist(), second, last["a"].tolist(), third, slots["a"].tolist()
        (False, [4.0], True, [4.0], True, [0.0])
    """
    expect_number(count, "accumulative_counts", whole=True)
    if count < 1:
        raise FkitValueError(f"accumulative_counts = {count}: at least 1.")

    def init(params: Mapping[str, Param]) -> Mapping[str, NDArray[Any]]:
        return {name: np.zeros(param.shape, param.dtype) for name, param in params.items()}

    def due(turn: Any, total: int | None) -> Any:
        full = (turn + 1) % count == 0
        return full if total is None else full | (turn + 1 == total)

    def share(xp: Ops, turn: Any, total: int | None) -> Any:
        """One over the number of gradients that the parameters move by at once."""
        left = 0 if total is None else total % count
        if total is None or not left:
            return 1.0 / count
        tail = (turn >= total - left) & (turn < total)  # a run that has become longer goes on after its end as before
        return xp.select(tail, [1.0 / left], [1.0 / count])[0]

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Any, ...]:
        names = list(grads)
        last = due(context.turn, context.total) if context.due is None else context.due
        part = xp.scaled(list(grads.values()), share(xp, context.turn, context.total))
        sums = xp.added([slots[name] for name in names], part)
        carried = sums if last is False else xp.select(last, xp.zeros(sums), sums)
        return dict(zip(names, sums, strict=True)), dict(zip(names, carried, strict=True)), last

    return Transform("accumulate", init, update, due, share=lambda turn, total: float(share(Numpy(), turn, total)))
