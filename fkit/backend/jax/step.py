"""What jit traces of a training step: a fold over phases, each gradient, transforms, update."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from fkit.array.random import fold
from fkit.backend.jax.forward import Prepare
from fkit.backend.jax.gradient import Gradient
from fkit.backend.jax.number import unpacked
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.optimizer import Update
from fkit.training.phase import Part
from fkit.training.resize import resized
from fkit.training.transform import Context, apply

__all__ = ["Case", "Moving", "Step", "cases", "stepper"]


class Case(NamedTuple):
    """What a step is compiled for.

    Attributes:
        due: which phases it runs; None is decided on the device, where the iteration is traced.
        moves: of each phase, whether the number of its turn lets the optimizer move; None likewise.
        resting: whether a momentum may be 0, see `fkit.backend.jax.optimizer.Update`.
        size: (height, width) that its batch is resized to; None where batches keep theirs.
    """

    due: tuple[bool | None, ...]
    moves: tuple[bool | None, ...]
    resting: bool
    size: tuple[int, int] | None = None


class Moving(NamedTuple):
    """What a step changes; ``moved`` is whether a parameter has moved in it so far."""

    params: dict[str, Any]
    buffers: dict[str, Any]
    opt: dict[str, Any]
    slots: dict[str, Any]
    moved: Any


Step = Callable[[Moving, Any, Any, Any, Any, Any, Case], tuple[Moving, dict[str, Any]]]
"""``(moving, iteration, key, numbers, inputs, samples, case) -> (moving, logs)``."""


def cases(parts: tuple[Part, ...]) -> Callable[[Any, bool], Case]:
    """``(iteration, resting) -> Case`` of a step of these phases."""
    always = (True,) * len(parts)
    if all(part.phase.every == 1 and not part.gated for part in parts):
        return lambda iteration, resting: Case(always, always, resting)
    traced = tuple(True if part.phase.every == 1 else None for part in parts)
    unsure = tuple(None if part.gated else True for part in parts)

    def case(iteration: Any, resting: bool) -> Case:
        if isinstance(iteration, Tracer):
            return Case(traced, unsure, resting)
        done = int(iteration)
        due = tuple(done % part.phase.every == 0 for part in parts)
        moves = tuple(
            now and part.moves(done // part.phase.every) if part.gated else True
            for now, part in zip(due, parts, strict=True)
        )
        return Case(due, moves, resting)

    return case


def stepper(
    parts: tuple[Part, ...], updates: Mapping[str, Update], gradient: Gradient, prepare: Prepare | None = None
) -> Step:
    """A step of these phases.

    Args:
        updates: {optimizer: its update}.
        prepare: what the batch passes first.
    """
    xp = JaxOps()

    def step(
        moving: Moving, iteration: Any, key: Any, numbers: Any, inputs: Any, samples: Any, case: Case
    ) -> tuple[Moving, dict[str, Any]]:
        words = fold(xp, (key[0], key[1]), jnp.asarray(iteration).astype(jnp.uint32))
        values, logs = unpacked(parts, numbers), {}
        if prepare is not None:
            inputs, samples = prepare(inputs, samples, words, True)
        if case.size is not None:
            inputs, samples = resized(xp, inputs, samples, case.size)
        for part, now in zip(parts, case.due, strict=True):

            def run(moving: Moving, part: Part = part) -> tuple[Moving, dict[str, Any]]:
                drawn = fold(xp, words, xp.word(part.place))
                turn = iteration // part.phase.every
                return phase(part, moving, turn, values[part.place], drawn, inputs, samples, case)

            if now is None:
                moving, losses = _perhaps(iteration % part.phase.every == 0, run, moving)
            elif now:
                moving, losses = run(moving)
            else:
                continue
            logs |= {part.prefix + name: loss for name, loss in losses.items()}
        return moving, logs

    def phase(
        part: Part,
        moving: Moving,
        turn: Any,
        numbers: Any,
        words: Any,
        inputs: Any,
        samples: Any,
        case: Case,
    ) -> tuple[Moving, dict[str, Any]]:
        name, params, slots = part.phase.optimizer, moving.params, moving.slots
        scale = None if part.scale is None else part.scale(slots)
        grads, losses, buffers = gradient(part, params, moving.buffers, words, inputs, samples, scale)
        trained = {key: params[key] for key in part.names}
        context = Context(turn, params, part.total, case.moves[part.place] if part.gated else None)
        grads, changed, moves, said = apply(part.transforms, xp, grads, slots, context)
        slots = {**slots, **{key: {**slots[key], **after} for key, after in changed.items()}}
        losses = {**losses, **said}
        if moves is False:
            return moving._replace(buffers=buffers, slots=slots), losses
        after = updates[name].step(grads, moving.opt[name], trained, numbers, case.resting)
        if moves is not True:
            after = jax.tree.map(lambda new, old: jnp.where(moves, new, old), after, (trained, moving.opt[name]))
        moved = jnp.logical_or(moving.moved, moves) if grads else moving.moved
        return Moving({**params, **after[0]}, buffers, {**moving.opt, name: after[1]}, slots, moved), losses

    return step


def _perhaps(
    condition: Any, run: Callable[[Moving], tuple[Moving, dict[str, Any]]], moving: Moving
) -> tuple[Moving, dict[str, Any]]:
    """``run`` if the condition holds, decided on the device; what it would have logged is nan otherwise."""
    moving = moving._replace(moved=jnp.asarray(moving.moved))
    losses = jax.eval_shape(run, moving)[1]

    def skip(moving: Moving) -> tuple[Moving, dict[str, Any]]:
        return moving, {name: jnp.full(one.shape, jnp.nan, one.dtype) for name, one in losses.items()}

    return jax.lax.cond(condition, run, skip, moving)
