"""One training step as a fold over phases: gradient, transforms, update, logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from frozendict import frozendict
from jax.core import Tracer

from fkit.array.random import fold
from fkit.backend.jax.forward import Forward, Words
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.optimizer import Update, update
from fkit.training.loss import total
from fkit.training.phase import Part, parts_of
from fkit.training.spec import Spec
from fkit.training.transform import Context, apply

__all__ = ["Moving", "Step", "with_sum"]


class Moving(NamedTuple):
    """What a step changes; ``moved`` is whether a parameter has moved in this step so far."""

    params: dict[str, Any]
    buffers: dict[str, Any]
    opt: dict[str, Any]
    slots: dict[str, Any]
    moved: Any


@dataclass(frozen=True)
class Step:
    """The phases of a spec, ready to trace.

    Attributes:
        forward: the model.
        parts: the phases.
        updates: {optimizer: its update}, over the parameters that its phases train.
        numbers: the hyperparameters, in the order in which they are packed.
        steady: every step runs every phase.
    """

    forward: Forward
    parts: tuple[Part, ...]
    updates: Mapping[str, tuple[Update, tuple[str, ...]]]
    numbers: tuple[str, ...]
    steady: bool

    @staticmethod
    def of(spec: Spec, forward: Forward) -> "Step":
        """The step of a spec.

        Raises:
            FkitError: a phase names no optimizer or no parameter, an optimizer has no twin.
        """
        parts = parts_of(spec, forward.plan.inventory)
        first = {part.phase.optimizer: part for part in reversed(parts)}
        updates = {name: (update(first[name].optimizer, first[name].names), first[name].names) for name in first}
        numbers = tuple(dict.fromkeys(name for part in parts for name, _ in part.numbers))
        return Step(forward, parts, frozendict(updates), numbers, all(part.phase.every == 1 for part in parts))

    def due(self, iteration: Any) -> tuple[bool | None, ...]:
        """Which phases a step runs; None, to be decided on the device, where the iteration is traced; () is all."""
        if self.steady:
            return ()
        if isinstance(iteration, Tracer):
            return tuple(True if part.phase.every == 1 else None for part in self.parts)
        done = int(iteration)
        return tuple(done % part.phase.every == 0 for part in self.parts)

    def run(
        self, moving: Moving, iteration: Any, numbers: Any, inputs: Any, samples: Any, words: Words,
        due: tuple[bool | None, ...],
    ) -> tuple[Moving, dict[str, Any]]:  # fmt: skip
        """All phases that are due, in order; ``words`` are the step's key."""
        logs: dict[str, Any] = {}
        values = self._groups(numbers)
        for part, now in zip(self.parts, due or (True,) * len(self.parts), strict=True):
            if now is False:
                continue
            drawn = fold(JaxOps(), words, JaxOps().word(part.index))

            def act(moving: Moving, part: Part = part, drawn: Words = drawn) -> tuple[Moving, Any]:
                turn = iteration // part.phase.every
                return self._phase(part, moving, turn, values[part.index], inputs, samples, drawn)

            if now:
                moving, losses = act(moving)
            else:
                moving, losses = _perhaps(iteration % part.phase.every == 0, act, moving)
            logs |= losses
        return moving, logs

    def _phase(
        self, part: Part, moving: Moving, turn: Any, numbers: Any, inputs: Any, samples: Any, words: Words
    ) -> tuple[Moving, dict[str, Any]]:
        def objective(trained: dict[str, Any]) -> tuple[Any, Any]:
            losses, buffers = self.forward.losses(
                {**moving.params, **trained}, moving.buffers, inputs, samples, words, True, part.phase.mode
            )
            return total(losses, part.phase.loss), (losses, buffers)

        name = part.phase.optimizer
        trained = {key: moving.params[key] for key in part.names}
        (value, (losses, buffers)), grads = jax.value_and_grad(objective, has_aux=True)(trained)
        grads, changed, moves = apply(part.transforms, JaxOps(), grads, moving.slots, Context(turn, trained))
        before = (trained, moving.opt[name])
        after = self.updates[name][0].step(grads, moving.opt[name], trained, numbers)
        params, opt = after if moves is True else jax.tree.map(lambda a, b: jnp.where(moves, a, b), after, before)
        logs = {part.prefix + key: loss for key, loss in {**losses, "loss": value}.items()}
        return Moving(
            {**moving.params, **params}, buffers, {**moving.opt, name: opt}, {**moving.slots, **changed},
            jnp.logical_or(moving.moved, moves),
        ), logs  # fmt: skip

    def _groups(self, numbers: Any) -> list[tuple[dict[str, Any], ...]]:
        """The packed numbers, by phase and group."""
        at: dict[str, int] = {}
        place = 0
        for part in self.parts:
            for name, _ in part.numbers:
                if name not in at:
                    at[name], place = place, place + part.optimizer.count
        return [
            tuple(
                {key: numbers[at[name] + group] for name, key in part.numbers} for group in range(part.optimizer.count)
            )
            for part in self.parts
        ]


def _perhaps(due: Any, act: Any, moving: Moving) -> tuple[Moving, dict[str, Any]]:
    """``act`` if ``due``, decided on the device; what it would have logged is nan then."""
    moving = moving._replace(moved=jnp.asarray(moving.moved))
    shapes = jax.eval_shape(act, moving)[1]

    def skip(moving: Moving) -> tuple[Moving, dict[str, Any]]:
        return moving, {name: jnp.full(one.shape, jnp.nan, one.dtype) for name, one in shapes.items()}

    return jax.lax.cond(due, act, skip, moving)


def with_sum(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Losses and their sum, "loss"."""
    return {**losses, "loss": total(losses)}
