"""What stands between gradient and update, as values written once for both rooms: clipping, accumulation."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Context", "Param", "Transform", "accumulate", "apply", "clip_norm", "clip_value"]

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
    """

    turn: Any
    params: Mapping[str, Any]


class Transform(NamedTuple):
    """A pair of pure functions on a phase's gradient.

    Attributes:
        name: of its slots; one of a name in a phase.
        init: ``({name: Param}) -> {path: host array}``: its slots before the first step, in torch's layout. A slot whose
            path is a parameter's name is laid out as that parameter is.
        update: ``(xp, grads, slots, context) -> (grads, slots, apply)``: the gradients and slots after it, and whether
            the optimizer is to move: True, False, or a 0-d array of the backend.
    """

    name: str
    init: Callable[[Mapping[str, Param]], Mapping[str, NDArray[Any]]]
    update: Callable[[Ops, Grads, Slots, Context], tuple[Grads, Slots, Any]]


def apply(
    transforms: tuple[tuple[str, Transform], ...], xp: Ops, grads: Grads, slots: Mapping[str, Slots], context: Context
) -> tuple[Grads, dict[str, Slots], Any]:
    """The fold: every transform in order.

    Args:
        transforms: each with the name of its slots in the state.
        slots: {slot name: {path: array}}.

    Returns:
        the gradients, the slots that changed, and whether the optimizer is to move.
    """
    changed: dict[str, Slots] = {}
    moves: Any = True
    for name, transform in transforms:
        grads, after, wanted = transform.update(xp, grads, slots.get(name, EMPTY), context)
        if after:
            changed[name] = after
        moves = wanted if moves is True else moves if wanted is True else xp.both(moves, wanted)
    return grads, changed, moves


def _no_slots(params: Mapping[str, Param]) -> Mapping[str, NDArray[Any]]:
    return EMPTY


def clip_norm(max_norm: float, norm_type: float = 2.0) -> Transform:
    """Scale the gradients so that their norm over all parameters together is at most ``max_norm``: the numbers of
    ``torch.nn.utils.clip_grad_norm_``, factor min(1, max_norm / (norm + 1e-6)).

    Args:
        norm_type: of the p-norm; infinity takes the greatest element.

    Raises:
        FkitValueError: a norm that is not above 0.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> grads, _, apply = clip_norm(1.0).update(Numpy(), {"a": np.array([3.0, 4.0])}, {}, Context(0, {}))
        >>> grads["a"].round(3).tolist(), apply
        ([0.6, 0.8], True)
    """
    expect_number(max_norm, "clip_grad.max_norm")
    expect_number(norm_type, "clip_grad.norm_type")
    for name, value in (("max_norm", max_norm), ("norm_type", norm_type)):
        if not value > 0:
            raise FkitValueError(f"clip_grad.{name} = {value}: above 0.")

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Grads, Slots, Any]:
        norm = xp.norm(list(grads.values()), float(norm_type))
        factor = xp.at_most(float(max_norm) / (norm + 1e-6), 1.0)
        return dict(zip(grads, xp.scaled(list(grads.values()), factor), strict=True)), slots, True

    return Transform("clip_norm", _no_slots, update)


def clip_value(clip: float) -> Transform:
    """Each element of each gradient into [-clip, clip], as ``torch.nn.utils.clip_grad_value_`` does.

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

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Grads, Slots, Any]:
        clipped = xp.clipped(list(grads.values()), -float(clip), float(clip))
        return dict(zip(grads, clipped, strict=True)), slots, True

    return Transform("clip_value", _no_slots, update)


def accumulate(count: int) -> Transform:
    """Move the parameters at every ``count``-th run of the phase, by the mean of the gradients since: what a batch
    ``count`` times as large gives, for a loss that is a mean over samples.

    Raises:
        FkitValueError: ``count`` is less than 1.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> two, grads = accumulate(2), {"a": np.array([4.0])}
        >>> slots = two.init({"a": Param((1,), "float64")})
        >>> _, slots, first = two.update(Numpy(), grads, slots, Context(0, {}))
        >>> mean, slots, second = two.update(Numpy(), grads, slots, Context(1, {}))
        >>> bool(first), mean["a"].tolist(), bool(second), slots["a"].tolist()
        (False, [4.0], True, [0.0])
    """
    expect_number(count, "accumulative_counts", whole=True)
    if count < 1:
        raise FkitValueError(f"accumulative_counts = {count}: at least 1.")

    def init(params: Mapping[str, Param]) -> Mapping[str, NDArray[Any]]:
        return {name: np.zeros(param.shape, param.dtype) for name, param in params.items()}

    def update(xp: Ops, grads: Grads, slots: Slots, context: Context) -> tuple[Grads, Slots, Any]:
        names = list(grads)
        last = context.turn % count == count - 1
        sums = xp.added([slots[name] for name in names], xp.scaled(list(grads.values()), 1.0 / count))
        carried = xp.select(last, xp.zeros(sums), sums)
        return dict(zip(names, sums, strict=True)), dict(zip(names, carried, strict=True)), last

    return Transform("accumulate", init, update)
