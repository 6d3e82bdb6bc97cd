"""Updates of optimizers, written once for both backends: of one parameter, its gradient and its slots, pure; or of many
at once, where what stands for them in the arithmetic is many arrays.

torch's own, by its documented formulae, with its arguments, defaults and slots; and those that released configs of OpenMMLab name
beside them: LARS (You, Gitman and Ginsburg 2017, algorithm 1), Lamb (You et al. 2020, algorithm 2, with a gradient that is clipped
by its norm first) and Lion (Chen et al. 2023, program 1). SGD, Adam and AdamW have kernels of their own on torch; SGD with
dampening, whose first step differs, has none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.array.ops import Ops

__all__ = ["LAWS", "Law", "Move"]

Slots = Mapping[str, Any]
Numbers = Mapping[str, Any]


class Move(NamedTuple):
    """What an update is made of.

    Attributes:
        param, grad: of one parameter.
        slots: {slot: array}; ``step``, 0-d, in the widest float there is.
        numbers: {hyperparameter: a number or a 0-d array}.
        settings: the options, for those that are no number.
        norm: of all gradients together, for a law that asks for it.
    """

    param: Any
    grad: Any
    slots: Slots
    numbers: Numbers
    settings: Mapping[str, Any]
    norm: Any


class Law(NamedTuple):
    """An optimizer.

    Attributes:
        options: its arguments with their defaults; numbers are hyperparameters.
        slots: their names; each is shaped like its parameter, but ``step``, which is one number.
        move: ``(xp, move) -> (parameter, slots)``: after the step.
        first: {slot: the option that says what it holds before the first step}; of others that is 0.
        whole: whether it asks for the norm of all gradients.
    """

    options: Mapping[str, Any]
    slots: tuple[str, ...]
    move: Callable[[Ops, Move], tuple[Any, dict[str, Any]]]
    first: Mapping[str, str] = frozendict()
    whole: bool = False

    def held(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The slots under these options."""
        return tuple(slot for slot in self.slots if slot != "grad_avg" or options["centered"])

    def start(self, slot: str, settings: Mapping[str, Any]) -> float:
        """What a slot holds before the first step."""
        return float(settings[self.first[slot]]) if slot in self.first else 0.0


def _decayed(move: Move) -> Any:
    """The gradient with the weight decay in it, as an L2 penalty has it."""
    return move.grad + move.numbers["weight_decay"] * move.param


def _where(xp: Ops, condition: Any, one: Any, other: Any) -> Any:
    return xp.select(condition, [one], [other])[0]


def _share(xp: Ops, move: Move, step: Any) -> Any:
    """Of a gradient, what the buffer takes: the first whole, and later ones less the dampening."""
    return _where(xp, step < 2, step / step, (1 - move.numbers["dampening"]) * (step / step))


def _sgd(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    n, step = move.numbers, move.slots["step"] + 1
    grad = _decayed(move)
    buffer = n["momentum"] * move.slots["momentum_buffer"] + _share(xp, move, step) * grad
    change = _where(xp, n["momentum"] != 0, buffer, grad)
    return move.param - n["lr"] * change, {"momentum_buffer": buffer, "step": step}


def _lars(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    """A rate a layer: eta * |w| / (|g| + decay * |w| + eps); 1 where either norm is 0, and for those that are excluded."""
    n, step = move.numbers, move.slots["step"] + 1
    weight, slope = xp.norm([move.param], 2.0), xp.norm([move.grad], 2.0)
    ratio = n["eta"] * weight / (slope + n["weight_decay"] * weight + n["eps"])
    one = weight * 0 + 1
    rate = one if move.settings["lars_exclude"] else _where(xp, (weight > 0) & (slope > 0), ratio, one)
    change = rate * n["lr"] * _decayed(move)
    buffer = n["momentum"] * move.slots["momentum_buffer"] + _share(xp, move, step) * change
    ahead = change + n["momentum"] * buffer if move.settings["nesterov"] else buffer
    moved = _where(xp, n["momentum"] != 0, ahead, change)
    return move.param - moved, {"momentum_buffer": buffer, "step": step}


def _lamb(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    """Adam's direction with a rate a layer, |w| / |direction|, where it is decayed, or ``always_adapt``."""
    n, set_, step = move.numbers, move.settings, move.slots["step"] + 1
    grad = move.grad / xp.greatest(move.norm / n["max_grad_norm"], move.norm * 0 + 1)
    first = n["beta1"] * move.slots["exp_avg"] + ((1 - n["beta1"]) if set_["grad_averaging"] else 1.0) * grad
    second = n["beta2"] * move.slots["exp_avg_sq"] + (1 - n["beta2"]) * grad * grad
    one, two = (1 - n["beta1"] ** step, 1 - n["beta2"] ** step) if set_["bias_correction"] else (1.0, 1.0)
    change = (first / one) / ((second / two) ** 0.5 + n["eps"]) + n["weight_decay"] * move.param
    weight, length = xp.norm([move.param], 2.0), xp.norm([change], 2.0)
    plain = weight * 0 + 1
    safe = _where(xp, length > 0, length, plain)
    trust = _where(xp, (weight > 0) & (length > 0), weight / safe, plain)
    trust = xp.at_most(trust, 1.0) if set_["trust_clip"] else trust
    adapts = True if set_["always_adapt"] else n["weight_decay"] != 0
    return move.param - n["lr"] * (_where(xp, adapts, trust, plain) * change), {
        "step": step, "exp_avg": first, "exp_avg_sq": second,
    }  # fmt: skip


def _lion(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    n, average = move.numbers, move.slots["exp_avg"]
    ahead = n["beta1"] * average + (1 - n["beta1"]) * move.grad
    kept = move.param * (1 - n["lr"] * n["weight_decay"])
    return kept - n["lr"] * xp.sign(ahead), {"exp_avg": n["beta2"] * average + (1 - n["beta2"]) * move.grad}


def _rmsprop(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    n, grad = move.numbers, _decayed(move)
    square = n["alpha"] * move.slots["square_avg"] + (1 - n["alpha"]) * grad * grad
    after = {"step": move.slots["step"] + 1, "square_avg": square}
    spread = square
    if "grad_avg" in move.slots:
        after["grad_avg"] = move.slots["grad_avg"] + (1 - n["alpha"]) * (grad - move.slots["grad_avg"])
        spread = square - after["grad_avg"] * after["grad_avg"]
    change = n["momentum"] * move.slots["momentum_buffer"] + grad / (spread**0.5 + n["eps"])
    after["momentum_buffer"] = change
    return move.param - n["lr"] * change, after


def _adagrad(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    n, grad, step = move.numbers, _decayed(move), move.slots["step"] + 1
    rate = n["lr"] / (1 + (step - 1) * n["lr_decay"])
    total = move.slots["sum"] + grad * grad
    return move.param - rate * (grad / (total**0.5 + n["eps"])), {"step": step, "sum": total}


def _adamax(xp: Ops, move: Move) -> tuple[Any, dict[str, Any]]:
    n, grad, step = move.numbers, _decayed(move), move.slots["step"] + 1
    first = move.slots["exp_avg"] + (1 - n["beta1"]) * (grad - move.slots["exp_avg"])
    greatest = xp.greatest(n["beta2"] * move.slots["exp_inf"], abs(grad) + n["eps"])
    rate = n["lr"] / (1 - n["beta1"] ** step)
    return move.param - rate * (first / greatest), {"step": step, "exp_avg": first, "exp_inf": greatest}


_MOMENTUM = ("momentum_buffer", "step")
LAWS: Mapping[str, Law] = frozendict(
    SGD=Law(frozendict(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False), _MOMENTUM, _sgd),
    LARS=Law(
        frozendict(
            lr=1e-3, momentum=0.0, weight_decay=0.0, dampening=0.0, eta=1e-3, nesterov=False, eps=1e-8, lars_exclude=False
        ),
        _MOMENTUM, _lars,
    ),
    Lamb=Law(
        frozendict(
            lr=1e-3, bias_correction=True, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, grad_averaging=True,
            max_grad_norm=1.0, trust_clip=False, always_adapt=False,
        ),
        ("step", "exp_avg", "exp_avg_sq"), _lamb, whole=True,
    ),
    Lion=Law(frozendict(lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0), ("exp_avg",), _lion),
    RMSprop=Law(
        frozendict(lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False),
        ("step", "square_avg", "momentum_buffer", "grad_avg"), _rmsprop,
    ),
    Adagrad=Law(
        frozendict(lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10), ("step", "sum"), _adagrad,
        frozendict(sum="initial_accumulator_value"),
    ),
    Adamax=Law(
        frozendict(lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0), ("step", "exp_avg", "exp_inf"), _adamax
    ),
)  # fmt: skip
"""Optimizers by name; of SGD, the one with dampening."""
